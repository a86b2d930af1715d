/*
 * key.h: keys as words of the command line, and in results.
 *
 * A word that is an integer as emsctl writes one (no "+", no leading zeros, within 64 bits) is an integer
 * key, any other a string key; --key-type says otherwise. Without a map every key is an index.
 */
#ifndef CLIENT_EMSCTL_KEY_H
#define CLIENT_EMSCTL_KEY_H

#include <stdio.h>

#include "client/emsctl/emsctl.h"

/* What get and set have in common: which key, and for how long to wait. */
struct target {
	uint32_t key_type; /* EMS_KEY_…; 0: guess */
	uint64_t timeout;  /* ns; UINT64_MAX: for ever */
};
#define TARGET_INIT    ((struct target){.timeout = UINT64_MAX})
#define TARGET_LETTERS "sk:T:"
#define TARGET_OPTIONS                                                                      \
	{"string-key", no_argument, NULL, 's'}, {"key-type", required_argument, NULL, 'k'}, \
	{                                                                                   \
		"timeout", required_argument, NULL, 'T'                                     \
	}
/* Takes the option if it is one of those: true. A word that is no type or duration ends the process. */
bool target_option(struct target *target, const struct command *command, int letter);
ems_deadline_t target_deadline(const struct target *target);

/* The key for a word, of the given type (0: guess). The word must live as long as the key. A word that is
 * not of the type ends the process. */
ems_key_t key_parse_or_exit(const struct command *command, const ems_heap_t *heap, const char *word,
			    uint32_t type);

/* As one line of text. A string key that reads as an integer, is empty or begins with a quote is put in
 * double quotes. */
void key_print(FILE *out, const ems_key_t *key);
/* As JSON: a number, a boolean, or a string; {"base64": …} for a string that is not UTF-8. */
void key_print_json(FILE *out, const ems_key_t *key);

/* True for the decimal form of an int64, as printf writes it. */
bool is_plain_integer(const char *text, size_t size);

#endif
