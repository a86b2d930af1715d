/*
 * key.c: keys, normalised and hashed.
 *
 * One key, one form: an integral float is the integer, −0 is 0, every NaN is one NaN, and a string of up to
 * eight bytes is a word. So two keys are equal when kind and word are, but for long strings, whose bytes
 * are compared. The hash is XXH3 with a secret made from the heap's seed: keys come from outside, and who
 * does not know the seed cannot choose keys that collide. Words are hashed as their eight bytes and told
 * apart by kind afterwards.
 */
#include <math.h>
#include <string.h>
#include <xxhash.h>

#include "base/macros.h"
#include "shm/map.h"
#include "shm/map_parts.h"

_Static_assert(sizeof(((struct shm_segment *)0)->hash_secret) == XXH3_SECRET_DEFAULT_SIZE, "the secret fits");

#define PIECE 512u /* of a long key that is hashed where it lies in the segment */

void shm_hash_init(struct shm_segment *seg)
{
	XXH3_generateSecret_fromSeed(seg->hash_secret, seg->layout.params.seed);
}

uint64_t shm_key_hash_word(const struct shm_segment *seg, enum key_kind kind, uint64_t word)
{
	return XXH3_64bits_withSecret(&word, sizeof(word), seg->hash_secret, sizeof(seg->hash_secret)) ^
	       (uint64_t)kind * UINT64_C(0x9e3779b97f4a7c15);
}

static uint64_t hash_text(const struct shm_segment *seg, const void *text, size_t size)
{
	return XXH3_64bits_withSecret(text, size, seg->hash_secret, sizeof(seg->hash_secret));
}

/* The bytes may be changing (then the caller finds out and throws the result away): hashed from copies. */
uint64_t shm_key_hash_shared(const struct shm_segment *seg, const void *text, uint64_t size)
{
	uint8_t piece[PIECE];
	XXH3_state_t state;

	if (size <= sizeof(piece)) {
		copy_from_shared(piece, text, size);
		return hash_text(seg, piece, size);
	}
	XXH3_INITSTATE(&state);
	(void)XXH3_64bits_reset_withSecret(&state, seg->hash_secret, sizeof(seg->hash_secret));
	for (uint64_t done = 0; done < size; done += PIECE) {
		uint64_t n = MIN(size - done, (uint64_t)PIECE);

		copy_from_shared(piece, (const uint8_t *)text + done, n);
		(void)XXH3_64bits_update(&state, piece, n);
	}
	return XXH3_64bits_digest(&state);
}

static struct shm_key word_key(const struct shm_segment *seg, enum key_kind kind, uint64_t word)
{
	return (struct shm_key){.kind = kind, .word = word, .hash = shm_key_hash_word(seg, kind, word)};
}

struct shm_key shm_key_integer(const struct shm_segment *seg, int64_t value)
{
	return word_key(seg, KEY_INTEGER, (uint64_t)value);
}

struct shm_key shm_key_boolean(const struct shm_segment *seg, bool value)
{
	return word_key(seg, KEY_BOOLEAN, value);
}

struct shm_key shm_key_float(const struct shm_segment *seg, double value)
{
	uint64_t bits;

	/* 2^63 itself is not an int64; −2^63 is. */
	if (value >= -9223372036854775808.0 && value < 9223372036854775808.0 && value == trunc(value))
		return shm_key_integer(seg, (int64_t)value);
	if (isnan(value))
		value = (double)NAN;
	memcpy(&bits, &value, sizeof(bits));
	return word_key(seg, KEY_FLOAT, bits & (isnan(value) ? ~(UINT64_C(1) << 63) : ~UINT64_C(0)));
}

struct shm_key shm_key_string(const struct shm_segment *seg, const void *text, uint32_t size)
{
	/* A NUL within could not be told from the padding. The empty string is SHORT, all padding. */
	if (size <= sizeof(uint64_t) && (size == 0 || !memchr(text, 0, size))) {
		uint64_t word = 0;

		if (size)
			memcpy(&word, text, size);
		return word_key(seg, KEY_SHORT, word);
	}
	return (struct shm_key){
		.kind = KEY_STRING, .text = text, .size = size, .hash = hash_text(seg, text, size)};
}

uint32_t shm_key_short_size(uint64_t word)
{
	return word == 0 ? 0 : 8 - (uint32_t)__builtin_clzll(word) / 8;
}

bool shm_key_text_equal(const struct shm_segment *seg, blob_ref ref, const struct shm_key *key)
{
	const uint8_t *mine = key->text;
	const uint64_t *theirs;
	uint64_t size, word, i;

	theirs = shm_blob_look(seg, ref, &size);
	if (!theirs || size != key->size)
		return false;
	for (i = 0; i + 8 <= size; i += 8) {
		memcpy(&word, mine + i, 8);
		if (load64_relaxed(theirs++) != word)
			return false;
	}
	for (uint64_t j = i; j < size; j++)
		if (load8_relaxed((const uint8_t *)theirs + (j - i)) != mine[j])
			return false;
	return true;
}
