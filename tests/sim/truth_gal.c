/* SPDX-License-Identifier: Apache-2.0 */
/* See the header. Which rows may be lost is Galera's own rule, and said at rows_may_go. */
#include "tests/sim/truth_gal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/lease_math.h"
#include "base/name.h"
#include "tests/sim/members.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_inner.h"
#include "tests/sim/truth_ops.h"

/* A causal read counts for 2 s, its answer is waited for 1 s, and a look every half second. */
#define FRESH_US (4 * SECOND)

struct acked {
    uint32_t row;
    int64_t at_us;
};

/* A bootstrap, by the number of its lineage. */
struct descent {
    uint32_t from;   /* lineage whose rows it goes on with; always a lower number */
    uint32_t beside; /* by hand, while a component of that one lived or could go on */
    bool has_beside;
};

struct truth_gal {
    struct acked *acked; /* in the order of their rows */
    size_t acked_count, acked_cap;
    uint64_t ack_epoch;
    int64_t last_ack_us;
    struct msg_galera_record record; /* the newest */
    uint64_t bootstrapped;           /* the last generation whose grant was carried out ... */
    uint32_t lineage;                /* ... as this one */
    uint32_t committed_lineage;      /* the newest one without an operator's hand that took a row */
    bool is_confirmed;               /* an operator has confirmed what the next grant loses */
    int64_t tasks_moved_us;          /* when the orders to members in the record last changed */
    bool is_by_hand;                 /* an operator has meddled: what he did is his */
    struct descent descents[WSREP_LINEAGES_MAX];
    bool was_writable[MEMBERS_MAX];
    uint64_t inhibited[MEMBERS_MAX]; /* starts and bootstraps below are refused there, as it said */
    int64_t said_us[MEMBERS_MAX];    /* /writer was 200 then */
};

void truth_gal_open(struct world *w)
{
    w->truth_gal = must_alloc(1, sizeof(*w->truth_gal));
}

void truth_gal_close(struct world *w)
{
    free(w->truth_gal->acked);
    free(w->truth_gal);
    w->truth_gal = NULL;
}

static const char *name_of(const struct world *w, unsigned member)
{
    return w->members->list[member].name.text;
}

/* --- components --- */

static bool has_complete_state(struct world *w, uint32_t set)
{
    bool has = false;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        enum wsrep_state state = wsrep_of(w, i)->state;
        has = has || ((set >> i & 1) != 0 && (state == WSREP_SYNCED || state == WSREP_DONOR));
    }
    return has;
}

/* An operator has made that history, or one that it goes on with, beside a component of `other`:
 * what he made is what is heard, and its views tell nothing of the others. Only his history leaves
 * them aside; one that goes on with theirs does not. */
static bool is_left_aside(const struct truth_gal *t, uint32_t lineage, uint32_t other)
{
    for (uint32_t at = lineage; at != 0; at = t->descents[at].from) {
        BASE_ASSERT(t->descents[at].from < at);
        if (t->descents[at].has_beside && t->descents[at].beside == other) {
            return true;
        }
    }
    return false;
}

/* Places outside of `members` that still are in one Primary view and have its quorum: they run, or
 * will when somebody lets them go on. NULL: none that a bootstrap of `lineage` has to heed. */
static const struct wsrep_view *other_alive(struct world *w, uint32_t members, uint32_t lineage)
{
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        const struct wsrep_view *v = &wsrep_of(w, i)->peer.view;
        uint32_t there = 0;
        if ((members >> i & 1) != 0 || !wsrep_is_primary(wsrep_of(w, i)) ||
            wsrep_is_by_hand(w, v->lineage) || is_left_aside(w->truth_gal, lineage, v->lineage)) {
            continue;
        }
        for (unsigned place = 0; place < WSREP_PLACES; place++) {
            bool is_asked = (v->members & ~members) >> place & 1;
            there |=
                is_asked && wsrep_peer_of(w, place)->view.id == v->id ? UINT32_C(1) << place : 0;
        }
        if (has_complete_state(w, there) &&
            2 * wsrep_weight(v, there) > wsrep_weight(v, v->members & ~v->left)) {
            return v;
        }
    }
    return NULL;
}

static void is_granted(struct world *w, const struct wsrep *g, uint32_t lineage)
{
    struct truth_gal *t = w->truth_gal;
    const struct msg_galera_grant *grant = &t->record.grant;
    const struct member *m = &w->members->list[g->member];
    if (grant->state != MSG_GALERA_GRANT_GIVEN || !base_name_equal(&grant->node, &m->name)) {
        world_fail(w, INVARIANT_GALERA_BOOTSTRAP,
                   "%s bootstraps, and the record grants generation %lu to %s (state %d)",
                   m->name.text, (unsigned long)grant->generation, grant->node.text,
                   (int)grant->state);
    }
    if (t->bootstrapped == grant->generation && t->committed_lineage == t->lineage) {
        world_fail(w, INVARIANT_GALERA_GRANT,
                   "%s bootstraps generation %lu again, and rows were accepted in it", m->name.text,
                   (unsigned long)grant->generation);
    }
    t->bootstrapped = grant->generation;
    t->lineage = lineage;
}

void truth_gal_bootstrap(struct world *w, const struct wsrep *g, uint32_t lineage, uint32_t members)
{
    struct descent *d = &w->truth_gal->descents[lineage];
    trace(w, TRACE_GALERA_BOOTSTRAP, g->member, lineage, members, wsrep_is_by_hand(w, lineage));
    d->from = g->data_lineage;
    const struct wsrep_view *other = other_alive(w, members, lineage);
    if (wsrep_is_by_hand(w, lineage)) {
        w->truth_gal->is_by_hand = true;
        d->has_beside = other != NULL;
        d->beside = other != NULL ? other->lineage : 0;
        return;
    }
    is_granted(w, g, lineage);
    if (other != NULL) {
        world_fail(w, INVARIANT_GALERA_COMPONENT,
                   "%s bootstraps while another Primary component lives, or may go on",
                   name_of(w, g->member));
    }
}

void truth_gal_component(struct world *w, const struct wsrep *g)
{
    if (g->uuid == WSREP_UUID_NIL && !w->truth_gal->is_by_hand) {
        world_fail(w, INVARIANT_GALERA_NIL, "%s is in a Primary component without a history",
                   name_of(w, g->member));
    }
}

void truth_gal_commit(struct world *w, const struct wsrep *g, uint32_t row)
{
    struct truth_gal *t = w->truth_gal;
    uint32_t lineage = g->peer.view.lineage;
    (void)row;
    if (wsrep_is_by_hand(w, lineage)) {
        return;
    }
    if (lineage < t->lineage && !t->is_by_hand) {
        world_fail(w, INVARIANT_GALERA_COMPONENT,
                   "%s accepts a row in component %u, and component %u was bootstrapped since",
                   name_of(w, g->member), lineage, t->lineage);
    }
    t->committed_lineage = lineage > t->committed_lineage ? lineage : t->committed_lineage;
}

/* --- transfers --- */

static bool has_same_rows(const struct wsrep *a, const struct wsrep *b)
{
    uint32_t count = a->dir.count < b->dir.count ? a->dir.count : b->dir.count;
    return memcmp(a->dir.rows, b->dir.rows, count * sizeof(*a->dir.rows)) == 0;
}

void truth_gal_transferred(struct world *w, const struct wsrep *g, const struct wsrep *donor,
                           bool is_all)
{
    trace(w, TRACE_GALERA_TRANSFER, g->member, donor->member, is_all, (uint64_t)g->dir.seqno);
    if (g->dir.count > 0 && donor->dir.count > 0 && !has_same_rows(g, donor) &&
        !w->truth_gal->is_by_hand) {
        world_fail(w, INVARIANT_GALERA_SAME_ROWS,
                   "%s has joined from %s by its position alone, and their rows differ",
                   name_of(w, g->member), name_of(w, donor->member));
    }
}

/* --- the writer --- */

/* By its own clock; the fence may take its second, and the guard's kill its margin. */
static int64_t late_us(const struct world *w, const struct member *m)
{
    const struct guard_status *s = &m->guard.status;
    int64_t margin_us = lease_margin_us(w->setup.databases[w->setup.clusters].ttl_ms * MS);
    return base_mono_diff_us(clock_now(&m->clock), s->deadline) - s->soft_us - margin_us;
}

static bool has_right(struct world *w, const struct member *m, uint64_t epoch)
{
    const struct guard_status *s = &m->guard.status;
    bool is_armed = s->is_armed && s->epoch == epoch && s->epoch_handed_back < epoch;
    return !m->guard_process.is_up || truth_ops_is_unarmed(w, m) ||
           (is_armed && late_us(w, m) <= 0);
}

static void has_all_rows(struct world *w, const struct wsrep *g, const char *does)
{
    const struct truth_gal *t = w->truth_gal;
    for (size_t i = t->acked_count; i > 0 && !t->is_by_hand; i--) {
        if (!wsrep_has_row(g, t->acked[i - 1].row)) {
            world_fail(w, INVARIANT_GALERA_LOST, "%s %s without value %lu, which was acknowledged",
                       name_of(w, g->member), does,
                       (unsigned long)wsrep_row_of(w, t->acked[i - 1].row)->value);
        }
    }
}

/* fast_takeover rests on Galera's own quorum: who was bootstrapped by hand beside it writes on
 * until its lease ends, if it is silent. */
static bool is_writer_by_hand(const struct world *w)
{
    return w->truth_gal->record.is_fast_takeover && w->truth_gal->is_by_hand;
}

static void opens(struct world *w, const struct wsrep *g)
{
    const struct member *m = &w->members->list[g->member];
    trace(w, TRACE_OPEN, g->member, g->writable_epoch, g->dir.count, 0);
    if (!has_right(w, m, g->writable_epoch)) {
        world_fail(w, INVARIANT_GALERA_WRITER,
                   "%s accepts writes in epoch %lu without a lease for it", m->name.text,
                   (unsigned long)g->writable_epoch);
    }
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        const struct wsrep *other = wsrep_of(w, i);
        bool may_be = w->truth_gal->record.is_fast_takeover &&
                      !(wsrep_can_replicate(other) && wsrep_can_replicate(g));
        if (other != g && wsrep_is_writable(other) && !may_be && !is_writer_by_hand(w)) {
            world_fail(w, INVARIANT_ONE_WRITER, "%s accepts writes in epoch %lu, and %s in %lu",
                       m->name.text, (unsigned long)g->writable_epoch, name_of(w, i),
                       (unsigned long)other->writable_epoch);
        }
    }
    if (!w->truth_gal->record.is_fast_takeover || wsrep_can_replicate(g)) {
        has_all_rows(w, g, "accepts writes");
    } /* else it believes in a view that is over, and nothing is committed there */
}

void truth_gal_note(struct world *w, const struct wsrep *g)
{
    bool is_writable = wsrep_is_writable(g);
    if (is_writable && !w->truth_gal->was_writable[g->member]) {
        opens(w, g);
    } else if (!is_writable && w->truth_gal->was_writable[g->member]) {
        trace(w, TRACE_SHUT, g->member, g->writable_epoch, (uint64_t)g->phase, 0);
    }
    w->truth_gal->was_writable[g->member] = is_writable;
}

void truth_gal_ack(struct world *w, const struct wsrep *g, uint32_t row)
{
    struct truth_gal *t = w->truth_gal;
    const struct member *m = &w->members->list[g->member];
    trace(w, TRACE_ACK, g->member, g->writable_epoch, wsrep_row_of(w, row)->value, g->dir.count);
    if (g->writable_epoch < t->ack_epoch && !is_writer_by_hand(w)) {
        world_fail(w, INVARIANT_ONE_WRITER, "%s acknowledges in epoch %lu after epoch %lu did",
                   m->name.text, (unsigned long)g->writable_epoch, (unsigned long)t->ack_epoch);
    }
    if (!has_right(w, m, g->writable_epoch)) {
        world_fail(w, INVARIANT_GALERA_WRITER,
                   "%s acknowledges in epoch %lu without a lease for it", m->name.text,
                   (unsigned long)g->writable_epoch);
    }
    t->ack_epoch = g->writable_epoch;
    t->last_ack_us = w->now_us;
    t->acked = must_grow(t->acked, &t->acked_cap, t->acked_count + 1, sizeof(*t->acked));
    t->acked[t->acked_count++] = (struct acked){row, w->now_us};
}

/* --- health checks --- */

void truth_gal_writer_said(struct world *w, unsigned member)
{
    const struct member *m = &w->members->list[member];
    const struct guard_status *s = &m->guard.status;
    bool is_ahead = base_mono_before(clock_now(&m->clock), s->deadline);
    w->tally.galera_writer_checks++;
    if (m->guard_process.is_up && !truth_ops_is_unarmed(w, m) && (!s->is_armed || !is_ahead)) {
        world_fail(w, INVARIANT_GALERA_WRITER,
                   "/writer of %s answers 200, and its lease for epoch %lu has run out",
                   m->name.text, (unsigned long)s->epoch);
    }
    w->truth_gal->said_us[member] = w->now_us;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        if (i != member && w->truth_gal->said_us[i] == w->now_us && !is_writer_by_hand(w)) {
            world_fail(w, INVARIANT_GALERA_ROUTED, "/writer answers 200 at %s and at %s",
                       m->name.text, name_of(w, i));
        }
    }
}

void truth_gal_reader_said(struct world *w, unsigned member)
{
    const struct truth_gal *t = w->truth_gal;
    const struct wsrep *g = wsrep_of(w, member);
    uint32_t count = 0;
    size_t i = t->acked_count;
    w->tally.galera_reader_checks++;
    if (wsrep_select(g, &count) != WSREP_OK || t->is_by_hand) {
        return;
    }
    while (i > 0 && t->acked[i - 1].at_us > w->now_us - FRESH_US) {
        i--;
    }
    bool is_there = i == 0;
    for (uint32_t at = count; !is_there && at > 0; at--) {
        is_there = g->dir.rows[at - 1] == t->acked[i - 1].row;
        if (g->dir.rows[at - 1] < t->acked[i - 1].row) {
            break;
        }
    }
    if (!is_there) {
        world_fail(w, INVARIANT_GALERA_STALE,
                   "/reader of %s answers 200, and it shows nothing of value %lu, acknowledged "
                   "%ld ms ago",
                   name_of(w, member), (unsigned long)wsrep_row_of(w, t->acked[i - 1].row)->value,
                   (long)((w->now_us - t->acked[i - 1].at_us) / MS));
    }
}

/* --- starts --- */

/* Whoever has a history says where it stands in it, unless a transfer replaces it. */
void truth_gal_ordered(struct world *w, const struct wsrep *g, const struct db_order *order)
{
    const struct wsrep_directory *d = &g->dir;
    uint32_t uuid;
    memcpy(&uuid, order->galera.position.uuid, sizeof(uuid));
    bool has_history = d->exists && !d->is_grastate_empty && d->uuid != WSREP_UUID_NIL;
    if (order->kind != DB_ORDER_GALERA_PREPARE || order->galera.mode == DB_GALERA_SST ||
        !has_history) {
        return;
    }
    if (uuid != d->uuid || order->galera.position.seqno != d->seqno) {
        world_fail(w, INVARIANT_GALERA_POSITION,
                   "%s is to start from position %ld of history %u, and it has %ld of %u",
                   name_of(w, g->member), (long)order->galera.position.seqno, uuid, (long)d->seqno,
                   d->uuid);
    }
}

/* --- grants --- */

static bool is_source(const struct wsrep *g)
{
    const struct wsrep_directory *d = &g->dir;
    return d->exists && !d->is_grastate_empty && !d->is_sst_in_progress &&
           d->uuid != WSREP_UUID_NIL;
}

static int64_t position_of(const struct wsrep *g)
{
    return g->dir.seqno + (int64_t)wsrep_queue_len(g);
}

/* The row in that place, applied or to be; 0: none. */
static uint32_t row_at(const struct wsrep *g, size_t place)
{
    size_t behind = place - g->dir.count;
    if (place < g->dir.count) {
        return g->dir.rows[place];
    }
    return behind < wsrep_queue_len(g) ? g->queue[g->queue_from + behind] : 0;
}

static bool is_prefix(const struct wsrep *g, const struct wsrep *of)
{
    for (size_t i = 0; row_at(g, i) != 0; i++) {
        if (row_at(g, i) != row_at(of, i)) {
            return false;
        }
    }
    return true;
}

/* Whoever has the same history, or a newer one, has no row that the winner lacks. */
static void winner_is_highest(struct world *w, unsigned winner)
{
    const struct wsrep *best = wsrep_of(w, winner);
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        const struct wsrep *g = wsrep_of(w, i);
        bool is_counted = i != winner && is_source(g) && g->data_lineage >= best->data_lineage;
        if (is_counted && (!is_source(best) || !is_prefix(g, best))) {
            world_fail(w, INVARIANT_GALERA_HIGHEST,
                       "%s is to bootstrap from position %ld of component %u, and %s has %ld of %u",
                       name_of(w, winner), (long)position_of(best), best->data_lineage,
                       name_of(w, i), (long)position_of(g), g->data_lineage);
        }
    }
}

static bool has_anybody(struct world *w, uint32_t row)
{
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        if (is_source(wsrep_of(w, i)) && wsrep_has_row(wsrep_of(w, i), row)) {
            return true;
        }
    }
    return false;
}

/* Galera's own rule: an acknowledged row is in the queue of every member of its component, and on
 * the disk of its writer where flushes are durable. It may go when nobody has it any more (queues
 * die with their processes, tails with lax flushes), or when an operator has said so. */
static void rows_may_go(struct world *w, unsigned winner)
{
    struct truth_gal *t = w->truth_gal;
    size_t kept = 0;
    for (size_t i = 0; i < t->acked_count; i++) {
        uint32_t row = t->acked[i].row;
        if (wsrep_has_row(wsrep_of(w, winner), row)) {
            t->acked[kept++] = t->acked[i];
            continue;
        }
        if (!t->is_confirmed && !t->is_by_hand && has_anybody(w, row)) {
            world_fail(
                w, INVARIANT_GALERA_LOST,
                "%s is to bootstrap without value %lu, which was acknowledged and is not lost",
                name_of(w, winner), (unsigned long)wsrep_row_of(w, row)->value);
        }
        w->tally.galera_rows_lost++;
    }
    t->acked_count = kept;
}

void truth_gal_report(struct world *w, const struct member *m, const struct msg_report *report)
{
    w->truth_gal->inhibited[m->index] = report->galera.inhibited;
}

/* Its node refuses it by now, or an operator has said that there is no such node any more. */
static bool is_void(struct world *w, const struct msg_galera_record *old, uint64_t next)
{
    int node = member_by_name(w, &old->grant.node);
    bool is_open = old->grant.state == MSG_GALERA_GRANT_GIVEN;
    bool is_refused = node >= 0 && w->truth_gal->inhibited[node] >= next;
    return !is_open || is_refused || truth_ops_is_ended(&w->truth->db[w->setup.clusters]);
}

static void grant_is_lawful(struct world *w, const struct msg_galera_record *old,
                            const struct msg_galera_record *new)
{
    int winner = member_by_name(w, &new->grant.node);
    bool is_open = !is_void(w, old, new->grant.generation);
    w->tally.galera_grants++;
    w->tally.galera_cold += !new->grant.is_live;
    if (new->grant.generation <= old->grant.generation || is_open) {
        world_fail(w, INVARIANT_GALERA_GRANT,
                   "generation %lu is granted to %s, and %lu is granted to %s (state %d)",
                   (unsigned long)new->grant.generation, new->grant.node.text,
                   (unsigned long)old->grant.generation, old->grant.node.text,
                   (int)old->grant.state);
    }
    if (winner < 0) {
        world_fail(w, INVARIANT_GALERA_GRANT, "generation %lu is granted to nobody",
                   (unsigned long)new->grant.generation);
    }
    if (!w->truth_gal->is_confirmed && !w->truth_gal->is_by_hand) {
        winner_is_highest(w, (unsigned)winner);
    }
    rows_may_go(w, (unsigned)winner);
    w->truth_gal->is_confirmed = false;
}

void truth_gal_record(struct world *w, const struct msg_record *old, const struct msg_record *new)
{
    const struct msg_galera_grant *a = &old->galera.grant, *b = &new->galera.grant;
    w->truth_gal->record = new->galera;
    if (old->tasks_count != new->tasks_count ||
        memcmp(old->tasks, new->tasks, sizeof(old->tasks)) != 0) {
        w->truth_gal->tasks_moved_us = w->now_us;
    }
    bool is_other = a->generation != b->generation || !base_name_equal(&a->node, &b->node) ||
                    (a->state != MSG_GALERA_GRANT_GIVEN && b->state == MSG_GALERA_GRANT_GIVEN);
    trace(w, TRACE_GALERA_RECORD, new->galera.generation, b->generation, (uint64_t)b->state,
          (uint64_t) new->galera.high_water);
    if (b->state == MSG_GALERA_GRANT_GIVEN && is_other) {
        grant_is_lawful(w, &old->galera, &new->galera);
    }
}

void truth_gal_confirmed(struct world *w)
{
    w->truth_gal->is_confirmed = true;
}

/* --- the end --- */

/* An operator's order has taken it out, and is being carried out: one of them moves within a
 * minute, the pause between two included. */
static bool is_at_work(struct world *w, unsigned member)
{
    const struct msg_record *r = &w->truth->db[w->setup.clusters].record;
    bool is_moving = w->now_us - w->truth_gal->tasks_moved_us < 60 * SECOND;
    for (uint8_t i = 0; i < r->tasks_count && is_moving; i++) {
        if (base_name_equal(&r->tasks[i].member, &member_of(w, member)->name)) {
            return true;
        }
    }
    return false;
}

static void one_component(struct world *w, unsigned first)
{
    const struct wsrep *g = wsrep_of(w, first);
    long healed_s = (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND);
    for (unsigned i = first; i < wsrep_end(w); i++) {
        if (is_at_work(w, i)) {
            continue;
        }
        const struct wsrep *other = wsrep_of(w, i);
        bool is_in = wsrep_is_primary(other) && other->peer.view.id == g->peer.view.id;
        if (!is_in || (other->state != WSREP_SYNCED && other->state != WSREP_DONOR)) {
            world_fail(w, INVARIANT_LIVENESS,
                       "%s is not in one component with %s and synced %ld s after the last fault",
                       name_of(w, i), name_of(w, first), healed_s);
        }
        if (!has_same_rows(g, other) && !w->truth_gal->is_by_hand) {
            world_fail(w, INVARIANT_GALERA_SAME_ROWS, "%s and %s have different rows at the end",
                       name_of(w, first), name_of(w, i));
        }
    }
}

void truth_gal_end(struct world *w)
{
    int writer = -1;
    if (w->truth_gal->is_by_hand) {
        return; /* two components with one history wait for an operator's choice */
    }
    unsigned first = wsrep_first(w);
    while (first + 1 < wsrep_end(w) && is_at_work(w, first)) {
        first++;
    }
    one_component(w, first);
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        writer = wsrep_is_writable(wsrep_of(w, i)) ? (int)i : writer;
        if (!is_at_work(w, i)) {
            has_all_rows(w, wsrep_of(w, i), "is left");
        }
    }
    if (writer < 0 || w->truth_gal->last_ack_us < w->setup.end_us - 8 * SECOND) {
        world_fail(w, INVARIANT_LIVENESS, "no writer acknowledges %ld s after the last fault",
                   (long)((w->setup.end_us - w->setup.faults_end_us) / SECOND));
    }
}
