/* disk_trouble.c: what is wrong with a file or a disk, in words. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "shm/disk_internal.h"

static const struct {
	int code;
	const char *text;
} table[] = {
#define ENTRY_(name, code, text) [SHM_DISK_##name] = {ERROR_##code, (text)},
	SHM_DISK_TROUBLE_LIST(ENTRY_)
#undef ENTRY_
};

int shm_disk_fail(struct shm_disk_trouble *trouble, enum shm_disk_what what, int number,
		  const uint8_t *heap_id, uint64_t offset)
{
	if (trouble) {
		*trouble = (struct shm_disk_trouble){.what = what, .number = number, .offset = offset};
		if (heap_id)
			memcpy(trouble->heap_id, heap_id, sizeof(trouble->heap_id));
	}
	return -table[what].code;
}

int shm_disk_fail_errno(struct shm_disk_trouble *trouble, enum shm_disk_what otherwise, int r,
			const uint8_t *heap_id, uint64_t offset)
{
	enum shm_disk_what what = otherwise;

	switch (-r) {
	case ENOSPC:
	case EDQUOT:
		what = SHM_DISK_FULL;
		break;
	case EFBIG:
		what = SHM_DISK_TOO_LARGE;
		break;
	case EROFS:
		what = SHM_DISK_READ_ONLY;
		break;
	case EACCES:
	case EPERM:
		what = SHM_DISK_DENIED;
		break;
	case ENOMEM:
		what = SHM_DISK_MEMORY;
		break;
	case ENOENT:
		what = SHM_DISK_VANISHED;
		break;
	default:
		break;
	}
	return shm_disk_fail(trouble, what, -r, heap_id, offset);
}

void shm_disk_trouble_text(const struct shm_disk_trouble *trouble, char *text, size_t size)
{
	enum shm_disk_what what = trouble->what < SHM_DISK_TROUBLE_COUNT ? trouble->what : SHM_DISK_MISUSED;
	char place[64] = "", number[96] = "";

	if (what == SHM_DISK_CHECKSUM)
		(void)snprintf(place, sizeof(place),
			       "at offset %#llx of the memory: ", (unsigned long long)trouble->offset);
	else if (what == SHM_DISK_READ || what == SHM_DISK_WRITE)
		(void)snprintf(place, sizeof(place),
			       "at offset %#llx of the file: ", (unsigned long long)trouble->offset);
	if (trouble->number)
		(void)snprintf(number, sizeof(number), ": %s",
			       strerrordesc_np(trouble->number) ? strerrordesc_np(trouble->number)
								: "unknown error");
	(void)snprintf(text, size, "%s%s%s", place, table[what].text, number);
}
