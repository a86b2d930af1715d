/* The catalogue of heaps, and tickets. */
#include <string.h>

#include "base/error.h"
#include "base/fd.h"
#include "daemon/catalogue.h"
#include "daemon/ticket.h"
#include "tests/unit/unit.h"

static struct broker broker;
static struct user user = {.uid = 1234};

static void begin(void)
{
	ck_assert_int_eq(catalogue_new(&broker.catalogue), 0);
}

static struct heap make(unsigned n)
{
	struct heap heap = {.broker = &broker,
			    .user = &user,
			    .elements = n + 1,
			    .owner = {.uid = 5, .gid = 6, .mode = 0640},
			    .params = {.elements = n, .max_elements = 10 * n, .storage = 65536, .seed = n}};

	snprintf(heap.name, sizeof(heap.name), "catalogue/%u", n);
	memset(heap.id, (int)n, sizeof(heap.id));
	return heap;
}

START_TEST(written_and_read)
{
	static char text[65536];
	struct heap heap = make(7);
	struct proto_open_reply description;
	struct catalogue *other;
	const struct record *record;
	int fd;

	begin();
	memset(text, 'x', sizeof(text));
	heap.params.fill = (struct proto_value){.type = PROTO_STRING, .data = text, .size = sizeof(text)};
	heap.budget.used = 99;
	ck_assert_int_eq(catalogue_write(broker.catalogue, &heap, RECORD_VALID), 0);
	ck_assert_uint_ne(heap.record, 0);
	/* As the next daemon sees it. */
	ck_assert_int_eq(fd_dup(broker.catalogue->fd, &fd), 0);
	ck_assert_int_eq(catalogue_open_take(broker.catalogue->name, fd, &other), 0);
	ck_assert_mem_eq(catalogue_head(other)->secret, catalogue_head(broker.catalogue)->secret, 16);
	ck_assert_uint_gt(catalogue_head(other)->high, heap.record);
	record = catalogue_record(other, heap.record);
	ck_assert_uint_eq(record->state, RECORD_VALID);
	ck_assert_uint_eq(record->charged, 99);
	ck_assert_uint_eq(record->elements, 8);
	ck_assert_uint_eq(record->creator, 1234);
	ck_assert_int_eq(catalogue_read(record, &description), 0);
	ck_assert_str_eq(description.name, "catalogue/7");
	ck_assert_uint_eq(description.params.max_elements, 70);
	ck_assert_uint_eq(description.params.seed, 7);
	ck_assert_uint_eq(description.mode, 0640);
	ck_assert_uint_eq(description.params.fill.size, sizeof(text));
	ck_assert_mem_eq(description.params.fill.data, text, sizeof(text));
	catalogue_free(other);
	catalogue_free(broker.catalogue);
}
END_TEST

/* Free places are taken again; a heap that is written once more has one record, the newer. */
START_TEST(places)
{
	enum { COUNT = 50 };
	struct heap heaps[COUNT];

	begin();
	for (unsigned i = 0; i < COUNT; i++) {
		heaps[i] = make(i + 1);
		ck_assert_int_eq(catalogue_write(broker.catalogue, &heaps[i], RECORD_VALID), 0);
		for (unsigned j = 0; j < i; j++)
			ck_assert_uint_ne(heaps[j].record, heaps[i].record);
	}
	for (unsigned i = 0; i < COUNT; i += 2) {
		uint32_t before = heaps[i].record;

		ck_assert_int_eq(catalogue_write(broker.catalogue, &heaps[i], RECORD_DROPPED), 0);
		ck_assert_uint_ne(heaps[i].record, before);
		ck_assert_uint_eq(catalogue_record(broker.catalogue, before)->state, RECORD_FREE);
		ck_assert_uint_eq(catalogue_of(&heaps[i])->revision, 2);
	}
	for (unsigned i = 0; i < COUNT; i++)
		catalogue_erase(broker.catalogue, &heaps[i]);
	for (unsigned i = 0; i < COUNT; i++) {
		ck_assert_int_eq(catalogue_write(broker.catalogue, &heaps[i], RECORD_VALID), 0);
		ck_assert_uint_le(heaps[i].record, COUNT);
	}
	catalogue_free(broker.catalogue);
}
END_TEST

START_TEST(other_versions)
{
	struct catalogue *other;
	int fd;

	begin();
	catalogue_head(broker.catalogue)->version++;
	ck_assert_int_eq(fd_dup(broker.catalogue->fd, &fd), 0);
	ck_assert_int_eq(catalogue_open_take("ems-catalogue-x", fd, &other), -ERROR_VERSION);
	catalogue_head(broker.catalogue)->magic = 1;
	ck_assert_int_eq(fd_dup(broker.catalogue->fd, &fd), 0);
	ck_assert_int_eq(catalogue_open_take("ems-catalogue-x", fd, &other), -ERROR_CORRUPT);
	catalogue_free(broker.catalogue);
}
END_TEST

/* A record that makes no sense is an error, whatever stands in it. */
START_TEST(nonsense)
{
	uint64_t random = unit_seed();
	struct proto_open_reply description;
	struct heap heap = make(3);
	struct record *record;
	uint8_t *frame;

	begin();
	ck_assert_int_eq(catalogue_write(broker.catalogue, &heap, RECORD_VALID), 0);
	record = catalogue_of(&heap);
	frame = (uint8_t *)(record + 1);
	for (int i = 0; i < 20000; i++) {
		size_t at = unit_random(&random) % record->size;
		uint8_t before = frame[at];

		frame[at] = (uint8_t)unit_random(&random);
		(void)catalogue_read(record, &description);
		frame[at] = before;
	}
	record->size = UINT32_MAX;
	ck_assert_int_eq(catalogue_read(record, &description), -ERROR_CORRUPT);
	record->size = 3;
	ck_assert_int_eq(catalogue_read(record, &description), -ERROR_CORRUPT);
	catalogue_free(broker.catalogue);
}
END_TEST

START_TEST(tickets)
{
	/* From the paper that describes SipHash: key 00…0f, data 00…0e. */
	uint8_t key[16], data[15], id[16] = {1}, other[16] = {2};
	uint64_t ticket;

	for (uint8_t i = 0; i < 16; i++)
		key[i] = i;
	memcpy(data, key, sizeof(data));
	ck_assert_uint_eq(ticket_hash(key, data, sizeof(data)), UINT64_C(0xa129ca6149be45e5));
	begin();
	ticket = ticket_of_attachment(broker.catalogue, 7, id, PROTO_ACCESS_READ);
	ck_assert_uint_eq(ticket_of_attachment(broker.catalogue, 7, id, PROTO_ACCESS_READ), ticket);
	ck_assert_uint_ne(ticket_of_attachment(broker.catalogue, 7, id, PROTO_ACCESS_WRITE), ticket);
	ck_assert_uint_ne(ticket_of_attachment(broker.catalogue, 8, id, PROTO_ACCESS_READ), ticket);
	ck_assert_uint_ne(ticket_of_attachment(broker.catalogue, 7, other, PROTO_ACCESS_READ), ticket);
	ck_assert_uint_ne(ticket_of_client(broker.catalogue, 7), ticket_of_client(broker.catalogue, 8));
	catalogue_free(broker.catalogue);
}
END_TEST

UNIT_MAIN("daemon/catalogue", written_and_read, places, other_versions, nonsense, tickets)
