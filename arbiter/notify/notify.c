/* SPDX-License-Identifier: Apache-2.0 */
/* From changes to deliveries; see notify.h. */
#include "arbiter/notify/notify.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "arbiter/notify/told.h"
#include "base/name.h"
#include "proto/io/log.h"
#include "raft/node.h"

#define PAUSE_FIRST_US BASE_US_PER_S
#define PAUSE_MAX_US (60 * BASE_US_PER_S)
#define LOST_AFTER_US (10 * BASE_US_PER_S)
#define WAITS_US (5 * BASE_US_PER_S)
#define SWAP_US (5 * BASE_US_PER_S)
#define CERTIFICATE_US (14 * 86400 * BASE_US_PER_S)

/* A cluster whose failover waits for something. */
struct waiting {
    struct base_name cluster;
    struct base_mono since;
    bool is_told;
};

struct notify {
    struct notify_options options;
    struct told told;
    struct deliver *deliver;
    struct io_timer again; /* of what failed, or a swap that did not work out */
    bool is_pausing;
    int64_t pause_us; /* the next one */
    bool is_delivering;
    bool is_to_write; /* `under_way` was delivered; its row is still to be written */
    struct told_event under_way;
    /* The swap of the row, one at a time. */
    bool is_swapping;
    struct kv_request request;
    struct kv_call call;
    uint8_t row[TOLD_BYTES_MAX];
    /* What this node sees of the quorum. */
    bool was_leader;
    struct base_mono leaderless_since; /* LONG_AGO: there is a leader */
    bool is_lost_told;
    int64_t certificate_told_us;
    uint64_t spoken;
    struct waiting waits[ARB_CLUSTERS_MAX]; /* as the driver counts them */
    struct notify_stats stats;
};

static void go_on(struct notify *n);

static void pause_for(struct notify *n, int64_t us)
{
    n->is_pausing = true;
    io_timer_start_in_us(&n->again, us);
}

/* --- writing down what was told --- */

static void swap_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct notify *n = call->user;
    (void)response;
    n->is_swapping = false;
    if (error != KV_OK) { /* void, or not known: the row as applied tells; later again */
        pause_for(n, PAUSE_FIRST_US);
        return;
    }
    go_on(n);
}

/* The row as it is to be when the event has been told. */
static void swap_begin(struct notify *n, const struct told_event *event)
{
    struct raft_node_status status;
    struct buf b = buf_over(n->row, sizeof(n->row));
    raft_node_status(n->options.node, &status);
    told_row_after(&n->told, event, &b);
    if (b.is_full) {
        return; /* cannot be: 64 lines */
    }
    n->request = (struct kv_request){.kind = KV_KIND_SWAP};
    n->request.swap = (struct kv_swap){.name = slice_from_text(TOLD_ROW),
                                       .expect_epoch = n->told.revision == 0 ? 0 : 1,
                                       .expect_revision = n->told.revision,
                                       .term = status.term,
                                       .new_epoch = 1,
                                       .new_revision = n->told.revision + 1,
                                       .blob = buf_slice(&b)};
    n->call = (struct kv_call){.request = &n->request,
                               .deadline = base_mono_add_us(io_now(), SWAP_US),
                               .user = n,
                               .done = swap_done};
    n->is_swapping = kv_service_swap(n->options.service, &n->call) == KV_OK;
    if (!n->is_swapping) {
        pause_for(n, PAUSE_FIRST_US);
    }
}

/* --- delivering --- */

static void delivered(void *ctx, bool is_good, const char *why)
{
    struct notify *n = ctx;
    const struct told_event *event = &n->under_way;
    n->is_delivering = false;
    if (!is_good) {
        n->stats.failed++;
        IO_LOG_WARN("notify", "failed", io_text("id", event->id), io_text("why", why),
                    io_u64("next_try_ms", (uint64_t)(n->pause_us / BASE_US_PER_MS)));
        pause_for(n, n->pause_us);
        n->pause_us = 2 * n->pause_us < PAUSE_MAX_US ? 2 * n->pause_us : PAUSE_MAX_US;
        return;
    }
    n->stats.delivered++;
    n->pause_us = PAUSE_FIRST_US;
    IO_LOG_INFO("notify", "delivered", io_text("id", event->id));
    if (event->is_last && arb_driver_is_leader(n->options.driver)) {
        n->is_to_write = true;
        swap_begin(n, event); /* applied, it takes the event out on every node */
        return;
    }
    if (!event->is_last) {
        told_remove(&n->told, event->id);
    }
    go_on(n);
}

static void deliver_event(struct notify *n)
{
    const struct told_event *event = &n->under_way;
    const char *kind = told_kind_name(event->kind);
    const char *cluster = event->facts.cluster.text;
    json_t *json =
        json_pack("{s:s, s:s, s:s, s:s, s:I, s:I, s:s}", "id", event->id, "event", kind, "cluster",
                  cluster, "text", event->text, "wall_us", (json_int_t)event->wall_us, "epoch",
                  (json_int_t)event->facts.epoch, "node", n->options.name.text);
    char *text = json == NULL ? NULL : json_dumps(json, JSON_COMPACT | JSON_PRESERVE_ORDER);
    const struct deliver_event delivery = {.id = event->id,
                                           .event = kind,
                                           .cluster = cluster,
                                           .text = event->text,
                                           .json = text == NULL ? "{}" : text};
    n->is_delivering = true;
    deliver_start(n->deliver, &delivery);
    free(text);
    json_decref(json);
}

static void go_on(struct notify *n)
{
    const struct told_event *next = told_next(&n->told, arb_driver_is_leader(n->options.driver));
    if (next == NULL || n->is_delivering || n->is_swapping || n->is_pausing) {
        return;
    }
    if (n->is_to_write && strcmp(next->id, n->under_way.id) == 0) {
        swap_begin(n, next);
        return;
    }
    n->is_to_write = false;
    n->under_way = *next;
    deliver_event(n);
}

static void try_again(void *ctx)
{
    struct notify *n = ctx;
    n->is_pausing = false;
    go_on(n);
}

/* --- what happens --- */

bool notify_swapped(struct notify *n, const struct kv_swapped *swapped)
{
    bool is_ours = slice_equal(swapped->name, slice_from_text(TOLD_ROW));
    struct base_name name;
    if (n == NULL) {
        return is_ours;
    }
    if (is_ours) {
        if (told_row(&n->told, swapped->revision, swapped->blob) != 0) {
            n->told.revision = swapped->revision; /* of another version: written anew */
        }
        return true;
    }
    if (base_name_from(swapped->name, &name) != 0) {
        return false; /* documents, members */
    }
    const struct arb_cluster *cluster = arb_driver_find(n->options.driver, &name);
    struct told_facts facts = {.cluster = name, .epoch = swapped->epoch};
    if (cluster != NULL && cluster->record.epoch == swapped->epoch && swapped->epoch != 0) {
        const struct msg_record *r = &cluster->record;
        facts.revision = r->revision;
        facts.is_elected_elsewhere = r->engine == MSG_ENGINE_MONGODB;
        facts.holder = facts.is_elected_elsewhere ? r->mongodb.primary : r->holder;
        facts.is_sync_lost = arb_engine_id(cluster) != MSG_ENGINE_GALERA &&
                             r->sync_mode != MSG_SYNC_ASYNC && r->votes_needed_r == 0 &&
                             !r->is_standby_cluster && r->is_opened;
        facts.is_paused = r->is_paused;
        facts.is_unconfirmed = arb_is_unconfirmed(cluster);
    } else if (swapped->epoch != 0) {
        return false; /* not taken in: nothing is known of it */
    }
    told_record(&n->told, &facts, swapped->is_loaded, io_wall_now().us);
    go_on(n);
    return false;
}

void notify_loaded(struct notify *n)
{
    if (n != NULL) {
        told_loaded(&n->told, io_wall_now().us);
        go_on(n);
    }
}

/* Sentences that somebody should hear of although no record changes; what a failover waits for is
 * told when it goes on waiting (look_at_waits). */
static bool is_refusal(enum arb_note_kind kind)
{
    static const enum arb_note_kind kinds[] = {ARB_NOTE_MEMBER_REFUSED, ARB_NOTE_BLOCKED,
                                               ARB_NOTE_FENCE_FAILED};
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        if (kinds[i] == kind) {
            return true;
        }
    }
    return false;
}

static void add_refusal(struct notify *n, const struct base_name *cluster,
                        const struct arb_note *note)
{
    struct told_event event = {.kind = TOLD_REFUSED, .wall_us = io_wall_now().us};
    struct buf b = buf_over((uint8_t *)event.text, sizeof(event.text) - 1);
    event.facts.cluster = *cluster; /* epoch 0: not of a record */
    buf_put_text(&b, cluster->text);
    buf_put_text(&b, ": ");
    arb_note_put(note, &b);
    event.text[b.len] = '\0';
    (void)snprintf(event.id, sizeof(event.id), "%s/%016" PRIx64 ".%" PRIu64 "/%s",
                   n->options.name.text, n->options.life, ++n->spoken, arb_note_name(note->kind));
    told_add(&n->told, &event);
    go_on(n);
}

void notify_noted(struct notify *n, const struct base_name *cluster, const struct arb_note *note)
{
    if (n != NULL && is_refusal(note->kind)) {
        add_refusal(n, cluster, note);
    }
}

/* A failover that waits for some seconds does not go on by itself as a rule. */
static void look_at_waits(struct notify *n)
{
    const struct arb_cluster *cluster = NULL;
    bool is_leader = arb_driver_is_leader(n->options.driver);
    for (size_t i = 0; i < ARB_CLUSTERS_MAX; i++) {
        struct waiting *w = &n->waits[i];
        cluster = arb_driver_cluster(n->options.driver, i);
        if (cluster == NULL) {
            return;
        }
        if (!is_leader || !cluster->is_waiting || !base_name_equal(&w->cluster, &cluster->name)) {
            *w = (struct waiting){.cluster = cluster->name, .since = io_now()};
        } else if (!w->is_told && base_mono_diff_us(io_now(), w->since) > WAITS_US) {
            w->is_told = true;
            add_refusal(n, &cluster->name, &cluster->waiting);
        }
    }
}

void notify_role_changed(struct notify *n)
{
    if (n == NULL) {
        return;
    }
    bool is_leader = arb_driver_is_leader(n->options.driver);
    if (n->was_leader && !is_leader) {
        told_forget_spoken(&n->told);
    }
    n->was_leader = is_leader;
    go_on(n);
}

/* An event that this node tells by itself. */
__attribute__((format(printf, 4, 5))) static void add_own(struct notify *n, enum told_kind kind,
                                                          uint64_t number, const char *format, ...)
{
    struct told_event event = {.kind = kind, .is_own = true, .wall_us = io_wall_now().us};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(event.text, sizeof(event.text), format, arguments);
    va_end(arguments);
    (void)snprintf(event.id, sizeof(event.id), "%s/%" PRIu64 "/%s", n->options.name.text, number,
                   told_kind_name(kind));
    told_add(&n->told, &event);
    go_on(n);
}

static void look_at_quorum(struct notify *n)
{
    struct raft_node_status status;
    raft_node_status(n->options.node, &status);
    if (status.leader_id != 0) {
        if (n->is_lost_told) {
            n->is_lost_told = false;
            add_own(n, TOLD_QUORUM_BACK, status.term, "%s knows a leader of the quorum again",
                    n->options.name.text);
        }
        n->leaderless_since = BASE_MONO_LONG_AGO;
        return;
    }
    if (n->leaderless_since.us == BASE_MONO_LONG_AGO.us) {
        n->leaderless_since = io_now();
    } else if (!n->is_lost_told && status.is_started &&
               base_mono_diff_us(io_now(), n->leaderless_since) > LOST_AFTER_US) {
        n->is_lost_told = true;
        add_own(n, TOLD_QUORUM_LOST, status.term,
                "%s has known no leader of the quorum for 10 s: nothing can be decided",
                n->options.name.text);
    }
}

void notify_tick(struct notify *n, int64_t certificate_end_us)
{
    if (n == NULL) {
        return;
    }
    look_at_quorum(n);
    look_at_waits(n);
    bool is_ending =
        certificate_end_us != 0 && certificate_end_us - io_wall_now().us < CERTIFICATE_US;
    if (is_ending && n->certificate_told_us != certificate_end_us) {
        n->certificate_told_us = certificate_end_us;
        add_own(n, TOLD_CERTIFICATE_ENDS, (uint64_t)(certificate_end_us / BASE_US_PER_S),
                "the certificate of node %s ends within two weeks; issue a new one with "
                "kv cert issue",
                n->options.name.text);
    }
    if (n->told.dropped != n->stats.dropped) {
        IO_LOG_WARN("notify", "dropped", io_u64("events", n->told.dropped - n->stats.dropped));
        n->stats.dropped = n->told.dropped;
    }
}

struct notify_stats notify_stats(const struct notify *n)
{
    struct notify_stats stats = {.waiting = 0};
    if (n != NULL) {
        stats = n->stats;
        stats.waiting = n->told.queue_count;
    }
    return stats;
}

/* --- life --- */

int notify_new(const struct notify_options *options, struct notify **ret, struct io_why *why)
{
    *ret = NULL;
    if (!deliver_is_wanted(&options->settings)) {
        return 0;
    }
    struct notify *n = calloc(1, sizeof(*n));
    if (n == NULL) {
        io_why_set(why, "not enough memory");
        return BASE_E_NOMEM;
    }
    n->options = *options;
    n->pause_us = PAUSE_FIRST_US;
    n->leaderless_since = BASE_MONO_LONG_AGO;
    io_timer_init(&n->again, options->loop, try_again, n);
    const struct deliver_options deliver = {
        .loop = options->loop, .settings = options->settings, .ctx = n, .done = delivered};
    int rc = deliver_new(&deliver, &n->deliver, why);
    if (rc != 0) {
        (void)notify_free(n);
        return rc;
    }
    *ret = n;
    return 0;
}

struct notify *notify_free(struct notify *n)
{
    if (n != NULL) {
        io_timer_stop(&n->again);
        n->deliver = deliver_free(n->deliver);
        free(n);
    }
    return NULL;
}
