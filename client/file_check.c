/* Does the heap in a file make sense? Without a daemon. */
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "client/backup.h"
#include "client/check.h"
#include "client/failure.h"

/* Damage is what was looked for, and no failure. */
static int damaged(const struct shm_disk_trouble *trouble, ems_check_hook_t hook, void *arg, ems_check_t *check)
{
	char text[256] = "it was made, and never written";

	if (trouble->what != SHM_DISK_NONE)
		shm_disk_trouble_text(trouble, text, sizeof(text));
	check->problems++;
	if (hook)
		hook(arg, text);
	return 0;
}

static int look_at(struct shm_disk_heap *file, ems_deadline_t deadline, ems_check_hook_t hook, void *arg, ems_check_t *check)
{
	struct shm_disk_trouble trouble = {.what = SHM_DISK_NONE};
	const struct disk_meta *meta = shm_disk_heap_meta(file);
	struct shm_segment image = {0};
	_cleanup_(closep) int memory = -1;
	int r;

	if (meta->kind != DISK_HEAP)
		r = shm_disk_verify(file, NULL, NULL, &trouble);
	else
		r = backup_load(file, &image, &memory, NULL, NULL, &trouble);
	if (r == -ERROR_CORRUPT && trouble.what == SHM_DISK_NONE) {
		check->problems++;
		if (hook)
			hook(arg, "what its threads had in hand cannot be put in order");
		r = 0;
	} else if (r == -ERROR_CORRUPT) {
		r = damaged(&trouble, hook, arg, check);
	} else if (r < 0) {
		(void)backup_failed(r, &trouble);
	} else if (meta->kind == DISK_HEAP) {
		r = check_image(&image, meta->size, deadline, hook, arg, check);
	}
	shm_segment_unmap(&image);
	return r;
}

/* Its stretches of data, at the same places. -1: errno says why not. */
static int copy_of(int fd)
{
	_cleanup_(closep) int copy = memfd_create("ems file", MFD_CLOEXEC);
	off_t from = 0, end;
	struct stat st;

	if (copy < 0 || fstat(fd, &st) < 0 || ftruncate(copy, st.st_size) < 0)
		return -1;
	while ((from = lseek(fd, from, SEEK_DATA)) >= 0) {
		end = lseek(fd, from, SEEK_HOLE);
		if (end < 0 || lseek(copy, from, SEEK_SET) < 0)
			return -1;
		while (from < end)
			if (sendfile(copy, fd, &from, (size_t)(end - from)) <= 0)
				return -1;
	}
	return steal_fd(&copy);
}

/* What a journal in the file says is done in a copy. */
static int open_file(int fd, struct shm_disk_heap **_file, struct shm_disk_trouble *trouble)
{
	_cleanup_(closep) int copy = -1;
	int r = backup_open(fd, _file, trouble);

	if (r != -ERROR_READ_ONLY)
		return r;
	copy = copy_of(fd);
	if (copy < 0)
		return r;
	*trouble = (struct shm_disk_trouble){.what = SHM_DISK_NONE};
	return backup_open(copy, _file, trouble);
}

int ems_file_check(int fd, ems_deadline_t deadline, ems_check_hook_t hook, void *arg, ems_check_t *check)
{
	_cleanup_(shm_disk_heap_closep) struct shm_disk_heap *file = NULL;
	struct shm_disk_trouble trouble = {.what = SHM_DISK_NONE};
	ems_check_t ignored = {0};
	int r;

	check = check ? check : &ignored;
	memset(check, 0, sizeof(*check));
	r = open_file(fd, &file, &trouble);
	if (r == -ERROR_CORRUPT)
		return damaged(&trouble, hook, arg, check);
	if (r < 0)
		return backup_failed(r, &trouble);
	return look_at(file, deadline, hook, arg, check);
}
