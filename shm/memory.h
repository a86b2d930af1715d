/* Memory files: what every segment is made of. Sparse, sealed against shrinking, growing and further seals. */
#ifndef EMS_SHM_MEMORY_H
#define EMS_SHM_MEMORY_H

#include <stdint.h>

/*
 * A new one of `size` bytes; name is for /proc only. Mode 0600: a descriptor that was handed out read-only cannot be
 * opened again for writing by another user. The descriptor, or a negative error.
 */
int shm_memory_new(const char *name, uint64_t size);
/* The same, of hugetlb pages of that size (2 MiB, 1 GiB), of which size is a multiple. None of them is taken yet.
 * -ERROR_UNSUPPORTED: this machine has no such pages. */
int shm_memory_new_large(const char *name, uint64_t size, uint64_t page_size);
/* Is fd such a file, of that size? Nobody may shrink it under our feet: that would be SIGBUS. 0, -ERROR_CORRUPT. */
int shm_memory_check(int fd, uint64_t size);

#endif
