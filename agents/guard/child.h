/* SPDX-License-Identifier: Apache-2.0 */
/* Starting the root of the database's tree as a child of the guard. */
#ifndef QUORATE_AGENTS_GUARD_CHILD_H
#define QUORATE_AGENTS_GUARD_CHILD_H

#include "agents/guard/options.h"

/* Environment variable that marks every process of a tree; its value is the data directory (or,
 * without one, the state directory). */
#define GUARD_MARK "QUORATE_GUARD_TREE"

const char *guard_mark_of(const struct guard_options *options);

/* Forks and returns when the child stands on its own feet (in its cgroup, as its user, with a
 * parent-death signal), just before exec; a failing exec shows as exit status 127. cgroup_procs_fd:
 * -1 for none. oom_score: what the child is given back, the guard's own is lower. BASE_E_DENIED
 * when the cgroup does not take it, BASE_E_NOMEM when there is no fork, BASE_E_IO else; no child is
 * left then. */
MUST_CHECK int child_start(const struct guard_options *options, int cgroup_procs_fd, int oom_score,
                           int32_t *ret_pid);

#endif
