/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring: what the quorum tells goes to the clusters, what clients do as well; start, reload, end.
 */
#include "agents/proxy/proxy.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "agents/proxy/facts.h"
#include "agents/proxy/proxy_internal.h"
#include "base/assert.h"
#include "base/name.h"
#include "proto/io/daemon.h"

#define INTERVAL_MIN_US (50 * BASE_US_PER_MS)
#define INTERVAL_MAX_US (500 * BASE_US_PER_MS)
#define FILES_BESIDE 512u /* pipes, listeners, the quorum, agents */
#define STOP_LOOK_US (50 * BASE_US_PER_MS)

static int fail(const char *what, const struct io_why *why)
{
    (void)fprintf(stderr, "quorate-proxy: %s%s%s\n", what, what[0] != '\0' ? ": " : "", why->text);
    return -1;
}

/* --- what the quorum tells --- */

/* A proof must come several times within the shortest lease. */
static void follow_ttl(struct proxy *p)
{
    int64_t interval_us = INTERVAL_MAX_US;
    for (size_t i = 0; i < p->clusters_count; i++) {
        int64_t quarter_us = proxy_age_max_us(&p->clusters[i]->core) / 4;
        interval_us = quarter_us < interval_us ? quarter_us : interval_us;
    }
    quorum_set_interval(p->quorum, interval_us < INTERVAL_MIN_US ? INTERVAL_MIN_US : interval_us);
}

static void forget_revisions(struct proxy_cluster *c)
{
    for (size_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        c->backends[i].revision = 0; /* the store may count from below again */
    }
}

static void record_came(void *ctx, size_t cluster, struct slice json, bool is_proof,
                        struct base_mono asked_at)
{
    struct proxy *p = ctx;
    struct proxy_cluster *c = p->clusters[cluster];
    struct proxy_record record;
    int rc = proxy_record_parse(json, &record);
    if (rc == BASE_E_UNSUPPORTED) {
        IO_LOG_ERROR("proxy", "record_of_mongodb", io_name("cluster", &c->name),
                     io_text("next",
                             "its drivers find the primary by themselves and need no proxy: "
                             "take the cluster out of this proxy's file; kv db dsn prints "
                             "what clients connect to"));
        return;
    }
    if (rc != 0) {
        IO_LOG_ERROR("proxy", "record_unreadable", io_name("cluster", &c->name),
                     io_text("next", "it is left out; is this proxy older than the quorum?"));
        return;
    }
    struct proxy_event event = {.kind = is_proof ? PROXY_EVENT_PROOF : PROXY_EVENT_RECORD,
                                .record = &record,
                                .asked_at = asked_at};
    bool was_restored = c->core.is_restored;
    proxy_tell(c, &event);
    if (c->core.is_restored != was_restored) {
        forget_revisions(c);
    }
    follow_ttl(p);
    proxy_settle(c);
}

static void no_record(void *ctx, size_t cluster, struct base_mono asked_at)
{
    struct proxy *p = ctx;
    struct proxy_cluster *c = p->clusters[cluster];
    bool had_record = c->core.has_record;
    struct proxy_event event = {.kind = PROXY_EVENT_NO_RECORD, .asked_at = asked_at};
    proxy_tell(c, &event);
    if (had_record && !c->core.has_record) {
        forget_revisions(c);
        IO_LOG_WARN("proxy", "no_record", io_name("cluster", &c->name),
                    io_text("next", "new connections wait until the quorum has one"));
    }
    proxy_settle(c);
}

static void follow_members(struct proxy_cluster *c)
{
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        proxy_backend_follow(&c->backends[i]);
    }
}

static void member_came(void *ctx, size_t cluster, struct slice name, struct slice json,
                        int64_t revision)
{
    struct proxy *p = ctx;
    struct proxy_cluster *c = p->clusters[cluster];
    struct proxy_seen seen;
    struct proxy_event event = {.seen = &seen};
    memset(&seen, 0, sizeof(seen));
    if (base_name_from(name, &seen.name) != 0) {
        return;
    }
    uint8_t known = proxy_member_find(&c->core, &seen.name);
    if (known != PROXY_NOBODY && revision < c->backends[known].revision) {
        return; /* a slower node tells what was before */
    }
    event.kind = json.len == 0 ? PROXY_EVENT_MEMBER_GONE : PROXY_EVENT_MEMBER;
    if (json.len > 0 && proxy_member_parse(name, json, &seen) != 0) {
        return;
    }
    proxy_tell(c, &event);
    known = proxy_member_find(&c->core, &seen.name);
    if (known != PROXY_NOBODY) {
        c->backends[known].revision = revision;
    }
    follow_members(c);
    proxy_settle(c);
}

static bool is_named(const struct msg_names *names, const struct base_name *name)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            return true;
        }
    }
    return false;
}

static void members_listed(void *ctx, size_t cluster, const struct msg_names *names,
                           int64_t revision)
{
    struct proxy *p = ctx;
    struct proxy_cluster *c = p->clusters[cluster];
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        const struct proxy_member *m = &c->core.members[i];
        if (m->is_used && m->is_listed && c->backends[i].revision < revision &&
            !is_named(names, &m->seen.name)) {
            struct proxy_event event = {.kind = PROXY_EVENT_MEMBER_GONE, .seen = &m->seen};
            proxy_tell(c, &event);
        }
    }
    follow_members(c);
    proxy_settle(c);
}

static const struct quorum_events quorum_events = {.record = record_came,
                                                   .no_record = no_record,
                                                   .member = member_came,
                                                   .members_listed = members_listed};

/* --- the end --- */

static uint32_t connections_of(const struct proxy *p)
{
    struct conns_stats stats;
    conns_stats(p->conns, &stats);
    return stats.count;
}

static void stop_look(void *ctx)
{
    struct proxy *p = ctx;
    if (connections_of(p) == 0 ||
        base_mono_diff_us(io_now(), p->started) >= p->settings.stop_wait_us) {
        io_loop_stop(p->loop);
    } else {
        io_timer_start_in_us(&p->stop, STOP_LOOK_US);
    }
}

/* The ports are free at once, for the next proxy; connections that stand may end by themselves. */
static void stop(void *ctx, int signal_number)
{
    struct proxy *p = ctx;
    if (p->is_stopping) {
        io_loop_stop(p->loop);
        return;
    }
    p->is_stopping = true;
    p->started = io_now();
    io_daemon_notify("STOPPING=1");
    IO_LOG_NOTICE("proxy", "stopping", io_i64("signal", signal_number),
                  io_u64("connections", connections_of(p)));
    for (size_t i = 0; i < p->clusters_count; i++) {
        for (size_t port = 0; port < PROXY_PORTS; port++) {
            p->clusters[i]->listening[port] = listening_close(p->clusters[i]->listening[port]);
        }
    }
    stop_look(p);
}

/* --- reload --- */

static void take_settings(struct proxy *p, const struct proxy_settings *s)
{
    struct proxy_settings next = *s;
    next.clusters_count = p->settings.clusters_count; /* what a reload does not change */
    memcpy(next.clusters, p->settings.clusters, sizeof(next.clusters));
    next.is_agents_tls = p->settings.is_agents_tls;
    next.core.has_agents = p->settings.core.has_agents;
    p->settings = next;
    io_log_set_level(next.log_level);
    conns_set(p->conns, next.keepalive_us, next.sends_header);
    for (size_t i = 0; i < p->clusters_count; i++) {
        struct proxy_cluster *c = p->clusters[i];
        proxy_core_set(&c->core, &next.core);
        c->is_pump_due = true;
        follow_members(c);
        proxy_settle(c);
    }
}

static void say_unchanged(const struct io_config *old, const struct io_config *new)
{
    for (size_t i = 0; i < proxy_config_spec.keys_count; i++) {
        const struct io_config_key *key = &proxy_config_spec.keys[i];
        if ((key->flags & IO_CONFIG_RELOADABLE) == 0 && io_config_differs(old, new, i)) {
            IO_LOG_WARN("proxy", "needs_restart", io_text("key", key->name));
        }
    }
}

static void reload(void *ctx, int signal_number)
{
    struct proxy *p = ctx;
    struct io_config *config = NULL;
    struct proxy_settings settings;
    struct io_why why = {""};
    (void)signal_number;
    int rc = io_config_reload(p->config, &config, &why);
    rc = rc != 0 ? rc : proxy_settings_read(config, &settings, &why);
    if (rc != 0) {
        IO_LOG_ERROR("proxy", "reload_failed", io_text("why", why.text),
                     io_text("next", "the old settings stay in force"));
        config = io_config_free(config);
        return;
    }
    say_unchanged(p->config, config);
    take_settings(p, &settings);
    p->config = io_config_free(p->config);
    p->config = config;
    IO_LOG_NOTICE("proxy", "reloaded", io_u64("connections", connections_of(p)));
}

/* --- the start --- */

/* Each connection is two files. */
static int allow_files(struct proxy *p, struct io_why *why)
{
    struct proxy_settings *s = &p->settings;
    struct rlimit limit;
    rlim_t wanted = 2 * (rlim_t)s->connections_max + FILES_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) {
        return 0;
    }
    limit.rlim_cur =
        limit.rlim_max == RLIM_INFINITY || limit.rlim_max > wanted ? wanted : limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wanted && limit.rlim_cur > FILES_BESIDE &&
        !io_config_is_set(p->config, PROXY_KEY_MAX)) { /* nobody has asked for so many */
        s->connections_max = (uint32_t)((limit.rlim_cur - FILES_BESIDE) / 2);
        IO_LOG_NOTICE("proxy", "fewer_connections", io_u64("max", s->connections_max),
                      io_u64("files_allowed", limit.rlim_cur),
                      io_text("next", "raise LimitNOFILE for more"));
    } else if (limit.rlim_cur < wanted) {
        io_why_set(why,
                   "connections.max %u needs %llu open files, %llu are allowed; raise LimitNOFILE "
                   "(ulimit -n) or lower it",
                   s->connections_max, (unsigned long long)wanted,
                   (unsigned long long)limit.rlim_cur);
        return BASE_E_DENIED;
    }
    return 0;
}

static int open_tls(struct proxy *p, struct io_why *why)
{
    const struct io_tls_options options = {.cert_file = p->settings.cert_file,
                                           .key_file = p->settings.key_file,
                                           .ca_file = p->settings.ca_file,
                                           .revoked_file = p->settings.revoked_file,
                                           .verify = IO_TLS_VERIFY_REQUIRED};
    if (p->settings.ca_file[0] == '\0') {
        return 0;
    }
    int rc = io_tls_new(&options, &p->tls, why);
    if (rc == 0) {
        io_tls_watch(p->tls, p->loop);
    }
    return rc;
}

static int open_cluster(struct proxy *p, size_t number, struct io_why *why)
{
    const struct proxy_cluster_settings *s = &p->settings.clusters[number];
    struct proxy_cluster *c = calloc(1, sizeof(*c));
    int rc = 0;
    if (c == NULL) {
        return BASE_E_NOMEM;
    }
    p->clusters[p->clusters_count++] = c;
    c->proxy = p;
    c->number = number;
    c->name = s->name;
    c->pump_at = c->attempts_end = BASE_MONO_NEVER;
    proxy_core_init(&c->core, &p->settings.core);
    io_timer_init(&c->timer, p->loop, proxy_cluster_tick, c);
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        c->backends[i] = (struct proxy_backend){
            .cluster = c, .number = i, .ask_at = BASE_MONO_NEVER, .asked_at = BASE_MONO_LONG_AGO};
    }
    for (size_t port = 0; port < PROXY_PORTS && rc == 0; port++) {
        if (s->listen[port].is_on) {
            rc = listening_open(c, (enum proxy_port)port, &s->listen[port].address,
                                &c->listening[port], why);
        }
    }
    return rc;
}

static int open_http(struct proxy *p, struct io_why *why)
{
    struct io_http_handler handler = proxy_status_handler;
    handler.ctx = p;
    const struct io_server_options options = {.address = p->settings.http.address,
                                              .http = &handler};
    return p->settings.http.is_on ? io_server_new(p->loop, &options, &p->http, why) : 0;
}

static int open_rest(struct proxy *p, struct io_why *why)
{
    const struct conns_options conns = {.loop = p->loop,
                                        .keepalive_us = p->settings.keepalive_us,
                                        .sends_header = p->settings.sends_header,
                                        .events = &proxy_conns_events,
                                        .ctx = p};
    const struct quorum_options quorum = {
        .loop = p->loop, .settings = &p->settings, .events = &quorum_events, .ctx = p};
    struct quorum_options with_tls = quorum;
    int rc = allow_files(p, why);
    rc = rc != 0 ? rc : open_tls(p, why);
    rc = rc != 0 ? rc : io_workers_new(p->loop, 1, &p->workers);
    rc = rc != 0 ? rc : conns_open(&conns, &p->conns);
    for (size_t i = 0; i < p->settings.clusters_count && rc == 0; i++) {
        rc = open_cluster(p, i, why);
    }
    with_tls.tls = p->tls;
    rc = rc != 0 ? rc : open_http(p, why);
    rc = rc != 0 ? rc : quorum_open(&with_tls, &p->quorum);
    rc = rc != 0 ? rc : io_signal_watch(p->loop, SIGTERM, stop, p);
    rc = rc != 0 ? rc : io_signal_watch(p->loop, SIGINT, stop, p);
    return rc != 0 ? rc : io_signal_watch(p->loop, SIGHUP, reload, p);
}

static void say_ready(const struct proxy *p)
{
    for (size_t i = 0; i < p->clusters_count; i++) {
        for (size_t port = 0; port < PROXY_PORTS; port++) {
            char text[IO_ADDRESS_TEXT_MAX];
            const struct proxy_listen *l = &p->settings.clusters[i].listen[port];
            if (l->is_on) {
                IO_LOG_NOTICE("proxy", "listening", io_name("cluster", &p->clusters[i]->name),
                              io_text("port", port == PROXY_PRIMARY ? "primary" : "replicas"),
                              io_text("address", io_address_text(&l->address, text, sizeof(text))));
            }
        }
    }
    io_daemon_notify("READY=1");
}

static void close_all(struct proxy *p)
{
    p->quorum = quorum_close(p->quorum);
    p->http = io_server_free(p->http);
    for (size_t i = 0; i < p->clusters_count; i++) {
        struct proxy_cluster *c = p->clusters[i];
        for (size_t port = 0; port < PROXY_PORTS; port++) {
            c->listening[port] = listening_close(c->listening[port]);
        }
        proxy_drop_all(c);
        for (size_t k = 0; k < PROXY_MEMBERS_MAX; k++) {
            proxy_backend_close(&c->backends[k]);
        }
        io_timer_stop(&c->timer);
    }
    io_timer_stop(&p->stop);
    p->conns = conns_close(p->conns);
    p->workers = io_workers_free(p->workers, true);
    p->loop = io_loop_free(p->loop);
    p->tls = io_tls_free(p->tls);
    for (size_t i = 0; i < p->clusters_count; i++) {
        free(p->clusters[i]);
    }
    p->config = io_config_free(p->config);
}

int proxy_run(struct io_config *config, const struct proxy_settings *settings)
{
    static struct proxy proxy;
    struct io_why why = {"out of memory"};
    proxy = (struct proxy){.config = config, .settings = *settings};
    if (io_loop_new(&proxy.loop) != 0) {
        proxy.config = io_config_free(config);
        return fail("", &why) != 0;
    }
    io_timer_init(&proxy.stop, proxy.loop, stop_look, &proxy);
    proxy.started = io_now();
    if (open_rest(&proxy, &why) != 0) {
        (void)fail("cannot start", &why);
        close_all(&proxy);
        return 1;
    }
    io_daemon_watchdog(proxy.loop);
    say_ready(&proxy);
    io_loop_run(proxy.loop);
    close_all(&proxy);
    return 0;
}
