/* SPDX-License-Identifier: Apache-2.0 */
/* Leases by id (open addressing) and by deadline (a binary heap); see lease_internal.h. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/lease_internal.h"

#define CAP_FIRST 64u

static uint32_t slot_count(const struct table *table)
{
    return table->cap * 2;
}

static uint32_t slot_of(const struct table *table, int64_t id)
{
    uint64_t mixed = (uint64_t)id * UINT64_C(0x9e3779b97f4a7c15);
    return (uint32_t)(mixed >> 32) & (slot_count(table) - 1);
}

/* The slot that holds the id, or the free one where it would go. */
static uint32_t slot_seek(const struct table *table, int64_t id)
{
    uint32_t at = slot_of(table, id);
    while (table->slots[at] != 0 && table->items[table->slots[at] - 1].id != id) {
        at = (at + 1) & (slot_count(table) - 1);
    }
    return at;
}

struct lease *table_find(const struct table *table, int64_t id)
{
    if (table->cap == 0) {
        return NULL;
    }
    uint32_t place = table->slots[slot_seek(table, id)];
    return place == 0 ? NULL : &table->items[place - 1];
}

/* Frees a slot and moves up those behind it that would not be found any more. */
static void slot_free(struct table *table, uint32_t at)
{
    uint32_t mask = slot_count(table) - 1;
    uint32_t next = (at + 1) & mask;
    table->slots[at] = 0;
    while (table->slots[next] != 0) {
        uint32_t home = slot_of(table, table->items[table->slots[next] - 1].id);
        if (((next - home) & mask) >= ((next - at) & mask)) {
            table->slots[at] = table->slots[next];
            table->slots[next] = 0;
            at = next;
        }
        next = (next + 1) & mask;
    }
}

/* --- heap --- */

static bool is_earlier(const struct table *table, uint32_t a, uint32_t b)
{
    return base_mono_before(table->items[table->heap[a]].deadline,
                            table->items[table->heap[b]].deadline);
}

static void heap_swap(struct table *table, uint32_t a, uint32_t b)
{
    uint32_t place = table->heap[a];
    table->heap[a] = table->heap[b];
    table->heap[b] = place;
    table->items[table->heap[a]].heap_at = a;
    table->items[table->heap[b]].heap_at = b;
}

static void heap_settle(struct table *table, uint32_t at)
{
    while (at > 0 && is_earlier(table, at, (at - 1) / 2)) {
        heap_swap(table, at, (at - 1) / 2);
        at = (at - 1) / 2;
    }
    for (;;) {
        uint32_t least = at;
        for (uint32_t child = 2 * at + 1; child <= 2 * at + 2 && child < table->count; child++) {
            least = is_earlier(table, child, least) ? child : least;
        }
        if (least == at) {
            return;
        }
        heap_swap(table, at, least);
        at = least;
    }
}

void table_move(struct table *table, struct lease *lease, struct base_mono deadline)
{
    lease->deadline = deadline;
    heap_settle(table, lease->heap_at);
}

struct lease *table_first(const struct table *table)
{
    return table->count == 0 ? NULL : &table->items[table->heap[0]];
}

/* --- growing, adding, removing --- */

static bool table_grow(struct table *table)
{
    uint32_t cap = table->cap == 0 ? CAP_FIRST : table->cap * 2;
    struct lease *items = realloc(table->items, cap * sizeof(*items));
    table->items = items != NULL ? items : table->items;
    uint32_t *heap = items == NULL ? NULL : realloc(table->heap, cap * sizeof(*heap));
    table->heap = heap != NULL ? heap : table->heap;
    uint32_t *slots = heap == NULL ? NULL : calloc((size_t)cap * 2, sizeof(*slots));
    if (slots == NULL) {
        return false;
    }
    free(table->slots);
    table->slots = slots;
    table->cap = cap;
    for (uint32_t i = 0; i < table->count; i++) {
        table->slots[slot_seek(table, table->items[i].id)] = i + 1;
    }
    return true;
}

struct lease *table_add(struct table *table, int64_t id, int64_t ttl, struct base_mono deadline)
{
    BASE_ASSERT(table_find(table, id) == NULL);
    if (table->count == KV_LEASES_MAX || (table->count == table->cap && !table_grow(table))) {
        return NULL;
    }
    uint32_t place = table->count++;
    table->items[place] =
        (struct lease){.id = id, .ttl = ttl, .deadline = deadline, .heap_at = place};
    table->heap[place] = place;
    table->slots[slot_seek(table, id)] = place + 1;
    heap_settle(table, place);
    return &table->items[place];
}

void table_remove(struct table *table, struct lease *lease)
{
    uint32_t place = (uint32_t)(lease - table->items);
    uint32_t at = lease->heap_at;
    uint32_t last = table->count - 1;
    slot_free(table, slot_seek(table, lease->id));
    heap_swap(table, at, last); /* the heap first, then the items */
    table->count--;
    if (at != last) {
        heap_settle(table, at);
    }
    if (place != last) {
        table->slots[slot_seek(table, table->items[last].id)] = place + 1;
        table->items[place] = table->items[last];
        table->heap[table->items[place].heap_at] = place;
    }
}

void table_clear(struct table *table)
{
    free(table->items);
    free(table->heap);
    free(table->slots);
    memset(table, 0, sizeof(*table));
}
