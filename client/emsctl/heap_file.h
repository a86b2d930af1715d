/*
 * heap_file.h: files of heaps, to be read.
 */
#ifndef CLIENT_EMSCTL_HEAP_FILE_H
#define CLIENT_EMSCTL_HEAP_FILE_H

/* Opens it for reading. Else it has been reported, and this is the exit code. */
int heap_file_open(const char *path, int *_fd);
/* Reports the library's last failure, which it tells of a file without its name. The exit code. */
int heap_file_report(const char *path);

#endif
