/* SPDX-License-Identifier: Apache-2.0 */
/* See plan.h. */
#include "agents/vip/plan.h"

#include <string.h>

#include "base/canary.h"

void vip_plan_init(struct vip_plan *plan)
{
    memset(plan, 0, sizeof(*plan));
    plan->valid_until = BASE_MONO_LONG_AGO;
    plan->retry_at = BASE_MONO_LONG_AGO;
}

static int64_t left_us(const struct vip_facts *f)
{
    return base_mono_diff_us(f->deadline, f->now);
}

static bool may_have(const struct vip_facts *f)
{
    if (CANARY(VIP_OUTLIVES_LEASE)) {
        return f->is_open;
    }
    return f->is_open && (f->is_endless || left_us(f) > VIP_LEAD_US);
}

/* Whole seconds that end before the deadline; the kernel knows no less than one. */
static uint32_t valid_s(const struct vip_facts *f)
{
    if (f->is_endless) {
        return VIP_FOREVER_S;
    }
    int64_t seconds = (left_us(f) - VIP_KERNEL_US) / BASE_US_PER_S;
    return seconds < 1 ? 1 : (uint32_t)seconds;
}

/* A lifetime given now ends before the deadline. Where no grant is ever long enough for the
 * kernel's whole seconds (a ttl below 1.5 s) the agent's own drop is all there is. */
static bool fits(const struct vip_facts *f)
{
    int64_t least_us = BASE_US_PER_S + VIP_KERNEL_US;
    return f->is_endless || left_us(f) >= least_us || f->lease_us < least_us;
}

static bool is_expired(const struct vip_plan *p, struct base_mono now)
{
    return !base_mono_before(now, p->valid_until);
}

struct vip_step vip_plan_step(const struct vip_plan *plan, const struct vip_facts *f)
{
    struct vip_step step = {.action = VIP_NOTHING, .wake = BASE_MONO_NEVER};
    bool is_waiting = base_mono_before(f->now, plan->retry_at);
    if (!may_have(f)) {
        if (plan->is_present || !plan->is_known) {
            step.action = is_waiting ? VIP_NOTHING : VIP_REMOVE;
            step.wake = plan->retry_at;
        }
        return step;
    }
    step.valid_s = valid_s(f);
    step.wake = f->is_endless ? base_mono_add_us(f->now, VIP_CHECK_US)
                              : base_mono_add_us(f->deadline, -VIP_LEAD_US);
    if (is_waiting) {
        step.wake = base_mono_before(plan->retry_at, step.wake) ? plan->retry_at : step.wake;
        return step;
    }
    if (!fits(f)) {
        step.action = VIP_NOTHING; /* the next grant */
    } else if (!plan->is_present || is_expired(plan, f->now)) {
        step.action = VIP_ADD;
    } else if (f->is_endless || base_mono_before(plan->renewed_deadline, f->deadline)) {
        bool is_due = !f->is_endless || base_mono_before(plan->renewed_deadline, f->now);
        step.action = is_due ? VIP_RENEW : VIP_NOTHING;
    }
    bool is_there = plan->is_present && !is_expired(plan, f->now);
    if (step.action == VIP_NOTHING && is_there && plan->announces > 0) {
        if (!base_mono_before(f->now, plan->announce_at)) {
            step.action = VIP_ANNOUNCE;
        } else if (base_mono_before(plan->announce_at, step.wake)) {
            step.wake = plan->announce_at;
        }
    }
    return step;
}

void vip_plan_done(struct vip_plan *plan, const struct vip_step *step,
                   const struct vip_facts *facts, struct base_mono now, bool is_done)
{
    if (step->action == VIP_ANNOUNCE) {
        uint8_t sent = (uint8_t)(VIP_ANNOUNCES - plan->announces);
        plan->announces--;
        plan->announce_at = base_mono_add_us(now, VIP_ANNOUNCE_US << (2 * sent));
        return;
    }
    plan->retry_at = is_done ? BASE_MONO_LONG_AGO : base_mono_add_us(now, VIP_RETRY_US);
    if (step->action == VIP_REMOVE || !is_done) {
        plan->is_known = is_done;
        plan->is_present = false;
        plan->announces = 0;
        return;
    }
    bool was_present = plan->is_present && !is_expired(plan, now);
    plan->is_known = plan->is_present = true;
    /* An endless right is renewed at each check, a lease with each new deadline. */
    plan->renewed_deadline =
        facts->is_endless ? base_mono_add_us(now, VIP_CHECK_US / 2) : facts->deadline;
    plan->valid_until = step->valid_s == VIP_FOREVER_S
                            ? BASE_MONO_NEVER
                            : base_mono_add_us(facts->now, step->valid_s * BASE_US_PER_S);
    if (step->action == VIP_ADD || !was_present) {
        plan->announces = VIP_ANNOUNCES - 1; /* the first goes with the address itself */
        plan->announce_at = base_mono_add_us(now, VIP_ANNOUNCE_US);
    }
}
