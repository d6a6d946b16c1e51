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

#include "base/error.h"
#include "base/types.h"

enum guard_tree {
    GUARD_TREE_GONE = 0, /* no process of the database is left, seen empty */
    GUARD_TREE_RUNNING = 1,
    GUARD_TREE_FREEZING = 2,
    GUARD_TREE_FROZEN = 3, /* every process seen stopped */
    GUARD_TREE_KILLING = 4,
    GUARD_TREE_ROOT_EXITED = 5, /* root is gone, the rest is being killed */
};

struct guard_status {
    uint64_t instance; /* random id of this guard process */
    enum guard_tree tree;
    int32_t root_pid; /* 0 when GONE */
    bool is_adopted;  /* not our child: watched by pidfd */
    bool is_armed;
    uint64_t epoch; /* highest armed */
    struct base_mono deadline;
    uint64_t epoch_handed_back; /* highest; never armed again */
    int32_t exit_status;      /* waitpid status of the last root, valid when GONE or ROOT_EXITED */
    uint32_t starts;          /* how many times a root was started by this instance */
    struct base_mono changed; /* when `tree` last changed */
    int64_t freeze_us;        /* last freeze: from deadline until seen stopped; 0 none yet */
    /* What this guard has at its disposal, for `kv db show`. The simulator may leave it at zero. */
    bool is_cgroup;   /* freezes and kills by a cgroup of its own, else by signals */
    bool is_realtime; /* runs in a real-time class */
    bool is_memory_locked;
    bool has_twin;
    int64_t margin_us; /* a tree not seen stopped within a quarter of it is killed */
};

struct guard_port {
    void *ctx;
    /* Starts the database (command line and environment are the shell's affair); only when GONE. */
    void (*start)(void *ctx);
    /* Extends the deadline of `epoch`, or takes a higher epoch. A lower epoch, one handed back, or
     * an earlier deadline of the same epoch is ignored. Thaws a frozen tree when the deadline lies
     * ahead. */
    void (*arm)(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t freeze_max_us);
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
