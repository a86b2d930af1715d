/*
 * The addon of package `ems`: <ems.h> for JavaScript, thin. What is comfortable is written in JavaScript (lib/).
 *
 * One struct addon for each environment (the main thread, each worker thread). Handles of heaps are structs that functions have
 * as their data, so that the usual calls look nothing up in `this`; such a function keeps its handle alive, and a handle keeps
 * its connection.
 */
#ifndef EMS_NODE_ADDON_H
#define EMS_NODE_ADDON_H

#define NAPI_VERSION 8
#include <node_api.h>

#include "contrib/compat/ems_compat.h"

struct addon {
	napi_env env;
	napi_ref stringify, parse; /* of JSON */
	ems_value_t result;	   /* what operations read into; its buffer is used again */
};

struct addon *addon_of(napi_env env);

/* ---- errors: a JavaScript exception is pending, and the result is NULL ---- */

/* Of a call of libems: a TypeError, RangeError or Error with `code` and the library's message. */
napi_value throw_ems(napi_env env, int code);
/* The same as a value, for rejecting promises; message NULL: the code's text. */
napi_value error_of(napi_env env, int code, const char *message);
/* Settles a promise: with js, or by an error, or by the exception that is pending. */
void settle_promise(napi_env env, napi_deferred deferred, int r, const char *message, napi_value js);
napi_value throw_type(napi_env env, const char *message);

/* ---- values ---- */

/* A JavaScript value as libems takes it. Strings are in `small` or in memory of its own, until cleared. */
struct argument {
	ems_value_t value;
	void *memory;
	char small[256];
};
bool argument_get(struct addon *addon, napi_value js, struct argument *argument);
void argument_clear(struct argument *argument);

/* numbers: integers that JavaScript cannot represent become the nearest Number instead of a BigInt. */
napi_value value_to_js(struct addon *addon, const ems_value_t *value, bool numbers);

struct key_argument {
	ems_key_t key;
	struct argument text;
};
bool key_get(struct addon *addon, napi_value js, struct key_argument *key);
void key_clear(struct key_argument *key);
napi_value key_to_js(napi_env env, const ems_key_t *key);

/* Milliseconds; undefined waits for ever. */
bool deadline_get(napi_env env, napi_value js, ems_deadline_t *deadline);

/* ---- small things ---- */

/* Up to `most` arguments, those that were not given undefined; and the function's data. */
void *arguments_get(napi_env env, napi_callback_info info, size_t most, napi_value *arguments);
napi_value js_undefined(napi_env env);
napi_value js_boolean(napi_env env, bool value);
napi_value js_number(napi_env env, double value);
napi_value js_text(napi_env env, const char *text);
napi_value js_int64(napi_env env, int64_t value, bool numbers);
bool int64_get(napi_env env, napi_value js, int64_t *value);
bool number_get(napi_env env, napi_value js, double *value);
bool boolean_of(napi_env env, napi_value js); /* as JavaScript sees it */
bool text_get(napi_env env, napi_value js, struct argument *argument);
/* A number that is not negative; undefined leaves *count. */
bool count_get(napi_env env, napi_value js, uint64_t *count);
bool property_count(napi_env env, napi_value object, const char *name, uint64_t *count);
bool property_flag(napi_env env, napi_value object, const char *name);
bool is_undefined(napi_env env, napi_value js);
napi_value property(napi_env env, napi_value object, const char *name);
void set_property(napi_env env, napi_value object, const char *name, napi_value value);
void *external_get(napi_env env, napi_value js, const napi_type_tag *tag);
napi_value external_new(napi_env env, void *data, const napi_type_tag *tag, napi_finalize finalize);
void set_function(napi_env env, napi_value object, const char *name, napi_callback function, void *data);

/* ---- handles ---- */

/*
 * The connection ends with its last user: the JavaScript object until it is closed, open heaps, regions and teams, waits that are
 * not settled. Who only points at the struct has a reference.
 */
struct client {
	ems_connection_t *connection; /* NULL: ended */
	struct addon *addon;
	unsigned references, users;
	bool closed; /* nothing new is opened */
	struct waits *waits;
};
struct handle {
	ems_heap_t *heap; /* NULL: closed */
	struct addon *addon;
	struct client *client;		/* native ones */
	struct ems_compat_array *array; /* those of the drop-in module */
	unsigned references;
	unsigned jobs;	     /* of other threads (async.c), which use … */
	ems_heap_t *closing; /* … this one, to be closed when they are done */
};
/* Memory that ArrayBuffers, counters and blocks are in; it is unmapped with the last of them. */
struct region {
	ems_region_t *region;
	struct client *client;
	bool closed, read_only;
	unsigned references;
};
extern const napi_type_tag client_tag, handle_tag;

/* One that is open; or an exception is pending. */
struct client *client_get(napi_env env, napi_value js);
struct handle *handle_get(napi_env env, napi_value js);
struct region *region_get(napi_env env, napi_value js);

/* A user, who has a reference as well. */
void client_use(struct client *client);
void client_unuse(struct client *client);
void client_unref(struct client *client);
void handle_unref(struct handle *handle);
void handle_close(struct handle *handle);
void region_unref(struct region *region);
/* A function that keeps the handle. */
void set_operation(napi_env env, napi_value object, const char *name, napi_callback function, struct handle *handle);

/* ---- what each file brings ---- */

void operations_init(napi_env env, napi_value exports); /* operation.c: on one element, queue, stack */
void heap_init(napi_env env, napi_value exports);	/* heap.c: clients, heaps, ranges */
void compat_init(napi_env env, napi_value exports);	/* compat.c: the drop-in module */
void wait_init(napi_env env, napi_value exports);	/* wait.c: promises */
void hold_init(napi_env env, napi_value exports);	/* hold.c: transactions, leases */
void region_init(napi_env env, napi_value exports);	/* region.c */
void sets_init(napi_env env, napi_value exports);	/* sets.c: counters and blocks in regions */
void async_init(napi_env env, napi_value exports);	/* async.c: what waits for a disk */
void team_init(napi_env env, napi_value exports);	/* team.c */

/* The element operations as functions of object, which act on the handle. */
void operations_define(napi_env env, napi_value object, struct handle *handle);
/* What a lease has taken, for JavaScript: hold.c. */
napi_value lease_to_js(struct handle *handle, const ems_lease_t *lease, const ems_value_t *value);
/* Ends the promises of a client that closes. */
void waits_free(struct waits *waits);

#endif
