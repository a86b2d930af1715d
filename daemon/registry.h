/*
 * registry.h: which heap has which name.
 */
#ifndef DAEMON_REGISTRY_H
#define DAEMON_REGISTRY_H

#include "daemon/broker.h"

void registry_fini(struct registry *registry);

/* NULL: nobody has that name. */
struct heap *registry_find(const struct registry *registry, const char *name);

/* The place of the first heap whose name is behind `name`, or, unless `behind`, is it or behind it. */
size_t registry_position(const struct registry *registry, const char *name, bool behind);

/* Makes room, so that the next registry_add cannot fail. */
int registry_reserve(struct registry *registry);
/* heap->name must be nobody's. Room must have been reserved. */
void registry_add(struct registry *registry, struct heap *heap);
void registry_remove(struct registry *registry, const struct heap *heap);

#endif
