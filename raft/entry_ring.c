/* SPDX-License-Identifier: Apache-2.0 */
/* Ring of recent entries. While it is not wrapped, records lie in [head, tail); when wrapped, in
 * [head, wrap) and [0, tail). */
#include "raft/entry_ring.h"

#include "base/assert.h"
#include "raft/log_store.h"

#define RECORD_ALIGN 16u

void entry_ring_init(struct entry_ring *ring, void *memory, size_t cap, size_t usual,
                     struct ring_record **slots)
{
    BASE_ASSERT((uintptr_t)memory % RECORD_ALIGN == 0);
    *ring = (struct entry_ring){
        .memory = memory, .cap = cap, .usual = usual, .first_live = 1, .slots = slots};
}

size_t entry_ring_size_of(size_t body_len)
{
    size_t size = offsetof(struct ring_record, value) + LOG_STORE_HEADER + body_len;
    return (size + RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

static struct ring_record *record_at(const struct entry_ring *ring, size_t offset)
{
    void *at = ring->memory + offset;
    return at;
}

/* An entry up to `limit`. */
static bool evict_oldest(struct entry_ring *ring, uint64_t limit)
{
    if (ring->count == 0) {
        return false;
    }
    struct ring_record *record = record_at(ring, ring->head);
    if (record->pins > 0 || (!record->is_dead && record->index > limit)) {
        return false;
    }
    struct ring_record **slot = &ring->slots[record->index % ENTRY_RING_SLOTS];
    if (*slot == record) {
        *slot = NULL;
    }
    if (!record->is_dead && record->index >= ring->first_live) {
        ring->first_live = record->index + 1;
    }
    ring->head += record->size;
    ring->count--;
    if (ring->is_wrapped && ring->head == ring->wrap) {
        ring->head = 0;
        ring->is_wrapped = false;
    }
    if (ring->count == 0) {
        ring->head = ring->tail = 0;
        ring->is_wrapped = false;
    }
    return true;
}

static void wrap_now(struct entry_ring *ring)
{
    ring->wrap = ring->tail;
    ring->tail = 0;
    ring->is_wrapped = true;
}

static bool fits(const struct entry_ring *ring, size_t total, size_t largest)
{
    if (ring->is_wrapped) {
        return ring->head - ring->tail >= total;
    }
    size_t upper = ring->cap - ring->tail;
    return upper >= total || (upper + ring->head >= total + largest && ring->count > 0);
}

bool entry_ring_make_room(struct entry_ring *ring, size_t total, size_t largest)
{
    /* What is not applied yet would have to be read back, so it goes last. */
    uint64_t limit = ring->applied < ring->durable ? ring->applied : ring->durable;
    for (;;) {
        if (!ring->is_wrapped && ring->tail > ring->usual) {
            while (ring->head < total && !ring->is_wrapped && evict_oldest(ring, limit)) {
            }
            if (ring->count > 0 && !ring->is_wrapped && ring->head >= total) {
                wrap_now(ring);
            }
        }
        if (fits(ring, total, largest)) {
            return true;
        }
        if (!evict_oldest(ring, limit)) {
            if (limit == ring->durable) {
                return false;
            }
            limit = ring->durable;
        }
    }
}

struct ring_record *entry_ring_put(struct entry_ring *ring, uint64_t index,
                                   const struct msg_raft_entry *entry)
{
    size_t size = entry_ring_size_of(entry->body.len);
    if (!ring->is_wrapped && ring->tail + size > ring->cap) {
        wrap_now(ring);
    }
    BASE_ASSERT(ring->tail + size <= (ring->is_wrapped ? ring->head : ring->cap));
    struct ring_record *record = record_at(ring, ring->tail);
    *record = (struct ring_record){.index = index,
                                   .term = entry->term,
                                   .size = (uint32_t)size,
                                   .value_len = (uint32_t)(LOG_STORE_HEADER + entry->body.len),
                                   .type = (uint8_t)entry->type};
    log_store_encode(index, entry, record->value);
    ring->tail += size;
    ring->count++;
    struct ring_record **slot = &ring->slots[index % ENTRY_RING_SLOTS];
    if (*slot != NULL && !(*slot)->is_dead && (*slot)->index >= ring->first_live) {
        ring->first_live = (*slot)->index + 1;
    }
    *slot = record;
    return record;
}

struct ring_record *entry_ring_find(const struct entry_ring *ring, uint64_t index)
{
    struct ring_record *record = ring->slots[index % ENTRY_RING_SLOTS];
    return record != NULL && record->index == index && !record->is_dead ? record : NULL;
}

void entry_ring_truncate(struct entry_ring *ring, uint64_t from, uint64_t last)
{
    for (uint64_t index = from; index <= last; index++) {
        struct ring_record *record = entry_ring_find(ring, index);
        if (record != NULL) {
            record->is_dead = true;
            ring->slots[index % ENTRY_RING_SLOTS] = NULL;
        }
    }
    if (ring->first_live > from) {
        ring->first_live = from;
    }
}

void entry_ring_restart(struct entry_ring *ring, uint64_t first, uint64_t last)
{
    entry_ring_truncate(ring, ring->first_live, last);
    ring->first_live = first;
}

struct slice entry_ring_body(const struct ring_record *record)
{
    return slice_from(record->value + LOG_STORE_HEADER, record->value_len - LOG_STORE_HEADER);
}
