/*
 * map_words.h: the words of the key map, taken apart and put together. Pure functions.
 *
 * A slot of a table:
 *
 *       63                     32 31         12 11        4  3       2       1 0
 *      +-------------------------+-------------+-----------+-------+--------+-------+
 *      |  element                | binding 20  | print 8   | moved | frozen | state |
 *      +-------------------------+-------------+-----------+-------+--------+-------+
 *
 *      EMPTY → LIVE → TOMB, and frozen at any of them: then nothing but `moved` can change any more.
 *      All bits but the low four say which binding it is; a tombstone keeps them.
 *
 * The map word (header.map):
 *
 *       63                     32 31              16 15              0
 *      +-------------------------+------------------+-----------------+
 *      |  sequence               | next table id + 1| current table id|   next 0: no growth is under way
 *      +-------------------------+------------------+-----------------+
 *
 * element_key.info:
 *
 *       63               24 23        4 3    0
 *      +-------------------+-----------+------+
 *      |  expiry 40        | binding 20| kind |
 *      +-------------------+-----------+------+
 *
 * The hash: its high bits are the home place, so that a table is brought over to its successor in order of
 * place there as well as here; its low 8 bits are the print.
 */
#ifndef SHM_MAP_WORDS_H
#define SHM_MAP_WORDS_H

#include <stdbool.h>
#include <stdint.h>

enum map_state { MAP_EMPTY = 0, MAP_LIVE = 1, MAP_TOMB = 2 };

#define MAP_STATE_MASK	  UINT64_C(3)
#define MAP_FROZEN	  UINT64_C(4)
#define MAP_MOVED	  UINT64_C(8)
#define MAP_FLAGS_MASK	  UINT64_C(15)
#define MAP_PRINT_SHIFT	  4
#define MAP_PRINT_MASK	  (UINT64_C(0xff) << MAP_PRINT_SHIFT)
#define MAP_BINDING_SHIFT 12
#define MAP_BINDING_MASK  ((1u << 20) - 1)
#define MAP_ELEMENT_SHIFT 32

static inline uint64_t map_print(uint64_t hash)
{
	return (hash & 0xff) << MAP_PRINT_SHIFT;
}

/* A LIVE slot that leads to `binding` of `element`. */
static inline uint64_t map_slot(uint64_t element, uint32_t binding, uint64_t hash)
{
	return element << MAP_ELEMENT_SHIFT | (uint64_t)(binding & MAP_BINDING_MASK) << MAP_BINDING_SHIFT |
	       map_print(hash) | MAP_LIVE;
}

static inline enum map_state map_slot_state(uint64_t slot)
{
	return (enum map_state)(slot & MAP_STATE_MASK);
}

static inline uint64_t map_slot_element(uint64_t slot)
{
	return slot >> MAP_ELEMENT_SHIFT;
}

static inline uint32_t map_slot_binding(uint64_t slot)
{
	return (uint32_t)(slot >> MAP_BINDING_SHIFT) & MAP_BINDING_MASK;
}

/* The same binding of the same element (and of the same key, as far as the print tells). */
static inline bool map_slot_same(uint64_t a, uint64_t b)
{
	return ((a ^ b) & ~MAP_FLAGS_MASK) == 0;
}

/* A LIVE slot, frozen or not, whose key may have this print. */
static inline bool map_slot_may_be(uint64_t slot, uint64_t print)
{
	return ((slot ^ (print | MAP_LIVE)) & (MAP_PRINT_MASK | MAP_STATE_MASK)) == 0;
}

static inline uint64_t map_slot_tomb(uint64_t slot)
{
	return (slot & ~MAP_STATE_MASK) | MAP_TOMB;
}

static inline uint64_t map_word(uint32_t sequence, uint32_t current, uint32_t next_plus_1)
{
	return (uint64_t)sequence << 32 | (uint64_t)next_plus_1 << 16 | current;
}

static inline uint32_t map_word_sequence(uint64_t word)
{
	return (uint32_t)(word >> 32);
}

static inline uint32_t map_word_current(uint64_t word)
{
	return word & 0xffff;
}

/* 0: none. */
static inline uint32_t map_word_next_plus_1(uint64_t word)
{
	return word >> 16 & 0xffff;
}

#define KEY_INFO_KIND_MASK     UINT64_C(0xf)
#define KEY_INFO_BINDING_SHIFT 4
#define KEY_INFO_MASK	       (KEY_INFO_KIND_MASK | (uint64_t)MAP_BINDING_MASK << KEY_INFO_BINDING_SHIFT)

/* Without expiry. */
static inline uint64_t key_info(uint32_t binding, uint32_t kind)
{
	return (uint64_t)(binding & MAP_BINDING_MASK) << KEY_INFO_BINDING_SHIFT | kind;
}

static inline uint32_t key_info_binding(uint64_t info)
{
	return (uint32_t)(info >> KEY_INFO_BINDING_SHIFT) & MAP_BINDING_MASK;
}

static inline uint32_t key_info_kind(uint64_t info)
{
	return (uint32_t)(info & KEY_INFO_KIND_MASK);
}

#endif
