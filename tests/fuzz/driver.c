/*
 * driver.c: plays a target's examples, its corpus, and mutations of both.
 *
 *     PROGRAM                           what `make check` does: the examples, what is in tests/fuzz/corpus/TARGET,
 *                                       and EMS_FUZZ_RUNS mutations (2000), from EMS_TEST_SEED
 *     PROGRAM FILE…                     these inputs only
 *     PROGRAM --examples FOLDER         writes the examples there, for libFuzzer to begin with
 *
 * An input at which the target dies, or that takes more than 20 seconds of the processor's time, is left in fuzz-failure in the current folder.
 */
#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "tests/fuzz/fuzz.h"

#define ROOM	   65536u
#define INPUTS_MAX 1024u
#define PATIENCE   20u

static struct input {
	uint8_t *data;
	size_t size;
} inputs[INPUTS_MAX];
static size_t input_count;

static uint8_t current[ROOM];
static size_t current_size;

static uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

/* Keeps the input, then dies as it would have. */
static void on_death(int signal)
{
	int fd = open("fuzz-failure", O_WRONLY | O_CREAT | O_TRUNC, 0644);

	if (fd >= 0 && write(fd, current, current_size) == (ssize_t)current_size)
		(void)!write(STDERR_FILENO, "the input is in fuzz-failure\n", 29);
	(void)!write(STDERR_FILENO, signal == SIGPROF ? "it takes too long\n" : "it died\n", signal == SIGPROF ? 18 : 8);
	_exit(1);
}

/* The processor's: how busy the machine is does not count. What sleeps is ended by the test's own limit. 0: none. */
static void limit_time(unsigned seconds)
{
	const struct itimerval limit = {.it_value.tv_sec = seconds};

	(void)setitimer(ITIMER_PROF, &limit, NULL);
}

static void play(const uint8_t *data, size_t size)
{
	current_size = size < ROOM ? size : ROOM;
	if (data != current)
		memcpy(current, data, current_size);
	limit_time(PATIENCE);
	(void)LLVMFuzzerTestOneInput(current, current_size);
	limit_time(0);
}

static void keep(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy || input_count == INPUTS_MAX)
		exit(99);
	memcpy(copy, data, size);
	inputs[input_count++] = (struct input){copy, size};
}

static void read_file(const char *path)
{
	static uint8_t data[ROOM];
	FILE *file = fopen(path, "rb");
	size_t size = file ? fread(data, 1, sizeof(data), file) : 0;

	if (!file) {
		perror(path);
		exit(99);
	}
	fclose(file);
	keep(data, size);
}

static void keep_examples(void)
{
	static uint8_t data[ROOM];

	for (unsigned i = 0;; i++) {
		size_t size = fuzz_example(i, data, sizeof(data));

		if (size == 0)
			return;
		keep(data, size);
	}
}

/* The target's own files, by the program's name. */
static void read_corpus(const char *program)
{
	const char *source = getenv("top_srcdir"), *name = strrchr(program, '/');
	char pattern[4096];
	glob_t found;

	name = name ? name + 1 : program;
	if (strncmp(name, "lt-", 3) == 0)
		name += 3;
	snprintf(pattern, sizeof(pattern), "%.3000s/tests/fuzz/corpus/%.500s/*", source ? source : ".", name);
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			read_file(found.gl_pathv[i]);
		globfree(&found);
	}
}

static void write_examples(const char *folder)
{
	char path[4096];

	for (size_t i = 0; i < input_count; i++) {
		FILE *file;

		snprintf(path, sizeof(path), "%s/example-%02zu", folder, i);
		file = fopen(path, "wb");
		if (!file || fwrite(inputs[i].data, 1, inputs[i].size, file) != inputs[i].size || fclose(file)) {
			perror(path);
			exit(99);
		}
	}
}

/* ---- mutations of `current` ---- */

static void change_bytes(uint64_t *state, size_t at)
{
	static const uint8_t interesting[] = {0, 1, 0x7f, 0x80, 0xc0, 0xc1, 0xd9, 0xda, 0xdb, 0xdc, 0xdd, 0xde, 0xdf, 0xff};
	uint64_t word = random_next(state);
	size_t size = (size_t)1 << word % 4;

	switch (word >> 8 & 3) {
	case 0:
		current[at] ^= (uint8_t)(1u << (word >> 16 & 7));
		break;
	case 1:
		current[at] = interesting[(word >> 16) % sizeof(interesting)];
		break;
	case 2:
		current[at] = (uint8_t)(word >> 16);
		break;
	default:
		word = random_next(state) >> (word >> 16 & 63);
		memcpy(current + at, &word, size < current_size - at ? size : current_size - at);
		break;
	}
}

static void cut_out(size_t at, size_t size)
{
	size = size < current_size - at ? size : current_size - at;
	memmove(current + at, current + at + size, current_size - at - size);
	current_size -= size;
}

static void put_in(const uint8_t *data, size_t size, size_t at)
{
	size = size < ROOM - current_size ? size : ROOM - current_size;
	memmove(current + at + size, current + at, current_size - at);
	memmove(current + at, data, size);
	current_size += size;
}

static void mutate(uint64_t *state)
{
	const struct input *other = &inputs[random_next(state) % input_count];
	size_t at = current_size ? random_next(state) % current_size : 0;
	uint64_t word = random_next(state);

	if (current_size == 0 || word % 16 == 0) {
		size_t from = other->size ? (word >> 8) % other->size : 0;

		put_in(other->data + from, (word >> 32) % (other->size - from + 1), at);
	} else if (word % 16 == 1) {
		cut_out(at, 1 + (word >> 8) % 16);
	} else if (word % 16 == 2) {
		uint8_t copy[64];
		size_t size = sizeof(copy) < current_size - at ? sizeof(copy) : current_size - at;

		memcpy(copy, current + at, size);
		put_in(copy, size, at);
	} else {
		change_bytes(state, at);
	}
}

static void play_mutations(uint64_t seed, unsigned long runs)
{
	uint64_t state = seed;

	for (unsigned long i = 0; i < runs; i++) {
		const struct input *input = &inputs[random_next(&state) % input_count];

		current_size = input->size < ROOM ? input->size : ROOM;
		memcpy(current, input->data, current_size);
		for (uint64_t n = 1 + random_next(&state) % 8; n > 0; n--)
			mutate(&state);
		play(current, current_size);
	}
}

int main(int argc, char **argv)
{
	static const int deaths[] = {SIGSEGV, SIGBUS, SIGABRT, SIGILL, SIGFPE, SIGPROF};
	const char *wanted_seed = getenv("EMS_TEST_SEED"), *wanted_runs = getenv("EMS_FUZZ_RUNS");
	uint64_t seed = wanted_seed ? strtoull(wanted_seed, NULL, 0) : (uint64_t)time(NULL) ^ (uint64_t)getpid() << 32;
	unsigned long runs = wanted_runs ? strtoul(wanted_runs, NULL, 0) : 2000;

	for (size_t i = 0; i < sizeof(deaths) / sizeof(deaths[0]); i++)
		(void)signal(deaths[i], on_death);
	(void)signal(SIGPIPE, SIG_IGN);
	if (argc == 3 && strcmp(argv[1], "--examples") == 0) {
		keep_examples();
		write_examples(argv[2]);
		return 0;
	}
	for (int i = 1; i < argc; i++)
		read_file(argv[i]);
	if (argc == 1) {
		keep_examples();
		read_corpus(argv[0]);
	}
	printf("EMS_TEST_SEED=%llu, %zu inputs, %lu mutations\n", (unsigned long long)seed, input_count, argc == 1 ? runs : 0);
	fflush(stdout);
	for (size_t i = 0; i < input_count; i++)
		play(inputs[i].data, inputs[i].size);
	if (argc == 1)
		play_mutations(seed, runs);
	for (size_t i = 0; i < input_count; i++)
		free(inputs[i].data);
	return input_count ? 0 : 99;
}
