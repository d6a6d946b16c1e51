/* SPDX-License-Identifier: Apache-2.0 */
/* Wiring of an agent; see runtime.h. */
#include "agents/shell/runtime.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "agents/driver.h"
#include "agents/shell/failsafe.h"
#include "agents/shell/outward.h"
#include "agents/shell/state_file.h"
#include "base/lease_math.h"
#include "base/name.h"
#include "proto/io/daemon.h"

#define HAND_OVER_PROBE_US (20 * BASE_US_PER_MS)

struct agent_runtime {
    const struct agent_options *options;
    const struct agent_settings *settings;
    int exit_status;
    bool is_stopping; /* in order: waits for the driver to be finished */
    bool is_ended;
    struct io_loop *loop;
    struct io_tls *tls;
    struct io_links *links;
    struct state_file *state;
    struct guard_link *guard;
    struct failsafe_client *failsafe;
    bool is_engine_open;
    struct db_port db; /* the engine's */
    struct io_timer wake;
    struct base_mono wake_at;
    struct agt_driver driver;
    struct agt_disk disk;
    struct outward outward;
    struct base_text warned; /* the standing warning of the database as it was logged last */
    uv_prepare_t before_sleep;
    uint32_t ttl_ms;
    int64_t probe_interval_us;
};

static int fail(const struct agent_runtime *r, const char *what, const struct io_why *why)
{
    (void)fprintf(stderr, "%s: %s: %s\n", r->options->program, what, why->text);
    return -1;
}

static void end(struct agent_runtime *r, int exit_status)
{
    if (!r->is_ended) {
        r->is_ended = true;
        r->exit_status = exit_status;
    }
    io_loop_stop(r->loop);
}

/* --- events into the driver --- */

static void db_done(void *ctx, const struct db_done *done)
{
    struct agent_runtime *r = ctx;
    if (done->status != 0) {
        IO_LOG_WARN("db", "order_failed", io_i64("kind", (int64_t)done->kind), io_err(done->status),
                    io_btext("text", &done->text));
    }
    if (!outward_take_done(&r->outward, done)) {
        agt_driver_db_done(&r->driver, done);
    }
}

/* A standing warning is logged when it changes. */
static void db_view(void *ctx, const struct db_view *view)
{
    struct agent_runtime *r = ctx;
    if (memcmp(&r->warned, &view->warning, sizeof(r->warned)) != 0) {
        r->warned = view->warning;
        if (view->warning.text[0] != '\0') {
            IO_LOG_WARN("db", "standing_warning", io_btext("text", &view->warning));
        }
    }
    agt_driver_db_view(&r->driver, view);
}

static void db_log(void *ctx, const char *text)
{
    (void)ctx;
    IO_LOG_NOTICE("database", "note", io_text("text", text));
}

static void guard_status(void *ctx, const struct guard_status *status)
{
    struct agent_runtime *r = ctx;
    r->db.guard_changed(r->db.ctx, status);
    agt_driver_guard_status(&r->driver, status);
}

static void guard_failed(void *ctx, int status)
{
    struct agent_runtime *r = ctx;
    (void)fprintf(stderr, "%s: the guard cannot be started (%s); its own line above says why\n",
                  r->options->program, base_error_text(status));
    end(r, 1);
}

static void state_saved(void *ctx, int status)
{
    struct agent_runtime *r = ctx;
    if (status != 0) {
        IO_LOG_ERROR("state", "save_failed", io_err(status),
                     io_text("next", "trying again; nothing new is promised meanwhile"));
    }
    agt_driver_saved(&r->driver, status);
}

/* While the role is being handed over everybody looks often: the new primary is chosen as soon as
 * it is seen to have the shutdown checkpoint. */
static int64_t probe_interval_us(const struct msg_record *record)
{
    int64_t interval_us = (int64_t)record->heartbeat_ms * BASE_US_PER_MS;
    bool is_handing_over = record->state == MSG_RECORD_SWITCHOVER;
    return is_handing_over && interval_us > HAND_OVER_PROBE_US ? HAND_OVER_PROBE_US : interval_us;
}

/* Settings of the cluster that the shells follow. */
static void follow_record(struct agent_runtime *r)
{
    const struct agt *agent = agt_driver_agent(&r->driver);
    const struct msg_record *record = &agent->order.record;
    if (!agent->has_order || record->epoch == 0) {
        return;
    }
    if (record->ttl_ms != r->ttl_ms) {
        r->ttl_ms = record->ttl_ms;
        guard_link_set_margin(r->guard, lease_margin_us((int64_t)r->ttl_ms * BASE_US_PER_MS));
    }
    int64_t interval_us = probe_interval_us(record);
    if (interval_us != r->probe_interval_us) {
        r->probe_interval_us = interval_us;
        r->db.set_interval(r->db.ctx, interval_us);
    }
}

/* A grant is armed with the margin of the record that came with it, not of the one before. */
static void guard_arming(void *ctx)
{
    follow_record(ctx);
}

static void link_received(void *ctx, uint64_t link, const struct net_identity *from,
                          struct slice payload)
{
    struct agent_runtime *r = ctx;
    (void)link;
    agt_driver_receive(&r->driver, from, payload);
    follow_record(r);
}

static void link_up(void *ctx, uint64_t link, const struct net_identity *who)
{
    struct agent_runtime *r = ctx;
    (void)who;
    IO_LOG_INFO("link", "quorum_node_up", io_hex("node", link));
    agt_driver_connected(&r->driver);
}

static void link_down(void *ctx, uint64_t link, const struct net_identity *who)
{
    (void)ctx;
    (void)who;
    IO_LOG_INFO("link", "quorum_node_down", io_hex("node", link));
}

static const struct io_link_events link_events = {
    .received = link_received, .up = link_up, .down = link_down};

static void driver_time(void *ctx)
{
    struct agent_runtime *r = ctx;
    outward_woke(&r->outward, base_mono_diff_us(io_now(), r->wake_at));
    agt_driver_timer(&r->driver);
}

static void driver_wake(void *ctx, struct base_mono at)
{
    struct agent_runtime *r = ctx;
    r->wake_at = at;
    io_timer_start(&r->wake, at);
}

static void driver_log(void *ctx, const char *text)
{
    static struct io_log_site site = {.lines_max = 200}; /* all that the core says */
    const struct io_field fields[] = {{.key = ""}, io_text("text", text)};
    (void)ctx;
    io_log_write(&site, IO_LEVEL_NOTICE, "agent", "note", fields, BASE_COUNT_OF(fields));
}

static void failsafe_answered(void *ctx, const struct base_name *member, struct slice answer)
{
    struct agent_runtime *r = ctx;
    agt_driver_failsafe_answer(&r->driver, member, answer);
}

/* --- opening --- */

static int open_tls(struct agent_runtime *r)
{
    struct io_why why = {""};
    const struct agent_settings *s = r->settings;
    if (s->is_insecure) {
        return 0;
    }
    const struct io_tls_options options = {.cert_file = s->cert_file,
                                           .key_file = s->key_file,
                                           .ca_file = s->ca_file,
                                           .revoked_file = s->revoked_file,
                                           .verify = IO_TLS_VERIFY_REQUIRED};
    if (io_tls_new(&options, &r->tls, &why) != 0) {
        return fail(r, "TLS", &why);
    }
    const struct io_identity own = io_tls_own_identity(r->tls);
    if (own.net.role != NET_ROLE_AGENT || !base_name_equal(&own.net.cluster, &s->core.cluster) ||
        !base_name_equal(&own.net.member, &s->core.member)) {
        char text[IO_IDENTITY_TEXT_MAX];
        io_why_set(&why,
                   "certificate %s is for %s, not for agent %s/%s; issue it with 'kv cert issue "
                   "--role agent --cluster %s --name %s'",
                   s->cert_file, io_identity_text(&own, text, sizeof(text)), s->core.cluster.text,
                   s->core.member.text, s->core.cluster.text, s->core.member.text);
        return fail(r, "TLS", &why);
    }
    io_tls_watch(r->tls, r->loop);
    return 0;
}

static int open_links(struct agent_runtime *r)
{
    struct io_why why = {""};
    const struct agent_settings *s = r->settings;
    const struct io_links_options options = {
        .self = {.role = NET_ROLE_AGENT, .cluster = s->core.cluster, .member = s->core.member},
        .name = s->core.member,
        .token = s->token,
        .tls = r->tls,
        .events = &link_events,
        .ctx = r,
    };
    return io_links_new(r->loop, &options, &r->links, &why) == 0 ? 0 : fail(r, "links", &why);
}

static int start_links(struct agent_runtime *r)
{
    struct io_why why = {""};
    for (size_t i = 0; i < r->settings->nodes_count; i++) {
        if (io_links_add(r->links, &r->settings->nodes[i], &why) != 0) {
            return fail(r, "links", &why);
        }
    }
    return 0;
}

static int open_guard(struct agent_runtime *r)
{
    struct io_why why = {""};
    struct guard_link_options options = {.spawn = r->options->guard,
                                         .ctx = r,
                                         .status = guard_status,
                                         .arming = guard_arming,
                                         .failed = guard_failed};
    options.spawn.watchdog = r->settings->watchdog_mode;
    options.spawn.watchdog_device = r->settings->watchdog_device;
    options.spawn.watchdog_timeout_us = r->settings->watchdog_timeout_us;
    if (guard_link_new(r->loop, &options, &r->guard) != 0) {
        io_why_set(&why, "not enough memory or threads");
        return fail(r, "guard", &why);
    }
    guard_link_set_margin(r->guard,
                          lease_margin_us((int64_t)r->settings->core.seed_ttl_ms * BASE_US_PER_MS));
    return 0;
}

static int open_failsafe(struct agent_runtime *r)
{
    struct io_why why = {""};
    const struct failsafe_client_options options = {.cluster = r->settings->core.cluster,
                                                    .tls = r->tls,
                                                    .ctx = r,
                                                    .answered = failsafe_answered};
    if (failsafe_client_new(r->loop, &options, &r->failsafe) != 0) {
        io_why_set(&why, "not enough memory");
        return fail(r, "cannot start", &why);
    }
    return 0;
}

static int open_engine(struct agent_runtime *r)
{
    struct io_why why = {""};
    const struct agent_engine *engine = &r->options->engine;
    const struct agent_site site = {
        .loop = r->loop,
        .guard = guard_link_port(r->guard),
        .interval_us = (int64_t)r->settings->core.seed_heartbeat_ms * BASE_US_PER_MS,
        .events = {.ctx = r, .done = db_done, .view = db_view, .log = db_log},
    };
    if (engine->open(engine->ctx, &site, &r->db, &why) != 0) {
        return fail(r, "cannot start", &why);
    }
    r->is_engine_open = true;
    return 0;
}

static int open_driver(struct agent_runtime *r)
{
    struct io_why why = {""};
    struct agt_driver_options options = {
        .config = r->settings->core,
        .ports = {.net = io_links_port_of(r->links),
                  .clock = io_clock_port(),
                  .guard = guard_link_port(r->guard),
                  .db = outward_port(&r->outward, r->db),
                  .state = state_file_port(r->state),
                  .failsafe = failsafe_client_port(r->failsafe),
                  .ctx = r,
                  .wake = driver_wake,
                  .log = driver_log},
        .disk = r->disk,
        .nodes_count = (uint8_t)r->settings->nodes_count,
    };
    for (size_t i = 0; i < r->settings->nodes_count; i++) {
        options.nodes[i] = r->settings->nodes[i].node_id;
    }
    if (getrandom(&options.config.session, sizeof(options.config.session), 0) !=
        (ssize_t)sizeof(options.config.session)) {
        io_why_set(&why, "no random numbers");
        return fail(r, "cannot start", &why);
    }
    options.config.session |= 1;
    if (agt_driver_init(&r->driver, &options) != 0) {
        io_why_set(&why, "the configuration does not fit together");
        return fail(r, "cannot start", &why);
    }
    return 0;
}

static int open_outward(struct agent_runtime *r)
{
    struct io_why why = {""};
    return outward_open(&r->outward, r->loop, r->settings, &r->driver, &why) == 0
               ? 0
               : fail(r, "cannot start", &why);
}

static int open_http(struct agent_runtime *r)
{
    struct io_why why = {""};
    return outward_listen(&r->outward, r->loop, &why) == 0
               ? 0
               : fail(r, "cannot answer health checks", &why);
}

static void on_signal(void *ctx, int signal_number)
{
    struct agent_runtime *r = ctx;
    IO_LOG_NOTICE("agent", "stopping", io_i64("signal", signal_number));
    if (signal_number == SIGUSR1 || r->is_stopping) {
        end(r, 0); /* alone: the database goes on under its guard */
        return;
    }
    r->is_stopping = true;
    io_daemon_notify("STOPPING=1");
    agt_driver_shutdown(&r->driver);
}

static void before_sleep(uv_prepare_t *handle)
{
    struct agent_runtime *r = handle->data;
    outward_look(&r->outward);
    if (r->is_stopping && !r->is_ended && agt_driver_is_finished(&r->driver)) {
        const struct agt *agent = agt_driver_agent(&r->driver);
        /* In a pause the database goes on, and so does one that was never ours; one that is only
         * watched never had anything to do with the guard. */
        bool is_kept = agt_is_paused(agent) || agt_is_left_running(agent);
        if (!is_kept || agent->config.mongodb.is_watched) {
            guard_link_end_guard(r->guard);
        }
        end(r, 0);
    }
}

static int open_loop(struct agent_runtime *r)
{
    static const int signals[] = {SIGTERM, SIGINT, SIGUSR1};
    struct io_why why = {""};
    int rc = io_loop_new(&r->loop);
    for (size_t i = 0; i < BASE_COUNT_OF(signals) && rc == 0; i++) {
        rc = io_signal_watch(r->loop, signals[i], on_signal, r);
    }
    if (rc != 0) {
        io_why_set(&why, "no event loop");
        return fail(r, "cannot start", &why);
    }
    io_timer_init(&r->wake, r->loop, driver_time, r);
    return 0;
}

static int open_all(struct agent_runtime *r)
{
    struct io_why why = {""};
    if (open_loop(r) != 0 || open_tls(r) != 0 || open_links(r) != 0) {
        return -1;
    }
    if (state_file_open(r->loop, r->settings->state_dir, state_saved, r, &r->state, &r->disk,
                        &why) != 0) {
        return fail(r, "durable state", &why);
    }
    if (open_guard(r) != 0 || open_engine(r) != 0 || open_failsafe(r) != 0 ||
        open_outward(r) != 0 || open_driver(r) != 0 || open_http(r) != 0 || start_links(r) != 0) {
        return -1;
    }
    (void)uv_prepare_init(io_loop_uv(r->loop), &r->before_sleep);
    r->before_sleep.data = r;
    (void)uv_prepare_start(&r->before_sleep, before_sleep);
    agt_driver_start(&r->driver);
    io_daemon_watchdog(r->loop);
    io_daemon_notify("READY=1");
    IO_LOG_NOTICE("agent", "started", io_name("cluster", &r->settings->core.cluster),
                  io_name("member", &r->settings->core.member));
    return 0;
}

static void close_all(struct agent_runtime *r)
{
    io_timer_stop(&r->wake);
    if (r->before_sleep.data != NULL) {
        (void)uv_prepare_stop(&r->before_sleep);
        uv_close((uv_handle_t *)&r->before_sleep, NULL);
    }
    outward_close(&r->outward);
    r->links = io_links_free(r->links);
    r->failsafe = failsafe_client_free(r->failsafe);
    if (r->is_engine_open) {
        r->options->engine.close(r->options->engine.ctx);
    }
    r->guard = guard_link_free(r->guard);
    r->state = state_file_close(r->state);
    r->tls = io_tls_free(r->tls);
    r->loop = io_loop_free(r->loop);
}

int agent_run(const struct agent_options *options)
{
    struct agent_runtime *r = calloc(1, sizeof(*r));
    if (r == NULL) {
        return 1;
    }
    r->options = options;
    r->settings = options->settings;
    r->exit_status = 1;
    if (open_all(r) == 0 && !r->is_ended) {
        io_loop_run(r->loop);
    }
    int exit_status = r->exit_status;
    if (r->loop != NULL) {
        close_all(r);
    }
    free(r);
    return exit_status;
}
