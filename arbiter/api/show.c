/* SPDX-License-Identifier: Apache-2.0 */
/* From the arbiter's views to what people read. */
#include "arbiter/api/show.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    int64_t limit = 2 * (int64_t)c->record.ttl_ms * BASE_US_PER_MS;
    return view->has_report && base_mono_diff_us(now, view->heard) <= limit;
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

static bool is_voter(const struct msg_record *record, const struct base_name *name)
{
    for (uint8_t i = 0; i < record->voters.count; i++) {
        if (base_name_equal(&record->voters.names[i], name)) {
            return true;
        }
    }
    return false;
}

static const char *role_of(const struct arb_cluster *c, const struct arb_view *view)
{
    enum msg_db_state state = view->report.db_state;
    if (is_holder(c, view)) {
        return "primary";
    }
    if (c->record.votes_needed_r > 0 && is_voter(&c->record, &view->member)) {
        return "quorum";
    }
    return state == MSG_DB_STANDBY ? "standby" : "-";
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

static void fill_member(struct arb_show *show, size_t i, const struct arb_cluster *c,
                        struct base_mono now)
{
    const struct arb_view *view = &c->views[i];
    Quorate__V1__DatabaseMember *m = &show->members[i];
    bool is_up = is_heard(c, view, now);
    quorate__v1__database_member__init(m);
    show->member_list[i] = m;
    show->names[i] = view->member;
    memcpy(show->hosts[i], view->report.host.text, sizeof(show->hosts[i]));
    fill_note(show->notes[i], view, is_up, now);
    m->name = show->names[i].text;
    m->host = show->hosts[i];
    m->db_port = view->report.db_port;
    m->http_port = view->report.http_port;
    m->role = text_of(role_of(c, view));
    m->state = text_of(state_of(view, is_up));
    m->timeline = view->report.position.timeline;
    m->lsn = view->report.position.lsn;
    m->lineage = view->report.position.lineage;
    m->lag_bytes = lag_of(c, view, is_up);
    m->note = show->notes[i];
    m->is_up = is_up;
    m->seen_ago_us = view->has_report ? base_mono_diff_us(now, view->heard) : -1;
    m->pause_worst_us = view->report.pause_worst_us;
    m->epoch_seen = view->report.epoch_seen;
    m->epoch_held =
        view->report.epoch_held != 0 ? view->report.epoch_held : view->report.epoch_handed_back;
    m->lease_left_us = is_holder(c, view) && is_up ? view->report.lease_left_us : 0;
    if (is_holder(c, view)) {
        m->since_wall_us = c->record.since_wall_us;
    }
}

static bool has_primary(const struct arb_cluster *c, struct base_mono now)
{
    const struct arb_view *holder = holder_of(c);
    return holder != NULL && is_heard(c, holder, now) && holder->report.is_open &&
           holder->report.epoch_held == c->record.epoch;
}

static const char *cluster_state(const struct arb_cluster *c, struct base_mono now)
{
    if (arb_is_unconfirmed(c) || arb_is_unknown(c)) {
        return "unconfirmed";
    }
    if (c->record.epoch == 0 || c->record.state == MSG_RECORD_BOOTSTRAP) {
        return "bootstrapping";
    }
    if (c->record.state == MSG_RECORD_SWITCHOVER) {
        return "switchover";
    }
    if (!has_primary(c, now)) {
        return "no primary";
    }
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_good = is_heard(c, view, now) && view->refused == ARB_REFUSE_NONE &&
                       (is_holder(c, view) || view->report.is_receiving);
        if (!is_good) {
            return "degraded";
        }
    }
    bool is_sync_short = c->record.sync_mode == MSG_SYNC_ON && c->record.votes_needed_r == 0;
    return is_sync_short ? "degraded" : "healthy";
}

static void fill_sync(struct arb_show *show, const struct arb_cluster *c)
{
    const struct msg_record *r = &c->record;
    const struct arb_view *holder = holder_of(c);
    if (r->sync_mode == MSG_SYNC_ASYNC) {
        (void)snprintf(show->sync, sizeof(show->sync), "off");
    } else if (r->votes_needed_r == 0) {
        (void)snprintf(show->sync, sizeof(show->sync), "lost: only %s has everything",
                       r->holder.text);
    } else {
        (void)snprintf(show->sync, sizeof(show->sync), "any %u", r->votes_needed_r);
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

/* By name: views stand in the order in which they were first heard. */
static int compare_members(const void *a, const void *b)
{
    const Quorate__V1__DatabaseMember *const *left = a;
    const Quorate__V1__DatabaseMember *const *right = b;
    return strcmp((*left)->name, (*right)->name);
}

void arb_show_fill(struct arb_show *show, const struct arb_cluster *c, struct base_mono now,
                   struct base_wall wall)
{
    (void)wall;
    memset(show, 0, sizeof(*show));
    Quorate__V1__DatabaseCluster *m = &show->cluster;
    quorate__v1__database_cluster__init(m);
    show->record = c->record;
    show->record.cluster = c->name;
    fill_sync(show, c);
    for (uint8_t i = 0; i < c->views_count; i++) {
        fill_member(show, i, c, now);
    }
    qsort(show->member_list, c->views_count, sizeof(show->member_list[0]), compare_members);
    if (c->is_waiting) {
        struct buf b = buf_over(show->waiting, sizeof(show->waiting) - 1);
        arb_note_put(&c->waiting, &b);
    }
    m->name = show->record.cluster.text;
    m->engine = text_of("postgresql");
    m->state = text_of(cluster_state(c, now));
    m->primary = show->record.holder.text;
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
    m->n_members = c->views_count;
    m->members = show->member_list;
    m->waiting_for = show->waiting;
    m->is_unconfirmed = arb_is_unconfirmed(c) || arb_is_unknown(c);
}
