/*
 * machine.h: how much memory there is to hand out.
 */
#ifndef DAEMON_MACHINE_H
#define DAEMON_MACHINE_H

#include <stdint.h>

/* Bytes that this process may use: the machine's memory, or the limit of its control group when that is less.
 */
uint64_t machine_memory(void);
/*
 * The least memory limit of the control groups that `list` names, a file as /proc/self/cgroup, and of all above them, which lie
 * below the folder root; UINT64_MAX: there is none.
 */
uint64_t machine_group_limit(const char *list, const char *root);

#endif
