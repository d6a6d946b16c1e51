/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB member: what follows from the guard's status, the view, the durable state and the
 * order. No effects here. Whatever was asked for before this host stood still is void. */
#include <string.h>

#include "agents/core/mongodb_internal.h"
#include "base/canary.h"

static const uint8_t no_id[12];

enum { NUMBER_STARTUP, NUMBER_PRIMARY, NUMBER_SECONDARY, NUMBER_RECOVERING, NUMBER_SYNCING = 5 };
enum { NUMBER_ARBITER = 7, NUMBER_ROLLBACK = 9, NUMBER_REMOVED = 10 };

bool agt_mongodb_is_watched(const struct agt *a)
{
    return a->config.mongodb.is_watched || (a->has_guard && a->guard.is_adopted);
}

bool agt_mongodb_is_running(const struct agt *a)
{
    bool is_ours = a->guard.tree == GUARD_TREE_RUNNING;
    return is_ours || (a->config.mongodb.is_watched && a->view.is_process);
}

/* --- what was seen, and when --- */

bool agt_mongodb_is_valid(const struct agt *a, struct base_mono asked_at)
{
    return a->has_answered && asked_at.us != BASE_MONO_LONG_AGO.us &&
           !base_mono_before(asked_at, a->mongodb.void_before);
}

bool agt_mongodb_has_hello(const struct agt *a, struct base_mono now, int64_t within_us)
{
    const struct db_mongodb_hello *h = &a->view.mongodb.hello;
    return agt_mongodb_is_valid(a, h->at) && base_mono_diff_us(now, h->at) < within_us;
}

bool agt_mongodb_has_status(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_status *s = &a->view.mongodb.status;
    return agt_mongodb_is_valid(a, s->at) && base_mono_diff_us(now, s->at) < AGT_MONGODB_STATUS_US;
}

bool agt_mongodb_has_config(const struct agt *a)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    bool is_same = v->hello.version == 0 || v->hello.version == v->config.version.version;
    return a->has_answered && v->config.at.us != BASE_MONO_LONG_AGO.us && is_same;
}

uint64_t agt_mongodb_term(const struct agt *a)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    uint64_t status = agt_mongodb_is_valid(a, v->status.at) ? v->status.term : 0;
    return v->hello.term > status ? v->hello.term : status;
}

bool agt_mongodb_is_set_id_known(const uint8_t *id)
{
    return memcmp(id, no_id, sizeof(no_id)) != 0;
}

bool agt_mongodb_version_equal(const struct msg_mongodb_version *a,
                               const struct msg_mongodb_version *b)
{
    return a->version == b->version && (a->term == b->term || a->term == 0 || b->term == 0);
}

bool agt_mongodb_is_set_config(const struct msg_mongodb_version *version)
{
    return version->term != 0 || version->version != 0;
}

bool agt_mongodb_host_equal(const struct msg_mongodb_host *a, const struct msg_mongodb_host *b)
{
    return strncmp(a->text, b->text, sizeof(a->text)) == 0;
}

static const struct msg_mongodb_peer *find(const struct msg_mongodb_peer *peers, uint8_t count,
                                           const struct msg_mongodb_host *host)
{
    for (uint8_t i = 0; i < count && i < MSG_MONGODB_PEERS_MAX; i++) {
        if (agt_mongodb_host_equal(&peers[i].host, host)) {
            return &peers[i];
        }
    }
    return NULL;
}

const struct msg_mongodb_peer *agt_mongodb_peer(const struct agt *a,
                                                const struct msg_mongodb_host *host)
{
    const struct db_mongodb_config *c = &a->view.mongodb.config;
    return agt_mongodb_has_config(a) ? find(c->peers, c->peers_count, host) : NULL;
}

/* --- majorities --- */

static bool is_live(const struct agt *a, const struct msg_mongodb_peer *opinion,
                    struct base_mono now)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    int64_t beat_ms = v->config.heartbeat_ms > 0 ? v->config.heartbeat_ms : 2000;
    if (opinion == NULL || opinion->is_self) {
        return opinion != NULL;
    }
    int64_t silent_us =
        (int64_t)opinion->heard_ms * BASE_US_PER_MS + base_mono_diff_us(now, v->status.at);
    return opinion->is_healthy && opinion->heard_ms != UINT32_MAX &&
           silent_us <= 2 * beat_ms * BASE_US_PER_MS;
}

static bool is_voter(const struct msg_mongodb_peer *p)
{
    return p->votes > 0 && !p->is_newly_added;
}

uint8_t agt_mongodb_live_voters(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    uint8_t live = 0;
    for (uint8_t i = 0; i < v->config.peers_count && i < MSG_MONGODB_PEERS_MAX; i++) {
        const struct msg_mongodb_peer *p = &v->config.peers[i];
        const struct msg_mongodb_peer *opinion =
            find(v->status.peers, v->status.peers_count, &p->host);
        if (is_voter(p) && is_live(a, opinion, now)) {
            live++;
        }
    }
    return live;
}

uint8_t agt_mongodb_majority(const struct agt *a)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    uint8_t voters = 0;
    for (uint8_t i = 0; i < v->config.peers_count && i < MSG_MONGODB_PEERS_MAX; i++) {
        if (is_voter(&v->config.peers[i])) {
            voters++;
        }
    }
    return v->status.majority > 0 ? v->status.majority : (uint8_t)(voters / 2 + 1);
}

/* --- positions --- */

struct msg_mongodb_optime agt_mongodb_later(struct msg_mongodb_optime a,
                                            struct msg_mongodb_optime b)
{
    bool is_a = a.term != b.term ? a.term > b.term : a.ts > b.ts;
    return is_a ? a : b;
}

struct msg_mongodb_optime agt_mongodb_applied(const struct agt *a)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    return agt_mongodb_later(v->status.applied, v->hello.applied);
}

static const struct msg_mongodb_peer *primary_of(const struct agt *a)
{
    const struct db_mongodb_status *s = &a->view.mongodb.status;
    const struct msg_mongodb_peer *best = NULL;
    for (uint8_t i = 0; i < s->peers_count && i < MSG_MONGODB_PEERS_MAX; i++) {
        const struct msg_mongodb_peer *p = &s->peers[i];
        bool is_one = p->state == NUMBER_PRIMARY && (p->is_self || p->is_healthy);
        if (is_one && (best == NULL || p->optime.term > best->optime.term)) {
            best = p;
        }
    }
    return best;
}

/* By the seconds in both positions: MongoDB's own, of one clock at a time. What differs by N whole
 * seconds is behind by more than N - 1. */
uint32_t agt_mongodb_lag_ms(const struct agt *a, struct base_mono now)
{
    const struct msg_mongodb_peer *primary = agt_mongodb_has_status(a, now) ? primary_of(a) : NULL;
    struct msg_mongodb_optime own = agt_mongodb_applied(a);
    if (primary == NULL || primary->optime.ts == 0 || own.ts == 0) {
        return UINT32_MAX;
    }
    uint64_t theirs_s = primary->optime.ts >> 32;
    uint64_t own_s = own.ts >> 32;
    if (primary->is_self || theirs_s <= own_s) {
        return 0;
    }
    uint64_t ms = (theirs_s - own_s - 1) * 1000;
    return ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX - 1;
}

/* --- the canary --- */

int64_t agt_mongodb_canary_us(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    if (v->canary_since.us == BASE_MONO_NEVER.us || !v->hello.is_writable) {
        return 0;
    }
    struct base_mono since = base_mono_max(v->canary_since, a->mongodb.void_before);
    return base_mono_before(since, now) ? base_mono_diff_us(now, since) : 0;
}

bool agt_mongodb_is_gray(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    bool is_counted = v->canary_since.us != BASE_MONO_NEVER.us &&
                      agt_mongodb_is_valid(a, v->canary_since) &&
                      v->canary_misses >= AGT_MONGODB_MISSES;
    return agt_mongodb_has_hello(a, now, AGT_MONGODB_EVIDENCE_US) && v->hello.is_writable &&
           (is_counted || agt_mongodb_canary_us(a, now) >= 6 * BASE_US_PER_S);
}

/* --- the present state --- */

static enum agt_mongodb_state state_gone(const struct agt *a)
{
    if (a->foreign_views >= AGT_ROGUE_VIEWS && !agt_mongodb_is_watched(a)) {
        return AGT_MONGODB_FOREIGN;
    }
    if (!a->is_gone_seen) {
        return AGT_MONGODB_BLIND; /* not looked at since it went down */
    }
    return a->view.has_directory ? AGT_MONGODB_DOWN : AGT_MONGODB_EMPTY;
}

static enum agt_mongodb_state state_secondary(const struct agt *a, struct base_mono now)
{
    uint32_t lag_ms = agt_mongodb_lag_ms(a, now);
    bool is_behind = lag_ms != UINT32_MAX && lag_ms > AGT_MONGODB_LAG_MS;
    return is_behind ? AGT_MONGODB_LAGGING : AGT_MONGODB_SECONDARY;
}

/* Neither writable nor secondary nor arbiter: its own status says what it does instead. */
static enum agt_mongodb_state state_by_number(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_status *s = &a->view.mongodb.status;
    if (!agt_mongodb_has_status(a, now)) {
        return AGT_MONGODB_RECOVERING;
    }
    switch (s->state) {
    case NUMBER_STARTUP:
        return AGT_MONGODB_STARTING;
    case NUMBER_PRIMARY:
        return AGT_MONGODB_DRAINING;
    case NUMBER_RECOVERING:
        if (s->is_too_stale) {
            return AGT_MONGODB_STALE;
        }
        return s->is_maintenance ? AGT_MONGODB_MAINTENANCE : AGT_MONGODB_RECOVERING;
    case NUMBER_SYNCING:
        return AGT_MONGODB_SYNCING;
    case NUMBER_ARBITER:
        return AGT_MONGODB_ARBITER;
    case NUMBER_ROLLBACK:
        return AGT_MONGODB_ROLLING_BACK;
    case NUMBER_REMOVED:
        return AGT_MONGODB_ABSENT;
    default:
        return AGT_MONGODB_RECOVERING;
    }
}

static enum agt_mongodb_state state_running(const struct agt *a, struct base_mono now)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    if (v->misses >= AGT_MONGODB_MISSES) {
        return AGT_MONGODB_HUNG;
    }
    if (!a->has_answered) {
        return AGT_MONGODB_STARTING;
    }
    if (!agt_mongodb_has_hello(a, now, AGT_MONGODB_SILENT_US)) {
        bool is_void = !agt_mongodb_is_valid(a, v->hello.at);
        return is_void ? AGT_MONGODB_BLIND : AGT_MONGODB_HUNG;
    }
    if (!v->hello.is_in_set || v->hello.is_set_name_wrong) {
        return AGT_MONGODB_ABSENT;
    }
    if (v->hello.is_writable) {
        return agt_mongodb_is_gray(a, now) ? AGT_MONGODB_GRAY : AGT_MONGODB_PRIMARY;
    }
    if (v->hello.is_arbiter) {
        return AGT_MONGODB_ARBITER;
    }
    return v->hello.is_secondary ? state_secondary(a, now) : state_by_number(a, now);
}

enum agt_mongodb_state agt_mongodb_state_of(const struct agt *a, struct base_mono now)
{
    if (!a->has_guard || !a->has_view) {
        return AGT_MONGODB_BLIND;
    }
    if (a->config.mongodb.is_watched) {
        return a->view.is_process ? state_running(a, now) : state_gone(a);
    }
    switch (a->guard.tree) {
    case GUARD_TREE_GONE:
        return state_gone(a);
    case GUARD_TREE_RUNNING:
        return state_running(a, now);
    case GUARD_TREE_FREEZING:
    case GUARD_TREE_FROZEN:
    case GUARD_TREE_KILLING:
    case GUARD_TREE_ROOT_EXITED:
        return AGT_MONGODB_ENDING;
    }
    BASE_UNREACHABLE();
}

/* --- the goal in force --- */

/* What an order that was begun wants of the process; NONE: nothing. */
static enum agt_mongodb_goal goal_of_work(const struct agt *a)
{
    const struct msg_mongodb_order *o = agt_mongodb_order(a);
    if (o == NULL || !agt_mongodb_is_begun(a, o)) {
        return AGT_MONGODB_GOAL_NONE;
    }
    bool is_former = agt_mongodb_is_former_root(a);
    if (o->kind == MSG_MONGODB_ORDER_RESTART && is_former) {
        return AGT_MONGODB_GOAL_RESTART;
    }
    if (o->kind == MSG_MONGODB_ORDER_RESYNC && !a->disk.mongodb.is_wiped) {
        return AGT_MONGODB_GOAL_RESYNC;
    }
    bool is_kill = o->kind == MSG_MONGODB_ORDER_KILL && is_former && a->disk.mongodb.is_held;
    return is_kill ? AGT_MONGODB_GOAL_KILL : AGT_MONGODB_GOAL_NONE;
}

static bool is_barred(const struct agt *a)
{
    bool is_told = agt_order_is_in_force(a) && a->order.mongodb.goal == MSG_MONGODB_GOAL_BAR;
    return is_told || (a->want.mongodb.barred_epoch != 0 && !CANARY(MONGODB_BARRED_STARTED));
}

/* Killed because it was cut off: until the arbiter is heard again. */
static bool is_held(const struct agt *a)
{
    struct base_mono killed_at = a->mongodb.ladder.killed_at;
    bool is_cut_off = killed_at.us != BASE_MONO_LONG_AGO.us &&
                      (!a->has_order || !base_mono_before(killed_at, a->order_at));
    return a->want.mongodb.is_held || is_cut_off;
}

enum agt_mongodb_goal agt_mongodb_goal_of(const struct agt *a)
{
    if (agt_is_paused(a)) {
        return AGT_MONGODB_GOAL_PAUSED;
    }
    if (a->is_shutdown) {
        return AGT_MONGODB_GOAL_SHUTDOWN;
    }
    bool is_in_force = agt_order_is_in_force(a);
    if (is_in_force && a->order.goal == MSG_GOAL_REFUSED) {
        return AGT_MONGODB_GOAL_REFUSED;
    }
    enum agt_mongodb_goal work = goal_of_work(a);
    if (is_barred(a) && work != AGT_MONGODB_GOAL_RESYNC) {
        return AGT_MONGODB_GOAL_BAR; /* also where it was barred in the middle of a restart */
    }
    if (work != AGT_MONGODB_GOAL_NONE) {
        return work;
    }
    if (is_held(a)) {
        return AGT_MONGODB_GOAL_HELD;
    }
    if (is_in_force && a->order.mongodb.goal == MSG_MONGODB_GOAL_HOLD) {
        return AGT_MONGODB_GOAL_HOLD;
    }
    bool is_run = is_in_force && a->order.mongodb.goal == MSG_MONGODB_GOAL_RUN;
    return is_run ? AGT_MONGODB_GOAL_RUN : AGT_MONGODB_GOAL_NONE;
}

const char *agt_mongodb_doing(const struct agt *a, enum agt_mongodb_state state,
                              enum agt_mongodb_goal goal)
{
    bool is_stopped = state == AGT_MONGODB_DOWN || state == AGT_MONGODB_EMPTY;
    if (agt_mongodb_is_watched(a)) {
        return is_stopped ? "somebody else starts it" : "somebody else runs it";
    }
    return agt_mongodb_action_text(agt_mongodb_table_action(state, goal));
}

/* --- what the arbiter has said --- */

bool agt_mongodb_is_control_lost(const struct agt *a, struct base_mono now)
{
    return !a->has_order || base_mono_diff_us(now, a->order_at) > AGT_MONGODB_CONTROL_US;
}

/* From the sending of the report that was answered: how long the answer took is not known. */
bool agt_mongodb_is_majority_elsewhere(const struct agt *a, struct base_mono now)
{
    return agt_order_is_in_force(a) && a->order.mongodb.is_majority_elsewhere &&
           base_mono_diff_us(now, a->mongodb.told_at) < AGT_MONGODB_CONTROL_US &&
           !base_mono_before(a->mongodb.told_at, a->mongodb.void_before);
}

/* The opt-in must be the last one known: of no record, none counts. */
enum msg_mongodb_cut_off agt_mongodb_cut_off(const struct agt *a)
{
    if (!agt_order_is_in_force(a) || a->order.record.epoch == 0) {
        return CANARY(MONGODB_POLICY_OF_NO_RECORD) ? MSG_MONGODB_CUT_OFF_KILL
                                                   : MSG_MONGODB_CUT_OFF_REPORT;
    }
    return a->order.record.mongodb.policy.cut_off;
}

enum msg_mongodb_gray agt_mongodb_gray(const struct agt *a)
{
    if (!agt_order_is_in_force(a) || a->order.record.epoch == 0) {
        return CANARY(MONGODB_POLICY_OF_NO_RECORD) ? MSG_MONGODB_GRAY_KILL
                                                   : MSG_MONGODB_GRAY_REPORT;
    }
    return a->order.record.mongodb.policy.gray;
}

/* --- what health checks may say --- */

bool agt_mongodb_is_fresh(const struct agt *a, struct base_mono now)
{
    return agt_mongodb_is_running(a) && agt_mongodb_has_hello(a, now, AGT_MONGODB_EVIDENCE_US) &&
           base_mono_diff_us(now, a->mongodb.tick_at) <= AGT_MONGODB_GAP_US;
}

static bool is_sound(const struct agt *a, struct base_mono now)
{
    if (CANARY(MONGODB_PRIMARY_ON_OLD_HELLO)) {
        return a->has_answered && agt_mongodb_is_running(a);
    }
    return agt_mongodb_is_fresh(a, now) && a->view.mongodb.hello.is_in_set &&
           !a->view.mongodb.hello.is_set_name_wrong;
}

/* Somebody is known to have been elected in a later term than that of its claim. */
static bool is_left_behind(const struct agt *a)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    const struct msg_mongodb_record *r = &a->order.record.mongodb;
    bool is_same_set = !agt_mongodb_is_set_id_known(v->config.set_id) ||
                       memcmp(v->config.set_id, r->set_id, sizeof(r->set_id)) == 0;
    uint64_t known = a->mongodb.term_seen;
    if (agt_order_is_in_force(a) && is_same_set && r->primary_term > known) {
        known = r->primary_term;
    }
    return v->hello.term != 0 && v->hello.term < known;
}

bool agt_mongodb_is_primary(const struct agt *a, struct base_mono now)
{
    return is_sound(a, now) && a->view.mongodb.hello.is_writable && !is_left_behind(a) &&
           !a->stop.is_killed;
}

bool agt_mongodb_is_secondary(const struct agt *a, struct base_mono now, uint32_t max_lag_ms)
{
    enum agt_mongodb_state state = agt_mongodb_state_of(a, now);
    bool is_state = state == AGT_MONGODB_SECONDARY || state == AGT_MONGODB_LAGGING;
    uint32_t lag_ms = agt_mongodb_lag_ms(a, now);
    bool is_near = max_lag_ms == UINT32_MAX || (lag_ms != UINT32_MAX && lag_ms <= max_lag_ms);
    return is_state && is_sound(a, now) && is_near && !a->stop.is_asked;
}

bool agt_mongodb_is_arbiter(const struct agt *a, struct base_mono now)
{
    return is_sound(a, now) && agt_mongodb_state_of(a, now) == AGT_MONGODB_ARBITER;
}
