/* SPDX-License-Identifier: Apache-2.0 */
/* What the Raft node drives in this process: the key-value service's machine, with an ear on what
 * only the process can act on. */
#ifndef QUORATE_ARBITER_QUORATED_MACHINE_H
#define QUORATE_ARBITER_QUORATED_MACHINE_H

#include "raft/node.h"

struct quorated_machine {
    struct raft_machine inner; /* of kv/service */
    void *ctx;
    /* After the inner one has heard. */
    void (*started)(void *ctx, int status);
    void (*halted)(void *ctx, int status);
    void (*members_changed)(void *ctx);
    void (*restored)(void *ctx); /* an image took the place of the state */
};

/* Valid as long as `machine`. */
struct raft_machine quorated_machine_port(struct quorated_machine *machine);

#endif
