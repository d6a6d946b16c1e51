/* SPDX-License-Identifier: Apache-2.0 */
/* What a guard says about itself and its tree. Plain data, whole in every message, so that a
 * restarted agent learns all of it from the first one. Used by the port, the guard's core and the
 * agent's core.
 */
#ifndef QUORATE_AGENTS_GUARD_CORE_STATUS_H
#define QUORATE_AGENTS_GUARD_CORE_STATUS_H

#include "base/types.h"

enum guard_tree {
    GUARD_TREE_GONE = 0, /* no process of the database is left, seen empty */
    GUARD_TREE_RUNNING = 1,
    GUARD_TREE_FREEZING = 2,
    GUARD_TREE_FROZEN = 3, /* every process seen stopped */
    GUARD_TREE_KILLING = 4,
    GUARD_TREE_ROOT_EXITED = 5, /* root is gone, the rest is being killed */
};

enum guard_watchdog {
    GUARD_WATCHDOG_OFF = 0,         /* none is configured */
    GUARD_WATCHDOG_IDLE = 1,        /* closed: nothing to guard */
    GUARD_WATCHDOG_FED = 2,         /* counts, and is fed */
    GUARD_WATCHDOG_HUNGRY = 3,      /* counts, and is not fed: the deadline is too near */
    GUARD_WATCHDOG_UNAVAILABLE = 4, /* configured, but it could not be opened or fed */
};

struct guard_status {
    uint64_t instance; /* random id of this guard process */
    enum guard_tree tree;
    int32_t root_pid; /* 0 when GONE */
    bool is_adopted;  /* not our child: watched by pidfd */
    bool is_armed;
    uint64_t epoch; /* highest armed */
    struct base_mono deadline;
    int64_t soft_us; /* above 0: the engine fences itself at the deadline; the tree is not frozen,
                        and killed that long after it unless the epoch is handed back before. Of the
                        last arm */
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
    uint32_t private_kb; /* memory of the guard alone, as it was measured last */
    int64_t margin_us;   /* a tree not seen stopped within a quarter of it is killed */
    enum guard_watchdog watchdog;
    /* How late the guard came to its turn at worst while it guarded an armed tree, and how much of
     * the lease was left then. Since its program began; 0 and 0: nothing measured. */
    int64_t pause_worst_us;
    int64_t pause_left_us;
};

#endif
