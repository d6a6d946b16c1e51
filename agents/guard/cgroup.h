/* SPDX-License-Identifier: Apache-2.0 */
/* A cgroup v2 of our own for the tree: freeze and kill in one write, without a race with fork.
 *
 * Opened once at start, all files kept open, so that nothing is looked up when it matters. Guard
 * and twin are never inside. cgroup.freeze stays 1 after a kill: it is set to 0 before every start,
 * else the next root is frozen at birth.
 */
#ifndef QUORATE_AGENTS_GUARD_CGROUP_H
#define QUORATE_AGENTS_GUARD_CGROUP_H

#include "base/error.h"
#include "base/types.h"

#define GUARD_PATH_MAX 512

struct guard_cgroup {
    bool is_open;
    int procs_fd;
    int freeze_fd;
    int kill_fd;
    int events_fd;
    char path[GUARD_PATH_MAX];
};

/* where: "auto" (beside our own process, wherever cgroup2 is mounted), "none", or a delegated
 * directory. Makes the sub-directory quorate-NAME in it, or takes the one that a former instance
 * left. BASE_E_UNSUPPORTED for "none" or no cgroup v2, BASE_E_DENIED when it may not be used;
 * nothing is open then. */
MUST_CHECK int guard_cgroup_open(struct guard_cgroup *cg, const char *where, const char *name);
/* Removes the directory when it is empty, and closes. */
void guard_cgroup_close(struct guard_cgroup *cg);
/* True when written; cgroup.events says when it is so. */
bool guard_cgroup_freeze(struct guard_cgroup *cg, bool is_frozen);
/* SIGKILL to everything inside, frozen or not. */
bool guard_cgroup_kill(struct guard_cgroup *cg);
/* What cgroup.events says now; when it cannot be read, populated and not frozen,
 * unless the directory was removed: then nothing is inside. */
void guard_cgroup_events(struct guard_cgroup *cg, bool *ret_is_populated, bool *ret_is_frozen);

#endif
