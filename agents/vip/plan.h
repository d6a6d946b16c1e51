/* SPDX-License-Identifier: Apache-2.0 */
/* When a member has the virtual IP: a pure function of its right and of the clock.
 *
 * The address is there only while the database is open for writes under a deadline that lies
 * further ahead than the time it takes to drop it, and it is given to the kernel with a lifetime
 * that ends before that deadline: a killed or stopped agent leaves none behind. Nothing here
 * extends a right; the guard's deadline is the only source. vip.c carries it out.
 */
#ifndef QUORATE_AGENTS_VIP_PLAN_H
#define QUORATE_AGENTS_VIP_PLAN_H

#include "base/types.h"

#define VIP_LEAD_US (INT64_C(50) * BASE_US_PER_MS)    /* dropped so long before the deadline */
#define VIP_KERNEL_US (INT64_C(300) * BASE_US_PER_MS) /* how late the kernel ends a lifetime */
#define VIP_FOREVER_S UINT32_MAX
#define VIP_ANNOUNCES 4 /* at once, then with growing waits: a switch may lose one */
#define VIP_ANNOUNCE_US (INT64_C(100) * BASE_US_PER_MS)
#define VIP_CHECK_US BASE_US_PER_S
#define VIP_RETRY_US (INT64_C(200) * BASE_US_PER_MS)

struct vip_facts {
    struct base_mono now;
    bool is_open;    /* agt_is_open */
    bool is_endless; /* the right has no end: a pause */
    struct base_mono deadline;
    int64_t lease_us; /* what a fresh grant gives: ttl less margin */
};

enum vip_action {
    VIP_NOTHING,
    VIP_ADD,   /* with valid_s, announced and verified */
    VIP_RENEW, /* valid_s again; verified now and then */
    VIP_REMOVE,
    VIP_ANNOUNCE, /* once more */
};

struct vip_plan {
    bool is_known;   /* what the interface has: false at the start and after a failure */
    bool is_present; /* as far as we did it */
    struct base_mono valid_until; /* the kernel ends it then, or soon after */
    struct base_mono renewed_deadline;
    struct base_mono retry_at;
    uint8_t announces; /* still to come */
    struct base_mono announce_at;
};

struct vip_step {
    enum vip_action action;
    uint32_t valid_s;
    struct base_mono wake; /* look again then at the latest */
};

void vip_plan_init(struct vip_plan *plan);
/* What is to be done now. While an action is under way it is not asked. */
struct vip_step vip_plan_step(const struct vip_plan *plan, const struct vip_facts *facts);
/* It was done, or failed (is_done false). `facts` are those of the step. */
void vip_plan_done(struct vip_plan *plan, const struct vip_step *step,
                   const struct vip_facts *facts, struct base_mono now, bool is_done);

#endif
