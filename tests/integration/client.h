/*
 * client.h: what the tests of libems have in common.
 */
#ifndef TESTS_CLIENT_H
#define TESTS_CLIENT_H

#include <signal.h>
#include <string.h>
#include <sys/wait.h>

#include "client/ems.h"
#include "tests/integration/daemon.h"

#define MS UINT64_C(1000000)

/* Asserts a result, with the library's words when it is another. */
#define ck_ems(expression, expected)                                                              \
	do {                                                                                      \
		int ck_r_ = (expression);                                                         \
		ck_assert_msg(ck_r_ == -(int)(expected), "%s: %s (%s), expected %s", #expression, \
			      ems_error_name(ck_r_), ck_r_ ? ems_last_error()->message : "",      \
			      ems_error_name((int)(expected)));                                   \
	} while (0)
#define ck_ok(expression) ck_ems(expression, EMS_OK)

/*
 * For processes that are killed: each of check's macros tells the runner where it is, in a file that the tests' processes
 * share, and a kill in the middle of that leaves something torn there ("Bad message type").
 */
#define child_assert(condition)                                                                         \
	do {                                                                                            \
		if (!(condition)) {                                                                     \
			fprintf(stderr, "%s:%d: %s: not so; the library's last error: %s\n", __FILE__,  \
				__LINE__, #condition, ems_last_error()->message);                       \
			_exit(3);                                                                       \
		}                                                                                       \
	} while (0)
#define child_ok(expression) child_assert((expression) == 0)

/* Kills such a child, which was alive until now: none of the above has failed. */
static inline void kill_child(pid_t child)
{
	int status;

	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitpid(child, &status, 0), child);
	ck_assert_msg(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL, "a child ended by itself");
}

static inline ems_connection_t *connect_daemon(void)
{
	ems_connection_t *connection = NULL;

	ck_ok(ems_connect(&connection, NULL));
	return connection;
}

/* A new heap of that name. */
static inline ems_heap_t *make_heap(ems_connection_t *connection, const char *name,
				    const ems_heap_options_t *options)
{
	ems_heap_t *heap = NULL;

	ck_ok(ems_heap_open(connection, name, EMS_CREATE, options, &heap));
	return heap;
}

/* Closes and drops it. */
static inline void end_heap(ems_connection_t *connection, ems_heap_t *heap)
{
	char name[256];

	strcpy(name, ems_heap_name(heap));
	ems_heap_close(heap);
	ck_ok(ems_heap_drop(connection, name));
}

static inline ems_value_t text_value(const char *text)
{
	return ems_value_data(EMS_STRING, text, strlen(text));
}

/* The element reads as this value. */
static inline void ck_reads(ems_heap_t *heap, ems_key_t key, const ems_value_t *expected)
{
	ems_value_t value = EMS_VALUE_INIT;

	ck_ok(ems_read(heap, key, &value));
	ck_assert_uint_eq(value.type, expected->type);
	if (expected->type == EMS_BOOLEAN)
		ck_assert_int_eq(value.boolean, expected->boolean);
	else if (expected->type == EMS_INTEGER)
		ck_assert_int_eq(value.integer, expected->integer);
	else if (expected->type == EMS_FLOAT)
		ck_assert_mem_eq(&value.number, &expected->number,
				 sizeof(value.number)); /* −0 and NaN, too */
	else if (expected->type >= EMS_STRING) {
		ck_assert_uint_eq(value.size, expected->size);
		if (value.size > 0)
			ck_assert_mem_eq(value.data, expected->data, value.size);
		ck_assert_int_eq(((const char *)value.data)[value.size], '\0');
	}
	ems_value_clear(&value);
}

#endif
