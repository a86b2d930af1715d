/*
 * What lies where in the segment of a team, and what its words mean. The protocols are told in shm/team.h and
 * doc/LAYOUT.
 *
 *     +--------+------------------+---------+---------------------------------+
 *     | header | members [size]   | (hole)  | locks [size + 1], a unit each   |
 *     +--------+------------------+---------+---------------------------------+
 *
 * Lock 0 is the recovery lock; member i holds lock i + 1 for as long as it takes part. Only the last page of
 * a lock's unit is ever touched (shm/robust.h), so a team of n costs about n + 3 pages.
 */
#ifndef EMS_SHM_TEAM_LAYOUT_H
#define EMS_SHM_TEAM_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "base/macros.h"
#include "shm/atomic.h"

#define TEAM_MAGIC	  UINT64_C(0x4d414554534d45) /* "EMSTEAM" */
#define TEAM_VERSION	  1u
#define TEAM_SIZE_MAX	  1024u
#define TEAM_SECTIONS	  64u
#define TEAM_SECTION_NAME 255u /* bytes of a section's name */
#define TEAM_UNIT	  UINT64_C(65536)

struct team_params {
	uint32_t size;	 /* members, 1..TEAM_SIZE_MAX */
	uint32_t elastic; /* 1: a death shrinks it; 0: a death breaks it */
};

/* Where a member stands. Up to GONE_FIRST barriers count it (DYING: in a team that is not elastic, see team_counts). */
enum team_member_state {
	MEMBER_ABSENT = 0,  /* nobody has had this place yet */
	MEMBER_JOINING = 1, /* its thread holds the lock; a death changes nothing */
	MEMBER_JOINED = 2,
	MEMBER_DYING = 3,   /* dead, and being taken out */
	MEMBER_DEAD = 4,    /* dead, and taken out */
	MEMBER_LEAVING = 5, /* as DYING, of its own will */
	MEMBER_LEFT = 6,
};

/*
 * A member's record: four cache lines, the first for barriers and sections, the second for the chunk of a loop,
 * the third says who it is. Written by the member; in its place by who recovers it, and where it says so.
 */
struct team_member {
	uint32_t state;	  /* enum team_member_state */
	uint32_t arrived; /* epoch + 1: at the barrier of that epoch */
	uint32_t helps;	  /* epoch + 1: waits there for more of the loop's work, too */
	uint32_t told;	  /* epoch + 1: knows that the team broke in that epoch */
	uint32_t turn;	  /* futex: moves when it is given a section */
	uint32_t reserved;
	uint64_t waits; /* TEAM_WAITS: for which section, with which ticket; 0: for none */
	uint8_t pad1[CACHE_LINE - 32];

	uint64_t chunk; /* TEAM_CHUNK: what [first, last) is */
	int64_t first, last;
	uint32_t chunk_epoch; /* of which loop */
	uint32_t reserved2;
	uint64_t block; /* TEAM_BLOCK: who has taken this place's share of a static loop; written by the taker */
	uint8_t pad2[CACHE_LINE - 40];

	uint64_t client; /* the daemon's number of it, 0 unknown */
	uint64_t since;	 /* CLOCK_BOOTTIME, ns */
	uint32_t pid, tid;
	uint32_t death; /* the how many-th of the team's deaths it died; 0: lives */
	uint32_t reserved3;
	uint8_t pad3[2 * CACHE_LINE - 32];
};
ASSERT_SIZE(struct team_member, 256);
ASSERT_OFFSET(struct team_member, chunk, 64);
ASSERT_OFFSET(struct team_member, client, 128);

struct team_section {
	uint64_t identity; /* hash of the name; 0: free. Set once, by CAS */
	uint64_t word;	   /* SECTION_… below */
	uint64_t tickets;  /* given out */
	uint32_t name_size;
	uint32_t reserved;
	uint8_t pad[CACHE_LINE - 32];
	char name[TEAM_SECTION_NAME + 1]; /* for operators; all who use it write the same */
};
ASSERT_SIZE(struct team_section, 320);

struct team_header {
	uint64_t magic;
	uint32_t version, header_size;
	uint64_t segment_size;
	struct team_params params;
	uint8_t team_id[16];
	uint8_t pad0[CACHE_LINE - 48];

	struct pair state; /* TEAM_STATE; its low half is the futex of the barrier */
	uint8_t pad1[CACHE_LINE - 16];

	uint32_t sleepers; /* epoch + 1: somebody may sleep at the barrier of that epoch */
	uint8_t pad2[CACHE_LINE - 4];

	struct pair loop; /* LOOP_… below */
	uint8_t pad3[CACHE_LINE - 16];

	uint64_t single; /* epoch << 32 | singles of that epoch that have been taken */
	uint8_t pad4[CACHE_LINE - 8];

	uint32_t deaths;     /* under lock 0 */
	uint32_t recoveries; /* members taken out */
	uint32_t dropped;    /* the name is another's by now, or nobody's */
	uint8_t pad5[CACHE_LINE - 12];

	struct team_section sections[TEAM_SECTIONS];
};
ASSERT_OFFSET(struct team_header, state, 64);
ASSERT_OFFSET(struct team_header, loop, 192);
ASSERT_OFFSET(struct team_header, sections, 384);

struct team_layout {
	struct team_params params;
	uint64_t members, locks, segment_size;
	uint64_t charge; /* bytes of memory that it uses at most */
};

/* Pure. -ERROR_RANGE: no such size. */
int team_layout_compute(struct team_layout *layout, const struct team_params *params);

/*
 * TEAM_STATE, 16 bytes that change as one:
 *
 *     low   phase 32 (bit 0: broken; the rest moves on with each release, break, opening and nudge) | epoch 32
 *     high  arrived 16 (never less than true) | counted 16 (who must arrive) | version 32 (moves with every change)
 *
 * Who looks at low alone sees epoch and broken as of one moment.
 */
static inline bool state_broken(uint64_t low)
{
	return low & 1;
}
static inline uint32_t state_epoch(uint64_t low)
{
	return (uint32_t)(low >> 32);
}
static inline uint32_t state_arrived(uint64_t high)
{
	return high & 0xffff;
}
static inline uint32_t state_counted(uint64_t high)
{
	return high >> 16 & 0xffff;
}
static inline uint64_t state_low(uint64_t low, uint32_t epoch, bool broken)
{
	return (uint64_t)epoch << 32 | ((uint32_t)low + 2) >> 1 << 1 | broken;
}
static inline uint64_t state_high(uint64_t high, uint32_t arrived, uint32_t counted)
{
	return ((high >> 32) + 1) << 32 | (uint64_t)(counted & 0xffff) << 16 | (arrived & 0xffff);
}

/* LOOP: low is the next iteration (dynamic, guided); high: epoch 32 | is static 1 | last taker's id + 1: 11 | its try 20 */
#define LOOP_TRY_BITS 20
#define LOOP_TRY_MASK ((1u << LOOP_TRY_BITS) - 1)
static inline uint64_t loop_high(uint32_t epoch, bool is_static, uint32_t taker, uint64_t try)
{
	return (uint64_t)epoch << 32 | (uint64_t)is_static << 31 | (uint64_t)taker << LOOP_TRY_BITS |
	       (try & LOOP_TRY_MASK);
}
static inline uint32_t loop_epoch(uint64_t high)
{
	return (uint32_t)(high >> 32);
}
static inline bool loop_is_static(uint64_t high)
{
	return high >> 31 & 1;
}
static inline uint32_t loop_taker(uint64_t high) /* id + 1, 0 nobody yet */
{
	return high >> LOOP_TRY_BITS & 0x7ff;
}

/* CHUNK: state 4 | peer 12 | try 48. */
enum chunk_state {
	CHUNK_NONE = 0,
	CHUNK_TRY_LOOP = 1,   /* wants it from the loop's word */
	CHUNK_TRY_BLOCK = 2,  /* … it is the share of place `peer` */
	CHUNK_TRY_ORPHAN = 3, /* … it is what the dead `peer` held */
	CHUNK_HELD = 4,
	CHUNK_GIVEN = 5, /* of a dead member: `peer` has it, by its try */
};
static inline uint64_t chunk_word(enum chunk_state state, uint32_t peer, uint64_t try)
{
	return (uint64_t)try << 16 | (uint64_t)(peer & 0xfff) << 4 | state;
}
static inline enum chunk_state chunk_state(uint64_t word)
{
	return (enum chunk_state)(word & 0xf);
}
static inline uint32_t chunk_peer(uint64_t word)
{
	return word >> 4 & 0xfff;
}
static inline uint64_t chunk_try(uint64_t word)
{
	return word >> 16;
}

/* BLOCK: epoch 32 | taker's id + 1. */
static inline uint64_t block_word(uint32_t epoch, uint32_t id)
{
	return (uint64_t)epoch << 32 | (id + 1);
}

/* SECTION: owner's id + 1: 12 (0 free) | waiters 1 | the owner before died 1 | version. */
#define SECTION_WAITERS UINT64_C(0x1000)
#define SECTION_DIED	UINT64_C(0x2000)
static inline uint32_t section_owner(uint64_t word)
{
	return word & 0xfff;
}
static inline uint64_t section_word(uint64_t before, uint32_t owner, uint64_t bits)
{
	return ((before >> 16) + 1) << 16 | bits | owner;
}

/* WAITS: ticket 56 | section + 1. */
static inline uint64_t waits_word(uint64_t ticket, uint32_t section)
{
	return ticket << 8 | (section + 1);
}

#endif
