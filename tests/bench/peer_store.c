/* Stores that others use for what processes share: LMDB, and a Redis server of the bench's own, over its Unix socket. */
#include "config.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#ifdef HAVE_LMDB
#include <lmdb.h>
#endif

#include "base/cleanup.h"
#include "tests/bench/peer.h"

#define VALUE_SIZE 64

static bool make_directory(char *path, size_t size, const char *name)
{
	const char *parent = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";

	return snprintf(path, size, "%s/%s.XXXXXX", parent, name) < (int)size && mkdtemp(path);
}

static void remove_file(const char *directory, const char *name)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	(void)unlink(path);
}

static void report_alone(struct bench *bench, const char *what, measure_work_t *work, void *context, bool wall)
{
	struct measure measure = {bench->measure.turns, bench->measure.slice, wall};

	report_figure(&(struct figure){.what = what, .unit = "ns", .measured = measure_alone(&measure, work, context)});
}

/* ---- LMDB ---- */

#ifdef HAVE_LMDB
struct lmdb {
	MDB_env *environment;
	MDB_dbi table;
	uint64_t random;
};

static void lmdb_need(int r)
{
	need_system(r == 0, mdb_strerror(r));
}

/* Each in a transaction of its own, as others are to see it at once; nothing is synchronised with the disk. */
static void lmdb_put(void *context, uint64_t count)
{
	struct lmdb *lmdb = context;
	char value[VALUE_SIZE] = {1};

	for (uint64_t i = 0; i < count; i++) {
		uint32_t number = (uint32_t)(next_random(&lmdb->random) % 1000);
		MDB_val key = {sizeof(number), &number}, data = {sizeof(value), value};
		MDB_txn *transaction;

		lmdb_need(mdb_txn_begin(lmdb->environment, NULL, 0, &transaction));
		lmdb_need(mdb_put(transaction, lmdb->table, &key, &data, 0));
		lmdb_need(mdb_txn_commit(transaction));
	}
}

static void lmdb_get(void *context, uint64_t count)
{
	struct lmdb *lmdb = context;
	char value[VALUE_SIZE];

	for (uint64_t i = 0; i < count; i++) {
		uint32_t number = (uint32_t)(next_random(&lmdb->random) % 1000);
		MDB_val key = {sizeof(number), &number}, data;
		MDB_txn *transaction;

		lmdb_need(mdb_txn_begin(lmdb->environment, NULL, MDB_RDONLY, &transaction));
		lmdb_need(mdb_get(transaction, lmdb->table, &key, &data));
		memcpy(value, data.mv_data, sizeof(value));
		__asm__ volatile("" : : "r"(value) : "memory");
		mdb_txn_abort(transaction);
	}
}

/* Fills it, so that each key is there to be got. */
static void lmdb_open(struct lmdb *lmdb, const char *directory)
{
	char value[VALUE_SIZE] = {1};
	MDB_txn *transaction;

	lmdb_need(mdb_env_create(&lmdb->environment));
	lmdb_need(mdb_env_set_mapsize(lmdb->environment, 16u << 20));
	lmdb_need(mdb_env_open(lmdb->environment, directory, MDB_NOSYNC | MDB_WRITEMAP, 0600));
	lmdb_need(mdb_txn_begin(lmdb->environment, NULL, 0, &transaction));
	lmdb_need(mdb_dbi_open(transaction, NULL, MDB_INTEGERKEY, &lmdb->table));
	for (uint32_t number = 0; number < 1000; number++) {
		MDB_val key = {sizeof(number), &number}, data = {sizeof(value), value};

		lmdb_need(mdb_put(transaction, lmdb->table, &key, &data, 0));
	}
	lmdb_need(mdb_txn_commit(transaction));
}

static void measure_lmdb(struct bench *bench)
{
	struct lmdb lmdb = {.random = 1};
	char directory[128];

	need_system(make_directory(directory, sizeof(directory), "ems-bench-lmdb"), "a folder");
	lmdb_open(&lmdb, directory);
	report_alone(bench, "LMDB, no sync: put 64 bytes", lmdb_put, &lmdb, false);
	report_alone(bench, "LMDB: get 64 bytes", lmdb_get, &lmdb, false);
	mdb_env_close(lmdb.environment);
	remove_file(directory, "data.mdb");
	remove_file(directory, "lock.mdb");
	(void)rmdir(directory);
}
#else
static void measure_lmdb(struct bench *bench)
{
	(void)bench;
	report_missing("LMDB: put, get 64 bytes", "built without its library");
}
#endif

/* ---- Redis ---- */

struct redis {
	int fd;
	const char *first, *second; /* commands as they are sent; second may be NULL */
};

/* One command, one answer of one or two lines ("$N" announces N bytes). */
static void redis_ask(int fd, const char *command)
{
	char answer[256], *line;
	size_t size = strlen(command), have = 0, wanted = 0;

	need_system(write(fd, command, size) == (ssize_t)size, "Redis");
	do {
		ssize_t got = read(fd, answer + have, sizeof(answer) - 1 - have);

		need_system(got > 0, "Redis");
		have += (size_t)got;
		answer[have] = '\0';
		line = strstr(answer, "\r\n");
		if (line && wanted == 0) {
			wanted = (size_t)(line - answer) + 2;
			if (answer[0] == '$' && answer[1] != '-')
				wanted += strtoul(answer + 1, NULL, 10) + 2;
		}
	} while (wanted == 0 || have < wanted);
	need_system(answer[0] != '-', answer);
}

static void redis_work(void *context, uint64_t count)
{
	const struct redis *redis = context;

	for (uint64_t i = 0; i < count; i++) {
		redis_ask(redis->fd, redis->first);
		if (redis->second)
			redis_ask(redis->fd, redis->second);
	}
}

static pid_t redis_start(const char *directory)
{
	pid_t parent = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	/* Not longer than the bench, whatever becomes of it. */
	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent || chdir(directory) < 0)
		_exit(127);
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", "socket", "--save", "", "--appendonly", "no",
	       "--logfile", "log", (char *)NULL);
	_exit(127);
}

/* Until it listens; -1 when it has ended instead. */
static int redis_connect(const char *directory, pid_t pid)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	need_system(fd >= 0, "a socket");
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", directory);
	while (connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		if (waitpid(pid, NULL, WNOHANG) != 0) {
			close(fd);
			return -1;
		}
		usleep(1000);
	}
	return fd;
}

static void measure_redis(struct bench *bench)
{
	char directory[80], set[128];
	struct redis redis;
	pid_t pid;

	need_system(make_directory(directory, sizeof(directory), "ems-bench-redis"), "a folder");
	pid = redis_start(directory);
	redis.fd = pid < 0 ? -1 : redis_connect(directory, pid);
	if (redis.fd < 0) {
		report_missing("Redis, Unix socket: INCR, GET, LPUSH and RPOP", "redis-server is not installed, or fails");
	} else {
		snprintf(set, sizeof(set), "*3\r\n$3\r\nSET\r\n$1\r\ng\r\n$64\r\n%064d\r\n", 7);
		redis_ask(redis.fd, set);
		redis = (struct redis){redis.fd, "*2\r\n$4\r\nINCR\r\n$1\r\nn\r\n", NULL};
		report_alone(bench, "Redis, Unix socket: INCR", redis_work, &redis, true);
		redis.first = "*2\r\n$3\r\nGET\r\n$1\r\ng\r\n";
		report_alone(bench, "Redis, Unix socket: GET 64 bytes", redis_work, &redis, true);
		redis.first = "*3\r\n$5\r\nLPUSH\r\n$1\r\nl\r\n$1\r\n1\r\n";
		redis.second = "*2\r\n$4\r\nRPOP\r\n$1\r\nl\r\n";
		report_alone(bench, "Redis, Unix socket: LPUSH and RPOP", redis_work, &redis, true);
		close(redis.fd);
		(void)kill(pid, SIGKILL);
		(void)waitpid(pid, NULL, 0);
	}
	remove_file(directory, "socket");
	remove_file(directory, "log");
	(void)rmdir(directory);
}

void peer_stores(struct bench *bench)
{
	measure_lmdb(bench);
	measure_redis(bench);
}
