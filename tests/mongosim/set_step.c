/* SPDX-License-Identifier: Apache-2.0 */
/* A primary: catch-up, draining, liveness, stepping down and handing over. */
#include "tests/mongosim/set_inner.h"

#define UNHEARD_US (2 * MSET_SECOND)
#define NOOP_US (10 * MSET_SECOND)

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* A disk that does nothing holds the lock that this needs: it goes on saying that it is primary. */
void mset_step_down(struct mset *s, struct mset_node *n, enum mset_reason why)
{
    if (n->is_stuck) {
        n->is_step_down_due = true;
        return;
    }
    n->is_step_down_due = n->is_writable = n->is_catching_up = n->is_reconfig_busy = false;
    n->drain_us = n->noop_us = MSET_NEVER;
    n->primary = n->source = -1;
    n->first_of_term = n->committed_before = MSET_NONE;
    n->pull_us = s->now_us;
    n->pulled_us = MSET_NEVER;
    s->truth.step_downs++;
    mset_tell(s, n, MSET_EV_STEPPED_DOWN, n->elected_term, why);
    mset_state_set(s, n, MSET_SECONDARY);
    mset_election_reset(s, n);
    mset_waits_fail(s, n, MSET_E_STATE_CHANGE, "operation was interrupted by a state change");
}

/* --- it becomes writable --- */

static bool is_unheard(const struct mset *s, const struct mset_node *n, unsigned peer)
{
    return n->peers[peer].is_up && n->peers[peer].answered_us < n->won_us &&
           s->now_us < n->won_us + UNHEARD_US;
}

static bool is_limit_over(const struct mset *s, const struct mset_node *n)
{
    int32_t limit = n->disk.config.catch_up_ms;
    return limit >= 0 && s->now_us >= n->won_us + limit * MSET_MS;
}

/* Whom it has to catch up with; -1: nobody; -2: not known yet. */
static int catch_up_with(const struct mset *s, const struct mset_node *n)
{
    int best = -1;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        if (m == NULL || !mset_is_data(m) || i == mset_number(s, n)) {
            continue;
        }
        if (is_unheard(s, n, i)) {
            return -2;
        }
        bool is_ahead = n->peers[i].is_up && mset_is_under(s, n->peers[i].applied, n->head) &&
                        n->peers[i].applied != n->head;
        if (is_ahead &&
            (best < 0 || mset_entry_order(s, n->peers[i].applied, n->peers[best].applied) > 0)) {
            best = (int)i;
        }
    }
    return best;
}

void mset_catch_up_look(struct mset *s, struct mset_node *n)
{
    if (n->state != MSET_PRIMARY || !n->is_catching_up) {
        return;
    }
    int with = is_limit_over(s, n) ? -1 : catch_up_with(s, n);
    if (with >= 0 && n->source != with) {
        n->source = with;
        n->pull_us = s->now_us;
    }
    if (with == -1) {
        n->is_catching_up = false;
        n->source = -1;
        n->pull_us = n->pulled_us = MSET_NEVER;
        n->drain_us = s->now_us + mset_draw(s, 5 * MSET_MS, 30 * MSET_MS);
    }
}

static void open_for_writes(struct mset *s, struct mset_node *n)
{
    uint32_t entry = mset_append(s, n, 0, 0);
    n->drain_us = MSET_NEVER;
    n->first_of_term = entry;
    n->is_writable = entry != MSET_NONE;
    n->noop_us = s->now_us + NOOP_US;
    n->noop_head = n->head;
    n->writable_wall_us = mset_wall(s);
    n->counter++;
    mset_config_bump_term(s, n);
    mset_tell(s, n, MSET_EV_WRITABLE, n->term, 0);
    mset_commit_look(s, n);
}

/* --- liveness --- */

static unsigned votes_at(const struct mset *s, const struct mset_node *n, int64_t at_us)
{
    unsigned votes = 0;
    int64_t timeout = n->disk.config.election_timeout_ms * MSET_MS;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        bool is_alive = i == mset_number(s, n) || n->peers[i].alive_us + timeout > at_us;
        votes += m != NULL && is_alive ? mset_votes(m) : 0;
    }
    return votes;
}

/* When fewer than the majority will have been heard, if nobody says anything until then. */
int64_t mset_liveness_due(const struct mset *s, const struct mset_node *n)
{
    struct mset_majorities of;
    int64_t due = MSET_NEVER, timeout = n->disk.config.election_timeout_ms * MSET_MS;
    mset_majorities(&n->disk.config, &of);
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        if (m != NULL && i != mset_number(s, n) && mset_votes(m) > 0) {
            int64_t at = n->peers[i].alive_us + timeout;
            due = at < due && votes_at(s, n, at) < of.vote ? at : due;
        }
    }
    return due;
}

/* --- timers --- */

int64_t mset_primary_due(const struct mset *s, const struct mset_node *n)
{
    if (n->state != MSET_PRIMARY || n->is_stuck) {
        return MSET_NEVER;
    }
    int64_t due = earliest(mset_liveness_due(s, n), n->noop_us);
    due = n->is_step_down_due ? s->now_us : due;
    due = n->is_full ? due : earliest(due, n->drain_us);
    int64_t end = n->won_us + UNHEARD_US, limit = n->won_us + n->disk.config.catch_up_ms * MSET_MS;
    if (n->is_catching_up && s->now_us < end) {
        due = earliest(due, end);
    }
    if (n->is_catching_up && n->disk.config.catch_up_ms >= 0 && s->now_us < limit) {
        due = earliest(due, limit);
    }
    return due;
}

void mset_primary_timer(struct mset *s, struct mset_node *n)
{
    if (n->state != MSET_PRIMARY || n->is_stuck) {
        return;
    }
    if (n->is_step_down_due) {
        mset_step_down(s, n, MSET_WHY_HIGHER_TERM);
        return;
    }
    if (mset_liveness_due(s, n) <= s->now_us) {
        mset_step_down(s, n, MSET_WHY_NO_MAJORITY);
        return;
    }
    mset_catch_up_look(s, n);
    if (n->drain_us <= s->now_us && !n->is_full) {
        open_for_writes(s, n);
    }
    if (n->noop_us <= s->now_us) {
        bool is_idle = n->noop_head == n->head && !n->is_full;
        if (is_idle) {
            (void)mset_append(s, n, 0, 0);
        }
        n->noop_head = n->head;
        n->noop_us = s->now_us + NOOP_US;
    }
}

/* --- stepping down when asked --- */

static bool has(const struct mset *s, const struct mset_node *n, unsigned peer)
{
    const struct mset_peer *p = &n->peers[peer];
    return p->is_up && p->applied != MSET_NONE && mset_is_under(s, p->applied, n->head);
}

/* Whom it would hand over to; -1: a majority is not caught up, or nobody who may be elected. */
static int successor(const struct mset *s, const struct mset_node *n)
{
    struct mset_majorities of;
    unsigned have = 0;
    int best = -1;
    mset_majorities(&n->disk.config, &of);
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        bool is_self = i == mset_number(s, n);
        if (m == NULL || !mset_is_data(m) || (!is_self && !has(s, n, i))) {
            continue;
        }
        have += mset_votes(m);
        bool is_able = !is_self && mset_priority_x10(m) > 0 && mset_votes(m) > 0 &&
                       n->peers[i].state == MSET_SECONDARY;
        if (is_able && (best < 0 || mset_priority_x10(m) >
                                        mset_priority_x10(mset_member_of(s, n, (unsigned)best)))) {
            best = (int)i;
        }
    }
    return have >= of.write ? best : -1;
}

static void hand_over(struct mset *s, struct mset_node *n, int to)
{
    struct mset_message m;
    if (to >= 0) {
        s->truth.hand_offs++;
        mset_message_send(s, mset_message_make(s, n, (unsigned)to, MSET_MSG_STEP_UP, &m));
    }
}

void mset_on_step_up(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    mset_term_seen(s, n, m->term);
    (void)mset_stand(s, n, MSET_WHY_HAND_OFF, false);
}

static void down(struct mset *s, struct mset_wait *w, int to, uint32_t seconds)
{
    struct mset_node *n = mset_node_of(s, w->node);
    n->not_before_us = s->now_us + seconds * MSET_SECOND;
    w->is_used = false; /* so that it does not fail with the others */
    mset_step_down(s, n, MSET_WHY_ASKED);
    w->is_used = true;
    hand_over(s, n, to);
}

void mset_wait_step_down(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    const struct mset_command *c = &w->command;
    if (!w->is_begun) {
        if (n->state != MSET_PRIMARY) {
            mset_wait_done(s, w, MSET_E_NOT_PRIMARY, "not primary so can't step down");
            return;
        }
        if (c->seconds == 0 || c->catch_up_seconds > c->seconds) {
            mset_wait_done(s, w, MSET_E_BAD_VALUE,
                           "stepdown period must be longer than secondaryCatchUpPeriodSecs");
            return;
        }
        w->is_begun = true;
        w->catch_up_us = s->now_us + c->catch_up_seconds * MSET_SECOND;
    }
    if (n->is_stuck) {
        return;
    }
    if (n->state != MSET_PRIMARY) {
        mset_wait_done(s, w, MSET_E_STEPPED_DOWN, "stepped down meanwhile");
        return;
    }
    int to = successor(s, n);
    bool is_over = s->now_us >= w->catch_up_us;
    if (to >= 0 || (is_over && c->is_forced)) {
        down(s, w, to, c->seconds);
        mset_wait_done(s, w, MSET_OK, "");
    } else if (is_over) {
        mset_wait_done(s, w, MSET_E_EXCEEDED_TIME, "No electable secondaries caught up");
    }
}

void mset_wait_shutdown(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    if (!w->is_begun) {
        w->is_begun = true;
        w->catch_up_us = s->now_us + w->command.catch_up_seconds * MSET_SECOND;
        w->due_us = MSET_NEVER;
    }
    if (n->is_stuck) {
        return;
    }
    if (n->state == MSET_PRIMARY) {
        int to = successor(s, n);
        bool is_over = s->now_us >= w->catch_up_us;
        if (to < 0 && !is_over) {
            return;
        }
        if (to < 0 && !w->command.is_forced) {
            mset_wait_done(s, w, MSET_E_EXCEEDED_TIME, "No electable secondaries caught up");
            return;
        }
        down(s, w, to, 60);
    }
    if (w->due_us == MSET_NEVER) {
        n->is_shutting_down = true;
        w->due_us = s->now_us + mset_draw(s, 50 * MSET_MS, 300 * MSET_MS);
    } else if (w->due_us <= s->now_us) {
        mset_exit(s, n, 0); /* fails what waits here, this one too */
    }
}

void mset_wait_step_up(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    if (n->state == MSET_PRIMARY) {
        mset_wait_done(s, w, MSET_OK, "");
    } else if (!w->is_begun) {
        w->is_begun = true;
        if (!mset_stand(s, n, MSET_WHY_STEP_UP, true) && !n->round.is_on) {
            mset_wait_done(s, w, MSET_E_COMMAND_FAILED, "Election failed.");
        } else if (n->state == MSET_PRIMARY) {
            mset_wait_done(s, w, MSET_OK, "");
        }
    } else if (!n->round.is_on) {
        mset_wait_done(s, w, MSET_E_COMMAND_FAILED, "Election failed.");
    }
}
