/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of MongoDB replica sets, exhaustively where that is small: the formulas of majorities,
 * layouts, merged opinions, the steps to a layout, forced reconfigurations of every split.
 */
#include "tests/support/cm.h"

#include "arbiter/core/mongodb_rules.h"
#include "arbiter/core/names.h"
#include "base/canary.h"
#include "base/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEMBERS 7

static struct base_name name_of(unsigned n)
{
    struct base_name name;
    char text[8];
    (void)snprintf(text, sizeof(text), "mg%u", n);
    assert_int_equal(base_name_from_text(text, &name), 0);
    return name;
}

static struct msg_mongodb_host host_of(unsigned n)
{
    struct msg_mongodb_host host = {{0}};
    (void)snprintf(host.text, sizeof(host.text), "10.0.0.%u:27017", n);
    return host;
}

/* --- a set, all of whose members agree --- */

static struct base_name members[MEMBERS];
static struct msg_mongodb_report reports[MEMBERS];
static struct mdb_opinion opinions[MEMBERS];

/* Member 0 is primary; the last `arbiters` are arbiters. */
static void make_set(unsigned count, unsigned arbiters)
{
    for (unsigned n = 0; n < MEMBERS; n++) {
        members[n] = name_of(n);
        reports[n] = (struct msg_mongodb_report){.state = MSG_MONGODB_SECONDARY};
        opinions[n] =
            (struct mdb_opinion){&members[n], n < count ? &reports[n] : NULL, host_of(n), 100};
    }
    for (unsigned n = 0; n < count; n++) {
        struct msg_mongodb_report *r = &reports[n];
        bool is_arbiter = n >= count - arbiters;
        r->state = n == 0       ? MSG_MONGODB_PRIMARY
                   : is_arbiter ? MSG_MONGODB_ARBITER
                                : MSG_MONGODB_SECONDARY;
        r->is_writable = n == 0;
        r->self = host_of(n);
        r->primary = host_of(0);
        r->term = 4;
        r->config = (struct msg_mongodb_version){4, 9};
        r->is_config_known = r->has_data = true;
        r->majority = (uint8_t)(count / 2 + 1);
        r->live_voters = (uint8_t)count;
        r->oplog_s = 86400;
        r->applied = r->committed = (struct msg_mongodb_optime){4, 1000};
        for (unsigned k = 0; k < count; k++) {
            r->peers[r->peers_count++] = (struct msg_mongodb_peer){
                .id = k,
                .host = host_of(k),
                .votes = 1,
                .priority_x10 = k >= count - arbiters ? 0 : 10,
                .is_arbiter = k >= count - arbiters,
                .is_self = k == n,
                .is_healthy = true,
                .state = (uint8_t)(k == 0 ? 1 : (k >= count - arbiters ? 7 : 2))};
        }
    }
}

/* Only those of `alive` run and hear each other; the agents of `heard` speak. */
static void split(unsigned count, unsigned alive, unsigned heard)
{
    unsigned up = (unsigned)__builtin_popcount(alive);
    for (unsigned n = 0; n < count; n++) {
        reports[n].live_voters = (uint8_t)up;
        if ((alive >> n & 1) == 0) {
            reports[n].state = MSG_MONGODB_DOWN;
            reports[n].is_writable = false;
            reports[n].hello_age_ms = UINT32_MAX;
        }
        if (up < count / 2 + 1) {
            reports[n].is_writable = false;
            reports[n].primary = (struct msg_mongodb_host){{0}};
            if ((alive >> n & 1) != 0 && !reports[n].peers[n].is_arbiter) {
                reports[n].state = MSG_MONGODB_SECONDARY;
            }
        }
        if ((heard >> n & 1) == 0) {
            opinions[n].heard_ms = 60000;
        }
        for (unsigned k = 0; k < count; k++) {
            reports[n].peers[k].is_healthy = (alive >> k & 1) != 0;
        }
    }
}

static struct mdb_set merged(unsigned count)
{
    struct mdb_set set;
    mdb_merge(opinions, (uint8_t)count, &set);
    return set;
}

/* --- arithmetic --- */

/* Written down from the manual's table, not computed. */
static void test_formulas_of_the_manual(void **state)
{
    static const struct {
        unsigned data, arbiters;
        unsigned majority, write_majority;
        bool is_one;
    } rows[] = {{3, 0, 2, 2, false}, {2, 1, 2, 2, true},  {3, 1, 3, 3, true},
                {5, 0, 3, 3, false}, {4, 1, 3, 3, false}, {1, 0, 1, 1, false},
                {2, 0, 2, 2, false}, {1, 1, 2, 1, true},  {1, 2, 2, 1, true}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        make_set(rows[i].data + rows[i].arbiters, rows[i].arbiters);
        struct mdb_layout l = mdb_layout_of(reports[0].peers, reports[0].peers_count);
        assert_int_equal(l.data, rows[i].data);
        assert_int_equal(mdb_majority(l.voters), rows[i].majority);
        assert_int_equal(mdb_write_majority(&l), rows[i].write_majority);
        assert_int_equal(mdb_is_implicit_one(&l), rows[i].is_one);
    }
}

static void test_configurations_in_their_order(void **state)
{
    const struct msg_mongodb_version v[] = {{3, 9}, {4, 2}, {0, 20000}};
    (void)state;
    assert_true(mdb_version_compare(&v[1], &v[0]) > 0);
    assert_true(mdb_version_compare(&v[2], &v[1]) > 0); /* forced: its version jumps */
    assert_true(mdb_version_compare(&v[0], &v[2]) < 0);
    assert_int_equal(mdb_version_compare(&v[1], &v[1]), 0);
}

/* --- opinions --- */

/* An order is given only with a majority alive by fresh opinions, a primary among them and a second
 * opinion: every set of up to five, every subset alive, every subset heard. */
static void test_orders_need_a_majority_and_two_opinions(void **state)
{
    (void)state;
    for (unsigned count = 1; count <= 5; count++) {
        for (unsigned alive = 0; alive < 1u << count; alive++) {
            for (unsigned heard = 0; heard < 1u << count; heard++) {
                make_set(count, 0);
                split(count, alive, heard);
                struct mdb_set set = merged(count);
                uint8_t at;
                bool may = mdb_may_order(&set, opinions, &at) == ARB_REFUSE_NONE;
                unsigned up = (unsigned)__builtin_popcount(alive);
                unsigned told = (unsigned)__builtin_popcount(alive & heard);
                bool should =
                    up >= count / 2 + 1 && (alive & heard & 1) != 0 && (count == 1 || told >= 2);
                assert_int_equal(may, should);
            }
        }
    }
}

static void test_no_quorum_is_said_by_agents_alone(void **state)
{
    struct mdb_context x = {.is_initiated = true, .is_any_heard = true, .no_primary_ms = 60000};
    (void)state;
    make_set(3, 0);
    split(3, 1, 1); /* one lives, and its agent is heard */
    struct mdb_set set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_NO_QUORUM);
    make_set(2, 0); /* the only voter is down, as the other one says */
    split(2, 2, 2);
    reports[1].peers[1].votes = 0;
    reports[1].majority = 1;
    reports[1].live_voters = 0;
    set = merged(2);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_NO_QUORUM);
    make_set(3, 0);
    split(3, 7, 0); /* all live and nobody is heard */
    set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_UNKNOWN);
    make_set(3, 0);
    split(3, 3, 1); /* two live, of which the other one just starts: a majority is there */
    reports[0].is_writable = false;
    reports[0].state = MSG_MONGODB_SECONDARY;
    reports[0].peers[1].state = 0;
    set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_UNKNOWN);
    make_set(3, 0);
    split(3, 7, 6); /* the primary's agent is silent: the others see a majority */
    set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_NO_PRIMARY);
    x.no_primary_ms = 5000;
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_DEGRADED);
    make_set(3, 0);
    split(3, 3, 7);
    set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_THIN);
}

static void test_what_degrades_a_set(void **state)
{
    struct mdb_context x = {.is_initiated = true, .is_any_heard = true};
    (void)state;
    make_set(3, 0);
    struct mdb_set set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_HEALTHY);
    x.commit_age_ms = MDB_STALL_MS;
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_HEALTHY);
    x.commit_age_ms = MDB_STALL_MS + 1; /* a primary that commits nothing */
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_COMMIT_STALLED);
    x.commit_age_ms = 0;
    reports[1].state = MSG_MONGODB_STALE; /* the one behind it is well */
    set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_DEGRADED);
    for (unsigned n = 0; n < 3; n++) {
        reports[n].peers[1].votes = 0;
    }
    set = merged(3);
    assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_HEALTHY);
}

static void test_of_two_claims_the_higher_term_is_real(void **state)
{
    struct mdb_context x = {.is_initiated = true, .is_any_heard = true};
    uint8_t at;
    (void)state;
    for (unsigned other = 1; other < 3; other++) {
        make_set(3, 0);
        reports[other].is_writable = true;
        reports[other].state = MSG_MONGODB_PRIMARY;
        reports[other].term = 5;
        struct mdb_set set = merged(3);
        assert_int_equal(set.primary, other);
        assert_int_equal(set.rival, 0);
        assert_int_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_DUAL_CLAIM);
        assert_int_not_equal(mdb_may_order(&set, opinions, &at), ARB_REFUSE_NONE);
        opinions[0].heard_ms = MDB_CLAIM_MS + 1; /* the last word of one that is gone, it seems */
        set = merged(3);
        assert_int_equal(set.rival, 0);
        assert_int_not_equal(mdb_set_state(&set, &x), MSG_MONGODB_SET_DUAL_CLAIM);
        assert_int_not_equal(mdb_may_order(&set, opinions, &at), ARB_REFUSE_NONE);
    }
}

static void test_old_evidence_is_none(void **state)
{
    (void)state;
    make_set(3, 0);
    reports[0].hello_age_ms = 3000;
    opinions[0].heard_ms = 3000; /* six seconds in all */
    struct mdb_set set = merged(3);
    assert_int_equal(set.primary, MDB_NOBODY);
    reports[0].hello_age_ms = 2000; /* five */
    set = merged(3);
    assert_int_equal(set.primary, 0);
    reports[1].hello_age_ms = 0;
    opinions[1].heard_ms = MDB_EVIDENCE_MS;
    assert_true(mdb_is_fresh(&opinions[1]));
    opinions[1].heard_ms++;
    assert_false(mdb_is_fresh(&opinions[1]));
    reports[0].state = MSG_MONGODB_STARTING; /* its agent's word alone */
    reports[0].hello_age_ms = UINT32_MAX;
    opinions[0].heard_ms = MDB_EVIDENCE_MS;
    assert_true(mdb_says_running(&opinions[0]));
    opinions[0].heard_ms++;
    assert_false(mdb_says_running(&opinions[0]));
}

/* Nobody hears its agent: who sees it alive is right, and a number of a later MongoDB says nothing.
 */
static void test_what_others_see_of_one_whose_agent_is_silent(void **state)
{
    (void)state;
    for (unsigned n = 0; n < 2; n++) {
        make_set(3, 0);
        opinions[2].heard_ms = 60000;
        reports[n].peers[2].is_healthy = false;
        struct mdb_set set = merged(3);
        assert_int_equal(set.peers[2].state, MSG_MONGODB_SECONDARY);
        reports[0].peers[2].state = reports[1].peers[2].state = 11;
        set = merged(3);
        assert_false(set.peers[2].is_alive);
    }
}

/* Both for two minutes: the primary that does not hear it, and its agent. */
static void test_a_vote_is_taken_away_after_two_minutes(void **state)
{
    (void)state;
    for (unsigned early = 0; early <= 1; early++) {
        make_set(3, 1);
        split(3, 5, 7);
        reports[0].peers[1].heard_ms = MDB_DEAD_MS - early;
        struct mdb_set set = merged(3);
        enum arb_refusal expected = early == 1 ? ARB_REFUSE_ONE_OPINION : ARB_REFUSE_NONE;
        assert_int_equal(mdb_degrade_check(&set, 1, MDB_DEAD_MS), expected);
        reports[0].peers[1].heard_ms = MDB_DEAD_MS;
        set = merged(3);
        assert_int_equal(mdb_degrade_check(&set, 1, MDB_DEAD_MS - early), expected);
    }
}

/* --- layouts --- */

static uint8_t make_wants(unsigned data, unsigned arbiters, struct mdb_want wants[MEMBERS])
{
    for (unsigned n = 0; n < data + arbiters; n++) {
        wants[n] = (struct mdb_want){.member = &members[n],
                                     .host = host_of(n),
                                     .is_arbiter = n >= data,
                                     .is_ready = true,
                                     .is_ours = true,
                                     .priority_x10 = n >= data ? 0 : 10};
    }
    return (uint8_t)(data + arbiters);
}

static void test_more_than_one_and_all_in_a_zone_are_in_one_zone(void **state)
{
    struct mdb_want wants[MEMBERS];
    uint8_t count = make_wants(3, 0, wants);
    (void)state;
    assert_false(mdb_is_one_zone(wants, count)); /* none is known */
    for (unsigned n = 0; n < count; n++) {
        wants[n].zone.text[0] = 'e';
    }
    assert_true(mdb_is_one_zone(wants, count));
    assert_true(mdb_is_one_zone(wants, 2));
    assert_false(mdb_is_one_zone(wants, 1)); /* nobody else is where it is */
    wants[2].zone.text[0] = 'w';
    assert_false(mdb_is_one_zone(wants, count));
}

static void test_layouts(void **state)
{
    struct mdb_want wants[MEMBERS];
    uint8_t at;
    (void)state;
    for (unsigned data = 1; data <= 5; data++) {
        for (unsigned arbiters = 0; arbiters <= 2; arbiters++) {
            uint8_t count = make_wants(data, arbiters, wants);
            enum arb_refusal why = mdb_layout_check(wants, count, &at);
            enum arb_refusal expected = arbiters == 2                ? ARB_REFUSE_LAYOUT_ARBITERS
                                        : data == 3 && arbiters == 1 ? ARB_REFUSE_LAYOUT_THREE_ONE
                                        : (data + arbiters) % 2 == 0 ? ARB_REFUSE_LAYOUT_EVEN
                                                                     : ARB_REFUSE_NONE;
            assert_int_equal(why, expected);
        }
    }
    uint8_t count = make_wants(2, 1, wants);
    wants[2].host = host_of(1);
    wants[2].host.text[9] = '1'; /* another port of that host */
    assert_int_equal(mdb_layout_check(wants, count, &at), ARB_REFUSE_LAYOUT_SAME_HOST);
    struct mdb_want eight[MEMBERS + 1];
    (void)make_wants(MEMBERS, 0, eight);
    assert_int_equal(mdb_layout_check(eight, MEMBERS, &at), ARB_REFUSE_NONE);
    for (unsigned arbiters = 0; arbiters <= 1; arbiters++) {
        eight[MEMBERS] = (struct mdb_want){
            .host = host_of(MEMBERS), .is_arbiter = arbiters == 1, .priority_x10 = 10};
        assert_int_equal(mdb_layout_check(eight, MEMBERS + 1, &at), ARB_REFUSE_LAYOUT_VOTERS);
    }
    count = make_wants(4, 0, wants);
    wants[0].is_leaving = true;
    assert_int_equal(mdb_layout_check(wants, count, &at), ARB_REFUSE_NONE);
    count = make_wants(3, 0, wants);
    wants[0].priority_x10 = wants[1].priority_x10 = wants[2].priority_x10 = 0;
    assert_int_equal(mdb_layout_check(wants, count, &at), ARB_REFUSE_LAYOUT_NO_PRIMARY);
}

/* The set does what it is told. */
static void apply(const struct mdb_step *step, const struct mdb_want *wants, unsigned count)
{
    static struct msg_mongodb_peer peers[MEMBERS];
    uint8_t peers_count = reports[0].peers_count;
    memcpy(peers, reports[0].peers, sizeof(peers));
    unsigned at = 0;
    while (step->want != MDB_NOBODY && at < peers_count &&
           !mdb_host_equal(&peers[at].host, &wants[step->want].host)) {
        at++;
    }
    const bool is_arbiter = step->want != MDB_NOBODY && wants[step->want].is_arbiter;
    switch ((int)step->kind) {
    case MSG_MONGODB_ORDER_ADD:
        peers[peers_count++] = (struct msg_mongodb_peer){.id = step->want,
                                                         .host = wants[step->want].host,
                                                         .votes = is_arbiter,
                                                         .is_arbiter = is_arbiter,
                                                         .is_healthy = true};
        break;
    case MSG_MONGODB_ORDER_VOTE:
        peers[at].votes = 1;
        assert_int_equal(step->priority_x10, 0); /* never both at once */
        peers[at].priority_x10 = step->priority_x10;
        break;
    case MSG_MONGODB_ORDER_PRIORITY:
        peers[at].priority_x10 = step->priority_x10;
        break;
    case MSG_MONGODB_ORDER_UNVOTE:
        peers[at].votes = 0;
        peers[at].priority_x10 = 0;
        break;
    case MSG_MONGODB_ORDER_REMOVE:
        memmove(&peers[at], &peers[at + 1], (size_t)(peers_count - at - 1) * sizeof(peers[0]));
        peers_count--;
        break;
    default:
        return;
    }
    for (unsigned n = 0; n < count; n++) {
        memcpy(reports[n].peers, peers, sizeof(peers));
        reports[n].peers_count = peers_count;
        reports[n].config.version++;
    }
}

static unsigned voters(void)
{
    return mdb_layout_of(reports[0].peers, reports[0].peers_count).voters;
}

/* From one member to every lawful layout and down again: one vote at a time, the implicit default
 * never changed without an explicit one. */
static void walk(unsigned from, unsigned data, unsigned arbiters)
{
    struct mdb_want wants[MEMBERS];
    enum msg_mongodb_default_concern concern = MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY;
    uint8_t count = make_wants(data, arbiters, wants);
    make_set(data + arbiters, arbiters);
    for (unsigned n = 0; n < count; n++) {
        reports[n].peers_count = (uint8_t)from;
    }
    for (unsigned i = 0; i < 100; i++) {
        struct mdb_set set = merged(count);
        struct mdb_layout before = set.layout;
        struct mdb_step step;
        mdb_next_step(&set, concern, 17, wants, count, 0, false, &step);
        if (step.kind == MSG_MONGODB_ORDER_NONE) {
            assert_int_equal(voters(), data + arbiters);
            assert_int_equal(step.why, ARB_REFUSE_NONE);
            return;
        }
        concern =
            step.kind == MSG_MONGODB_ORDER_CONCERN ? MSG_MONGODB_CONCERN_SET_MAJORITY : concern;
        apply(&step, wants, count);
        struct mdb_layout after = mdb_layout_of(reports[0].peers, reports[0].peers_count);
        assert_in_range(abs((int)after.voters - (int)before.voters), 0, 1);
        assert_true(concern == MSG_MONGODB_CONCERN_SET_MAJORITY ||
                    mdb_is_implicit_one(&before) == mdb_is_implicit_one(&after));
    }
    fail_msg("no end");
}

static void test_every_lawful_layout_is_reached(void **state)
{
    (void)state;
    walk(1, 3, 0);
    walk(1, 2, 1);
    walk(1, 5, 0);
    walk(1, 4, 1);
    walk(3, 5, 0);
    walk(2, 2, 1);
    walk(1, 7, 0);
}

static void test_a_fourth_has_no_vote(void **state)
{
    struct mdb_want wants[MEMBERS];
    struct mdb_step step;
    (void)state;
    uint8_t count = make_wants(4, 0, wants);
    make_set(4, 0);
    for (unsigned n = 0; n < 4; n++) {
        reports[n].peers[3].votes = 0;
        reports[n].peers[3].priority_x10 = 0;
    }
    struct mdb_set set = merged(4);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_NONE);
    assert_int_equal(step.why, ARB_REFUSE_LAYOUT_EVEN);
}

static void test_who_has_caught_up_votes_before_who_has_not(void **state)
{
    struct mdb_want wants[MEMBERS];
    struct mdb_step step;
    (void)state;
    uint8_t count = make_wants(5, 0, wants);
    make_set(5, 0);
    for (unsigned n = 0; n < 5; n++) {
        for (unsigned k = 3; k < 5; k++) {
            reports[n].peers[k].votes = 0;
            reports[n].peers[k].priority_x10 = 0;
        }
    }
    reports[3].state = MSG_MONGODB_SYNCING;
    struct mdb_set set = merged(5);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_VOTE);
    assert_int_equal(step.want, 4);
}

/* One is left of three, one of the two comes back, the other may: over two voters to three. */
static void test_the_way_back_to_three_leads_over_two(void **state)
{
    struct mdb_want wants[MEMBERS];
    struct mdb_step step;
    (void)state;
    uint8_t count = make_wants(2, 0, wants);
    make_set(2, 0);
    for (unsigned n = 0; n < 2; n++) {
        reports[n].peers[1].votes = 0;
        reports[n].peers[1].priority_x10 = 0;
    }
    struct mdb_set set = merged(2);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.why, ARB_REFUSE_LAYOUT_EVEN);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 3, false, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_VOTE);
}

/* The first one is watched, not led. */
static void test_a_priority_of_ours_is_put_right_wherever_it_stands(void **state)
{
    struct mdb_want wants[MEMBERS];
    struct mdb_step step;
    (void)state;
    uint8_t count = make_wants(3, 0, wants);
    make_set(3, 0);
    wants[0].is_ours = false;
    for (unsigned n = 0; n < 3; n++) {
        reports[n].peers[0].priority_x10 = reports[n].peers[2].priority_x10 = 50;
    }
    struct mdb_set set = merged(3);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_PRIORITY);
    assert_int_equal(step.want, 2);
    assert_int_equal(step.priority_x10, 10);
    assert_true(step.is_drift);
}

static void test_who_leaves_loses_the_vote_first(void **state)
{
    struct mdb_want wants[MEMBERS];
    struct mdb_step step;
    (void)state;
    uint8_t count = make_wants(5, 0, wants);
    make_set(5, 0);
    wants[4].is_leaving = true;
    struct mdb_set set = merged(5);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_UNVOTE);
    apply(&step, wants, 5);
    set = merged(5);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_REMOVE);
    count = make_wants(4, 1, wants);
    make_set(5, 1);
    wants[3].is_leaving = true; /* what a write waits for by default becomes one copy */
    wants[4].is_ours = false;
    set = merged(5);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_IMPLICIT_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_CONCERN);
    count = make_wants(3, 0, wants);
    make_set(3, 0);
    wants[2].is_leaving = true;
    set = merged(3);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, false, &step);
    assert_int_equal(step.why, ARB_REFUSE_LAYOUT_TOO_FEW);
    mdb_next_step(&set, MSG_MONGODB_CONCERN_SET_MAJORITY, 17, wants, count, 0, true, &step);
    assert_int_equal(step.kind, MSG_MONGODB_ORDER_UNVOTE);
}

/* It is back when it has both again; its vote comes first, and only after a minute. */
static void test_a_vote_comes_back_before_its_priority(void **state)
{
    static const struct {
        uint8_t votes;
        uint16_t priority_x10;
        uint32_t back_ms;
        bool is_restored;
        enum msg_mongodb_order_kind step;
    } rows[] = {{0, 0, MDB_BACK_MS - 1, false, MSG_MONGODB_ORDER_NONE},
                {0, 0, MDB_BACK_MS, false, MSG_MONGODB_ORDER_VOTE},
                {1, 0, MDB_BACK_MS, false, MSG_MONGODB_ORDER_PRIORITY},
                {1, 20, 0, false, MSG_MONGODB_ORDER_PRIORITY},
                {1, 10, 0, true, MSG_MONGODB_ORDER_NONE}};
    (void)state;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        make_set(3, 1);
        for (unsigned n = 0; n < 3; n++) {
            reports[n].peers[1].votes = rows[i].votes;
            reports[n].peers[1].priority_x10 = rows[i].priority_x10;
        }
        struct mdb_set set = merged(3);
        assert_int_equal(mdb_is_restored(&set, 1, 10), rows[i].is_restored);
        if (rows[i].is_restored) {
            continue;
        }
        assert_int_equal(mdb_restore_step(&set, 1, rows[i].back_ms), rows[i].step);
        reports[1].lag_ms = MDB_CAUGHT_UP_LAG_MS;
        set = merged(3);
        assert_int_equal(mdb_restore_step(&set, 1, rows[i].back_ms), MSG_MONGODB_ORDER_NONE);
        reports[1].lag_ms = 0;
        reports[1].state = MSG_MONGODB_RECOVERING;
        set = merged(3);
        assert_int_equal(mdb_restore_step(&set, 1, rows[i].back_ms), MSG_MONGODB_ORDER_NONE);
    }
}

/* --- kill, resync --- */

static void test_no_kill_without_the_opt_in_and_the_others(void **state)
{
    (void)state;
    for (unsigned alive = 0; alive < 8; alive++) {
        for (unsigned heard = 0; heard < 8; heard++) {
            for (int gray = 0; gray < 3; gray++) {
                make_set(3, 0);
                split(3, alive | 1, heard | 1);
                struct mdb_set set = merged(3);
                struct msg_mongodb_policy policy = {.gray = (enum msg_mongodb_gray)gray};
                bool may = mdb_kill_check(&set, opinions, 0, &policy) == ARB_REFUSE_NONE;
                bool should = gray == MSG_MONGODB_GRAY_KILL && (alive & heard & 6) == 6;
                assert_int_equal(may, should);
            }
        }
    }
    make_set(3, 0);
    reports[0].is_adopted = true;
    struct mdb_set set = merged(3);
    struct msg_mongodb_policy policy = {.gray = MSG_MONGODB_GRAY_KILL};
    assert_int_equal(mdb_kill_check(&set, opinions, 0, &policy), ARB_REFUSE_WATCHED);
}

static void test_the_last_good_copy_is_not_emptied(void **state)
{
    (void)state;
    make_set(3, 0);
    reports[1].state = reports[2].state = MSG_MONGODB_STALE;
    struct mdb_set set = merged(3);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, false), ARB_REFUSE_NONE);
    reports[0].oplog_s = 600; /* too short for a new sync */
    set = merged(3);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, false), ARB_REFUSE_NO_OTHER_COPY);
    reports[0].oplog_s = 2000; /* enough for little, not for much */
    reports[0].data_bytes = UINT64_C(1) << 30;
    set = merged(3);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, false), ARB_REFUSE_NONE);
    reports[0].data_bytes = UINT64_C(100) << 30;
    set = merged(3);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, false), ARB_REFUSE_NO_OTHER_COPY);
    reports[0].oplog_s = 86400;
    set = merged(3);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, false), ARB_REFUSE_NONE);
    assert_int_equal(mdb_sync_expected_s(0), MDB_SYNC_EXPECTED_S);
    assert_int_equal(mdb_sync_expected_s(UINT64_C(100) << 30), 6030);
    assert_int_equal(mdb_sync_expected_s(UINT64_MAX), UINT32_MAX);
    reports[2].state = MSG_MONGODB_SYNCING; /* one at a time */
    set = merged(3);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, true), ARB_REFUSE_JOINING);
    make_set(3, 0);
    set = merged(3);
    assert_int_equal(mdb_resync_check(&set, opinions, 0, true), ARB_REFUSE_IS_HOLDER);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, false), ARB_REFUSE_NOTHING_PENDING);
    make_set(
        2, 0); /* two of two: its vote is needed; of a stale one a person may say that it is not */
    set = merged(2);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, true), ARB_REFUSE_STILL_NEEDED);
    reports[1].state = MSG_MONGODB_STALE;
    set = merged(2);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, false), ARB_REFUSE_STILL_NEEDED);
    assert_int_equal(mdb_resync_check(&set, opinions, 1, true), ARB_REFUSE_NONE);
}

/* Stopping costs a vote that is there; who is down, or has none, costs nothing. */
static void test_a_restart_never_costs_the_majority(void **state)
{
    (void)state;
    uint8_t in_the_way = MDB_NOBODY;
    make_set(3, 0);
    struct mdb_set set = merged(3);
    assert_int_equal(mdb_restart_check(&set, 0, &in_the_way), ARB_REFUSE_IS_HOLDER);
    assert_int_equal(mdb_restart_check(&set, 2, &in_the_way), ARB_REFUSE_NONE);
    split(3, 3, 7); /* the last is down: it is what is to be started, and nobody else is stopped */
    set = merged(3);
    assert_int_equal(mdb_restart_check(&set, 2, &in_the_way), ARB_REFUSE_NONE);
    assert_int_equal(mdb_restart_check(&set, 1, &in_the_way), ARB_REFUSE_NOT_SECONDARY);
    assert_int_equal(in_the_way, 2);
    make_set(2, 0);
    set = merged(2);
    assert_int_equal(mdb_restart_check(&set, 1, &in_the_way), ARB_REFUSE_STILL_NEEDED);
    make_set(3, 0); /* the last has no vote: two of two are left without it */
    for (unsigned n = 0; n < 3; n++) {
        reports[n].peers[2].votes = 0;
        reports[n].peers[2].priority_x10 = 0;
    }
    set = merged(3);
    assert_int_equal(mdb_restart_check(&set, 2, &in_the_way), ARB_REFUSE_NONE);
    assert_int_equal(mdb_restart_check(&set, 1, &in_the_way), ARB_REFUSE_STILL_NEEDED);
}

/* --- force --- */

/* Every set of up to five, every split of it in two: of its sides at most one is ever given, and
 * none while a majority lives. The agents of one side are heard, those of the other are not; a
 * person may say anything about who is destroyed but never of somebody who is heard alive. */
static void test_two_sides_of_a_split_are_never_both_forced(void **state)
{
    (void)state;
    for (unsigned count = 2; count <= 5; count++) {
        unsigned all = (1u << count) - 1;
        for (unsigned side = 1; side < all; side++) {
            struct msg_mongodb_record record = {.order = {.kind = MSG_MONGODB_ORDER_NONE}};
            struct msg_names given[2] = {{0}, {0}};
            for (unsigned turn = 0; turn < 2; turn++) {
                unsigned here = turn == 0 ? side : all & ~side;
                struct mdb_destroyed destroyed = {.names = {0}};
                struct mdb_force_plan plan;
                make_set(count, 0);
                split(count, here, here);
                for (unsigned n = 0; n < count; n++) {
                    record.places[n] = (struct msg_mongodb_place){members[n], host_of(n)};
                    if ((here >> n & 1) == 0) {
                        assert_int_equal(arb_names_add(&destroyed.names, &members[n]), 0);
                    }
                }
                record.places_count = (uint8_t)count;
                struct mdb_set set = merged(count);
                enum arb_refusal why =
                    mdb_force_plan(&set, opinions, (uint8_t)count, &record, &destroyed, &plan);
                bool has_majority = (unsigned)__builtin_popcount(here) >= count / 2 + 1;
                assert_true(!has_majority || why != ARB_REFUSE_NONE);
                if (why == ARB_REFUSE_NONE) {
                    given[turn] = plan.force.survivors;
                    assert_int_equal(arb_names_unite(&record.barred, &plan.force.lost), 0);
                }
                destroyed.names = (struct msg_names){0}; /* without a word nobody is fenced */
                assert_int_not_equal(
                    mdb_force_plan(&set, opinions, (uint8_t)count, &record, &destroyed, &plan),
                    ARB_REFUSE_NONE);
            }
            assert_true(given[0].count == 0 || given[1].count == 0);
        }
    }
}

static void test_a_token_is_bound_to_everything(void **state)
{
    (void)state;
    struct base_name a = name_of(1);
    struct base_name b = name_of(2);
    struct msg_mongodb_force given = {
        .token = 77, .given_epoch = 5, .config = {4, 9}, .freshest = a};
    assert_int_equal(arb_names_add(&given.survivors, &a), 0);
    struct msg_mongodb_force now = given;
    assert_int_equal(mdb_token_check(&given, 77, 5, &now), ARB_REFUSE_NONE);
    assert_int_equal(mdb_token_check(&given, 78, 5, &now), ARB_REFUSE_TOKEN_VOID);
    assert_int_equal(mdb_token_check(&given, 0, 5, &now), ARB_REFUSE_TOKEN_VOID);
    assert_int_equal(mdb_token_check(&given, 77, 6, &now), ARB_REFUSE_TOKEN_VOID);
    now.config.version++;
    assert_int_equal(mdb_token_check(&given, 77, 5, &now), ARB_REFUSE_TOKEN_VOID);
    now = given;
    assert_int_equal(arb_names_add(&now.survivors, &b), 0);
    assert_int_equal(mdb_token_check(&given, 77, 5, &now), ARB_REFUSE_TOKEN_VOID);
    now = given;
    now.freshest = b;
    assert_int_equal(mdb_token_check(&given, 77, 5, &now), ARB_REFUSE_TOKEN_VOID);
    given.token = 0; /* spent */
    now = given;
    assert_int_equal(mdb_token_check(&given, 0, 5, &now), ARB_REFUSE_TOKEN_VOID);
}

/* --- records --- */

static struct msg_mongodb_record record_with(enum msg_mongodb_order_kind kind, uint64_t epoch)
{
    struct msg_mongodb_record r = {.is_initiated = true};
    r.order = (struct msg_mongodb_order){
        .epoch = epoch, .kind = kind, .state = MSG_MONGODB_ORDER_OPEN, .member = name_of(1)};
    return r;
}

static void test_records_follow_each_other(void **state)
{
    (void)state;
    struct msg_mongodb_record old = record_with(MSG_MONGODB_ORDER_VOTE, 3);
    struct msg_mongodb_record next = record_with(MSG_MONGODB_ORDER_ADD, 4);
    assert_false(mdb_record_follows(&old, 3, &next, 4)); /* one is open */
    old.order.state = MSG_MONGODB_ORDER_DONE;
    assert_true(mdb_record_follows(&old, 3, &next, 4));
    next.order.epoch = 3;
    assert_false(mdb_record_follows(&old, 3, &next, 3)); /* each in an epoch of its own */
    next = record_with(MSG_MONGODB_ORDER_INITIATE, 4);
    assert_false(mdb_record_follows(&old, 3, &next, 4)); /* never again */
    next = record_with(MSG_MONGODB_ORDER_FORCE, 4);
    next.force.done_epoch = 4;
    assert_false(mdb_record_follows(&old, 3, &next, 4)); /* without a token */
    old.force = (struct msg_mongodb_force){.token = 9, .given_epoch = 3};
    assert_true(mdb_record_follows(&old, 3, &next, 4));
    next.force.token = 9; /* not spent */
    assert_false(mdb_record_follows(&old, 3, &next, 4));
    old.force.given_epoch = 2;
    next.force.token = 0;
    assert_false(mdb_record_follows(&old, 3, &next, 4));
    next = old;
    assert_false(mdb_record_follows(&old, 3, &next, 4)); /* an epoch is an order's */
    assert_true(mdb_record_follows(&old, 3, &next, 3));
}

static void test_records_that_cannot_be(void **state)
{
    struct msg_mongodb_record good = record_with(MSG_MONGODB_ORDER_VOTE, 3);
    (void)state;
    good.places[0] = (struct msg_mongodb_place){name_of(1), host_of(1)};
    good.places[1] = (struct msg_mongodb_place){name_of(2), host_of(2)};
    good.places_count = 2;
    good.force.given_epoch = good.force.done_epoch = 3;
    good.barred = (struct msg_names){1, {name_of(2)}};
    good.barred_epoch = 3;
    assert_true(mdb_record_check(&good, 3));
    struct msg_mongodb_record bad[13];
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        bad[i] = good;
    }
    bad[0].order.kind = MSG_MONGODB_ORDER_COUNT;
    bad[1].order.kind = MSG_MONGODB_ORDER_NONE;
    bad[2].order.state = MSG_MONGODB_ORDER_IDLE; /* of some kind */
    bad[3].order.epoch = 2;                      /* open, and not the last one */
    bad[4].order.epoch = 4;
    bad[5].order.state = MSG_MONGODB_ORDER_DONE; /* of no epoch */
    bad[5].order.epoch = 0;
    bad[6].order.phase = MSG_MONGODB_PHASE_FREEZE; /* a switchover has phases */
    bad[7].order.kind = MSG_MONGODB_ORDER_SWITCHOVER;
    bad[7].order.phase = MSG_MONGODB_PHASE_UNFREEZE + 1;
    bad[8].order.member = (struct base_name){{0}};
    bad[9].places[1] = bad[9].places[0];
    bad[10].force.given_epoch = 4;
    bad[11].force.done_epoch = 4;
    bad[12].barred_epoch = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_false(mdb_record_check(&bad[i], 3));
    }
}

static int choose_bug(void **state)
{
    (void)state;
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_formulas_of_the_manual),
        cmocka_unit_test(test_configurations_in_their_order),
        cmocka_unit_test(test_orders_need_a_majority_and_two_opinions),
        cmocka_unit_test(test_no_quorum_is_said_by_agents_alone),
        cmocka_unit_test(test_what_degrades_a_set),
        cmocka_unit_test(test_of_two_claims_the_higher_term_is_real),
        cmocka_unit_test(test_old_evidence_is_none),
        cmocka_unit_test(test_what_others_see_of_one_whose_agent_is_silent),
        cmocka_unit_test(test_a_vote_is_taken_away_after_two_minutes),
        cmocka_unit_test(test_more_than_one_and_all_in_a_zone_are_in_one_zone),
        cmocka_unit_test(test_layouts),
        cmocka_unit_test(test_every_lawful_layout_is_reached),
        cmocka_unit_test(test_a_fourth_has_no_vote),
        cmocka_unit_test(test_who_has_caught_up_votes_before_who_has_not),
        cmocka_unit_test(test_the_way_back_to_three_leads_over_two),
        cmocka_unit_test(test_a_priority_of_ours_is_put_right_wherever_it_stands),
        cmocka_unit_test(test_who_leaves_loses_the_vote_first),
        cmocka_unit_test(test_a_vote_comes_back_before_its_priority),
        cmocka_unit_test(test_no_kill_without_the_opt_in_and_the_others),
        cmocka_unit_test(test_the_last_good_copy_is_not_emptied),
        cmocka_unit_test(test_a_restart_never_costs_the_majority),
        cmocka_unit_test(test_two_sides_of_a_split_are_never_both_forced),
        cmocka_unit_test(test_a_token_is_bound_to_everything),
        cmocka_unit_test(test_records_follow_each_other),
        cmocka_unit_test(test_records_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, choose_bug, NULL);
}
