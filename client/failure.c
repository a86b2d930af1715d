/* A thread's last error, in words: see failure.h. */
#include "client/failure.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/utf8.h"
#include "client/heap.h"
#include "client/thread.h"

int failure_of(int r)
{
	struct thread *thread = thread_self();

	if (thread) {
		thread->failure.code = -r;
		thread->failure.operation = NULL;
		thread->failure.detail_code = 0;
	}
	return r;
}

int failure_say(int r, const char *format, ...)
{
	struct thread *thread = thread_self();
	va_list arguments;

	if (!thread)
		return r;
	thread->failure.code = thread->failure.detail_code = -r;
	thread->failure.operation = NULL;
	va_start(arguments, format);
	(void)vsnprintf(thread->failure.detail, sizeof(thread->failure.detail), format, arguments);
	va_end(arguments);
	return r;
}

int failure_for_operation(int r)
{
	struct thread *thread = thread_self();

	if (thread)
		thread->failure.for_operation = true;
	return r;
}

int failure_at(int r, const struct ems_heap *heap, const char *operation, const ems_key_t *key)
{
	struct thread *thread = thread_self();
	struct failure *failure;

	if (!thread)
		return r;
	failure = &thread->failure;
	if (!failure->for_operation || failure->detail_code != -r)
		failure->detail_code = 0;
	failure->for_operation = false;
	failure->code = -r;
	failure->operation = operation;
	failure->elements = 0;
	failure->heap[0] = '\0';
	if (heap) {
		(void)snprintf(failure->heap, sizeof(failure->heap), "%s", heap->name);
		if (r != -ERROR_FORKED)
			failure->elements = shm_elements(&heap->mapping->segment);
	}
	failure->key = key ? *key : (ems_key_t){.type = 0};
	if (key && key->type == EMS_KEY_STRING && key->text)
		memcpy(failure->key_text, key->text, MIN(key->size, (uint32_t)FAILURE_KEY_TEXT));
	return r;
}

/* ---- composing ---- */

/* A piece of text that does not end within a character; what cannot be shown is '?'. */
static void compose_text(char *out, size_t size, const char *text, uint32_t length)
{
	uint32_t most = MIN(length, (uint32_t)FAILURE_KEY_TEXT), shown = most, n = 0;
	bool valid = utf8_valid(text, shown);

	while (!valid && shown < length && shown > 0 && most - shown < 3)
		valid = utf8_valid(text, --shown);
	for (uint32_t i = 0; i < shown && n + 6 < size; i++) {
		unsigned char byte = (unsigned char)text[i];

		out[n++] = byte < 0x20 || byte == 0x7f || (byte >= 0x80 && !valid) ? '?' : text[i];
	}
	(void)snprintf(out + n, size - n, "%s\"", shown < length ? "…" : "");
}

static void compose_key(char *out, size_t size, const struct failure *failure)
{
	const ems_key_t *key = &failure->key;

	switch (key->type) {
	case EMS_KEY_INTEGER:
		(void)snprintf(out, size, ", element %lld", (long long)key->integer);
		break;
	case EMS_KEY_FLOAT:
		(void)snprintf(out, size, ", key %.17g", key->number);
		break;
	case EMS_KEY_BOOLEAN:
		(void)snprintf(out, size, ", key %s", key->boolean ? "true" : "false");
		break;
	case EMS_KEY_STRING:
		(void)snprintf(out, size, ", key \"");
		compose_text(out + strlen(out), size - strlen(out), failure->key_text, key->size);
		break;
	default:
		out[0] = '\0';
		break;
	}
}

/* What to do about it, where something can be done. */
static const char *compose_advice(int code)
{
	switch (code) {
	case EMS_ENOSPACE:
		return "; delete something, or make the heap anew with more storage";
	case EMS_EFULL:
		return "; make room, or grow the heap";
	case EMS_EDEADLOCK:
		return "; release it first";
	case EMS_EREADONLY:
		return "; open the heap without read_only";
	case EMS_EFORKED:
		return "; connect anew in the child";
	case EMS_ECONNECTION:
		return ": the heap needs more memory, and its daemon is gone";
	default:
		return "";
	}
}

static void compose_operation(struct failure *failure)
{
	char key[FAILURE_KEY_TEXT + 64];
	const char *detail = failure->detail_code == failure->code ? failure->detail : NULL;

	if (failure->code == EMS_ERANGE && failure->key.type == EMS_KEY_INTEGER && !detail) {
		(void)snprintf(failure->message, sizeof(failure->message),
			       "heap \"%s\": no element %lld (it has %llu)", failure->heap,
			       (long long)failure->key.integer, (unsigned long long)failure->elements);
		return;
	}
	compose_key(key, sizeof(key), failure);
	(void)snprintf(failure->message, sizeof(failure->message), "heap \"%s\"%s: %s: %s%s", failure->heap,
		       key, failure->operation, detail ? detail : error_text(failure->code),
		       detail ? "" : compose_advice(failure->code));
}

static void compose(struct failure *failure)
{
	if (failure->operation)
		compose_operation(failure);
	else
		(void)snprintf(failure->message, sizeof(failure->message), "%s",
			       failure->detail_code == failure->code && failure->code
				       ? failure->detail
				       : error_text(failure->code));
}

const ems_error_t *ems_last_error(void)
{
	static const ems_error_t no_memory = {EMS_ENOMEMORY, "EMS_ENOMEMORY", "the process is out of memory"};
	struct thread *thread = thread_self();

	if (!thread)
		return &no_memory;
	compose(&thread->failure);
	thread->failure.error.code = thread->failure.code;
	thread->failure.error.name = ems_error_name(thread->failure.code);
	thread->failure.error.message = thread->failure.message;
	return &thread->failure.error;
}
