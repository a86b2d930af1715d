/* Values to put and to replace. */
#include "tests/kill/values.h"

#include <string.h>

#define LARGE_SIZE 65700u /* with its length more than a chunk */

const char *const kind_names[KINDS] = {"nothing", "number", "small", "large"};

static char old_large[LARGE_SIZE], new_large[LARGE_SIZE];

void values_init(void)
{
	memset(old_large, 'o', sizeof(old_large));
	memset(new_large, 'n', sizeof(new_large));
}

static ems_value_t make(enum kind kind, const char *text, int64_t number, bool is_text, char *large)
{
	ems_value_t value = EMS_VALUE_INIT;

	switch (kind) {
	case NUMBER:
		value.type = EMS_INTEGER;
		value.integer = number;
		break;
	case SMALL:
		value.type = EMS_STRING;
		value.data = (void *)(uintptr_t)text;
		value.size = strlen(text);
		break;
	case LARGE:
		value.type = is_text ? EMS_STRING : EMS_BYTES;
		value.data = large;
		value.size = LARGE_SIZE;
		break;
	default:
		break;
	}
	return value;
}

ems_value_t value_old(enum kind kind, bool text)
{
	return make(kind, "what has been there before", 12, text, old_large);
}

ems_value_t value_new(enum kind kind, bool text)
{
	return make(kind, "the text that replaces it", 10, text, new_large);
}
