/*
 * ticket.h: numbers by which a client that lost its daemon shows the next one who it was and what it had.
 *
 * A ticket is a keyed hash of what it vouches for; the key is in the catalogue, which clients never see. So daemons need
 * not remember tickets, and nobody else can make one.
 */
#ifndef DAEMON_TICKET_H
#define DAEMON_TICKET_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/catalogue.h"
#include "proto/message.h"

/* Whoever shows it was client `number` before. Never 0. */
uint64_t ticket_of_client(const struct catalogue *catalogue, uint64_t number);

/* Whoever shows it was client `number`, and had that heap attached in that way. Never 0. */
uint64_t ticket_of_attachment(const struct catalogue *catalogue, uint64_t number, const uint8_t heap_id[16],
			      enum proto_access access);

/* SipHash-2-4: a keyed hash that cannot be forged without the key. */
uint64_t ticket_hash(const uint8_t key[16], const void *data, size_t size);

#endif
