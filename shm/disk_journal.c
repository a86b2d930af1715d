/* disk_journal.c: the life of a journal's file: made, void, written anew. What is in it: disk_checkpoint.c, disk_scan.c. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#include "shm/disk_internal.h"

void shm_disk_journal_reset(struct disk_journal *journal)
{
	free(journal->parts);
	journal->parts = NULL;
	journal->count = 0;
	journal->batches = 0;
	journal->end = 0;
	journal->reserved = 0;
	journal->state = JOURNAL_VOID;
	journal->confirmed = false;
}

static struct disk_journal *add(struct shm_disk *disk, uint32_t number, int fd)
{
	struct disk_journal *journal = calloc(1, sizeof(*journal));

	if (!journal)
		return NULL;
	journal->io = disk->io;
	journal->fd = fd;
	journal->number = number;
	journal->next = disk->journals;
	disk->journals = journal;
	return journal;
}

int shm_disk_journal_open(struct shm_disk *disk, uint32_t number, bool create, struct disk_journal **_journal,
			  struct shm_disk_trouble *trouble)
{
	const struct shm_disk_io *io = disk->io;
	char name[DISK_NAME_SIZE];
	int fd, r = 0;

	(void)snprintf(name, sizeof(name), DISK_JOURNAL_PREFIX "%u", number);
	fd = io->open(io->context, disk->folder, name, O_RDWR | O_NOFOLLOW | (create ? O_CREAT : 0), 0600);
	if (fd < 0)
		return shm_disk_fail_errno(trouble, create ? SHM_DISK_WRITE : SHM_DISK_READ, fd, NULL, 0);
	if (create)
		r = io->sync(io->context, disk->folder);
	if (r < 0)
		r = shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, NULL, 0);
	else if (!(*_journal = add(disk, number, fd)))
		r = shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	if (r < 0)
		io->close(io->context, fd);
	if (r < 0 && create) /* a name whose barrier failed is made anew, like anything else */
		(void)io->remove(io->context, disk->folder, name);
	return r;
}

int shm_disk_journal_get(struct shm_disk *disk, struct disk_journal **_journal,
			 struct shm_disk_trouble *trouble)
{
	uint32_t number = 0;

	for (struct disk_journal *journal = disk->journals; journal; journal = journal->next) {
		if (journal->state == JOURNAL_VOID) {
			*_journal = journal;
			return 0;
		}
		number = MAX(number, journal->number + 1);
	}
	return shm_disk_journal_open(disk, number, true, _journal, trouble);
}

static int write_zeros(struct disk_journal *journal, struct shm_disk_trouble *trouble)
{
	static const uint8_t zeros[DISK_PAGE];
	int r = journal->io->write(journal->io->context, journal->fd, zeros, sizeof(zeros), journal->at);

	return r < 0 ? shm_disk_fail_errno(trouble, SHM_DISK_WRITE, r, NULL, journal->at) : 0;
}

/*
 * A file's own journal lies behind its end, and is cut off. One of the store keeps some blocks. When the power goes
 * before this is on the disk, it is done once more: it says what is so already, or what has been overtaken.
 */
void shm_disk_journal_retire(struct disk_journal *journal, uint64_t file_end)
{
	uint64_t keep = journal->at ? file_end : DISK_JOURNAL_KEEP;
	uint64_t reserved = journal->at ? 0 : MIN(journal->reserved, DISK_JOURNAL_KEEP);

	(void)write_zeros(journal, NULL);
	if (journal->at || journal->end > keep)
		(void)journal->io->truncate(journal->io->context, journal->fd, keep);
	shm_disk_journal_reset(journal);
	journal->reserved = reserved;
}

int shm_disk_journal_void(struct disk_journal *journal, struct shm_disk_trouble *trouble)
{
	int r = write_zeros(journal, trouble);

	if (r < 0)
		return r;
	r = journal->io->sync(journal->io->context, journal->fd);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, NULL, 0);
	shm_disk_journal_reset(journal);
	return 0;
}
