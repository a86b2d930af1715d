/*
 * fd.h: descriptors, and who closes them.
 *
 * The verb says it, here and everywhere in the tree:
 *
 *     …_take(int fd)      the callee owns fd from then on, and closes it on failure as well
 *     …_dup(int fd)       a new descriptor is made, and is the caller's; fd stays with whom it was
 *     …_steal(x)          the descriptor leaves x, and is the caller's
 *     anything else       borrows fd for the call
 *
 * A variable that owns a descriptor is declared _cleanup_(closep) (base/cleanup.h) and holds -1 when
 * empty. Every descriptor is made close-on-exec by the call that makes it.
 */
#ifndef BASE_FD_H
#define BASE_FD_H

#include <stdbool.h>
#include <stddef.h>

/* Closes fd unless negative, keeps errno, returns -1: `x->fd = fd_close(x->fd);`. */
int fd_close(int fd);

/* A close-on-exec duplicate of fd, at 3 or above, the caller's to close. Yields it in *_fd. */
int fd_dup(int fd, int *_fd);

/* Switches close-on-exec, or non-blocking mode, on or off. */
int fd_set_cloexec(int fd, bool on);
int fd_set_nonblocking(int fd, bool on);

/*
 * Writes all of size bytes, going on after signals and partial writes. On an error an unknown part has
 * been written. On a non-blocking fd that takes no more: -ERROR_BUSY. To a pipe or socket without a
 * reader it raises SIGPIPE as write(2) does: programs ignore that signal, the library uses sendmsg.
 */
int fd_write_all(int fd, const void *data, size_t size);

/*
 * Reads until size bytes are there or the end of file is met; yields their number in *_size, which is
 * less than size at the end only. On an error the contents of buffer are undefined.
 */
int fd_read_all(int fd, void *buffer, size_t size, size_t *_size);

#endif
