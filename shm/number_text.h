/*
 * Numbers as JavaScript prints them: the shortest digits that read back as the same number, exponents from
 * 1e21 up and below 1e-6, "NaN", "Infinity", and -0 as "0". (ECMA-262, Number::toString.)
 */
#ifndef SHM_NUMBER_TEXT_H
#define SHM_NUMBER_TEXT_H

#include <stddef.h>

#define NUMBER_TEXT_MAX 32u

/* Writes at most NUMBER_TEXT_MAX bytes, without NUL; returns how many. Independent of the locale. */
size_t number_text(double number, char text[NUMBER_TEXT_MAX]);

#endif
