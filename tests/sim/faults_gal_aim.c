/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of Galera clusters that aim at one rule each: what chance alone meets too seldom. */
#include "tests/sim/faults_gal.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth_ops.h"

#define POLL_US (20 * MS)

static void cut_agent(struct world *w, unsigned member, int64_t for_us)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        fault_cut_both(w, ADDRESS_AGENT + member, ADDRESS_NODE + i, for_us, false);
    }
}

static void cut_servers(struct world *w, unsigned a, unsigned b, int64_t for_us)
{
    fault_cut_both(w, ADDRESS_DB + a, ADDRESS_DB + b, for_us, false);
}

/* One member is heard and has lost all others, who are well and are heard by nobody. */
void strike_galera_alone(struct world *w, struct strike *s)
{
    unsigned member = (unsigned)draw(&s->rand, wsrep_first(w), (int64_t)wsrep_end(w) - 1);
    int64_t for_us = draw(&s->rand, 30 * SECOND, 45 * SECOND);
    fault_bit(w, s->kind, member, 0, for_us);
    w->galera->is_given_up = true;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        if (i != member) {
            cut_agent(w, i, for_us);
            cut_servers(w, member, i, for_us);
        }
    }
}

/* Whoever is granted a bootstrap is heard no more from that moment on. number: since when. */
static void cut_granted(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct msg_record record;
    (void)bytes;
    int64_t since = (int64_t)number;
    bool has = truth_ops_record(w, w->setup.clusters, &record);
    const struct msg_galera_grant *grant = &record.galera.grant;
    if (has && grant->state == MSG_GALERA_GRANT_GIVEN && grant->generation > 1) {
        int member = member_by_name(w, &grant->node);
        if (member >= 0) {
            fault_bit(w, FAULT_GALERA_GRANT_CUT, (unsigned)member, 0, 25 * SECOND);
            cut_agent(w, (unsigned)member, 25 * SECOND);
            w->galera->is_given_up = true;
        }
    } else if (w->now_us - since < 20 * SECOND) {
        world_at_with(w, w->now_us + POLL_US, NULL, cut_granted, w, number, SLICE_EMPTY);
    }
}

/* The servers lose each other and not the quorum; one of them is granted, and silent then. */
void strike_galera_grant_cut(struct world *w, struct strike *s)
{
    int64_t for_us = draw(&s->rand, 25 * SECOND, 40 * SECOND);
    for (unsigned a = wsrep_first(w); a < wsrep_end(w); a++) {
        for (unsigned b = a + 1; b < wsrep_end(w); b++) {
            cut_servers(w, a, b, for_us);
        }
    }
    cut_granted(w, (uint64_t)w->now_us, SLICE_EMPTY);
}

static void kill_all(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        struct member *m = member_of(w, i);
        if (m->tree.is_up && m->gal.phase != WSREP_DOWN) {
            wsrep_gone(&m->gal, false);
            guard_root_exited(m, 9);
        }
    }
    if (number > 0) { /* the writer's host is off, and the others had not applied all */
        member_power_off(w, (unsigned)number - 1, 35 * SECOND);
    }
}

/* The writer's host goes with rows that only its disk has; the operator gives it up; it comes back
 * in the middle of the next outage. */
void strike_galera_left_behind(struct world *w, struct strike *s)
{
    int writer = -1;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        writer = wsrep_of(w, i)->writable_epoch != 0 ? (int)i : writer;
    }
    if (writer < 0 || !wsrep_can_replicate(wsrep_of(w, (unsigned)writer))) {
        return;
    }
    fault_bit(w, s->kind, (unsigned)writer, 0, 35 * SECOND);
    w->galera->is_given_up = true;
    for (unsigned i = wsrep_first(w); i < wsrep_end(w); i++) {
        wsrep_of(w, i)->is_applier_blocked = i != (unsigned)writer;
    }
    int64_t us = draw(&s->rand, SECOND, 3 * SECOND);
    world_at_with(w, w->now_us + us, NULL, kill_all, w, (uint64_t)writer + 1, SLICE_EMPTY);
    world_at_with(w, w->now_us + us + 35 * SECOND, NULL, kill_all, w, 0, SLICE_EMPTY);
}
