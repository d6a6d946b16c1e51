/* SPDX-License-Identifier: Apache-2.0 */
/* The virtual IP of a cluster, where its primary is: plan.h carried out on a worker thread.
 *
 * Looks after each round of the loop at the agent's right, and wakes by itself before the deadline.
 * One operation at a time; one that the kernel does not answer delays nothing but itself, and the
 * lifetime that the address was given ends all the same. Loop thread.
 */
#ifndef QUORATE_AGENTS_VIP_VIP_H
#define QUORATE_AGENTS_VIP_VIP_H

#include "agents/core/agent.h"
#include "agents/vip/netlink.h"
#include "agents/vip/plan.h"
#include "proto/io/address.h"
#include "proto/io/loop.h"

#define VIP_ADDRESSES_MAX 4
#define VIP_INTERFACE_MAX 16

struct vip_settings {
    size_t count; /* 0: no virtual IP */
    struct vip_address addresses[VIP_ADDRESSES_MAX];
    char interface[VIP_INTERFACE_MAX];
};

struct vip {
    struct io_work work; /* first */
    const struct vip_settings *settings;
    const struct agt *agent;
    struct io_workers *workers;
    struct io_timer wake;
    struct vip_plan plan;
    bool is_busy;
    bool is_closing;
    struct vip_step step;
    struct vip_facts facts; /* of the step under way */
    int status;
};

/* "10.0.0.5/24" into the next place; INVALID, TOOBIG. */
MUST_CHECK int vip_settings_add(struct vip_settings *settings, const char *text);

/* NOMEM; nothing is started when no address is set. */
MUST_CHECK int vip_open(struct vip *vip, struct io_loop *loop, const struct vip_settings *settings);
/* After each round of the loop. */
void vip_look(struct vip *vip, const struct agt *agent);
bool vip_is_present(const struct vip *vip);
/* Takes the address away, waiting for the kernel. */
void vip_close(struct vip *vip);

/* Capabilities, at the start of main and only where an address is set: `keep` before root is given
 * up, `settle` after that, or alone in a process that never was root. Two of them stay, for this
 * process and none of its children. DENIED with why: they are not there. */
void vip_capabilities_keep(void);
MUST_CHECK int vip_capabilities_settle(struct io_why *why);

#endif
