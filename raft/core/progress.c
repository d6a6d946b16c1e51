/* SPDX-License-Identifier: Apache-2.0 */
/* One peer as its leader sees it: where the logs agree, what is on the way, what may be sent next
 * (T 10.2). */
#include "base/assert.h"
#include "base/mark.h"
#include "raft/core/internal.h"

#define ENTRY_OVERHEAD 16u /* bytes of an entry on the wire besides its body */

static void clear_inflight(struct raft_peer *peer)
{
    peer->inflight_begin = 0;
    peer->inflight_count = 0;
    peer->inflight_bytes = 0;
}

void raft_peer_reset(const struct raft_core *core, struct raft_peer *peer)
{
    clear_inflight(peer);
    peer->state = RAFT_PEER_PROBE;
    peer->is_probe_sent = false;
    peer->has_read = false;
    peer->match = 0;
    peer->next = core->log.last_index + 1;
    peer->round_acked = 0;
    peer->heard_us = core->now_us;
    peer->progress_us = core->now_us;
}

void raft_peer_probe(struct raft_peer *peer)
{
    clear_inflight(peer);
    peer->state = RAFT_PEER_PROBE;
    peer->is_probe_sent = false;
}

static void push_inflight(struct raft_peer *peer, uint64_t last_index, uint32_t bytes)
{
    BASE_ASSERT(peer->inflight_count < RAFT_WINDOW_MESSAGES);
    uint32_t at = (peer->inflight_begin + peer->inflight_count) % RAFT_WINDOW_MESSAGES;
    peer->inflight[at] = (struct raft_inflight){.last_index = last_index, .bytes = bytes};
    peer->inflight_count++;
    peer->inflight_bytes += bytes;
}

static void free_inflight(struct raft_peer *peer, uint64_t upto)
{
    while (peer->inflight_count > 0 && peer->inflight[peer->inflight_begin].last_index <= upto) {
        peer->inflight_bytes -= peer->inflight[peer->inflight_begin].bytes;
        peer->inflight_begin = (peer->inflight_begin + 1) % RAFT_WINDOW_MESSAGES;
        peer->inflight_count--;
    }
}

static bool is_window_full(const struct raft_peer *peer)
{
    return peer->inflight_count == RAFT_WINDOW_MESSAGES ||
           peer->inflight_bytes >= RAFT_WINDOW_BYTES;
}

/* How many entries from `next` on go into one message, and their bytes. At least one, if there is
 * one. */
static uint32_t fill_message(const struct raft_core *core, uint64_t next, uint32_t *ret_bytes)
{
    uint32_t count = 0;
    uint32_t bytes = 0;
    while (count < MSG_RAFT_ENTRIES_MAX && next + count <= core->log.last_index) {
        uint32_t more = raft_log_bytes(&core->log, next + count) + ENTRY_OVERHEAD;
        if (count > 0 && bytes + more > RAFT_MESSAGE_BYTES) {
            break;
        }
        bytes += more;
        count++;
    }
    *ret_bytes = bytes;
    return count;
}

static struct raft_effect *send_append(const struct raft_core *core, struct raft_effects *effects,
                                       const struct raft_peer *peer, uint32_t count)
{
    uint64_t prev_term = 0;
    bool is_known = raft_log_term(&core->log, peer->next - 1, &prev_term);
    BASE_ASSERT(is_known);
    struct msg_raft *message = raft_send(core, effects, peer->id, MSG_RAFT_APPEND);
    message->index = peer->next - 1;
    message->log_term = prev_term;
    message->commit = core->commit;
    message->entry_count = count;
    return &effects->list[effects->count - 1];
}

static void send_probe(struct raft_core *core, struct raft_effects *effects, struct raft_peer *peer)
{
    if (peer->is_probe_sent) {
        return;
    }
    bool is_from_store = peer->next < core->log.memory_from;
    uint64_t left = core->log.last_index + 1 - peer->next;
    uint32_t count = left > MSG_RAFT_ENTRIES_MAX ? MSG_RAFT_ENTRIES_MAX : (uint32_t)left;
    if (is_from_store && peer->next + count > core->log.memory_from) {
        count = (uint32_t)(core->log.memory_from - peer->next);
    }
    if (!is_from_store) {
        uint32_t bytes = 0;
        count = fill_message(core, peer->next, &bytes);
    }
    send_append(core, effects, peer, count)->is_from_store = is_from_store;
    peer->is_probe_sent = true;
    peer->progress_us = core->now_us;
}

/* The log no longer has what this peer needs next: asks for an image, once. True: nothing else is
 * to be sent. Who is not there gets none, since the log is kept while an image is under way: its
 * next answer to a heartbeat brings it here again. */
static bool needs_image(const struct raft_core *core, struct raft_effects *effects,
                        struct raft_peer *peer)
{
    bool is_lacking = peer->next < core->log.first_index;
    bool is_there = core->now_us - peer->heard_us <= core->config.election_max_us;
    if (peer->state != RAFT_PEER_SNAPSHOT && is_lacking && is_there) {
        raft_peer_probe(peer);
        peer->state = RAFT_PEER_SNAPSHOT;
        MARK(RAFT_PROBE_TO_IMAGE);
        raft_effect_add(effects, RAFT_EFFECT_SNAPSHOT)->id = peer->id;
    }
    return peer->state == RAFT_PEER_SNAPSHOT || is_lacking;
}

void raft_peer_send(struct raft_core *core, struct raft_effects *effects, struct raft_peer *peer)
{
    BASE_ASSERT(peer->next > peer->match);
    if (needs_image(core, effects, peer)) {
        return;
    }
    for (uint32_t i = 0; i < RAFT_SENDS_PER_STEP && peer->state == RAFT_PEER_REPLICATE; i++) {
        if (peer->next > core->log.last_index || is_window_full(peer)) {
            return;
        }
        if (peer->next < core->log.memory_from) {
            raft_peer_probe(peer); /* far behind: out of the store, one message at a time */
            break;
        }
        uint32_t bytes = 0;
        uint32_t count = fill_message(core, peer->next, &bytes);
        (void)send_append(core, effects, peer, count);
        if (peer->inflight_count == 0) {
            peer->progress_us = core->now_us;
        }
        push_inflight(peer, peer->next + count - 1, bytes);
        peer->next += count;
    }
    if (peer->state == RAFT_PEER_PROBE) {
        send_probe(core, effects, peer);
    }
}

void raft_peer_ask(struct raft_core *core, struct raft_effects *effects, struct raft_peer *peer)
{
    if (!needs_image(core, effects, peer)) {
        (void)send_append(core, effects, peer, 0);
    }
}

void raft_peer_taken(struct raft_core *core, struct raft_peer *peer, uint64_t durable,
                     uint64_t received)
{
    uint64_t last = core->log.last_index;
    durable = durable < last ? durable : last;
    received = received < last ? received : last;
    if (durable > peer->match) {
        peer->match = durable;
        peer->progress_us = core->now_us;
    }
    if (peer->state == RAFT_PEER_SNAPSHOT && peer->match + 1 < core->log.first_index) {
        peer->next = peer->next > peer->match ? peer->next : peer->match + 1;
        return;
    }
    /* Whatever brought it here: a peer whose log reaches ours again gets entries. */
    if (peer->state != RAFT_PEER_REPLICATE) {
        peer->state = RAFT_PEER_REPLICATE;
        peer->is_probe_sent = false;
        peer->next = (received > peer->match ? received : peer->match) + 1;
        return;
    }
    free_inflight(peer, peer->match);
    if (peer->next <= peer->match) {
        peer->next = peer->match + 1;
    }
}

bool raft_peer_rejected(struct raft_core *core, struct raft_peer *peer, const struct msg_raft *m)
{
    if (m->index <= peer->match || peer->state == RAFT_PEER_SNAPSHOT ||
        (peer->state == RAFT_PEER_PROBE && m->index != peer->next - 1) || m->index >= peer->next) {
        return false;
    }
    uint64_t hint = m->hint_index < m->index ? m->hint_index : m->index - 1;
    uint64_t agreed = hint + 1 < core->log.first_index
                          ? hint /* it needs what is forgotten here */
                          : raft_log_seek(&core->log, hint, m->hint_term);
    raft_peer_probe(peer);
    peer->next = (agreed > peer->match ? agreed : peer->match) + 1;
    return true;
}
