/*
 * test_broker_recorded.c: sessions of clients of every released version, as bytes, played to today's daemon.
 *
 * tests/integration/recorded/ has one file for each release: lines of
 *
 *     # a comment
 *     > BYTES        what the client sent: whole frames, in hexadecimal
 *     < BYTES        a frame that the daemon answered with; "<+": with a descriptor
 *
 * The daemon must answer each request as it did then: the same kind of frame in the same order, and in it every field of
 * then, of the same type, with the same value unless that is random or tells of the moment. New fields may be there. So a client of
 * that release works. Files are never changed; a release adds one:
 *
 *     EMS_RECORD=FILE tests/integration/test_broker_recorded        plays the script below, and writes what was said
 */
#include <dirent.h>
#include <msgpack.h>

#include "tests/integration/broker.h"

/* Of a release, of a machine, of the moment, or random. */
static const char *const vary[] = {"client",	"pid",	     "software_version", "heap_id", "seed",   "uid",
				   "gid",	"created",   "last_used",	 "uptime",  "budget", "ticket",
				   "committed", "user_bytes_limit", "features", "message", NULL};

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
		ck_assert_msg(msgpack_object_equal(*then, *now), "%s: another value", path);
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

static void replay_line(struct peer *peer, char *line, const char *where)
{
	static char bytes[PROTO_FRAME_MAX + 4];
	const void *data;
	size_t size, now;
	int fd;

	if (line[0] == '>') {
		size = from_hex(line + 2, bytes, sizeof(bytes));
		peer_send_raw(peer, bytes, size);
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
	to_hex(recorder->file, ">", buffer.data, buffer.size);
	peer_send_raw(peer, buffer.data, buffer.size);
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

static void script(struct recorder *recorder)
{
	struct proto_hello hello = {.version_min = PROTO_VERSION_MIN,
				    .version_max = PROTO_VERSION_MAX,
				    .features = PROTO_FEATURE_HEAPS,
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
