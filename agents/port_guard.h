/* SPDX-License-Identifier: Apache-2.0 */
/* Port: the guard, parent of the database process, and the only one that fences it.
 *
 * The guard outlives its agent. It knows (epoch, absolute deadline on CLOCK_BOOTTIME); nothing but
 * `arm` extends it. At the deadline it freezes the whole tree; within freeze_max an arm of the same
 * epoch with a deadline ahead thaws it; after that, or when a higher epoch is seen, it kills the
 * tree. An unarmed guard (standby) fences nothing. Calls are requests; every change comes back as a
 * guard_status through the glue's receive function, so that a restarted agent learns all of it from
 * the first one.
 */
#ifndef QUORATE_AGENTS_PORT_GUARD_H
#define QUORATE_AGENTS_PORT_GUARD_H

#include "agents/guard/core_status.h"
#include "base/error.h"
#include "base/types.h"

struct guard_port {
    void *ctx;
    /* Starts the database (command line and environment are the shell's affair); only when GONE. */
    void (*start)(void *ctx);
    /* Extends the deadline of `epoch`, or takes a higher epoch. A lower epoch, one handed back, or
     * an earlier deadline of the same epoch is ignored. Thaws a frozen tree when the deadline lies
     * ahead. */
    void (*arm)(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t freeze_max_us);
    /* The same for an engine that fences itself at the deadline: never frozen, killed soft_us after
     * it unless `release` came before. NULL where no such engine is. */
    void (*arm_soft)(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t soft_us);
    /* Hand back while the tree runs: the engine's own fence of `epoch` is done. As final as
     * hand_back. */
    void (*release)(void *ctx, uint64_t epoch);
    /* No deadline any more (pause, or a standby after its tree was seen gone). */
    void (*disarm)(void *ctx);
    /* Signal to the root only (SIGHUP, SIGINT fast stop, SIGQUIT immediate, SIGUSR1 promote). */
    void (*signal)(void *ctx, int signal_number);
    /* kill -9 of the whole tree, frozen or not. */
    void (*kill)(void *ctx);
    /* Allowed only when the tree is GONE: from then on `epoch` and lower are never armed again. */
    void (*hand_back)(void *ctx, uint64_t epoch);
};

#endif
