/*
 * failure.h: a thread's last error, in words.
 *
 * Failing is an ordinary outcome of some operations (a deadline came), so noting a failure only keeps
 * what is needed to tell of it; the sentence is composed when somebody asks.
 */
#ifndef CLIENT_FAILURE_H
#define CLIENT_FAILURE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/ems.h"

#define FAILURE_KEY_TEXT 64   /* bytes of a string key that are shown */
#define FAILURE_DETAIL	 1024 /* bytes of a sentence that was composed at once, or came from the daemon */

struct failure {
	int code;	       /* positive */
	const char *operation; /* of an element, "read_fe"; NULL: detail says everything */
	uint64_t elements;
	ems_key_t key;
	char key_text[FAILURE_KEY_TEXT];
	char heap[256];
	int detail_code;    /* of which code detail tells; 0: of none */
	bool for_operation; /* detail tells why the operation under way is going to fail */
	char detail[FAILURE_DETAIL];
	char message[2 * FAILURE_DETAIL];
	ems_error_t error;
};

/*
 * Note the calling thread's failure, and return r, which is negative: `return failure_at(r, …);`.
 * failure_at: of an operation on an element.
 * failure_for_operation: what was noted just now, the daemon's words, is to be kept by failure_at when it comes with the same code.
 * failure_say: a whole sentence, without a full stop, as for printf.
 * failure_of: nothing is to be said beyond the code's own text.
 */
int failure_at(int r, const struct ems_heap *heap, const char *operation, const ems_key_t *key)
	__attribute__((cold));
int failure_say(int r, const char *format, ...) __attribute__((format(printf, 2, 3), cold));
int failure_for_operation(int r) __attribute__((cold));
int failure_of(int r) __attribute__((cold));

#endif
