/*
 * new_file.h: a file that has no name before all is in it: nothing is left of one that was ended, or killed.
 */
#ifndef CLIENT_EMSCTL_NEW_FILE_H
#define CLIENT_EMSCTL_NEW_FILE_H

/* Where path is to be, for reading and writing. -1, and errno. */
int new_file_open(const char *path);
/* On the disk, under its name, instead of what had it. 0; -1, and errno. */
int new_file_name(int fd, const char *path);

#endif
