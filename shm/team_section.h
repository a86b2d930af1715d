/*
 * Critical sections of a team, by name.
 *
 * Each has a word: who owns it, and whether somebody waits. Free → owner is one compare-and-swap, and so is leaving when
 * nobody waits. Who waits takes a ticket and says in its record for what; who leaves gives the section to the one
 * with the lowest ticket, by one compare-and-swap. A dead owner's section is given on by who takes it out, and the
 * next owner is told.
 */
#ifndef EMS_SHM_TEAM_SECTION_H
#define EMS_SHM_TEAM_SECTION_H

#include <stddef.h>

#include "shm/team.h"

/*
 * The section of that name; made if need be. size: 1..TEAM_SECTION_NAME bytes. -ERROR_LIMIT: TEAM_SECTIONS others are there;
 * -ERROR_NAME: bad size.
 */
int shm_section_find(struct shm_team *team, const char *name, size_t size, uint32_t *section);
/*
 * Enters; in the order in which members began to wait. *died: the owner before died inside. -ERROR_DEADLOCK: the member is in
 * it already. -ERROR_TIMEOUT, -ERROR_CANCELLED, -ERROR_INTERRUPTED.
 */
int shm_section_enter(struct shm_teammate *member, uint32_t section, bool *died, const struct team_call *call);
/* -ERROR_INVALID: the member is not in it. */
int shm_section_leave(struct shm_teammate *member, uint32_t section);

#endif
