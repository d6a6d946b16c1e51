/* SPDX-License-Identifier: Apache-2.0 */
/* The subscription; see quorum.h. A session is one node: its channel, one stream of watches, and
 * per cluster the reads under way. Watches begin at the revision behind the read that told the
 * state, so nothing falls in between. Anything odd ends the session, and it begins anew. */
#include "agents/proxy/quorum.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "proto/io/grpc_channel.h"
#include "proto/wire/kv.h"
#include "proto/wire/kv_tables.h"

#define RANGE_PATH "/etcdserverpb.KV/Range"
#define WATCH_PATH "/etcdserverpb.Watch/Watch"
#define PREFIX "/quorate/v1/clusters/"
#define KEY_BYTES 160
#define REQUEST_BYTES 512
#define ARENA_BYTES 32768
#define CONNECT_MS 2000u
#define USER_TIMEOUT_MS 3000u
#define RETRY_FIRST_US (50 * BASE_US_PER_MS)
#define RETRY_MAX_US BASE_US_PER_S
#define REFUSED_US (2 * BASE_US_PER_S) /* no right, unknown method: it will not change soon */
#define AGAIN_US (50 * BASE_US_PER_MS) /* a read failed: no leader, most likely */
#define SILENT_US (4 * BASE_US_PER_S)  /* a read without an answer: the node is given up */

enum what { RECORD = 0, MEMBERS = 1 };

struct session;

/* A read of one cluster's record or members over one session. */
struct reading {
    struct session *session;
    size_t cluster;
    enum what what;
    struct io_grpc_sent *sent; /* NULL: none under way */
    struct base_mono asked_at;
    struct base_mono due; /* the next one */
    bool is_watched;      /* the watch behind it was begun */
};

struct session {
    struct quorum *quorum;
    struct io_address address;
    struct io_grpc_channel *channel;
    struct io_grpc_sent *watch;
    bool is_up;
    int64_t retry_us;
    struct base_mono retry_at;
    struct base_mono answered;
    struct io_why why;
    struct reading reads[PROXY_CLUSTERS_MAX][2];
};

struct quorum {
    struct quorum_options options;
    size_t clusters_count;
    struct base_name clusters[PROXY_CLUSTERS_MAX];
    size_t sessions_count;
    struct session sessions[PROXY_ENDPOINTS_MAX];
    struct io_timer timer;
    int64_t interval_us;
};

static void schedule(struct quorum *q);

/* --- keys --- */

/* ".../NAME/record", or ".../NAME/members/" and, as its end, ".../NAME/members0". */
static struct slice key_of(const struct quorum *q, size_t cluster, enum what what, bool is_end,
                           struct buf *b)
{
    buf_put_text(b, PREFIX);
    buf_put(b, base_name_slice(&q->clusters[cluster]));
    if (what == RECORD) {
        buf_put_text(b, "/record");
    } else {
        buf_put_text(b, is_end ? "/members0" : "/members/");
    }
    return buf_slice(b);
}

struct key_pair {
    uint8_t memory[2][KEY_BYTES];
    struct slice key, end;
};

static void keys_of(const struct quorum *q, size_t cluster, enum what what, struct key_pair *ret)
{
    struct buf first = buf_over(ret->memory[0], KEY_BYTES);
    struct buf second = buf_over(ret->memory[1], KEY_BYTES);
    ret->key = key_of(q, cluster, what, false, &first);
    ret->end = what == RECORD ? SLICE_EMPTY : key_of(q, cluster, what, true, &second);
}

/* --- a session's life --- */

static void session_end(struct session *s, const char *why, int64_t wait_us)
{
    struct quorum *q = s->quorum;
    if (s->is_up || s->retry_us == 0) {
        IO_LOG_WARN("quorum", "session_lost", io_text("node", s->address.host),
                    io_u64("port", s->address.port), io_text("why", why),
                    io_text("next", "the other nodes are used meanwhile"));
    }
    io_why_set(&s->why, "%s", why);
    s->channel = io_grpc_channel_close(s->channel);
    s->watch = NULL;
    s->is_up = false;
    s->retry_us = s->retry_us == 0 ? RETRY_FIRST_US : s->retry_us * 2;
    s->retry_us = s->retry_us > RETRY_MAX_US ? RETRY_MAX_US : s->retry_us;
    s->retry_at = base_mono_add_us(io_now(), wait_us > s->retry_us ? wait_us : s->retry_us);
    memset(s->reads, 0, sizeof(s->reads));
    schedule(q);
}

static void channel_down(void *ctx, struct io_grpc_channel *channel, const char *why)
{
    struct session *s = ctx;
    (void)channel;
    s->channel = NULL; /* it frees itself */
    session_end(s, why, 0);
}

/* --- reads --- */

static void take_record(const struct reading *r, const struct kv_range_response *response)
{
    const struct quorum *q = r->session->quorum;
    if (response->kvs.count == 0) {
        q->options.events->no_record(q->options.ctx, r->cluster, r->asked_at);
    } else {
        q->options.events->record(q->options.ctx, r->cluster, response->kvs.items[0].value, true,
                                  r->asked_at);
    }
}

static struct slice last_part(struct slice key)
{
    size_t i = key.len;
    while (i > 0 && key.data[i - 1] != '/') {
        i--;
    }
    return slice_skip(key, i);
}

static void take_members(const struct reading *r, const struct kv_range_response *response)
{
    const struct quorum *q = r->session->quorum;
    int64_t revision = response->header.revision;
    struct msg_names names = {0};
    for (size_t i = 0; i < response->kvs.count; i++) {
        struct slice name = last_part(response->kvs.items[i].key);
        if (names.count < MSG_MEMBERS_MAX && base_name_from(name, &names.names[names.count]) == 0) {
            names.count++;
            q->options.events->member(q->options.ctx, r->cluster, name,
                                      response->kvs.items[i].value, revision);
        }
    }
    q->options.events->members_listed(q->options.ctx, r->cluster, &names, revision);
}

static int watch_begin(struct reading *r, int64_t revision)
{
    struct session *s = r->session;
    struct key_pair keys;
    uint8_t memory[REQUEST_BYTES];
    struct buf b = buf_over(memory, sizeof(memory));
    keys_of(s->quorum, r->cluster, r->what, &keys);
    const struct kv_watch_request request = {
        .which = 1,
        .create = {.key = keys.key,
                   .range_end = keys.end,
                   .start_revision = revision + 1,
                   .watch_id = (int64_t)(2 * r->cluster + (size_t)r->what + 1)}};
    int rc = wire_pb_encode(&wire_kv_watch_request_table, &request, &b);
    return rc != 0 ? rc : io_grpc_sent_message(s->watch, buf_slice(&b));
}

static void range_message(void *ctx, struct io_grpc_sent *sent, struct slice message)
{
    struct reading *r = ctx;
    struct session *s = r->session;
    static _Alignas(16) uint8_t memory[ARENA_BYTES];
    struct base_arena arena = {.memory = memory, .cap = sizeof(memory)};
    struct kv_response response;
    (void)sent;
    if (kv_wire_decode_response(KV_KIND_RANGE, message, &arena, &response) != 0) {
        session_end(s, "an answer to Range cannot be read", REFUSED_US);
        return;
    }
    s->answered = io_now();
    s->retry_us = 0;
    if (!r->is_watched) {
        r->is_watched = true;
        if (watch_begin(r, response.range.header.revision) != 0) {
            session_end(s, "out of memory", 0);
            return;
        }
    }
    if (r->what == RECORD) {
        take_record(r, &response.range);
    } else {
        take_members(r, &response.range);
    }
}

/* Records are read again and again, members once: the watch tells the rest. */
static void range_ended(void *ctx, struct io_grpc_sent *sent, enum io_grpc_status status,
                        const char *text)
{
    struct reading *r = ctx;
    struct session *s = r->session;
    (void)sent;
    r->sent = NULL;
    if (status == IO_GRPC_OK) {
        r->due = r->what == RECORD ? base_mono_add_us(r->asked_at, s->quorum->interval_us)
                                   : BASE_MONO_NEVER;
    } else if (status == IO_GRPC_PERMISSION_DENIED || status == IO_GRPC_UNAUTHENTICATED ||
               status == IO_GRPC_UNIMPLEMENTED) {
        session_end(s, text, REFUSED_US);
        return;
    } else {
        r->due = base_mono_add_us(io_now(), AGAIN_US);
    }
    schedule(s->quorum);
}

static const struct io_grpc_sent_events range_events = {.message = range_message,
                                                        .ended = range_ended};

static void read_begin(struct reading *r)
{
    struct session *s = r->session;
    struct key_pair keys;
    uint8_t memory[REQUEST_BYTES];
    struct buf b = buf_over(memory, sizeof(memory));
    keys_of(s->quorum, r->cluster, r->what, &keys);
    const struct kv_request request = {.kind = KV_KIND_RANGE,
                                       .range = {.key = keys.key, .range_end = keys.end}};
    int rc = kv_wire_encode_request(&request, &b);
    r->asked_at = io_now(); /* before it is sent: what it proves counts from here */
    rc = rc != 0 ? rc
                 : io_grpc_channel_call(s->channel, RANGE_PATH, buf_slice(&b), false, &range_events,
                                        r, &r->sent);
    if (rc != 0) {
        session_end(s, "the node takes no more requests", 0);
    }
}

/* --- the watch --- */

static void take_event(const struct quorum *q, size_t cluster, enum what what,
                       const struct kv_event *event)
{
    bool is_gone = event->type == 1;
    if (what == MEMBERS) {
        q->options.events->member(q->options.ctx, cluster, last_part(event->kv.key),
                                  is_gone ? SLICE_EMPTY : event->kv.value, event->kv.mod_revision);
    } else if (!is_gone) { /* a removed record is believed when a read says so */
        q->options.events->record(q->options.ctx, cluster, event->kv.value, false, io_now());
    }
}

static void watch_message(void *ctx, struct io_grpc_sent *sent, struct slice message)
{
    struct session *s = ctx;
    static _Alignas(16) uint8_t memory[ARENA_BYTES];
    struct base_arena arena = {.memory = memory, .cap = sizeof(memory)};
    struct kv_watch_response response;
    (void)sent;
    if (wire_pb_decode(&wire_kv_watch_response_table, message, &arena, &response) != 0) {
        session_end(s, "an event of Watch cannot be read", 0);
        return;
    }
    if (response.is_canceled) {
        session_end(s, "the node has cancelled a watch", 0);
        return;
    }
    size_t number = (size_t)response.watch_id - 1;
    for (size_t i = 0; i < response.events.count && number < 2 * s->quorum->clusters_count; i++) {
        take_event(s->quorum, number / 2, number % 2 == 0 ? RECORD : MEMBERS,
                   &response.events.items[i]);
    }
}

static void watch_ended(void *ctx, struct io_grpc_sent *sent, enum io_grpc_status status,
                        const char *text)
{
    struct session *s = ctx;
    (void)sent;
    bool is_refused = status == IO_GRPC_PERMISSION_DENIED || status == IO_GRPC_UNAUTHENTICATED;
    s->watch = NULL;
    session_end(s, text[0] != '\0' ? text : "the node has ended the watch",
                is_refused ? REFUSED_US : 0);
}

static const struct io_grpc_sent_events watch_events = {.message = watch_message,
                                                        .ended = watch_ended};

/* The stream of watches begins with a progress request, which asks for nothing. */
static int watch_open(struct session *s)
{
    uint8_t memory[16];
    struct buf b = buf_over(memory, sizeof(memory));
    const struct kv_watch_request request = {.which = 3};
    int rc = wire_pb_encode(&wire_kv_watch_request_table, &request, &b);
    return rc != 0 ? rc
                   : io_grpc_channel_call(s->channel, WATCH_PATH, buf_slice(&b), true,
                                          &watch_events, s, &s->watch);
}

static void channel_up(void *ctx, struct io_grpc_channel *channel)
{
    struct session *s = ctx;
    (void)channel;
    s->is_up = true;
    s->why.text[0] = '\0';
    if (watch_open(s) != 0) {
        session_end(s, "out of memory", 0);
        return;
    }
    for (size_t c = 0; c < s->quorum->clusters_count; c++) {
        for (size_t w = 0; w < 2; w++) {
            s->reads[c][w] = (struct reading){.session = s, .cluster = c, .what = (enum what)w};
        }
    }
    schedule(s->quorum); /* all of them are due */
}

static const struct io_grpc_channel_events channel_events = {.up = channel_up,
                                                             .down = channel_down};

static void dial(struct session *s)
{
    const struct quorum *q = s->quorum;
    const struct io_grpc_channel_options options = {
        .address = s->address,
        .tls = s->address.scheme == IO_SCHEME_HTTPS ? q->options.tls : NULL,
        .connect_timeout_ms = CONNECT_MS,
        .user_timeout_ms = USER_TIMEOUT_MS,
        .events = &channel_events,
        .ctx = s};
    s->retry_at = BASE_MONO_NEVER;
    if (io_grpc_channel_open(q->options.loop, &options, &s->channel) != 0) {
        s->channel = NULL;
        session_end(s, "out of memory", 0);
    }
}

/* --- time --- */

static struct base_mono deadline_of(const struct reading *r)
{
    return r->sent != NULL ? base_mono_add_us(r->asked_at, SILENT_US) : r->due;
}

static void look_at(struct session *s, struct base_mono now)
{
    if (s->channel == NULL && !base_mono_before(now, s->retry_at)) {
        dial(s);
    }
    for (size_t k = 0; k < 2 * s->quorum->clusters_count && s->is_up; k++) {
        struct reading *r = &s->reads[k / 2][k % 2];
        if (base_mono_before(now, deadline_of(r))) {
            continue;
        }
        if (r->sent != NULL) {
            session_end(s, "the node does not answer", 0);
        } else {
            read_begin(r);
        }
    }
}

static void tick(void *ctx)
{
    struct quorum *q = ctx;
    struct base_mono now = io_now();
    for (size_t i = 0; i < q->sessions_count; i++) {
        look_at(&q->sessions[i], now);
    }
    schedule(q);
}

static void schedule(struct quorum *q)
{
    struct base_mono first = BASE_MONO_NEVER;
    for (size_t i = 0; i < q->sessions_count; i++) {
        const struct session *s = &q->sessions[i];
        if (s->channel == NULL) {
            first = base_mono_min(first, s->retry_at);
        }
        for (size_t k = 0; k < 2 * q->clusters_count && s->is_up; k++) {
            first = base_mono_min(first, deadline_of(&s->reads[k / 2][k % 2]));
        }
    }
    io_timer_start(&q->timer, first);
}

/* --- from outside --- */

int quorum_open(const struct quorum_options *options, struct quorum **ret)
{
    struct quorum *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return BASE_E_NOMEM;
    }
    q->options = *options;
    q->interval_us = BASE_US_PER_S / 4;
    q->clusters_count = options->settings->clusters_count;
    for (size_t i = 0; i < q->clusters_count; i++) {
        q->clusters[i] = options->settings->clusters[i].name;
    }
    q->sessions_count = options->settings->endpoints_count;
    for (size_t i = 0; i < q->sessions_count; i++) {
        q->sessions[i] = (struct session){.quorum = q,
                                          .address = options->settings->endpoints[i],
                                          .retry_at = io_now(),
                                          .answered = BASE_MONO_LONG_AGO};
        io_why_set(&q->sessions[i].why, "not connected yet");
    }
    io_timer_init(&q->timer, options->loop, tick, q);
    schedule(q);
    *ret = q;
    return 0;
}

void quorum_set_interval(struct quorum *quorum, int64_t interval_us)
{
    quorum->interval_us = interval_us;
}

struct quorum *quorum_close(struct quorum *quorum)
{
    if (quorum != NULL) {
        io_timer_stop(&quorum->timer);
        for (size_t i = 0; i < quorum->sessions_count; i++) {
            (void)io_grpc_channel_close(quorum->sessions[i].channel);
        }
        free(quorum);
    }
    return NULL;
}

size_t quorum_sessions(const struct quorum *quorum)
{
    return quorum->sessions_count;
}

void quorum_session(const struct quorum *quorum, size_t i, struct quorum_session_status *ret)
{
    const struct session *s = &quorum->sessions[i];
    *ret = (struct quorum_session_status){
        .address = &s->address, .is_up = s->is_up, .answered = s->answered, .why = s->why.text};
}
