/*
 * No system call where nobody waits. A child process does everything once or more, to have its slot, its memory and its
 * buffers; then a seccomp filter traps each system call but exit, and it does everything again.
 *
 * One line of `rows` for each function or pair of functions. A row leaves things as they were, since it is repeated, and
 * gives 0 or an error of its own.
 */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/macros.h"
#include "tests/integration/client.h"

#define ROUNDS	 16
#define ELEMENTS 4096
#define LATER	 (UINT64_C(1) << 62) /* a deadline that does not come */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#else
#define SANITIZED 0
#endif

static ems_connection_t *connection;
static ems_heap_t *list, *map;
static ems_iterator_t *iterator;
static ems_value_t value = EMS_VALUE_INIT, key_buffer = EMS_VALUE_INIT;
static ems_value_t one, text, other_text, word, json;
static int64_t integers[64], integer;
static double doubles[64], number;
static uint64_t count;
static uint32_t left;
static ems_tag_t tag;
static bool hit;
static ems_transaction_t *transaction;
static ems_transaction_element_t set[4], looked_at[1]; /* of both heaps; one that is only read */
static ems_value_t values[4];
static ems_lease_t lease;
static ems_region_t *region;
static ems_region_info_t region_info;
static int64_t *counters; /* the region's bytes */
static ems_session_t *session;
static ems_team_t *team; /* of this thread alone */
static ems_loop_t *loop;

#define AT(n)	 ems_index(n)
#define SHORT	 ems_key("short")
#define LONG	 ems_key("a key that is longer than a word")
#define NEW_KEY	 ems_key("a key that comes and goes")
#define AND(a, b) ((r = (a)) == 0 ? (b) : r)

static int same_index(void *context, uint64_t index, uint64_t *source)
{
	(void)context;
	*source = index;
	return 0;
}

#define ROW(name, call)       \
	static int name(void) \
	{                     \
		int r;        \
                              \
		(void)r;      \
		return call;  \
	}

ROW(do_read, ems_read(list, AT(1), &value))
ROW(do_read_text, ems_read(list, AT(2), &value))
ROW(do_read_never_written, ems_read(list, AT(4000), &value))
ROW(do_read_ff, ems_read_ff(list, AT(1), &value))
ROW(do_read_ff_text, ems_read_ff_until(list, AT(2), &value, LATER))
ROW(do_take_and_fill, AND(ems_read_fe(list, AT(1), &value), ems_write_ef(list, AT(1), &one)))
ROW(do_take_and_fill_text, AND(ems_read_fe_until(list, AT(2), &value, LATER), ems_write_ef_until(list, AT(2), &text, LATER)))
ROW(do_take_in_vain, ems_read_fe_until(list, AT(3), &value, EMS_NOW) == -EMS_ETIMEOUT ? 0 : -1)
ROW(do_read_lock, AND(ems_read_rw(list, AT(1), &value), ems_release_rw(list, AT(1), &left)))
ROW(do_read_lock_text, AND(ems_read_rw_until(list, AT(2), &value, LATER), ems_release_rw(list, AT(2), &left)))
ROW(do_read_lock_twice, AND(do_read_lock(), AND(ems_read_rw(list, AT(1), NULL), AND(do_read_lock(), ems_release_rw(list, AT(1), NULL)))))
ROW(do_release_none, ems_release_rw(list, AT(1), NULL) == -EMS_EINVALID ? 0 : -1)
ROW(do_lock_out, AND(ems_read_rw(list, AT(1), NULL),
		     AND(ems_write_xf(list, AT(1), &one) == -EMS_EDEADLOCK ? 0 : -1, ems_release_rw(list, AT(1), NULL))))
ROW(do_write, ems_write(list, AT(1), &one))
ROW(do_write_text, AND(ems_write_until(list, AT(2), &text, LATER), ems_write(list, AT(2), &other_text)))
ROW(do_write_xf, AND(ems_write_xf(list, AT(1), &one), ems_write_xf_until(list, AT(2), &text, LATER)))
ROW(do_write_xe, AND(ems_write_xe(list, AT(3), &one), ems_write_xe_until(list, AT(3), &text, LATER)))
ROW(do_set_tag, AND(ems_set_tag(list, AT(1), EMS_EMPTY), ems_set_tag_until(list, AT(1), EMS_FULL, LATER)))
ROW(do_get_tag, ems_get_tag(list, AT(1), &tag))
ROW(do_faa, AND(ems_faa(list, AT(1), &one, &value), ems_faa_until(list, AT(1), &one, NULL, LATER)))
ROW(do_faa_text, AND(ems_write(list, AT(2), &text), ems_faa(list, AT(2), &word, &value)))
ROW(do_faa_int64, ems_faa_int64(list, AT(4), 3, &integer))
ROW(do_faa_double, ems_faa_double(list, AT(5), 0.5, &number))
ROW(do_cas, AND(ems_cas(list, AT(4), &one, &one, &value, &hit), ems_cas_until(list, AT(2), &text, &text, &value, &hit, LATER)))
ROW(do_cas_int64, ems_cas_int64(list, AT(4), 1, 1, &integer, &hit))
ROW(do_swap, AND(ems_swap(list, AT(1), &one, &value), ems_swap_until(list, AT(2), &text, &value, LATER)))
ROW(do_bits, AND(ems_and(list, AT(4), -1, &integer),
		 AND(ems_or_until(list, AT(4), 1, &integer, LATER), ems_xor(list, AT(4), 0, &integer))))
ROW(do_bits_until, AND(ems_and_until(list, AT(4), -1, &integer, LATER),
		       AND(ems_or(list, AT(4), 1, &integer), ems_xor_until(list, AT(4), 0, &integer, LATER))))
ROW(do_min_max, AND(ems_min(list, AT(4), &one, &value), ems_max(list, AT(4), &one, &value)))
ROW(do_min_max_until, AND(ems_min_until(list, AT(4), &one, &value, LATER), ems_max_until(list, AT(4), &one, NULL, LATER)))
ROW(do_typed, AND(ems_read_int64(list, AT(4), &integer), AND(ems_write_int64(list, AT(4), integer),
		  AND(ems_read_double(list, AT(5), &number), ems_write_double(list, AT(5), number)))))
ROW(do_delete_element, AND(ems_delete(list, AT(6)), ems_delete_until(list, AT(6), LATER)))
ROW(do_json, AND(ems_write(list, AT(7), &json), ems_read(list, AT(7), &value)))
ROW(do_range, AND(ems_write_range_int64(list, 64, 64, integers, &count), ems_read_range_int64(list, 64, 64, integers, &count)))
ROW(do_range_double, AND(ems_write_range_double(list, 128, 64, doubles, &count), ems_read_range_double(list, 128, 64, doubles, &count)))
ROW(do_fill, ems_fill(list, 256, 64, &one, EMS_FULL, &count))
ROW(do_array_copy, ems_array_copy(&(ems_range_t){list, 256, 64}, &(ems_range_t){list, 384, 64}, NULL))
ROW(do_array_permute, ems_array_permute(&(ems_range_t){list, 256, 64}, &(ems_range_t){list, 384, 64}, same_index, NULL, NULL))
ROW(do_keys, AND(ems_read(map, SHORT, &value), AND(ems_faa(map, ems_index(77), &one, &value), ems_write(map, LONG, &text))))
ROW(do_absent_key, ems_read(map, ems_key("never there"), &value))
ROW(do_key_lock, AND(ems_read_rw(map, LONG, &value), ems_release_rw(map, LONG, NULL)))
ROW(do_key_tags, AND(ems_read_fe(map, LONG, &value), ems_write_ef(map, LONG, &text)))
ROW(do_insert_and_delete, AND(ems_write(map, NEW_KEY, &text), ems_delete(map, NEW_KEY)))
ROW(do_compare_delete, AND(ems_write(map, NEW_KEY, &one), ems_compare_delete(map, NEW_KEY, &one, &hit)))
ROW(do_key_index, AND(ems_key_to_index(map, LONG, &count), ems_index_to_key(map, count, &(ems_key_t){0}, &key_buffer)))
ROW(do_iterator_next, AND(ems_iterator_next(iterator, &(ems_key_t){0}, &value), 0))
ROW(do_queue, AND(ems_enqueue(list, &one, &count), AND(ems_queue_peek(list, &value), AND(ems_queue_length(list, &count), ems_dequeue(list, &value)))))
ROW(do_queue_text, AND(ems_enqueue_until(list, &text, &count, LATER), ems_dequeue_until(list, &value, LATER)))
ROW(do_empty_queue, ems_dequeue(list, &value) == -EMS_EEMPTY ? 0 : -1)
ROW(do_stack, AND(ems_push(list, &one, &count), AND(ems_stack_peek(list, &value), AND(ems_stack_length(list, &count), ems_pop(list, &value)))))
ROW(do_stack_text, AND(ems_push_until(list, &text, &count, LATER), ems_pop_until(list, &value, LATER)))
ROW(do_empty_stack, ems_pop(list, &value) == -EMS_EEMPTY ? 0 : -1)
ROW(do_transaction, AND(ems_transaction_begin(set, 4, &transaction),
			AND(ems_transaction_read(transaction, 0, &value),
			    AND(ems_transaction_write(transaction, 0, &one), ems_transaction_commit(transaction)))))
ROW(do_transaction_of_texts, AND(ems_transaction_begin_until(set, 4, &transaction, LATER),
				 AND(ems_transaction_write(transaction, 1, &text),
				     AND(ems_transaction_write(transaction, 3, &other_text), ems_transaction_commit(transaction)))))
ROW(do_transaction_in_vain, AND(ems_transaction_begin(set, 4, &transaction),
				AND(ems_transaction_write(transaction, 1, &other_text), ems_transaction_abort(transaction))))
ROW(do_transaction_of_none, AND(ems_transaction_begin(NULL, 0, &transaction), ems_transaction_commit(transaction)))
ROW(do_transaction_that_reads, AND(ems_transaction_begin(looked_at, 1, &transaction),
				   AND(ems_transaction_read(transaction, 0, &value), ems_transaction_commit(transaction))))
ROW(do_plain_in_transaction, AND(ems_transaction_begin(set, 4, &transaction),
				 AND(ems_faa(list, AT(1), &one, &value), AND(ems_write(map, LONG, &text),
				     AND(ems_read(list, AT(4000), &value), ems_transaction_commit(transaction))))))
ROW(do_snapshot, AND(ems_snapshot(set, 4, values), ems_snapshot_until(set, 4, values, LATER)))
ROW(do_lease_and_put, AND(ems_read_fe_lease(list, AT(1), &value, &lease), ems_lease_put(&lease, &one)))
ROW(do_lease_and_put_text, AND(ems_read_fe_lease_until(list, AT(2), &value, &lease, LATER), ems_lease_put(&lease, &text)))
ROW(do_lease_and_keep, AND(ems_read_fe_lease(list, AT(1), &value, &lease), AND(ems_lease_keep(&lease), ems_write_ef(list, AT(1), &one))))
ROW(do_lease_and_end, AND(ems_read_fe_lease(list, AT(2), &value, &lease), ems_lease_end(&lease)))
ROW(do_lease_of_key, AND(ems_read_fe_lease(map, LONG, &value, &lease), ems_lease_end(&lease)))
ROW(do_leased_item, AND(ems_enqueue(list, &one, &count), AND(ems_dequeue_lease(list, &value, &lease),
			AND(ems_queue_leased(list, &count), ems_lease_keep(&lease)))))
ROW(do_leased_item_back, AND(ems_enqueue(list, &text, &count), AND(ems_dequeue_lease_until(list, &value, &lease, LATER),
			     AND(ems_lease_end(&lease), ems_dequeue(list, &value)))))
ROW(do_leased_item_changed, AND(ems_enqueue(list, &text, &count), AND(ems_dequeue_lease(list, &value, &lease),
				AND(ems_lease_put(&lease, &other_text), ems_dequeue(list, &value)))))
ROW(do_lease_in_vain, ems_dequeue_lease(list, &value, &lease) == -EMS_EEMPTY ? 0 : -1)
ROW(do_counters, (ems_counter_set(&counters[1], 5), ems_counter_add(&counters[1], 3), ems_counter_sub(&counters[1], 1),
		  ems_counter_and(&counters[1], 6), ems_counter_or(&counters[1], 8), ems_counter_xor(&counters[1], 1), integer = 15,
		  (int)(ems_counter_get(&counters[1]) - 15 + !ems_counter_cas(&counters[1], &integer, 2) +
			ems_counter_exchange(&counters[1], 0) - 2)))
ROW(do_region_add, AND(ems_region_add(region, 8, 3, &integer), ems_region_sub(region, 8, 3, NULL)))
ROW(do_region_get, AND(ems_region_set(region, 16, 3), AND(ems_region_get(region, 16, &integer), ems_region_exchange(region, 16, 0, &integer))))
ROW(do_region_bits, AND(ems_region_and(region, 8, -1, &integer), AND(ems_region_or(region, 8, 1, &integer), ems_region_xor(region, 8, 1, NULL))))
ROW(do_region_cas, ems_region_cas(region, 24, 0, 0, &integer, &hit))
ROW(do_look_at_region, AND(ems_region_info(region, &region_info), ems_region_bytes(region, &count) == counters ? 0 : -1))
ROW(do_change_session, AND(ems_session_use(session, NULL), AND(do_take_and_fill_text(), AND(do_transaction(), ems_session_use(NULL, NULL)))))
ROW(do_look_at_session, AND(ems_session_interruptible(ems_session_self(), false, &hit), ems_cancel(ems_session_self()) == -EMS_EEMPTY ? 0 : -1))
ROW(do_barrier, AND(ems_team_barrier(team), ems_team_barrier_until(team, LATER)))
ROW(do_single, AND(ems_team_single(team, &hit), AND(ems_team_single_until(team, &hit, LATER), ems_team_barrier(team))))
ROW(do_critical_section, AND(ems_critical_enter(team, "quiet", &hit), ems_critical_leave(team, "quiet")))
ROW(do_loop, AND(ems_loop_begin(team, 0, 1, NULL, &loop), AND(ems_loop_next(loop, &integer, &integers[0]),
		 AND(ems_loop_next(loop, &integer, &integers[0]) == -EMS_EEMPTY ? 0 : -1, ems_loop_end(loop)))))
ROW(do_look_at_team, (int)(ems_team_member(team) + !ems_team_is_master(team) + ems_team_count(team) - ems_team_size(team)))
ROW(do_look_at_heap, (int)ems_heap_elements(list) - ELEMENTS + ems_heap_is_dropped(list) + ems_heap_has_map(list) +
		     ems_heap_is_read_only(list) + !ems_heap_name(list))
ROW(do_look_at_library, !ems_version() + !ems_daemon_version(connection) + !ems_error_name(0) + !ems_error_text(EMS_EINVALID) + !ems_last_error())
/* These two do make some. */
ROW(do_ping, ems_ping(connection, EMS_FOREVER))
ROW(do_wait, ems_read_fe_until(list, AT(3), &value, ems_deadline_in(1000)) == -EMS_ETIMEOUT ? 0 : -1)

#undef ROW
#define ROW(name)          \
	{                  \
		#name, name \
	}
static const struct row {
	const char *name;
	int (*run)(void);
} rows[] = {
	ROW(do_read), ROW(do_read_text), ROW(do_read_never_written), ROW(do_read_ff), ROW(do_read_ff_text),
	ROW(do_take_and_fill), ROW(do_take_and_fill_text), ROW(do_take_in_vain),
	ROW(do_read_lock), ROW(do_read_lock_text), ROW(do_read_lock_twice), ROW(do_release_none), ROW(do_lock_out),
	ROW(do_write), ROW(do_write_text), ROW(do_write_xf), ROW(do_write_xe), ROW(do_set_tag), ROW(do_get_tag),
	ROW(do_faa), ROW(do_faa_text), ROW(do_faa_int64), ROW(do_faa_double),
	ROW(do_cas), ROW(do_cas_int64), ROW(do_swap), ROW(do_bits), ROW(do_bits_until), ROW(do_min_max), ROW(do_min_max_until),
	ROW(do_typed), ROW(do_delete_element), ROW(do_json),
	ROW(do_range), ROW(do_range_double), ROW(do_fill), ROW(do_array_copy), ROW(do_array_permute),
	ROW(do_keys), ROW(do_absent_key), ROW(do_key_lock), ROW(do_key_tags), ROW(do_insert_and_delete), ROW(do_compare_delete),
	ROW(do_key_index), ROW(do_iterator_next),
	ROW(do_queue), ROW(do_queue_text), ROW(do_empty_queue), ROW(do_stack), ROW(do_stack_text), ROW(do_empty_stack),
	ROW(do_transaction), ROW(do_transaction_of_texts), ROW(do_transaction_in_vain), ROW(do_transaction_of_none),
	ROW(do_transaction_that_reads), ROW(do_plain_in_transaction), ROW(do_snapshot),
	ROW(do_lease_and_put), ROW(do_lease_and_put_text), ROW(do_lease_and_keep), ROW(do_lease_and_end), ROW(do_lease_of_key),
	ROW(do_leased_item), ROW(do_leased_item_back), ROW(do_leased_item_changed), ROW(do_lease_in_vain),
	ROW(do_counters), ROW(do_region_add), ROW(do_region_get), ROW(do_region_bits), ROW(do_region_cas), ROW(do_look_at_region),
	ROW(do_change_session), ROW(do_look_at_session),
	ROW(do_barrier), ROW(do_single), ROW(do_critical_section), ROW(do_loop), ROW(do_look_at_team),
	ROW(do_look_at_heap), ROW(do_look_at_library),
};
static const struct row noisy_rows[] = {ROW(do_ping), ROW(do_wait)};

/* What the child has come to; both see it. */
static struct progress {
	const struct row *row;
	int result, system_call; /* -1: none */
	bool trapping;
} *progress;

static void trapped(int signal_number, siginfo_t *info, void *context)
{
	(void)signal_number;
	(void)context;
	progress->system_call = info->si_syscall;
	_exit(3);
}

/* Every system call but those that end the process is a signal. */
static int trap_system_calls(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {ARRAY_SIZE(filter), filter};
	struct sigaction action = {.sa_sigaction = trapped, .sa_flags = SA_SIGINFO};

	if (sigaction(SIGSYS, &action, NULL) < 0 || prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

/* Private to this process, so connecting is its own. 1: cannot be prepared. */
static void prepare(void)
{
	bool ok = ems_connect(&connection, NULL) == 0 &&
		  ems_heap_open(connection, "quiet/list", EMS_REPLACE, &(ems_heap_options_t){.elements = ELEMENTS}, &list) == 0 &&
		  ems_heap_open(connection, "quiet/map", EMS_REPLACE, &(ems_heap_options_t){.elements = ELEMENTS, .map = true}, &map) == 0;

	one = ems_value_integer(1);
	text = text_value("a text that takes a block of the heap's storage");
	other_text = text_value("another one, which is longer than that one is, so that it takes another size of block, and "
				"more than a hundred bytes");
	word = text_value(" and more");
	json = ems_value_data(EMS_JSON, "{\"a\":[1,2,3]}", 13);
	ok = ok && ems_write(list, AT(1), &one) == 0 && ems_write(list, AT(2), &text) == 0 && ems_write_xe(list, AT(3), &one) == 0 &&
	     ems_write(list, AT(4), &one) == 0 && ems_write_double(list, AT(5), 1) == 0 && ems_write(map, SHORT, &one) == 0 &&
	     ems_write(map, LONG, &text) == 0;
	for (int i = 0; ok && i < 4 * ROUNDS; i++)
		ok = ems_write_int64(map, ems_index(1000 + i), i) == 0;
	ok = ok && ems_iterate(map, &iterator) == 0;
	set[0] = (ems_transaction_element_t){list, AT(1), false};
	set[1] = (ems_transaction_element_t){list, AT(2), false};
	set[2] = (ems_transaction_element_t){list, AT(4000), true};
	set[3] = (ems_transaction_element_t){map, LONG, false};
	looked_at[0] = (ems_transaction_element_t){list, AT(2), true};
	for (int i = 0; i < 4; i++)
		values[i] = (ems_value_t)EMS_VALUE_INIT;
	ok = ok && ems_region_open(connection, "quiet/region", EMS_REPLACE, &(ems_region_options_t){.size = 65536, .populate = true}, &region) == 0 &&
	     ems_session_open(&session) == 0 && ems_team_join(connection, "quiet/team", &(ems_team_options_t){.size = 1}, &team) == 0;
	counters = ok ? ems_region_bytes(region, NULL) : NULL;
	if (!ok)
		_exit(1);
}

static void run(const struct row *table, size_t size)
{
	for (size_t i = 0; i < size; i++)
		for (int round = 0; round < ROUNDS; round++) {
			progress->row = &table[i];
			progress->result = table[i].run();
			if (progress->result != 0)
				_exit(2);
		}
}

static __attribute__((noreturn)) void child(const struct row *table, size_t size)
{
	prepare();
	run(table, size);
	if (trap_system_calls() < 0)
		_exit(4);
	progress->trapping = true;
	run(table, size);
	_exit(0);
}

static int status_of(const struct row *table, size_t size)
{
	int status;
	pid_t pid;

	progress = mmap(NULL, sizeof(*progress), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ck_assert_ptr_ne(progress, MAP_FAILED);
	*progress = (struct progress){.system_call = -1};
	pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0)
		child(table, size);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "the child ended by signal %d", WTERMSIG(status));
	return WEXITSTATUS(status);
}

START_TEST(test_no_system_call)
{
	int status = status_of(rows, ARRAY_SIZE(rows));

	ck_assert_msg(status == 0, "%s%s: system call %d, result %s (%d)", progress->row ? progress->row->name : "preparing",
		      progress->trapping ? "" : " in its first rounds", progress->system_call,
		      ems_error_name(progress->result), status);
	ck_assert(progress->trapping);
	ck_assert_ptr_eq(progress->row, &rows[ARRAY_SIZE(rows) - 1]);
}
END_TEST

/* What asks the daemon, and what sleeps, is seen. */
START_TEST(test_the_trap_catches)
{
	for (size_t i = 0; i < ARRAY_SIZE(noisy_rows); i++) {
		ck_assert_int_eq(status_of(&noisy_rows[i], 1), 3);
		ck_assert(progress->trapping);
		ck_assert_int_ge(progress->system_call, 0);
	}
}
END_TEST

/* In some containers no filter can be set. */
static bool can_trap(void)
{
	int status;
	pid_t pid = fork();

	if (pid == 0)
		_exit(trap_system_calls() < 0 ? 1 : 0);
	return pid > 0 && waitpid(pid, &status, 0) == pid && status == 0;
}

int main(void)
{
	const TTest *const tests[] = {test_no_system_call, test_the_trap_catches};

	if (SANITIZED || !can_trap()) {
		puts("skipped: no system call filter here, or a sanitizer that makes calls of its own");
		return 77;
	}
	return integration_run("client/no_syscalls", tests, ARRAY_SIZE(tests));
}
