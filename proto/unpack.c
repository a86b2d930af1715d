/*
 * unpack.c: the heads of msgpack, by their first byte.
 */
#include "proto/unpack.h"

#include <string.h>

#include "base/error.h"
#include "base/utf8.h"

/* Takes a big-endian number of `size` bytes. */
static int take_number(struct unpack *unpack, unsigned size, uint64_t *_number)
{
	uint64_t number = 0;

	if ((size_t)(unpack->end - unpack->at) < size)
		return -ERROR_PROTOCOL;
	for (unsigned i = 0; i < size; i++)
		number = number << 8 | *unpack->at++;
	*_number = number;
	return 0;
}

/* Takes `size` bytes of contents. */
static int take_bytes(struct unpack *unpack, struct unpack_item *item, uint64_t size)
{
	if ((uint64_t)(unpack->end - unpack->at) < size)
		return -ERROR_PROTOCOL;
	item->data = unpack->at;
	item->size = (uint32_t)size;
	unpack->at += size;
	if (item->kind == UNPACK_STR && !utf8_valid(item->data, item->size))
		return -ERROR_PROTOCOL;
	return 0;
}

/* A head whose count says how many members follow, each of at least one byte. */
static int take_container(struct unpack *unpack, struct unpack_item *item, uint64_t count)
{
	uint64_t least = item->kind == UNPACK_MAP ? 2 * count : count;

	if ((uint64_t)(unpack->end - unpack->at) < least)
		return -ERROR_PROTOCOL;
	item->size = (uint32_t)count;
	return 0;
}

/* str, bin, ext, array, map: a length in `bytes` bytes stands before the contents. */
static int take_sized(struct unpack *unpack, struct unpack_item *item, enum unpack_kind kind, unsigned bytes)
{
	uint64_t size;
	int r;

	item->kind = kind;
	r = take_number(unpack, bytes, &size);
	if (r)
		return r;
	if (kind == UNPACK_ARRAY || kind == UNPACK_MAP)
		return take_container(unpack, item, size);
	if (kind == UNPACK_EXT) {
		uint64_t ext;

		r = take_number(unpack, 1, &ext);
		if (r)
			return r;
		item->ext = (int8_t)ext;
	}
	return take_bytes(unpack, item, size);
}

static int take_fixed_ext(struct unpack *unpack, struct unpack_item *item, unsigned size)
{
	uint64_t ext;
	int r;

	item->kind = UNPACK_EXT;
	r = take_number(unpack, 1, &ext);
	if (r)
		return r;
	item->ext = (int8_t)ext;
	return take_bytes(unpack, item, size);
}

static int take_signed(struct unpack *unpack, struct unpack_item *item, unsigned size)
{
	uint64_t sign = UINT64_C(1) << (8 * size - 1);
	int r = take_number(unpack, size, &item->number);

	if (r)
		return r;
	item->kind = item->number & sign ? UNPACK_NEGATIVE : UNPACK_UINT;
	/* Carries the sign on to bit 63. */
	item->number = (item->number ^ sign) - sign;
	return 0;
}

static int take_float(struct unpack *unpack, struct unpack_item *item, unsigned size)
{
	uint64_t bits;
	uint32_t bits32;
	float real32;
	int r = take_number(unpack, size, &bits);

	if (r)
		return r;
	item->kind = UNPACK_FLOAT;
	if (size == 8) {
		memcpy(&item->real, &bits, sizeof(item->real));
		return 0;
	}
	bits32 = (uint32_t)bits;
	memcpy(&real32, &bits32, sizeof(real32));
	item->real = (double)real32;
	return 0;
}

/* First bytes 0xc0 … 0xdf. */
static int take_tagged(struct unpack *unpack, struct unpack_item *item, uint8_t head)
{
	switch (head) {
	case 0xc0:
		item->kind = UNPACK_NIL;
		return 0;
	case 0xc2:
	case 0xc3:
		item->kind = UNPACK_BOOL;
		item->number = head & 1;
		return 0;
	case 0xc4 ... 0xc6:
		return take_sized(unpack, item, UNPACK_BIN, 1u << (head - 0xc4));
	case 0xc7 ... 0xc9:
		return take_sized(unpack, item, UNPACK_EXT, 1u << (head - 0xc7));
	case 0xca:
	case 0xcb:
		return take_float(unpack, item, 4u << (head - 0xca));
	case 0xcc ... 0xcf:
		item->kind = UNPACK_UINT;
		return take_number(unpack, 1u << (head - 0xcc), &item->number);
	case 0xd0 ... 0xd3:
		return take_signed(unpack, item, 1u << (head - 0xd0));
	case 0xd4 ... 0xd8:
		return take_fixed_ext(unpack, item, 1u << (head - 0xd4));
	case 0xd9 ... 0xdb:
		return take_sized(unpack, item, UNPACK_STR, 1u << (head - 0xd9));
	case 0xdc ... 0xdd:
		return take_sized(unpack, item, UNPACK_ARRAY, 2u << (head - 0xdc));
	case 0xde ... 0xdf:
		return take_sized(unpack, item, UNPACK_MAP, 2u << (head - 0xde));
	default: /* 0xc1, which msgpack never uses */
		return -ERROR_PROTOCOL;
	}
}

int unpack_next(struct unpack *unpack, struct unpack_item *item)
{
	uint8_t head;

	*item = (struct unpack_item){.kind = UNPACK_NIL};
	if (unpack->at == unpack->end)
		return -ERROR_PROTOCOL;
	head = *unpack->at++;
	if (head < 0x80) {
		item->kind = UNPACK_UINT;
		item->number = head;
		return 0;
	}
	if (head >= 0xe0) {
		item->kind = UNPACK_NEGATIVE;
		item->number = (uint64_t)(int64_t)(int8_t)head;
		return 0;
	}
	if (head < 0x90) {
		item->kind = UNPACK_MAP;
		return take_container(unpack, item, head & 0x0f);
	}
	if (head < 0xa0) {
		item->kind = UNPACK_ARRAY;
		return take_container(unpack, item, head & 0x0f);
	}
	if (head < 0xc0) {
		item->kind = UNPACK_STR;
		return take_bytes(unpack, item, head & 0x1f);
	}
	return take_tagged(unpack, item, head);
}

int unpack_skip(struct unpack *unpack, unsigned depth)
{
	struct unpack_item item;
	uint64_t members;
	int r = unpack_next(unpack, &item);

	if (r)
		return r;
	if (item.kind != UNPACK_ARRAY && item.kind != UNPACK_MAP)
		return 0;
	if (depth == 0)
		return -ERROR_PROTOCOL;
	members = item.kind == UNPACK_MAP ? 2 * (uint64_t)item.size : item.size;
	for (; members > 0; members--) {
		r = unpack_skip(unpack, depth - 1);
		if (r)
			return r;
	}
	return 0;
}

bool unpack_is_text(const struct unpack_item *item, const char *text)
{
	return item->kind == UNPACK_STR && item->size == strlen(text) &&
	       memcmp(item->data, text, item->size) == 0;
}
