/*
 * test_broker_wire.c: what a client may do wrong to a daemon, and that the others do not notice.
 */
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "tests/integration/broker.h"

/* Served as if nothing had been. */
static void check_served(struct peer *other)
{
	struct proto_empty nothing = {0};

	ck_assert_int_eq(peer_call(other, PROTO_PING, &nothing, &nothing), 0);
}

static void expect_error_and_end(struct peer *peer, int code)
{
	ck_assert_int_eq(peer_receive(peer), 0);
	ck_assert_int_eq(peer->message.kind, PROTO_KIND_ERROR);
	ck_assert_int_eq(peer->message.error.code, code);
	peer_expect_end(peer);
}

/* Both in one line. */
static bool log_has_both(const char *text, const char *other)
{
	char path[128], line[4096];
	bool found = false;
	FILE *log;

	snprintf(path, sizeof(path), "%s/emsd.log", the_daemon.directory);
	log = fopen(path, "r");
	ck_assert_ptr_nonnull(log);
	while (!found && fgets(line, sizeof(line), log))
		found = strstr(line, text) && strstr(line, other);
	fclose(log);
	return found;
}

static bool log_has(const char *text)
{
	return log_has_both(text, "");
}

START_TEST(garbage)
{
	static const struct {
		const char *data;
		size_t size;
	} frames[] = {
#define FRAME(text) {text, sizeof(text) - 1}
		FRAME("GET / HTTP/1.1\r\n\r\n"),
		FRAME("\0\0\0\0"),
		FRAME("\xff\xff\xff\xff"),
		FRAME("\1\0\0\0\xc1"),
		FRAME("\5\0\0\0\xdf\xff\xff\xff\xff"),
		FRAME("\1\0\0\0\x80"),
		FRAME("\7\0\0\0\x81\xa2op\xa2xx"),	       /* no id */
		FRAME("\x0d\0\0\0\x82\xa2id\1\xa2op\xa4ping"), /* before hello */
#undef FRAME
	};
	struct peer other;

	peer_open(&other, the_daemon.socket);
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++) {
		struct peer peer;

		peer_connect(&peer, the_daemon.socket);
		peer_send_raw(&peer, frames[i].data, frames[i].size);
		expect_error_and_end(&peer, -ERROR_PROTOCOL);
		peer_close(&peer);
		check_served(&other);
	}
	EVENTUALLY(log_has("why=\"malformed frame\"")); /* a journal takes its time */
	peer_close(&other);
}
END_TEST

START_TEST(noise_from_many)
{
	uint64_t state = unit_seed();
	struct peer other;

	peer_open(&other, the_daemon.socket);
	for (int i = 0; i < 300; i++) {
		uint8_t data[512];
		struct peer peer;
		size_t size = unit_random(&state) % sizeof(data) + 1;

		for (size_t j = 0; j < size; j++)
			data[j] = (uint8_t)unit_random(&state);
		/* Half of them a plausible length. */
		if (size > 4 && i % 2) {
			data[0] = (uint8_t)(size - 4);
			data[1] = (uint8_t)((size - 4) >> 8);
			data[2] = data[3] = 0;
			data[4 % size] = 0x83;
		}
		if (i % 3)
			peer_open(&peer, the_daemon.socket);
		else
			peer_connect(&peer, the_daemon.socket);
		peer_send_raw(&peer, data, size);
		(void)shutdown(peer.socket, SHUT_WR);
		peer_expect_end(&peer);
		peer_close(&peer);
	}
	check_served(&other);
	peer_close(&other);
}
END_TEST

START_TEST(half_frames)
{
	static const char ping[] = "\x0d\0\0\0\x82\xa2id\x63\xa2op\xa4ping";
	struct peer silent, slow, other;

	/* One that says nothing, one that stops within a frame: both cost the others nothing. */
	peer_connect(&silent, the_daemon.socket);
	peer_open(&slow, the_daemon.socket);
	peer_open(&other, the_daemon.socket);
	for (size_t i = 0; i < sizeof(ping) - 1; i++) {
		peer_send_raw(&slow, ping + i, 1);
		check_served(&other);
	}
	ck_assert_int_eq(peer_receive(&slow), 0);
	ck_assert_int_eq(slow.message.kind, PROTO_KIND_REPLY);
	ck_assert_uint_eq(slow.message.id, 0x63);
	peer_send_raw(&slow, ping, 7);
	peer_close(&slow);
	check_served(&other);
	peer_close(&silent);
	peer_close(&other);
}
END_TEST

START_TEST(versions)
{
	static const struct {
		uint32_t least, most;
		int result;
	} cases[] = {
		{PROTO_VERSION_MIN, PROTO_VERSION_MAX, 0},
		{PROTO_VERSION_MIN, PROTO_VERSION_MAX + 1, 0}, /* one version newer */
		{0, PROTO_VERSION_MIN, 0},		       /* one version older */
		{PROTO_VERSION_MAX + 1, PROTO_VERSION_MAX + 5, -ERROR_VERSION},
		{0, PROTO_VERSION_MIN - 1, -ERROR_VERSION},
		{5, 1, -ERROR_VERSION},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct proto_hello hello = {.version_min = cases[i].least, .version_max = cases[i].most};
		struct proto_hello_reply reply;
		struct peer peer;

		peer_connect(&peer, the_daemon.socket);
		ck_assert_int_eq(peer_call(&peer, PROTO_HELLO, &hello, &reply), cases[i].result);
		if (cases[i].result) {
			ck_assert_ptr_nonnull(strstr(peer.message.error.message, "speaks 1 to 1"));
			peer_expect_end(&peer);
		} else {
			ck_assert_uint_eq(reply.version, 1);
			ck_assert(reply.features & PROTO_FEATURE_HEAPS);
			/* Not twice. */
			ck_assert_int_eq(peer_call(&peer, PROTO_HELLO, &hello, &reply), -ERROR_PROTOCOL);
			check_served(&peer);
		}
		peer_close(&peer);
	}
}
END_TEST

START_TEST(errors_of_fields_and_ops_leave_the_connection)
{
	static const char unknown[] = "\x0d\0\0\0\x82\xa2id\x07\xa2op\xa4team";
	static const char field[] = "\x15\0\0\0\x83\xa2id\x08\xa2op\xa6"
				    "detach\xa4"
				    "body\x80";
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	peer_send_raw(&peer, unknown, sizeof(unknown) - 1);
	ck_assert_int_eq(peer_receive(&peer), 0);
	ck_assert_uint_eq(peer.message.id, 7);
	ck_assert_int_eq(peer.message.error.code, -ERROR_UNSUPPORTED);
	peer_send_raw(&peer, field, sizeof(field) - 1);
	ck_assert_int_eq(peer_receive(&peer), 0);
	ck_assert_uint_eq(peer.message.id, 8);
	ck_assert_int_eq(peer.message.error.code, -ERROR_PROTOCOL);
	ck_assert_str_eq(peer.message.error.message,
			 "detach: field \"heap\" is missing, or not what it has to be");
	check_served(&peer);
	peer_close(&peer);
}
END_TEST

START_TEST(pipelined)
{
	enum { COUNT = 300 };
	struct proto_empty nothing = {0};
	struct peer peer;

	peer_open(&peer, the_daemon.socket);
	for (int i = 0; i < COUNT; i++)
		peer_send(&peer, PROTO_PING, &nothing);
	for (uint64_t i = 0; i < COUNT; i++) {
		ck_assert_int_eq(peer_receive(&peer), 0);
		ck_assert_uint_eq(peer.message.id, peer.next_id - COUNT + i);
	}
	peer_close(&peer);
}
END_TEST

START_TEST(slow_reader_is_dropped)
{
	static char fill[60000];
	struct proto_open open = peer_request("slow", PROTO_HOW_CREATE, 1);
	struct proto_inspect inspect = {.name = "slow"};
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	struct proto_open_reply reply;
	struct proto_drop drop = {.name = "slow"};
	struct proto_empty nothing;
	struct peer slow, other;
	int r = 0;

	memset(fill, 'x', sizeof(fill));
	open.params.fill = (struct proto_value){.type = PROTO_STRING, .data = fill, .size = sizeof(fill)};
	peer_open(&other, the_daemon.socket);
	peer_open(&slow, the_daemon.socket);
	ck_assert_int_eq(peer_call(&slow, PROTO_OPEN, &open, &reply), 0);
	/* Each answer has the fill value in it. None is read. */
	for (uint64_t id = 100; !r && id < 100000; id++) {
		buffer.size = 0;
		ck_assert_int_eq(proto_encode_request(&buffer, id, PROTO_INSPECT, &inspect), 0);
		r = proto_send_all(slow.socket, buffer.data, buffer.size, -1,
				   clock_deadline(BROKER_PATIENCE));
		check_served(&other);
	}
	ck_assert_int_eq(r, -ERROR_CONNECTION);
	EVENTUALLY(log_has("why=\"it does not read: its queue is full\"")); /* a journal takes its time */
	peer_close(&slow);
	ck_assert_int_eq(peer_call(&other, PROTO_DROP, &drop, &nothing), 0);
	peer_close(&other);
}
END_TEST

/* ---- who reads one byte at a time ---- */

static char long_fill[60000];

/* A heap whose fill value is in each answer to inspect. */
static void make_wordy(struct peer *peer, const char *name)
{
	struct proto_open open = peer_request(name, PROTO_HOW_CREATE, 1);
	struct proto_open_reply reply;

	memset(long_fill, 'x', sizeof(long_fill));
	open.params.fill = (struct proto_value){.type = PROTO_STRING, .data = long_fill, .size = sizeof(long_fill)};
	ck_assert_int_eq(peer_call(peer, PROTO_OPEN, &open, &reply), 0);
}

static int ask_wordy(struct peer *peer, const char *name, uint64_t id)
{
	_cleanup_(proto_buffer_fini) struct proto_buffer buffer = {0};
	struct proto_inspect inspect = {0};

	snprintf(inspect.name, sizeof(inspect.name), "%s", name);
	ck_assert_int_eq(proto_encode_request(&buffer, id, PROTO_INSPECT, &inspect), 0);
	return proto_send_all(peer->socket, buffer.data, buffer.size, -1, clock_deadline(BROKER_PATIENCE));
}

/* The next byte, which the daemon has sent or will send. (Each of check's macros tells the runner that it was passed: not for each byte.) */
static uint8_t read_byte(struct peer *peer)
{
	struct pollfd item = {.fd = peer->socket, .events = POLLIN};
	uint8_t byte;

	if (recv(peer->socket, &byte, 1, MSG_DONTWAIT) == 1)
		return byte;
	ck_assert_int_eq(poll(&item, 1, (int)(BROKER_PATIENCE / NS_PER_MS)), 1);
	ck_assert_int_eq(recv(peer->socket, &byte, 1, MSG_DONTWAIT), 1);
	return byte;
}

/* Bytes, as the kernel counts them, that the daemon has not read. */
static int unread(const struct peer *peer)
{
	int count;

	ck_assert_int_eq(ioctl(peer->socket, SIOCOUTQ, &count), 0);
	return count;
}

/* It asks for no more than its queue holds: it gets all of it, and costs the others nothing. */
START_TEST(reader_of_single_bytes_is_served)
{
	enum { ANSWERS = 6 };
	struct proto_drop drop = {.name = "bytes"};
	struct proto_empty nothing;
	struct peer slow, other;

	peer_open(&other, the_daemon.socket);
	peer_open(&slow, the_daemon.socket);
	make_wordy(&other, "bytes");
	for (uint64_t id = 100; id < 100 + ANSWERS; id++)
		ck_assert_int_eq(ask_wordy(&slow, "bytes", id), 0);
	for (uint64_t id = 100; id < 100 + ANSWERS; id++) {
		static uint8_t frame[PROTO_FRAME_MAX];
		struct proto_message message;
		uint32_t size = 0;

		for (int i = 0; i < 4; i++)
			size |= (uint32_t)read_byte(&slow) << 8 * i;
		ck_assert_uint_gt(size, sizeof(long_fill));
		ck_assert_uint_le(size, sizeof(frame));
		for (uint32_t i = 0; i < size; i++) {
			frame[i] = read_byte(&slow);
			if (i % 1000 == 0)
				check_served(&other);
		}
		ck_assert_int_eq(proto_parse(frame, size, &message), 0);
		ck_assert_int_eq(message.kind, PROTO_KIND_REPLY);
		ck_assert_uint_eq(message.id, id);
	}
	peer_close(&slow);
	ck_assert_int_eq(peer_call(&other, PROTO_DROP, &drop, &nothing), 0);
	peer_close(&other);
}
END_TEST

/*
 * It asks for more: one byte for each answer of 60,000. When its queue is full it is dropped, and the log says whom. What was made for it
 * by then is what its queue holds (1 MiB, by default), what the kernel holds for its socket, and a few answers for those under way.
 */
START_TEST(reader_of_single_bytes_is_bounded)
{
	struct proto_drop drop = {.name = "bytes"};
	struct proto_empty nothing;
	struct peer slow, other;
	uint64_t asked = 0, most;
	char whom[64];
	int room, r = 0;

	peer_open(&other, the_daemon.socket);
	peer_open(&slow, the_daemon.socket);
	make_wordy(&other, "bytes");
	ck_assert_int_eq(getsockopt(slow.socket, SOL_SOCKET, SO_SNDBUF, &room, &(socklen_t){sizeof(room)}), 0);
	most = ((1u << 20) + 2 * (uint64_t)room) / sizeof(long_fill) + 10;
	while (!r) {
		r = ask_wordy(&slow, "bytes", 100 + asked);
		/* It is read, so that the answer is made before the other's: one that is quick has many answers in a turn of its own. */
		EVENTUALLY(unread(&slow) == 0);
		check_served(&other);
		if (!r) {
			asked++;
			(void)read_byte(&slow);
		}
		ck_assert_msg(asked <= most, "%d answers of %d bytes were made, and one byte of each read", (int)asked,
			      (int)sizeof(long_fill));
	}
	ck_assert_int_eq(r, -ERROR_CONNECTION);
	ck_assert_uint_gt(asked * sizeof(long_fill), 1u << 20);
	snprintf(whom, sizeof(whom), "client dropped client=%llu ", (unsigned long long)slow.client);
	EVENTUALLY(log_has_both(whom, "why=\"it does not read: its queue is full\""));
	peer_close(&slow);
	ck_assert_int_eq(peer_call(&other, PROTO_DROP, &drop, &nothing), 0);
	peer_close(&other);
}
END_TEST

START_TEST(descriptors_sent_are_closed)
{
	static const char ping[] = "\x0d\0\0\0\x82\xa2id\x63\xa2op\xa4ping";
	struct peer peer;
	int before;

	peer_open(&peer, the_daemon.socket);
	/* Clients of tests before may still be on their way out. */
	check_served(&peer);
	before = count_descriptors(the_daemon.pid);
	for (int i = 0; i < 20; i++) {
		ck_assert_int_eq(
			proto_send_all(peer.socket, ping, sizeof(ping) - 1, STDOUT_FILENO, CLOCK_NEVER), 0);
		ck_assert_int_eq(peer_receive(&peer), 0);
	}
	check_served(&peer);
	EVENTUALLY(count_descriptors(the_daemon.pid) <= before);
	peer_close(&peer);
}
END_TEST

/* Two with one frame: an error, and both are closed. */
START_TEST(two_descriptors_end_the_connection)
{
	union {
		struct cmsghdr align;
		char room[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	char ping[] = "\x0d\0\0\0\x82\xa2id\x63\xa2op\xa4ping";
	struct iovec part = {.iov_base = ping, .iov_len = sizeof(ping) - 1};
	struct msghdr message = {.msg_iov = &part,
				 .msg_iovlen = 1,
				 .msg_control = control.room,
				 .msg_controllen = sizeof(control.room)};
	struct peer peer, other;
	int two[2] = {1, 2}, before;

	peer_open(&other, the_daemon.socket);
	before = count_descriptors(the_daemon.pid);
	peer_open(&peer, the_daemon.socket);
	control.align.cmsg_level = SOL_SOCKET;
	control.align.cmsg_type = SCM_RIGHTS;
	control.align.cmsg_len = CMSG_LEN(sizeof(two));
	memcpy(CMSG_DATA(&control.align), two, sizeof(two));
	ck_assert_int_eq(sendmsg(peer.socket, &message, 0), (ssize_t)sizeof(ping) - 1);
	expect_error_and_end(&peer, -ERROR_PROTOCOL);
	peer_close(&peer);
	EVENTUALLY(count_descriptors(the_daemon.pid) <= before);
	check_served(&other);
	peer_close(&other);
}
END_TEST

INTEGRATION_MAIN("broker/wire", garbage, noise_from_many, half_frames, versions,
		 errors_of_fields_and_ops_leave_the_connection, pipelined, slow_reader_is_dropped,
		 reader_of_single_bytes_is_served, reader_of_single_bytes_is_bounded, descriptors_sent_are_closed, two_descriptors_end_the_connection)
