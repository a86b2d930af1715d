/* model.c: a disk that remembers, and loses power. */
#include "tests/powercut/model.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "shm/disk_format.h"
#include "tests/unit/unit.h"

#define FILES	    24u /* files ever made on one disk */
#define NAMES	    16u
#define DESCRIPTORS 64u
#define FOLDER	    0u /* number of the file that is the folder */

struct block { /* shared by copies of a disk */
	unsigned references;
	uint8_t data[DISK_PAGE];
};

struct placed {
	uint64_t number;
	struct block *block;
};

struct file {
	bool made;
	uint64_t size;
	size_t count, room;
	struct placed *blocks; /* in order; what is missing is zero */
};

struct named {
	char name[40]; /* "": none */
	unsigned file;
};

struct image {
	struct file files[FILES];
	struct named names[NAMES];
};

enum action { ACTION_WRITE, ACTION_TRUNCATE, ACTION_PUNCH, ACTION_NAME, ACTION_RENAME, ACTION_REMOVE };

struct done {
	enum action action;
	unsigned of; /* whose barrier makes it sure */
	unsigned file;
	uint64_t offset, size;
	uint8_t *data;
	char name[40], to[40];
	bool sure, hopeless;
};

struct model {
	struct shm_disk_io io;
	struct image base, cache;
	struct done *log;
	size_t count, room;
	unsigned files;			   /* numbers below have been used */
	unsigned descriptors[DESCRIPTORS]; /* file + 1 */
	struct model_plan plan;
	unsigned calls, barriers;
	model_cut *cut;
	void *arg;
};

/* ---- images ---- */

static struct block *block_new(const uint8_t *data)
{
	struct block *block = malloc(sizeof(*block));

	assert(block);
	block->references = 1;
	if (data)
		memcpy(block->data, data, sizeof(block->data));
	else
		memset(block->data, 0, sizeof(block->data));
	return block;
}

static void block_unref(struct block *block)
{
	if (--block->references == 0)
		free(block);
}

/* Where the block is in the file, or would be. */
static size_t find(const struct file *file, uint64_t number)
{
	size_t low = 0, high = file->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (file->blocks[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct block *block_at(const struct file *file, uint64_t number)
{
	size_t i = find(file, number);

	return i < file->count && file->blocks[i].number == number ? file->blocks[i].block : NULL;
}

/* The file's own, to be changed. */
static uint8_t *block_change(struct file *file, uint64_t number)
{
	size_t i = find(file, number);

	if (i == file->count || file->blocks[i].number != number) {
		if (file->count == file->room) {
			file->room = file->room * 2 + 8;
			file->blocks = realloc(file->blocks, file->room * sizeof(*file->blocks));
			assert(file->blocks);
		}
		memmove(file->blocks + i + 1, file->blocks + i, (file->count - i) * sizeof(*file->blocks));
		file->blocks[i] = (struct placed){.number = number, .block = block_new(NULL)};
		file->count++;
	} else if (file->blocks[i].block->references > 1) {
		struct block *copy = block_new(file->blocks[i].block->data);

		block_unref(file->blocks[i].block);
		file->blocks[i].block = copy;
	}
	return file->blocks[i].block->data;
}

static void image_clone(struct image *to, const struct image *from)
{
	*to = *from;
	for (unsigned i = 0; i < FILES; i++) {
		struct file *file = &to->files[i];

		if (!file->blocks)
			continue;
		file->room = file->count + 8;
		file->blocks = malloc(file->room * sizeof(*file->blocks));
		assert(file->blocks);
		memcpy(file->blocks, from->files[i].blocks, file->count * sizeof(*file->blocks));
		for (size_t k = 0; k < file->count; k++)
			file->blocks[k].block->references++;
	}
}

static void image_fini(struct image *image)
{
	for (unsigned i = 0; i < FILES; i++) {
		for (size_t k = 0; k < image->files[i].count; k++)
			block_unref(image->files[i].blocks[k].block);
		free(image->files[i].blocks);
	}
}

static void put_bytes(struct file *file, const uint8_t *data, uint64_t size, uint64_t offset)
{
	while (size) {
		uint64_t within = offset % DISK_PAGE, n = MIN(size, DISK_PAGE - within);

		memcpy(block_change(file, offset / DISK_PAGE) + within, data, n);
		data += n;
		offset += n;
		size -= n;
	}
	file->size = MAX(file->size, offset);
}

/* Bytes from first to end are zero; whole blocks go away. */
static void clear_bytes(struct file *file, uint64_t first, uint64_t end)
{
	size_t kept = 0;

	for (size_t i = 0; i < file->count; i++) {
		uint64_t start = file->blocks[i].number * DISK_PAGE;

		if (start >= first && (end == UINT64_MAX || start + DISK_PAGE <= end))
			block_unref(file->blocks[i].block);
		else
			file->blocks[kept++] = file->blocks[i];
	}
	file->count = kept;
	if (first % DISK_PAGE && block_at(file, first / DISK_PAGE))
		memset(block_change(file, first / DISK_PAGE) + first % DISK_PAGE, 0,
		       DISK_PAGE - first % DISK_PAGE);
}

static struct named *name_of(struct image *image, const char *name)
{
	for (unsigned i = 0; i < NAMES; i++)
		if (strcmp(image->names[i].name, name) == 0)
			return &image->names[i];
	return NULL;
}

static void give_name(struct image *image, const char *name, unsigned file)
{
	struct named *named = name_of(image, name);

	if (!named)
		named = name_of(image, "");
	assert(named && strlen(name) < sizeof(named->name));
	strcpy(named->name, name);
	named->file = file;
}

static void take_name(struct image *image, const char *name)
{
	struct named *named = name_of(image, name);

	if (named)
		named->name[0] = '\0';
}

static void act_write(struct file *file, const struct done *done, uint64_t *torn)
{
	uint64_t offset = 0;

	if (!torn) {
		put_bytes(file, done->data, done->size, done->offset);
		return;
	}
	/* Most of it, half of it, or little. */
	for (unsigned limit = 1 + unit_random(torn) % 3; offset < done->size; offset += MODEL_SECTOR)
		if (unit_random(torn) % 4 < limit)
			put_bytes(file, done->data + offset, MIN((uint64_t)MODEL_SECTOR, done->size - offset),
				  done->offset + offset);
}

static void act(struct image *image, const struct done *done, uint64_t *torn)
{
	struct file *file = &image->files[done->file];
	struct named *named;

	file->made = true;
	switch (done->action) {
	case ACTION_WRITE:
		act_write(file, done, torn);
		break;
	case ACTION_TRUNCATE:
		if (done->size < file->size)
			clear_bytes(file, done->size, UINT64_MAX);
		file->size = done->size;
		break;
	case ACTION_PUNCH:
		clear_bytes(file, done->offset, done->offset + done->size);
		break;
	case ACTION_NAME:
		give_name(image, done->name, done->file);
		break;
	case ACTION_RENAME:
		named = name_of(image, done->name);
		if (named && named->file == done->file)
			take_name(image, done->name);
		give_name(image, done->to, done->file);
		break;
	case ACTION_REMOVE:
		take_name(image, done->name);
		break;
	}
}

/* ---- the list ---- */

static void forget(struct done *done)
{
	free(done->data);
}

/* What is sure at the front becomes part of the base. */
static void compact(struct model *model)
{
	size_t sure = 0;

	while (sure < model->count && model->log[sure].sure) {
		act(&model->base, &model->log[sure], NULL);
		forget(&model->log[sure++]);
	}
	if (sure == 0)
		return;
	memmove(model->log, model->log + sure, (model->count - sure) * sizeof(*model->log));
	model->count -= sure;
}

static void note(struct model *model, struct done done)
{
	act(&model->cache, &done, NULL);
	if (model->count == model->room) {
		model->room = model->room * 2 + 16;
		model->log = realloc(model->log, model->room * sizeof(*model->log));
		assert(model->log);
	}
	model->log[model->count++] = done;
}

static void note_write(struct model *model, unsigned file, const void *data, uint64_t size, uint64_t offset)
{
	struct done done = {.action = ACTION_WRITE, .of = file, .file = file, .offset = offset, .size = size};

	done.data = malloc(size ? size : 1);
	assert(done.data);
	memcpy(done.data, data, size);
	note(model, done);
}

static void make_sure(struct model *model, unsigned of)
{
	for (size_t i = 0; i < model->count; i++)
		if (model->log[i].of == of && !model->log[i].hopeless)
			model->log[i].sure = true;
	compact(model);
}

/* ---- the calls ---- */

/* 0: it goes on; else what it returns. */
static int plan(struct model *model)
{
	unsigned call = ++model->calls;

	if (model->plan.die_at && call >= model->plan.die_at)
		return -EIO;
	return model->plan.fail_at == call ? -model->plan.fail_number : 0;
}

static bool is_dead(const struct model *model)
{
	return model->plan.die_at && model->calls >= model->plan.die_at;
}

static struct file *file_of(struct model *model, int fd)
{
	assert(fd > MODEL_FOLDER && (unsigned)fd < DESCRIPTORS && model->descriptors[fd]);
	return &model->cache.files[model->descriptors[fd] - 1];
}

static unsigned number_of(const struct model *model, int fd)
{
	return fd == MODEL_FOLDER ? FOLDER : model->descriptors[fd] - 1;
}

static int open_number(struct model *model, unsigned file)
{
	for (int fd = MODEL_FOLDER + 1; fd < (int)DESCRIPTORS; fd++)
		if (!model->descriptors[fd]) {
			model->descriptors[fd] = file + 1;
			return fd;
		}
	return -EMFILE;
}

static int model_open(void *context, int folder, const char *name, int flags, unsigned mode)
{
	struct model *model = context;
	struct named *named;
	int r;

	(void)mode;
	assert(folder == MODEL_FOLDER);
	if (strcmp(name, ".") == 0)
		return MODEL_FOLDER;
	named = name_of(&model->cache, name);
	if (named && (flags & O_EXCL))
		return -EEXIST;
	if (!named) {
		if (!(flags & O_CREAT))
			return -ENOENT;
		r = plan(model);
		if (r < 0)
			return r;
		assert(model->files < FILES);
		struct done done = {.action = ACTION_NAME, .of = FOLDER, .file = model->files++};

		strcpy(done.name, name);
		note(model, done);
		named = name_of(&model->cache, name);
	}
	return open_number(model, named->file);
}

static void model_close(void *context, int fd)
{
	struct model *model = context;

	if (fd != MODEL_FOLDER)
		model->descriptors[fd] = 0;
}

static int64_t model_read(void *context, int fd, void *data, size_t size, uint64_t offset)
{
	const struct file *file = file_of(context, fd);
	size_t done = 0;

	if (is_dead(context))
		return -EIO;
	if (offset >= file->size)
		return 0;
	size = MIN(size, (size_t)(file->size - offset));
	while (done < size) {
		uint64_t at = offset + done, within = at % DISK_PAGE;
		size_t n = MIN(size - done, (size_t)(DISK_PAGE - within));
		const struct block *block = block_at(file, at / DISK_PAGE);

		if (block)
			memcpy((uint8_t *)data + done, block->data + within, n);
		else
			memset((uint8_t *)data + done, 0, n);
		done += n;
	}
	return (int64_t)done;
}

static int model_write(void *context, int fd, const void *data, size_t size, uint64_t offset)
{
	struct model *model = context;
	unsigned file = number_of(model, fd);
	int r = plan(model);

	assert(fd > MODEL_FOLDER);
	if (r < 0) {
		if (!is_dead(model)) /* half of it was written */
			note_write(model, file, data, size / 2, offset);
		return r;
	}
	note_write(model, file, data, size, offset);
	return 0;
}

/* Journals are made void, for sure, although nothing of what they say is. */
static void retire_early(struct model *model)
{
	static const uint8_t zeros[DISK_PAGE];

	for (unsigned i = 0; i < NAMES; i++)
		if (strncmp(model->cache.names[i].name, "journal-", 8) == 0) {
			unsigned file = model->cache.names[i].file;

			put_bytes(&model->cache.files[file], zeros, sizeof(zeros), 0);
			note_write(model, file, zeros, sizeof(zeros), 0);
			make_sure(model, file);
		}
}

static bool is_heap(const struct model *model, unsigned file)
{
	for (unsigned i = 0; i < NAMES; i++)
		if (model->cache.names[i].file == file && strstr(model->cache.names[i].name, ".ems"))
			return true;
	return false;
}

static int model_sync(void *context, int fd)
{
	struct model *model = context;
	unsigned file = number_of(model, fd), barrier = ++model->barriers;
	int r;

	if (model->plan.die_barrier == barrier)
		model->plan.die_at = model->calls + 1;
	r = plan(model);
	if (r == 0 && model->plan.fail_barrier == barrier)
		r = -EIO;
	if (r == 0 && model->plan.early && is_heap(model, file))
		retire_early(model);
	if (model->cut && !is_dead(model))
		model->cut(model->arg, model);
	if (r < 0) {
		for (size_t i = 0; i < model->count && !is_dead(model); i++)
			if (model->log[i].of == file)
				model->log[i].hopeless = true;
		return r;
	}
	if (model->plan.lie_at != barrier)
		make_sure(model, file);
	return 0;
}

static int model_rename(void *context, int folder, const char *from, const char *to)
{
	struct model *model = context;
	struct named *named = name_of(&model->cache, from);
	struct done done = {.action = ACTION_RENAME, .of = FOLDER};
	int r = plan(model);

	(void)folder;
	if (r < 0)
		return r;
	if (!named)
		return -ENOENT;
	done.file = named->file;
	strcpy(done.name, from);
	strcpy(done.to, to);
	note(model, done);
	return 0;
}

static int model_remove(void *context, int folder, const char *name)
{
	struct model *model = context;
	struct named *named = name_of(&model->cache, name);
	struct done done = {.action = ACTION_REMOVE, .of = FOLDER};
	int r;

	(void)folder;
	if (!named)
		return -ENOENT;
	r = plan(model);
	if (r < 0)
		return r;
	done.file = named->file;
	strcpy(done.name, name);
	note(model, done);
	return 0;
}

static int model_truncate(void *context, int fd, uint64_t size)
{
	struct model *model = context;
	unsigned file = number_of(model, fd);
	int r = plan(model);

	if (r < 0)
		return r;
	note(model, (struct done){.action = ACTION_TRUNCATE, .of = file, .file = file, .size = size});
	return 0;
}

static int model_reserve(void *context, int fd, uint64_t offset, uint64_t size)
{
	(void)fd;
	(void)offset;
	(void)size;
	return plan(context);
}

static int model_punch(void *context, int fd, uint64_t offset, uint64_t size)
{
	struct model *model = context;
	unsigned file = number_of(model, fd);
	int r = plan(model);

	if (r < 0)
		return r;
	note(model,
	     (struct done){.action = ACTION_PUNCH, .of = file, .file = file, .offset = offset, .size = size});
	return 0;
}

static void tell(const struct model *model, unsigned file, struct shm_disk_status *status)
{
	*status = (struct shm_disk_status){
		.device = 1, .inode = file, .size = model->cache.files[file].size, .regular = true};
	for (unsigned i = 0; i < NAMES; i++)
		if (model->cache.names[i].name[0] && model->cache.names[i].file == file)
			status->linked = true;
}

static int model_status(void *context, int fd, struct shm_disk_status *status)
{
	tell(context, number_of(context, fd), status);
	return is_dead(context) ? -EIO : 0;
}

static int model_status_of(void *context, int folder, const char *name, struct shm_disk_status *status)
{
	struct model *model = context;
	const struct named *named = name_of(&model->cache, name);

	(void)folder;
	if (is_dead(model))
		return -EIO;
	if (!named)
		return -ENOENT;
	tell(model, named->file, status);
	return 0;
}

static int64_t model_seek_data(void *context, int fd, uint64_t offset)
{
	const struct file *file = file_of(context, fd);
	size_t i = find(file, offset / DISK_PAGE);

	if (i == file->count)
		return -ENXIO;
	return (int64_t)MAX(offset, file->blocks[i].number * DISK_PAGE);
}

static int model_lock(void *context, int fd)
{
	(void)context;
	(void)fd;
	return 0;
}

static int model_list(void *context, int folder, shm_disk_io_visit *visit, void *arg)
{
	struct model *model = context;
	struct named names[NAMES];

	(void)folder;
	memcpy(names, model->cache.names, sizeof(names));
	for (unsigned i = 0; i < NAMES; i++) {
		int r = names[i].name[0] ? visit(arg, names[i].name) : 0;

		if (r)
			return r;
	}
	return 0;
}

static const struct shm_disk_io calls = {
	.open = model_open,
	.close = model_close,
	.read = model_read,
	.write = model_write,
	.sync = model_sync,
	.rename = model_rename,
	.remove = model_remove,
	.truncate = model_truncate,
	.reserve = model_reserve,
	.punch = model_punch,
	.status = model_status,
	.status_of = model_status_of,
	.seek_data = model_seek_data,
	.lock = model_lock,
	.list = model_list,
};

/* ---- for tests ---- */

struct model *model_new(void)
{
	struct model *model = calloc(1, sizeof(*model));

	assert(model);
	model->io = calls;
	model->io.context = model;
	model->files = FOLDER + 1;
	return model;
}

void model_free(struct model *model)
{
	for (size_t i = 0; i < model->count; i++)
		forget(&model->log[i]);
	free(model->log);
	image_fini(&model->base);
	image_fini(&model->cache);
	free(model);
}

void model_give(struct model *model, const char *name)
{
	struct done done = {.action = ACTION_NAME, .of = FOLDER, .file = model->files++};

	strcpy(done.name, name);
	note(model, done);
	make_sure(model, FOLDER);
}

const struct shm_disk_io *model_io(struct model *model)
{
	return &model->io;
}

void model_set(struct model *model, const struct model_plan *plan)
{
	model->plan = *plan;
	model->calls = 0;
	model->barriers = 0;
}

unsigned model_calls(const struct model *model)
{
	return model->calls;
}

unsigned model_barriers(const struct model *model)
{
	return model->barriers;
}

void model_on_cut(struct model *model, model_cut *cut, void *arg)
{
	model->cut = cut;
	model->arg = arg;
}

unsigned model_unsure(const struct model *model)
{
	unsigned n = 0;

	for (size_t i = 0; i < model->count; i++)
		n += !model->log[i].sure;
	return n;
}

struct model *model_lose(const struct model *model, uint64_t kept, uint64_t *torn)
{
	struct model *left = calloc(1, sizeof(*left));
	unsigned n = 0;

	assert(left);
	left->io = calls;
	left->io.context = left;
	left->files = model->files;
	image_clone(&left->base, &model->base);
	for (size_t i = 0; i < model->count; i++) {
		const struct done *done = &model->log[i];

		if (done->sure)
			act(&left->base, done, NULL);
		else if (kept >> (n++ % 64) & 1)
			act(&left->base, done, torn);
	}
	image_clone(&left->cache, &left->base);
	return left;
}
