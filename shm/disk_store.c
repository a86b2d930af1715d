/* disk_store.c: the folder: what is in it, and putting right what a power cut has left in it. */
#include <fcntl.h>
#include <stdlib.h>

#include "shm/disk_internal.h"

static int digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* ID and the suffix, as shm_disk_name makes it. */
static bool parse_name(const char *name, const char *suffix, uint8_t heap_id[16])
{
	for (int i = 0; i < 16; i++) {
		int high = digit(name[i * 2]), low = high < 0 ? -1 : digit(name[i * 2 + 1]);

		if (low < 0)
			return false;
		heap_id[i] = (uint8_t)(high << 4 | low);
	}
	return strcmp(name + 32, suffix) == 0;
}

static bool parse_journal(const char *name, uint32_t *_number)
{
	size_t length = sizeof(DISK_JOURNAL_PREFIX) - 1;
	uint64_t number = 0;

	if (strncmp(name, DISK_JOURNAL_PREFIX, length) != 0 || !name[length])
		return false;
	for (const char *c = name + length; *c; c++) {
		if (*c < '0' || *c > '9' || (*c == '0' && c == name + length && c[1]))
			return false;
		number = number * 10 + (uint64_t)(*c - '0');
		if (number >= UINT32_MAX)
			return false;
	}
	*_number = (uint32_t)number;
	return true;
}

struct survey {
	struct shm_disk *disk;
	struct shm_disk_trouble *trouble;
	int r;
};

/*
 * Half a creation goes away; it is not asked whether that worked, for the next creation asks. Journals are opened and
 * read. Names that are not ours stay as they are.
 */
static int survey_one(void *arg, const char *name)
{
	struct survey *survey = arg;
	struct shm_disk *disk = survey->disk;
	struct disk_journal *journal;
	uint8_t id[16];
	uint32_t number;

	if (parse_name(name, DISK_SUFFIX_NEW, id)) {
		(void)disk->io->remove(disk->io->context, disk->folder, name);
	} else if (parse_journal(name, &number)) {
		survey->r = shm_disk_journal_open(disk, number, false, &journal, survey->trouble);
		if (survey->r == 0)
			survey->r = shm_disk_journal_scan(journal, survey->trouble);
	}
	return survey->r < 0 ? -ECANCELED : 0;
}

/* Of several journals with the same heap only the newest counts: the others were made void, which was lost, or done. */
static void mark_overtaken(struct shm_disk *disk, struct disk_part *part)
{
	for (struct disk_journal *journal = disk->journals; journal; journal = journal->next)
		for (size_t i = 0; i < journal->count; i++) {
			const struct disk_header *other = &journal->parts[i].header;

			if (memcmp(other->meta.heap_id, part->header.meta.heap_id, 16) == 0 &&
			    other->file == part->header.file && other->sequence > part->header.sequence)
				part->overtaken = true;
		}
}

static void recover(struct shm_disk *disk)
{
	for (struct disk_journal *journal = disk->journals; journal; journal = journal->next)
		for (size_t i = 0; i < journal->count; i++)
			mark_overtaken(disk, &journal->parts[i]);
	/* What fails is tried again when one of its heaps is opened, which tells of it. */
	for (struct disk_journal *journal = disk->journals; journal; journal = journal->next)
		if (journal->state == JOURNAL_COMMITTED)
			(void)shm_disk_journal_apply(journal, disk, NULL, NULL);
}

int shm_disk_open(int folder, const struct shm_disk_io *io, struct shm_disk **_disk,
		  struct shm_disk_trouble *trouble)
{
	_cleanup_(shm_disk_freep) struct shm_disk *disk = calloc(1, sizeof(*disk));
	struct survey survey = {.disk = disk, .trouble = trouble};
	int r;

	if (!disk)
		return shm_disk_fail(trouble, SHM_DISK_MEMORY, 0, NULL, 0);
	disk->io = io ? io : &shm_disk_io_system;
	disk->folder = disk->io->open(disk->io->context, folder, ".", O_RDONLY | O_DIRECTORY, 0);
	if (disk->folder < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ, disk->folder, NULL, 0);
	r = disk->io->list(disk->io->context, disk->folder, survey_one, &survey);
	if (survey.r < 0)
		return survey.r;
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_READ, r, NULL, 0);
	/* A daemon that was killed may have left names that are not on the disk yet. */
	r = disk->io->sync(disk->io->context, disk->folder);
	if (r < 0)
		return shm_disk_fail_errno(trouble, SHM_DISK_SYNC, r, NULL, 0);
	recover(disk);
	*_disk = steal_pointer(&disk);
	return 0;
}

void shm_disk_free(struct shm_disk *disk)
{
	if (!disk)
		return;
	assert(!disk->heaps);
	while (disk->journals) {
		struct disk_journal *journal = disk->journals;

		disk->journals = journal->next;
		disk->io->close(disk->io->context, journal->fd);
		shm_disk_journal_reset(journal);
		free(journal);
	}
	if (disk->folder >= 0)
		disk->io->close(disk->io->context, disk->folder);
	free(disk);
}

struct listing {
	shm_disk_visit *visit;
	void *arg;
	int r;
};

static int list_one(void *arg, const char *name)
{
	struct listing *listing = arg;
	uint8_t id[16];

	if (parse_name(name, DISK_SUFFIX, id))
		listing->r = listing->visit(listing->arg, id);
	return listing->r ? -ECANCELED : 0;
}

int shm_disk_list(struct shm_disk *disk, shm_disk_visit *visit, void *arg, struct shm_disk_trouble *trouble)
{
	struct listing listing = {.visit = visit, .arg = arg};
	int r = disk->io->list(disk->io->context, disk->folder, list_one, &listing);

	if (listing.r)
		return listing.r;
	return r < 0 ? shm_disk_fail_errno(trouble, SHM_DISK_READ, r, NULL, 0) : 0;
}
