/* SPDX-License-Identifier: Apache-2.0 */
/* Links between all pairs of addresses. */
#include "tests/sim/net.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "proto/port_net.h"

struct link {
    struct base_rand rand;
    int64_t cut_until_us;
    bool is_held; /* the cut keeps frames for later */
    int64_t slow_until_us, slow_extra_us;
    int64_t clog_until_us;
    int64_t last_arrival_us;
    int64_t last_wild_us; /* the latest arrival of a frame that may be overtaken */
    uint32_t share;       /* of the seed's rates of losing, doubling and being late */
    uint64_t resets;      /* frames of an older count are lost */
};

struct end {
    const struct process *process;
    net_deliver_fn *fn;
    void *ctx;
};

#define KEPT 64 /* frames that may come again */
#define KEEP_PPM 30000
#define KEPT_BYTES 4096

struct kept {
    uint16_t from, to;
    uint64_t life; /* of who received it */
    size_t len;
    uint8_t bytes[KEPT_BYTES];
};

struct net {
    struct kept kept[KEPT];
    uint64_t kept_count;
    struct link links[ADDRESSES][ADDRESSES];
    struct end ends[ADDRESSES];
};

/* Head of a frame on its way, in front of the payload. */
struct frame_head {
    uint64_t resets;
    uint16_t from, to;
};

void net_open(struct world *w)
{
    static const uint32_t shares[] = {0, 1, 1, 3};
    w->net = must_alloc(1, sizeof(*w->net));
    for (unsigned from = 0; from < ADDRESSES; from++) {
        for (unsigned to = 0; to < ADDRESSES; to++) {
            struct link *link = &w->net->links[from][to];
            link->rand = world_stream(w, STREAM_LINK, from * ADDRESSES + to);
            link->share = shares[draw(&link->rand, 0, 3)];
        }
    }
}

void net_close(struct world *w)
{
    free(w->net);
    w->net = NULL;
}

void net_listen(struct world *w, unsigned address, const struct process *process,
                net_deliver_fn *fn, void *ctx)
{
    w->net->ends[address] = (struct end){process, fn, ctx};
}

static uint64_t type_of(struct slice payload)
{
    return payload.len > 0 ? payload.data[0] : 0;
}

static void deliver(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct frame_head head;
    (void)number;
    memcpy(&head, bytes.data, sizeof(head));
    struct slice payload = slice_skip(bytes, sizeof(head));
    struct link *link = &w->net->links[head.from][head.to];
    if (head.resets != link->resets) {
        trace(w, TRACE_LOSE, head.from, head.to, type_of(payload), 2);
        return;
    }
    const struct end *end = &w->net->ends[head.to];
    w->tally.frames++;
    trace(w, TRACE_ARRIVE, head.from, head.to, type_of(payload), payload.len);
    end->fn(end->ctx, head.from, payload);
}

/* Frames that must stand being lost, doubled and overtaken; all others travel as on one TCP
 * connection. */
static bool is_wild(const struct world *w, struct slice payload)
{
    uint64_t type = type_of(payload);
    return !w->setup.is_ordered &&
           (type == NET_FRAME_RAFT || type == NET_FRAME_REPORT || type == NET_FRAME_ORDER);
}

static void enqueue(struct world *w, struct link *link, const struct frame_head *head,
                    struct slice payload, int64_t at_us)
{
    static uint8_t room[8 << 20];
    BASE_ASSERT(payload.len + sizeof(*head) <= sizeof(room));
    if (is_wild(w, payload)) {
        w->tally.bit[FAULT_FRAME_OVERTAKEN] += at_us < link->last_wild_us;
        link->last_wild_us = at_us > link->last_wild_us ? at_us : link->last_wild_us;
    } else {
        at_us = at_us > link->last_arrival_us ? at_us : link->last_arrival_us;
        link->last_arrival_us = at_us;
    }
    memcpy(room, head, sizeof(*head));
    memcpy(room + sizeof(*head), payload.data, payload.len);
    world_at_with(w, at_us, w->net->ends[head->to].process, deliver, w, 0,
                  slice_from(room, sizeof(*head) + payload.len));
}

/* Remembers a frame now and then, to send it again much later. */
static void keep(struct world *w, struct link *link, const struct frame_head *head,
                 struct slice payload)
{
    if (is_wild(w, payload) && payload.len <= KEPT_BYTES && chance(&link->rand, KEEP_PPM)) {
        struct kept *k = &w->net->kept[w->net->kept_count++ % KEPT];
        k->from = head->from;
        k->to = head->to;
        k->life = w->net->ends[head->to].process->life;
        k->len = payload.len;
        memcpy(k->bytes, payload.data, payload.len);
    }
}

/* No connection outlives its process. Raft, grants and promises bear even that; a report is what
 * its receiver knows of the present, and one that an earlier life received may be minutes old. */
static bool may_replay(const struct world *w, const struct kept *k)
{
    const struct process *process = w->net->ends[k->to].process;
    bool is_report = type_of(slice_from(k->bytes, k->len)) == NET_FRAME_REPORT;
    return process != NULL && process->is_up && (!is_report || process->life == k->life);
}

unsigned net_replay(struct world *w, struct base_rand *r, unsigned count)
{
    uint64_t have = w->net->kept_count < KEPT ? w->net->kept_count : KEPT;
    unsigned sent = 0;
    for (unsigned i = 0; i < count && have > 0; i++) {
        const struct kept *k = &w->net->kept[draw(r, 0, (int64_t)have - 1)];
        struct link *link = &w->net->links[k->from][k->to];
        const struct frame_head head = {link->resets, k->from, k->to};
        if (may_replay(w, k)) {
            enqueue(w, link, &head, slice_from(k->bytes, k->len), w->now_us + draw(r, 0, 20 * MS));
            sent++;
        }
    }
    return sent;
}

/* Whether a cut lets a frame pass later (at `ret_at_us`), or never. */
static bool passes_cut(const struct world *w, const struct link *link, int64_t *ret_at_us)
{
    if (link->cut_until_us <= w->now_us) {
        return true;
    }
    if (!link->is_held || link->cut_until_us > w->now_us + 2 * SECOND) {
        return false;
    }
    *ret_at_us += link->cut_until_us - w->now_us;
    return true;
}

static int64_t travel(struct world *w, struct link *link)
{
    int64_t at_us = w->now_us + draw(&link->rand, w->setup.delay_min_us, w->setup.delay_max_us);
    at_us += link->slow_until_us > w->now_us ? link->slow_extra_us : 0;
    return at_us > link->clog_until_us ? at_us : link->clog_until_us;
}

bool net_send(struct world *w, unsigned from, unsigned to, struct slice payload)
{
    struct link *link = &w->net->links[from][to];
    const struct end *end = &w->net->ends[to];
    const struct frame_head head = {link->resets, (uint16_t)from, (uint16_t)to};
    trace(w, TRACE_SEND, from, to, type_of(payload), payload.len);
    if (end->process == NULL || !end->process->is_up) {
        trace(w, TRACE_LOSE, from, to, type_of(payload), 0);
        return false;
    }
    int64_t at_us = travel(w, link);
    bool is_lost = chance(&link->rand, w->setup.loss_ppm * link->share),
         is_late = chance(&link->rand, w->setup.late_ppm * link->share);
    bool is_double = chance(&link->rand, w->setup.double_ppm * link->share);
    int64_t late_us = draw(&link->rand, 10 * MS, 900 * MS);
    keep(w, link, &head, payload);
    if (!passes_cut(w, link, &at_us)) {
        trace(w, TRACE_LOSE, from, to, type_of(payload), 1);
        return true;
    }
    w->tally.bit[FAULT_FRAME_LOST] += is_lost;
    w->tally.bit[FAULT_FRAME_LATE] += is_late;
    if (is_lost && is_wild(w, payload)) {
        trace(w, TRACE_LOSE, from, to, type_of(payload), 3);
        return true;
    }
    at_us += is_late   ? late_us
             : is_lost ? draw(&link->rand, 200 * MS, 400 * MS)
                       : 0; /* lost on TCP: sent again */
    enqueue(w, link, &head, payload, at_us);
    if (is_double && is_wild(w, payload)) {
        w->tally.bit[FAULT_FRAME_DOUBLED]++;
        enqueue(w, link, &head, payload, at_us + late_us);
    }
    return true;
}

void net_cut(struct world *w, unsigned from, unsigned to, int64_t until_us, bool is_held)
{
    struct link *link = &w->net->links[from][to];
    link->cut_until_us = until_us;
    link->is_held = is_held;
}

bool net_is_cut(const struct world *w, unsigned from, unsigned to)
{
    return w->net->links[from][to].cut_until_us > w->now_us;
}

void net_reset(struct world *w, unsigned a, unsigned b)
{
    w->net->links[a][b].resets++;
    w->net->links[b][a].resets++;
    w->net->links[a][b].last_arrival_us = w->net->links[b][a].last_arrival_us = 0;
}

uint64_t net_resets(const struct world *w, unsigned a, unsigned b)
{
    return w->net->links[a][b].resets;
}

void net_slow(struct world *w, unsigned from, unsigned to, int64_t until_us, int64_t extra_us)
{
    w->net->links[from][to].slow_until_us = until_us;
    w->net->links[from][to].slow_extra_us = extra_us;
}

void net_clog(struct world *w, unsigned from, unsigned to, int64_t until_us)
{
    w->net->links[from][to].clog_until_us = until_us;
}

void net_heal_all(struct world *w)
{
    for (unsigned from = 0; from < ADDRESSES; from++) {
        for (unsigned to = 0; to < ADDRESSES; to++) {
            w->net->links[from][to].cut_until_us = 0;
            w->net->links[from][to].slow_until_us = 0;
            w->net->links[from][to].clog_until_us = 0;
        }
    }
}
