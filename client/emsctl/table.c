/*
 * table.c: columns for people.
 */
#include "client/emsctl/table.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>

#include "base/text.h"
#include "client/emsctl/emsctl.h"
#include "client/emsctl/text_out.h"

static void add_cell(struct table *table, char *cell)
{
	if (table->count == table->capacity) {
		size_t capacity = table->capacity > 0 ? table->capacity * 2 : 64;
		char **cells = reallocarray(table->cells, capacity, sizeof(*cells));

		if (!cells)
			exit(report(EXIT_OTHER, "out of memory"));
		table->cells = cells;
		table->capacity = capacity;
	}
	table->cells[table->count++] = cell;
}

void table_add(struct table *table, const char *format, ...)
{
	va_list arguments;
	char *cell;
	int length;

	va_start(arguments, format);
	length = vasprintf(&cell, format, arguments);
	va_end(arguments);
	if (length < 0)
		exit(report(EXIT_OTHER, "out of memory"));
	add_cell(table, cell);
}

void table_add_text(struct table *table, const char *text)
{
	char *cell = NULL;
	size_t size;
	FILE *stream = open_memstream(&cell, &size);

	if (!stream)
		exit(report(EXIT_OTHER, "out of memory"));
	text_print(stream, text, TEXT_ON_A_LINE);
	if (fclose(stream) != 0)
		exit(report(EXIT_OTHER, "out of memory"));
	add_cell(table, cell);
}

void table_add_size(struct table *table, uint64_t size)
{
	char text[TEXT_SIZE_MAX];

	table_add(table, "%s", text_format_size(size, text));
}

/* Columns on a terminal; bytes where the locale does not know the characters. */
static size_t width_of(const char *text)
{
	size_t width = 0;
	mbstate_t state = {0};

	for (const char *at = text; *at;) {
		wchar_t character;
		size_t length = mbrtowc(&character, at, strlen(at), &state);
		int columns;

		if (length == 0 || length > strlen(at))
			return strlen(text);
		columns = wcwidth(character);
		width += columns > 0 ? (size_t)columns : 0;
		at += length;
	}
	return width;
}

static void print_cell(const char *cell, size_t width, bool right, bool last)
{
	int blanks = (int)(width - width_of(cell));

	if (right)
		printf("%*s%s", blanks, "", cell);
	else
		printf("%s%*s", cell, last ? 0 : blanks, "");
	fputs(last ? "\n" : "  ", stdout);
}

void table_print(struct table *table)
{
	size_t widths[TABLE_COLUMNS_MAX];
	bool right[TABLE_COLUMNS_MAX];

	for (size_t c = 0; c < table->columns; c++) {
		right[c] = table->titles[c][0] == '>';
		table->titles[c] += right[c];
		widths[c] = strlen(table->titles[c]);
	}
	for (size_t i = 0; i < table->count; i++) {
		size_t width = width_of(table->cells[i]);

		if (width > widths[i % table->columns])
			widths[i % table->columns] = width;
	}
	fputs(settings.colour ? "\033[1m" : "", stdout);
	for (size_t c = 0; c < table->columns; c++)
		print_cell(table->titles[c], widths[c], right[c], c == table->columns - 1);
	fputs(settings.colour ? "\033[0m" : "", stdout);
	for (size_t i = 0; i < table->count; i++) {
		size_t c = i % table->columns;

		print_cell(table->cells[i], widths[c], right[c], c == table->columns - 1);
		free(table->cells[i]);
	}
	free(table->cells);
}
