/*
 * utf8.h: is this text UTF-8?
 */
#ifndef BASE_UTF8_H
#define BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

/*
 * True when the size bytes at text are UTF-8 by RFC 3629: shortest forms only, no surrogates, nothing
 * above U+10FFFF, nothing cut off. NUL is a character like others. No bytes are valid UTF-8.
 */
bool utf8_valid(const void *text, size_t size);

#endif
