/*
 * test_broker_recorded.c: sessions of clients of every released version, as bytes, played to today's daemon.
 *
 * tests/integration/recorded/ has one file for each release: lines of
 *
 *     # a comment
 *     > BYTES        what the client sent: whole frames, in hexadecimal; ">+": with a descriptor of a file of a page
 *     < BYTES        a frame that the daemon answered with; "<+": with a descriptor
 *
 * The daemon must answer each request as it did then: the same kind of frame in the same order, and in it every field of
 * then, of the same type, with the same value unless that is random or tells of the moment. New fields may be there. So a client of
 * that release works. Files are never changed; a release adds one:
 *
 *     EMS_RECORD=FILE tests/integration/test_broker_recorded        plays the script below, and writes what was said
 */
#include <dirent.h>
#include <fcntl.h>
#include <msgpack.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/integration/broker.h"

/* Of a release, of a machine, of the moment, or random. */
static const char *const vary[] = {"client",	"pid",	     "software_version", "heap_id", "seed",   "uid",
				   "gid",	"created",   "last_used",	 "uptime",  "budget", "ticket",
				   "committed", "user_bytes", "user_bytes_limit", "features", "message",
				   "since",	"bytes", "bytes_limit", "number", "done", NULL};

static bool varies(const msgpack_object_str *key)
{
	for (size_t i = 0; vary[i]; i++)
		if (strlen(vary[i]) == key->size && memcmp(vary[i], key->ptr, key->size) == 0)
			return true;
	return false;
}

/* ---- comparing ---- */

static const msgpack_object *field(const msgpack_object *map, const msgpack_object *key)
{
	for (uint32_t i = 0; i < map->via.map.size; i++)
		if (msgpack_object_equal(map->via.map.ptr[i].key, *key))
			return &map->via.map.ptr[i].val;
	return NULL;
}

/* Integers have two types, by their sign. */
static bool same_type(const msgpack_object *then, const msgpack_object *now)
{
	bool integers = (then->type == MSGPACK_OBJECT_POSITIVE_INTEGER || then->type == MSGPACK_OBJECT_NEGATIVE_INTEGER) &&
			(now->type == MSGPACK_OBJECT_POSITIVE_INTEGER || now->type == MSGPACK_OBJECT_NEGATIVE_INTEGER);

	return integers || then->type == now->type;
}

/* Of a file's name only how it begins: behind that are its device and inode. */
static bool same_value(const msgpack_object *then, const msgpack_object *now)
{
	static const char file[] = "~file/";
	const size_t size = sizeof(file) - 1;

	if (then->type == MSGPACK_OBJECT_STR && then->via.str.size > size && memcmp(then->via.str.ptr, file, size) == 0)
		return now->via.str.size > size && memcmp(now->via.str.ptr, file, size) == 0;
	return msgpack_object_equal(*then, *now);
}

static void compare(const msgpack_object *then, const msgpack_object *now, const char *path)
{
	ck_assert_msg(same_type(then, now), "%s: another type", path);
	if (then->type == MSGPACK_OBJECT_ARRAY) {
		ck_assert_msg(then->via.array.size == now->via.array.size, "%s: another length", path);
		for (uint32_t i = 0; i < then->via.array.size; i++)
			compare(&then->via.array.ptr[i], &now->via.array.ptr[i], path);
		return;
	}
	if (then->type != MSGPACK_OBJECT_MAP) {
		ck_assert_msg(same_value(then, now), "%s: another value", path);
		return;
	}
	for (uint32_t i = 0; i < then->via.map.size; i++) {
		const msgpack_object_kv *pair = &then->via.map.ptr[i];
		const msgpack_object *value = field(now, &pair->key);
		char deeper[512];

		snprintf(deeper, sizeof(deeper), "%s.%.*s", path, (int)pair->key.via.str.size, pair->key.via.str.ptr);
		ck_assert_msg(value, "%s is missing", deeper);
		if (varies(&pair->key.via.str))
			ck_assert_msg(same_type(&pair->val, value), "%s: another type", deeper);
		else
			compare(&pair->val, value, deeper);
	}
}

static void compare_frames(const char *then, size_t then_size, const char *now, size_t now_size, const char *where)
{
	msgpack_unpacked a, b;

	msgpack_unpacked_init(&a);
	msgpack_unpacked_init(&b);
	ck_assert_int_eq(msgpack_unpack_next(&a, then, then_size, NULL), MSGPACK_UNPACK_SUCCESS);
	ck_assert_int_eq(msgpack_unpack_next(&b, now, now_size, NULL), MSGPACK_UNPACK_SUCCESS);
	compare(&a.data, &b.data, where);
	msgpack_unpacked_destroy(&a);
	msgpack_unpacked_destroy(&b);
}

/* ---- files ---- */

static size_t from_hex(const char *text, char *bytes, size_t most)
{
	size_t size = 0;
	unsigned byte;

	for (; size < most && sscanf(text, "%2x", &byte) == 1; text += 2)
		bytes[size++] = (char)byte;
	return size;
}

static void to_hex(FILE *file, const char *mark, const void *bytes, size_t size)
{
	fprintf(file, "%s ", mark);
	for (size_t i = 0; i < size; i++)
		fprintf(file, "%02x", ((const unsigned char *)bytes)[i]);
	fprintf(file, "\n");
}

/* A file as a client would hand over: empty but for its length, and without a name. */
static int make_file(void)
{
	char path[] = "/tmp/test_broker_recorded.XXXXXX";
	int fd = mkostemp(path, O_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(unlink(path), 0);
	ck_assert_int_eq(ftruncate(fd, 4096), 0);
	return fd;
}

static void send_frames(struct peer *peer, const void *bytes, size_t size, bool with_file)
{
	int fd = with_file ? make_file() : -1;

	ck_assert_int_eq(proto_send_all(peer->socket, bytes, size, fd, clock_deadline(BROKER_PATIENCE)), 0);
	fd_close(fd);
}

/* Ops of which some session has a request. */
static bool met[PROTO_OP_COUNT];

static void replay_line(struct peer *peer, char *line, const char *where)
{
	static char bytes[PROTO_FRAME_MAX + 4];
	struct proto_message request;
	const void *data;
	size_t size, now;
	int fd;

	if (line[0] == '>') {
		size = from_hex(strchr(line, ' ') + 1, bytes, sizeof(bytes));
		ck_assert_int_eq(proto_parse(bytes + 4, size - 4, &request), 0);
		met[request.op] = true;
		send_frames(peer, bytes, size, line[1] == '+');
		return;
	}
	if (line[0] != '<')
		return;
	size = from_hex(strchr(line, ' ') + 1, bytes, sizeof(bytes));
	ck_assert_msg(proto_reader_wait(&peer->reader, peer->socket, clock_deadline(BROKER_PATIENCE), &data, &now) == 0,
		      "%s: no answer", where);
	compare_frames(bytes + 4, size - 4, data, now, where);
	fd = proto_reader_steal_fd(&peer->reader);
	ck_assert_msg((fd >= 0) == (line[1] == '+'), "%s: a descriptor too few, or too many", where);
	fd_close(fd);
}

static void replay(const char *path)
{
	static char line[2 * PROTO_FRAME_MAX + 64];
	FILE *file = fopen(path, "re");
	struct daemon daemon;
	struct peer peer;
	char where[600];
	unsigned number = 0;

	ck_assert_ptr_nonnull(file);
	printf("%s\n", path);
	daemon_start(&daemon, NULL);
	peer_connect(&peer, daemon.socket);
	while (fgets(line, sizeof(line), file)) {
		snprintf(where, sizeof(where), "%.500s:%u", path, ++number);
		replay_line(&peer, line, where);
	}
	ck_assert_msg(number > 10, "%s: nothing in it", path);
	peer_close(&peer);
	fclose(file);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}

START_TEST(every_release)
{
	const char *source = getenv("top_srcdir");
	char folder[512], path[800];
	struct dirent *entry;
	unsigned count = 0;
	DIR *directory;

	snprintf(folder, sizeof(folder), "%.400s/tests/integration/recorded", source ? source : ".");
	directory = opendir(folder);
	ck_assert_ptr_nonnull(directory);
	while ((entry = readdir(directory))) {
		if (!strstr(entry->d_name, ".session"))
			continue;
		snprintf(path, sizeof(path), "%s/%.200s", folder, entry->d_name);
		replay(path);
		count++;
	}
	closedir(directory);
	ck_assert_uint_ge(count, 1);
	for (int op = PROTO_OP_UNKNOWN + 1; op < PROTO_OP_COUNT; op++)
		ck_assert_msg(met[op], "no session has a request \"%s\": extend the script, and record one", proto_op_name(op));
}
END_TEST

/* It sees what an old client would stumble over. */
static void compare_texts(const char *then, const char *now)
{
	char a[256], b[256];
	size_t a_size = from_hex(then, a, sizeof(a)), b_size = from_hex(now, b, sizeof(b));

	compare_frames(a, a_size, b, b_size, "planted");
}

START_TEST(a_new_field_is_no_matter)
{
	compare_texts("81a16101", "82a16101a16202"); /* {a: 1} and {a: 1, b: 2} */
	compare_texts("81a3706964cd1000", "81a370696405"); /* pid */
}
END_TEST

START_TEST(sees_a_missing_field)
{
	compare_texts("82a16101a16202", "81a16101");
}
END_TEST

START_TEST(sees_another_type)
{
	compare_texts("81a16101", "81a161a131");
}
END_TEST

START_TEST(sees_another_value)
{
	compare_texts("81a16101", "81a16102");
}
END_TEST

/* ---- recording ---- */

struct recorder {
	struct peer peer;
	FILE *file;
};

static void say(struct recorder *recorder, const char *comment, enum proto_op op, const void *body)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	struct peer *peer = &recorder->peer;
	uint64_t id = op == PROTO_TRIM ? 0 : peer->next_id++;
	struct proto_message message;
	uint8_t length[4];
	const void *data;
	size_t size;
	int fd;

	ck_assert_int_eq(proto_encode_request(&buffer, id, op, body), 0);
	fprintf(recorder->file, "# %s\n", comment);
	to_hex(recorder->file, op == PROTO_OPEN_FILE ? ">+" : ">", buffer.data, buffer.size);
	send_frames(peer, buffer.data, buffer.size, op == PROTO_OPEN_FILE);
	if (op == PROTO_TRIM)
		return;
	do {
		ck_assert_int_eq(proto_reader_wait(&peer->reader, peer->socket, clock_deadline(BROKER_PATIENCE), &data, &size), 0);
		ck_assert_int_eq(proto_parse(data, size, &message), 0);
		fd = proto_reader_steal_fd(&peer->reader);
		for (int i = 0; i < 4; i++)
			length[i] = (uint8_t)(size >> 8 * i);
		fprintf(recorder->file, "%s ", fd >= 0 ? "<+" : "<");
		for (int i = 0; i < 4; i++)
			fprintf(recorder->file, "%02x", length[i]);
		for (size_t i = 0; i < size; i++)
			fprintf(recorder->file, "%02x", ((const uint8_t *)data)[i]);
		fprintf(recorder->file, "\n");
		fd_close(fd);
	} while (message.kind == PROTO_KIND_EVENT);
}

static struct proto_open request(const char *name, enum proto_how how, uint64_t elements, bool map)
{
	struct proto_open open = peer_request(name, how, elements);

	open.params.has_map = map;
	open.params.max_elements = 4 * elements;
	open.params.storage = 1 << 20;
	return open;
}

static void script_of_heaps(struct recorder *recorder)
{
	struct proto_hello hello = {.version_min = PROTO_VERSION_MIN,
				    .version_max = PROTO_VERSION_MAX,
				    .features = ~0u & ~PROTO_FEATURE_PIDFD,
				    .software = "libems",
				    .software_version = "recorded"};
	struct proto_open plain = request("recorded/plain", PROTO_HOW_CREATE, 10, false);
	struct proto_open mapped = request("~/recorded", PROTO_HOW_OPEN_OR_CREATE, 1000, true);
	struct proto_open existing = {.how = PROTO_HOW_OPEN, .access = PROTO_ACCESS_READ, .name = "recorded/plain"};
	struct proto_open missing = {.how = PROTO_HOW_OPEN, .name = "recorded/missing"};

	say(recorder, "hello", PROTO_HELLO, &hello);
	say(recorder, "ping", PROTO_PING, &(struct proto_empty){0});
	say(recorder, "open: create", PROTO_OPEN, &plain);
	say(recorder, "open: create, which is there: EXISTS", PROTO_OPEN, &plain);
	say(recorder, "open: open_or_create, with a map", PROTO_OPEN, &mapped);
	mapped.params.elements = 2000;
	say(recorder, "open: open_or_create with other params: MISMATCH", PROTO_OPEN, &mapped);
	say(recorder, "open: for reading", PROTO_OPEN, &existing);
	say(recorder, "open: NOT_FOUND", PROTO_OPEN, &missing);
	say(recorder, "list", PROTO_LIST, &(struct proto_list){.prefix = "recorded/"});
	say(recorder, "inspect", PROTO_INSPECT, &(struct proto_inspect){.heap = 1});
	say(recorder, "inspect by name", PROTO_INSPECT, &(struct proto_inspect){.name = "~/recorded"});
	say(recorder, "grow", PROTO_GROW, &(struct proto_grow){.heap = 1, .elements = 20});
	say(recorder, "grow too far: RANGE", PROTO_GROW, &(struct proto_grow){.heap = 1, .elements = 4000});
	say(recorder, "commit_storage", PROTO_COMMIT_STORAGE, &(struct proto_commit_storage){.heap = 2, .chunks = 1});
	say(recorder, "prepare_table", PROTO_PREPARE_TABLE, &(struct proto_prepare_table){.heap = 2, .table = 1});
	say(recorder, "commit_units: RANGE", PROTO_COMMIT_UNITS, &(struct proto_commit_units){.heap = 1, .first = 1 << 30, .count = 1});
	say(recorder, "commit_units: the header, which is there", PROTO_COMMIT_UNITS,
	    &(struct proto_commit_units){.heap = 1, .first = 0, .count = 1});
	say(recorder, "commit_storage for a reader: READ_ONLY", PROTO_COMMIT_STORAGE, &(struct proto_commit_storage){.heap = 3, .chunks = 1});
	say(recorder, "trim, which has no answer", PROTO_TRIM, &(struct proto_trim){.heap = 2});
	say(recorder, "recover", PROTO_RECOVER, &(struct proto_recover){.heap = 2});
	say(recorder, "detach", PROTO_DETACH, &(struct proto_detach){.heap = 3});
	say(recorder, "detach again: NOT_FOUND", PROTO_DETACH, &(struct proto_detach){.heap = 3});
	say(recorder, "drop, with the event for those attached", PROTO_DROP, &(struct proto_drop){.name = "recorded/plain"});
	say(recorder, "drop by number", PROTO_DROP, &(struct proto_drop){.heap = 2});
	say(recorder, "list of nothing", PROTO_LIST, &(struct proto_list){0});
}

/* From attachment 4 on; the heap is left. */
static void script_of_owners_and_users(struct recorder *recorder)
{
	struct proto_open again = request("recorded/again", PROTO_HOW_CREATE, 10, false);

	say(recorder, "open: create", PROTO_OPEN, &again);
	say(recorder, "chmod", PROTO_CHMOD, &(struct proto_chmod){.heap = 4, .mode = 0640});
	say(recorder, "chmod of what is not there: NOT_FOUND", PROTO_CHMOD, &(struct proto_chmod){.name = "recorded/none", .mode = 0600});
	say(recorder, "chown to who has it", PROTO_CHOWN,
	    &(struct proto_chown){.name = "recorded/again", .uid = PROTO_SAME_ID, .gid = PROTO_SAME_ID});
	say(recorder, "rename", PROTO_RENAME, &(struct proto_rename){.name = "recorded/again", .to = "recorded/other"});
	say(recorder, "rename what is not there: NOT_FOUND", PROTO_RENAME,
	    &(struct proto_rename){.name = "recorded/again", .to = "recorded/other"});
	say(recorder, "inspect, renamed", PROTO_INSPECT, &(struct proto_inspect){.name = "recorded/other"});
	say(recorder, "status", PROTO_STATUS, &(struct proto_empty){0});
	say(recorder, "clients", PROTO_CLIENTS, &(struct proto_clients){0});
	say(recorder, "clients of a heap", PROTO_CLIENTS, &(struct proto_clients){.name = "recorded/other", .limit = 1});
	say(recorder, "kick nobody: NOT_FOUND", PROTO_KICK, &(struct proto_kick){.client = 7});
	say(recorder, "quota", PROTO_QUOTA, &(struct proto_quota){.limit = 1});
	say(recorder, "copy, with a descriptor", PROTO_COPY, &(struct proto_copy){.heap = 4});
	say(recorder, "copy of nothing: NOT_FOUND", PROTO_COPY, &(struct proto_copy){.heap = 99});
	say(recorder, "reattach what is not there: DROPPED", PROTO_REATTACH,
	    &(struct proto_reattach){.heap_id = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}, .ticket = 5});
}

/* Attachments 5 (a region), 6 (a file), 7 (a team). */
static void script_of_other_kinds(struct recorder *recorder)
{
	struct proto_open region = {.how = PROTO_HOW_CREATE,
				    .kind = PROTO_NAMED_REGION,
				    .name = "recorded/region",
				    .mode = 0600,
				    .region = {.size = 4096, .max_size = 1 << 20}};
	struct proto_open team = {.how = PROTO_HOW_OPEN_OR_CREATE,
				  .kind = PROTO_NAMED_TEAM,
				  .name = "recorded/team",
				  .mode = 0600,
				  .team = {.members = 3, .elastic = true}};

	say(recorder, "open: a region", PROTO_OPEN, &region);
	say(recorder, "grow_region", PROTO_GROW_REGION, &(struct proto_grow_region){.heap = 5, .size = 8192});
	say(recorder, "grow_region too far: RANGE", PROTO_GROW_REGION, &(struct proto_grow_region){.heap = 5, .size = 1 << 21});
	say(recorder, "open_file", PROTO_OPEN_FILE, &(struct proto_open_file){.access = PROTO_ACCESS_WRITE});
	say(recorder, "open: a team", PROTO_OPEN, &team);
	say(recorder, "inspect a region", PROTO_INSPECT, &(struct proto_inspect){.heap = 5});
	say(recorder, "inspect a team", PROTO_INSPECT, &(struct proto_inspect){.heap = 7});
	say(recorder, "open a region as a heap: MISMATCH", PROTO_OPEN,
	    &(struct proto_open){.how = PROTO_HOW_OPEN, .name = "recorded/region"});
	say(recorder, "list of all kinds", PROTO_LIST, &(struct proto_list){.limit = 10});
}

/* Attachment 8. Of the disk nothing is asked that depends on when it was written. */
static void script_of_persistence(struct recorder *recorder)
{
	struct proto_open saved = request("recorded/saved", PROTO_HOW_CREATE, 10, false);

	saved.params.persistent = true;
	saved.checkpoint_ms = PROTO_CHECKPOINT_NEVER;
	say(recorder, "open: a persistent heap", PROTO_OPEN, &saved);
	say(recorder, "sync", PROTO_SYNC, &(struct proto_sync){.heap = 8});
	say(recorder, "sync of a volatile heap: UNSUPPORTED", PROTO_SYNC, &(struct proto_sync){.heap = 4});
	say(recorder, "join with what is not there", PROTO_JOIN, &(struct proto_join){.heap = 8, .other = {1, 2, 3}});
	say(recorder, "drop it", PROTO_DROP, &(struct proto_drop){.name = "recorded/saved"});
}

static void script(struct recorder *recorder)
{
	script_of_heaps(recorder);
	script_of_owners_and_users(recorder);
	script_of_other_kinds(recorder);
	script_of_persistence(recorder);
}

START_TEST(record)
{
	struct recorder recorder = {.file = fopen(getenv("EMS_RECORD"), "we")};
	struct daemon daemon;

	ck_assert_ptr_nonnull(recorder.file);
	daemon_start(&daemon, NULL);
	peer_connect(&recorder.peer, daemon.socket);
	fprintf(recorder.file, "# A session of protocol version %u. See tests/integration/test_broker_recorded.c.\n",
		PROTO_VERSION_MAX);
	script(&recorder);
	peer_close(&recorder.peer);
	fclose(recorder.file);
	ck_assert_int_eq(daemon_stop(&daemon), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("broker/recorded");
	TCase *tcase = tcase_create("recorded"), *detectors = tcase_create("detectors");
	SRunner *runner;
	int failed, expected;

	tcase_add_test(tcase, getenv("EMS_RECORD") ? record : every_release);
	tcase_add_test(tcase, a_new_field_is_no_matter);
	/* These fail by themselves when they do what they are for. */
	tcase_add_test(detectors, sees_a_missing_field);
	tcase_add_test(detectors, sees_another_type);
	tcase_add_test(detectors, sees_another_value);
	suite_add_tcase(suite, tcase);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_ENV);
	failed = srunner_ntests_failed(runner);
	srunner_free(runner);
	suite = suite_create("broker/recorded: detectors, all of which have to fail");
	suite_add_tcase(suite, detectors);
	runner = srunner_create(suite);
	srunner_run_all(runner, CK_SILENT);
	expected = srunner_ntests_failed(runner);
	printf("%d of 3 detectors see what was planted\n", expected);
	srunner_free(runner);
	return failed == 0 && expected == 3 ? EXIT_SUCCESS : EXIT_FAILURE;
}
