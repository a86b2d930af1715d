/*
 * progress.h: a bar on a terminal for what takes long, and the signals that end it.
 *
 * The bar is on standard error, when that is a terminal, and is gone when the work is done.
 */
#ifndef CLIENT_EMSCTL_PROGRESS_H
#define CLIENT_EMSCTL_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

/* verb: "dumping t/x". total 0: it is not known. */
void progress_begin(const char *verb, uint64_t total);
/* So much of the total is done. Cheap: draws at most some ten times a second. */
void progress_at(uint64_t done);
void progress_end(void);

/* From now on SIGINT, SIGTERM and SIGHUP are noted only, so that what is half done can be taken back. */
void interrupt_catch(void);
bool interrupt_came(void);
/* Ends the process by the signal that came, if one did. */
void interrupt_obey(void);

#endif
