/*
 * Row 25: the words of a folder of texts, counted in one heap, by one process and by two.
 *
 * The texts are those of $EMS_BENCH_TEXTS, a folder; else the verses that the program `bible` prints; else words made up
 * here, some of which are much more frequent than others, as in real texts. Chunks are shared out by a counter.
 */
#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shm/atomic.h"
#include "tests/bench/bench.h"

#define CHUNK 65536

struct text {
	char *bytes; /* shared */
	size_t size, capacity;
	const char *kind;
};

struct count {
	struct text text;
	const char *name;
	ems_heap_t *heap;
	uint64_t *next; /* shared: the first chunk that nobody has taken */
	uint64_t *words;
};

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void add_bytes(struct text *text, FILE *file)
{
	while (text->size < text->capacity) {
		size_t size = fread(text->bytes + text->size, 1, text->capacity - text->size, file);

		if (size == 0)
			break;
		text->size += size;
	}
}

static void add_folder(struct text *text, const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *entry;

	need_system(dir != NULL, folder);
	while ((entry = readdir(dir)) != NULL) {
		char path[4096];
		struct stat status;
		FILE *file;

		snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (stat(path, &status) < 0 || !S_ISREG(status.st_mode))
			continue;
		file = fopen(path, "re");
		need_system(file != NULL, path);
		add_bytes(text, file);
		fclose(file);
	}
	closedir(dir);
	text->kind = "a folder of texts";
}

static void add_verses(struct text *text)
{
	FILE *file = popen("bible -f gen1:1-rev22:21 </dev/null 2>/dev/null", "re");

	if (!file)
		return;
	add_bytes(text, file);
	pclose(file);
	text->kind = "the King James Bible";
}

/* Word number n is about twice as frequent as word number 2n. */
static void add_made_up(struct text *text, size_t size)
{
	uint64_t state = 25;

	while (text->size + 16 < size) {
		uint64_t bits = next_random(&state), n = (bits >> 8) % (UINT64_C(1) << (1 + bits % 15)) + 1;

		for (; n > 0; n /= 26)
			text->bytes[text->size++] = (char)('a' + n % 26);
		text->bytes[text->size++] = ' ';
	}
	text->kind = "words made up";
}

static void find_text(struct bench *bench, struct text *text)
{
	const char *folder = getenv("EMS_BENCH_TEXTS");

	text->capacity = (size_t)BENCH_PICK(bench, 20000, 64 << 20, 64 << 20);
	text->bytes = mmap(NULL, text->capacity, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	need_system(text->bytes != MAP_FAILED, "memory");
	if (folder)
		add_folder(text, folder);
	else if (!bench->tiny)
		add_verses(text);
	if (text->size == 0)
		add_made_up(text, (size_t)BENCH_PICK(bench, 20000, 4 << 20, 4 << 20));
}

static void set_up(void *context, unsigned member)
{
	struct count *count = context;
	ems_connection_t *connection;

	(void)member;
	need(ems_connect(&connection, NULL));
	count->heap = open_heap(connection, count->name);
}

/* The words that begin in the chunk, to their ends. */
static uint64_t count_chunk(const struct count *count, size_t at)
{
	const char *bytes = count->text.bytes;
	size_t size = count->text.size, end = at + CHUNK < size ? at + CHUNK : size;
	uint64_t words = 0;

	while (at > 0 && at < end && is_letter(bytes[at - 1]) && is_letter(bytes[at]))
		at++;
	while (at < end) {
		char word[256];
		size_t length = 0;

		for (; at < size && is_letter(bytes[at]); at++)
			if (length < sizeof(word))
				word[length++] = (char)(bytes[at] | 0x20);
		if (length > 0) {
			need(ems_faa_int64(count->heap, ems_key_bytes(word, length), 1, NULL));
			words++;
		} else {
			at++;
		}
	}
	return words;
}

/* All of the text once, by all who do this. */
static void count_words(void *context, unsigned member, unsigned work, uint64_t rounds)
{
	struct count *count = context;
	uint64_t words = 0, chunk;

	(void)member, (void)work, (void)rounds;
	while ((chunk = add64(count->next, 1)) * CHUNK < count->text.size)
		words += count_chunk(count, chunk * CHUNK);
	(void)add64(count->words, words);
}

static double count_all(crew_t *crew, struct count *count, unsigned processes)
{
	store64_release(count->next, 0);
	return crew_run(crew, processes, 0, 1);
}

/* The counts of all words add up to what the processes say that they have counted. */
static void check(const struct count *count)
{
	ems_value_t value = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	int64_t sum = 0;
	ems_key_t key;

	need(ems_iterate(count->heap, &iterator));
	while (ems_iterator_next(iterator, &key, &value) == 0)
		sum += value.integer;
	ems_iterator_free(iterator);
	if (sum == (int64_t)*count->words && sum > 0)
		return;
	fprintf(stderr, "bench: %llu words were counted, and the counts add up to %lld\n",
		(unsigned long long)*count->words, (long long)sum);
	exit(1);
}

void row_words(struct bench *bench)
{
	struct figure figure = {.what = "count words, by two processes", .unit = "M/s", .beside = "by one process",
				.kind = RATIO_AT_LEAST, .target = 1.8};
	double rates[MEASURE_TURNS_MAX], limits[MEASURE_TURNS_MAX], ratios[MEASURE_TURNS_MAX], words;
	unsigned turns = (unsigned)BENCH_PICK(bench, 2, 5, 15);
	struct count count = {0};
	uint64_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char what[128];
	crew_t *crew;

	need_system(shared != MAP_FAILED, "memory");
	count.next = shared;
	count.words = shared + 64;
	find_text(bench, &count.text);
	count.heap = new_heap(bench, &(ems_heap_options_t){.elements = 1 << 18, .map = true});
	count.name = ems_heap_name(count.heap);
	crew = crew_start(2, &(struct crew_job){set_up, &count, count_words});
	(void)count_all(crew, &count, 1); /* makes the keys */
	words = (double)*count.words;
	for (unsigned i = 0; i < turns; i++) {
		limits[i] = words * 1e3 / count_all(crew, &count, 1);
		rates[i] = words * 1e3 / count_all(crew, &count, 2);
		ratios[i] = rates[i] / limits[i];
	}
	crew_end(crew);
	check(&count);
	snprintf(what, sizeof(what), "count words of %s, by two", count.text.kind);
	figure.what = what;
	figure.measured = spread_of(rates, turns);
	figure.limit = spread_of(limits, turns);
	figure.ratio = spread_of(ratios, turns);
	report_figure(&figure);
	ems_heap_close(count.heap);
	munmap(count.text.bytes, count.text.capacity);
	munmap(shared, 4096);
}
