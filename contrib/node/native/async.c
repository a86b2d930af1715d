/* What waits for a disk, on a thread of the event loop's pool: checkpoints of heaps, files of regions. */
#include <stdio.h>
#include <stdlib.h>

#include "contrib/node/native/addon.h"

struct job {
	napi_async_work work;
	napi_deferred deferred;
	struct handle *handle; /* one of the two */
	struct region *region;
	ems_heap_t *heap;
	ems_deadline_t deadline;
	uint64_t offset, size;
	int r;
	char message[256];
};

static void execute(napi_env env, void *data)
{
	struct job *job = data;

	(void)env;
	if (job->heap)
		job->r = ems_sync_until(job->heap, job->deadline);
	else
		job->r = ems_region_flush(job->region->region, job->offset, job->size, true);
	if (job->r < 0)
		snprintf(job->message, sizeof job->message, "%s", ems_last_error()->message);
}

static void job_free(struct job *job)
{
	struct handle *handle = job->handle;

	if (job->region)
		region_unref(job->region);
	if (handle) {
		if (--handle->jobs == 0 && handle->closing) {
			ems_heap_close(handle->closing);
			handle->closing = NULL;
		}
		client_unuse(handle->client);
		handle_unref(handle);
	}
	free(job);
}

static void complete(napi_env env, napi_status status, void *data)
{
	struct job *job = data;

	if (status == napi_cancelled)
		job->r = -EMS_ECANCELLED;
	settle_promise(env, job->deferred, job->r, job->message[0] ? job->message : NULL, js_undefined(env));
	napi_delete_async_work(env, job->work);
	job_free(job);
}

/* job is taken in any case. */
static napi_value job_begin(napi_env env, struct job *job)
{
	napi_value promise;

	if (napi_create_async_work(env, NULL, js_text(env, "ems"), execute, complete, job, &job->work) != napi_ok) {
		job_free(job);
		return throw_ems(env, -EMS_ENOMEMORY);
	}
	napi_create_promise(env, &job->deferred, &promise);
	napi_queue_async_work(env, job->work);
	return promise;
}

/* sync(handle, milliseconds): blocks */
static napi_value sync_now(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct handle *handle;
	ems_deadline_t deadline;
	int r;

	arguments_get(env, info, 2, js);
	handle = handle_get(env, js[0]);
	if (!handle || !deadline_get(env, js[1], &deadline))
		return NULL;
	r = ems_sync_until(handle->heap, deadline);
	return r < 0 ? throw_ems(env, r) : js_undefined(env);
}

/* syncAsync(handle, milliseconds): a promise */
static napi_value sync_async(napi_env env, napi_callback_info info)
{
	napi_value js[2];
	struct handle *handle;
	struct job *job;
	ems_deadline_t deadline;

	arguments_get(env, info, 2, js);
	handle = handle_get(env, js[0]);
	if (!handle || !deadline_get(env, js[1], &deadline))
		return NULL;
	job = calloc(1, sizeof *job);
	if (!job)
		return throw_ems(env, -EMS_ENOMEMORY);
	job->handle = handle;
	job->heap = handle->heap;
	job->deadline = deadline;
	handle->references++;
	handle->jobs++;
	client_use(handle->client);
	return job_begin(env, job);
}

static bool part_get(napi_env env, napi_value *js, struct region **region, uint64_t *offset, uint64_t *size)
{
	*offset = *size = 0;
	*region = region_get(env, js[0]);
	return *region && count_get(env, js[1], offset) && count_get(env, js[2], size);
}

/* flush(region, offset, size, wait): wait blocks */
static napi_value flush_now(napi_env env, napi_callback_info info)
{
	napi_value js[4];
	struct region *region;
	uint64_t offset, size;
	int r;

	arguments_get(env, info, 4, js);
	if (!part_get(env, js, &region, &offset, &size))
		return NULL;
	r = ems_region_flush(region->region, offset, size, boolean_of(env, js[3]));
	return r < 0 ? throw_ems(env, r) : js_undefined(env);
}

/* flushAsync(region, offset, size): a promise */
static napi_value flush_async(napi_env env, napi_callback_info info)
{
	napi_value js[3];
	struct region *region;
	struct job *job;
	uint64_t offset, size;

	arguments_get(env, info, 3, js);
	if (!part_get(env, js, &region, &offset, &size))
		return NULL;
	job = calloc(1, sizeof *job);
	if (!job)
		return throw_ems(env, -EMS_ENOMEMORY);
	job->region = region;
	job->offset = offset;
	job->size = size;
	region->references++;
	return job_begin(env, job);
}

void async_init(napi_env env, napi_value exports)
{
	set_function(env, exports, "sync", sync_now, NULL);
	set_function(env, exports, "syncAsync", sync_async, NULL);
	set_function(env, exports, "flush", flush_now, NULL);
	set_function(env, exports, "flushAsync", flush_async, NULL);
}
