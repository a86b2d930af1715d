/* Playing a case with a real daemon: see scene.h. */
#include "tests/kill/scene.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"

struct totals totals;
bool scene_list_only;

struct helper {
	pid_t pid;
	int to, from; /* a byte each way: work; done */
};

static char heap_name[64];
static ems_connection_t *connection; /* of a child */

void scene_name(struct scene *scene, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	(void)vsnprintf(scene->name, sizeof(scene->name), format, arguments);
	va_end(arguments);
}

/* ---- the clients ---- */

static ems_heap_t *attach(ems_open_t how, const ems_heap_options_t *options, char *why, size_t size)
{
	ems_heap_t *heap;

	if (ems_connect(&connection, NULL) < 0 ||
	    ems_heap_open(connection, heap_name, how, options, &heap) < 0) {
		(void)snprintf(why, size, "%s", ems_last_error()->message);
		return NULL;
	}
	return heap;
}

ems_connection_t *scene_connection(void)
{
	return connection;
}

static void child_body(struct control *control, void *argument)
{
	const struct scene *scene = argument;
	char why[200];
	ems_heap_t *heap = attach(EMS_OPEN_EXISTING, NULL, why, sizeof(why));

	if (!heap)
		control_fail(control, "attaching: %s", why);
	if (scene->prepare && !scene->cold && scene->prepare(scene, heap) < 0)
		control_fail(control, "preparing: %s", ems_last_error()->message);
	control_begin(control);
	int r = scene->operate(scene, heap);
	if (scene->thread)
		control->result = r;
	else
		control_end(control, r);
}

/* The second of two. */
static void second_body(struct control *control, void *argument)
{
	const struct scene *scene = argument;
	char why[200];
	ems_heap_t *heap = attach(EMS_OPEN_EXISTING, NULL, why, sizeof(why));

	if (!heap)
		control_fail(control, "attaching: %s", why);
	/* Not its first operation, which takes ten times as many steps. */
	if (ems_write_int64(heap, ems_index(19), 19) < 0)
		control_fail(control, "preparing: %s", ems_last_error()->message);
	control_begin(control);
	control_end(control, scene->other(scene, heap));
}

static __attribute__((noreturn)) void helper_body(const struct scene *scene, int in, int out, pid_t parent)
{
	char why[200] = "";
	ems_heap_t *heap;
	char byte;
	int r = 0;

	(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(1);
	heap = attach(EMS_CREATE, &scene->options, why, sizeof(why));
	if (heap && scene->prepare && scene->cold) {
		r = scene->prepare(scene, heap);
		if (r < 0)
			(void)snprintf(why, sizeof(why), "%s", ems_last_error()->message);
		ems_heap_detach_thread(heap);
	}
	if (!heap || r < 0) {
		fprintf(stderr, "the helper: %s\n", why);
		_exit(1);
	}
	while (write(out, "", 1) == 1 && read(in, &byte, 1) == 1)
		if (scene->other && (r = scene->other(scene, heap)) < 0)
			fprintf(stderr, "the helper's operation: %s\n", ems_last_error()->message);
	_exit(0);
}

static bool helper_ready(struct helper *helper)
{
	char byte;

	return read(helper->from, &byte, 1) == 1;
}

static void helper_work(void *argument)
{
	struct helper *helper = argument;

	if (write(helper->to, "", 1) != 1 || !helper_ready(helper))
		printf("the helper is gone\n");
}

static void helper_stop(struct helper *helper)
{
	int status;

	if (helper->pid == 0)
		return;
	(void)close(helper->to);
	(void)close(helper->from);
	while (waitpid(helper->pid, &status, 0) < 0 && errno == EINTR)
		continue;
	helper->pid = 0;
}

static int helper_start(struct helper *helper, const struct scene *scene)
{
	int in[2], out[2];
	pid_t parent = getpid();

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0) {
		perror("pipe");
		exit(1);
	}
	(void)fflush(stdout);
	helper->pid = fork();
	if (helper->pid < 0) {
		perror("fork");
		exit(1);
	}
	if (helper->pid == 0) {
		(void)close(in[1]);
		(void)close(out[0]);
		helper_body(scene, in[0], out[1], parent);
	}
	(void)close(in[0]);
	(void)close(out[1]);
	helper->to = in[1];
	helper->from = out[0];
	if (helper_ready(helper))
		return 0;
	helper_stop(helper);
	return -1;
}

/* ---- the heap's memory ---- */

/* Which process listens there: the daemon. */
static pid_t daemon_pid(void)
{
	static pid_t known;
	const char *path = getenv("EMS_SOCKET");
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	struct ucred peer = {0};
	socklen_t size = sizeof(peer);
	int fd;

	if (known || !path || strlen(path) >= sizeof(address.sun_path))
		return known;
	strcpy(address.sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0)
		known = peer.pid;
	closep(&fd);
	return known;
}

/* The inode of the which-th heap that a process has mapped; 0 when it has none. Heaps are told apart up to two. */
static uint64_t mapped_inode(pid_t pid, unsigned which)
{
	char path[64], line[512];
	uint64_t inode = 0, first = 0;
	FILE *maps;

	(void)snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	maps = fopen(path, "re");
	while (maps && inode == first && fgets(line, sizeof(line), maps))
		if (strstr(line, "memfd:ems-heap")) {
			(void)sscanf(line, "%*s %*s %*s %*s %" SCNu64, &inode);
			if (which == 1 && first == 0)
				first = inode;
		}
	if (maps)
		(void)fclose(maps);
	return inode != first ? inode : 0;
}

/* Opens the daemon's descriptor of that inode; -1 when there is none. */
static int open_heap(uint64_t inode)
{
	char folder[64], path[400];
	struct dirent *entry;
	struct stat st;
	int fd = -1;
	DIR *dir;

	(void)snprintf(folder, sizeof(folder), "/proc/%d/fd", (int)daemon_pid());
	dir = opendir(folder);
	while (dir && fd < 0 && (entry = readdir(dir))) {
		(void)snprintf(path, sizeof(path), "%s/%s", folder, entry->d_name);
		if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_ino == inode)
			fd = open(path, O_RDWR | O_CLOEXEC);
	}
	if (dir)
		(void)closedir(dir);
	return fd;
}

int scene_heap_fd(pid_t pid, unsigned which)
{
	return open_heap(mapped_inode(pid, which));
}

/* ---- the play ---- */

static void check_outcome(const struct scene *scene, struct explore *explore)
{
	if (explore->result != scene->expected && (!scene->or_else || explore->result != scene->or_else)) {
		printf("FAIL %s: it gives %s, expected %s\n", scene->name, ems_error_name(explore->result),
		       ems_error_name(scene->expected));
		explore->failures++;
	}
	if (!scene->interfere_at && !scene->meanwhile && scene->changes != EITHER &&
	    explore_changed(explore) != (scene->changes == CHANGES)) {
		printf("FAIL %s: contents %s\n", scene->name,
		       scene->changes == CHANGES ? "have not changed" : "have changed");
		explore->failures++;
	}
}

/* Steps the first of two to its image number stop_at, or to the end. */
static bool stop_first(const struct scene *scene, struct tracee *first, int fd)
{
	struct watch watch;
	uint64_t images = 0;
	int r = 1;

	if (watch_init(&watch, fd) < 0)
		return false;
	while (images < scene->stop_at && (r = tracee_step(first)) > 0)
		images += watch_changed(&watch, false) && watch_is_new(&watch);
	watch_fini(&watch);
	return r >= 0;
}

static bool explore_second(const struct scene *scene, struct explore *explore, int fd)
{
	struct tracee first = explore->tracee;
	bool done = stop_first(scene, &first, fd) &&
		    tracee_start(&explore->tracee, second_body, (void *)(uintptr_t)scene) == 0;

	if (done) {
		explore->dead_too = first.pid;
		done = explore_run(explore, fd) == 0;
	}
	tracee_kill(&first);
	return done;
}

static void explore_scene(const struct scene *scene, struct explore *explore)
{
	_cleanup_(closep) int fd = -1;

	fd = scene_heap_fd(explore->tracee.pid, 0);
	if (fd < 0) {
		printf("FAIL %s: cannot find the heap's memory at the daemon\n", scene->name);
		tracee_kill(&explore->tracee);
		explore->failures++;
	} else if (scene->stop_at) {
		explore->failures += !explore_second(scene, explore, fd);
	} else if (explore_run(explore, fd) == 0) {
		check_outcome(scene, explore);
	}
}

void totals_add(const char *name, const struct explore *explore)
{
	totals.scenes++;
	totals.steps += explore->steps;
	totals.images += explore->images;
	totals.judged += explore->judged;
	totals.recovery_images += explore->recovery_images;
	totals.failures += explore->failures;
	totals.last_images = explore->images;
	printf("%s %s: %" PRIu64 " steps, %" PRIu64 " images, %" PRIu64 " tried",
	       explore->failures ? "FAIL" : "ok", name, explore->steps, explore->images, explore->judged);
	if (explore->recovery_images)
		printf(", %" PRIu64 " of recovery", explore->recovery_images);
	printf("\n");
}

bool scene_skip(const char *function, const char *name)
{
	const char *only = getenv("EMS_KILL_ONLY");

	if (scene_list_only && function)
		puts(function);
	return scene_list_only || (only && !strstr(name, only));
}

bool scene_play(const struct scene *scene)
{
	static unsigned number;
	struct helper helper = {0};
	struct explore explore = {
		.name = scene->name,
		.promise = scene->promise,
		.with_index = !scene->other && !scene->meanwhile,
		.robust_steps = scene->robust_steps,
		.recoveries = scene->recoveries,
		.interfere = scene->interfere_at ? helper_work : NULL,
		.interfere_argument = &helper,
		.interfere_at = scene->interfere_at,
		.meanwhile = scene->meanwhile,
		.argument = scene->argument,
		.may_come_first = scene->may_come_first,
	};

	if (scene_skip(scene->function, scene->name)) {
		totals.last_images = 40; /* as good a guess as any */
		return true;
	}
	(void)snprintf(heap_name, sizeof(heap_name), "kill/%d-%u", (int)getpid(), ++number);
	if (helper_start(&helper, scene) < 0 ||
	    (scene->thread ? tracee_start_thread : tracee_start)(&explore.tracee, child_body,
								 (void *)(uintptr_t)scene) < 0)
		explore.failures++;
	else
		explore_scene(scene, &explore);
	helper_stop(&helper);
	totals_add(scene->name, &explore);
	explore_free(&explore);
	return explore.failures == 0;
}
