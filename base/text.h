/*
 * text.h: numbers and sizes as people write and read them.
 *
 * Parsing is strict: the whole text must be the number, without blanks around it, and nothing depends on
 * the locale. Every failure leaves the result alone.
 */
#ifndef BASE_TEXT_H
#define BASE_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Room for what text_format_size() writes at most, with the NUL. */
#define TEXT_SIZE_MAX 32

/*
 * A decimal integer within [least, most]. "-" is the only sign, and only in text_parse_int.
 * -ERROR_INVALID: not a number. -ERROR_RANGE: a number, but outside.
 */
int text_parse_int(const char *text, int64_t least, int64_t most, int64_t *_value);
int text_parse_uint(const char *text, uint64_t least, uint64_t most, uint64_t *_value);

/*
 * A size in bytes: "4096", "64 KiB", "64K", "1.5GiB", "10 MB". One blank may stand before the unit.
 * K, M, G, T, P, E and KiB … are powers of 1024; kB (or KB), MB … are powers of 1000; B or nothing is
 * bytes. Case does not matter. A fraction needs a unit; what is below a byte is cut off.
 * -ERROR_INVALID: not a size. -ERROR_RANGE: does not fit 64 bits.
 */
int text_parse_size(const char *text, uint64_t *_size);

/*
 * Writes size for people, in powers of 1024 with at most one decimal, cut off rather than rounded:
 * "0 B", "1023 B", "64 KiB", "1.5 GiB". Whole multiples read back exactly. Returns buffer.
 */
char *text_format_size(uint64_t size, char buffer[static TEXT_SIZE_MAX]);

#endif
