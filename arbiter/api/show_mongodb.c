/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of a MongoDB replica set beside what every engine has. */
#include "arbiter/api/show_mongodb.h"

#include <string.h>

/* protobuf-c has no const texts in its structs; it only reads them when packing. */
static char *text_of(const char *literal)
{
    union {
        const char *in;
        char *out;
    } u = {.in = literal};
    return u.out;
}

static const char *concern_name(enum msg_mongodb_default_concern concern)
{
    static const char *const names[] = {"unknown", "implicit-one", "implicit-majority",
                                        "one",     "majority",     "other"};
    return names[(size_t)concern < BASE_COUNT_OF(names) ? concern : 0];
}

static const struct msg_mongodb_peer *self_of(const struct msg_mongodb_report *r)
{
    for (uint8_t i = 0; i < r->peers_count; i++) {
        if (r->peers[i].is_self) {
            return &r->peers[i];
        }
    }
    return NULL;
}

/* No server runs, or nobody knows: what it said last of itself is not what is. */
static bool is_gone(enum msg_mongodb_state state)
{
    return state == MSG_MONGODB_UNKNOWN || state == MSG_MONGODB_DOWN || state == MSG_MONGODB_HELD;
}

static void forget_figures(Quorate__V1__DatabaseMongodbMember *m)
{
    static char nobody[] = "";
    m->term = 0;
    m->is_writable = m->is_frozen = false;
    m->lag_ms = -1;
    m->commit_age_ms = m->canary_ms = m->oplog_s = m->sync_permille = 0;
    m->primary = nobody;
}

void arb_show_mongodb_member(struct arb_show_mongodb_member *shown, struct msg_report *report,
                             enum msg_mongodb_state state, Quorate__V1__DatabaseMember *member)
{
    struct msg_mongodb_report *r = &report->mongodb;
    const struct msg_mongodb_peer *self = self_of(r);
    Quorate__V1__DatabaseMongodbMember *m = &shown->message;
    quorate__v1__database_mongodb_member__init(m);
    m->state = text_of(arb_mongodb_state_word(state));
    m->host = r->self.text;
    m->term = r->term;
    m->is_writable = r->is_writable;
    m->is_arbiter = r->is_arbiter;
    m->votes = self == NULL ? 0 : self->votes;
    m->priority_x10 = self == NULL ? 0 : self->priority_x10;
    m->lag_ms = r->lag_ms == UINT32_MAX ? -1 : (int64_t)r->lag_ms;
    m->commit_age_ms = r->commit_age_ms;
    m->canary_ms = r->canary_ms;
    m->oplog_s = r->oplog_s;
    m->config_term = r->config.term;
    m->config_version = r->config.version;
    m->rollbacks = r->rollbacks;
    m->sync_permille = r->sync_permille;
    m->concern = text_of(concern_name(r->concern));
    m->is_frozen = r->is_frozen;
    m->barred_epoch = r->barred_epoch;
    m->is_login_refused = r->is_login_refused;
    m->primary = r->primary.text;
    m->applied_term = r->applied.term;
    m->applied_ts = r->applied.ts;
    m->wire_version = r->wire_version;
    m->has_data = r->has_data;
    if (is_gone(state)) {
        forget_figures(m);
    }
    member->mongodb = m;
}

static void put_names(struct msg_names *names, char *list[MSG_MEMBERS_MAX], size_t *ret_count,
                      char ***ret_list)
{
    for (uint8_t i = 0; i < names->count; i++) {
        list[i] = names->names[i].text;
    }
    *ret_count = names->count;
    *ret_list = list;
}

static void put_policy(const struct msg_mongodb_policy *p, Quorate__V1__DatabaseMongodb *m)
{
    static const char *const steps[] = {"report", "stepdown", "kill"};
    m->cut_off = text_of(steps[p->cut_off]);
    m->gray = text_of(steps[p->gray]);
    m->is_degrade_auto = p->is_degrade_auto;
    m->is_resync_auto = p->is_resync_auto;
    m->is_steered = p->is_steered;
    m->election_timeout_ms = p->election_timeout_ms;
}

void arb_show_mongodb(struct arb_show_mongodb *shown, struct msg_mongodb_record *r,
                      enum msg_mongodb_set_state state, Quorate__V1__DatabaseCluster *cluster)
{
    static const char *const states[] = {"idle", "open", "done", "failed"};
    Quorate__V1__DatabaseMongodb *m = &shown->message;
    quorate__v1__database_mongodb__init(m);
    m->set_name = r->set_name.text;
    m->set_state = text_of(arb_mongodb_set_word(state));
    m->term = r->primary_term;
    m->config_term = r->config.term;
    m->config_version = r->config.version;
    m->is_initiated = r->is_initiated;
    m->order_epoch = r->order.epoch;
    m->order_kind = text_of(arb_mongodb_order_word(r->order.kind));
    m->order_state = text_of(states[r->order.state]);
    m->order_phase = text_of(arb_mongodb_phase_word(r->order.phase));
    m->order_member = r->order.member.text;
    m->order_subject =
        r->order.subject.text[0] != '\0' ? r->order.subject.text : r->order.subject_host.text;
    m->order_error = text_of(r->order.status == 0 ? "" : base_error_text(r->order.status));
    m->order_code = r->order.code;
    m->is_force_planned = r->force.token != 0;
    m->zone = r->policy.zone.text;
    put_policy(&r->policy, m);
    put_names(&r->degraded, shown->degraded, &m->n_degraded, &m->degraded);
    put_names(&r->barred, shown->barred, &m->n_barred, &m->barred);
    put_names(&r->leaving, shown->leaving, &m->n_leaving, &m->leaving);
    cluster->mongodb = m;
}

const char *arb_show_mongodb_role(enum msg_mongodb_state state)
{
    switch (state) {
    case MSG_MONGODB_PRIMARY:
    case MSG_MONGODB_GRAY:
    case MSG_MONGODB_DRAINING:
        return "primary";
    case MSG_MONGODB_SECONDARY:
    case MSG_MONGODB_LAGGING:
        return "secondary";
    case MSG_MONGODB_ARBITER:
        return "arbiter";
    case MSG_MONGODB_UNKNOWN:
    case MSG_MONGODB_ABSENT:
    case MSG_MONGODB_DOWN:
    case MSG_MONGODB_STARTING:
    case MSG_MONGODB_SYNCING:
    case MSG_MONGODB_STALE:
    case MSG_MONGODB_RECOVERING:
    case MSG_MONGODB_ROLLING_BACK:
    case MSG_MONGODB_MAINTENANCE:
    case MSG_MONGODB_HUNG:
    case MSG_MONGODB_HELD:
    case MSG_MONGODB_STATE_COUNT:
        break;
    }
    return "-";
}

/* In a pause the set goes on by itself. */
static bool has_primary(const struct arb_cluster *c, struct base_mono now)
{
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (view->has_report && view->report.mongodb.is_writable &&
            base_mono_diff_us(now, view->heard) < 5 * BASE_US_PER_S) {
            return true;
        }
    }
    return false;
}

const char *arb_show_mongodb_state(const struct arb_cluster *c, struct base_mono now)
{
    const struct msg_mongodb_order *o = &c->record.mongodb.order;
    if (o->state == MSG_MONGODB_ORDER_OPEN && o->kind == MSG_MONGODB_ORDER_SWITCHOVER) {
        return "switchover";
    }
    switch (arb_mongodb_state(c, now)) {
    case MSG_MONGODB_SET_UNINITIATED:
    case MSG_MONGODB_SET_INITIATING:
        return "bootstrapping";
    case MSG_MONGODB_SET_HEALTHY:
    case MSG_MONGODB_SET_DRIFT:
        return "healthy";
    case MSG_MONGODB_SET_NO_PRIMARY:
    case MSG_MONGODB_SET_NO_QUORUM:
    case MSG_MONGODB_SET_UNKNOWN:
        return "no primary";
    case MSG_MONGODB_SET_HOLD:
        return has_primary(c, now) ? "healthy" : "no primary";
    case MSG_MONGODB_SET_DEGRADED:
    case MSG_MONGODB_SET_THIN:
    case MSG_MONGODB_SET_COMMIT_STALLED:
    case MSG_MONGODB_SET_PSA_DEGRADED:
    case MSG_MONGODB_SET_DUAL_CLAIM:
    case MSG_MONGODB_SET_STATE_COUNT:
        break;
    }
    return "degraded";
}
