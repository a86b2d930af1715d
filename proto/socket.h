/*
 * socket.h: sending and receiving on the socket, with descriptors; connecting; who the peer is.
 *
 * A descriptor belongs to the frame with whose bytes it travels; a frame has at most one. Nothing here
 * ever blocks, whatever the socket's mode, but the functions with a deadline (base/clock.h).
 */
#ifndef PROTO_SOCKET_H
#define PROTO_SOCKET_H

#include <stddef.h>
#include <stdint.h>

/*
 * Sends what the socket takes now of data; yields how much in *_done, at least 1 unless size is 0. With fd >=
 * 0 a duplicate of it travels with the first byte: data must then begin with its frame, and hold no other.
 * -ERROR_BUSY: nothing now. -ERROR_CONNECTION: the peer is gone.
 */
int proto_send(int socket, const void *data, size_t size, int fd, size_t *_done);

/*
 * Receives at most size >= 1 bytes. *fd is where a descriptor goes, the caller's to close; it must be -1 or
 * hold the one that this frame had before. -ERROR_BUSY: nothing there now. -ERROR_CONNECTION: end of file, or
 * the peer is gone. -ERROR_PROTOCOL: a second descriptor, control data that was cut off, or of another kind; -ERROR_LIMIT: it was cut off because
 * this process may have no more descriptors. Everything that came is closed, and the rest of the frame means nothing.
 */
int proto_receive(int socket, void *data, size_t size, int *fd, size_t *_done);

/*
 * Connects to the daemon at path, a stream socket, close-on-exec, non-blocking; yields it in *_socket. Waits
 * while the daemon's queue is full, until the deadline. -ERROR_NO_DAEMON: no such socket, or nobody listens.
 * -ERROR_ACCESS. -ERROR_NAME: path too long. -ERROR_TIMEOUT.
 */
int proto_connect(const char *path, uint64_t deadline, int *_socket);

/* Sends all of it, waiting for room until the deadline (-ERROR_TIMEOUT: an unknown part is sent: close). */
int proto_send_all(int socket, const void *data, size_t size, int fd, uint64_t deadline);

/*
 * A pidfd of the process that connected, or listened, at the other end; the caller's to close. -ERROR_UNSUPPORTED: the kernel
 * has none to give (before Linux 6.5).
 */
int proto_peer_pidfd(int socket, int *_fd);

/* Waits until the socket is readable, or at its end. -ERROR_TIMEOUT. Goes on after signals. */
int proto_wait_readable(int socket, uint64_t deadline);

#endif
