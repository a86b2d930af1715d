/*
 * dump_line.h: the lines of a dump: JSON objects that say exactly what a heap holds.
 *
 *      {"dump":1,"name":…,"map":…,"elements":…,"max_elements":…,"storage":…,"mode":"0600","persistent":…,
 *       "initial":{"type":…,"value":…,"tag":…}}
 *      {"index":5,"type":"integer","value":7,"tag":"full"}        {"key":"a","type":…,"value":…,"tag":…}
 *      {"queue":0,"type":…,"value":…}                             {"stack":0,"type":…,"value":…}
 *      {"end":true,"elements":…,"queue":…,"stack":…}
 *
 * Elements without map that are as they were made are left out. Queue and stack are numbered from what was put first. A
 * dump without its last line has been cut off.
 *
 * A value is what "value" holds, together with "type": a number in digits that read back as the same one, {"float":"NaN"},
 * {"base64":…} for text that is not UTF-8; base64 for bytes; and JSON as it is, if it is on one line without needless
 * blanks. Other JSON is in "text" instead of "value", as a string; a NaN that is not the usual one has its "bits" besides.
 */
#ifndef CLIENT_EMSCTL_DUMP_LINE_H
#define CLIENT_EMSCTL_DUMP_LINE_H

#include <stdio.h>

#include "client/emsctl/emsctl.h"
#include "client/emsctl/json.h"

#define DUMP_VERSION 1u

/* Members "type" and "value" (or its like) of the object. */
void dump_value(struct json_object *object, const ems_value_t *value);

enum dump_kind { DUMP_NONE, DUMP_HEADER, DUMP_INDEX, DUMP_KEY, DUMP_QUEUE, DUMP_STACK, DUMP_END };

struct dump_line {
	enum dump_kind kind;
	uint64_t number; /* of DUMP_INDEX, DUMP_QUEUE, DUMP_STACK; version of DUMP_HEADER */
	ems_key_t key;	 /* of DUMP_KEY */
	ems_value_t value;
	ems_tag_t tag;			 /* 0: none is given */
	ems_heap_options_t options;	 /* of DUMP_HEADER; fill is value */
	uint64_t elements, queue, stack; /* of DUMP_END */
};

/*
 * Reads a line of size bytes, which is changed, and into which key and value point then. NULL, or what is wrong with it.
 */
const char *dump_parse(char *text, size_t size, struct dump_line *line);

#endif
