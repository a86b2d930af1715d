/*
 * Who answers on the socket: nobody, no emsd, an emsd of another version, one that must not be used.
 */
#include <errno.h>
#include <pthread.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/codec.h"
#include "proto/socket.h"
#include "tests/integration/client.h"

static ems_connection_t *connection;

START_TEST(test_nobody)
{
	char path[200];

	snprintf(path, sizeof(path), "%s/none", the_daemon.directory);
	ck_ems(ems_connect(&connection, path), EMS_ENODAEMON);
	ck_assert(strstr(ems_last_error()->message, path));
	setenv("EMS_SOCKET", path, 1);
	ck_ems(ems_connect(&connection, NULL), EMS_ENODAEMON);
	memset(path, 'x', sizeof(path));
	path[150] = '\0';
	ck_ems(ems_connect(&connection, path), EMS_ENAME);
	ck_ems(ems_connect(NULL, NULL), EMS_EINVALID);
	ems_disconnect(NULL);
	ck_ems(ems_ping(NULL, EMS_FOREVER), EMS_EINVALID);
}
END_TEST

START_TEST(test_version)
{
	connection = connect_daemon();
	ck_assert_str_eq(ems_daemon_version(connection), ems_version());
	ck_ok(ems_ping(connection, EMS_FOREVER));
	ems_disconnect(connection);
}
END_TEST

/* A peer that takes one connection, reads something, says one thing and closes. */
struct peer {
	int socket;
	struct proto_buffer says;
};

static void *answer(void *arg)
{
	struct peer *peer = arg;
	char bytes[4096];
	int fd = accept(peer->socket, NULL, NULL);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_gt(recv(fd, bytes, sizeof(bytes), 0), 0);
	if (peer->says.size)
		ck_assert_int_eq(send(fd, peer->says.data, peer->says.size, MSG_NOSIGNAL),
				 (ssize_t)peer->says.size);
	close(fd);
	return NULL;
}

static void ck_answer(struct peer *peer, int expected)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	pthread_t thread;

	snprintf(address.sun_path, sizeof(address.sun_path), "%s/peer", the_daemon.directory);
	unlink(address.sun_path);
	peer->socket = socket(AF_UNIX, SOCK_STREAM, 0);
	ck_assert_int_eq(bind(peer->socket, (struct sockaddr *)&address, sizeof(address)), 0);
	ck_assert_int_eq(listen(peer->socket, 1), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, answer, peer), 0);
	ck_ems(ems_connect(&connection, address.sun_path), expected);
	pthread_join(thread, NULL);
	close(peer->socket);
	proto_buffer_fini(&peer->says);
}

static struct peer saying(const void *data, size_t size)
{
	struct peer peer = {.says = {.data = malloc(size), .size = size, .capacity = size}};

	memcpy(peer.says.data, data, size);
	return peer;
}

START_TEST(test_strange_peers)
{
	static const uint8_t large[4] = {0xff, 0xff, 0xff, 0x7f}, none[4] = {0}, cut[] = {9, 0, 0, 0, 0x80};
	static const uint8_t garbage[] = {5, 0, 0, 0, 0xc1, 1, 2, 3, 4};
	struct proto_hello_reply reply = {.version = 99, .client = 1, .features = PROTO_FEATURE_HEAPS};
	struct peer peer = {0};

	ck_answer(&peer, EMS_ECONNECTION); /* closes without a word */
	peer = saying("HTTP/1.1 400 Bad Request\r\n\r\n", 28);
	ck_answer(&peer, EMS_EPROTOCOL);
	peer = saying(large, sizeof(large));
	ck_answer(&peer, EMS_EPROTOCOL);
	peer = saying(none, sizeof(none));
	ck_answer(&peer, EMS_EPROTOCOL);
	peer = saying(cut, sizeof(cut));
	ck_answer(&peer, EMS_EPROTOCOL);
	peer = saying(garbage, sizeof(garbage));
	ck_answer(&peer, EMS_EPROTOCOL);
	peer = (struct peer){0};
	ck_assert_int_eq(proto_encode_reply(&peer.says, 1, PROTO_HELLO, &reply), 0);
	ck_answer(&peer, EMS_EVERSION);
	peer = (struct peer){0};
	ck_assert_int_eq(
		proto_encode_error(&peer.says, 1, EMS_EVERSION, "this emsd speaks versions 7 to 9 only"), 0);
	ck_answer(&peer, EMS_EVERSION);
	ck_assert(strstr(ems_last_error()->message, "7 to 9"));
	peer = (struct peer){0};
	ck_assert_int_eq(proto_encode_reply(&peer.says, 2, PROTO_HELLO, &reply),
			 0); /* to nothing that was asked */
	ck_answer(&peer, EMS_ECONNECTION);
}
END_TEST

/* As somebody else, who must not even connect; and whose heaps are not ours. Needs root. */
START_TEST(test_permission)
{
	ems_heap_t *heap;
	int status;
	pid_t pid;

	if (getuid() != 0) {
		printf("test_permission: not root, skipped\n");
		return;
	}
	ck_assert_int_eq(chmod(the_daemon.directory, 0755), 0);
	ck_assert_int_eq(chmod(the_daemon.socket, 0600), 0);
	fflush(stdout);
	pid = fork();
	if (pid == 0) {
		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(9);
		_exit(ems_connect(&connection, NULL) == -EMS_EACCESS ? 0 : 1);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	ck_assert_int_eq(chmod(the_daemon.socket, 0666), 0);
	connection = connect_daemon();
	heap = make_heap(connection, "connect/mine", &(ems_heap_options_t){.elements = 1});
	ems_heap_close(heap);
	heap = make_heap(connection, "connect/readable", &(ems_heap_options_t){.elements = 1, .mode = 0644});
	ck_ok(ems_write_int64(heap, ems_index(0), 5));
	pid = fork();
	if (pid == 0) {
		ems_connection_t *own;
		int64_t value;

		if (setgid(65534) < 0 || setuid(65534) < 0)
			_exit(9);
		ck_ok(ems_connect(&own, NULL));
		ck_ems(ems_heap_open(own, "connect/mine", EMS_OPEN_EXISTING, NULL, &heap), EMS_EACCESS);
		ck_ems(ems_heap_drop(own, "connect/readable"), EMS_EACCESS);
		ck_ems(ems_heap_open(own, "connect/readable", EMS_OPEN_EXISTING, NULL, &heap), EMS_EACCESS);
		ck_ok(ems_heap_open(own, "connect/readable", EMS_OPEN_EXISTING,
				    &(ems_heap_options_t){.read_only = true}, &heap));
		ck_ok(ems_read_int64(heap, ems_index(0), &value));
		ck_assert_int_eq(value, 5);
		ck_ems(ems_write_int64(heap, ems_index(0), 5), EMS_EREADONLY);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(status, 0);
	end_heap(connection, heap);
	ck_ok(ems_heap_drop(connection, "connect/mine"));
	ems_disconnect(connection);
}
END_TEST

INTEGRATION_MAIN("client/connect", test_nobody, test_version, test_strange_peers, test_permission)
