/* SPDX-License-Identifier: Apache-2.0 */
/* Connections between the clients, the core's choices and the databases.
 *
 * A connection stands in exactly one list: the cluster's held or connecting ones, or the open ones
 * of a member. Whatever happens is told to the core; whoever waits asks the core again when it has
 * said that something changed, or when time alone may have changed it.
 */
#include <string.h>

#include "agents/proxy/proxy_internal.h"
#include "base/assert.h"

static struct proxy_backend *backend_of(const struct conn *conn)
{
    struct proxy_cluster *c = conn->owner;
    return &c->backends[conn->member];
}

/* --- lists --- */

static void list_add(struct conn **first, struct conn *conn)
{
    conn->prev = NULL;
    conn->next = *first;
    if (*first != NULL) {
        (*first)->prev = conn;
    }
    *first = conn;
}

static void list_remove(struct conn **first, struct conn *conn)
{
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        *first = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    conn->next = conn->prev = NULL;
}

/* In the order of their coming, as good as: one that comes back from an attempt goes first. */
static void hold_first(struct proxy_cluster *c, struct conn *conn)
{
    list_add(&c->held_first, conn);
    c->held_last = c->held_last == NULL ? conn : c->held_last;
    c->held_count[conn->port]++;
}

static void hold_last(struct proxy_cluster *c, struct conn *conn)
{
    conn->next = NULL;
    conn->prev = c->held_last;
    if (c->held_last != NULL) {
        c->held_last->next = conn;
    } else {
        c->held_first = conn;
    }
    c->held_last = conn;
    c->held_count[conn->port]++;
    c->counters[conn->port].held++;
}

static void unhold(struct proxy_cluster *c, struct conn *conn)
{
    c->held_last = c->held_last == conn ? conn->prev : c->held_last;
    list_remove(&c->held_first, conn);
    c->held_count[conn->port]--;
}

/* --- the core --- */

static void tell_fate(const struct conn *conn, enum proxy_event_kind kind)
{
    struct proxy_event event = {
        .kind = kind, .member = conn->member, .port = (enum proxy_port)conn->port};
    proxy_tell(conn->owner, &event);
}

static uint32_t cut_open(struct proxy_cluster *c, struct proxy_backend *b)
{
    uint32_t count = 0;
    while (b->open != NULL) {
        struct conn *conn = b->open;
        list_remove(&b->open, conn);
        c->counters[conn->port].cut++;
        count++;
        tell_fate(conn, PROXY_EVENT_CLOSED);
        conn_end(conn, SLICE_EMPTY);
    }
    return count;
}

/* Clients of attempts that are given up wait for a better one; they have noticed nothing. */
static void cut_attempts(struct proxy_cluster *c, const struct proxy_backend *b)
{
    struct conn *next = NULL;
    for (struct conn *conn = c->connecting; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->member == b->number) {
            list_remove(&c->connecting, conn);
            conn_hold(conn);
            tell_fate(conn, PROXY_EVENT_CONNECT_DROPPED);
            hold_first(c, conn);
        }
    }
}

static void cut(struct proxy_cluster *c, uint16_t members)
{
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        if ((members >> i & 1) != 0) {
            cut_attempts(c, &c->backends[i]);
            uint32_t count = cut_open(c, &c->backends[i]);
            IO_LOG_NOTICE("proxy", "connections_cut", io_name("cluster", &c->name),
                          io_name("member", &c->core.members[i].seen.name),
                          io_u64("connections", count));
        }
    }
}

static void say_record(const struct proxy_cluster *c)
{
    const struct proxy_record *r = &c->core.record;
    IO_LOG_NOTICE("proxy", "record", io_name("cluster", &c->name), io_u64("epoch", r->epoch),
                  io_name("primary", &r->holder), io_bool("opened", r->is_opened),
                  io_bool("switchover", r->state == MSG_RECORD_SWITCHOVER),
                  io_u64("waiting", c->held_count[PROXY_PRIMARY] + c->held_count[PROXY_REPLICAS]));
}

void proxy_tell(struct proxy_cluster *cluster, struct proxy_event *event)
{
    struct proxy_effects fx;
    uint64_t epoch = cluster->core.record.epoch;
    bool was_opened = cluster->core.record.is_opened;
    enum msg_record_state state = cluster->core.record.state;
    event->now = io_now();
    proxy_step(&cluster->core, event, &fx);
    cluster->is_pump_due = cluster->is_pump_due || fx.is_changed;
    const struct proxy_record *r = &cluster->core.record;
    if (fx.is_new_record &&
        (r->epoch != epoch || r->is_opened != was_opened || r->state != state)) {
        say_record(cluster);
        uint8_t holder = proxy_holder(&cluster->core);
        if (holder != PROXY_NOBODY) {
            proxy_backend_doubt(&cluster->backends[holder]);
        }
    }
    if (fx.cut != 0) {
        cut(cluster, fx.cut);
    }
}

/* --- one connection --- */

static void refuse(struct proxy_cluster *c, struct conn *conn, enum proxy_reason reason)
{
    uint8_t memory[512];
    uint8_t first[8];
    struct buf last = buf_over(memory, sizeof(memory));
    ssize_t len = recv(conn->fd[CONN_CLIENT], first, sizeof(first), MSG_PEEK | MSG_DONTWAIT);
    proxy_refusal_put(c->proxy->settings.language, slice_from(first, len > 0 ? (size_t)len : 0),
                      reason, &last);
    c->counters[conn->port].refused++;
    IO_LOG_WARN("proxy", "refused", io_name("cluster", &c->name),
                io_text("port", conn->port == PROXY_PRIMARY ? "primary" : "replicas"),
                io_text("reason", proxy_reason_name(reason)),
                io_text("why", proxy_reason_text(reason)));
    conn_end(conn, buf_slice(&last));
}

/* Towards the member that was chosen; false: at once impossible, the core knows. */
static bool connect_to(struct proxy_cluster *c, struct conn *conn, uint8_t member)
{
    struct proxy_backend *b = &c->backends[member];
    conn->member = member;
    tell_fate(conn, PROXY_EVENT_CONNECTING);
    const union proxy_address *address =
        b->addresses_count > 0 ? &b->addresses[conn->address % b->addresses_count] : NULL;
    socklen_t len = address != NULL && address->any.sa_family == AF_INET
                        ? (socklen_t)sizeof(struct sockaddr_in)
                        : (socklen_t)sizeof(struct sockaddr_in6);
    if (address == NULL || conn_connect(conn, &address->any, len) != 0) {
        conn->address++;
        c->counters[conn->port].failed++;
        conn->reason = PROXY_REASON_UNREACHABLE;
        tell_fate(conn, PROXY_EVENT_CONNECT_FAILED);
        proxy_backend_resolve_again(b);
        return false;
    }
    list_add(&c->connecting, conn);
    c->attempts_end = base_mono_min(
        c->attempts_end, base_mono_add_us(conn->begun, c->proxy->settings.connect_timeout_us));
    return true;
}

static void choose(struct proxy_cluster *c, const struct conn *conn, struct base_mono now,
                   struct proxy_choice *ret)
{
    proxy_choose(&c->core, (enum proxy_port)conn->port, base_mono_diff_us(now, conn->since), now,
                 ret);
}

/* Waiting would not help. */
static bool is_hopeless(enum proxy_reason reason)
{
    return reason == PROXY_REASON_STANDBY_CLUSTER;
}

void proxy_accepted(struct proxy_cluster *cluster, enum proxy_port port, int fd)
{
    struct proxy_cluster *c = cluster;
    const struct proxy_settings *s = &c->proxy->settings;
    struct conns_stats stats;
    struct proxy_choice choice;
    conns_stats(c->proxy->conns, &stats);
    struct conn *conn = conn_add(c->proxy->conns, fd, c, port);
    c->counters[port].accepted++;
    if (conn == NULL) {
        return;
    }
    if (stats.count >= s->connections_max) {
        refuse(c, conn, PROXY_REASON_TOO_MANY);
        return;
    }
    choose(c, conn, conn->since, &choice);
    if (choice.member != PROXY_NOBODY && connect_to(c, conn, choice.member)) {
        proxy_settle(c);
        return;
    }
    if (is_hopeless(choice.reason)) {
        refuse(c, conn, choice.reason);
    } else if (c->held_count[PROXY_PRIMARY] + c->held_count[PROXY_REPLICAS] >= s->held_max) {
        refuse(c, conn, PROXY_REASON_TOO_MANY_HELD);
    } else {
        conn->reason =
            (uint8_t)(choice.member == PROXY_NOBODY ? choice.reason : PROXY_REASON_UNREACHABLE);
        hold_last(c, conn);
        c->pump_at = base_mono_min(c->pump_at, choice.again_at);
        c->pump_at = base_mono_min(c->pump_at, base_mono_add_us(conn->since, s->hold_us));
    }
    proxy_settle(c);
}

/* --- what conn.c tells --- */

static void conn_connected(void *ctx, struct conn *conn)
{
    struct proxy_cluster *c = conn->owner;
    (void)ctx;
    list_remove(&c->connecting, conn);
    list_add(&backend_of(conn)->open, conn);
    c->counters[conn->port].routed++;
    int64_t waited_us = base_mono_diff_us(io_now(), conn->since);
    c->longest_hold_us = waited_us > c->longest_hold_us ? waited_us : c->longest_hold_us;
    tell_fate(conn, PROXY_EVENT_CONNECTED);
    proxy_settle(c);
}

static void attempt_failed(struct proxy_cluster *c, struct conn *conn, const char *why)
{
    struct proxy_backend *b = backend_of(conn);
    IO_LOG_INFO("proxy", "connect_failed", io_name("cluster", &c->name),
                io_name("member", &c->core.members[conn->member].seen.name), io_text("why", why),
                io_text("next", "the client waits"));
    c->counters[conn->port].failed++;
    conn->address++;
    conn->reason = PROXY_REASON_UNREACHABLE;
    tell_fate(conn, PROXY_EVENT_CONNECT_FAILED);
    hold_first(c, conn);
    proxy_backend_resolve_again(b);
    proxy_backend_doubt(b);
}

static void conn_failed(void *ctx, struct conn *conn, int error)
{
    struct proxy_cluster *c = conn->owner;
    (void)ctx;
    list_remove(&c->connecting, conn);
    attempt_failed(c, conn, strerror(error));
    proxy_settle(c);
}

static void conn_ended(void *ctx, struct conn *conn, bool is_server_first)
{
    struct proxy_cluster *c = conn->owner;
    (void)ctx;
    if (conn->state == CONN_HELD) {
        unhold(c, conn);
    } else if (conn->state == CONN_CONNECTING) {
        list_remove(&c->connecting, conn);
        tell_fate(conn, PROXY_EVENT_CONNECT_DROPPED);
    } else {
        list_remove(&backend_of(conn)->open, conn);
        tell_fate(conn, PROXY_EVENT_CLOSED);
        if (is_server_first && conn->member == proxy_holder(&c->core)) {
            proxy_backend_doubt(backend_of(conn));
        }
    }
    proxy_settle(c);
}

const struct conns_events proxy_conns_events = {
    .connected = conn_connected, .failed = conn_failed, .ended = conn_ended};

/* --- those who wait --- */

/* Everybody who waits asks once. */
static void pump(struct proxy_cluster *c, struct base_mono now)
{
    struct conn *next = NULL;
    int64_t hold_us = c->proxy->settings.hold_us;
    c->is_pump_due = false;
    c->pump_at = BASE_MONO_NEVER;
    for (struct conn *conn = c->held_first; conn != NULL; conn = next) {
        struct proxy_choice choice;
        next = conn->next;
        choose(c, conn, now, &choice);
        struct base_mono end = base_mono_add_us(conn->since, hold_us);
        if (choice.member != PROXY_NOBODY) {
            unhold(c, conn);
            if (!connect_to(c, conn, choice.member)) {
                hold_first(c, conn);
                c->pump_at = base_mono_min(c->pump_at, end);
            }
        } else if (!base_mono_before(now, end) || is_hopeless(choice.reason)) {
            unhold(c, conn);
            refuse(c, conn, choice.reason);
        } else {
            conn->reason = (uint8_t)choice.reason;
            c->pump_at = base_mono_min(c->pump_at, base_mono_min(choice.again_at, end));
        }
    }
}

static void end_late_attempts(struct proxy_cluster *c, struct base_mono now)
{
    struct conn *next = NULL;
    if (base_mono_before(now, c->attempts_end)) {
        return;
    }
    c->attempts_end = BASE_MONO_NEVER;
    for (struct conn *conn = c->connecting; conn != NULL; conn = next) {
        struct base_mono end = base_mono_add_us(conn->begun, c->proxy->settings.connect_timeout_us);
        next = conn->next;
        if (base_mono_before(now, end)) {
            c->attempts_end = base_mono_min(c->attempts_end, end);
        } else {
            list_remove(&c->connecting, conn);
            conn_hold(conn);
            attempt_failed(c, conn, "no answer in time");
        }
    }
}

static void ask_agents(struct proxy_cluster *c, struct base_mono now)
{
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        proxy_backend_ask(&c->backends[i], now);
    }
}

void proxy_settle(struct proxy_cluster *cluster)
{
    struct proxy_cluster *c = cluster;
    struct base_mono now = io_now();
    if (c->is_pump_due || !base_mono_before(now, c->pump_at)) {
        pump(c, now);
    }
    struct base_mono first = c->is_pump_due ? now : c->pump_at; /* due again: an attempt failed */
    first = base_mono_min(first, c->attempts_end);
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        first = base_mono_min(first, c->backends[i].ask_at);
    }
    io_timer_start(&c->timer, first);
}

void proxy_cluster_tick(void *cluster)
{
    struct proxy_cluster *c = cluster;
    struct base_mono now = io_now();
    struct proxy_event event = {.kind = PROXY_EVENT_TICK};
    proxy_tell(c, &event);
    end_late_attempts(c, now);
    ask_agents(c, now);
    proxy_settle(c);
}

static void drop_list(struct conn *first)
{
    while (first != NULL) {
        struct conn *next = first->next;
        conn_end(first, SLICE_EMPTY);
        first = next;
    }
}

void proxy_drop_all(struct proxy_cluster *cluster)
{
    drop_list(cluster->held_first);
    drop_list(cluster->connecting);
    cluster->held_first = cluster->held_last = cluster->connecting = NULL;
    for (size_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        drop_list(cluster->backends[i].open);
        cluster->backends[i].open = NULL;
    }
}
