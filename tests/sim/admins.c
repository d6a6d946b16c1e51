/* SPDX-License-Identifier: Apache-2.0 */
/* One administrator a cluster, drawn at random from a stream of their own; see admins.h. */
#include "tests/sim/admins.h"

#include <stdio.h>
#include <stdlib.h>

#include "agents/core/agent.h"
#include "base/name.h"
#include "tests/sim/elsewhere.h"
#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth_ops.h"

#define TIDY_US (400 * MS) /* between two looks when the faults are over */

struct admin {
    struct world *world;
    unsigned cluster;
    struct base_rand rand, switch_rand, site_rand;
    bool is_trusting; /* a fence may stand for the end of a lease here ... */
    bool is_lied_to;  /* ... or the switch lies, and there is no pause either */
    bool is_tidy;     /* the last document is written */
    bool may_demote;  /* there is another site, which takes the service over now and then ... */
    bool is_demoted;  /* ... and has it */
};

struct admins {
    struct admin list[DB_CLUSTERS_MAX];
};

static struct base_name draw_name(struct admin *a)
{
    const struct db_setup *d = &a->world->setup.databases[a->cluster];
    return member_of(a->world, d->first + (unsigned)draw(&a->rand, 0, d->members - 1))->name;
}

static bool ask(struct admin *a, const struct arb_request *request)
{
    int rc = nodes_request(a->world, a->cluster, request);
    trace(a->world, TRACE_MARK, 60, a->cluster, request->kind, (uint64_t)(int64_t)rc);
    a->world->tally.admin_orders += rc == 0;
    return rc == 0;
}

/* --- settings --- */

static const char *draw_word(struct admin *a, const char *x, const char *y, const char *z)
{
    const char *words[] = {x, y, z};
    return words[draw(&a->rand, 0, 2)];
}

static const char *truth_word(bool is_true)
{
    return is_true ? "true" : "false";
}

static bool configure(struct admin *a, const char *text)
{
    int rc = nodes_configure(a->world, a->cluster, slice_from_text(text));
    trace(a->world, TRACE_MARK, 61, a->cluster, (uint64_t)(int64_t)rc, 0);
    trace_text(a->world, ADDRESS_NODE, text);
    a->world->tally.documents += rc == 0;
    return rc == 0;
}

/* The document says from now on that the service is another site's, or ours again. */
static void change_site(struct admin *a)
{
    if (a->is_demoted) {
        a->is_demoted = !chance(&a->site_rand, 600000);
    } else if (a->may_demote && chance(&a->site_rand, 300000)) {
        a->is_demoted = elsewhere_take(a->world, a->cluster);
    }
}

static void change_settings(struct admin *a)
{
    static const unsigned ttls[] = {600, 1000, 2000, 2000, 3000, 4000};
    const struct db_setup *d = &a->world->setup.databases[a->cluster];
    unsigned ttl_ms = ttls[draw(&a->rand, 0, 5)];
    bool is_strict = chance(&a->rand, 250000), is_failsafe = chance(&a->rand, 400000);
    bool is_trusted = a->is_trusting && chance(&a->rand, 500000);
    unsigned count = chance(&a->rand, 300000) ? 2 : 1;
    bool may_be_off = chance(&a->rand, 500000);
    const char *sync = draw_word(a, "on", "first", may_be_off ? "off" : "on");
    const char *fence = draw_word(a, "off", "try", "require");
    const char *crash = draw_word(a, "auto", "failover", "restart");
    const char *interval =
        draw_word(a, "0s", a->cluster == 0 ? "0s" : "5s", a->cluster == 0 ? "0s" : "60s");
    long lag = (long)draw(&a->rand, 1, 64); /* few records in half of them: a limit to be met */
    lag = lag <= 32 ? lag * 64 : lag * 1024;
    unsigned connections = (unsigned)draw(&a->rand, 1, 4) * 50;
    char text[800];
    change_site(a);
    (void)snprintf(
        text, sizeof(text),
        "{%s\"ttl\":\"%ums\",\"heartbeat\":\"%ums\",\"freeze_max\":\"%ums\",\"sync\":\"%s\","
        "\"sync_count\":%u,\"strict\":%s,\"maximum_lag_on_failover\":%ld,"
        "\"on_crash\":\"%s\",\"failover_interval\":\"%s\",\"failsafe\":%s,"
        "\"fence\":{\"mode\":\"%s\",\"command\":\"switch\",\"timeout\":\"3s\","
        "\"trust\":%s},\"postgresql\":{\"parameters\":{\"max_connections\":%u}}}",
        a->is_demoted ? "\"standby_cluster\":{\"host\":\"elsewhere\"}," : "", ttl_ms,
        ttl_ms / 8 < 100 ? 100 : ttl_ms / 8, d->freeze_max_ms, sync, count, truth_word(is_strict),
        lag, crash, interval, truth_word(is_failsafe), fence, truth_word(is_trusted), connections);
    (void)configure(a, text);
}

/* --- orders --- */

static void pause_or_resume(struct admin *a, const struct msg_record *r)
{
    if (r->is_paused) {
        (void)ask(a, &(struct arb_request){.kind = ARB_REQUEST_RESUME});
    } else if (!a->is_lied_to) {
        (void)ask(a, &(struct arb_request){.kind = ARB_REQUEST_PAUSE});
    }
}

static void drain_or_not(struct admin *a, const struct msg_record *r)
{
    struct arb_request request = {.kind = ARB_REQUEST_DRAIN, .candidate = draw_name(a)};
    if (r->drained.count > 0 && chance(&a->rand, 600000)) {
        request.kind = ARB_REQUEST_UNDRAIN;
        request.candidate = r->drained.names[0];
    }
    (void)ask(a, &request);
}

static void order_a_task(struct admin *a)
{
    struct arb_request request = {.kind = ARB_REQUEST_TASK};
    int64_t wall_us = 0;
    request.task.kind = (enum msg_task_kind)draw(&a->rand, MSG_TASK_RESTART, MSG_TASK_REINIT);
    request.task.member = draw_name(a);
    request.task.is_pending_only =
        request.task.kind == MSG_TASK_RESTART && chance(&a->rand, 200000);
    if (chance(&a->rand, 300000) && nodes_wall(a->world, &wall_us)) {
        request.task.at_wall_us = wall_us + draw(&a->rand, SECOND, 8 * SECOND);
    }
    (void)ask(a, &request);
}

static void switch_over(struct admin *a)
{
    struct arb_request request = {.kind = ARB_REQUEST_SWITCHOVER};
    int64_t wall_us = 0;
    if (chance(&a->rand, 500000)) {
        request.candidate = draw_name(a);
    }
    if (chance(&a->rand, 700000) && nodes_wall(a->world, &wall_us)) {
        request.at_wall_us = wall_us + draw(&a->rand, SECOND, 8 * SECOND);
    }
    (void)ask(a, &request);
}

static void cancel(struct admin *a)
{
    struct arb_request request = {.kind = ARB_REQUEST_CANCEL};
    if (chance(&a->rand, 400000)) {
        request.candidate = draw_name(a);
    }
    truth_ops_cancelled(a->world, a->cluster);
    (void)ask(a, &request);
}

/* Somebody has gone to look: the host is without power. */
static void confirm_dead(struct admin *a, const struct msg_record *r)
{
    int holder = member_by_name(a->world, &r->holder);
    struct arb_request request = {.kind = ARB_REQUEST_CONFIRM_DEAD, .candidate = r->holder};
    if (holder < 0 || member_of(a->world, (unsigned)holder)->has_power || !r->is_unarmed) {
        return;
    }
    if (ask(a, &request)) {
        truth_ops_dead(a->world, a->cluster);
        a->world->tally.confirmed_dead++;
    }
}

/* And something that only a write can show: the disk under the primary hangs. */
static void hang_ends(void *ctx, uint64_t number, struct slice bytes)
{
    struct pg *pg = ctx;
    (void)number;
    (void)bytes;
    pg->is_write_stuck = false;
}

static void hang_disk(struct admin *a)
{
    int holder = members_holder(a->world, a->cluster);
    int64_t for_us = draw(&a->rand, SECOND, 14 * SECOND);
    if (holder < 0 || pg_of(a->world, (unsigned)holder)->is_write_stuck) {
        return;
    }
    fault_bit(a->world, FAULT_DATABASE_DISK_HANG, (unsigned)holder, 0, for_us);
    truth_fails(a->world, pg_of(a->world, (unsigned)holder));
    pg_of(a->world, (unsigned)holder)->is_write_stuck = true;
    world_at(a->world, a->world->now_us + for_us, NULL, hang_ends,
             pg_of(a->world, (unsigned)holder));
}

static void act(struct admin *a, const struct msg_record *r)
{
    int64_t what = draw(&a->rand, 0, 99);
    confirm_dead(a, r);
    if (r->is_paused && what < 60) {
        what = 35;
    }
    if (what < 30) {
        change_settings(a);
    } else if (what < 45) {
        pause_or_resume(a, r);
    } else if (what < 60) {
        drain_or_not(a, r);
    } else if (what < 80) {
        order_a_task(a);
    } else if (what < 94) {
        switch_over(a);
    } else if (what < 98) {
        hang_disk(a);
    } else {
        cancel(a);
    }
}

/* --- the end --- */

static void write_last_document(struct admin *a)
{
    const struct db_setup *d = &a->world->setup.databases[a->cluster];
    unsigned lag = d->lag_bytes != 0 ? d->lag_bytes : 1u << 20;
    char text[320];
    (void)snprintf(
        text, sizeof(text),
        "{\"ttl\":\"%ums\",\"heartbeat\":\"%ums\",\"freeze_max\":\"%ums\",\"sync\":\"%s\","
        "\"maximum_lag_on_failover\":%u,\"failover_interval\":\"0s\"}",
        d->ttl_ms, d->heartbeat_ms, d->freeze_max_ms, d->is_async ? "off" : "on", lag);
    a->is_tidy = configure(a, text);
    a->is_demoted = a->is_demoted && !a->is_tidy;
}

/* Whoever has orders for later alone: by a clock that has jumped they may be due when all is
 * judged.
 */
static const struct base_name *planned_member(const struct msg_record *r)
{
    for (unsigned i = 0; i < r->tasks_count; i++) {
        bool is_planned = true;
        for (unsigned k = 0; k < r->tasks_count; k++) {
            is_planned = is_planned && (r->tasks[k].at_wall_us > MSG_TASK_AT_ONCE ||
                                        !base_name_equal(&r->tasks[k].member, &r->tasks[i].member));
        }
        if (is_planned) {
            return &r->tasks[i].member;
        }
    }
    return NULL;
}

static void tidy(struct admin *a, const struct msg_record *r)
{
    const struct base_name *planned = planned_member(r);
    confirm_dead(a, r);
    if (r->is_paused) {
        (void)ask(a, &(struct arb_request){.kind = ARB_REQUEST_RESUME});
    } else if (r->drained.count > 0) {
        (void)ask(a, &(struct arb_request){.kind = ARB_REQUEST_UNDRAIN,
                                           .candidate = r->drained.names[0]});
    } else if (r->switchover_at_wall_us != 0) {
        truth_ops_cancelled(a->world, a->cluster);
        (void)ask(a, &(struct arb_request){.kind = ARB_REQUEST_CANCEL});
    } else if (planned != NULL) {
        truth_ops_cancelled(a->world, a->cluster);
        (void)ask(a, &(struct arb_request){.kind = ARB_REQUEST_CANCEL, .candidate = *planned});
    } else if (!a->is_tidy) {
        write_last_document(a);
    }
}

static void admin_tick(void *ctx, uint64_t number, struct slice bytes)
{
    struct admin *a = ctx;
    struct world *w = a->world;
    struct msg_record record;
    (void)number;
    (void)bytes;
    bool is_over = w->now_us >= w->setup.faults_end_us;
    int64_t next_us = is_over ? TIDY_US : draw(&a->rand, 500 * MS, 6 * SECOND);
    world_at(w, w->now_us + next_us, NULL, admin_tick, a);
    if (!truth_ops_record(w, a->cluster, &record) || record.state == MSG_RECORD_BOOTSTRAP) {
        return;
    }
    if (is_over) {
        tidy(a, &record);
    } else {
        a->is_tidy = false;
        act(a, &record);
    }
}

/* Where nobody administers: one document, once the cluster stands, for what it may lose. */
static void limit_loss(void *ctx, uint64_t number, struct slice bytes)
{
    struct admin *a = ctx;
    struct msg_record record;
    (void)number;
    (void)bytes;
    if (truth_ops_record(a->world, a->cluster, &record) && record.state != MSG_RECORD_BOOTSTRAP) {
        write_last_document(a);
    }
    if (!a->is_tidy) {
        world_at(a->world, a->world->now_us + SECOND, NULL, limit_loss, a);
    }
}

/* --- the switch, and tags --- */

void admins_fence(struct world *w, unsigned cluster, struct admins_fence *ret)
{
    struct admin *a = &w->admins->list[cluster];
    int64_t what = draw(&a->switch_rand, 0, 99);
    bool is_over = w->now_us >= w->setup.faults_end_us;
    ret->takes_us = draw(&a->switch_rand, 20 * MS, 3 * SECOND);
    ret->is_cut = is_over || what < 65; /* else it fails, or hangs and does nothing */
    ret->is_said = is_over || what < 55 || (what >= 70 && a->is_lied_to);
}

void admins_tag(struct world *w, unsigned member, struct agt_config *config)
{
    static const struct base_name zones[] = {{""}, {"east"}, {"west"}};
    struct base_rand r = world_stream(w, STREAM_ADMIN, 100 + member);
    if (!w->setup.has_admins) {
        return;
    }
    config->zone = zones[draw(&r, 0, 2)];
    config->is_nosync = chance(&r, 120000);
    config->is_nofailover = chance(&r, 80000);
    config->priority = (uint8_t)draw(&r, 0, 2);
    const struct db_setup *d = database_of(w, member);
    if (chance(&r, 200000)) { /* perhaps itself, perhaps in a ring: it must do without then */
        config->replicatefrom =
            member_of(w, d->first + (unsigned)draw(&r, 0, d->members - 1))->name;
    }
    config->is_clonefrom = chance(&r, 250000);
}

void admins_open(struct world *w)
{
    w->admins = must_alloc(1, sizeof(*w->admins));
    for (unsigned i = 0; !w->setup.has_admins && i < w->setup.clusters; i++) {
        struct admin *a = &w->admins->list[i];
        a->world = w;
        a->cluster = i;
        if (w->setup.databases[i].lag_bytes != 0) {
            world_at(w, w->now_us + 4 * SECOND, NULL, limit_loss, a);
        }
    }
    for (unsigned i = 0; w->setup.has_admins && i < w->setup.clusters; i++) {
        struct admin *a = &w->admins->list[i];
        a->world = w;
        a->cluster = i;
        a->rand = world_stream(w, STREAM_ADMIN, i);
        a->switch_rand = world_stream(w, STREAM_ADMIN, 50 + i);
        a->is_lied_to = chance(&a->rand, 200000);
        a->is_trusting = !a->is_lied_to && chance(&a->rand, 500000);
        a->site_rand = world_stream(w, STREAM_ADMIN, 70 + i);
        a->may_demote = chance(&a->site_rand, 400000);
        world_at(w, w->now_us + draw(&a->rand, 4 * SECOND, 9 * SECOND), NULL, admin_tick, a);
    }
}

void admins_close(struct world *w)
{
    free(w->admins);
    w->admins = NULL;
}
