/* SPDX-License-Identifier: Apache-2.0 */
/* Recent log entries in memory: a ring of records in stored form, filled in log order and emptied
 * from the oldest.
 *
 * Invariants: a record never moves and its bytes never change while it is there, so that the
 * storage thread may read those that a write in flight has pinned; an entry that is not durable is
 * never given up; an entry replaced by another leader's stays as a dead record until the ring comes
 * round. All functions: loop thread. Used by the node glue only.
 */
#ifndef QUORATE_RAFT_ENTRY_RING_H
#define QUORATE_RAFT_ENTRY_RING_H

#include "proto/msg/raft.h"

#define ENTRY_RING_SLOTS 16384u /* entries that can be found by index */

struct ring_record {
    uint64_t index;
    uint64_t term;
    uint32_t size;      /* of the record, a multiple of 16 */
    uint32_t value_len; /* stored form: log_store header and body */
    uint32_t pins;      /* jobs in flight that read it */
    uint8_t type;
    bool is_dead;
    uint8_t value[];
};

struct entry_ring {
    uint8_t *memory;
    size_t cap;
    size_t usual; /* the ring comes round here when it can, so that a quiet node touches little
                     memory */
    size_t head;  /* oldest record */
    size_t tail;  /* where the next one goes */
    size_t wrap;  /* end of the upper part while is_wrapped */
    bool is_wrapped;
    size_t count;
    uint64_t durable;           /* entries up to here may be given up */
    uint64_t applied;           /* and up to here nobody misses them */
    uint64_t first_live;        /* entries from here to the end of the log are all in the ring */
    struct ring_record **slots; /* by index modulo ENTRY_RING_SLOTS */
};

/* memory: 16-byte aligned. slots: ENTRY_RING_SLOTS of them, zero. */
void entry_ring_init(struct entry_ring *ring, void *memory, size_t cap, size_t usual,
                     struct ring_record **slots);
/* Bytes that an entry with such a body takes. */
size_t entry_ring_size_of(size_t body_len);
/* Everything is gone; the next entry is `first`. No record is pinned. */
void entry_ring_restart(struct entry_ring *ring, uint64_t first, uint64_t last);
/* Gives up old entries until `total` bytes in records of at most `largest` fit. False when too much
 * is not durable yet. */
bool entry_ring_make_room(struct entry_ring *ring, size_t total, size_t largest);
/* Adds the entry in stored form. Room was made. */
struct ring_record *entry_ring_put(struct entry_ring *ring, uint64_t index,
                                   const struct msg_raft_entry *entry);
/* The living record of an index, or NULL. */
struct ring_record *entry_ring_find(const struct entry_ring *ring, uint64_t index);
/* Entries from..last are replaced: their records are dead. */
void entry_ring_truncate(struct entry_ring *ring, uint64_t from, uint64_t last);
struct slice entry_ring_body(const struct ring_record *record);

#endif
