/*
 * table.h: columns for people.
 *
 * All cells are collected first, since the widest of a column gives its width.
 */
#ifndef CLIENT_EMSCTL_TABLE_H
#define CLIENT_EMSCTL_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TABLE_COLUMNS_MAX 10

struct table {
	size_t columns;
	const char *titles[TABLE_COLUMNS_MAX]; /* a title that begins with '>' is of a right-aligned column */
	char **cells;
	size_t count, capacity;
};

/* Cells are added row by row. Lack of memory ends the process, with a message. */
void table_add(struct table *table, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A cell of unknown origin, as one line. */
void table_add_text(struct table *table, const char *text);
void table_add_size(struct table *table, uint64_t size); /* "64 KiB" */

/* Writes titles, bold where settings.colour, and rows to stdout, and frees the cells. */
void table_print(struct table *table);

#endif
