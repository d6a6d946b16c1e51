/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's orders to a MongoDB member: taken up, carried out, ended.
 *
 * An order is carried out by its place, (epoch, phase), once: that it was begun is on disk before
 * anything is done for it, that it has ended before it is told. It is refused where term or
 * configuration are not those that it was given for, let be when its time is out, and ends when
 * what it wants was seen, asked for after it was given. A restarted agent looks first; it asks
 * again only for what another time does no harm, and a forced reconfiguration is no such thing.
 */
#include "agents/core/mongodb_internal.h"
#include "base/canary.h"

/* Less than that is left: the answer would come too late. */
#define ISSUE_LEAST_US (INT64_C(200) * BASE_US_PER_MS)
#define WAITS 1 /* of a check: more evidence is needed */

int agt_mongodb_place_compare(uint64_t epoch, uint8_t phase, uint64_t other, uint8_t other_phase)
{
    if (epoch != other) {
        return epoch < other ? -1 : 1;
    }
    return phase < other_phase ? -1 : phase > other_phase;
}

static bool is_current(const struct agt *a, const struct msg_mongodb_order *o)
{
    bool is_in_force = agt_order_is_in_force(a) && o->epoch == a->order.record.epoch;
    return is_in_force || (CANARY(MONGODB_OLD_ORDER_TAKEN) && a->has_order);
}

const struct msg_mongodb_order *agt_mongodb_order(const struct agt *a)
{
    const struct msg_mongodb_order *o = &a->order.record.mongodb.order;
    const struct agt_mongodb_disk *d = &a->want.mongodb;
    if (!a->has_order || o->state != MSG_MONGODB_ORDER_OPEN || o->epoch == 0 || !is_current(a, o) ||
        a->order.goal == MSG_GOAL_REFUSED || a->order.mongodb.goal == MSG_MONGODB_GOAL_HOLD) {
        return NULL;
    }
    const struct agt_mongodb_rule *rule = agt_mongodb_rule(o->kind, o->phase);
    bool is_ended =
        agt_mongodb_place_compare(o->epoch, o->phase, d->done_epoch, d->done_phase) <= 0;
    bool is_old = agt_mongodb_place_compare(o->epoch, o->phase, d->order_epoch, d->order_phase) < 0;
    if (rule == NULL || is_ended || (is_old && !CANARY(MONGODB_OLD_ORDER_TAKEN))) {
        return NULL;
    }
    return agt_mongodb_is_asked(a, rule, o) ? o : NULL;
}

bool agt_mongodb_is_begun(const struct agt *a, const struct msg_mongodb_order *o)
{
    const struct agt_mongodb_disk *d = &a->disk.mongodb;
    return d->order_epoch == o->epoch && d->order_phase == o->phase;
}

bool agt_mongodb_is_former_root(const struct agt *a)
{
    const struct agt_mongodb_disk *d = &a->disk.mongodb;
    return a->guard.instance == d->order_instance && a->guard.starts == d->order_starts;
}

void agt_mongodb_order_end(struct agt_run *run, int status, int32_t code)
{
    struct agt *a = run->a;
    struct agt_mongodb_disk *d = &a->want.mongodb;
    const struct msg_mongodb_order *o = &a->order.record.mongodb.order;
    d->done_epoch = a->mongodb.work.epoch;
    d->done_phase = a->mongodb.work.phase;
    d->done_status = status;
    d->done_code = code;
    if (status == 0) {
        a->failure.kind = DB_ORDER_NONE; /* of a try before it */
    }
    agt_fx_log(run,
               status == 0 ? "an order of the arbiter is done" : "an order of the arbiter failed",
               status == 0 ? NULL : base_error_text(status));
    bool is_of_record = o->epoch == d->done_epoch && o->phase == d->done_phase;
    agt_mongodb_task_of_order(run, is_of_record ? o->kind : MSG_MONGODB_ORDER_NONE, status);
}

/* --- what is known since it was given --- */

static bool is_since(const struct agt *a, struct base_mono asked_at)
{
    return agt_mongodb_is_valid(a, asked_at) &&
           !base_mono_before(asked_at, a->mongodb.work.seen_at);
}

/* The one at hand is the one that it has: hello names its version. */
static bool is_config_since(const struct agt *a)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    bool is_confirmed = v->hello.version != 0 && is_since(a, v->hello.at);
    return agt_mongodb_has_config(a) && (is_confirmed || is_since(a, v->config.at));
}

/* Looked at after the order was given, and after what was asked for it had ended. */
static bool is_there(const struct agt *a, const struct agt_mongodb_rule *rule,
                     const struct msg_mongodb_order *o, struct base_mono now)
{
    const struct agt_mongodb_work *w = &a->mongodb.work;
    const struct db_mongodb_view *v = &a->view.mongodb;
    if (rule->is_reply_enough || CANARY(MONGODB_DONE_BY_REPLY)) {
        return w->is_replied && w->reply_status == 0;
    }
    if (rule->ask == DB_ORDER_NONE) {
        return agt_mongodb_is_begun(a, o) && rule->is_there(a, o, now);
    }
    bool is_behind = w->issued_id == 0 || (w->is_replied && a->view.orders_done >= w->issued_id);
    bool is_read = is_since(a, v->hello.at) && (!rule->is_config || is_config_since(a));
    return is_behind && is_read && rule->is_there(a, o, now);
}

/* What was seen a moment ago is enough to go on, since the port looks again; not to refuse, and not
 * for a restarted agent, which looks first. */
static int check_need(const struct agt *a, enum agt_mongodb_need need, struct base_mono now)
{
    const struct db_mongodb_hello *h = &a->view.mongodb.hello;
    bool is_met = false;
    switch (need) {
    case AGT_MONGODB_NEED_NOTHING:
        return 0;
    case AGT_MONGODB_NEED_OURS:
        return agt_mongodb_is_watched(a) ? BASE_E_DENIED : 0;
    case AGT_MONGODB_NEED_PRIMARY:
        is_met = h->is_writable;
        break;
    case AGT_MONGODB_NEED_SECONDARY:
        is_met = h->is_secondary;
        break;
    case AGT_MONGODB_NEED_ABSENT:
        is_met = !h->is_in_set && !h->is_set_name_wrong;
        break;
    case AGT_MONGODB_NEED_ANSWER:
        is_met = true;
        break;
    }
    if (is_met && !a->mongodb.work.is_taken_over &&
        agt_mongodb_has_hello(a, now, AGT_MONGODB_EVIDENCE_US)) {
        return 0;
    }
    int seen = is_met ? 0 : BASE_E_STATE;
    return is_since(a, h->at) ? seen : WAITS;
}

static bool is_another_elected(const struct agt *a)
{
    const struct db_mongodb_hello *h = &a->view.mongodb.hello;
    return is_since(a, h->at) && h->primary.text[0] != '\0' &&
           !agt_mongodb_host_equal(&h->primary, &h->self);
}

/* It was given for a state of the set that is no more. What was asked for before it was given may
 * be older than that state. */
static int check_expected(const struct agt *a, const struct agt_mongodb_rule *rule,
                          const struct msg_mongodb_order *o)
{
    const struct db_mongodb_view *v = &a->view.mongodb;
    uint64_t term = agt_mongodb_term(a);
    bool is_moved = o->expected_term != 0 && term != 0 && term != o->expected_term;
    bool is_term_new =
        is_since(a, v->status.at) || (v->hello.term != 0 && is_since(a, v->hello.at));
    if (is_moved && rule->is_term_own && term > o->expected_term) {
        return is_another_elected(a) ? BASE_E_CONFLICT : WAITS;
    }
    if (is_moved && !rule->is_any_term) {
        return is_term_new ? BASE_E_CONFLICT : WAITS;
    }
    if (!rule->is_config || !agt_mongodb_is_set_config(&o->expected_config)) {
        return 0;
    }
    if (!agt_mongodb_has_config(a)) {
        return WAITS;
    }
    if (agt_mongodb_version_equal(&v->config.version, &o->expected_config)) {
        return 0;
    }
    return is_config_since(a) ? BASE_E_CONFLICT : WAITS;
}

static bool is_opted_in(const struct agt *a)
{
    return agt_mongodb_cut_off(a) == MSG_MONGODB_CUT_OFF_KILL ||
           agt_mongodb_gray(a) == MSG_MONGODB_GRAY_KILL || CANARY(MONGODB_KILLS_UNASKED);
}

/* What it may not be, whatever was seen. */
static int check_kind(const struct agt *a, const struct msg_mongodb_order *o, struct base_mono now)
{
    if (o->kind == MSG_MONGODB_ORDER_KILL && !is_opted_in(a)) {
        return BASE_E_DENIED;
    }
    if (o->kind == MSG_MONGODB_ORDER_KILL && !agt_mongodb_is_majority_elsewhere(a, now)) {
        return WAITS;
    }
    if (o->kind == MSG_MONGODB_ORDER_RESYNC) { /* a primary's data are the set's */
        return a->view.mongodb.hello.is_writable && agt_mongodb_is_running(a) ? BASE_E_STATE : 0;
    }
    return a->want.mongodb.barred_epoch != 0 ? BASE_E_STATE : 0;
}

/* 0: goes on; WAITS; or why it does not. */
static int check(const struct agt *a, const struct agt_mongodb_rule *rule,
                 const struct msg_mongodb_order *o, struct base_mono now)
{
    struct db_mongodb_order words = {.host = o->subject_host};
    int rc = check_kind(a, o, now);
    rc = rc == 0 ? check_need(a, rule->need, now) : rc;
    rc = rc == 0 ? check_expected(a, rule, o) : rc;
    if (rc == 0 && !rule->fill(a, o, &words)) {
        rc = BASE_E_NOTFOUND;
    }
    return rc;
}

/* --- carried out --- */

static void begin(struct agt_run *run, const struct msg_mongodb_order *o)
{
    struct agt *a = run->a;
    struct agt_mongodb_disk *d = &a->want.mongodb;
    d->order_epoch = o->epoch;
    d->order_phase = o->phase;
    d->order_instance = a->guard.instance;
    d->order_starts = a->guard.starts;
    d->is_wiped = false;
    bool is_anew = o->kind == MSG_MONGODB_ORDER_RESTART || o->kind == MSG_MONGODB_ORDER_RESYNC;
    if (is_anew) {
        a->mongodb.start_at = run->now;
        a->mongodb.failed_starts = 0;
        a->mongodb.is_shutdown_failed = false;
        a->mongodb.shutdown_at = BASE_MONO_LONG_AGO;
        a->mongodb.shutdown_id = 0;
    }
    d->is_held = (d->is_held && !is_anew) || o->kind == MSG_MONGODB_ORDER_KILL;
    if (a->failure.kind == agt_mongodb_rule(o->kind, o->phase)->ask) {
        a->failure.kind = DB_ORDER_NONE; /* what failed before was of another order */
    }
    agt_fx_log(run, "begins an order of the arbiter", agt_mongodb_order_text(o->kind));
}

static void issue(struct agt_run *run, const struct agt_mongodb_rule *rule,
                  const struct msg_mongodb_order *o)
{
    struct agt *a = run->a;
    struct agt_mongodb_work *w = &a->mongodb.work;
    int64_t left_us = base_mono_diff_us(w->until, run->now);
    struct db_order order = agt_order_make(a, rule->ask);
    order.epoch = o->epoch;
    order.timeout_us = left_us < rule->limit_us ? left_us : rule->limit_us;
    order.mongodb.host = o->subject_host;
    order.mongodb.expected_term = rule->is_any_term ? 0 : o->expected_term;
    if (rule->is_config) {
        order.mongodb.expected_config = a->view.mongodb.config.version; /* equal: checked */
    }
    if (left_us < ISSUE_LEAST_US || !rule->fill(a, o, &order.mongodb)) {
        return;
    }
    uint64_t before = a->task.id;
    agt_want_order(run, &order);
    if (a->task.id != 0 && a->task.id != before) {
        w->issued_id = a->task.id;
        w->is_replied = false;
    }
}

/* A reply that was no yes: another try may mend it, or it is over. */
static bool is_over(struct agt_run *run, const struct agt_mongodb_rule *rule)
{
    struct agt_mongodb_work *w = &run->a->mongodb.work;
    bool is_own = rule->is_term_own && w->reply_status == BASE_E_CONFLICT; /* looks itself */
    bool may_retry = is_own || (base_error_class_of(w->reply_status) == BASE_CLASS_retry &&
                                !rule->is_failure_final);
    bool is_read = !agt_mongodb_is_running(run->a) ||
                   (run->a->view.orders_done >= w->issued_id &&
                    !base_mono_before(run->a->view.mongodb.hello.at, w->replied_at));
    if (rule->need == AGT_MONGODB_NEED_ANSWER && rule->is_reply_enough &&
        w->reply_status == BASE_E_STATE) {
        agt_mongodb_order_end(run, 0, 0); /* nothing to be undone */
        return true;
    }
    if (rule->is_once && base_error_class_of(w->reply_status) == BASE_CLASS_retry) {
        return true; /* it may be done yet: until it is seen, or the time is out */
    }
    if (may_retry) {
        w->issued_id = 0;
        w->is_replied = false;
        return false;
    }
    if (is_read) { /* what it did all the same would have been seen by now */
        agt_mongodb_order_end(run, w->reply_status, w->reply_code);
    }
    return true;
}

/* Begun, on disk, and not known to be done. */
static void carry_out(struct agt_run *run, const struct agt_mongodb_rule *rule,
                      const struct msg_mongodb_order *o, bool is_new)
{
    struct agt *a = run->a;
    struct agt_mongodb_work *w = &a->mongodb.work;
    if (rule->ask == DB_ORDER_NONE) {
        return; /* the table's */
    }
    if (w->is_replied && (w->reply_status == 0 || is_over(run, rule))) {
        return; /* until it is seen */
    }
    if (rule->is_once && w->issued_id == 0 && !is_new) {
        return; /* of a process before this one: until it is seen, or the time is out */
    }
    if (w->issued_id == 0) {
        int rc = check(a, rule, o, run->now); /* also for a restarted agent */
        if (rc < 0) {
            agt_mongodb_order_end(run, rc, 0);
        } else if (rc == 0) {
            issue(run, rule, o);
        }
    }
}

/* When it was first heard of, and when its time is out by the last word. */
static void work_watch(struct agt_run *run, const struct msg_mongodb_order *o)
{
    struct agt *a = run->a;
    struct agt_mongodb *m = &a->mongodb;
    struct agt_mongodb_work *w = &m->work;
    if (w->epoch != o->epoch || w->phase != o->phase) {
        bool is_begun = agt_mongodb_is_begun(a, o);
        *w = (struct agt_mongodb_work){
            .epoch = o->epoch, .phase = o->phase, .seen_at = run->now, .is_taken_over = is_begun};
    }
    struct base_mono from = m->told_at.us == BASE_MONO_LONG_AGO.us ? a->order_at : m->told_at;
    w->until = base_mono_add_us(from, (int64_t)a->order.mongodb.order_left_ms * BASE_US_PER_MS);
}

static bool is_idle_arbiter(const struct agt *a, const struct agt_mongodb_rule *rule)
{
    return rule->who == AGT_MONGODB_WHO_OTHERS &&
           (a->config.mongodb.is_arbiter || a->view.mongodb.hello.is_arbiter);
}

/* There is no server to say it to. True: that has ended the order. */
static bool is_down(struct agt_run *run, const struct agt_mongodb_rule *rule,
                    enum agt_mongodb_state state)
{
    bool is_stopped = state == AGT_MONGODB_DOWN || state == AGT_MONGODB_EMPTY;
    if (!is_stopped || rule->need == AGT_MONGODB_NEED_OURS) {
        return false;
    }
    agt_mongodb_order_end(run, rule->is_reply_enough ? 0 : BASE_E_STATE, 0);
    return true;
}

static void out_of_time(struct agt_run *run, const struct agt_mongodb_rule *rule, bool is_begun)
{
    struct agt_mongodb_work *w = &run->a->mongodb.work;
    bool is_unknown = rule->is_once && w->issued_id == 0;
    if (is_begun) {
        bool is_told = w->is_replied && w->reply_status != 0;
        agt_mongodb_order_end(run,
                              is_told      ? w->reply_status
                              : is_unknown ? BASE_E_CANCELED
                                           : BASE_E_TIMEOUT,
                              w->reply_code);
    }
}

static void work(struct agt_run *run, const struct msg_mongodb_order *o,
                 enum agt_mongodb_state state)
{
    struct agt *a = run->a;
    const struct agt_mongodb_rule *rule = agt_mongodb_rule(o->kind, o->phase);
    bool is_wanted =
        a->want.mongodb.order_epoch == o->epoch && a->want.mongodb.order_phase == o->phase;
    work_watch(run, o);
    if (is_there(a, rule, o, run->now) || (!is_wanted && is_idle_arbiter(a, rule))) {
        agt_mongodb_order_end(run, 0, 0);
        return;
    }
    if (!base_mono_before(run->now, a->mongodb.work.until)) {
        out_of_time(run, rule, is_wanted);
        return;
    }
    agt_wake_at(run, a->mongodb.work.until);
    if (is_down(run, rule, state)) {
        return;
    }
    if (!is_wanted) {
        int rc = check(a, rule, o, run->now);
        if (rc < 0) {
            agt_mongodb_order_end(run, rc, 0);
        } else if (rc == 0) {
            begin(run, o);
        }
    } else if (agt_mongodb_is_begun(a, o) || CANARY(MONGODB_OLD_ORDER_TAKEN)) {
        carry_out(run, rule, o, !a->mongodb.work.is_taken_over);
    }
}

/* Begun here, and the record goes on without it. */
static void called_off(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct agt_mongodb_disk *d = &a->want.mongodb;
    const struct msg_mongodb_order *o = &a->order.record.mongodb.order;
    bool is_open = o->state == MSG_MONGODB_ORDER_OPEN && o->epoch == d->order_epoch &&
                   o->phase == d->order_phase;
    bool is_left =
        agt_mongodb_place_compare(d->order_epoch, d->order_phase, d->done_epoch, d->done_phase) > 0;
    if (agt_order_is_in_force(a) && is_left && !is_open) {
        a->mongodb.work.epoch = d->order_epoch;
        a->mongodb.work.phase = d->order_phase;
        agt_mongodb_order_end(run, BASE_E_CANCELED, 0);
    }
}

void agt_mongodb_orders(struct agt_run *run, enum agt_mongodb_state state)
{
    struct agt *a = run->a;
    const struct msg_mongodb_order *o = agt_mongodb_order(a);
    called_off(run);
    if (o != NULL && state != AGT_MONGODB_BLIND && state != AGT_MONGODB_FOREIGN) {
        work(run, o, state);
    }
}
