/* SPDX-License-Identifier: Apache-2.0 */
/* Taking a root that runs already: who it is, its pidfd, its end (safety.md section 3).
 *
 * It stays its own parent's child: it is watched by pidfd, no parent-death signal covers it, its
 * exit status stays unknown, and it is frozen by signals. Its next start through the guard ends
 * that.
 */
#ifndef QUORATE_AGENTS_GUARD_ADOPT_H
#define QUORATE_AGENTS_GUARD_ADOPT_H

#include "agents/guard/guard.h"

/* Adopts pid; start: its start time in ticks since boot, 0 when it is not known. Only while no tree
 * is there. BASE_E_STATE: a tree is there; BASE_E_NOTFOUND: no such process (any more);
 * BASE_E_DENIED: another user's than the database's; BASE_E_CONFLICT: it does not stand in the data
 * directory or runs another program. Nothing has happened then. */
MUST_CHECK int guard_adopt(struct guard *guard, int32_t pid, uint64_t start);
/* The way back: the adopted root is forgotten, here and by later guards, and this guard ends
 * without touching it. BASE_E_STATE: it is not adopted, or armed. */
MUST_CHECK int guard_adopt_release(struct guard *guard);
/* The pidfd says that the root has ended. */
void guard_adopted_exit(struct guard *guard);
/* After the tree's own processes: orphans of an adopted root do not come to us, and who started it
 * may start it again. Kills all servers of the directory; true when none is left. */
bool guard_adopted_rest_kill(struct guard *guard);
/* After an upgrade: opens the pidfd again. */
void guard_adopted_reopen(struct guard *guard);

#endif
