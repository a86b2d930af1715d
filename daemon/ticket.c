/*
 * ticket.c: SipHash-2-4 (Aumasson and Bernstein), and what is hashed.
 */
#include "daemon/ticket.h"

#include <string.h>

struct state {
	uint64_t a, b, c, d;
};

static uint64_t rotate(uint64_t word, unsigned by)
{
	return word << by | word >> (64 - by);
}

static void mix(struct state *state, unsigned rounds)
{
	while (rounds-- > 0) {
		state->a += state->b;
		state->b = rotate(state->b, 13) ^ state->a;
		state->a = rotate(state->a, 32);
		state->c += state->d;
		state->d = rotate(state->d, 16) ^ state->c;
		state->a += state->d;
		state->d = rotate(state->d, 21) ^ state->a;
		state->c += state->b;
		state->b = rotate(state->b, 17) ^ state->c;
		state->c = rotate(state->c, 32);
	}
}

static void absorb(struct state *state, uint64_t word)
{
	state->d ^= word;
	mix(state, 2);
	state->a ^= word;
}

/* Both machines that emsd runs on are little-endian, as the hash is. */
uint64_t ticket_hash(const uint8_t key[16], const void *data, size_t size)
{
	const uint8_t *bytes = data;
	uint64_t low, high, word, last = (uint64_t)size << 56;
	struct state state;

	memcpy(&low, key, 8);
	memcpy(&high, key + 8, 8);
	state = (struct state){.a = low ^ UINT64_C(0x736f6d6570736575),
			       .b = high ^ UINT64_C(0x646f72616e646f6d),
			       .c = low ^ UINT64_C(0x6c7967656e657261),
			       .d = high ^ UINT64_C(0x7465646279746573)};
	for (; size >= 8; size -= 8, bytes += 8) {
		memcpy(&word, bytes, 8);
		absorb(&state, word);
	}
	word = 0;
	memcpy(&word, bytes, size);
	absorb(&state, last | word);
	state.c ^= 0xff;
	mix(&state, 4);
	return state.a ^ state.b ^ state.c ^ state.d;
}

struct claim {
	uint64_t what, number, access;
	uint8_t heap_id[16];
};

static uint64_t sign(const struct catalogue *catalogue, const struct claim *claim)
{
	uint64_t ticket = !catalogue ? 0 : ticket_hash(catalogue_head(catalogue)->secret, claim, sizeof(*claim));

	return ticket ? ticket : 1; /* 0 is how "none" looks on the wire */
}

uint64_t ticket_of_client(const struct catalogue *catalogue, uint64_t number)
{
	const struct claim claim = {.what = 1, .number = number};

	return sign(catalogue, &claim);
}

uint64_t ticket_of_attachment(const struct catalogue *catalogue, uint64_t number, const uint8_t heap_id[16],
			      enum proto_access access)
{
	struct claim claim = {.what = 2, .number = number, .access = access};

	memcpy(claim.heap_id, heap_id, sizeof(claim.heap_id));
	return sign(catalogue, &claim);
}
