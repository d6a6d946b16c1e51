/* SPDX-License-Identifier: Apache-2.0 */
/* Rules of Galera's bootstraps (arbiter/core/galera_rules.h), each test named after what it holds
 * fast. The arithmetic is tried over all views of one to four nodes, weights 0 to 2 and all
 * evidence, against a search of everything that the nodes out of sight may have done or may do. */
#include "tests/support/cm.h"

#include "arbiter/core/galera_rules.h"
#include "base/canary.h"
#include "base/name.h"

#include <stdlib.h>
#include <string.h>

#define NODES_MAX 4
#define EVIDENCES 6 /* the last one: a silent arbitrator */
#define WEIGHTS 3

/* --- the arithmetic --- */

static uint32_t weight_of(const struct gal_node *nodes, uint8_t count, unsigned set)
{
    uint32_t weight = 0;
    for (uint8_t i = 0; i < count; i++) {
        weight += (set >> i & 1) != 0 ? nodes[i].weight : 0u;
    }
    return weight;
}

static unsigned set_of(const struct gal_node *nodes, uint8_t count, unsigned evidences)
{
    unsigned set = 0;
    for (uint8_t i = 0; i < count; i++) {
        set |= (evidences >> nodes[i].evidence & 1) != 0 ? 1u << i : 0u;
    }
    return set;
}

/* Of them, those with data. */
static unsigned data_of(const struct gal_node *nodes, uint8_t count, unsigned set)
{
    for (uint8_t i = 0; i < count; i++) {
        set &= nodes[i].is_arbitrator ? ~(1u << i) : ~0u;
    }
    return set;
}

#define OF(evidence) (1u << (evidence))

/* Some nodes of `may` go on as Primary when some of `may_leave` left in order; one of `needed` is
 * among them. */
static bool can_go_on(const struct gal_node *nodes, uint8_t count, unsigned may, unsigned may_leave,
                      unsigned needed)
{
    unsigned all = (1u << count) - 1;
    for (unsigned x = 1; x <= all; x++) {
        if ((x & ~may) != 0 || (x & needed) == 0) {
            continue;
        }
        for (unsigned left = 0; left <= all; left++) {
            bool is_lawful = (left & ~may_leave) == 0 && (left & x) == 0;
            uint32_t stayed = weight_of(nodes, count, all) - weight_of(nodes, count, left);
            if (is_lawful && 2 * weight_of(nodes, count, x) > stayed) {
                return true;
            }
        }
    }
    return false;
}

/* Another component is there, or can come: what nobody has told may have happened. */
static bool can_be_another(const struct gal_node *nodes, uint8_t count, uint8_t candidate)
{
    unsigned silent = set_of(nodes, count, OF(GAL_SILENT));
    unsigned dead = set_of(nodes, count, OF(GAL_DEAD));
    unsigned live = set_of(nodes, count, OF(GAL_LIVE));
    unsigned left = set_of(nodes, count, OF(GAL_LEFT));
    live &= candidate == GAL_NOBODY ? ~0u : ~(1u << candidate);
    /* There was a later view of the silent and the dead, of which a silent one is left: any of
     * them, since whoever crashed or left from it was not seen. */
    unsigned data = data_of(nodes, count, silent);
    bool was = can_go_on(nodes, count, silent | dead, left, data);
    /* The silent and the running meet again, with the last view that is known. */
    bool may_come = can_go_on(nodes, count, silent | live, left | dead, data | live);
    return was || may_come;
}

static void try_candidates(const struct gal_node *nodes, uint8_t count, unsigned *granted)
{
    assert_int_equal(gal_is_alone(nodes, count, GAL_NOBODY),
                     !can_be_another(nodes, count, GAL_NOBODY));
    for (uint8_t i = 0; i < count; i++) {
        if (nodes[i].evidence == GAL_SILENT || nodes[i].evidence == GAL_DEAD) {
            continue;
        }
        bool is_alone = gal_is_alone(nodes, count, i);
        assert_int_equal(is_alone, !can_be_another(nodes, count, i));
        *granted += is_alone;
    }
}

static void for_all(uint8_t count, void (*each)(const struct gal_node *, uint8_t, unsigned *),
                    unsigned *sum)
{
    unsigned total = 1;
    for (uint8_t i = 0; i < count; i++) {
        total *= EVIDENCES * WEIGHTS;
    }
    for (unsigned n = 0; n < total; n++) {
        struct gal_node nodes[NODES_MAX] = {{.evidence = GAL_SILENT}};
        unsigned rest = n;
        for (uint8_t i = 0; i < count; i++) {
            nodes[i].is_arbitrator = rest % EVIDENCES == EVIDENCES - 1;
            nodes[i].evidence =
                nodes[i].is_arbitrator ? GAL_SILENT : (enum gal_evidence)(rest % EVIDENCES);
            nodes[i].weight = (uint8_t)(rest / EVIDENCES % WEIGHTS);
            rest /= EVIDENCES * WEIGHTS;
        }
        each(nodes, count, sum);
    }
}

static void test_granted_exactly_where_no_other_component_can_be(void **state)
{
    unsigned granted = 0;
    (void)state;
    for (uint8_t count = 1; count <= NODES_MAX; count++) {
        for_all(count, try_candidates, &granted);
    }
    assert_true(granted > 1000); /* not by refusing all */
}

/* Two arbiters that hear disjoint parts of one view, each all it can hope for. */
static void try_halves(const struct gal_node *nodes, uint8_t count, unsigned *granted)
{
    for (unsigned a = 1; a < 1u << count; a++) {
        struct gal_node left[NODES_MAX];
        struct gal_node right[NODES_MAX];
        uint8_t first = GAL_NOBODY;
        uint8_t second = GAL_NOBODY;
        memcpy(left, nodes, sizeof(left));
        memcpy(right, nodes, sizeof(right));
        for (uint8_t i = 0; i < count; i++) {
            bool is_left = (a >> i & 1) != 0;
            (is_left ? right : left)[i].evidence = GAL_SILENT;
            if (nodes[i].evidence == GAL_LIVE) { /* a component has formed around it */
                first = is_left ? i : first;
                second = is_left ? second : i;
            }
        }
        if (first != GAL_NOBODY && second != GAL_NOBODY) {
            bool is_both = gal_is_alone(left, count, first) && gal_is_alone(right, count, second);
            bool is_even =
                2 * weight_of(nodes, count, a) == weight_of(nodes, count, (1u << count) - 1);
            /* Only equal halves: that is what the one grant of the record is for. */
            assert_true(!is_both || is_even);
            *granted += is_both;
        }
    }
}

static void test_two_parts_are_both_granted_only_as_equal_halves(void **state)
{
    unsigned granted = 0;
    (void)state;
    for (uint8_t count = 2; count <= NODES_MAX; count++) {
        for_all(count, try_halves, &granted);
    }
    assert_true(granted > 0);
}

static void test_of_two_nodes_either_one_is_enough_while_it_runs(void **state)
{
    const struct gal_node nodes[] = {{1, GAL_LIVE, false}, {1, GAL_SILENT, false}};
    const struct gal_node left[] = {{1, GAL_LEFT, false}, {1, GAL_SILENT, false}};
    (void)state;
    assert_true(gal_is_alone(nodes, 2, 0));
    assert_false(gal_is_alone(left, 2, 0)); /* the other one went on alone */
}

static void test_one_of_three_needs_another_stopped(void **state)
{
    struct gal_node nodes[] = {
        {1, GAL_LIVE, false}, {1, GAL_SILENT, false}, {1, GAL_SILENT, false}};
    (void)state;
    assert_false(gal_is_alone(nodes, 3, 0));
    nodes[1].evidence = GAL_LIVE; /* it may meet the silent one */
    assert_false(gal_is_alone(nodes, 3, 0));
    nodes[1].evidence = GAL_STOPPED;
    assert_true(gal_is_alone(nodes, 3, 0));
    nodes[1].evidence = GAL_DEAD; /* it may have left the silent one alone before it died */
    assert_false(gal_is_alone(nodes, 3, 0));
    nodes[2].evidence = GAL_DEAD;
    assert_true(gal_is_alone(nodes, 3, 0));
}

/* --- choosing --- */

static const uint8_t uuid[16] = {7, 1};

struct scene {
    struct msg_galera_record record;
    struct msg_galera_report reports[NODES_MAX];
    struct gal_situation s;
};

static struct base_name node_name(uint8_t i)
{
    struct base_name name = {{0}};
    name.text[0] = 'n';
    name.text[1] = (char)('1' + i);
    return name;
}

static struct msg_galera_view view_of(uint64_t conf_id, unsigned set)
{
    struct msg_galera_view view = {.conf_id = conf_id};
    for (uint8_t i = 0; i < NODES_MAX; i++) {
        if ((set >> i & 1) != 0) {
            view.nodes[view.count++] = (struct msg_galera_node){node_name(i), 1};
        }
    }
    return view;
}

/* `count` members of generation 3, all down after a crash with what they recovered. */
static void begin(struct scene *c, uint8_t count)
{
    memset(c, 0, sizeof(*c));
    memcpy(c->record.uuid, uuid, sizeof(uuid));
    c->record.generation = 3;
    c->record.inhibit = 4;
    c->record.high_water = -1;
    c->record.view = view_of(9, (1u << count) - 1);
    c->record.grant = (struct msg_galera_grant){
        .generation = 3, .node = node_name(0), .state = MSG_GALERA_GRANT_DONE};
    c->s =
        (struct gal_situation){.record = &c->record, .next = 4, .high_water = -1, .count = count};
    for (uint8_t i = 0; i < count; i++) {
        struct msg_galera_report *r = &c->reports[i];
        r->state = MSG_GALERA_DOWN;
        memcpy(r->position.uuid, uuid, sizeof(uuid));
        r->position.seqno = 100;
        r->is_position_recovered = r->is_fenced = true;
        r->generation = 3;
        r->inhibited = 4;
        r->view = c->record.view;
        c->s.members[i] = (struct gal_member){
            .name = node_name(i), .report = r, .is_heard = true, .is_hosted = true, .priority = 1};
    }
}

static struct gal_verdict decide(const struct scene *c)
{
    struct gal_verdict v;
    gal_decide(&c->s, &v);
    return v;
}

static void expect(const struct scene *c, enum gal_why why, uint8_t member)
{
    struct gal_verdict v = decide(c);
    struct base_name name = node_name(member);
    assert_int_equal(v.why, why);
    assert_true(base_name_equal(&v.member, &name));
}

static void test_who_has_most_starts_whatever_its_name_or_flag(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    expect(&c, GAL_GRANTABLE, 0);
    c.reports[1].is_safe_to_bootstrap = c.reports[2].is_safe_to_bootstrap = true;
    expect(&c, GAL_GRANTABLE, 1);
    begin(&c, 3);
    c.reports[0].is_safe_to_bootstrap = true;
    c.s.members[1].priority = 9;
    c.reports[2].position.seqno = 101;
    expect(&c, GAL_GRANTABLE, 2);
    assert_false(decide(&c).is_live);
    c.reports[2].position.seqno = 100;
    expect(&c, GAL_GRANTABLE, 1); /* among equals */
    c.s.members[0].is_holder = true;
    expect(&c, GAL_GRANTABLE, 0);
}

static void test_what_runs_goes_before_a_cold_start(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[2].state = MSG_GALERA_NONPRIM;
    expect(&c, GAL_GRANTABLE, 2);
    assert_true(decide(&c).is_live);
}

static void test_a_cold_start_waits_for_all_of_the_last_view(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.s.members[1].is_heard = false;
    expect(&c, GAL_MISSING, 1);
    c.s.members[1].is_excused = true;
    expect(&c, GAL_GRANTABLE, 0);
    c.s.members[2].is_heard = false; /* with the other one it may be Primary */
    c.s.members[2].is_excused = true;
    expect(&c, GAL_NOT_ALONE, 1);
    c.s.members[1].is_dead = c.s.members[2].is_dead = true;
    expect(&c, GAL_GRANTABLE, 0);
}

static void test_an_older_stamp_with_more_data_is_looked_at_by_a_person(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[1].generation = 2;
    c.reports[1].position.seqno = 101;
    expect(&c, GAL_OTHER_STAMP, 1);
    c.s.members[1].is_excused = true;
    expect(&c, GAL_GRANTABLE, 0);
    c.s.members[1].is_excused = false;
    c.reports[1].position.seqno = -1; /* it has not told yet what it has */
    c.reports[1].is_position_recovered = false;
    expect(&c, GAL_UNPROVEN, 1);
    c.reports[1].is_position_recovered = true;
    c.reports[1].position.seqno = 100; /* nothing is lost without it */
    expect(&c, GAL_GRANTABLE, 0);
    c.reports[1].position.seqno = 101;
    c.record.view = view_of(9, 1u | 4u); /* it was not in it: another history */
    c.reports[0].view = c.reports[2].view = c.record.view;
    expect(&c, GAL_GRANTABLE, 0);
}

static void test_who_was_not_in_the_last_view_is_not_waited_for(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.record.view = view_of(10, 1u | 2u);
    c.reports[0].view = c.reports[1].view = c.record.view;
    c.s.members[2].is_heard = false;
    expect(&c, GAL_GRANTABLE, 0);
}

static void test_a_newer_view_of_a_stopped_member_counts(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.s.members[1].is_heard = false;
    c.s.members[1].is_excused = true;
    c.reports[0].view = view_of(10, 1u | 2u);
    c.reports[0].is_left = true; /* so that n2 went on alone */
    expect(&c, GAL_NOT_ALONE, 1);
}

static void test_whoever_runs_must_be_seen_stopped_where_it_matters(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[1].state = MSG_GALERA_WAITING;
    c.reports[2].state = MSG_GALERA_WAITING;
    expect(&c, GAL_NOT_FENCED, 1);
    c.reports[1].state = c.reports[2].state = MSG_GALERA_DOWN;
    c.reports[1].inhibited = c.reports[2].inhibited = 3; /* it may be started by an older order */
    expect(&c, GAL_NOT_FENCED, 1);
}

static void test_no_data_and_broken_transfers_are_no_source(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[0].state = MSG_GALERA_NEEDS_SST;
    c.reports[0].is_safe_to_bootstrap = true;
    c.reports[0].position.seqno = 900;
    expect(&c, GAL_GRANTABLE, 1);
    c.reports[1].position.seqno = 0; /* nothing was written yet, and it is a beginning */
    c.reports[2].state = MSG_GALERA_NEEDS_SST;
    expect(&c, GAL_GRANTABLE, 1);
    c.reports[1].state = MSG_GALERA_NEEDS_SST;
    assert_int_equal(decide(&c).why, GAL_NO_SOURCE);
}

static void test_a_position_that_is_not_proven_is_waited_for(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[1].is_position_recovered = false;
    c.reports[1].position.seqno = -1;
    expect(&c, GAL_UNPROVEN, 1);
    c.reports[1].state = MSG_GALERA_UNKNOWN; /* its agent has just started */
    c.reports[1].generation = 0;
    c.reports[1].is_position_recovered = true;
    expect(&c, GAL_UNPROVEN, 1);
}

static void test_another_generation_is_no_source(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[1].generation = 2;
    c.reports[1].position.seqno = 900;
    c.reports[1].view = view_of(30, 2u); /* of a bootstrap by hand */
    c.record.view = view_of(9, 1u | 4u);
    c.reports[0].view = c.reports[2].view = c.record.view;
    expect(&c, GAL_GRANTABLE, 0);
}

/* n1 alone bootstrapped generation 3 from 100, and what it has is lost. */
static void begin_lost(struct scene *c)
{
    begin(c, 3);
    c->record.view = c->reports[0].view = view_of(9, 1u);
    c->record.grant.after = 2;
    c->record.grant.conf_id = 9;
    memcpy(c->record.grant.base.uuid, uuid, sizeof(uuid));
    c->record.grant.base.seqno = 100;
    c->reports[0].state = MSG_GALERA_NEEDS_SST;
    c->reports[1].generation = c->reports[2].generation = 2;
    c->reports[2].position.seqno = 90;
}

static void test_where_nobody_has_the_last_generation_a_person_goes_back_before_it(void **state)
{
    struct scene c;
    (void)state;
    begin_lost(&c);
    expect(&c, GAL_BEFORE, 1);
    c.s.is_loss_accepted = true;
    expect(&c, GAL_GRANTABLE, 1);
    c.reports[1].position.seqno = 101; /* more than the bootstrap began with: another history */
    expect(&c, GAL_GRANTABLE, 2);
    c.reports[0].state = MSG_GALERA_DOWN; /* it has something, however little */
    c.reports[0].position.seqno = 50;
    expect(&c, GAL_GRANTABLE, 0);
}

static void test_data_of_before_are_waited_for_from_everybody(void **state)
{
    struct scene c;
    (void)state;
    begin_lost(&c);
    c.s.is_loss_accepted = true;
    c.s.members[1].is_heard = false;
    expect(&c, GAL_MISSING, 1);
    c.s.members[1].is_excused = true;
    expect(&c, GAL_GRANTABLE, 2);
    c.s.members[1].is_heard = true;
    c.reports[1].is_position_recovered = false;
    expect(&c, GAL_UNPROVEN, 1);
    c.reports[1].is_unreadable = true; /* and a person goes on without it */
    expect(&c, GAL_GRANTABLE, 2);
}

/* n1 went on alone in a last view of its own, and n2 runs outside with what it had before. */
static void begin_outside(struct scene *c)
{
    begin(c, 3);
    c->s.high_water = 120;
    c->record.view = c->reports[0].view = view_of(10, 1u);
    c->reports[0].state = MSG_GALERA_NEEDS_SST;
    c->reports[1].state = MSG_GALERA_NONPRIM;
    c->reports[1].is_fenced = false;
    c->reports[1].position.seqno = 110;
}

static void test_who_was_left_outside_the_last_view_is_stopped_and_starts(void **state)
{
    struct scene c;
    (void)state;
    begin_outside(&c);
    expect(&c, GAL_NOT_FENCED, 1); /* more than n3 has, who is down */
    assert_int_equal(decide(&c).lost, 10);
    c.s.is_loss_accepted = true;
    expect(&c, GAL_NOT_FENCED, 1);
    c.reports[1].state = MSG_GALERA_DOWN;
    c.reports[1].is_fenced = true;
    expect(&c, GAL_GRANTABLE, 1);
    assert_false(decide(&c).is_live);
}

static void test_who_was_left_outside_goes_on_running_while_others_may_come(void **state)
{
    struct scene c;
    (void)state;
    begin_outside(&c);
    c.s.members[0].is_heard = false;
    expect(&c, GAL_NOT_ALONE, 0);
    c.s.members[0].is_dead = true;
    expect(&c, GAL_NOT_FENCED, 1);
    c.reports[0].state = MSG_GALERA_DOWN; /* it is heard, and its data cannot be read */
    c.reports[0].is_position_recovered = false;
    c.reports[0].is_unreadable = c.s.members[0].is_heard = true;
    expect(&c, GAL_DAMAGED, 0);
    c.s.members[0].is_excused = true;
    expect(&c, GAL_NOT_FENCED, 1);
}

static void test_older_data_are_taken_by_name_alone_and_agree_with_nobody_s(void **state)
{
    struct scene c;
    (void)state;
    begin_lost(&c);
    c.reports[1].generation = c.reports[2].generation = 1; /* two histories behind */
    c.reports[1].position.seqno = 95;
    c.s.high_water = 120;
    expect(&c, GAL_OLDER, 1);
    assert_int_equal(decide(&c).lost, 25);
    c.s.is_loss_accepted = true;
    expect(&c, GAL_OLDER, 1);
    c.s.wanted = node_name(1);
    expect(&c, GAL_GRANTABLE, 1);
    assert_true(decide(&c).is_torn);
    c.s.wanted = node_name(2); /* a person may know better */
    expect(&c, GAL_GRANTABLE, 2);
    c.reports[0].state = MSG_GALERA_DOWN; /* it has something of now, however little */
    expect(&c, GAL_NO_SOURCE, 2);
}

static void test_of_older_data_the_later_history_goes_first_and_all_are_waited_for(void **state)
{
    struct scene c;
    (void)state;
    begin_lost(&c);
    c.reports[1].generation = 0;
    c.reports[1].position.seqno = 99;
    c.reports[2].generation = 1;
    expect(&c, GAL_OLDER, 2);
    c.reports[1].is_position_recovered = false;
    expect(&c, GAL_UNPROVEN, 1);
    c.s.members[1].is_heard = false;
    expect(&c, GAL_MISSING, 1);
    c.reports[2].generation = 2; /* of before the last bootstrap, with more than it began with */
    c.reports[2].position.seqno = 101;
    c.s.members[1].is_excused = true;
    expect(&c, GAL_OLDER, 2);
    c.reports[2].position.seqno = 100;
    expect(&c, GAL_BEFORE, 2);
}

static void test_of_before_too_who_runs_is_stopped_first(void **state)
{
    struct scene c;
    (void)state;
    begin_lost(&c);
    c.reports[1].state = MSG_GALERA_NONPRIM;
    c.s.is_loss_accepted = true;
    expect(&c, GAL_NOT_FENCED, 1);
    c.reports[1].state = MSG_GALERA_DOWN;
    expect(&c, GAL_GRANTABLE, 1);
}

static void test_numbers_without_a_bootstrap_are_one_history(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.record.generation = 5; /* nobody has heard of it yet */
    c.record.grant = (struct msg_galera_grant){.generation = 5,
                                               .after = 3,
                                               .is_kept = true,
                                               .node = node_name(0),
                                               .base = {.seqno = 90},
                                               .state = MSG_GALERA_GRANT_DONE};
    c.s.next = 6;
    for (uint8_t i = 0; i < 3; i++) {
        c.reports[i].inhibited = 6;
    }
    c.reports[1].view = view_of(10, 1u | 2u); /* newer than the record's, by an older number */
    c.reports[1].is_left = true;
    c.s.members[0].is_heard = false;
    c.s.members[0].is_excused = true;
    expect(&c, GAL_NOT_ALONE, 0);
    c.s.members[0].is_heard = true;
    expect(&c, GAL_GRANTABLE, 0);
    assert_true(gal_is_prefix(&c.record, &c.reports[2]));
    c.reports[2].generation = 2;
    assert_false(gal_is_prefix(&c.record, &c.reports[2]));
}

static void test_less_than_what_is_known_committed_waits(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.s.high_water = 103;
    expect(&c, GAL_LOSS, 0);
    assert_int_equal(decide(&c).lost, 3);
    c.s.is_loss_accepted = true;
    expect(&c, GAL_GRANTABLE, 0);
}

static void test_a_second_grant_waits_for_the_first(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.record.grant = (struct msg_galera_grant){
        .generation = 4, .node = node_name(2), .state = MSG_GALERA_GRANT_GIVEN};
    c.s.next = 5;
    for (uint8_t i = 0; i < 3; i++) {
        c.reports[i].inhibited = 5;
    }
    c.s.members[2].is_heard = false;
    c.s.members[2].is_excused = true;
    expect(&c, GAL_GRANT_OPEN, 2);
    c.s.members[2].is_heard = true;
    c.reports[2].inhibited = 4; /* it may still carry it out */
    expect(&c, GAL_NOT_FENCED, 2);
    c.reports[2].state = MSG_GALERA_NONPRIM;
    expect(&c, GAL_NOT_FENCED, 2);
    c.reports[2].state = MSG_GALERA_DOWN;
    c.reports[2].inhibited = 5;
    expect(&c, GAL_GRANTABLE, 0);
    c.reports[2].generation = 4; /* it has begun, and has what the others have */
    expect(&c, GAL_GRANTABLE, 0);
}

static void test_the_node_of_a_grant_is_stopped_before_a_second_one_though_it_was_not_in_the_view(
    void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.record.view = view_of(9, 1u | 2u);
    c.reports[0].view = c.reports[1].view = c.reports[2].view = c.record.view;
    c.record.grant = (struct msg_galera_grant){
        .generation = 4, .node = node_name(2), .state = MSG_GALERA_GRANT_GIVEN};
    c.s.next = 5;
    for (uint8_t i = 0; i < 3; i++) {
        c.reports[i].inhibited = 5;
    }
    c.reports[2].is_fenced = false; /* something runs there */
    expect(&c, GAL_NOT_FENCED, 2);
    c.reports[2].is_fenced = true;
    expect(&c, GAL_GRANTABLE, 0);
}

/* It came into a view that nobody has told of, and was left alone in it in order. */
static void test_who_was_let_in_may_be_in_a_view_that_nobody_told_of(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 2);
    c.record.view = view_of(1, 1u);
    c.reports[0].view = c.record.view;
    c.reports[0].is_left = true;
    c.record.sst_joiner = node_name(1);
    c.s.members[1].is_heard = false;
    expect(&c, GAL_NOT_ALONE, 1);
    c.record.sst_joiner = (struct base_name){{0}};
    expect(&c, GAL_GRANTABLE, 0); /* it was down, and nobody let it in */
    c.reports[1].state = MSG_GALERA_NONPRIM;
    expect(&c, GAL_NOT_ALONE, 1); /* it was running when it was last heard */
    c.s.members[1].is_heard = true;
    c.reports[1].state = MSG_GALERA_STARTING;
    expect(&c, GAL_NOT_FENCED, 1);
    c.reports[0].is_left = false; /* whatever became of the view */
    expect(&c, GAL_NOT_FENCED, 1);
}

static void test_one_view_with_two_contents_is_two_histories(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[2].view = view_of(9, 4u);
    expect(&c, GAL_VIEWS_CLASH, 2);
    c.s.wanted = node_name(1); /* an operator has looked at both */
    c.s.is_loss_accepted = true;
    expect(&c, GAL_GRANTABLE, 1);
    assert_true(decide(&c).is_torn);
}

/* Neither is known to be the cluster's: a member without data says nothing for either. */
static void test_between_two_histories_a_person_chooses(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    memset(c.record.uuid, 0, sizeof(c.record.uuid));
    c.reports[2].position.uuid[0] ^= 1;
    expect(&c, GAL_UUIDS_CLASH, 2);
    c.reports[0].state = MSG_GALERA_NEEDS_SST;
    expect(&c, GAL_UUIDS_CLASH, 2);
}

static void test_while_somebody_is_primary_nothing_is_granted(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    c.reports[1].state = MSG_GALERA_SYNCED;
    c.reports[1].is_primary = true;
    expect(&c, GAL_IS_PRIMARY, 1);
}

static void test_an_arbitrator_is_not_waited_for_and_proves_nothing(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 2);
    c.record.arbitrator = node_name(2);
    c.record.view = view_of(9, 7u);
    c.reports[0].view = c.reports[1].view = c.record.view;
    expect(&c, GAL_GRANTABLE, 0); /* both are stopped: garbd alone has no data */
    c.reports[0].is_left = c.reports[1].is_left = true;
    expect(&c, GAL_GRANTABLE, 0);
    c.reports[0].is_left = c.reports[1].is_left = false;
    c.s.members[1].is_heard = false;
    c.s.members[1].is_excused = true;
    assert_int_equal(decide(&c).why, GAL_NOT_ALONE);
}

/* --- records --- */

static void test_a_record_takes_one_grant_at_a_time(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    struct msg_galera_record given = c.record;
    given.grant = (struct msg_galera_grant){.generation = 4,
                                            .node = node_name(1),
                                            .base = {.seqno = 5},
                                            .state = MSG_GALERA_GRANT_GIVEN};
    assert_true(gal_record_follows(&c.record, &given, false));
    struct msg_galera_record second = given;
    second.grant.generation = 5;
    second.grant.node = node_name(2);
    assert_false(gal_record_follows(&given, &second, false));
    assert_true(gal_record_follows(&given, &second, true));
    struct msg_galera_record done = given;
    done.grant.state = MSG_GALERA_GRANT_DONE;
    assert_false(gal_record_follows(&given, &done, false)); /* and its generation in force */
    done.generation = 4;
    assert_true(gal_record_follows(&given, &done, false));
    assert_false(gal_record_follows(&done, &given, false));
    done.uuid[0] ^= 1;
    assert_false(gal_record_follows(&given, &done, false));
    given = c.record;
    given.grant = (struct msg_galera_grant){.generation = 0};
    assert_false(gal_record_follows(&given, &c.record, false)); /* of what is in force already */
}

static void test_records_that_cannot_be(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 3);
    assert_true(gal_record_check(&c.record));
    struct msg_galera_record bad = c.record;
    bad.view.nodes[1].node = bad.view.nodes[0].node; /* twice in one view */
    assert_false(gal_record_check(&bad));
    bad = c.record;
    bad.grant = (struct msg_galera_grant){.generation = 0};
    assert_true(gal_record_check(&bad));
    bad.grant.node = node_name(0); /* without a grant nobody is named, and none is numbered */
    assert_false(gal_record_check(&bad));
    bad.grant = (struct msg_galera_grant){.generation = 3};
    assert_false(gal_record_check(&bad));
    static const enum msg_galera_grant_state states[] = {
        MSG_GALERA_GRANT_GIVEN, MSG_GALERA_GRANT_FAILED, MSG_GALERA_GRANT_DONE};
    for (size_t i = 0; i < BASE_COUNT_OF(states); i++) {
        for (uint64_t generation = 2; generation <= 4; generation++) {
            bool is_of_now = generation == 3;
            bool is_later = generation > 3;
            bad.grant = (struct msg_galera_grant){.generation = generation, .state = states[i]};
            assert_false(gal_record_check(&bad)); /* of nobody */
            bad.grant.node = node_name(0);
            assert_int_equal(gal_record_check(&bad),
                             states[i] == MSG_GALERA_GRANT_DONE ? is_of_now : is_later);
        }
    }
}

static void test_rule_4_a_prefix_joins_all_else_is_cloned(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 2);
    c.record.generation = 4;
    c.record.grant = (struct msg_galera_grant){.generation = 4,
                                               .after = 3,
                                               .node = node_name(0),
                                               .base = {.seqno = 100},
                                               .conf_id = 9,
                                               .state = MSG_GALERA_GRANT_DONE};
    struct msg_galera_report *r = &c.reports[1];
    assert_true(gal_is_prefix(&c.record, r));
    r->position.seqno = 101; /* committed what the bootstrap does not have */
    assert_false(gal_is_prefix(&c.record, r));
    r->generation = 4;
    assert_true(gal_is_prefix(&c.record, r));
    r->generation = 3;
    r->position.seqno = 100;
    r->view.conf_id = 10; /* Primary after the last view that the grant counted */
    assert_false(gal_is_prefix(&c.record, r));
    r->view.conf_id = 9;
    r->generation = 2;
    assert_false(gal_is_prefix(&c.record, r));
    r->generation = 3;
    r->position.uuid[3] ^= 1;
    assert_false(gal_is_prefix(&c.record, r));
}

static void test_rule_4_whoever_runs_merges_by_numbers_alone(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 2);
    c.record.generation = 4;
    c.record.grant = (struct msg_galera_grant){.generation = 4,
                                               .after = 3,
                                               .node = node_name(0),
                                               .base = {.seqno = 100},
                                               .is_live = true,
                                               .state = MSG_GALERA_GRANT_DONE};
    struct msg_galera_report *r = &c.reports[1];
    r->state = MSG_GALERA_NONPRIM;
    r->recv_queue = 9;
    assert_int_equal(gal_received(r), 109);
    assert_false(gal_may_merge(&c.record, r, gal_received(r)));
    assert_true(gal_may_merge(&c.record, r, 100));
    assert_true(gal_may_merge(&c.record, r, 0));   /* nothing was written yet */
    assert_false(gal_may_merge(&c.record, r, -1)); /* it was not seen before it merged */
    c.record.grant.is_kept = true;                 /* nothing was bootstrapped */
    assert_true(gal_may_merge(&c.record, r, -1));
    c.record.grant.is_kept = false;
    r->generation = 4;
    assert_true(gal_may_merge(&c.record, r, -1));
    r->generation = 2;
    assert_false(gal_may_merge(&c.record, r, 50));
}

static void test_what_was_received_counts_of_those_who_run(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 2);
    c.reports[0].state = c.reports[1].state = MSG_GALERA_NONPRIM;
    c.s.members[0].is_holder = true;
    c.reports[1].recv_queue = 4;
    expect(&c, GAL_GRANTABLE, 1);
    assert_int_equal(decide(&c).base.seqno, 104);
    c.reports[0].position.seqno = c.reports[1].position.seqno = 0; /* of the first write, too */
    expect(&c, GAL_GRANTABLE, 1);
    assert_int_equal(decide(&c).base.seqno, 4);
}

/* --- writer and restarts --- */

static void test_the_writer_is_chosen_in_order(void **state)
{
    struct base_name one = node_name(0);
    struct base_name two = node_name(1);
    struct gal_choice a = {.name = &one, .priority = 1};
    struct gal_choice b = {.name = &two, .priority = 1};
    (void)state;
    assert_true(gal_writer_is_better(&a, &b));
    a.recv_queue = 1;
    assert_false(gal_writer_is_better(&a, &b));
    a.priority = 2;
    assert_true(gal_writer_is_better(&a, &b));
    b.is_holder = true; /* nothing goes back by itself */
    assert_false(gal_writer_is_better(&a, &b));
    a.is_target = true;
    assert_true(gal_writer_is_better(&a, &b));
}

static void test_only_a_synced_member_of_the_generation_writes(void **state)
{
    struct scene c;
    (void)state;
    begin(&c, 2);
    struct msg_galera_report r = c.reports[0];
    r.state = MSG_GALERA_SYNCED;
    r.is_primary = true;
    assert_int_equal(gal_writer_check(&c.record, &r), ARB_REFUSE_NONE);
    r.is_rejecting = true;
    assert_int_equal(gal_writer_check(&c.record, &r), ARB_REFUSE_REJECTING);
    r.generation = 2;
    r.view = view_of(4, 1u);
    assert_int_equal(gal_writer_check(&c.record, &r), ARB_REFUSE_OTHER_GENERATION);
    r.state = MSG_GALERA_DONOR;
    assert_int_equal(gal_writer_check(&c.record, &r), ARB_REFUSE_DONOR);
    r.state = MSG_GALERA_NONPRIM;
    assert_int_equal(gal_writer_check(&c.record, &r), ARB_REFUSE_NOT_SYNCED);
}

static void test_of_two_the_one_that_stays_needs_more_weight(void **state)
{
    struct msg_galera_view view = view_of(3, 3u);
    struct base_name two = node_name(1);
    (void)state;
    assert_false(gal_may_leave(&view, &two));
    view.nodes[0].weight = 2;
    assert_true(gal_may_leave(&view, &two));
    view = view_of(3, 7u);
    assert_true(gal_may_leave(&view, &two));
}

/* --- planted bugs --- */

static int bug_of_environment(void **state)
{
    (void)state;
    (void)base_canary_select(getenv("QUORATE_CANARY"));
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_granted_exactly_where_no_other_component_can_be),
        cmocka_unit_test(test_two_parts_are_both_granted_only_as_equal_halves),
        cmocka_unit_test(test_of_two_nodes_either_one_is_enough_while_it_runs),
        cmocka_unit_test(test_one_of_three_needs_another_stopped),
        cmocka_unit_test(test_who_has_most_starts_whatever_its_name_or_flag),
        cmocka_unit_test(test_what_runs_goes_before_a_cold_start),
        cmocka_unit_test(test_a_cold_start_waits_for_all_of_the_last_view),
        cmocka_unit_test(test_an_older_stamp_with_more_data_is_looked_at_by_a_person),
        cmocka_unit_test(test_who_was_not_in_the_last_view_is_not_waited_for),
        cmocka_unit_test(test_a_newer_view_of_a_stopped_member_counts),
        cmocka_unit_test(test_whoever_runs_must_be_seen_stopped_where_it_matters),
        cmocka_unit_test(test_no_data_and_broken_transfers_are_no_source),
        cmocka_unit_test(test_a_position_that_is_not_proven_is_waited_for),
        cmocka_unit_test(test_another_generation_is_no_source),
        cmocka_unit_test(test_where_nobody_has_the_last_generation_a_person_goes_back_before_it),
        cmocka_unit_test(test_data_of_before_are_waited_for_from_everybody),
        cmocka_unit_test(test_who_was_left_outside_the_last_view_is_stopped_and_starts),
        cmocka_unit_test(test_who_was_left_outside_goes_on_running_while_others_may_come),
        cmocka_unit_test(test_of_before_too_who_runs_is_stopped_first),
        cmocka_unit_test(test_older_data_are_taken_by_name_alone_and_agree_with_nobody_s),
        cmocka_unit_test(test_of_older_data_the_later_history_goes_first_and_all_are_waited_for),
        cmocka_unit_test(test_numbers_without_a_bootstrap_are_one_history),
        cmocka_unit_test(test_less_than_what_is_known_committed_waits),
        cmocka_unit_test(test_a_second_grant_waits_for_the_first),
        cmocka_unit_test(
            test_the_node_of_a_grant_is_stopped_before_a_second_one_though_it_was_not_in_the_view),
        cmocka_unit_test(test_who_was_let_in_may_be_in_a_view_that_nobody_told_of),
        cmocka_unit_test(test_one_view_with_two_contents_is_two_histories),
        cmocka_unit_test(test_between_two_histories_a_person_chooses),
        cmocka_unit_test(test_while_somebody_is_primary_nothing_is_granted),
        cmocka_unit_test(test_an_arbitrator_is_not_waited_for_and_proves_nothing),
        cmocka_unit_test(test_a_record_takes_one_grant_at_a_time),
        cmocka_unit_test(test_records_that_cannot_be),
        cmocka_unit_test(test_rule_4_a_prefix_joins_all_else_is_cloned),
        cmocka_unit_test(test_rule_4_whoever_runs_merges_by_numbers_alone),
        cmocka_unit_test(test_what_was_received_counts_of_those_who_run),
        cmocka_unit_test(test_the_writer_is_chosen_in_order),
        cmocka_unit_test(test_only_a_synced_member_of_the_generation_writes),
        cmocka_unit_test(test_of_two_the_one_that_stays_needs_more_weight),
    };
    return cmocka_run_group_tests(tests, bug_of_environment, NULL);
}
