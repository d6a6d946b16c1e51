/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of the synchronous set: what the record says against what is in force, A7. */
#include "base/name.h"
#include "tests/sim/members.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"

static void sender_agrees(struct world *w, const struct pg *pg, uint32_t names, unsigned count)
{
    const struct msg_record *r = &truth_db_of(w, pg->member)->record;
    uint32_t voters = truth_set(w, &r->voters), real = names & ~PG_NOBODY;
    int slack = (int)count - (int)r->votes_needed_r;
    if ((int)truth_bits(real & ~voters) > slack) {
        world_fail(w, INVARIANT_SYNC_SET, "pg%u waits for %u of %x while the record says %u of %x",
                   pg->member + 1, count, real, r->votes_needed_r, voters);
    }
}

void truth_settings(struct world *w, const struct pg *pg)
{
    const struct msg_record *r = &truth_db_of(w, pg->member)->record;
    if (r->votes_needed_r == 0 || !pg_is_serving(pg) || pg->phase != PG_PRIMARY ||
        pg->epoch != r->epoch) {
        return;
    }
    if (pg->is_sync_off) {
        world_fail(w, INVARIANT_SYNC_SET, "pg%u waits for nobody while the record says r = %u",
                   pg->member + 1, r->votes_needed_r);
    }
    for (unsigned i = 0; i < MEMBERS_MAX; i++) {
        const struct pg_sender *s = &pg->senders[i];
        bool is_named = s->is_connected && (s->names >> i & 1) != 0;
        if (is_named && s->count > 0 && truth_bits(s->names & ~PG_NOBODY) >= s->count) {
            sender_agrees(w, pg, s->names, s->count);
        }
    }
}

/* The last commit acknowledged in this epoch is on r of V; all before it are then, too. What counts
 * is who could vote without it: more than |V| - r of them would outvote it. A voter whose directory
 * is gone, since it is cloned, has no vote to give. */
static void acked_is_on_voters(struct world *w, const struct truth_db *t)
{
    const struct msg_record *r = &t->record;
    if (r->votes_needed_r == 0 || t->acked_count == 0 ||
        t->acked[t->acked_count - 1].epoch != r->epoch) {
        return;
    }
    uint32_t voters = truth_set(w, &r->voters);
    const struct truth_acked *last = &t->acked[t->acked_count - 1];
    unsigned lack = 0;
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg *pg = pg_of(w, i);
        bool has_it = truth_has(pg, last) && pg->dir.flushed >= last->position;
        bool is_usable = pg->dir.exists && !pg->dir.is_bad;
        lack += (voters >> i & 1) != 0 && is_usable && !has_it;
    }
    if (lack + r->votes_needed_r > truth_bits(voters)) {
        world_fail(w, INVARIANT_SYNC_SET,
                   "the record says r = %u of %x, but %u of them lack an acknowledged commit",
                   r->votes_needed_r, voters, lack);
    }
}

/* The last opening in that directory, as a record of the world and its position. */
static uint32_t last_opening(struct world *w, const struct pg_directory *d, uint32_t *ret_position)
{
    for (uint32_t i = d->count; i > 0; i--) {
        if (pg_record_of(w, d->records[i - 1])->kind == PG_OPENING) {
            *ret_position = i;
            return d->records[i - 1];
        }
    }
    *ret_position = 0;
    return 0;
}

/* Who comes into V has streamed past the point where the holder opened. */
static void newcomers_are_confirmed(struct world *w, const struct truth_db *t,
                                    const struct msg_record *old)
{
    uint32_t new = truth_set(w, &t->record.voters) & ~truth_set(w, &old->voters), position = 0;
    const struct pg_directory *holder = &pg_of(w, (unsigned)truth_holder(w, t->cluster))->dir;
    uint32_t opening = last_opening(w, holder, &position);
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg_directory *d = &pg_of(w, i)->dir;
        bool is_usable = d->exists && !d->is_bad && position > 0;
        if ((new >> i & 1) != 0 && is_usable &&
            (d->flushed < position || d->records[position - 1] != opening)) {
            world_fail(w, INVARIANT_CONFIRMED,
                       "pg%u comes into the synchronous set and lacks the opening of epoch "
                       "%lu",
                       i + 1, (unsigned long)t->record.epoch);
        }
    }
}

void truth_voters_have_it(struct world *w, const struct truth_db *t, const struct msg_record *old)
{
    acked_is_on_voters(w, t);
    if (old != NULL && t->record.state == MSG_RECORD_RUNNING) {
        newcomers_are_confirmed(w, t, old);
    }
}

/* Section 6: what can be seen at a restarted primary is on r of V before anybody sees it. A voter
 * whose directory is gone since (somebody promoted it by hand, say) has no vote to give, as above.
 */
void truth_lets_in(struct world *w, const struct pg *pg)
{
    const struct msg_record *r = &truth_db_of(w, pg->member)->record;
    uint32_t voters = truth_set(w, &r->voters), visible = pg->wal_end_at_start;
    unsigned lack = 0;
    if (r->votes_needed_r == 0 || r->epoch != pg->epoch) {
        return;
    }
    for (unsigned i = 0; i < w->setup.members; i++) {
        const struct pg_directory *d = &pg_of(w, i)->dir;
        bool has = d->flushed >= visible && pg_same(d, &pg->dir) >= visible;
        lack += (voters >> i & 1) != 0 && d->exists && !d->is_bad && !has;
    }
    if (lack + r->votes_needed_r > truth_bits(voters)) {
        world_fail(w, INVARIANT_GATE,
                   "pg%u lets clients in after a crash, and what they see is not on %u of %x: %u "
                   "lack it",
                   pg->member + 1, r->votes_needed_r, voters, lack);
    }
}
