/* SPDX-License-Identifier: Apache-2.0 */
/* The life of a quorum node; see node.h. Parts are made in the order of struct quorated and freed
 * in reverse.
 *
 * The loop thread owns all of it but the storage threads. A node whose directory is empty first
 * asks the others who it is (join.c); the rest is made when that is known. Raft's next deadline
 * changes with every call into it, so its timer is set anew by a prepare handle, once per round of
 * the loop, right before it sleeps. */
#include "arbiter/quorated/node.h"
#include "arbiter/quorated/fence.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "arbiter/quorated/node_internal.h"
#include "kv/offline/offline.h"

#define SERVICE_TICK_US (50 * BASE_US_PER_MS)
#define FILES_MAX 65536 /* descriptors */
#define FILES_MIN 128   /* its own 30, and a few peers, agents and clients */

void quorated_stop(struct quorated *q, int exit_status)
{
    if (!q->is_stopping) {
        q->is_stopping = true;
        q->exit_status = exit_status;
        io_daemon_notify("STOPPING=1");
    } else if (exit_status != 0) { /* a store that fails at the end */
        q->exit_status = exit_status;
    }
    io_loop_stop(q->loop);
}

int quorated_fail(const char *what, const struct io_why *why)
{
    (void)fprintf(stderr, "quorated: %s: %s\n", what, why->text);
    return -1;
}

/* --- storage --- */

static void store_failed(void *ctx)
{
    quorated_stop(ctx, 1);
}

/* quorum.force_new: this node alone goes on as a new quorum. */
static int force_new(const struct quorated_settings *s)
{
    struct io_why why = {""};
    char text[KV_OFFLINE_TEXT] = "";
    uint64_t random[2] = {0, 0};
    struct kv_forced forced;
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        io_why_set(&why, "no random numbers");
        return quorated_fail("cannot start", &why);
    }
    random[0] |= 1;
    random[1] |= 1;
    if (kv_force_new(s->data_dir, random, &forced, text) != 0) {
        io_why_set(&why, "%s", text);
        return quorated_fail("quorum.force_new", &why);
    }
    IO_LOG_WARN("quorated", "forced_new", io_hex("cluster", forced.cluster_id),
                io_u64("applied", forced.applied), io_u64("tail", forced.tail),
                io_u64("members_lost", forced.members_lost),
                io_text("next", "take quorum.force_new out before the next start; 'kv db confirm' "
                                "for every database; 'kv member add' for new nodes"));
    return 0;
}

static int open_stores(struct quorated *q)
{
    struct io_why why = {""};
    if (q->settings->is_forced_new && force_new(q->settings) != 0) {
        return -1;
    }
    q->stores.failed = store_failed;
    q->stores.ctx = q;
    if (quorated_stores_open(&q->stores, q->loop, q->settings, &q->ids, &why) != 0) {
        return quorated_fail("cannot open the store", &why);
    }
    return 0;
}

/* --- time --- */

static void raft_time(void *ctx)
{
    const struct quorated *q = ctx;
    raft_node_tick(q->node);
}

static void service_time(void *ctx)
{
    struct quorated *q = ctx;
    kv_service_tick(q->service, io_now());
    api_tick(q->api, io_now());
    quorated_clients_tick(&q->clients, io_now());
    quorated_members_tick(&q->membership);
    notify_tick(q->notify, q->tls == NULL ? 0 : io_tls_own_end_us(q->tls));
    io_timer_start_in_us(&q->service_timer, SERVICE_TICK_US);
}

static void arbiter_time(void *ctx)
{
    const struct quorated *q = ctx;
    arb_driver_tick(q->arbiter);
}

static void before_sleep(uv_prepare_t *handle)
{
    struct quorated *q = handle->data;
    io_timer_start(&q->raft_timer, raft_node_deadline(q->node));
    io_timer_start(&q->arbiter_timer, arb_driver_deadline(q->arbiter));
}

static void start_time(struct quorated *q)
{
    io_timer_init(&q->raft_timer, q->loop, raft_time, q);
    io_timer_init(&q->service_timer, q->loop, service_time, q);
    io_timer_init(&q->arbiter_timer, q->loop, arbiter_time, q);
    service_time(q);
    (void)uv_prepare_init(io_loop_uv(q->loop), &q->before_sleep);
    q->before_sleep.data = q;
    (void)uv_prepare_start(&q->before_sleep, before_sleep);
}

/* --- life --- */

static void on_signal(void *ctx, int signal_number)
{
    struct quorated *q = ctx;
    IO_LOG_NOTICE("quorated", "stopping", io_i64("signal", signal_number));
    quorated_stop(q, 0);
}

/* Everything that needs to know who this node is. */
static int open_rest(struct quorated *q)
{
    if (quorated_open_parts(q) != 0) {
        return -1;
    }
    start_time(q);
    io_daemon_watchdog(q->loop);
    raft_node_start(q->node);
    return 0;
}

static void joined(void *ctx, const struct quorated_joined *joined)
{
    struct quorated *q = ctx;
    const struct raft_configuration others = joined->others;
    if (joined->status != 0) {
        (void)fprintf(stderr, "quorated: cannot start: %s\n", joined->text);
        quorated_stop(q, 1);
        return;
    }
    q->membership.is_first_life = !q->settings->is_joining && !q->ids.are_known;
    q->ids = (struct quorated_ids){.cluster_id = joined->cluster_id, .node_id = joined->node_id};
    q->join = quorated_join_free(q->join);
    if (open_rest(q) != 0) {
        quorated_stop(q, 1);
        return;
    }
    quorated_members_learned(&q->membership, &others);
}

/* With an empty directory: who are we? Or after a start that ended before the state of the others
 * was here: who are they? */
static int ask_who(struct quorated *q)
{
    struct io_why why = {""};
    const struct quorated_settings *s = q->settings;
    if (!s->is_joining && s->nodes_count == 1) {
        q->ids = (struct quorated_ids){.cluster_id = s->cluster_id, .node_id = s->node_id};
        return open_rest(q);
    }
    const struct quorated_join_options options = {.settings = s,
                                                  .tls = q->tls,
                                                  .node_id = q->ids.are_known ? q->ids.node_id : 0,
                                                  .ctx = q,
                                                  .done = joined};
    return quorated_join_start(q->loop, &options, &q->join, &why) == 0
               ? 0
               : quorated_fail("links", &why);
}

/* A thousand agents and as many clients need as many descriptors. Too few are refused here, with
 * one clear line, rather than wherever the first one happens to be missing. */
static int raise_limits(void)
{
    struct io_why why = {""};
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0) {
        return 0; /* what cannot be had is refused when it is needed */
    }
    if (limit.rlim_cur < limit.rlim_max && limit.rlim_cur < FILES_MAX) {
        limit.rlim_cur = limit.rlim_max < FILES_MAX ? limit.rlim_max : FILES_MAX;
        (void)setrlimit(RLIMIT_NOFILE, &limit);
    }
    if (limit.rlim_cur >= FILES_MIN) {
        return 0;
    }
    io_why_set(
        &why,
        "at most %llu open files are allowed and a node needs %d or more: raise the limit of "
        "open files (LimitNOFILE= of its unit, or ulimit -n)",
        (unsigned long long)limit.rlim_cur, FILES_MIN);
    return quorated_fail("cannot start", &why);
}

static int open_all(struct quorated *q)
{
    struct io_why why = {""};
    if (raise_limits() != 0) {
        return -1;
    }
    if (getrandom(&q->life, sizeof(q->life), 0) != (ssize_t)sizeof(q->life) ||
        io_loop_new(&q->loop) != 0) {
        io_why_set(&why, "no random numbers or no event loop");
        return quorated_fail("cannot start", &why);
    }
    q->life |= 1;
    if (io_signal_watch(q->loop, SIGTERM, on_signal, q) != 0 ||
        io_signal_watch(q->loop, SIGINT, on_signal, q) != 0) {
        io_why_set(&why, "signals cannot be watched");
        return quorated_fail("cannot start", &why);
    }
    if (quorated_open_tls(q) != 0 || open_stores(q) != 0) {
        return -1;
    }
    bool is_at_home = q->ids.are_known && (q->ids.has_members || !q->settings->is_joining);
    return is_at_home ? open_rest(q) : ask_who(q);
}

static void stop_time(struct quorated *q)
{
    if (q->before_sleep.data != NULL) {
        (void)uv_prepare_stop(&q->before_sleep);
        io_timer_stop(&q->raft_timer);
        io_timer_stop(&q->service_timer);
        io_timer_stop(&q->arbiter_timer);
        uv_close((uv_handle_t *)&q->before_sleep, NULL);
    }
}

static void close_all(struct quorated *q)
{
    stop_time(q);
    q->server = io_server_free(q->server);
    q->metrics = io_server_free(q->metrics);
    q->join = quorated_join_free(q->join);
    quorated_stores_close(&q->stores);
    if (q->service != NULL) {
        kv_service_close(q->service); /* ends calls of the two below */
    }
    q->fences = quorated_fences_free(q->fences);
    q->web = web_free(q->web);
    q->notify = notify_free(q->notify);
    q->databases = arb_api_free(q->databases);
    q->arbiter = arb_driver_close(q->arbiter);
    quorated_clients_close(&q->clients);
    q->api = api_close(q->api);
    q->node = raft_node_destroy(q->node);
    q->links = io_links_free(q->links);
    quorated_stores_free_wakes(&q->stores);
    q->api_tls = io_tls_free(q->api_tls);
    q->tls = io_tls_free(q->tls);
    q->loop = io_loop_free(q->loop);
}

int quorated_run(const struct quorated_settings *settings)
{
    struct quorated *q = calloc(1, sizeof(*q));
    if (q == NULL) {
        return 1;
    }
    q->settings = settings;
    q->exit_status = 1;
    if (open_all(q) == 0) {
        io_loop_run(q->loop);
    }
    close_all(q);
    int exit_status = q->exit_status;
    free(q);
    return exit_status;
}
