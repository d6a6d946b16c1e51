/* SPDX-License-Identifier: Apache-2.0 */
/* Aimed faults: short plays of several events around a lease, a vote or a change of leaders, at the
 * moments at which a rule of the contract is all that stands between two primaries. Random faults
 * meet such moments too seldom. */
#include <string.h>

#include "tests/sim/faults_db.h"
#include "tests/sim/members.h"
#include "tests/sim/net.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_ops.h"

#define TRANSFER_COOKIE UINT64_C(0x7177)

/* Who plays; the moments are parts of the holder's ttl. */
struct cast {
    unsigned holder;
    unsigned leader;
    unsigned other; /* another node, up */
    int64_t ttl_us;
};

/* False: nobody leads or holds, or the quorum is too small for a play. */
static bool cast_draw(struct world *w, struct strike *s, struct cast *ret)
{
    unsigned cluster = (unsigned)draw(&s->rand, 0, (int64_t)w->setup.clusters - 1);
    int leader = nodes_leader(w), holder = members_holder(w, cluster);
    unsigned first = (unsigned)draw(&s->rand, 0, (int64_t)w->setup.slots - 1);
    if (leader < 0 || holder < 0 || w->setup.nodes < 3) {
        return false;
    }
    *ret = (struct cast){.holder = (unsigned)holder, .leader = (unsigned)leader};
    ret->ttl_us = w->setup.databases[cluster].ttl_ms * MS;
    ret->other = ret->leader;
    for (unsigned i = 0; i < w->setup.slots && ret->other == ret->leader; i++) {
        unsigned node = (first + i) % w->setup.slots;
        ret->other = node_raft(w, node) != NULL ? node : ret->leader;
    }
    return ret->other != ret->leader;
}

static int64_t part(struct strike *s, int64_t whole_us, int64_t from_percent, int64_t to_percent)
{
    return draw(&s->rand, whole_us * from_percent / 100, whole_us * to_percent / 100);
}

/* A later scene. */
struct scene {
    void (*fn)(struct world *w, const struct scene *scene);
    unsigned member, node;
    int64_t for_us;
};

static void scene_play(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct scene scene;
    (void)number;
    memcpy(&scene, bytes.data, sizeof(scene));
    if (w->now_us < w->setup.faults_end_us) {
        scene.fn(w, &scene);
    }
}

static void scene_at(struct world *w, int64_t after_us, struct scene scene)
{
    world_at_with(w, w->now_us + after_us, NULL, scene_play, w, 0,
                  slice_from(&scene, sizeof(scene)));
}

static void cut_reports(struct world *w, unsigned member, unsigned spared, int64_t for_us)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (i != spared) {
            net_cut(w, ADDRESS_AGENT + member, ADDRESS_NODE + i, w->now_us + for_us, false);
        }
    }
}

static void pause_node(struct world *w, unsigned node, int64_t for_us)
{
    if (node_process(w, node)->is_up) {
        process_pause(w, node_process(w, node), for_us);
    }
}

static void scene_cut_reports(struct world *w, const struct scene *scene)
{
    cut_reports(w, scene->member, scene->node, scene->for_us);
}

static void scene_pause_node(struct world *w, const struct scene *scene)
{
    pause_node(w, scene->node, scene->for_us);
}

static void scene_power(struct world *w, const struct scene *scene)
{
    member_power_off(w, scene->member, scene->for_us);
}

/* The leader stands still while another is elected; the holder is heard by the old one alone, which
 * wakes up when the new one's wait ends. */
void strike_hidden_holder(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    int64_t for_us = c.ttl_us + part(s, c.ttl_us, 0, 60) + draw(&s->rand, 0, 600 * MS);
    fault_bit(w, s->kind, c.holder, c.leader, for_us);
    cut_reports(w, c.holder, c.leader, for_us + 2 * c.ttl_us);
    pause_node(w, c.leader, for_us);
}

/* Grants are late on their way, and then the holder is heard no more. */
void strike_late_grant(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    int64_t extra_us = part(s, c.ttl_us, 15, 85), for_us = draw(&s->rand, 200 * MS, SECOND);
    fault_bit(w, s->kind, c.holder, c.leader, extra_us);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        net_slow(w, ADDRESS_NODE + i, ADDRESS_AGENT + c.holder, w->now_us + for_us + 2 * c.ttl_us,
                 extra_us);
    }
    scene_at(w, for_us, (struct scene){scene_cut_reports, c.holder, w->setup.slots, 3 * c.ttl_us});
}

/* Leadership is moved to a node whose requests for votes are slow, and that does not hear the
 * holder; the old leader hears of it last. */
void strike_slow_vote(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c) || node_raft(w, c.leader) == NULL) {
        return;
    }
    int64_t extra_us = part(s, c.ttl_us, 8, 30),
            until_us = w->now_us + draw(&s->rand, 300 * MS, SECOND);
    if (raft_node_transfer(node_raft(w, c.leader), node_id(w, c.other), TRANSFER_COOKIE) != 0) {
        return;
    }
    fault_bit(w, s->kind, c.other, c.leader, extra_us);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        net_slow(w, ADDRESS_NODE + c.other, ADDRESS_NODE + i, until_us, extra_us);
    }
    net_cut(w, ADDRESS_NODE + c.other, ADDRESS_NODE + c.leader, until_us + SECOND, false);
    net_cut(w, ADDRESS_AGENT + c.holder, ADDRESS_NODE + c.other, w->now_us + 4 * c.ttl_us, false);
}

/* What the others answer reaches the leader late, and they choose another one meanwhile. */
void strike_late_answers(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    int64_t extra_us = draw(&s->rand, 150 * MS, 480 * MS),
            after_us = draw(&s->rand, 20 * MS, 200 * MS);
    fault_bit(w, s->kind, c.leader, c.holder, extra_us);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (i == c.leader) {
            continue;
        }
        net_slow(w, ADDRESS_NODE + i, ADDRESS_NODE + c.leader, w->now_us + 2 * SECOND, extra_us);
        net_cut(w, ADDRESS_NODE + c.leader, ADDRESS_NODE + i, w->now_us + after_us + SECOND, false);
        net_cut(w, ADDRESS_AGENT + c.holder, ADDRESS_NODE + i, w->now_us + 4 * c.ttl_us, false);
    }
}

static void scene_stall_swap(struct world *w, const struct scene *scene)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (i != scene->node) {
            disk_hang_until(node_log(w, i), w->now_us + scene->for_us);
        }
    }
}

/* The holder is not heard until its lease is over; the entry that replaces it stalls on the others'
 * disks, leadership goes and comes back, and the holder is heard again. */
void strike_swap_stalls(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    int64_t over_us = c.ttl_us * 101 / 100;
    fault_bit(w, s->kind, c.holder, c.leader, over_us);
    cut_reports(w, c.holder, w->setup.slots, over_us + draw(&s->rand, 0, 120 * MS));
    scene_at(w, over_us - draw(&s->rand, 0, 150 * MS),
             (struct scene){scene_stall_swap, 0, c.leader, draw(&s->rand, 100 * MS, 900 * MS)});
    scene_at(w, over_us + draw(&s->rand, 0, 100 * MS),
             (struct scene){scene_pause_node, 0, c.leader, draw(&s->rand, 150 * MS, 700 * MS)});
}

static void scene_mute(struct world *w, const struct scene *scene)
{
    cut_reports(w, scene->member, w->setup.slots, scene->for_us);
}

static void scene_agent(struct world *w, const struct scene *scene)
{
    if (member_of(w, scene->member)->agent_process.is_up) {
        member_crash_agent(w, scene->member, 10 * MS);
    }
}

/* A failover begins, is ended by a grant to the holder, which then dies in earnest; a standby that
 * had voted forgets all but its disk and is not heard in between. */
void strike_vote_in_vain(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    int64_t back_us = c.ttl_us * 101 / 100 + draw(&s->rand, 20 * MS, 300 * MS);
    const struct db_setup *d = database_of(w, c.holder);
    unsigned standby = d->first + (unsigned)draw(&s->rand, 0, (int64_t)d->members - 1);
    fault_bit(w, s->kind, c.holder, standby, back_us);
    cut_reports(w, c.holder, w->setup.slots, back_us);
    scene_at(w, back_us - draw(&s->rand, 0, back_us / 100),
             (struct scene){scene_agent, standby, 0, 0});
    scene_at(w, back_us + draw(&s->rand, 0, 40 * MS),
             (struct scene){scene_mute, standby, 0, 6 * SECOND});
    scene_at(w, back_us + draw(&s->rand, 300 * MS, 2 * SECOND),
             (struct scene){scene_power, c.holder, 0, draw(&s->rand, SECOND, 6 * SECOND)});
}

static void scene_short_life(struct world *w, const struct scene *scene)
{
    for (unsigned i = 0; i < w->setup.slots; i++) {
        net_cut(w, ADDRESS_NODE + i, ADDRESS_AGENT + scene->member, w->now_us + scene->for_us,
                true);
    }
    member_crash_agent(w, scene->member, 20 * MS);
}

/* An agent lives twice for a short while, and what was said to the first hangs on its way until the
 * second is as old; then nobody hears it. */
void strike_short_lives(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c) || !member_of(w, c.holder)->agent_process.is_up) {
        return;
    }
    int64_t life_us = draw(&s->rand, 150 * MS, 900 * MS);
    fault_bit(w, s->kind, c.holder, 0, life_us);
    member_crash_agent(w, c.holder, 10 * MS);
    scene_at(w, life_us,
             (struct scene){scene_short_life, c.holder, 0, life_us + draw(&s->rand, 0, 200 * MS)});
    scene_at(w, life_us + 30 * MS, (struct scene){scene_mute, c.holder, 0, 3 * c.ttl_us});
}

/* The present holder goes as soon as it has handed back, and its last grants come late. */
static void scene_crash_database(struct world *w, const struct scene *scene)
{
    struct pg *pg = pg_of(w, scene->member);
    if (pg->process->is_up && pg->is_root_alive) {
        pg_root_killed(pg);
    }
}

void strike_crash_with_grant(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    int64_t extra_us = draw(&s->rand, 50 * MS, 500 * MS);
    fault_bit(w, s->kind, c.holder, 0, extra_us);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        net_slow(w, ADDRESS_NODE + i, ADDRESS_AGENT + c.holder, w->now_us + SECOND, extra_us);
    }
    scene_at(w, draw(&s->rand, 50 * MS, 500 * MS),
             (struct scene){scene_crash_database, c.holder, 0, 0});
}

/* A line of the primary that nobody else gets, and then another primary. */
void strike_divergent_tail(struct world *w, struct strike *s)
{
    struct cast c;
    int64_t alone_us = draw(&s->rand, 300 * MS, 3 * SECOND);
    if (!cast_draw(w, s, &c)) {
        return;
    }
    const struct db_setup *d = database_of(w, c.holder);
    fault_bit(w, s->kind, c.holder, 0, alone_us);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if (i != c.holder) {
            fault_cut_both(w, ADDRESS_DB + c.holder, ADDRESS_DB + i, alone_us + 5 * c.ttl_us,
                           false);
        }
    }
    scene_at(w, alone_us,
             (struct scene){scene_cut_reports, c.holder, w->setup.slots, 4 * c.ttl_us});
}

/* A standby, then the primary; or the other way round. */
void strike_two_hosts(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    const struct db_setup *d = database_of(w, c.holder);
    unsigned standby = d->first + (unsigned)draw(&s->rand, 0, (int64_t)d->members - 1);
    bool is_primary_first = chance(&s->rand, 500000);
    unsigned first = is_primary_first ? c.holder : standby;
    unsigned second = is_primary_first ? standby : c.holder;
    int64_t gap_us = chance(&s->rand, 500000) ? draw(&s->rand, MS, 200 * MS)
                                              : draw(&s->rand, 200 * MS, 3 * c.ttl_us);
    if (first == second || !member_of(w, first)->has_power) {
        return;
    }
    fault_bit(w, s->kind, first, second, gap_us);
    member_power_off(w, first, draw(&s->rand, SECOND, 10 * SECOND));
    scene_at(w, gap_us,
             (struct scene){scene_power, second, 0, draw(&s->rand, SECOND, 10 * SECOND)});
}

/* A deposed leader that has not heard of its end is asked by agents that have just begun, while the
 * databases go on in a later epoch. */
void strike_old_leader(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c) || node_raft(w, c.leader) == NULL ||
        raft_node_transfer(node_raft(w, c.leader), node_id(w, c.other), TRANSFER_COOKIE) != 0) {
        return;
    }
    const struct db_setup *d = database_of(w, c.holder);
    int64_t alone_us = draw(&s->rand, SECOND, 2 * SECOND);
    fault_bit(w, s->kind, c.leader, c.other, alone_us);
    for (unsigned i = 0; i < w->setup.slots; i++) {
        if (i != c.leader) {
            net_cut(w, ADDRESS_NODE + i, ADDRESS_NODE + c.leader, w->now_us + alone_us, false);
        }
    }
    scene_at(w, draw(&s->rand, 5 * MS, 60 * MS),
             (struct scene){scene_crash_database, c.holder, 0, 0});
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        for (int64_t at_us = 120 * MS; at_us < 700 * MS; at_us += 150 * MS) {
            scene_at(w, at_us + draw(&s->rand, 0, 100 * MS), (struct scene){scene_agent, i, 0, 0});
        }
    }
}

/* Asynchronous: nobody gets anything for seconds, while the quorum hears how far the primary is,
 * and then the primary is without power for long. */
static bool all_lag_behind(struct world *w, struct strike *s, const struct cast *c)
{
    const struct db_setup *d = database_of(w, c->holder);
    struct msg_record record;
    int64_t for_us = draw(&s->rand, SECOND, 5 * SECOND);
    if (!truth_ops_record(w, cluster_of(w, c->holder), &record) ||
        record.sync_mode != MSG_SYNC_ASYNC) {
        return false;
    }
    fault_bit(w, s->kind, c->holder, c->holder, for_us);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if (i != c->holder) {
            fault_cut_both(w, ADDRESS_DB + c->holder, ADDRESS_DB + i, for_us + SECOND, false);
        }
    }
    scene_at(w, for_us, (struct scene){scene_power, c->holder, 0, 4 * c->ttl_us + 3 * SECOND});
    return true;
}

/* A standby comes back and stays seconds behind, and the one that has acknowledged instead of it
 * dies, or is not heard by the quorum: what the set is changed for must have been waited for. */
void strike_lagging_standby(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c) || all_lag_behind(w, s, &c) || database_of(w, c.holder)->members < 3) {
        return;
    }
    const struct db_setup *d = database_of(w, c.holder);
    unsigned place = c.holder - d->first, from = (unsigned)draw(&s->rand, 1, d->members - 1);
    unsigned late = d->first + (place + from) % d->members;
    bool is_away = chance(&s->rand, 400000), is_dead = chance(&s->rand, 300000);
    int64_t away_us = is_away ? 2 * c.ttl_us + draw(&s->rand, SECOND, 3 * SECOND) : 0;
    int64_t slow_us = draw(&s->rand, 800 * MS, 2800 * MS);
    fault_bit(w, s->kind, late, c.holder, slow_us);
    net_slow(w, ADDRESS_DB + c.holder, ADDRESS_DB + late,
             w->now_us + away_us + 4 * c.ttl_us + 5 * SECOND, slow_us);
    if (is_away) {
        fault_cut_both(w, ADDRESS_DB + c.holder, ADDRESS_DB + late, away_us, false);
    }
    int64_t after_us = away_us + draw(&s->rand, SECOND, 4 * SECOND);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if (i != late && i != c.holder) {
            struct scene scene = {is_dead ? scene_power : scene_mute, i, 0, 4 * c.ttl_us};
            scene_at(w, after_us, scene);
        }
    }
}

static void scene_switchover(struct world *w, const struct scene *scene)
{
    (void)nodes_switchover(w, cluster_of(w, scene->member));
}

/* What standbys acknowledge is lost, so that the primary gives their streams up before they see it;
 * then it is told to stop in order, and nobody gets its last records. */
void strike_deaf_primary(struct world *w, struct strike *s)
{
    struct cast c;
    if (!cast_draw(w, s, &c)) {
        return;
    }
    const struct db_setup *d = database_of(w, c.holder);
    int64_t for_us = draw(&s->rand, 4 * SECOND, 9 * SECOND);
    fault_bit(w, s->kind, c.holder, 0, for_us);
    for (unsigned i = d->first; i < d->first + d->members; i++) {
        if (i != c.holder) {
            net_cut(w, ADDRESS_DB + i, ADDRESS_DB + c.holder, w->now_us + for_us, false);
        }
    }
    for (int64_t at_us = 3050 * MS; at_us < 6 * SECOND; at_us += 700 * MS) {
        scene_at(w, at_us + draw(&s->rand, 0, 600 * MS),
                 (struct scene){scene_switchover, c.holder, 0, 0});
    }
}
