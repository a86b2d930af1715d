/* Files of heaps, to be read: see heap_file.h. */
#include "client/emsctl/heap_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

#include "client/emsctl/emsctl.h"

int heap_file_open(const char *path, int *_fd)
{
	*_fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (*_fd >= 0)
		return EXIT_DONE;
	return report(errno == ENOENT ? EXIT_NO : EXIT_OTHER, "%s: %s", path, strerror(errno));
}

int heap_file_report(const char *path)
{
	const ems_error_t *error = ems_last_error();

	return report(exit_code_of(error->code), "%s: %s", path, error->message);
}
