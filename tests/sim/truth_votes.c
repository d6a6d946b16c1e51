/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of votes: final as long as they stand, kept over restarts. */
#include "proto/wire/agent.h"
#include "tests/sim/members.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"
#include "tests/sim/truth_ops.h"

int truth_position_compare(const struct msg_position *a, const struct msg_position *b)
{
    if (a->lineage != b->lineage) {
        return a->lineage < b->lineage ? -1 : 1;
    }
    return a->lsn < b->lsn ? -1 : a->lsn > b->lsn;
}

/* What is written by hand stands behind all that the holder of the line had, and is acknowledged to
 * nobody; where it is another's line the directory is offered to nobody. */
void truth_by_hand(struct world *w, unsigned member)
{
    w->truth->members[member].vote.is_by_hand = true;
}

/* A vote is the last word: while it stands its receiver is gone. */
static void vote_is_final(struct world *w, const struct member *m)
{
    if (m->pg.has_receiver) {
        world_fail(w, INVARIANT_VOTE_FINAL, "%s votes while its WAL receiver is there",
                   m->name.text);
    }
}

static bool is_over(struct msg_attempt attempt, struct msg_attempt until)
{
    return attempt.term < until.term ||
           (attempt.term == until.term && attempt.number <= until.number);
}

/* A grant to the holder, or the leader's word, ends attempts: their votes are void. */
void truth_attempts_end(struct world *w, const struct truth_db *t, struct msg_attempt until)
{
    const struct db_setup *d = truth_database(w, t);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        struct truth_vote *v = &w->truth->members[i].vote;
        v->is_given = v->is_given && !is_over(v->attempt, until);
        v->ended = is_over(until, v->ended) ? v->ended : until;
    }
}

/* A restart keeps a promise until its attempt is over. */
void truth_promise_is_remembered(struct world *w, const struct member *m,
                                 const struct msg_report *r)
{
    const struct truth_vote *v = &w->truth->members[m->index].vote;
    bool is_lower = r->promised.term < v->attempt.term ||
                    (r->promised.term == v->attempt.term && r->promised.number < v->attempt.number);
    if (v->is_given && is_lower) {
        world_fail(w, INVARIANT_PROMISE,
                   "pg%u knows nothing of its vote in attempt %lu of term %lu, which stands",
                   m->index + 1, (unsigned long)v->attempt.number, (unsigned long)v->attempt.term);
    }
}

void truth_take_vote(struct world *w, const struct truth_db *t, const struct member *m,
                     const struct msg_report *r)
{
    vote_is_final(w, m);
    struct truth_vote *v = &w->truth->members[m->index].vote;
    bool is_same = v->is_given && v->attempt.term == r->promised.term &&
                   v->attempt.number == r->promised.number;
    truth_ops_votes(w, m, r);
    if (is_same && !v->has_fetched && !v->is_by_hand &&
        truth_position_compare(&r->position, &v->position) > 0) {
        world_fail(w, INVARIANT_VOTE_FINAL, "pg%u has voted with lsn %lu, and has %lu now",
                   m->index + 1, (unsigned long)v->position.lsn, (unsigned long)r->position.lsn);
    }
    if (r->epoch_seen == t->record.epoch && !is_over(r->promised, v->ended)) {
        *v = (struct truth_vote){true,
                                 r->promised,
                                 v->ended,
                                 r->position,
                                 is_same && v->has_fetched,
                                 is_same && v->is_by_hand};
    }
}
