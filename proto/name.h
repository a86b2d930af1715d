/*
 * name.h: what a heap may be called.
 */
#ifndef PROTO_NAME_H
#define PROTO_NAME_H

/*
 * Checks a name: 1 to 255 bytes of UTF-8 without control characters; parts between '/' that are neither empty
 * nor "." nor ".."; so no '/' at the beginning or end. A first part that begins with '~' is either "~" (this
 * user's own) or "~UID" (that user's, in decimal without leading zeros) or "~file" (of files that clients handed over),
 * and another part follows. NULL: it is one. Otherwise what is wrong, as a clause: "it begins with '/'". Static.
 */
const char *proto_name_problem(const char *name);

#endif
