/*
 * value.h: values of the caller's, and the segment's view of them, which is the same struct.
 */
#ifndef CLIENT_VALUE_H
#define CLIENT_VALUE_H

#include "client/ems.h"
#include "shm/element.h"

/* May it be written? 0; -ERROR_INVALID: NULL, no such type, not UTF-8, no data; -ERROR_RANGE: too large. Not noted. */
int value_check(const ems_value_t *value);

/* Room for size bytes and a NUL in the value's own buffer. 0, -ERROR_NO_MEMORY (the value is as before). */
int value_reserve(ems_value_t *value, size_t size);

static inline const struct shm_value *value_in(const ems_value_t *value)
{
	return (const struct shm_value *)(const void *)value;
}
static inline struct shm_value *value_out(ems_value_t *value)
{
	return (struct shm_value *)(void *)value;
}

#endif
