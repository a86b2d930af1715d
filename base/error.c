/*
 * error.c: names and texts of the codes, and the way from errno to them.
 */
#include "base/error.h"

#include <errno.h>

#include "base/macros.h"

struct entry {
	const char *name;
	const char *text;
};

static const struct entry entries[] = {
#define ERROR_ENTRY_(code, number, line) [number] = {.name = #code, .text = (line)},
	ERROR_LIST(ERROR_ENTRY_)
#undef ERROR_ENTRY_
};

static_assert(ARRAY_SIZE(entries) == ERROR_COUNT, "the last code of the list has the highest number");

static const struct entry *entry_of(int error)
{
	static const struct entry unknown = {.name = "UNKNOWN", .text = "unknown error"};
	/* The range is checked on the negative side, where every int has a place. */
	int negative = error < 0 ? error : -error;

	if (negative <= -ERROR_COUNT)
		return &unknown;
	return &entries[-negative];
}

const char *error_name(int error)
{
	return entry_of(error)->name;
}

const char *error_text(int error)
{
	return entry_of(error)->text;
}

static int code_of_errno(int number)
{
	switch (number) {
	case EINVAL:
		return ERROR_INVALID;
	case ENAMETOOLONG:
		return ERROR_NAME;
	case ERANGE:
	case EOVERFLOW:
		return ERROR_RANGE;
	case ENOENT:
		return ERROR_NOT_FOUND;
	case EEXIST:
		return ERROR_EXISTS;
	case EACCES:
	case EPERM:
		return ERROR_ACCESS;
	case EROFS:
		return ERROR_READ_ONLY;
	case ENOSPC:
	case EDQUOT:
		return ERROR_NO_SPACE;
	case EMFILE:
	case ENFILE:
	case EFBIG:
		return ERROR_LIMIT;
	case ETIMEDOUT:
		return ERROR_TIMEOUT;
	case ECANCELED:
		return ERROR_CANCELLED;
	case EINTR:
		return ERROR_INTERRUPTED;
	case EDEADLK:
		return ERROR_DEADLOCK;
	case EOWNERDEAD:
	case ENOTRECOVERABLE:
		return ERROR_BROKEN;
	case EPROTO:
	case EBADMSG:
	case EMSGSIZE:
		return ERROR_PROTOCOL;
	case ECONNREFUSED:
		return ERROR_NO_DAEMON;
	case ECONNRESET:
	case ECONNABORTED:
	case ENOTCONN:
	case EPIPE:
		return ERROR_CONNECTION;
	case EAGAIN:
	case EBUSY:
		return ERROR_BUSY;
	case EIO:
		return ERROR_IO;
	case ENOMEM:
		return ERROR_NO_MEMORY;
	case ENOSYS:
	case EOPNOTSUPP:
		return ERROR_UNSUPPORTED;
	default:
		return ERROR_SYSTEM;
	}
}

int error_from_errno(int number)
{
	return -code_of_errno(number);
}
