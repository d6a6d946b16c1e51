/* SPDX-License-Identifier: Apache-2.0 */
/* The switch of a fence command: what a node runs, and what it does to a host. */
#include "tests/sim/nodes_internal.h"

#include <string.h>

#include "tests/sim/admins.h"
#include "tests/sim/faults.h"
#include "tests/sim/members.h"
#include "tests/sim/truth_ops.h"

#define FENCED_US (9 * SECOND) /* then somebody switches the host on again */

struct fence {
    struct base_name cluster;
    unsigned number; /* of the cluster */
    uint64_t epoch;
    int member;
    bool is_cut, is_said;
};

static void fence_ends(void *ctx, uint64_t number, struct slice bytes)
{
    struct node *n = ctx;
    struct fence f;
    (void)number;
    memcpy(&f, bytes.data, sizeof(f));
    truth_ops_fenced(n->world, f.number, f.epoch, f.is_said);
    arb_driver_fenced(n->driver, &f.cluster, f.epoch, f.is_said);
    node_rearm(n);
}

/* The power goes off at the end of the command, though the node that ran it is gone. */
static void switch_works(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    (void)bytes;
    if (member_of(w, (unsigned)number)->has_power) {
        fault_bit(w, FAULT_FENCED, (unsigned)number, 0, 0);
        member_power_off(w, (unsigned)number, FENCED_US);
    }
}

void node_fence(void *user, const struct arb_fence_job *job)
{
    struct node *n = user;
    struct world *w = n->world;
    struct fence f = {.cluster = job->cluster, .epoch = job->epoch};
    struct admins_fence how;
    f.member = member_by_name(w, &job->member);
    f.number = cluster_of(w, (unsigned)f.member);
    truth_ops_fence(w, f.number, f.epoch);
    admins_fence(w, f.number, &how);
    f.is_cut = how.is_cut;
    f.is_said = how.is_said && job->command[0] != '\0';
    if (f.is_cut) {
        world_at_with(w, w->now_us + how.takes_us - MS, NULL, switch_works, w, (uint64_t)f.member,
                      SLICE_EMPTY);
    }
    world_at_with(w, w->now_us + how.takes_us, &n->process, fence_ends, n, 0,
                  slice_from(&f, sizeof(f)));
}
