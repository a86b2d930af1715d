/*
 * binary.h: bytes as base64 (RFC 4648, with padding) and as hexadecimal digits.
 */
#ifndef CLIENT_EMSCTL_BINARY_H
#define CLIENT_EMSCTL_BINARY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

void base64_write(FILE *out, const void *data, size_t size);

/*
 * Decode size characters of text into buffer, which may be text itself; their results are never longer.
 * Strict: no blanks, and base64 has its padding. False when that is not what text is. *_size is the number of
 * bytes.
 */
bool base64_decode(const char *text, size_t size, unsigned char *buffer, size_t *_size);
bool hex_decode(const char *text, size_t size, unsigned char *buffer, size_t *_size);

#endif
