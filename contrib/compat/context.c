/*
 * A context: its members, their regions, and what they do together. See ems_compat.h.
 *
 * All heaps of a context have names that begin with a hash of its own name, so that any text will do. A run with several
 * members has a team, and a control heap in which members tell each other what a team does not: the regions' texts, and
 * what came of making an array.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include "contrib/compat/context.h"

#define CONTROL_ELEMENTS 65536u
#define SECTION		 "ems"
#define REGION_END	 ""

/* Twice 64 bits of FNV-1a: names of contexts are no adversary's. */
static void hash_text(const char *text, size_t size, char hex[33])
{
	uint64_t a = UINT64_C(0xcbf29ce484222325), b = UINT64_C(0x84222325cbf29ce4);

	for (size_t i = 0; i < size; i++) {
		a = (a ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
		b = (b ^ (unsigned char)text[i] ^ (a >> 32)) * UINT64_C(0x100000001b3);
	}
	snprintf(hex, 33, "%016llx%016llx", (unsigned long long)a, (unsigned long long)b);
}

void ems_compat_hash(const char *text, size_t size, char hex[33])
{
	hash_text(text, size, hex);
}

ems_deadline_t ems_compat_deadline(double milliseconds)
{
	if (!(milliseconds >= 0) || milliseconds > 1e12)
		return EMS_FOREVER;
	if (milliseconds == 0)
		return EMS_NOW;
	return ems_deadline_in((uint64_t)(milliseconds * 1e6));
}

void ems_compat_run_name(char name[EMS_COMPAT_RUN_SIZE])
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	snprintf(name, EMS_COMPAT_RUN_SIZE, "%ld-%lld%09ld", (long)getpid(), (long long)now.tv_sec, now.tv_nsec);
}

int ems_compat_follow_parent(long parent)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return -EMS_ESYSTEM;
	return getppid() == (pid_t)parent ? EMS_OK : -EMS_ENOTFOUND;
}

static void names_set(struct ems_compat *context, const struct ems_compat_start *how)
{
	char hex[33];
	const char *name = how->name ? how->name : "";

	hash_text(name, how->name ? how->name_size : 0, hex);
	snprintf(context->prefix, sizeof context->prefix, "compat/%s", hex);
	snprintf(context->domain, sizeof context->domain, "/EMS_%s", hex);
	if (context->kind != EMS_COMPAT_USER)
		snprintf(context->run, sizeof context->run, "%s", how->run ? how->run : "");
}

static int join(struct ems_compat *context, double milliseconds)
{
	char name[256];
	ems_team_options_t options = {.size = context->size, .has_member = true, .member = context->member,
				      .deadline = ems_compat_deadline(milliseconds)};
	ems_heap_options_t control = {.elements = CONTROL_ELEMENTS, .max_elements = CONTROL_ELEMENTS, .map = true,
				      .until_detached = true, .initial_tag = EMS_EMPTY};
	int r;

	snprintf(name, sizeof name, "%s/%s/control", context->prefix, context->run);
	r = ems_heap_open(context->connection, name, EMS_OPEN_OR_CREATE, &control, &context->control);
	if (r < 0)
		return r;
	snprintf(name, sizeof name, "%s/%s/team", context->prefix, context->run);
	return ems_team_join(context->connection, name, &options, &context->team);
}

int ems_compat_start(const struct ems_compat_start *how, struct ems_compat **result)
{
	struct ems_compat *context = calloc(1, sizeof *context);
	int r;

	if (!context)
		return -EMS_ENOMEMORY;
	context->kind = how->kind;
	context->size = how->kind == EMS_COMPAT_USER || how->size == 0 ? 1 : how->size;
	context->member = context->size == 1 ? 0 : how->member;
	names_set(context, how);
	r = ems_connect(&context->connection, NULL);
	if (r == 0 && context->size > 1)
		r = join(context, how->milliseconds);
	if (r < 0) {
		ems_compat_end(context);
		return r;
	}
	*result = context;
	return 0;
}

int ems_compat_leave(struct ems_compat *context)
{
	ems_team_t *team = context->team;

	context->team = NULL;
	return ems_team_leave(team);
}

void ems_compat_end(struct ems_compat *context)
{
	if (!context)
		return;
	ems_compat_leave(context);
	if (context->control)
		ems_heap_close(context->control);
	if (context->section)
		ems_heap_close(context->section);
	if (context->connection)
		ems_disconnect(context->connection);
	free(context);
}

uint32_t ems_compat_member(const struct ems_compat *context)
{
	return context->member;
}

uint32_t ems_compat_size(const struct ems_compat *context)
{
	return context->size;
}

const char *ems_compat_domain(const struct ems_compat *context)
{
	return context->domain;
}

ems_connection_t *ems_compat_connection(struct ems_compat *context)
{
	return context->connection;
}

/* ---- regions ---- */

bool ems_compat_in_region(const struct ems_compat *context)
{
	return context->kind == EMS_COMPAT_BSP || context->inside;
}

ems_team_t *ems_compat_team(const struct ems_compat *context)
{
	return ems_compat_in_region(context) ? context->team : NULL;
}

int ems_compat_region_send(struct ems_compat *context, const char *text, size_t size)
{
	ems_value_t value = ems_value_data(EMS_STRING, text, size);

	if (context->kind != EMS_COMPAT_FJ || context->inside)
		return -EMS_EINVALID;
	context->region++;
	return context->control ? ems_write_xf(context->control, ems_index(context->region), &value) : 0;
}

int ems_compat_region_receive(struct ems_compat *context, ems_value_t *text)
{
	int r;

	if (context->kind != EMS_COMPAT_FJ || context->inside || !context->control)
		return -EMS_EINVALID;
	r = ems_read_ff(context->control, ems_index(context->region + 1), text);
	if (r < 0)
		return r;
	context->region++;
	return text->size == 0 ? -EMS_EEMPTY : 0;
}

int ems_compat_region_enter(struct ems_compat *context)
{
	if (context->kind != EMS_COMPAT_FJ || context->inside)
		return -EMS_EINVALID;
	context->inside = true;
	return 0;
}

int ems_compat_region_leave(struct ems_compat *context)
{
	int r;

	if (!context->inside)
		return -EMS_EINVALID;
	r = ems_team_barrier(context->team);
	context->inside = false;
	/* Everybody has it. */
	if (context->control && context->member == 0)
		ems_delete(context->control, ems_index(context->region));
	return r;
}

int ems_compat_region_finish(struct ems_compat *context)
{
	return ems_compat_region_send(context, REGION_END, 0);
}

/* ---- together ---- */

static double milliseconds_until(ems_deadline_t deadline)
{
	ems_deadline_t now = ems_deadline_in(0);

	return deadline > now ? (double)(deadline - now) / 1e6 : 0;
}

int ems_compat_barrier(struct ems_compat *context, double milliseconds, double *left)
{
	ems_deadline_t deadline = ems_compat_deadline(milliseconds);
	int r = 0;

	if (ems_compat_team(context) && milliseconds == 0)
		return -EMS_ETIMEOUT; /* even if this one were the last to come */
	if (ems_compat_team(context))
		r = ems_team_barrier_until(context->team, deadline);
	if (r == 0 && left)
		*left = deadline == EMS_FOREVER ? milliseconds : milliseconds_until(deadline);
	return r;
}

/* Two elements, each taken by a lease, so that a death gives it back. */
enum { SECTION_ITSELF = 0, SECTION_NEXT = 1, SECTION_ELEMENTS = 2 };

static int section_open(struct ems_compat *context)
{
	char name[256];
	ems_heap_options_t options = {.elements = SECTION_ELEMENTS, .max_elements = SECTION_ELEMENTS,
				      .until_detached = true};

	if (context->section)
		return 0;
	snprintf(name, sizeof name, "%s/critical", context->prefix);
	return ems_heap_open(context->connection, name, EMS_OPEN_OR_CREATE, &options, &context->section);
}

/*
 * Members of a run are let in by their team, in order. Among runs, one waits for the section while it is "next", and the
 * others wait to be that: so one who leaves and comes again is behind who waits already.
 */
static int section_enter(struct ems_compat *context, ems_deadline_t deadline)
{
	ems_lease_t next;
	int r = section_open(context);

	if (r == 0)
		r = ems_read_fe_lease_until(context->section, ems_index(SECTION_NEXT), NULL, &next, deadline);
	if (r < 0)
		return r;
	r = ems_read_fe_lease_until(context->section, ems_index(SECTION_ITSELF), NULL, &context->inside_section,
				    deadline);
	ems_lease_end(&next);
	return r;
}

int ems_compat_critical_enter(struct ems_compat *context, double milliseconds)
{
	ems_deadline_t deadline = ems_compat_deadline(milliseconds);
	ems_team_t *team = context->team;
	int r = ems_critical_enter_until(team, SECTION, NULL, deadline);

	if (r < 0)
		return r;
	r = section_enter(context, deadline);
	if (r < 0)
		ems_critical_leave(team, SECTION);
	return r;
}

int ems_compat_critical_leave(struct ems_compat *context)
{
	int r = ems_lease_end(&context->inside_section), s;

	s = ems_critical_leave(context->team, SECTION);
	return r < 0 ? r : s;
}

int ems_compat_single(struct ems_compat *context, bool *mine)
{
	return ems_team_single(ems_compat_team(context), mine);
}

int ems_compat_loop_begin(struct ems_compat *context, int64_t first, int64_t last, ems_schedule_t schedule,
			  uint64_t minimum, ems_loop_t **loop)
{
	ems_loop_options_t options = {.schedule = schedule, .chunk = minimum};
	int r = ems_loop_begin(context->loops ? NULL : ems_compat_team(context), first, last, &options, loop);

	if (r == 0)
		context->loops++;
	return r;
}

int ems_compat_loop_next(ems_loop_t *loop, int64_t *from, int64_t *to)
{
	return ems_loop_next(loop, from, to);
}

int ems_compat_loop_end(struct ems_compat *context, ems_loop_t *loop)
{
	context->loops--;
	return ems_loop_end(loop);
}
