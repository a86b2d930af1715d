/*
 * Arrays: names, making them together, and where EMS's operations differ from those of <ems.h>. See ems_compat.h.
 *
 * Three kinds of names. A filename with persist: the path of a file. A filename without: a heap named by a hash of the path.
 * None: a number under the context and the run. What has no file goes with the last process that has it.
 */
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "contrib/compat/context.h"

#define NAME_SIZE      (PATH_MAX + 1)
#define LARGEST_FILL   65536u
/* EMS's heap size counts what is alive; ours has to hold it whatever its pieces are. */
#define STORAGE_FACTOR 4u
#define STORAGE_LEAST  (UINT64_C(1) << 20)
#define STORAGE_OF_KEY 16u

struct ems_compat_array {
	struct ems_compat *context;
	ems_heap_t *heap;
	char *name;
	dev_t device; /* of its file, with inode */
	ino_t inode;
	uint64_t number;
	uint64_t dimensions[EMS_COMPAT_DIMENSIONS], strides[EMS_COMPAT_DIMENSIONS];
	size_t rank;
};

ems_heap_t *ems_compat_heap(const struct ems_compat_array *array)
{
	return array->heap;
}

uint64_t ems_compat_elements(const struct ems_compat_array *array)
{
	return array->strides[array->rank - 1] * array->dimensions[array->rank - 1];
}

bool ems_compat_uses_map(const struct ems_compat_array *array)
{
	return ems_heap_has_map(array->heap);
}

size_t ems_compat_rank(const struct ems_compat_array *array)
{
	return array->rank;
}

uint64_t ems_compat_dimension(const struct ems_compat_array *array, size_t which)
{
	return which < array->rank ? array->dimensions[which] : 0;
}

uint64_t ems_compat_stride(const struct ems_compat_array *array, size_t which)
{
	return which < array->rank ? array->strides[which] : 0;
}

uint64_t ems_compat_number(const struct ems_compat_array *array)
{
	return array->number;
}

int ems_compat_index(const struct ems_compat_array *array, const int64_t *indexes, size_t count, int64_t *index)
{
	int64_t sum = 0;

	if (count != array->rank)
		return -EMS_ERANGE;
	for (size_t i = 0; i < count; i++) {
		if (indexes[i] < 0 || (uint64_t)indexes[i] >= array->dimensions[i])
			return -EMS_ERANGE;
		sum += indexes[i] * (int64_t)array->strides[i];
	}
	*index = sum;
	return 0;
}

/* ---- making ---- */

/* Dimensions and strides; EMS_ERANGE when the product is none. */
static int set_dimensions(struct ems_compat_array *array, const uint64_t *dimensions, size_t rank)
{
	uint64_t product = 1;

	if (rank > EMS_COMPAT_DIMENSIONS)
		return -EMS_ERANGE;
	for (size_t i = 0; i < rank; i++) {
		array->dimensions[i] = dimensions[i];
		array->strides[i] = product;
		if (dimensions[i] == 0 || __builtin_mul_overflow(product, dimensions[i], &product) ||
		    product > INT64_MAX)
			return -EMS_ERANGE;
	}
	array->rank = rank;
	return 0;
}

static bool has_name(const struct ems_compat_descriptor *wish)
{
	return wish->filename && wish->filename[0];
}

static bool has_file(const struct ems_compat_descriptor *wish)
{
	return has_name(wish) && wish->persist;
}

static int name_by_path(const struct ems_compat_descriptor *wish, char name[NAME_SIZE])
{
	char path[NAME_SIZE], folder[PATH_MAX], hex[33];
	int size;

	if (wish->filename[0] == '/') {
		size = snprintf(path, sizeof path, "%s", wish->filename);
	} else {
		if (!getcwd(folder, sizeof folder))
			return -EMS_ESYSTEM;
		size = snprintf(path, sizeof path, "%s/%s", folder, wish->filename);
	}
	if (size < 0 || (size_t)size >= sizeof path)
		return -EMS_ENAME;
	if (wish->persist) {
		memcpy(name, path, (size_t)size + 1);
	} else {
		ems_compat_hash(path, (size_t)size, hex);
		snprintf(name, NAME_SIZE, "compat/name/%s", hex);
	}
	return 0;
}

static int name_of(struct ems_compat *context, const struct ems_compat_descriptor *wish, char name[NAME_SIZE])
{
	bool together = ems_compat_in_region(context);

	if (has_name(wish))
		return name_by_path(wish, name);
	if (context->kind == EMS_COMPAT_USER)
		snprintf(name, NAME_SIZE, "%s/array%llu", context->prefix, (unsigned long long)context->alone++);
	else if (together)
		snprintf(name, NAME_SIZE, "%s/%s/%llu", context->prefix, context->run,
			 (unsigned long long)context->together);
	else
		snprintf(name, NAME_SIZE, "%s/%s/%u.%llu", context->prefix, context->run, context->member,
			 (unsigned long long)context->alone++);
	return 0;
}

static const ems_value_t undefined = EMS_VALUE_INIT;

static const ems_value_t *fill_of(const struct ems_compat_descriptor *wish)
{
	return wish->data_fill ? wish->data_fill : &undefined;
}

static bool fill_is_large(const struct ems_compat_descriptor *wish)
{
	return wish->do_data_fill && fill_of(wish)->type >= EMS_STRING && fill_of(wish)->size > LARGEST_FILL;
}

static ems_tag_t tag_of(const struct ems_compat_descriptor *wish)
{
	if (!wish->do_set_tags)
		return (ems_tag_t)0;
	return wish->set_empty ? EMS_EMPTY : EMS_FULL;
}

/* A map's elements in use, one by one. */
static int fill_keys(ems_heap_t *heap, const ems_value_t *value, ems_tag_t tag)
{
	ems_iterator_t *iterator;
	ems_key_t key;
	int r = ems_iterate(heap, &iterator);

	if (r < 0)
		return r;
	while ((r = ems_iterator_next(iterator, &key, NULL)) == 0) {
		if (value)
			r = ems_write(heap, key, value);
		if (r == 0 && tag)
			r = ems_set_tag(heap, key, tag);
		if (r < 0)
			break;
	}
	ems_iterator_free(iterator);
	return r == -EMS_EEMPTY ? 0 : r;
}

/* What the descriptor says of an array's contents, when those are there already (or too large for a heap's own fill). */
static int fill_existing(ems_heap_t *heap, const struct ems_compat_descriptor *wish)
{
	ems_tag_t tag = tag_of(wish);
	int r = 0;

	if (ems_heap_has_map(heap))
		return fill_keys(heap, wish->do_data_fill ? fill_of(wish) : NULL, tag);
	if (wish->do_data_fill)
		return ems_fill(heap, 0, ems_heap_elements(heap), fill_of(wish), tag, NULL);
	for (uint64_t i = 0; tag && r == 0 && i < ems_heap_elements(heap); i++)
		r = ems_set_tag(heap, ems_index((int64_t)i), tag);
	return r;
}

static int heap_make(struct ems_compat_array *array, const struct ems_compat_descriptor *wish, ems_open_t how)
{
	uint64_t elements = ems_compat_elements(array);
	ems_heap_options_t options = {.elements = elements, .max_elements = elements, .map = wish->use_map,
				      .initial_tag = tag_of(wish), .persistent = has_file(wish),
				      .until_detached = !has_file(wish)};
	int r;

	if (__builtin_mul_overflow(wish->heap_size, STORAGE_FACTOR, &options.storage))
		return -EMS_ERANGE;
	options.storage += STORAGE_LEAST + (wish->use_map ? elements * STORAGE_OF_KEY : 0);
	if (wish->do_data_fill && !fill_is_large(wish))
		options.fill = fill_of(wish);
	r = ems_heap_open(array->context->connection, array->name, how, &options, &array->heap);
	if (r == 0 && fill_is_large(wish))
		r = wish->use_map ? -EMS_ERANGE : fill_existing(array->heap, wish);
	return r;
}

static int heap_open(struct ems_compat_array *array)
{
	return ems_heap_open(array->context->connection, array->name, EMS_OPEN_EXISTING, NULL, &array->heap);
}

/* By one process for itself and, in a region, for the others. */
static int make(struct ems_compat_array *array, const struct ems_compat_descriptor *wish)
{
	int r;

	if (wish->existing == EMS_COMPAT_EXISTING) {
		r = heap_open(array);
		return r == 0 ? fill_existing(array->heap, wish) : r;
	}
	if (wish->existing == EMS_COMPAT_UNSAID && array->context->kind == EMS_COMPAT_USER && !has_name(wish)) {
		r = heap_make(array, wish, EMS_OPEN_OR_CREATE);
		if (r != -EMS_EMISMATCH)
			return r;
	}
	return heap_make(array, wish, EMS_REPLACE);
}

/* Member 0 makes it and says what came of that; the others open it. Nobody goes on before all have it. */
static int make_together(struct ems_compat_array *array, const struct ems_compat_descriptor *wish)
{
	struct ems_compat *context = array->context;
	char text[40];
	int64_t made = 0;
	int r = 0, s;
	ems_key_t key;

	snprintf(text, sizeof text, "array%llu", (unsigned long long)context->together);
	key = ems_key(text);
	if (context->member == 0) {
		ems_value_t value;

		made = make(array, wish);
		value = ems_value_integer(made);
		r = ems_write_xf(context->control, key, &value);
	}
	s = ems_team_barrier(context->team);
	if (r < 0 || s < 0)
		return r < 0 ? r : s;
	if (context->member != 0) {
		r = ems_read_int64(context->control, key, &made);
		if (r == 0 && made == 0)
			r = heap_open(array);
	}
	s = ems_team_barrier(context->team);
	if (context->member == 0)
		ems_delete(context->control, key);
	if (made < 0)
		return (int)made;
	return r < 0 ? r : s;
}

/* An existing array has as many elements as it has. */
static int adopt_dimensions(struct ems_compat_array *array, const struct ems_compat_descriptor *wish)
{
	uint64_t elements = ems_heap_elements(array->heap);
	int r = wish->rank ? set_dimensions(array, wish->dimensions, wish->rank) : -EMS_ERANGE;

	if (r == 0 && ems_compat_elements(array) == elements)
		return 0;
	return set_dimensions(array, &elements, 1);
}

static void remember_file(struct ems_compat_array *array)
{
	struct stat st;

	if (array->name[0] == '/' && stat(array->name, &st) == 0) {
		array->device = st.st_dev;
		array->inode = st.st_ino;
	}
}

/* One that is dropped or replaced already does not have the name any more. A file's inode is not given to another while it is attached. */
static bool has_its_name(const struct ems_compat_array *array)
{
	struct stat st;

	if (ems_heap_is_dropped(array->heap))
		return false;
	return array->name[0] != '/' ||
	       (stat(array->name, &st) == 0 && st.st_dev == array->device && st.st_ino == array->inode);
}

int ems_compat_array_open(struct ems_compat *context, const struct ems_compat_descriptor *wish,
			  struct ems_compat_array **result)
{
	struct ems_compat_array *array = calloc(1, sizeof *array);
	char name[NAME_SIZE];
	uint64_t one = 1;
	int r;

	if (!array)
		return -EMS_ENOMEMORY;
	array->context = context;
	r = set_dimensions(array, wish->rank ? wish->dimensions : &one, wish->rank ? wish->rank : 1);
	if (r == 0)
		r = name_of(context, wish, name);
	if (r == 0 && !(array->name = strdup(name)))
		r = -EMS_ENOMEMORY;
	if (r == 0)
		r = ems_compat_team(context) ? make_together(array, wish) : make(array, wish);
	if (ems_compat_in_region(context))
		context->together++;
	if (r == 0 && wish->existing == EMS_COMPAT_EXISTING)
		r = adopt_dimensions(array, wish);
	if (r < 0) {
		ems_compat_array_destroy(array, false);
		return r;
	}
	remember_file(array);
	array->number = context->arrays++;
	*result = array;
	return 0;
}

int ems_compat_array_destroy(struct ems_compat_array *array, bool unlink)
{
	int r = 0;

	if (!array)
		return 0;
	if (unlink && array->heap && has_its_name(array))
		r = ems_heap_drop(array->context->connection, array->name);
	if (array->heap)
		ems_heap_close(array->heap);
	free(array->name);
	free(array);
	return r == -EMS_ENOTFOUND ? 0 : r;
}

int ems_compat_array_sync(struct ems_compat_array *array)
{
	int r = ems_sync(array->heap);

	return r == -EMS_EUNSUPPORTED ? 0 : r; /* it has no file */
}
