/* Values: see value.h. */
#include "client/value.h"

#include <stdlib.h>

#include "base/error.h"
#include "base/macros.h"
#include "base/utf8.h"
#include "shm/storage.h"

/* The two structs are one, so that nothing is copied on the way. */
#define SAME_PLACE(member)                                                                 \
	static_assert(offsetof(ems_value_t, member) == offsetof(struct shm_value, member), \
		      "ems_value_t." #member " is elsewhere")
SAME_PLACE(type);
SAME_PLACE(flags);
SAME_PLACE(boolean);
SAME_PLACE(integer);
SAME_PLACE(number);
SAME_PLACE(data);
SAME_PLACE(size);
SAME_PLACE(capacity);
ASSERT_SIZE(ems_value_t, sizeof(struct shm_value));
static_assert((int)EMS_UNDEFINED == (int)TYPE_UNDEFINED && (int)EMS_BOOLEAN == (int)TYPE_BOOLEAN &&
		      (int)EMS_INTEGER == (int)TYPE_INTEGER && (int)EMS_FLOAT == (int)TYPE_FLOAT &&
		      (int)EMS_STRING == (int)TYPE_STRING && (int)EMS_JSON == (int)TYPE_JSON &&
		      (int)EMS_BYTES == (int)TYPE_BYTES,
	      "types have the numbers of the cells");
static_assert((int)EMS_EMPTY == (int)TAG_EMPTY && (int)EMS_FULL == (int)TAG_FULL &&
		      (int)EMS_READERS == (int)TAG_READERS && (int)EMS_BUSY == (int)TAG_BUSY,
	      "tags have the numbers of the cells");
static_assert(EMS_VALUE_MAX < BLOB_MAX - BLOB_HEAD, "the largest value has a blob");

int value_check(const ems_value_t *value)
{
	if (!value || value->type > EMS_BYTES)
		return -ERROR_INVALID;
	if (!type_has_blob((enum cell_type)value->type))
		return 0;
	if (value->size > EMS_VALUE_MAX)
		return -ERROR_RANGE;
	if (value->size > 0 && !value->data)
		return -ERROR_INVALID;
	if (value->type != EMS_BYTES && !utf8_valid(value->data, value->size))
		return -ERROR_INVALID;
	return 0;
}

int value_reserve(ems_value_t *value, size_t size)
{
	void *data;

	if (size < value->capacity)
		return 0;
	data = realloc(value->capacity ? value->data : NULL, size + 1);
	if (!data)
		return -ERROR_NO_MEMORY;
	value->data = data;
	value->capacity = size + 1;
	return 0;
}

void ems_value_clear(ems_value_t *value)
{
	if (!value)
		return;
	if (value->capacity)
		free(value->data);
	*value = (ems_value_t)EMS_VALUE_INIT;
}
