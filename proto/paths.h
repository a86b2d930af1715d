/*
 * paths.h: where the daemon's socket and state are, for both sides.
 *
 *     system    socket /run/ems/emsd.sock                  state /var/lib/ems
 *     user      socket $XDG_RUNTIME_DIR/ems/emsd.sock      state $XDG_STATE_HOME/ems
 *               or /tmp/ems-UID/emsd.sock                  or $HOME/.local/state/ems, else the password
 * file's home
 *
 * A variable that is empty or no absolute path counts as unset.
 */
#ifndef PROTO_PATHS_H
#define PROTO_PATHS_H

#include <stddef.h>

#define PROTO_SYSTEM_SOCKET "/run/ems/emsd.sock"
#define PROTO_SYSTEM_STATE  "/var/lib/ems"
#define PROTO_SYSTEM_CONFIG "/etc/ems/emsd.conf"

/* What fits a socket's address, with the NUL. */
#define PROTO_SOCKET_PATH_SIZE 108
#define PROTO_PATH_SIZE	       4096

/* The user daemon's socket, in buffer. -ERROR_NAME: longer than a socket's path may be. */
int proto_user_socket_path(char *buffer, size_t size);

/* The user daemon's state directory. -ERROR_NOT_FOUND: the user has no home. */
int proto_user_state_path(char *buffer, size_t size);

/*
 * Makes the directory that `path`, a file in it, is to be in, mode 0700, unless it is there, and its parents
 * for a path below home; checks that it belongs to this user and nobody else may write there: -ERROR_ACCESS,
 * never use it then (in /tmp anybody could have made it).
 */
int proto_make_private_directory(const char *path);

/*
 * The socket that a client is to use: $EMS_SOCKET, else the system's if that exists, else the user daemon's.
 * *_autostart: 1 when it is the user daemon's, which the client may start (unless EMS_AUTOSTART=0: then 0).
 */
int proto_client_socket_path(char *buffer, size_t size, int *_autostart);

#endif
