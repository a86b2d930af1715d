/*
 * name.c: the syntax of heap names. What a name means for whom is the daemon's business.
 */
#include "proto/name.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "base/utf8.h"
#include "proto/message.h"

static bool has_control_character(const char *name)
{
	for (; *name; name++)
		if ((uint8_t)*name < 0x20 || *name == 0x7f)
			return true;
	return false;
}

static const char *part_problem(const char *part, size_t size)
{
	if (size == 0)
		return "it has an empty part";
	if ((size == 1 && part[0] == '.') || (size == 2 && part[0] == '.' && part[1] == '.'))
		return "it has a part \".\" or \"..\"";
	return NULL;
}

/* "~" or "~UID" or "~file" before the first '/'. */
static const char *home_problem(const char *name)
{
	size_t size = strcspn(name, "/");
	char digits[16];
	uint64_t uid;

	if (name[size] == '\0')
		return "\"~\" is no heap: a name such as \"~/x\" is";
	if (size == 1 || (size == 5 && (memcmp(name, "~file", 5) == 0 || memcmp(name, "~heap", 5) == 0)))
		return NULL;
	if (size - 1 >= sizeof(digits))
		return "what follows '~' is not a user's number";
	memcpy(digits, name + 1, size - 1);
	digits[size - 1] = '\0';
	/* 2^32 - 1 is nobody's number. */
	if (text_parse_uint(digits, 0, UINT32_MAX - 1, &uid) || (digits[0] == '0' && digits[1]))
		return "what follows '~' is not a user's number";
	return NULL;
}

const char *proto_name_problem(const char *name)
{
	size_t size = strnlen(name, PROTO_NAME_MAX + 1);
	const char *problem = NULL;

	if (size == 0)
		return "it is empty";
	if (size > PROTO_NAME_MAX)
		return "it is longer than 255 bytes";
	if (!utf8_valid(name, size))
		return "it is not UTF-8";
	if (has_control_character(name))
		return "it has a control character";
	if (name[0] == '/')
		return "it begins with '/'";
	if (name[0] == '~')
		problem = home_problem(name);
	for (const char *part = name; !problem; part += strcspn(part, "/") + 1) {
		problem = part_problem(part, strcspn(part, "/"));
		if (part[strcspn(part, "/")] == '\0')
			break;
	}
	return problem;
}
