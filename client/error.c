/* The error codes under their public names. They are those of base/error.h, number by number. */
#include "base/error.h"
#include "base/macros.h"
#include "client/ems.h"

/* X(public name without EMS_, name without ERROR_) */
#define PUBLIC_LIST(X)               \
	X(OK, OK)                    \
	X(EINVALID, INVALID)         \
	X(ENAME, NAME)               \
	X(ETYPE, TYPE)               \
	X(ERANGE, RANGE)             \
	X(ENOKEY, NO_KEY)            \
	X(ENOTFOUND, NOT_FOUND)      \
	X(EEXISTS, EXISTS)           \
	X(EMISMATCH, MISMATCH)       \
	X(EACCESS, ACCESS)           \
	X(EREADONLY, READ_ONLY)      \
	X(ENOSPACE, NO_SPACE)        \
	X(EFULL, FULL)               \
	X(EEMPTY, EMPTY)             \
	X(EBUDGET, BUDGET)           \
	X(ELIMIT, LIMIT)             \
	X(ETIMEOUT, TIMEOUT)         \
	X(ECANCELLED, CANCELLED)     \
	X(EINTERRUPTED, INTERRUPTED) \
	X(EDEADLOCK, DEADLOCK)       \
	X(EBROKEN, BROKEN)           \
	X(EDROPPED, DROPPED)         \
	X(ECORRUPT, CORRUPT)         \
	X(EVERSION, VERSION)         \
	X(EPROTOCOL, PROTOCOL)       \
	X(ENODAEMON, NO_DAEMON)      \
	X(ECONNECTION, CONNECTION)   \
	X(EBUSY, BUSY)               \
	X(EIO, IO)                   \
	X(ENOMEMORY, NO_MEMORY)      \
	X(ESYSTEM, SYSTEM)           \
	X(EFORKED, FORKED)           \
	X(EUNSUPPORTED, UNSUPPORTED) \
	X(ELOADING, LOADING)         \
	X(ECONFLICT, CONFLICT)

#define SAME_NUMBER_(public_name, name)                                                               \
	static_assert((int)EMS_##public_name == (int)ERROR_##name, "EMS_" #public_name " is another " \
										       "number");
PUBLIC_LIST(SAME_NUMBER_)

#define NAME_(public_name, name) [ERROR_##name] = "EMS_" #public_name,
static const char *const names[] = {PUBLIC_LIST(NAME_)};
static_assert(ARRAY_SIZE(names) == ERROR_COUNT, "each code has a public name");

const char *ems_error_text(int code)
{
	return error_text(code);
}

const char *ems_error_name(int code)
{
	unsigned number = code < 0 ? -(unsigned)code : (unsigned)code;

	return number < ARRAY_SIZE(names) ? names[number] : "EMS_EUNKNOWN";
}
