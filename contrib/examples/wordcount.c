/*
 * wordcount.c: several processes count the words of files in one shared heap.
 *
 *     wordcount -n 4 book.txt
 *
 * A word is a longest run of the letters A-Z and a-z, in lower case; words do not go on from file to file.
 * So this counts the same, where every file ends in a new line:
 *
 *     cat FILE… | LC_ALL=C tr -cs 'A-Za-z' '\n' | LC_ALL=C tr A-Z a-z | grep . | LC_ALL=C sort | uniq -c
 *
 * The model. The heap has a key for each word, whose element is the word's count. Every word that is met is
 * one fetch-and-add on its element, nothing is collected in private memory: at any moment the heap is the
 * truth, for us and for whoever else attaches it. The bookkeeping is in the same heap, under integer keys,
 * which no word can be. The input is cut into chunks; a process takes the next one by a fetch-and-add on
 * their number, and counts the words that begin in it. The parent sleeps in read_fe on the progress, which
 * the workers write after each chunk, and in wait(2) for their end.
 */
#include <ems.h>

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define CHUNK	    65536 /* bytes; some milliseconds of work */
#define WORD_MAX    65535 /* bytes; the longest key there is */
#define WORKERS_MAX 1024
#define BAR_WIDTH   40

/* The keys of the bookkeeping. */
enum {
	KEY_NEXT_CHUNK, /* the number of the first chunk that nobody has taken */
	KEY_CHUNKS_DONE,
	KEY_WORDS,    /* all words of the finished chunks */
	KEY_PROGRESS, /* chunks done, FULL when news; -1 at the end */
	KEY_WORKER,   /* + worker: the chunks that it did */
};

/* A file, and which chunks are its. */
struct file {
	const char *name;
	uint64_t size;
	int64_t first_chunk;
	const unsigned char *text; /* a worker's mapping; NULL until it needs one */
};

struct count {
	char *word;
	int64_t times;
};

static struct {
	int workers;
	int64_t top;
	const char *heap_name;
	bool replace, kept;
	uint64_t elements;
	struct file *files;
	int file_count;
	int64_t chunks;
} job = {.workers = 1, .top = 10};

static pid_t workers[WORKERS_MAX];

/* ---- troubles: no way to go on -------------------------------------------------------------------- */

static void stop(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void stop(const char *format, ...)
{
	va_list arguments;

	fputs("wordcount: ", stderr);
	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(1);
}

static void need(int r)
{
	if (r < 0)
		stop("%s", ems_last_error()->message);
}

static void need_memory(const void *memory)
{
	if (!memory)
		stop("out of memory");
}

/* ---- a worker ------------------------------------------------------------------------------------- */

static unsigned char lower_case[256]; /* of a letter; 0: not a letter */

static void know_letters(void)
{
	for (int letter = 'a'; letter <= 'z'; letter++)
		lower_case[letter] = lower_case[letter - 'a' + 'A'] = (unsigned char)letter;
}

static struct file *file_of_chunk(int64_t chunk)
{
	struct file *file = job.files;

	while (file + 1 < job.files + job.file_count && file[1].first_chunk <= chunk)
		file++;
	return file;
}

static void map_file(struct file *file)
{
	int fd = open(file->name, O_RDONLY | O_CLOEXEC);
	struct stat status;
	void *text;

	if (fd < 0 || fstat(fd, &status) < 0)
		stop("%s: %s", file->name, strerror(errno));
	if ((uint64_t)status.st_size < file->size)
		stop("%s: became shorter", file->name);
	text = mmap(NULL, file->size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (text == MAP_FAILED)
		stop("%s: %s", file->name, strerror(errno));
	close(fd);
	file->text = text;
}

/* Counts the words that begin in the chunk, to their ends, which may be beyond it. Returns how many. */
static int64_t count_chunk(ems_heap_t *heap, struct file *file, int64_t chunk)
{
	uint64_t at = (uint64_t)(chunk - file->first_chunk) * CHUNK;
	uint64_t end = at + CHUNK < file->size ? at + CHUNK : file->size;
	static char word[WORD_MAX];
	int64_t words = 0;

	if (!file->text)
		map_file(file);
	/* A word that began before is another's. */
	if (at > 0 && lower_case[file->text[at - 1]]) {
		while (at < end && lower_case[file->text[at]])
			at++;
	}
	while (at < end) {
		size_t length = 0;

		while (at < file->size && lower_case[file->text[at]]) {
			if (length == WORD_MAX)
				stop("%s: a word of more than %d letters", file->name, WORD_MAX);
			word[length++] = (char)lower_case[file->text[at++]];
		}
		if (length > 0) {
			need(ems_faa_int64(heap, ems_key_bytes(word, length), 1, NULL));
			words++;
		} else {
			at++;
		}
	}
	return words;
}

/* The life of a worker; it attaches the heap by itself, as any program could. */
static void work(int number)
{
	ems_connection_t *connection;
	ems_heap_t *heap;
	ems_value_t news;

	need(ems_connect(&connection, NULL));
	need(ems_heap_open(connection, job.heap_name, EMS_OPEN_EXISTING, NULL, &heap));
	for (;;) {
		int64_t chunk, done, words;

		need(ems_faa_int64(heap, ems_index(KEY_NEXT_CHUNK), 1, &chunk));
		if (chunk >= job.chunks)
			break;
		words = count_chunk(heap, file_of_chunk(chunk), chunk);
		need(ems_faa_int64(heap, ems_index(KEY_WORDS), words, NULL));
		need(ems_faa_int64(heap, ems_index(KEY_WORKER + number), 1, NULL));
		need(ems_faa_int64(heap, ems_index(KEY_CHUNKS_DONE), 1, &done));
		news = ems_value_integer(done + 1);
		need(ems_write_xf(heap, ems_index(KEY_PROGRESS), &news));
	}
	ems_heap_close(heap);
	ems_disconnect(connection);
}

/* ---- the parent ----------------------------------------------------------------------------------- */

static double seconds_now(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void start_workers(void)
{
	pid_t parent = getpid();

	for (int i = 0; i < job.workers; i++) {
		workers[i] = fork();
		if (workers[i] < 0)
			stop("cannot start a process: %s", strerror(errno));
		if (workers[i] > 0)
			continue;
		/* The others' mappings and threads stay with the parent; so should we not outlive it. */
		prctl(PR_SET_PDEATHSIG, SIGTERM);
		if (getppid() == parent)
			work(i);
		_exit(0);
	}
}

static void say_end(int worker, int status)
{
	if (WIFSIGNALED(status))
		fprintf(stderr, "wordcount: worker %d (process %d) was killed by signal %d (%s)\n",
			worker + 1, (int)workers[worker], WTERMSIG(status), strsignal(WTERMSIG(status)));
	else
		fprintf(stderr, "wordcount: worker %d (process %d) ended with %d\n", worker + 1,
			(int)workers[worker], WEXITSTATUS(status));
}

/* Sleeps until all have ended. When one fails the count is incomplete, so the others are ended, too. */
static bool wait_for_workers(void)
{
	bool good = true;
	int status;
	pid_t pid;

	while ((pid = wait(&status)) > 0 || errno == EINTR) {
		for (int i = 0; pid > 0 && i < job.workers; i++) {
			if (workers[i] != pid)
				continue;
			if (status != 0 && good) {
				say_end(i, status);
				good = false;
				for (int j = 0; j < job.workers; j++)
					if (workers[j] > 0 && j != i)
						kill(workers[j], SIGTERM);
			}
			workers[i] = 0; /* the number may become another process's */
		}
	}
	return good;
}

/* A thread: draws whenever there is news, and sleeps in between. */
static void *show_progress(void *heap)
{
	ems_value_t news = EMS_VALUE_INIT;
	int64_t most = 0;

	while (ems_read_fe(heap, ems_index(KEY_PROGRESS), &news) == 0) {
		int filled;

		if (news.type == EMS_INTEGER && news.integer < 0)
			break;
		/* Two workers may write in another order than they counted. */
		if (news.type == EMS_INTEGER && news.integer > most)
			most = news.integer;
		filled = (int)(most * BAR_WIDTH / job.chunks);
		fprintf(stderr, "\r[%.*s%*s] %3d %%", filled, "########################################",
			BAR_WIDTH - filled, "", (int)(most * 100 / job.chunks));
	}
	fputs("\r\033[K", stderr);
	return NULL;
}

static bool run_workers(ems_heap_t *heap, double *_seconds)
{
	ems_value_t end = ems_value_integer(-1);
	double begin = seconds_now();
	bool shows = isatty(STDERR_FILENO) && job.chunks > 0;
	pthread_t thread;
	bool good;

	start_workers();
	if (shows && pthread_create(&thread, NULL, show_progress, heap) != 0)
		shows = false;
	good = wait_for_workers();
	*_seconds = seconds_now() - begin;
	if (shows) {
		need(ems_write_xf(heap, ems_index(KEY_PROGRESS), &end));
		pthread_join(thread, NULL);
	}
	return good;
}

/* Most frequent first, then by letters. */
static int compare_counts(const void *a, const void *b)
{
	const struct count *left = a, *right = b;

	if (left->times != right->times)
		return left->times < right->times ? 1 : -1;
	return strcmp(left->word, right->word);
}

/* All words of the heap with their counts, sorted. */
static struct count *collect_counts(ems_heap_t *heap, size_t *_count)
{
	struct count *counts = NULL;
	size_t count = 0, capacity = 0;
	ems_value_t value = EMS_VALUE_INIT;
	ems_iterator_t *iterator;
	ems_key_t key;
	int r;

	need(ems_iterate(heap, &iterator));
	while ((r = ems_iterator_next(iterator, &key, &value)) == 0) {
		if (key.type != EMS_KEY_STRING)
			continue;
		if (count == capacity) {
			capacity = capacity > 0 ? capacity * 2 : 4096;
			counts = reallocarray(counts, capacity, sizeof(*counts));
			need_memory(counts);
		}
		counts[count].word = strndup(key.text, key.size);
		need_memory(counts[count].word);
		counts[count++].times = value.integer;
	}
	if (r != -EMS_EEMPTY)
		need(r);
	ems_iterator_free(iterator);
	if (count > 0)
		qsort(counts, count, sizeof(*counts), compare_counts);
	*_count = count;
	return counts;
}

static int64_t bookkeeping(ems_heap_t *heap, int key)
{
	ems_value_t value = EMS_VALUE_INIT;

	need(ems_read(heap, ems_index(key), &value));
	return value.type == EMS_INTEGER ? value.integer : 0;
}

static void report(ems_heap_t *heap, double seconds)
{
	int64_t words = bookkeeping(heap, KEY_WORDS), sum = 0;
	size_t different;
	struct count *counts = collect_counts(heap, &different);
	int busy = 0;

	for (size_t i = 0; i < different; i++) {
		sum += counts[i].times;
		if (job.top == 0 || (int64_t)i < job.top)
			printf("%8" PRId64 " %s\n", counts[i].times, counts[i].word);
		free(counts[i].word);
	}
	free(counts);
	if (fflush(stdout) != 0)
		stop("cannot write the result: %s", strerror(errno));
	for (int i = 0; i < job.workers; i++)
		busy += bookkeeping(heap, KEY_WORKER + i) > 0;
	fprintf(stderr, "%" PRId64 " words, %zu different, in %.3f s: %.0f words/s by %d process%s", words,
		different, seconds, (double)words / seconds, job.workers, job.workers == 1 ? "" : "es");
	if (busy < job.workers)
		fprintf(stderr, " (%d found no work)", job.workers - busy);
	fputc('\n', stderr);
	if (sum != words || bookkeeping(heap, KEY_CHUNKS_DONE) != job.chunks)
		stop("the counts of the words add up to %" PRId64, sum);
}

/* ---- the command line ----------------------------------------------------------------------------- */

static const char usage_text[] =
	"usage: wordcount [OPTION…] FILE…\n"
	"\n"
	"Counts the words of FILEs (runs of the letters A-Z, in lower case) in a shared heap.\n"
	"\n"
	"  -n, --processes N    how many count (1)\n"
	"  -t, --top K          print the K most frequent (10); 0: all\n"
	"  -H, --heap NAME      count in a heap of that name, which stays; else in one that goes\n"
	"  -r, --replace        also when a heap of that name exists\n"
	"  -e, --elements N     room for so many different words (1048576)\n"
	"  -h, --help           this text\n"
	"\n"
	"Words go to standard output; a progress bar, on a terminal, and the speed to standard error.\n"
	"The exit code is 0, or 1 when anything failed, a worker's death included, or 2 for wrong usage.\n";

static void usage_error(void)
{
	fputs(usage_text, stderr);
	exit(2);
}

static int64_t number_or_usage(const char *text, int64_t least, int64_t most)
{
	char *end;
	long long number;

	errno = 0;
	number = strtoll(text, &end, 10);
	if (end == text || *end || errno || number < least || number > most) {
		fprintf(stderr, "wordcount: \"%s\" is not a number from %" PRId64 " to %" PRId64 "\n", text,
			least, most);
		usage_error();
	}
	return number;
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{"processes", required_argument, NULL, 'n'},
		{"top", required_argument, NULL, 't'},
		{"heap", required_argument, NULL, 'H'},
		{"replace", no_argument, NULL, 'r'},
		{"elements", required_argument, NULL, 'e'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int letter;

	while ((letter = getopt_long(argc, argv, "n:t:H:re:h", options, NULL)) != -1) {
		switch (letter) {
		case 'n':
			job.workers = (int)number_or_usage(optarg, 1, WORKERS_MAX);
			break;
		case 't':
			job.top = number_or_usage(optarg, 0, INT64_MAX);
			break;
		case 'H':
			job.heap_name = optarg;
			job.kept = true;
			break;
		case 'r':
			job.replace = true;
			break;
		case 'e':
			job.elements = (uint64_t)number_or_usage(optarg, 1, INT64_MAX);
			break;
		case 'h':
			fputs(usage_text, stdout);
			exit(0);
		default:
			usage_error();
		}
	}
	if (optind == argc)
		usage_error();
}

/* Sizes are taken once, here, so that all workers agree on the chunks. */
static void look_at_files(char **names, int count)
{
	job.files = calloc((size_t)count, sizeof(*job.files));
	need_memory(job.files);
	job.file_count = count;
	for (int i = 0; i < count; i++) {
		struct stat status;

		if (stat(names[i], &status) < 0)
			stop("%s: %s", names[i], strerror(errno));
		if (!S_ISREG(status.st_mode))
			stop("%s: not a regular file", names[i]);
		job.files[i] = (struct file){
			.name = names[i], .size = (uint64_t)status.st_size, .first_chunk = job.chunks};
		job.chunks += (int64_t)((job.files[i].size + CHUNK - 1) / CHUNK);
	}
}

int main(int argc, char **argv)
{
	ems_connection_t *connection;
	ems_heap_t *heap;
	char own_name[32];
	double seconds;

	read_options(argc, argv);
	look_at_files(argv + optind, argc - optind);
	know_letters();
	if (!job.heap_name) {
		snprintf(own_name, sizeof(own_name), "wordcount-%d", (int)getpid());
		job.heap_name = own_name;
	}
	need(ems_connect(&connection, NULL));
	need(ems_heap_open(
		connection, job.heap_name, job.replace ? EMS_REPLACE : EMS_CREATE,
		&(ems_heap_options_t){.elements = job.elements, .map = true, .until_detached = !job.kept},
		&heap));
	if (!run_workers(heap, &seconds))
		stop("the count is not complete");
	report(heap, seconds);
	ems_heap_close(heap);
	ems_disconnect(connection);
	return 0;
}
