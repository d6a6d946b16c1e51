/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy's decisions: where a connection goes, what it waits for, whose connections are cut. */
#include <stdlib.h>
#include <string.h>

#include "agents/proxy/core/core.h"
#include "base/canary.h"
#include "base/name.h"
#include "tests/support/cm.h"

#define TTL_US (2 * BASE_US_PER_S)
#define MS BASE_US_PER_MS

/* --- a cluster of three and its clock --- */

static struct proxy_core core;
static struct proxy_effects fx;
static struct base_mono now;

static struct base_name name_of(const char *text)
{
    struct base_name name = {{0}};
    if (text[0] != '\0') {
        assert_int_equal(base_name_from_text(text, &name), 0);
    }
    return name;
}

static void step(struct proxy_event event)
{
    event.now = now;
    proxy_step(&core, &event, &fx);
}

static struct proxy_record record(uint64_t epoch, uint64_t revision, const char *holder,
                                  bool is_opened)
{
    return (struct proxy_record){.epoch = epoch,
                                 .revision = revision,
                                 .state = MSG_RECORD_RUNNING,
                                 .holder = name_of(holder),
                                 .is_opened = is_opened,
                                 .ttl_ms = 2000};
}

static void pushed(struct proxy_record r)
{
    step((struct proxy_event){.kind = PROXY_EVENT_RECORD, .record = &r});
}

static void proven(struct proxy_record r, struct base_mono asked_at)
{
    step((struct proxy_event){.kind = PROXY_EVENT_PROOF, .record = &r, .asked_at = asked_at});
}

static void member(const char *name, const char *zone, bool is_noloadbalance)
{
    struct proxy_seen seen;
    memset(&seen, 0, sizeof(seen));
    seen.name = name_of(name);
    seen.host = base_text_from(SLICE_LIT("10.0.0.1"));
    seen.db_port = 5432;
    seen.http_port = 8008;
    seen.zone = name_of(zone);
    seen.is_noloadbalance = is_noloadbalance;
    step((struct proxy_event){.kind = PROXY_EVENT_MEMBER, .seen = &seen});
}

static uint8_t number(const char *name)
{
    struct base_name n = name_of(name);
    return proxy_member_find(&core, &n);
}

static void word(const char *name, enum proxy_question question, enum proxy_answer answer)
{
    step((struct proxy_event){.kind = PROXY_EVENT_WORD,
                              .member = number(name),
                              .question = question,
                              .answer = answer,
                              .asked_at = now});
}

static void fate(const char *name, enum proxy_event_kind kind, enum proxy_port port)
{
    step((struct proxy_event){.kind = kind, .member = number(name), .port = port});
}

static struct proxy_choice choose(enum proxy_port port, int64_t waited_us)
{
    struct proxy_choice choice;
    proxy_choose(&core, port, waited_us, now, &choice);
    return choice;
}

static void goes_to(enum proxy_port port, const char *name)
{
    struct proxy_choice choice = choose(port, 0);
    assert_int_equal(choice.reason, PROXY_REASON_NONE);
    assert_int_equal(choice.member, number(name));
}

static void waits(enum proxy_port port, enum proxy_reason reason)
{
    struct proxy_choice choice = choose(port, 0);
    assert_int_equal(choice.member, PROXY_NOBODY);
    assert_int_equal(choice.reason, reason);
}

static void after(int64_t us)
{
    now = base_mono_add_us(now, us);
}

static int setup(void **state)
{
    static const struct proxy_options options = {
        .has_agents = true, .is_primary_for_reads = false, .switchover_hold_us = 5 * BASE_US_PER_S};
    (void)state;
    now = (struct base_mono){1000 * BASE_US_PER_S};
    proxy_core_init(&core, &options);
    member("pg1", "a", false);
    member("pg2", "b", false);
    member("pg3", "c", false);
    return 0;
}

static void settle(void)
{
    proven(record(3, 7, "pg1", true), now);
}

/* --- the primary port --- */

static void test_routes_to_the_holder_that_has_opened(void **state)
{
    (void)state;
    waits(PROXY_PRIMARY, PROXY_REASON_NO_RECORD);
    proven(record(3, 6, "pg1", false), now);
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_OPEN);
    pushed(record(3, 7, "pg1", true));
    assert_true(fx.is_changed);
    goes_to(PROXY_PRIMARY, "pg1");
}

static void test_pushed_records_need_a_proof(void **state)
{
    (void)state;
    pushed(record(3, 7, "pg1", true)); /* who knows how old it is */
    waits(PROXY_PRIMARY, PROXY_REASON_STALE);
    proven(record(3, 7, "pg1", true), now);
    assert_true(fx.is_changed);
    goes_to(PROXY_PRIMARY, "pg1");
}

static void test_no_answer_older_than_the_lease(void **state)
{
    (void)state;
    struct base_mono asked_at = now;
    after(100 * MS); /* it came late: it counts from its sending */
    proven(record(3, 7, "pg1", true), asked_at);
    after(TTL_US - 100 * MS - 1);
    goes_to(PROXY_PRIMARY, "pg1");
    after(1);
    waits(PROXY_PRIMARY, PROXY_REASON_STALE);
    proven(record(3, 7, "pg1", true), now);
    assert_true(fx.is_changed); /* those who wait are told */
    goes_to(PROXY_PRIMARY, "pg1");
}

static void test_an_agent_stands_in_for_the_quorum(void **state)
{
    (void)state;
    settle();
    after(TTL_US);
    waits(PROXY_PRIMARY, PROXY_REASON_STALE);
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_YES);
    goes_to(PROXY_PRIMARY, "pg1");
    after(TTL_US);
    waits(PROXY_PRIMARY, PROXY_REASON_STALE);
}

static void test_failover_cuts_at_once_and_holds_until_open(void **state)
{
    (void)state;
    settle();
    fate("pg1", PROXY_EVENT_CONNECTING, PROXY_PRIMARY);
    fate("pg1", PROXY_EVENT_CONNECTED, PROXY_PRIMARY);
    pushed(record(4, 8, "pg2", false));
    assert_int_equal(fx.cut, 1u << number("pg1"));
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_OPEN);
    pushed(record(4, 9, "pg2", true));
    assert_int_equal(fx.cut, 0);
    assert_true(fx.is_changed);
    goes_to(PROXY_PRIMARY, "pg2");
}

/* Promoted under its lease: clients log in while it is about to open. */
static void test_promoted_is_enough(void **state)
{
    (void)state;
    settle();
    word("pg2", PROXY_ASKS_PROMOTED, PROXY_ANSWER_YES); /* of an epoch before */
    after(MS);
    pushed(record(4, 8, "pg2", false));
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_OPEN);
    assert_true(proxy_word_urgency_us(&core, number("pg2"), now) > 0);
    word("pg2", PROXY_ASKS_PROMOTED, PROXY_ANSWER_NO);
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_OPEN);
    after(MS);
    word("pg2", PROXY_ASKS_PROMOTED, PROXY_ANSWER_YES);
    assert_true(fx.is_changed);
    goes_to(PROXY_PRIMARY, "pg2");
    core.options.waits_for_open = true;
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_OPEN);
    core.options.waits_for_open = false;
    after(TTL_US); /* neither confirmed nor heard within the lease */
    waits(PROXY_PRIMARY, PROXY_REASON_STALE);
}

/* Asked in the epoch that counts, or not at all. */
static void test_promoted_in_another_epoch(void **state)
{
    (void)state;
    settle();
    pushed(record(4, 8, "pg2", false));
    after(MS);
    word("pg2", PROXY_ASKS_PROMOTED, PROXY_ANSWER_YES);
    after(MS);
    pushed(record(5, 9, "pg2", false)); /* its guard was another one */
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_OPEN);
}

static void test_a_missed_step_cuts_as_well(void **state)
{
    (void)state;
    settle();
    proven(record(6, 20, "pg3", true), now);
    assert_int_equal(fx.cut, 1u << number("pg1"));
    goes_to(PROXY_PRIMARY, "pg3");
}

/* Same member, new epoch: its database was another process. */
static void test_the_same_holder_again_is_cut_too(void **state)
{
    (void)state;
    settle();
    pushed(record(4, 8, "pg1", false));
    assert_int_equal(fx.cut, 1u << number("pg1"));
}

static void test_a_change_within_the_epoch_cuts_nobody(void **state)
{
    (void)state;
    settle();
    pushed(record(3, 8, "pg1", true));
    assert_int_equal(fx.cut, 0);
    goes_to(PROXY_PRIMARY, "pg1");
}

static void test_a_record_never_goes_back(void **state)
{
    (void)state;
    settle();
    pushed(record(4, 9, "pg2", true));
    pushed(record(3, 12, "pg1", true)); /* a slower node tells what was before */
    goes_to(PROXY_PRIMARY, "pg2");
    pushed(record(4, 8, "pg2", false));
    goes_to(PROXY_PRIMARY, "pg2");
}

/* A read that was under way when the record changed shows the old one: it proves what is known. */
static void test_an_overtaken_read_is_a_proof(void **state)
{
    (void)state;
    settle();
    after(TTL_US / 2);
    struct base_mono asked_at = now;
    after(10 * MS);
    pushed(record(4, 9, "pg2", true));
    proven(record(3, 7, "pg1", true), asked_at);
    assert_int_equal(fx.cut, 0);
    after(TTL_US - 10 * MS - 1);
    goes_to(PROXY_PRIMARY, "pg2");
}

static void test_a_restored_quorum_is_not_followed(void **state)
{
    (void)state;
    settle();
    after(MS);
    proven(record(2, 3, "pg2", true), now);
    assert_int_equal(fx.cut, 0);
    waits(PROXY_PRIMARY, PROXY_REASON_RESTORED);
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_YES); /* it still holds its lease */
    goes_to(PROXY_PRIMARY, "pg1");
    after(MS);
    proven(record(4, 8, "pg2", true), now); /* confirmed above all that agents saw */
    goes_to(PROXY_PRIMARY, "pg2");
}

static void test_switchover_holds_new_ones_for_a_while(void **state)
{
    (void)state;
    settle();
    struct proxy_record r = record(3, 8, "pg1", true);
    r.state = MSG_RECORD_SWITCHOVER;
    pushed(r);
    assert_int_equal(fx.cut, 0); /* those that stand go on until the database stops */
    waits(PROXY_PRIMARY, PROXY_REASON_SWITCHOVER);
    struct proxy_choice choice = choose(PROXY_PRIMARY, 4 * BASE_US_PER_S);
    assert_int_equal(choice.reason, PROXY_REASON_SWITCHOVER);
    assert_int_equal(base_mono_diff_us(choice.again_at, now), BASE_US_PER_S);
    choice = choose(PROXY_PRIMARY, 5 * BASE_US_PER_S); /* it does not end: the old one serves */
    assert_int_equal(choice.member, number("pg1"));
    pushed(record(4, 9, "pg2", false));
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_OPEN);
    pushed(record(4, 10, "pg2", true));
    goes_to(PROXY_PRIMARY, "pg2");
}

static void test_a_crashed_primary_is_waited_for(void **state)
{
    (void)state;
    settle();
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_NO);
    waits(PROXY_PRIMARY, PROXY_REASON_NOT_SERVING);
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_YES); /* restarted in place */
    assert_true(fx.is_changed);
    goes_to(PROXY_PRIMARY, "pg1");
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_NO);
    word("pg1", PROXY_ASKS_PRIMARY,
         PROXY_ANSWER_NONE); /* its agent is restarted: the record decides */
    goes_to(PROXY_PRIMARY, "pg1");
}

/* What its agent said before it won says nothing. */
static void test_words_of_the_last_epoch_do_not_count(void **state)
{
    (void)state;
    settle();
    word("pg2", PROXY_ASKS_PRIMARY, PROXY_ANSWER_NO);
    struct base_mono asked_at = now;
    after(MS);
    pushed(record(4, 9, "pg2", true));
    goes_to(PROXY_PRIMARY, "pg2");
    step((struct proxy_event){.kind = PROXY_EVENT_WORD,
                              .member = number("pg2"),
                              .question = PROXY_ASKS_PRIMARY,
                              .answer = PROXY_ANSWER_NO,
                              .asked_at = asked_at});
    goes_to(PROXY_PRIMARY, "pg2");
}

static void test_after_failures_one_tries_for_all(void **state)
{
    (void)state;
    settle();
    fate("pg1", PROXY_EVENT_CONNECTING, PROXY_PRIMARY);
    fate("pg1", PROXY_EVENT_CONNECT_FAILED, PROXY_PRIMARY);
    waits(PROXY_PRIMARY, PROXY_REASON_UNREACHABLE);
    struct proxy_choice choice = choose(PROXY_PRIMARY, 0);
    int64_t wait_us = base_mono_diff_us(choice.again_at, now);
    assert_true(wait_us > 0 && wait_us <= 50 * MS);
    after(wait_us);
    goes_to(PROXY_PRIMARY, "pg1");
    fate("pg1", PROXY_EVENT_CONNECTING, PROXY_PRIMARY);
    waits(PROXY_PRIMARY, PROXY_REASON_UNREACHABLE); /* the scout is under way */
    fate("pg1", PROXY_EVENT_CONNECTED, PROXY_PRIMARY);
    assert_true(fx.is_changed);
    goes_to(PROXY_PRIMARY, "pg1");
}

static void test_failures_end_with_the_epoch(void **state)
{
    (void)state;
    settle();
    fate("pg2", PROXY_EVENT_CONNECTING, PROXY_REPLICAS);
    fate("pg2", PROXY_EVENT_CONNECT_FAILED, PROXY_REPLICAS);
    pushed(record(4, 9, "pg2", true));
    goes_to(PROXY_PRIMARY, "pg2");
}

static void test_a_removed_cluster_waits(void **state)
{
    (void)state;
    settle();
    after(MS);
    step((struct proxy_event){.kind = PROXY_EVENT_NO_RECORD, .asked_at = now});
    waits(PROXY_PRIMARY, PROXY_REASON_NO_RECORD);
}

static void test_a_standby_cluster_has_no_primary(void **state)
{
    (void)state;
    struct proxy_record r = record(3, 7, "pg1", false);
    r.is_standby_cluster = true;
    proven(r, now);
    waits(PROXY_PRIMARY, PROXY_REASON_STANDBY_CLUSTER);
}

/* --- the replicas port --- */

static void all_fit(void)
{
    settle();
    word("pg1", PROXY_ASKS_REPLICA, PROXY_ANSWER_NO);
    word("pg2", PROXY_ASKS_REPLICA, PROXY_ANSWER_YES);
    word("pg3", PROXY_ASKS_REPLICA, PROXY_ANSWER_YES);
}

static void test_least_connections_then_turns(void **state)
{
    (void)state;
    all_fit();
    uint8_t first = choose(PROXY_REPLICAS, 0).member;
    uint8_t second = choose(PROXY_REPLICAS, 0).member;
    assert_int_not_equal(first, second); /* equals take turns */
    fate("pg2", PROXY_EVENT_CONNECTING, PROXY_REPLICAS);
    fate("pg2", PROXY_EVENT_CONNECTED, PROXY_REPLICAS);
    goes_to(PROXY_REPLICAS, "pg3");
    goes_to(PROXY_REPLICAS, "pg3");
    fate("pg2", PROXY_EVENT_CLOSED, PROXY_REPLICAS);
    assert_int_equal(core.members[number("pg2")].connections[PROXY_REPLICAS], 0);
}

static void test_own_zone_first(void **state)
{
    (void)state;
    all_fit();
    struct proxy_options options = core.options;
    options.zone = name_of("c");
    proxy_core_set(&core, &options);
    goes_to(PROXY_REPLICAS, "pg3");
    fate("pg3", PROXY_EVENT_CONNECTING, PROXY_REPLICAS); /* more connections, still nearer */
    goes_to(PROXY_REPLICAS, "pg3");
    word("pg3", PROXY_ASKS_REPLICA, PROXY_ANSWER_NO);
    goes_to(PROXY_REPLICAS, "pg2");
}

static void test_who_is_not_fit(void **state)
{
    (void)state;
    all_fit();
    member("pg2", "b", true); /* noloadbalance */
    goes_to(PROXY_REPLICAS, "pg3");
    struct proxy_record r = record(3, 8, "pg1", true);
    r.drained.count = 1;
    r.drained.names[0] = name_of("pg3");
    pushed(r);
    waits(PROXY_REPLICAS, PROXY_REASON_NO_REPLICA);
    member("pg2", "b", false);
    goes_to(PROXY_REPLICAS, "pg2");
    after(TTL_US); /* what it said is too old */
    waits(PROXY_REPLICAS, PROXY_REASON_NO_REPLICA);
}

static void test_the_primary_when_no_replica_is_fit(void **state)
{
    (void)state;
    struct proxy_options options = core.options;
    options.is_primary_for_reads = true;
    proxy_core_set(&core, &options);
    settle();
    waits(PROXY_REPLICAS, PROXY_REASON_NO_REPLICA); /* nobody was asked yet */
    word("pg1", PROXY_ASKS_REPLICA, PROXY_ANSWER_NO);
    word("pg2", PROXY_ASKS_REPLICA, PROXY_ANSWER_NO);
    word("pg3", PROXY_ASKS_REPLICA, PROXY_ANSWER_NO);
    goes_to(PROXY_REPLICAS, "pg1");
    word("pg2", PROXY_ASKS_REPLICA, PROXY_ANSWER_YES);
    goes_to(PROXY_REPLICAS, "pg2");
}

static void test_a_writer_that_may_be_read_is_left_alone(void **state)
{
    (void)state;
    struct proxy_options options = core.options;
    options.is_primary_for_reads = true;
    proxy_core_set(&core, &options);
    all_fit();
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_YES);
    word("pg1", PROXY_ASKS_REPLICA, PROXY_ANSWER_YES);
    for (int i = 0; i < 6; i++) {
        assert_int_not_equal(choose(PROXY_REPLICAS, 0).member, number("pg1"));
    }
    word("pg2", PROXY_ASKS_REPLICA, PROXY_ANSWER_NO);
    word("pg3", PROXY_ASKS_REPLICA, PROXY_ANSWER_NO);
    goes_to(PROXY_REPLICAS, "pg1");
}

static void test_a_silent_host_is_cut_off(void **state)
{
    (void)state;
    all_fit();
    word("pg2", PROXY_ASKS_REPLICA, PROXY_ANSWER_SILENT);
    goes_to(PROXY_REPLICAS, "pg3");
    after(2 * TTL_US - 1);
    step((struct proxy_event){.kind = PROXY_EVENT_TICK});
    assert_int_equal(fx.cut, 0);
    after(1);
    step((struct proxy_event){.kind = PROXY_EVENT_TICK});
    assert_int_equal(fx.cut, 1u << number("pg2"));
    step((struct proxy_event){.kind = PROXY_EVENT_TICK});
    assert_int_equal(fx.cut, 0); /* once */
    word("pg2", PROXY_ASKS_REPLICA, PROXY_ANSWER_YES);
    goes_to(PROXY_REPLICAS, "pg2");
}

/* The proxy may be the one that is cut off: the record tells when the primary has ended. */
static void test_a_silent_primary_is_not_cut_off(void **state)
{
    (void)state;
    all_fit();
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_YES);
    word("pg1", PROXY_ASKS_PRIMARY, PROXY_ANSWER_SILENT);
    after(3 * TTL_US);
    step((struct proxy_event){.kind = PROXY_EVENT_TICK});
    assert_int_equal(fx.cut, 0);
}

/* An agent's port that a firewall has always closed tells nothing about its host. */
static void test_never_heard_is_not_dead(void **state)
{
    (void)state;
    settle();
    word("pg3", PROXY_ASKS_REPLICA, PROXY_ANSWER_SILENT);
    after(5 * TTL_US);
    step((struct proxy_event){.kind = PROXY_EVENT_TICK});
    assert_int_equal(fx.cut, 0);
}

static void test_members_that_go_make_room(void **state)
{
    (void)state;
    settle();
    for (unsigned i = 0; i < 3 * PROXY_MEMBERS_MAX; i++) {
        char name[] = "n00";
        struct proxy_seen seen;
        memset(&seen, 0, sizeof(seen));
        name[1] = (char)('0' + i / 10);
        name[2] = (char)('0' + i % 10);
        member(name, "", false);
        assert_int_not_equal(number(name), PROXY_NOBODY);
        seen.name = name_of(name);
        step((struct proxy_event){.kind = PROXY_EVENT_MEMBER_GONE, .seen = &seen});
    }
    assert_int_not_equal(number("pg1"), PROXY_NOBODY);
}

/* --- what clients hear --- */

static void test_refusals_in_the_servers_form(void **state)
{
    uint8_t memory[512];
    struct buf b = buf_over(memory, sizeof(memory));
    (void)state;
    proxy_refusal_put(PROXY_SPEAKS_POSTGRESQL, SLICE_EMPTY, PROXY_REASON_TOO_MANY, &b);
    assert_int_equal(b.data[0], 'E');
    assert_int_equal(b.data[3] << 8 | b.data[4], b.len - 1); /* the length counts itself */
    assert_memory_equal(b.data + 5, "SFATAL\0VFATAL\0C53300\0Mquorate-proxy: ", 37);
    assert_int_equal(b.data[b.len - 1], 0);
    buf_reset(&b);
    proxy_refusal_put(PROXY_SPEAKS_MYSQL, SLICE_EMPTY, PROXY_REASON_NOT_OPEN, &b);
    assert_int_equal(b.data[0] | b.data[1] << 8, b.len - 4);
    assert_int_equal(b.data[4], 0xff);
    buf_reset(&b);
    proxy_refusal_put(PROXY_SPEAKS_NOTHING, SLICE_EMPTY, PROXY_REASON_NOT_OPEN, &b);
    assert_int_equal(b.len, 0);
}

static void test_refusals_of_those_who_want_tls(void **state)
{
    uint8_t memory[512];
    struct buf b = buf_over(memory, sizeof(memory));
    (void)state;
    proxy_refusal_put(PROXY_SPEAKS_POSTGRESQL, SLICE_LIT("\0\0\0\x08\x04\xd2\x16\x2f"),
                      PROXY_REASON_NOT_OPEN, &b);
    assert_int_equal(b.data[0], 'E');
    buf_reset(&b);
    proxy_refusal_put(PROXY_SPEAKS_POSTGRESQL, SLICE_LIT("\x16\x03\x01"), PROXY_REASON_NOT_OPEN,
                      &b);
    assert_int_equal(b.len, 0);
}

static void test_proxy_protocol_header(void **state)
{
    uint8_t memory[PROXY_HEADER_MAX];
    struct buf b = buf_over(memory, sizeof(memory));
    struct proxy_ends ends = {.family = 4,
                              .from = {192, 0, 2, 7},
                              .to = {192, 0, 2, 8},
                              .from_port = 0x1234,
                              .to_port = 5000};
    static const uint8_t wanted[] = {'\r', '\n', '\r', '\n', 0,    '\r', '\n', 'Q', 'U', 'I',
                                     'T',  '\n', 0x21, 0x11, 0,    12,   192,  0,   2,   7,
                                     192,  0,    2,    8,    0x12, 0x34, 0x13, 0x88};
    (void)state;
    proxy_header_put(&ends, &b);
    assert_int_equal(b.len, sizeof(wanted));
    assert_memory_equal(b.data, wanted, sizeof(wanted));
    buf_reset(&b);
    ends.family = 6;
    proxy_header_put(&ends, &b);
    assert_int_equal(b.len, PROXY_HEADER_MAX);
    assert_int_equal(b.data[13], 0x21);
    assert_int_equal(b.data[15], 36);
    buf_reset(&b);
    ends.family = 0;
    proxy_header_put(&ends, &b);
    assert_int_equal(b.len, 16);
    assert_int_equal(b.data[12], 0x20);
}

#define TEST(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        TEST(test_routes_to_the_holder_that_has_opened),
        TEST(test_pushed_records_need_a_proof),
        TEST(test_no_answer_older_than_the_lease),
        TEST(test_an_agent_stands_in_for_the_quorum),
        TEST(test_failover_cuts_at_once_and_holds_until_open),
        TEST(test_promoted_is_enough),
        TEST(test_promoted_in_another_epoch),
        TEST(test_a_missed_step_cuts_as_well),
        TEST(test_the_same_holder_again_is_cut_too),
        TEST(test_a_change_within_the_epoch_cuts_nobody),
        TEST(test_a_record_never_goes_back),
        TEST(test_an_overtaken_read_is_a_proof),
        TEST(test_a_restored_quorum_is_not_followed),
        TEST(test_switchover_holds_new_ones_for_a_while),
        TEST(test_a_crashed_primary_is_waited_for),
        TEST(test_words_of_the_last_epoch_do_not_count),
        TEST(test_after_failures_one_tries_for_all),
        TEST(test_failures_end_with_the_epoch),
        TEST(test_a_removed_cluster_waits),
        TEST(test_a_standby_cluster_has_no_primary),
        TEST(test_least_connections_then_turns),
        TEST(test_own_zone_first),
        TEST(test_who_is_not_fit),
        TEST(test_the_primary_when_no_replica_is_fit),
        TEST(test_a_writer_that_may_be_read_is_left_alone),
        TEST(test_a_silent_host_is_cut_off),
        TEST(test_a_silent_primary_is_not_cut_off),
        TEST(test_never_heard_is_not_dead),
        TEST(test_members_that_go_make_room),
        TEST(test_refusals_in_the_servers_form),
        TEST(test_refusals_of_those_who_want_tls),
        TEST(test_proxy_protocol_header),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
