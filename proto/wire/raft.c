/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of Raft messages. Everything that arrives is checked here, so that the core may rely on it.
 */
#include "proto/wire/raft.h"

#include "raft.pb-c.h"

#define INDEX_MAX (UINT64_C(1) << 62)

/* protobuf-c takes writable pointers but only reads through them when packing. */
static uint8_t *unconst(const uint8_t *data)
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } pointer = {.in = data};
    return pointer.out;
}

static Quorate__Raft__Entry **pack_entries(const struct msg_raft *msg, struct wire_arena *arena)
{
    Quorate__Raft__Entry **list = wire_arena_take(arena, sizeof(*list) * msg->entry_count);
    Quorate__Raft__Entry *entries = wire_arena_take(arena, sizeof(*entries) * msg->entry_count);
    if (list == NULL || entries == NULL) {
        return NULL;
    }
    for (uint32_t i = 0; i < msg->entry_count; i++) {
        quorate__raft__entry__init(&entries[i]);
        entries[i].term = msg->entries[i].term;
        entries[i].type = msg->entries[i].type;
        entries[i].body.data = unconst(msg->entries[i].body.data);
        entries[i].body.len = msg->entries[i].body.len;
        list[i] = &entries[i];
    }
    return list;
}

int wire_raft_encode(const struct msg_raft *msg, struct wire_arena *arena, struct buf *out)
{
    Quorate__Raft__Message packed = QUORATE__RAFT__MESSAGE__INIT;
    wire_arena_reset(arena);
    packed.type = msg->type;
    packed.is_rejected = msg->is_rejected;
    packed.cluster = msg->cluster;
    packed.from = msg->from;
    packed.to = msg->to;
    packed.term = msg->term;
    packed.proposed_term = msg->proposed_term;
    packed.index = msg->index;
    packed.log_term = msg->log_term;
    packed.commit = msg->commit;
    packed.round = msg->round;
    packed.received = msg->received;
    packed.hint_index = msg->hint_index;
    packed.hint_term = msg->hint_term;
    packed.is_transfer = msg->is_transfer;
    packed.is_last = msg->is_last;
    packed.offset = msg->offset;
    packed.data.data = unconst(msg->data.data);
    packed.data.len = msg->data.len;
    if (msg->entry_count > 0) {
        packed.n_entries = msg->entry_count;
        packed.entries = pack_entries(msg, arena);
        if (packed.entries == NULL) {
            return BASE_E_TOOBIG;
        }
    }
    if (quorate__raft__message__get_packed_size(&packed) > out->cap - out->len) {
        return BASE_E_TOOBIG;
    }
    out->len += quorate__raft__message__pack(&packed, out->data + out->len);
    return 0;
}

static bool are_numbers_sound(const Quorate__Raft__Message *packed)
{
    bool is_known = (packed->type >= MSG_RAFT_PREVOTE && packed->type <= MSG_RAFT_READ_REPLY) ||
                    (packed->type >= MSG_RAFT_SNAPSHOT && packed->type < MSG_RAFT_TYPE_COUNT);
    if (!is_known || (packed->data.len > 0 && packed->type != MSG_RAFT_SNAPSHOT)) {
        return false;
    }
    if (packed->type == MSG_RAFT_SNAPSHOT &&
        (packed->index == 0 || packed->log_term == 0 || packed->log_term > packed->term ||
         packed->offset > INDEX_MAX)) {
        return false;
    }
    if (packed->from == 0 || packed->to == 0 || packed->term > INDEX_MAX ||
        packed->proposed_term > INDEX_MAX) {
        return false;
    }
    if (packed->index > INDEX_MAX || packed->commit > INDEX_MAX || packed->received > INDEX_MAX ||
        packed->hint_index > INDEX_MAX) {
        return false;
    }
    bool names_entry = packed->type == MSG_RAFT_APPEND || packed->type == MSG_RAFT_VOTE ||
                       packed->type == MSG_RAFT_PREVOTE;
    if (names_entry &&
        (packed->log_term > packed->term || (packed->index == 0) != (packed->log_term == 0))) {
        return false;
    }
    return packed->n_entries == 0 ||
           (packed->type == MSG_RAFT_APPEND && packed->n_entries <= MSG_RAFT_ENTRIES_MAX);
}

static bool is_entry_sound(const Quorate__Raft__Entry *entry, uint64_t term_min, uint64_t term_max)
{
    if (entry->type != MSG_RAFT_ENTRY_DATA && entry->type != MSG_RAFT_ENTRY_NOOP &&
        entry->type != MSG_RAFT_ENTRY_MEMBERS) {
        return false;
    }
    return entry->term >= 1 && entry->term >= term_min && entry->term <= term_max;
}

static int take_entries(const Quorate__Raft__Message *packed, struct wire_arena *arena,
                        struct msg_raft *ret)
{
    if (packed->n_entries == 0) {
        return 0;
    }
    struct msg_raft_entry *entries = wire_arena_take(arena, sizeof(*entries) * packed->n_entries);
    if (entries == NULL) {
        return BASE_E_PROTO;
    }
    uint64_t term = packed->log_term;
    for (size_t i = 0; i < packed->n_entries; i++) {
        const Quorate__Raft__Entry *entry = packed->entries[i];
        if (!is_entry_sound(entry, term, packed->term)) {
            return BASE_E_PROTO;
        }
        term = entry->term;
        entries[i] = (struct msg_raft_entry){
            .term = entry->term,
            .type = (enum msg_raft_entry_type)entry->type,
            .body = slice_from(entry->body.data, entry->body.len),
        };
    }
    ret->entries = entries;
    ret->entry_count = (uint32_t)packed->n_entries;
    return 0;
}

int wire_raft_decode(struct slice bytes, struct wire_arena *arena, struct msg_raft *ret)
{
    wire_arena_reset(arena);
    const Quorate__Raft__Message *packed =
        quorate__raft__message__unpack(wire_arena_allocator(arena), bytes.len, bytes.data);
    if (packed == NULL || !are_numbers_sound(packed)) {
        return BASE_E_PROTO;
    }
    struct msg_raft msg = {
        .type = (enum msg_raft_type)packed->type,
        .is_rejected = packed->is_rejected != 0,
        .cluster = packed->cluster,
        .from = packed->from,
        .to = packed->to,
        .term = packed->term,
        .proposed_term = packed->proposed_term,
        .index = packed->index,
        .log_term = packed->log_term,
        .commit = packed->commit,
        .round = packed->round,
        .received = packed->received,
        .hint_index = packed->hint_index,
        .hint_term = packed->hint_term,
        .is_transfer = packed->is_transfer != 0,
        .is_last = packed->is_last != 0,
        .offset = packed->offset,
        .data = slice_from(packed->data.data, packed->data.len),
    };
    int rc = take_entries(packed, arena, &msg);
    if (rc == 0) {
        *ret = msg;
    }
    return rc;
}
