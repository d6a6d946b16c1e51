/* SPDX-License-Identifier: Apache-2.0 */
/* See watch_conn.h. */
#include "tests/sim/watch_conn.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/watch.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"

#define CONNS 32
#define REQUESTS 64
#define LOOK_US (200 * MS)
#define NODE_GIVES_UP_US (12 * SECOND)

struct message {
    struct message *next;
    int64_t at_us; /* not before that at the client */
    size_t len;
    uint8_t bytes[];
};

struct watch_conn {
    struct world *world;
    struct kv_watch_stream *stream; /* NULL: this place is free */
    struct watch_client client;
    bool has_client;
    unsigned address, node;
    struct base_rand rand;
    uint64_t number; /* of the connection in this place */
    uint64_t resets; /* of the link when it was made */
    struct message *first, *last;
    size_t bytes, bytes_max;
    bool is_busy;  /* a message was not taken */
    bool is_ended; /* by the node */
    int64_t stalled_until_us, last_at_us, stuck_since_us, client_gives_up_us;
    struct kv_watch_request requests[REQUESTS];
    unsigned requests_count;
    int64_t requests_at_us;
};

struct watch_conns {
    struct watch_conn list[CONNS];
};

static void pump(void *ctx, uint64_t number, struct slice bytes);

static void later(struct watch_conn *c, int64_t at_us)
{
    world_at_with(c->world, at_us, NULL, pump, c, c->number, SLICE_EMPTY);
}

static void messages_drop(struct watch_conn *c)
{
    while (c->first != NULL) {
        struct message *m = c->first;
        c->first = m->next;
        free(m);
    }
    c->last = NULL;
    c->bytes = 0;
}

/* Of both sides; the place is free. */
static void forget(struct watch_conn *c)
{
    bool had_client = c->has_client;
    messages_drop(c);
    c->stream = NULL;
    c->has_client = false;
    c->number++;
    if (had_client) {
        c->client.ended(c->client.ctx);
    }
}

static void end(struct watch_conn *c)
{
    kv_watch_stream_close(c->stream);
    forget(c);
}

/* --- the node's side --- */

static int sink_send(void *ctx, struct slice message)
{
    struct watch_conn *c = ctx;
    struct world *w = c->world;
    if (c->bytes > 0 && c->bytes + message.len > c->bytes_max) {
        c->is_busy = true;
        return BASE_E_BUSY;
    }
    struct message *m = must_alloc(1, sizeof(*m) + message.len);
    int64_t at_us = w->now_us + draw(&c->rand, w->setup.delay_min_us, w->setup.delay_max_us);
    c->last_at_us = at_us > c->last_at_us ? at_us : c->last_at_us;
    m->at_us = c->last_at_us;
    m->len = message.len;
    memcpy(m->bytes, message.data, message.len);
    if (c->last == NULL) {
        c->first = m;
    } else {
        c->last->next = m;
    }
    c->last = m;
    c->bytes += message.len;
    later(c, m->at_us);
    return 0;
}

static void sink_end(void *ctx, enum kv_error error)
{
    struct watch_conn *c = ctx;
    (void)error;
    c->is_ended = true;
    later(c, c->world->now_us);
}

static void writable(void *ctx, uint64_t number, struct slice bytes)
{
    struct watch_conn *c = ctx;
    (void)bytes;
    if (c->stream != NULL && c->number == number && c->is_busy) {
        c->is_busy = false;
        kv_watch_writable(c->stream);
    }
}

static void requests_arrive(struct watch_conn *c)
{
    unsigned count = c->requests_count;
    uint64_t number = c->number;
    if (c->world->now_us < c->requests_at_us || node_process(c->world, c->node)->stopped != 0) {
        return;
    }
    c->requests_count = 0;
    for (unsigned i = 0; i < count && c->number == number; i++) {
        kv_watch_stream_request(c->stream, &c->requests[i], KV_OK);
    }
}

/* --- the link --- */

static bool is_cut(const struct watch_conn *c)
{
    return net_is_cut(c->world, ADDRESS_NODE + c->node, c->address) ||
           net_is_cut(c->world, c->address, ADDRESS_NODE + c->node);
}

/* Nothing gets through: each side waits for its own time. */
static void is_stuck(struct watch_conn *c)
{
    int64_t now_us = c->world->now_us;
    c->stuck_since_us = c->stuck_since_us == 0 ? now_us : c->stuck_since_us;
    int64_t stuck_us = now_us - c->stuck_since_us;
    if (c->has_client && stuck_us >= c->client_gives_up_us) {
        c->world->tally.watch_half_open++;
        c->has_client = false;
        c->client.ended(c->client.ctx);
    }
    if (stuck_us >= NODE_GIVES_UP_US) {
        end(c);
    }
}

static void messages_arrive(struct watch_conn *c)
{
    uint64_t number = c->number;
    int64_t now_us = c->world->now_us;
    while (c->first != NULL && c->first->at_us <= now_us && c->stalled_until_us <= now_us &&
           c->number == number && c->has_client) {
        struct message *m = c->first;
        c->first = m->next;
        c->last = c->first == NULL ? NULL : c->last;
        c->bytes -= m->len;
        c->client.heard(c->client.ctx, slice_from(m->bytes, m->len));
        free(m);
    }
    if (c->number == number && c->is_busy && c->bytes * 2 <= c->bytes_max) {
        world_at_with(c->world, now_us, node_process(c->world, c->node), writable, c, number,
                      SLICE_EMPTY);
    }
}

static void pump(void *ctx, uint64_t number, struct slice bytes)
{
    struct watch_conn *c = ctx;
    (void)bytes;
    if (c->number != number || c->stream == NULL) {
        return;
    }
    if (c->resets != net_resets(c->world, ADDRESS_NODE + c->node, c->address)) {
        end(c);
    } else if (is_cut(c)) {
        is_stuck(c);
    } else {
        c->stuck_since_us = 0;
        requests_arrive(c);
        messages_arrive(c);
        bool is_over = !c->has_client || (c->is_ended && c->first == NULL);
        if (c->number == number && is_over) {
            end(c);
        }
    }
}

static void look(void *ctx, uint64_t number, struct slice bytes)
{
    struct watch_conn *c = ctx;
    pump(ctx, number, bytes);
    if (c->number == number && c->stream != NULL) {
        world_at_with(c->world, c->world->now_us + LOOK_US, NULL, look, c, number, SLICE_EMPTY);
    }
}

/* --- the client's side --- */

struct watch_conn *watch_conn_open(struct world *w, unsigned address, unsigned node,
                                   const struct watch_client *client, struct base_rand *r)
{
    struct watch_conn *c = NULL;
    struct kv_watch_hub *hub = node_hub(w, node);
    bool is_up = hub != NULL && node_process(w, node)->stopped == 0 &&
                 !net_is_cut(w, ADDRESS_NODE + node, address) &&
                 !net_is_cut(w, address, ADDRESS_NODE + node);
    for (unsigned i = 0; i < CONNS && c == NULL && is_up; i++) {
        c = w->watch_conns->list[i].stream == NULL ? &w->watch_conns->list[i] : NULL;
    }
    if (c == NULL) {
        return NULL;
    }
    const struct kv_watch_sink sink = {.ctx = c, .send = sink_send, .end = sink_end};
    *c = (struct watch_conn){.world = w,
                             .client = *client,
                             .has_client = true,
                             .address = address,
                             .node = node,
                             .number = c->number + 1,
                             .resets = net_resets(w, ADDRESS_NODE + node, address)};
    c->rand = base_rand_make(base_rand_next(r), 0);
    c->bytes_max = (size_t)draw(&c->rand, 200, chance(&c->rand, 500000) ? 4000 : 200000);
    c->client_gives_up_us = draw(&c->rand, 200 * MS, 3 * SECOND);
    if (kv_watch_stream_open(hub, &sink, &c->stream) != 0) {
        c->stream = NULL; /* the hub does not know its store yet */
        return NULL;
    }
    look(c, c->number, SLICE_EMPTY);
    return c;
}

void watch_conn_request(struct watch_conn *c, const struct kv_watch_request *request)
{
    const struct setup *s = &c->world->setup;
    BASE_ASSERT(c->requests_count < REQUESTS);
    c->requests[c->requests_count++] = *request;
    c->requests_at_us = c->world->now_us + draw(&c->rand, s->delay_min_us, s->delay_max_us);
    later(c, c->requests_at_us);
}

void watch_conn_stall(struct watch_conn *c, int64_t until_us)
{
    c->stalled_until_us = until_us;
    later(c, until_us);
}

void watch_conn_leave(struct watch_conn *c)
{
    c->has_client = false;
    later(c, c->world->now_us + MS);
}

/* --- life --- */

void watch_conns_node_down(struct world *w, unsigned node)
{
    for (unsigned i = 0; w->watch_conns != NULL && i < CONNS; i++) {
        struct watch_conn *c = &w->watch_conns->list[i];
        if (c->stream != NULL && c->node == node) {
            forget(c);
        }
    }
}

void watch_conns_open(struct world *w)
{
    w->watch_conns = must_alloc(1, sizeof(*w->watch_conns));
}

void watch_conns_close(struct world *w)
{
    for (unsigned i = 0; w->watch_conns != NULL && i < CONNS; i++) {
        messages_drop(&w->watch_conns->list[i]);
    }
    free(w->watch_conns);
    w->watch_conns = NULL;
}
