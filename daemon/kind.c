/*
 * kind.c: the table of kinds.
 */
#include "daemon/kind.h"

#include "base/macros.h"

static const struct kind *const kinds[PROTO_NAMED_COUNT] = {
	[PROTO_NAMED_HEAP] = &kind_heap,
	[PROTO_NAMED_REGION] = &kind_region,
	[PROTO_NAMED_FILE] = &kind_file,
	[PROTO_NAMED_TEAM] = &kind_team,
};

static const char *const nouns[PROTO_NAMED_COUNT] = {
	[PROTO_NAMED_HEAP] = "heap",
	[PROTO_NAMED_REGION] = "region",
	[PROTO_NAMED_FILE] = "file",
	[PROTO_NAMED_TEAM] = "team",
};

const struct kind *kind_of(enum proto_named kind)
{
	return (unsigned)kind < ARRAY_SIZE(kinds) ? kinds[kind] : NULL;
}

const char *kind_noun(enum proto_named kind)
{
	return (unsigned)kind < ARRAY_SIZE(nouns) ? nouns[kind] : "thing";
}
