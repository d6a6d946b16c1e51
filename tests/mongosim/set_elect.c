/* SPDX-License-Identifier: Apache-2.0 */
/* Elections: terms, timers, dry runs, votes, takeovers by priority. */
#include "tests/mongosim/set_inner.h"

#include <string.h>

#define FRESH_US (2 * MSET_SECOND) /* a takeover only when so close behind */

static int64_t timeout_us(const struct mset_node *n)
{
    return n->disk.config.election_timeout_ms * MSET_MS;
}

static bool is_alone(const struct mset_node *n)
{
    struct mset_majorities of;
    mset_majorities(&n->disk.config, &of);
    return of.voters == 1;
}

void mset_election_reset(struct mset *s, struct mset_node *n)
{
    int64_t wait = timeout_us(n);
    n->election_us = s->now_us + (is_alone(n) ? mset_draw(s, 10 * MSET_MS, 100 * MSET_MS)
                                              : wait + mset_draw(s, 0, wait * 15 / 100));
}

bool mset_is_electable(const struct mset *s, const struct mset_node *n)
{
    const struct mset_member *me = mset_member_of(s, n, mset_number(s, n));
    return me != NULL && n->state == MSET_SECONDARY && mset_priority_x10(me) > 0 &&
           mset_votes(me) > 0 && n->not_before_us <= s->now_us && !n->is_shutting_down;
}

void mset_term_seen(struct mset *s, struct mset_node *n, uint64_t term)
{
    if (term <= n->term) {
        return;
    }
    n->term = term;
    if (n->round.is_on && n->round.term < term) {
        n->round.is_on = false;
        s->is_look_wanted = true;
    }
    if (n->state == MSET_PRIMARY) {
        mset_step_down(s, n, MSET_WHY_HIGHER_TERM);
    }
}

/* --- standing --- */

static unsigned votes_in(const struct mset *s, const struct mset_node *n, uint32_t nodes)
{
    unsigned votes = 0;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        votes += (nodes >> i & 1) != 0 && m != NULL ? mset_votes(m) : 0;
    }
    return votes;
}

static void win(struct mset *s, struct mset_node *n)
{
    unsigned self = mset_number(s, n);
    size_t at = n->term % MSET_TERMS_MAX;
    bool is_again = s->won_term[at] == n->term && s->won_by[at] != (int)self;
    s->truth.twice_won += is_again;
    s->truth.terms_won++;
    s->won_term[at] = n->term;
    s->won_by[at] = (int8_t)self;
    s->truth.takeovers += n->round.why == MSET_WHY_PRIORITY;
    n->round.is_on = false;
    n->why = n->round.why;
    n->elected_term = n->term;
    n->is_writable = false;
    n->is_catching_up = true;
    n->first_of_term = n->committed_before = MSET_NONE;
    n->won_us = s->now_us;
    n->elected_wall_us = mset_wall(s);
    n->writable_wall_us = 0;
    n->drain_us = n->noop_us = n->election_us = n->takeover_us = MSET_NEVER;
    n->primary = (int)self;
    n->source = -1;
    n->pull_us = n->pulled_us = MSET_NEVER;
    for (unsigned i = 0; i < MSET_NODES_MAX; i++) {
        n->peers[i].alive_us = s->now_us; /* a whole timeout for everybody */
    }
    mset_state_set(s, n, MSET_PRIMARY);
    mset_tell(s, n, MSET_EV_ELECTED, n->term, n->why);
    mset_beat_all(s, n);
    mset_catch_up_look(s, n);
}

static void count(struct mset *s, struct mset_node *n)
{
    struct mset_majorities of;
    mset_majorities(&n->disk.config, &of);
    unsigned open = of.voters - votes_in(s, n, n->round.answered);
    unsigned yes = votes_in(s, n, n->round.yes);
    if (yes >= of.vote && n->round.is_dry) {
        enum mset_reason why = n->round.why;
        n->round.is_on = false;
        (void)mset_stand(s, n, why, false);
    } else if (yes >= of.vote) {
        win(s, n);
    } else if (yes + open < of.vote) {
        n->round.is_on = false;
        s->is_look_wanted = true;
    }
}

static void ask_for_votes(struct mset *s, struct mset_node *n)
{
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        if (m != NULL && i != mset_number(s, n) && mset_votes(m) > 0) {
            struct mset_message vote;
            (void)mset_message_make(s, n, i, MSET_MSG_VOTE, &vote);
            vote.is_dry = n->round.is_dry;
            vote.round_term = vote.term = n->round.term;
            mset_message_send(s, &vote);
        }
    }
}

bool mset_stand(struct mset *s, struct mset_node *n, enum mset_reason why, bool is_dry)
{
    if (!mset_is_electable(s, n) || n->round.is_on || (!is_dry && (n->is_stuck || n->is_full))) {
        return false;
    }
    unsigned self = mset_number(s, n);
    mset_election_reset(s, n);
    if (!is_dry) {
        n->term++;
        n->disk.vote_term = n->term;
        n->disk.vote_for = (int)self;
        s->truth.elections++;
    } else {
        s->truth.dry_runs++;
    }
    n->round = (struct mset_round){.is_on = true,
                                   .is_dry = is_dry,
                                   .why = is_alone(n) ? MSET_WHY_SINGLE : why,
                                   .term = n->term,
                                   .yes = UINT32_C(1) << self,
                                   .answered = UINT32_C(1) << self,
                                   .end_us = s->now_us + timeout_us(n)};
    ask_for_votes(s, n);
    count(s, n);
    return true;
}

/* --- voting --- */

/* An arbiter sees a primary that is as good. */
static bool is_vetoed(const struct mset *s, const struct mset_node *n, const struct mset_member *me,
                      unsigned candidate)
{
    const struct mset_member *other = mset_member_of(s, n, candidate);
    for (unsigned i = 0; me->is_arbiter && i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        if (m != NULL && i != candidate && n->peers[i].is_up && n->peers[i].state == MSET_PRIMARY &&
            other != NULL && mset_priority_x10(m) >= mset_priority_x10(other)) {
            return true;
        }
    }
    return false;
}

static bool is_config_fine(const struct mset *s, const struct mset_node *n,
                           const struct mset_message *m)
{
    int order = mset_version_order(&m->version, &n->disk.config.version);
    return s->profile->has_config_term ? order >= 0 : order == 0;
}

static bool is_granted(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    const struct mset_member *me = mset_member_of(s, n, mset_number(s, n));
    if (m->round_term < n->term || !is_config_fine(s, n, m) || mset_votes(me) == 0) {
        return false;
    }
    if (!me->is_arbiter && mset_entry_order(s, m->applied, n->head) < 0) {
        return false;
    }
    bool is_given = n->disk.vote_term == m->round_term && n->disk.vote_for != (int)m->from;
    return !is_vetoed(s, n, me, m->from) && (m->is_dry || !is_given);
}

void mset_on_vote(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    struct mset_message answer;
    bool is_stranger = strcmp(m->set_name.text, s->options.name.text) != 0 || n->is_name_wrong;
    if (is_stranger || n->me < 0 || n->state == MSET_STARTUP || n->is_shutting_down ||
        (!m->is_dry && (n->is_stuck || n->is_full))) {
        return;
    }
    if (!m->is_dry) {
        mset_term_seen(s, n, m->round_term);
    }
    bool is_yes = is_granted(s, n, m);
    if (is_yes && !m->is_dry) {
        n->disk.vote_term = m->round_term;
        n->disk.vote_for = (int)m->from;
    }
    (void)mset_message_make(s, n, m->from, MSET_MSG_VOTE_ANSWER, &answer);
    answer.is_dry = m->is_dry;
    answer.is_granted = is_yes;
    answer.round_term = m->round_term;
    mset_message_send(s, &answer);
}

void mset_on_vote_answer(struct mset *s, struct mset_node *n, const struct mset_message *m)
{
    struct mset_round *r = &n->round;
    bool is_mine = r->is_on && r->is_dry == m->is_dry && r->term == m->round_term;
    mset_term_seen(s, n, m->term);
    if (!is_mine || !r->is_on) {
        return;
    }
    r->answered |= UINT32_C(1) << m->from;
    r->yes |= m->is_granted ? UINT32_C(1) << m->from : 0;
    count(s, n);
}

/* --- takeover by priority --- */

static unsigned rank_of(const struct mset_node *n, const struct mset_member *me)
{
    unsigned rank = 0;
    for (unsigned i = 0; i < n->disk.config.count; i++) {
        rank += mset_priority_x10(&n->disk.config.members[i]) > mset_priority_x10(me);
    }
    return rank;
}

static bool is_better(const struct mset *s, const struct mset_node *n,
                      const struct mset_member **ret_me)
{
    const struct mset_member *me = mset_member_of(s, n, mset_number(s, n));
    const struct mset_member *primary =
        n->primary >= 0 ? mset_member_of(s, n, (unsigned)n->primary) : NULL;
    *ret_me = me;
    return me != NULL && primary != NULL && n->state == MSET_SECONDARY && primary != me &&
           mset_priority_x10(me) > mset_priority_x10(primary);
}

void mset_takeover_look(struct mset *s, struct mset_node *n)
{
    const struct mset_member *me;
    if (!is_better(s, n, &me)) {
        n->takeover_us = MSET_NEVER;
    } else if (n->takeover_us == MSET_NEVER) {
        n->takeover_us = s->now_us + timeout_us(n) * (rank_of(n, me) + 1);
    }
}

static void take_over(struct mset *s, struct mset_node *n)
{
    const struct mset_member *me;
    n->takeover_us = MSET_NEVER;
    if (!is_better(s, n, &me)) {
        return;
    }
    const struct mset_peer *p = &n->peers[n->primary];
    int64_t behind = s->entries[p->applied].wall_us - s->entries[n->head].wall_us;
    if (behind < FRESH_US) {
        (void)mset_stand(s, n, MSET_WHY_PRIORITY, true);
    }
}

/* --- timers --- */

int64_t mset_elect_due(const struct mset *s, const struct mset_node *n)
{
    (void)s;
    int64_t due = n->round.is_on ? n->round.end_us : MSET_NEVER;
    if (n->state == MSET_SECONDARY) {
        due = n->election_us < due ? n->election_us : due;
        due = n->takeover_us < due ? n->takeover_us : due;
    }
    return due;
}

void mset_elect_timer(struct mset *s, struct mset_node *n)
{
    if (n->round.is_on && n->round.end_us <= s->now_us) {
        n->round.is_on = false;
        s->is_look_wanted = true;
    }
    if (n->state != MSET_SECONDARY) {
        return;
    }
    if (n->takeover_us <= s->now_us) {
        take_over(s, n);
    }
    if (n->state == MSET_SECONDARY && n->election_us <= s->now_us) {
        if (!mset_stand(s, n, MSET_WHY_TIMEOUT, true)) {
            mset_election_reset(s, n);
        }
    }
}
