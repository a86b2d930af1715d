/*
 * options.h: what a new heap shall be, in the daemon's words.
 */
#ifndef CLIENT_OPTIONS_H
#define CLIENT_OPTIONS_H

#include "client/ems.h"
#include "proto/message.h"

/*
 * Address space for each byte of storage that is to be alive at a time: blocks of size classes are half
 * full at worst, slabs of other classes stay partly empty, and large blobs leave gaps. Untouched it costs nothing.
 */
#define STORAGE_RESERVE 4

/*
 * Checks options (NULL: all defaults) and puts them, with defaults filled in, into `open`; fill points to the options'
 * data. Failures are noted: -ERROR_INVALID, -ERROR_RANGE.
 */
int options_translate(const ems_heap_options_t *options, struct proto_open *open);

/* Does an existing heap have what the options state? 0, or -ERROR_MISMATCH, noted with both numbers. */
int options_compare(const ems_heap_options_t *options, const char *name, const struct proto_params *params);

#endif
