/* SPDX-License-Identifier: Apache-2.0 */
/* From the arbiter's views to what people read. */
#include "arbiter/api/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lease_math.h"
#include "base/name.h"

/* protobuf-c has no const texts in its structs; it only reads them when packing. */
static char *text_of(const char *literal)
{
    union {
        const char *in;
        char *out;
    } u = {.in = literal};
    return u.out;
}

static bool is_heard(const struct arb_cluster *c, const struct arb_view *view, struct base_mono now)
{
    int64_t ttl_ms = c->record.ttl_ms != 0 ? c->record.ttl_ms : LEASE_TTL_DEFAULT_MS;
    return view->has_report && base_mono_diff_us(now, view->heard) <= 2 * ttl_ms * BASE_US_PER_MS;
}

static bool is_holder(const struct arb_cluster *c, const struct arb_view *view)
{
    return base_name_equal(&view->member, &c->record.holder);
}

static const struct arb_view *holder_of(const struct arb_cluster *c)
{
    uint8_t i = arb_view_find(c, &c->record.holder);
    return i == ARB_NOBODY ? NULL : &c->views[i];
}

static bool is_among(const struct msg_names *names, const struct base_name *name)
{
    for (uint8_t i = 0; i < names->count; i++) {
        if (base_name_equal(&names->names[i], name)) {
            return true;
        }
    }
    return false;
}

/* --- one member --- */

static bool is_galera(const struct arb_cluster *c)
{
    return arb_engine_id(c) == MSG_ENGINE_GALERA;
}

static bool is_mongodb(const struct arb_cluster *c)
{
    return arb_engine_id(c) == MSG_ENGINE_MONGODB;
}

static const char *role_of(const struct arb_cluster *c, const struct arb_view *view)
{
    const struct msg_record *r = &c->record;
    if (is_galera(c) && !is_holder(c, view)) {
        return view->report.galera.state == MSG_GALERA_SYNCED ? "reader" : "-";
    }
    if (is_holder(c, view)) {
        return r->is_standby_cluster ? "standby leader" : "primary";
    }
    if (r->votes_needed_r > 0 && is_among(&r->voters, &view->member)) {
        return r->sync_mode == MSG_SYNC_FIRST ? "sync" : "quorum";
    }
    return view->report.db_state == MSG_DB_STANDBY ? "standby" : "-";
}

static const char *state_of(const struct arb_view *view, bool is_up)
{
    static const char *const words[] = {
        [MSG_DB_UNKNOWN] = "unknown",     [MSG_DB_EMPTY] = "empty",
        [MSG_DB_CREATING] = "creating",   [MSG_DB_STOPPED] = "stopped",
        [MSG_DB_STARTING] = "starting",   [MSG_DB_STANDBY] = "running",
        [MSG_DB_PROMOTING] = "promoting", [MSG_DB_PRIMARY] = "starting",
        [MSG_DB_STOPPING] = "stopping",   [MSG_DB_FROZEN] = "frozen",
        [MSG_DB_FAILED] = "failed",
    };
    const struct msg_report *r = &view->report;
    if (!is_up) {
        return "down";
    }
    if (view->refused != ARB_REFUSE_NONE) {
        return "refused";
    }
    if (r->db_state == MSG_DB_STANDBY && r->is_receiving) {
        return "streaming";
    }
    if (r->db_state == MSG_DB_PRIMARY && r->is_open) {
        return "running";
    }
    return (size_t)r->db_state < BASE_COUNT_OF(words) ? words[r->db_state] : "unknown";
}

static int64_t lag_of(const struct arb_cluster *c, const struct arb_view *view, bool is_up)
{
    const struct arb_view *holder = holder_of(c);
    if (!is_up || holder == NULL || !holder->has_report || view->report.position.lsn == 0) {
        return -1;
    }
    uint64_t primary = holder->report.position.lsn;
    uint64_t own = view->report.position.lsn;
    return own >= primary ? 0 : (int64_t)(primary - own);
}

static void fill_note(char memory[ARB_SHOW_TEXT_MAX], const struct arb_view *view, bool is_up,
                      struct base_mono now)
{
    if (view->refused != ARB_REFUSE_NONE) {
        (void)snprintf(memory, ARB_SHOW_TEXT_MAX, "it %s", arb_refusal_text(view->refused));
    } else if (!is_up && view->has_report) {
        (void)snprintf(memory, ARB_SHOW_TEXT_MAX, "last heard %lld s ago",
                       (long long)(base_mono_diff_us(now, view->heard) / BASE_US_PER_S));
    } else {
        (void)snprintf(memory, ARB_SHOW_TEXT_MAX, "%s", view->report.note.text);
    }
}

/* What the report says and the core does not look at. */
static void fill_report(Quorate__V1__DatabaseMember *m, struct msg_report *r)
{
    m->host = r->host.text;
    m->db_port = r->db_port;
    m->http_port = r->http_port;
    m->timeline = r->position.timeline;
    m->lsn = r->position.lsn;
    m->lineage = r->position.lineage;
    m->replay_lsn = r->replay_lsn;
    m->pause_worst_us = r->pause_worst_us;
    m->epoch_seen = r->epoch_seen;
    m->epoch_held = r->epoch_held != 0 ? r->epoch_held : r->epoch_handed_back;
    m->upstream = r->upstream.text;
    m->replicatefrom = r->replicatefrom.text;
    m->zone = r->zone.text;
    m->priority = r->priority;
    m->is_nofailover = r->is_nofailover;
    m->is_nosync = r->is_nosync;
    m->is_noloadbalance = r->is_noloadbalance;
    m->is_clonefrom = r->is_clonefrom;
    m->is_restart_pending = r->is_restart_pending;
    m->pending_restart = r->pending_restart.text;
    m->config_revision = r->config_revision;
    m->is_paused = r->is_paused;
    m->is_adopted = r->is_adopted;
    m->is_write_failing = r->is_write_failing;
    m->is_failsafe = r->is_failsafe;
    m->is_watchdog_fed = r->is_watchdog_fed;
    m->db_version = r->db_version;
    m->connections = r->connections;
    m->connections_max = r->connections_max;
    m->disk_free_bytes = r->disk_free_bytes;
    m->work_done_bytes = r->work_done_bytes;
    m->work_total_bytes = r->work_total_bytes;
}

static const struct arb_seen *seen_find(const struct arb_show_from *from,
                                        const struct base_name *name)
{
    for (size_t i = 0; i < from->seen_count; i++) {
        if (base_name_equal(&from->seen[i].member, name)) {
            return &from->seen[i];
        }
    }
    return NULL;
}

static void fill_candidate(Quorate__V1__DatabaseMember *m, const struct arb_cluster *c,
                           uint8_t index, struct base_mono now)
{
    if (c->record.epoch != 0) {
        enum arb_refusal why = arb_target_refusal(c, index, now);
        m->candidate = text_of(arb_refusal_name(why));
        m->candidate_text = text_of(arb_refusal_text(why));
    }
}

static void fill_since(Quorate__V1__DatabaseMember *m, const struct arb_show_from *from,
                       const struct arb_view *view, bool is_up)
{
    const struct arb_seen *seen = seen_find(from, &view->member);
    int64_t heard_us = view->has_report ? base_mono_diff_us(from->now, view->heard) : 0;
    if (is_holder(from->cluster, view)) {
        m->since_wall_us = from->cluster->record.since_wall_us;
    } else if (seen != NULL && seen->is_up == is_up) {
        m->since_wall_us = seen->since_wall_us;
    }
    if (!is_up) {
        bool is_written = seen != NULL && !seen->is_up;
        m->down_since_wall_us = is_written ? seen->since_wall_us : from->wall.us - heard_us;
        m->since_wall_us = m->down_since_wall_us;
    }
}

/* MongoDB: its last word is old already, though nobody calls it silent yet: the age is said. */
static bool is_late(const struct arb_cluster *c, const struct arb_view *view, struct base_mono now)
{
    int64_t beat_us = c->record.heartbeat_ms * BASE_US_PER_MS;
    return is_mongodb(c) && base_mono_diff_us(now, view->heard) > 2 * beat_us + BASE_US_PER_S / 2;
}

static void fill_member(struct arb_show_member *shown, const struct arb_show_from *from,
                        uint8_t index)
{
    const struct arb_cluster *c = from->cluster;
    const struct arb_view *view = &c->views[index];
    Quorate__V1__DatabaseMember *m = &shown->message;
    bool is_up = is_heard(c, view, from->now);
    quorate__v1__database_member__init(m);
    shown->name = view->member;
    shown->report = view->report;
    fill_report(m, &shown->report);
    fill_note(shown->note, view, is_up && !is_late(c, view, from->now), from->now);
    m->name = shown->name.text;
    m->role = text_of(role_of(c, view));
    m->state = text_of(state_of(view, is_up));
    if (is_galera(c) && view->has_report) {
        arb_show_galera_member(&shown->galera, &shown->report, m);
        m->state = is_up && view->refused == ARB_REFUSE_NONE ? m->galera->state : m->state;
    } else if (is_mongodb(c)) {
        enum msg_mongodb_state state = arb_mongodb_member_state(c, index, from->now);
        arb_show_mongodb_member(&shown->mongodb, &shown->report, state, m);
        m->role = text_of(arb_show_mongodb_role(state));
        m->state = view->refused == ARB_REFUSE_NONE ? m->mongodb->state : m->state;
    }
    m->lag_bytes = lag_of(c, view, is_up);
    m->note = shown->note;
    m->is_up = is_up;
    m->seen_ago_us = view->has_report ? base_mono_diff_us(from->now, view->heard) : -1;
    m->lease_left_us = is_holder(c, view) && is_up ? view->report.lease_left_us : 0;
    m->is_drained = is_among(&c->record.drained, &view->member);
    fill_candidate(m, c, index, from->now);
    fill_since(m, from, view, is_up);
}

/* One that this node has not heard of in its life. */
static void fill_absent(struct arb_show_member *shown, const struct arb_show_from *from,
                        const struct arb_seen *seen)
{
    Quorate__V1__DatabaseMember *m = &shown->message;
    quorate__v1__database_member__init(m);
    shown->name = seen->member;
    shown->report.host = seen->host;
    m->name = shown->name.text;
    m->host = shown->report.host.text;
    m->db_port = seen->db_port;
    m->http_port = seen->http_port;
    m->role = text_of("-");
    m->state = text_of("down");
    m->lag_bytes = m->seen_ago_us = -1;
    m->since_wall_us = m->down_since_wall_us = seen->since_wall_us;
    m->is_drained = is_among(&from->cluster->record.drained, &seen->member);
    m->candidate = text_of(arb_refusal_name(ARB_REFUSE_SILENT));
    m->candidate_text = text_of(arb_refusal_text(ARB_REFUSE_SILENT));
    m->note = shown->note;
}

/* By name: views stand in the order in which they were first heard. */
static int compare_members(const void *a, const void *b)
{
    const Quorate__V1__DatabaseMember *const *left = a;
    const Quorate__V1__DatabaseMember *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

static void fill_members(struct arb_show *show, const struct arb_show_from *from)
{
    const struct arb_cluster *c = from->cluster;
    size_t count = 0;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_seen *seen = seen_find(from, &c->views[i].member);
        if (c->views[i].has_report || seen == NULL) {
            fill_member(&show->members[count++], from, i);
        }
    }
    for (size_t i = 0; i < from->seen_count; i++) {
        uint8_t at = arb_view_find(c, &from->seen[i].member);
        if (at == ARB_NOBODY || !c->views[at].has_report) {
            fill_absent(&show->members[count++], from, &from->seen[i]);
        }
    }
    for (size_t i = 0; i < count; i++) {
        show->member_list[i] = &show->members[i].message;
    }
    qsort(show->member_list, count, sizeof(show->member_list[0]), compare_members);
    show->cluster.n_members = count;
    show->cluster.members = show->member_list;
}

/* --- the cluster --- */

static bool has_primary(const struct arb_cluster *c, struct base_mono now)
{
    const struct arb_view *holder = holder_of(c);
    bool is_serving = holder != NULL && (holder->report.is_open || c->record.is_standby_cluster);
    return is_serving && is_heard(c, holder, now) && holder->report.epoch_held == c->record.epoch;
}

/* Somebody is missing, or does not do what it should. */
static bool is_degraded(const struct arb_show_from *from)
{
    const struct arb_cluster *c = from->cluster;
    for (size_t i = 0; i < from->seen_count; i++) {
        if (arb_view_find(c, &from->seen[i].member) == ARB_NOBODY) {
            return true;
        }
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_up_to_date = is_galera(c) ? view->report.galera.state == MSG_GALERA_SYNCED
                                          : is_holder(c, view) || view->report.is_receiving;
        bool is_good =
            is_heard(c, view, from->now) && view->refused == ARB_REFUSE_NONE && is_up_to_date;
        if (!is_good) {
            return true;
        }
    }
    return c->record.sync_mode != MSG_SYNC_ASYNC && c->record.votes_needed_r == 0 &&
           !c->record.is_standby_cluster;
}

static const char *cluster_state(const struct arb_show_from *from)
{
    const struct arb_cluster *c = from->cluster;
    if (arb_is_unconfirmed(c) || arb_is_unknown(c)) {
        return "unconfirmed";
    }
    if (c->record.epoch == 0 && c->views_count == 0) {
        return "planned";
    }
    if (c->record.epoch != 0 && is_mongodb(c)) {
        return arb_show_mongodb_state(c, from->now);
    }
    if (c->record.epoch == 0 || c->record.state == MSG_RECORD_BOOTSTRAP) {
        return "bootstrapping";
    }
    if (c->record.state == MSG_RECORD_SWITCHOVER) {
        return "switchover";
    }
    if (!has_primary(c, from->now)) {
        return "no primary";
    }
    return is_degraded(from) ? "degraded" : "healthy";
}

static void fill_sync(struct arb_show *show, const struct arb_cluster *c)
{
    const struct msg_record *r = &c->record;
    const struct arb_view *holder = holder_of(c);
    if (is_galera(c) || is_mongodb(c)) {
        (void)snprintf(show->sync, sizeof(show->sync), is_galera(c) ? "galera" : "mongodb");
    } else if (r->sync_mode == MSG_SYNC_ASYNC) {
        (void)snprintf(show->sync, sizeof(show->sync), "off");
    } else if (r->votes_needed_r == 0 && r->epoch != 0) {
        (void)snprintf(show->sync, sizeof(show->sync), "lost: only %s has everything",
                       r->holder.text);
    } else {
        (void)snprintf(show->sync, sizeof(show->sync), "%s %u",
                       r->sync_mode == MSG_SYNC_FIRST ? "first" : "any", r->votes_needed_r);
    }
    if (holder != NULL && holder->has_report && holder->report.is_sync_known) {
        show->sync_set = holder->report.sync_names;
        show->cluster.sync_count = holder->report.sync_count;
    }
    for (uint8_t i = 0; i < show->sync_set.count; i++) {
        show->sync_names[i] = show->sync_set.names[i].text;
    }
    for (uint8_t i = 0; i < r->voters.count; i++) {
        show->voters[i] = show->record.voters.names[i].text;
    }
}

/* What a failover now could lose, as one sentence. */
static void fill_loss(struct arb_show *show, const struct msg_record *r)
{
    if (r->epoch == 0) {
        show->loss[0] = '\0';
    } else if (r->engine == MSG_ENGINE_GALERA) {
        (void)snprintf(
            show->loss, sizeof(show->loss),
            "what a lost writer was committing is in doubt; the rest is on every member");
    } else if (r->engine == MSG_ENGINE_MONGODB) {
        (void)snprintf(show->loss, sizeof(show->loss),
                       "an election loses nothing that was acknowledged by majority");
    } else if (r->sync_mode == MSG_SYNC_ASYNC) {
        (void)snprintf(show->loss, sizeof(show->loss),
                       "a failover may lose up to %llu bytes, and what is written within %u ms",
                       (unsigned long long)r->maximum_lag_bytes, r->ttl_ms + r->heartbeat_ms);
    } else if (r->votes_needed_r == 0) {
        (void)snprintf(show->loss, sizeof(show->loss),
                       "nobody takes over from %s by itself, since only it has everything",
                       r->holder.text);
    } else {
        (void)snprintf(show->loss, sizeof(show->loss),
                       "a failover loses nothing that was acknowledged");
    }
}

static void fill_settings(struct arb_show *show, const struct msg_record *r)
{
    static const char *const sync[] = {"on", "off", "first"};
    static const char *const on_crash[] = {"own", "auto", "failover", "restart"};
    static const char *const fence[] = {"off", "try", "require"};
    Quorate__V1__DatabaseSettings *m = &show->settings;
    quorate__v1__database_settings__init(m);
    m->ttl_ms = r->ttl_ms;
    m->heartbeat_ms = r->heartbeat_ms;
    m->freeze_max_ms = r->freeze_max_ms;
    m->sync = text_of(sync[r->sync_mode]);
    m->sync_count = r->sync_count;
    m->is_strict = r->is_sync_strict;
    m->maximum_lag_on_failover = r->maximum_lag_bytes;
    m->on_crash = text_of(on_crash[r->on_crash]);
    m->primary_start_timeout_ms = r->start_timeout_ms;
    m->failover_interval_ms = r->failover_interval_ms;
    m->is_failsafe = r->is_failsafe;
    m->fence = text_of(fence[r->fence_mode]);
    m->is_fence_trusted = r->is_fence_trusted;
    m->is_standby_cluster = r->is_standby_cluster;
    show->cluster.settings = m;
}

/* --- what operators asked for --- */

static void fill_tasks(struct arb_show *show)
{
    for (size_t i = 0; i < show->record.tasks_count; i++) {
        struct msg_task *task = &show->record.tasks[i];
        Quorate__V1__DatabaseTask *m = &show->tasks[i];
        quorate__v1__database_task__init(m);
        m->id = task->id;
        m->kind = text_of(arb_task_name(task->kind));
        m->member = task->member.text;
        m->is_pending_only = task->is_pending_only;
        m->at_wall_us = task->at_wall_us;
        show->task_list[i] = m;
    }
    show->cluster.n_tasks = show->record.tasks_count;
    show->cluster.tasks = show->task_list;
}

static void fill_names(struct msg_names *names, char *list[MSG_MEMBERS_MAX])
{
    for (uint8_t i = 0; i < names->count; i++) {
        list[i] = names->names[i].text;
    }
}

static void fill_wishes(struct arb_show *show)
{
    struct msg_record *r = &show->record;
    Quorate__V1__DatabaseCluster *m = &show->cluster;
    fill_tasks(show);
    fill_names(&r->drained, show->drained);
    fill_names(&r->failsafe_members, show->failsafe);
    m->is_paused = r->is_paused;
    m->n_drained = r->drained.count;
    m->drained = show->drained;
    m->n_failsafe_members = r->failsafe_members.count;
    m->failsafe_members = show->failsafe;
    m->switchover_at_wall_us = r->switchover_at_wall_us;
    m->switchover_to = r->switchover_to.text;
    m->switchover_target = r->state == MSG_RECORD_SWITCHOVER ? r->target.text : text_of("");
    m->fencing_epoch = r->fencing_epoch;
    m->is_unarmed = r->is_unarmed;
    m->is_standby_cluster = r->is_standby_cluster;
}

/* --- the seeds of the agents' files, which do nothing once there is a record --- */

static void add_difference(struct arb_show *show, const struct base_name *member, const char *what,
                           uint64_t own, uint64_t in_force)
{
    size_t at = show->cluster.n_seed_differences;
    if (own == in_force || at == ARB_SHOW_DIFFERENCES_MAX) {
        return;
    }
    (void)snprintf(show->difference_texts[at], sizeof(show->difference_texts[at]),
                   "%.40s: %s is %llu in its file, %llu in force", member->text, what,
                   (unsigned long long)own, (unsigned long long)in_force);
    show->differences[at] = show->difference_texts[at];
    show->cluster.n_seed_differences++;
}

static void fill_differences(struct arb_show *show, const struct arb_cluster *c)
{
    const struct msg_record *r = &c->record;
    show->cluster.seed_differences = show->differences;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct msg_report *seed = &c->views[i].report;
        const struct base_name *who = &c->views[i].member;
        if (!c->views[i].has_report || !seed->has_seed || r->epoch == 0) {
            continue;
        }
        bool has_count = seed->seed_sync_count != 0;
        add_difference(show, who, "ttl_ms", seed->seed_ttl_ms, r->ttl_ms);
        add_difference(show, who, "heartbeat_ms", seed->seed_heartbeat_ms, r->heartbeat_ms);
        add_difference(show, who, "freeze_max_ms", seed->seed_freeze_max_ms, r->freeze_max_ms);
        add_difference(show, who, "sync_count", has_count ? seed->seed_sync_count : r->sync_count,
                       r->sync_count);
        add_difference(show, who, "strict", seed->seed_sync_strict, r->is_sync_strict);
        if (seed->seed_sync_mode != r->sync_mode &&
            show->cluster.n_seed_differences < ARB_SHOW_DIFFERENCES_MAX) {
            size_t at = show->cluster.n_seed_differences++;
            (void)snprintf(show->difference_texts[at], sizeof(show->difference_texts[at]),
                           "%.40s: sync is %s in its file, %s in force", who->text,
                           arb_sync_mode_name(seed->seed_sync_mode),
                           arb_sync_mode_name(r->sync_mode));
            show->differences[at] = show->difference_texts[at];
        }
    }
}

void arb_show_fill(struct arb_show *show, const struct arb_show_from *from)
{
    const struct arb_cluster *c = from->cluster;
    memset(show, 0, sizeof(*show));
    Quorate__V1__DatabaseCluster *m = &show->cluster;
    quorate__v1__database_cluster__init(m);
    show->record = c->record;
    show->record.cluster = c->name;
    fill_sync(show, c);
    fill_members(show, from);
    fill_loss(show, &c->record);
    fill_settings(show, &c->record);
    fill_wishes(show);
    fill_differences(show, c);
    if (c->is_waiting) {
        struct buf b = buf_over((uint8_t *)show->waiting, sizeof(show->waiting) - 1);
        arb_note_put(&c->waiting, &b);
    }
    m->name = show->record.cluster.text;
    m->engine = text_of(is_galera(c) ? "galera" : is_mongodb(c) ? "mongodb" : "postgresql");
    if (is_galera(c)) {
        arb_show_galera(&show->galera, &show->record.galera, m);
    } else if (is_mongodb(c)) {
        arb_show_mongodb(&show->mongodb, &show->record.mongodb, arb_mongodb_state(c, from->now), m);
    }
    m->state = text_of(cluster_state(from));
    m->primary = is_mongodb(c) ? show->record.mongodb.primary.text : show->record.holder.text;
    m->epoch = c->record.epoch;
    m->revision = c->record.revision;
    m->system_id = c->record.system_id;
    m->timeline = c->record.timeline;
    m->since_wall_us = c->record.since_wall_us;
    m->sync = show->sync;
    m->n_voters = c->record.voters.count;
    m->voters = show->voters;
    m->votes_needed_r = c->record.votes_needed_r;
    m->n_sync_names = show->sync_set.count;
    m->sync_names = show->sync_names;
    m->ttl_ms = c->record.ttl_ms;
    m->heartbeat_ms = c->record.heartbeat_ms;
    m->waiting_for = show->waiting;
    m->is_unconfirmed = arb_is_unconfirmed(c) || arb_is_unknown(c);
    m->config_revision = c->record.config_revision;
    m->config_newest = from->config_newest;
    m->loss = show->loss;
}
