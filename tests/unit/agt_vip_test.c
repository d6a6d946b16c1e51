/* SPDX-License-Identifier: Apache-2.0 */
/* When a member has the virtual IP: a plan walked step by step, at random against a model of the
 * kernel, and addresses as they are written. */
#include "tests/support/cm.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "agents/vip/netlink.h"
#include "agents/vip/plan.h"
#include "base/canary.h"
#include "base/rand.h"

#define SECOND BASE_US_PER_S
#define TTL (1800 * BASE_US_PER_MS)

static struct vip_plan plan;
static struct vip_facts facts;

static struct base_mono at(int64_t us)
{
    return (struct base_mono){1000 * SECOND + us};
}

static void begin(void)
{
    vip_plan_init(&plan);
    facts = (struct vip_facts){.now = at(0), .deadline = at(TTL), .lease_us = TTL};
}

/* Does what is due, if it is what is expected. */
static struct vip_step expect(enum vip_action action)
{
    struct vip_step step = vip_plan_step(&plan, &facts);
    assert_int_equal(step.action, action);
    if (action != VIP_NOTHING) {
        vip_plan_done(&plan, &step, &facts, facts.now, true);
    }
    return step;
}

static void test_left_over_of_a_killed_agent_is_removed(void **state)
{
    (void)state;
    begin();
    (void)expect(VIP_REMOVE);
    (void)expect(VIP_NOTHING);
}

static void test_added_renewed_dropped(void **state)
{
    (void)state;
    begin();
    (void)expect(VIP_REMOVE);
    facts.is_open = true;
    struct vip_step step = expect(VIP_ADD);
    assert_int_equal(step.valid_s, 1); /* ends before the deadline, late as the kernel may be */
    step = expect(VIP_NOTHING);
    assert_true(!base_mono_before(facts.deadline, base_mono_add_us(step.wake, VIP_LEAD_US)));
    facts.now = at(250000);
    facts.deadline = at(250000 + TTL);
    (void)expect(VIP_RENEW);
    (void)expect(VIP_ANNOUNCE);
    (void)expect(VIP_NOTHING);
    facts.now = base_mono_add_us(facts.deadline, -VIP_LEAD_US); /* no grant came */
    (void)expect(VIP_REMOVE);
    (void)expect(VIP_NOTHING);
}

static void test_not_open_no_address(void **state)
{
    (void)state;
    begin();
    facts.is_open = true;
    (void)expect(VIP_ADD);
    facts.is_open = false; /* hands over, its lease still runs */
    (void)expect(VIP_REMOVE);
}

static void test_a_pause_has_no_end(void **state)
{
    (void)state;
    begin();
    facts.is_open = facts.is_endless = true;
    facts.deadline = at(-SECOND);
    assert_int_equal(expect(VIP_ADD).valid_s, VIP_FOREVER_S);
    for (int i = 0; i < 4; i++) {
        facts.now = base_mono_add_us(facts.now, 100 * SECOND);
        (void)expect(VIP_RENEW);
    }
    facts.is_endless = false; /* resumed; armed again: the lifetime ends again */
    facts.deadline = base_mono_add_us(facts.now, TTL);
    assert_int_equal(expect(VIP_RENEW).valid_s, 1);
}

/* The agent stood still: the kernel has dropped it, and it is announced again. */
static void test_expired_is_added_again(void **state)
{
    (void)state;
    begin();
    facts.is_open = true;
    (void)expect(VIP_ADD);
    facts.now = at(5 * SECOND);
    facts.deadline = at(5 * SECOND + TTL);
    (void)expect(VIP_ADD);
}

static void test_a_failure_is_tried_again_and_not_at_once(void **state)
{
    (void)state;
    begin();
    facts.is_open = true;
    struct vip_step step = vip_plan_step(&plan, &facts);
    assert_int_equal(step.action, VIP_ADD);
    vip_plan_done(&plan, &step, &facts, facts.now, false);
    step = expect(VIP_NOTHING);
    assert_true(base_mono_before(facts.now, step.wake));
    facts.now = step.wake;
    (void)expect(VIP_ADD);
    facts.is_open = false;
    step = vip_plan_step(&plan, &facts);
    vip_plan_done(&plan, &step, &facts, facts.now, false); /* could not be removed */
    facts.now = base_mono_add_us(facts.now, VIP_RETRY_US);
    (void)expect(VIP_REMOVE);
}

/* A long ttl is used: the kernel's timer must not end what the lease still allows for long. */
static void test_lifetime_follows_the_ttl(void **state)
{
    (void)state;
    begin();
    facts.is_open = true;
    facts.lease_us = 54 * SECOND;
    facts.deadline = at(54 * SECOND);
    assert_int_equal(expect(VIP_ADD).valid_s, 53);
    begin();
    facts.is_open = true;
    facts.deadline = at(500000); /* would outlive it: the next grant is waited for */
    (void)expect(VIP_NOTHING);
    facts.lease_us = 540000; /* a ttl that the kernel's seconds never fit into */
    assert_int_equal(expect(VIP_ADD).valid_s, 1);
}

/* At random: looks come when they come, grants are lost, the agent is killed. The address is never
 * there when the deadline is over, as long as somebody looked when asked, or the ttl is one that
 * the kernel's seconds fit into. */
static void test_never_beyond_the_deadline(void **state)
{
    (void)state;
    struct base_rand rand = base_rand_make(7, 1);
    for (int run = 0; run < 300; run++) {
        begin();
        int64_t kernel_until = INT64_MIN;
        int64_t look_at = 0, grant_at = 0, now = 0;
        bool is_killed = false;
        int64_t deadline = TTL;
        for (int i = 0; i < 400; i++) {
            now = look_at < grant_at ? look_at : grant_at;
            if (now == grant_at) { /* a grant, or a lost one */
                grant_at += 250000;
                deadline = base_rand_between(&rand, 0, 3) != 0 ? now + TTL : deadline;
            }
            is_killed = is_killed || base_rand_between(&rand, 0, 299) == 0;
            bool is_over = now >= deadline;
            if (is_over && kernel_until + VIP_KERNEL_US > now) {
                fail_msg("run %d: there at %lld, deadline %lld", run, (long long)now,
                         (long long)deadline);
            }
            look_at = now + 250000;
            if (is_killed) {
                continue;
            }
            facts = (struct vip_facts){
                .now = at(now), .deadline = at(deadline), .is_open = !is_over, .lease_us = TTL};
            struct vip_step step = vip_plan_step(&plan, &facts);
            if (step.action == VIP_ADD || step.action == VIP_RENEW) {
                kernel_until = now + (int64_t)step.valid_s * SECOND;
            } else if (step.action == VIP_REMOVE) {
                kernel_until = INT64_MIN / 2;
            }
            if (step.action != VIP_NOTHING) {
                vip_plan_done(&plan, &step, &facts, facts.now, true);
                step = vip_plan_step(&plan, &facts);
            }
            int64_t wake = base_mono_diff_us(step.wake, at(0));
            look_at = step.wake.us < look_at + at(0).us && wake > now ? wake : look_at;
        }
    }
}

static void test_addresses(void **state)
{
    (void)state;
    struct vip_address a;
    assert_int_equal(vip_address_parse("10.0.0.5/24", &a), 0);
    assert_int_equal(a.family, AF_INET);
    assert_int_equal(a.prefix, 24);
    assert_int_equal(a.bytes[3], 5);
    assert_int_equal(vip_address_parse("10.0.0.5", &a), 0);
    assert_int_equal(a.prefix, 32);
    assert_int_equal(vip_address_parse("fd00::5/64", &a), 0);
    assert_int_equal(a.family, AF_INET6);
    assert_int_equal(a.bytes[15], 5);
    static const char *const bad[] = {
        "",           "10.0.0.5/33", "10.0.0/24",
        "10.0.0.5/0", "fd00::/129",  "10.0.0.5/",
        "name",       "/24",         "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb/64"};
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        assert_int_equal(vip_address_parse(bad[i], &a), BASE_E_INVALID);
    }
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_left_over_of_a_killed_agent_is_removed),
        cmocka_unit_test(test_added_renewed_dropped),
        cmocka_unit_test(test_not_open_no_address),
        cmocka_unit_test(test_a_pause_has_no_end),
        cmocka_unit_test(test_expired_is_added_again),
        cmocka_unit_test(test_a_failure_is_tried_again_and_not_at_once),
        cmocka_unit_test(test_lifetime_follows_the_ttl),
        cmocka_unit_test(test_never_beyond_the_deadline),
        cmocka_unit_test(test_addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
