/*
 * service.c: sd_notify and sd_listen_fds; the only file that knows libsystemd.
 */
#include "daemon/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <systemd/sd-daemon.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/text.h"

static void free_names(char ***names)
{
	for (size_t i = 0; *names && (*names)[i]; i++)
		free((*names)[i]);
	free(*names);
}

static int take_listener(int fd, int *_listener)
{
	if (*_listener >= 0 || sd_is_socket_unix(fd, SOCK_STREAM, 1, NULL, 0) <= 0) {
		fd_close(fd);
		return -ERROR_INVALID;
	}
	*_listener = fd;
	return 0;
}

int service_take_fds(int *_listener, struct stored_list *stored)
{
	_cleanup_(free_names) char **names = NULL;
	int count = sd_listen_fds_with_names(1, &names), result = 0, r;

	*_listener = -1;
	if (count < 0)
		return -ERROR_SYSTEM;
	for (int i = 0; i < count; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (strncmp(names[i], STORE_PREFIX, strlen(STORE_PREFIX)) == 0)
			r = stored_add_take(stored, names[i], fd);
		else
			r = take_listener(fd, _listener);
		result = r ? r : result;
	}
	if (result)
		*_listener = fd_close(*_listener);
	return result;
}

uint64_t service_store_room(uint64_t said)
{
	const char *room = getenv("FDSTORE");
	uint64_t number;

	if (!getenv("NOTIFY_SOCKET"))
		return 0;
	if (room && text_parse_uint(room, 0, UINT32_MAX, &number) == 0)
		return number;
	return said;
}

void service_store(const char *name, int fd)
{
	char text[128];

	/* FDPOLL: memory has no end to be watched for. */
	snprintf(text, sizeof(text), "FDSTORE=1\nFDNAME=%s\nFDPOLL=0", name);
	(void)sd_pid_notify_with_fds(0, 0, text, &fd, 1);
}

void service_unstore(const char *name)
{
	(void)sd_notifyf(0, "FDSTOREREMOVE=1\nFDNAME=%s", name);
}

uint64_t service_watchdog(void)
{
	uint64_t us = 0;

	return sd_watchdog_enabled(0, &us) > 0 ? us * NS_PER_US : 0;
}

void service_alive(void)
{
	(void)sd_notify(0, "WATCHDOG=1");
}

/* Nobody could do anything about a failure, and nothing depends on it but the service manager. */
void service_ready(const char *status)
{
	(void)sd_notifyf(0, "READY=1\nSTATUS=%s", status);
}

void service_status(const char *status)
{
	(void)sd_notifyf(0, "STATUS=%s", status);
}

void service_reloading(void)
{
	(void)sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_now() / NS_PER_US));
}

void service_reloaded(void)
{
	(void)sd_notify(0, "READY=1");
}

void service_stopping(void)
{
	(void)sd_notify(0, "STOPPING=1");
}
