/*
 * matrix.h: what all programs of the matrix do, in the words of C.
 *
 * A stage S of the matrix is a set of heaps, matrix/S/OPERATION, one for each way of handing values on. matrix/keys holds
 * keys as values. PROGRAM copy FROM TO COUNT KEYS takes from each heap of one stage and gives to that of the next:
 *
 *     write         read, write                     lease         read_fe_lease, ended by put; write_xf
 *     full          read_ff, write_xf               queue_lease   dequeue_lease, enqueue, keep
 *     empty         read_fe, write_ef; and back     transaction   one over both elements: read, write, commit
 *     queue, stack  dequeue, enqueue; pop, push     map           for each key: the key itself read as a value, and written
 *     swap          the value with the target's; what was there goes to element COUNT + i
 *     cas           the target's, expected to be value i, to value i + 1 (modulo COUNT); what was there goes to COUNT + i
 *     faa           to the target's; what was there, or the name of the error, goes to COUNT + i
 */
#ifndef TESTS_NODE_MATRIX_H
#define TESTS_NODE_MATRIX_H

#include <ems.h>

/* The copying of C. */
void copy_stage(ems_connection_t *connection, const char *from, const char *to, int count, int keys);

ems_heap_t *open_stage(ems_connection_t *connection, const char *stage, const char *operation);
/* A value as a key. */
ems_key_t key_of(const ems_value_t *value);
/* Ends the program, with the place and the library's words, if code is an error. */
void check_at(int code, const char *file, int line);
#define check(code) check_at(code, __FILE__, __LINE__)

#endif
