/* SPDX-License-Identifier: Apache-2.0 */
/* The Cluster API on a leader of paper: which changes are refused and with what, which
 * configuration is proposed, and what becomes of calls that have to wait. */
#include <stdio.h>
#include <string.h>

#include "kv/service_internal.h"
#include "proto/wire/kv.h"
#include "tests/support/cm.h"

#define SECOND INT64_C(1000000)

/* --- the Raft node --- */

static struct {
    struct raft_configuration configuration;
    struct raft_member_status statuses[RAFT_MEMBERS_MAX]; /* of the members, in their order */
    enum raft_role role;
    int refuse; /* what changes and transfers are answered */
    unsigned proposed;
    struct raft_configuration next;
    uint64_t cookie;
    uint64_t transferee;
} paper;

const struct raft_configuration *raft_node_configuration(const struct raft_node *node)
{
    (void)node;
    return &paper.configuration;
}

bool raft_node_member_status(const struct raft_node *node, uint64_t id,
                             struct raft_member_status *ret)
{
    (void)node;
    for (size_t i = 0; i < paper.configuration.count; i++) {
        if (paper.configuration.members[i].id == id) {
            *ret = paper.statuses[i];
            return true;
        }
    }
    return false;
}

void raft_node_status(const struct raft_node *node, struct raft_node_status *ret)
{
    (void)node;
    *ret = (struct raft_node_status){.role = paper.role, .term = 7};
}

int raft_node_change_members(struct raft_node *node, const struct raft_configuration *next,
                             uint64_t cookie)
{
    (void)node;
    paper.proposed++;
    paper.next = *next;
    paper.cookie = cookie;
    return paper.refuse;
}

int raft_node_transfer(struct raft_node *node, uint64_t to_id, uint64_t cookie)
{
    (void)node;
    paper.proposed++;
    paper.transferee = to_id;
    paper.cookie = cookie;
    return paper.refuse;
}

static struct kv_service service;

/* --- a client --- */

struct ask {
    struct kv_call call;
    struct kv_request request;
    struct slice url;
    bool is_done;
    enum kv_error error;
    struct kv_response response;
    struct base_arena arena;
    uint8_t bytes[4096];
    uint8_t memory[8192];
};

static void done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct ask *ask = call->user;
    assert_false(ask->is_done);
    ask->is_done = true;
    ask->error = error;
    if (error == KV_OK) {
        assert_in_range(response.len, 1, sizeof(ask->bytes));
        memcpy(ask->bytes, response.data, response.len);
        ask->arena = base_arena_over(ask->memory, sizeof(ask->memory));
        assert_int_equal(kv_wire_decode_response(ask->request.kind,
                                                 slice_from(ask->bytes, response.len), &ask->arena,
                                                 &ask->response),
                         0);
    }
}

/* Submits; what was refused at once is told like an answer. */
static void submit(struct ask *ask, struct kv_request request)
{
    *ask = (struct ask){.request = request};
    ask->call = (struct kv_call){
        .request = &ask->request, .user = ask, .done = done, .deadline = BASE_MONO_NEVER};
    enum kv_error error = service_members_submit(&service, &ask->call);
    if (error != KV_OK) {
        done(&ask->call, error, SLICE_EMPTY);
    }
}

static enum kv_error error_of(struct kv_request request)
{
    static struct ask ask;
    submit(&ask, request);
    assert_true(ask.is_done);
    assert_int_not_equal(ask.error, KV_OK);
    return ask.error;
}

static struct kv_request add(const char *url, bool is_learner)
{
    static struct slice urls[2];
    urls[0] = slice_from_text(url);
    return (struct kv_request){.kind = KV_KIND_MEMBER_ADD,
                               .member_add = {.peer_urls = {urls, 1}, .is_learner = is_learner}};
}

static struct kv_request of_member(enum kv_kind kind, uint64_t id)
{
    return (struct kv_request){.kind = kind, .member_id.id = id};
}

static struct kv_request move_to(uint64_t id)
{
    return (struct kv_request){.kind = KV_KIND_MOVE_LEADER, .move_leader.target_id = id};
}

/* --- the group: members 1.., of which 1 is this node and leads; all are up --- */

static void group(size_t voters)
{
    memset(&paper, 0, sizeof(paper));
    memset(&service, 0, sizeof(service));
    paper.role = RAFT_LEADER;
    service.open_calls = 1000;
    service.options.member_id = 1;
    service.options.life = 99;
    service.now.us = 1000 * SECOND;
    paper.configuration.count = (uint32_t)voters;
    for (size_t i = 0; i < voters; i++) {
        struct raft_member *m = &paper.configuration.members[i];
        m->id = i + 1;
        m->name.text[0] = (char)('a' + (char)i);
        (void)snprintf(m->peer_url.text, sizeof(m->peer_url.text), "https://n%zu:7000", i + 1);
        paper.statuses[i] =
            (struct raft_member_status){.match_index = 100, .heard_at = service.now};
    }
}

static void is_down(size_t id)
{
    paper.statuses[id - 1].heard_at.us = service.now.us - SERVICE_HEALTHY_US - 1;
}

static void has_not_started(size_t id)
{
    memset(&paper.configuration.members[id - 1].name, 0, sizeof(struct base_name));
    is_down(id);
}

static void is_learner(size_t id)
{
    paper.configuration.members[id - 1].is_learner = true;
}

/* --- adding --- */

static void a_member_is_added(void **state)
{
    static struct ask ask;
    (void)state;
    group(3);
    submit(&ask, add("https://n4:7000", false));
    assert_false(ask.is_done);
    assert_int_equal(paper.next.count, 4);
    assert_string_equal(paper.next.members[3].peer_url.text, "https://n4:7000");
    assert_true(paper.next.members[3].id > 3 && paper.next.members[3].id < UINT64_C(1) << 63);
    paper.configuration = paper.next;
    service_members_changed(&service, paper.cookie + 1, 0); /* somebody else's */
    assert_false(ask.is_done);
    service_members_changed(&service, paper.cookie, 0);
    assert_true(ask.is_done);
    assert_int_equal(ask.error, KV_OK);
    assert_int_equal(ask.response.member_add.member.id, paper.next.members[3].id);
    assert_int_equal(ask.response.member_add.members.count, 4);
    assert_int_equal(ask.response.member_add.header.raft_term, 7);
}

static void bad_urls(void **state)
{
    static const char *const bad[] = {"",
                                      "n4:7000",
                                      "ftp://n4:7000",
                                      "https://n4",
                                      "https://:7000",
                                      "https://n4:",
                                      "https://n4:123456",
                                      "https://n4:70a0",
                                      "https://n4:7000/x",
                                      "https://me@n4:7000",
                                      "https://n 4:7000"};
    (void)state;
    group(3);
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_int_equal(error_of(add(bad[i], false)), KV_E_BAD_MEMBER_URLS);
    }
    struct kv_request request = add("https://n4:7000", false);
    request.member_add.peer_urls.count = 0;
    assert_int_equal(error_of(request), KV_E_BAD_MEMBER_URLS);
    request.member_add.peer_urls.items[1] = slice_from_text("https://n5:7000");
    request.member_add.peer_urls.count = 2; /* one address a member */
    assert_int_equal(error_of(request), KV_E_BAD_MEMBER_URLS);
    assert_int_equal(error_of(add("https://n2:7000", false)), KV_E_PEER_URL_EXISTS);
    assert_int_equal(paper.proposed, 0);
}

static void one_learner_at_a_time(void **state)
{
    static struct ask ask;
    (void)state;
    group(4);
    is_learner(4);
    assert_int_equal(error_of(add("https://n5:7000", true)), KV_E_TOO_MANY_LEARNERS);
    submit(&ask, add("https://n5:7000", false));
    assert_int_equal(paper.proposed, 1);
}

/* Counted is the group as it will be: a new voter has not started and is not up. */
static void an_addition_leaves_a_majority(void **state)
{
    static struct ask ask;
    (void)state;
    group(3);
    is_down(3); /* two of four would be up */
    assert_int_equal(error_of(add("https://n4:7000", false)), KV_E_UNHEALTHY);
    submit(&ask, add("https://n4:7000", true)); /* a learner does not count */
    assert_int_equal(paper.proposed, 1);
    group(3);
    has_not_started(3); /* two of four would have started */
    assert_int_equal(error_of(add("https://n4:7000", false)), KV_E_UNSAFE_RECONFIGURATION);
    group(RAFT_MEMBERS_MAX);
    assert_int_equal(error_of(add("https://n9:7000", false)), KV_E_UNSAFE_RECONFIGURATION);
}

/* Two voters need both: the second one is a learner until it has started and caught up, so that the
 * addition can be committed and heard of. */
static void a_group_of_one_grows(void **state)
{
    static struct ask ask;
    (void)state;
    group(1);
    submit(&ask, add("https://n2:7000", false));
    assert_int_equal(paper.proposed, 1);
    assert_int_equal(paper.next.count, 2);
    assert_true(paper.next.members[1].is_learner);
    paper.configuration = paper.next;
    has_not_started(2);
    service_members_changed(&service, paper.cookie, 0);
    assert_int_equal(ask.error, KV_OK);
    service_members_tick(&service);
    assert_int_equal(paper.proposed, 1); /* has not started */
    paper.configuration.members[1].name.text[0] = 'b';
    service_members_tick(&service);
    assert_int_equal(paper.proposed, 1); /* has not caught up */
    paper.statuses[1] = paper.statuses[0];
    paper.refuse = BASE_E_BUSY;
    service_members_tick(&service);
    paper.refuse = 0;
    service_members_tick(&service);
    assert_int_equal(paper.proposed, 3);
    assert_false(paper.next.members[1].is_learner);
    paper.configuration = paper.next;
    service_members_changed(&service, paper.cookie, 0);
    service_members_tick(&service);
    service_members_tick(&service);
    assert_int_equal(paper.proposed, 3);
}

static void a_learner_of_a_group_of_one_stays_one(void **state)
{
    static struct ask ask;
    (void)state;
    group(1);
    submit(&ask, add("https://n2:7000", true));
    paper.configuration = paper.next;
    service_members_changed(&service, paper.cookie, 0);
    paper.configuration.members[1].name.text[0] = 'b';
    paper.statuses[1] = paper.statuses[0];
    service_members_tick(&service);
    assert_int_equal(paper.proposed, 1);
    assert_int_equal(error_of(add("https://n3:7000", false)), KV_E_TOO_MANY_LEARNERS);
}

/* --- removing --- */

static void a_removal_leaves_a_majority(void **state)
{
    static struct ask ask;
    (void)state;
    group(3);
    is_down(3);
    assert_int_equal(error_of(of_member(KV_KIND_MEMBER_REMOVE, 9)), KV_E_MEMBER_NOT_FOUND);
    assert_int_equal(error_of(of_member(KV_KIND_MEMBER_REMOVE, 2)), KV_E_UNHEALTHY);
    submit(&ask, of_member(KV_KIND_MEMBER_REMOVE, 3)); /* who is down is no loss */
    assert_int_equal(paper.proposed, 1);
    assert_int_equal(paper.next.count, 2);
    assert_int_equal(paper.next.members[1].id, 2);
    group(1);
    assert_int_equal(error_of(of_member(KV_KIND_MEMBER_REMOVE, 1)), KV_E_UNSAFE_RECONFIGURATION);
    group(3);
    has_not_started(2);
    has_not_started(3);
    assert_int_equal(error_of(of_member(KV_KIND_MEMBER_REMOVE, 1)), KV_E_UNSAFE_RECONFIGURATION);
    group(2);
    is_learner(2);
    submit(&ask, of_member(KV_KIND_MEMBER_REMOVE, 2)); /* a learner never counts */
    assert_int_equal(paper.next.count, 1);
}

/* --- promoting, addresses --- */

static void a_learner_is_promoted_when_it_has_caught_up(void **state)
{
    static struct ask ask;
    const struct kv_request request = of_member(KV_KIND_MEMBER_PROMOTE, 3);
    (void)state;
    group(3);
    assert_int_equal(error_of(of_member(KV_KIND_MEMBER_PROMOTE, 9)), KV_E_MEMBER_NOT_FOUND);
    assert_int_equal(error_of(request), KV_E_NOT_LEARNER);
    is_learner(3);
    paper.statuses[2].match_index = 89;
    assert_int_equal(error_of(request), KV_E_LEARNER_NOT_READY);
    paper.statuses[2].match_index = 90;
    paper.statuses[2].is_snapshot_under_way = true;
    assert_int_equal(error_of(request), KV_E_LEARNER_NOT_READY);
    paper.statuses[2].is_snapshot_under_way = false;
    is_down(3);
    assert_int_equal(error_of(request), KV_E_LEARNER_NOT_READY);
    paper.statuses[2].heard_at = service.now;
    submit(&ask, request);
    assert_int_equal(paper.proposed, 1);
    assert_false(paper.next.members[2].is_learner);
}

static void an_address_changes(void **state)
{
    static struct ask ask;
    struct kv_request request = add("https://n2:7001", false);
    (void)state;
    group(3);
    request.kind = KV_KIND_MEMBER_UPDATE;
    request.member_update = (struct kv_member_update){.id = 9, .peer_urls = {NULL, 0}};
    assert_int_equal(error_of(request), KV_E_MEMBER_NOT_FOUND);
    struct slice url = SLICE_LIT("https://n3:7000");
    request.member_update = (struct kv_member_update){.id = 2, .peer_urls = {&url, 1}};
    assert_int_equal(error_of(request), KV_E_PEER_URL_EXISTS);
    url = SLICE_LIT("https://n2:7001");
    submit(&ask, request);
    assert_int_equal(paper.proposed, 1);
    assert_string_equal(paper.next.members[1].peer_url.text, "https://n2:7001");
}

/* --- leadership --- */

static void leadership_moves(void **state)
{
    static struct ask ask;
    (void)state;
    group(3);
    is_learner(3);
    assert_int_equal(error_of(move_to(9)), KV_E_BAD_TRANSFEREE);
    assert_int_equal(error_of(move_to(3)), KV_E_BAD_TRANSFEREE);
    submit(&ask, move_to(1)); /* it leads */
    service_members_tick(&service);
    assert_true(ask.is_done);
    assert_int_equal(ask.error, KV_OK);
    assert_int_equal(paper.proposed, 0);
    submit(&ask, move_to(2));
    assert_int_equal(paper.transferee, 2);
    service_members_changed(&service, paper.cookie, BASE_E_TIMEOUT);
    assert_int_equal(ask.error, KV_E_TIMEOUT);
}

static void only_leaders(void **state)
{
    static struct ask waiting;
    (void)state;
    group(3);
    paper.refuse = BASE_E_BUSY;
    submit(&waiting, of_member(KV_KIND_MEMBER_REMOVE, 3));
    paper.role = RAFT_FOLLOWER;
    assert_int_equal(error_of(of_member(KV_KIND_MEMBER_REMOVE, 3)), KV_E_NOT_LEADER);
    service_members_tick(&service);
    assert_int_equal(waiting.error, KV_E_NOT_LEADER);
}

/* NOT_LEADER means that nothing was done, and has the asking node ask the next leader. Of a change
 * that was proposed already nobody knows that. */
static void a_change_under_way_is_not_asked_again(void **state)
{
    static struct ask first, second;
    (void)state;
    group(5);
    submit(&first, of_member(KV_KIND_MEMBER_REMOVE, 5));
    submit(&second, of_member(KV_KIND_MEMBER_REMOVE, 4));
    paper.role = RAFT_FOLLOWER;
    service_members_tick(&service); /* the change of role is told first */
    assert_int_equal(second.error, KV_E_NOT_LEADER);
    assert_false(first.is_done);
    service_members_changed(&service, paper.cookie, BASE_E_CANCELED);
    assert_int_equal(first.error, KV_E_LEADER_CHANGED);
}

/* --- waiting --- */

static void one_change_after_the_other(void **state)
{
    static struct ask first, second;
    (void)state;
    group(5);
    submit(&first, of_member(KV_KIND_MEMBER_REMOVE, 5));
    submit(&second, of_member(KV_KIND_MEMBER_REMOVE, 4));
    assert_int_equal(paper.proposed, 1);
    paper.configuration = paper.next;
    service_members_changed(&service, paper.cookie, 0);
    assert_true(first.is_done);
    assert_false(second.is_done);
    assert_int_equal(paper.proposed, 2);
    assert_int_equal(paper.next.count, 3); /* planned from what the first one has left */
    service_members_changed(&service, paper.cookie, BASE_E_CANCELED);
    assert_int_equal(second.error, KV_E_LEADER_CHANGED);
}

static void what_comes_too_early_is_tried_again_in_order(void **state)
{
    static struct ask first, second;
    (void)state;
    group(5);
    paper.refuse = BASE_E_BUSY;
    submit(&first, of_member(KV_KIND_MEMBER_REMOVE, 5));
    submit(&second, of_member(KV_KIND_MEMBER_REMOVE, 4));
    service_members_tick(&service);
    assert_false(first.is_done || second.is_done);
    paper.refuse = 0;
    service_members_tick(&service);
    assert_ptr_equal(service.members.current, &first.call);
    assert_ptr_equal(service.members.waiting.head, &second.call);
    service_members_fail(&service, KV_E_STOPPED);
    assert_int_equal(first.error, KV_E_STOPPED);
    assert_int_equal(second.error, KV_E_STOPPED);
    service_members_changed(&service, paper.cookie, 0); /* nobody waits for it any more */
}

static void deadlines(void **state)
{
    static struct ask first, second;
    (void)state;
    group(5);
    submit(&first, of_member(KV_KIND_MEMBER_REMOVE, 5));
    submit(&second, of_member(KV_KIND_MEMBER_REMOVE, 4));
    first.call.deadline.us = service.now.us + SECOND;
    second.call.deadline.us = service.now.us + 2 * SECOND;
    paper.refuse = BASE_E_BUSY; /* the change goes on without its caller */
    service.now.us += SECOND + 1;
    service_members_tick(&service);
    assert_int_equal(first.error, KV_E_TIMEOUT);
    assert_false(second.is_done);
    service.now.us += SECOND;
    service_members_tick(&service);
    assert_int_equal(second.error, KV_E_TIMEOUT);
}

static void a_halted_node_changes_nothing(void **state)
{
    (void)state;
    group(3);
    service.is_halted = true;
    assert_int_equal(error_of(of_member(KV_KIND_MEMBER_REMOVE, 3)), KV_E_STOPPED);
    assert_int_equal(paper.proposed, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_added),
        cmocka_unit_test(bad_urls),
        cmocka_unit_test(one_learner_at_a_time),
        cmocka_unit_test(an_addition_leaves_a_majority),
        cmocka_unit_test(a_group_of_one_grows),
        cmocka_unit_test(a_learner_of_a_group_of_one_stays_one),
        cmocka_unit_test(a_removal_leaves_a_majority),
        cmocka_unit_test(a_learner_is_promoted_when_it_has_caught_up),
        cmocka_unit_test(an_address_changes),
        cmocka_unit_test(leadership_moves),
        cmocka_unit_test(only_leaders),
        cmocka_unit_test(a_change_under_way_is_not_asked_again),
        cmocka_unit_test(one_change_after_the_other),
        cmocka_unit_test(what_comes_too_early_is_tried_again_in_order),
        cmocka_unit_test(deadlines),
        cmocka_unit_test(a_halted_node_changes_nothing),
    };
    return cmocka_run_group_tests_name("kv_members", tests, NULL, NULL);
}
