/* SPDX-License-Identifier: Apache-2.0 */
/* The real process tree: freeze it, thaw it, kill it, see it stopped, see it empty.
 *
 * The tree is every descendant of `base`, which is a child subreaper (the guard), so that nothing
 * which the root starts can leave it by ending its parent, setsid or double fork. By cgroup where
 * there is one, and by signals else; a kill always does both. All calls are short: a freeze or kill
 * is begun and then polled until done. Used by the guard and, with another base, by its twin.
 */
#ifndef QUORATE_AGENTS_GUARD_TREE_H
#define QUORATE_AGENTS_GUARD_TREE_H

#include "agents/guard/cgroup.h"

/* A tree with more processes cannot be frozen by signals (it is killed then). */
#define GUARD_TREE_MAX 4096

struct tree_entry {
    int32_t pid;
    int32_t parent; /* in whose list it was found */
    uint64_t start;
};

struct guard_processes {
    int32_t base;        /* its descendants are the tree */
    int32_t exclude;     /* child of base that is not; 0 none */
    int32_t root;        /* 0 none; stopped first and killed last */
    uint64_t root_start; /* adopted: start time, so that its number names it */
    bool is_adopted;     /* root is no descendant of base: its own descendants are the tree */
    bool use_cgroup;     /* the running tree was started inside */
    struct guard_cgroup *cgroup;
    uint32_t passes;      /* since freeze or kill began */
    bool is_kill_ordered; /* adopted: the whole list was stopped and killed, now waiting for its end
                           */
    bool has_overflown;
    bool was_stopped; /* the pass before saw everything stopped ... */
    uint64_t digest;  /* ... and these processes */
    uint32_t count;
    struct tree_entry entries[GUARD_TREE_MAX];
};

void tree_init(struct guard_processes *tree, int32_t base, struct guard_cgroup *cgroup);
/* Takes a process that already runs as root, watched by its number and start time. False: no such
 * process, or it is a dead one. */
bool tree_adopt(struct guard_processes *tree, int32_t pid);
/* To the root alone, if it is still the process that was started or adopted. */
void tree_root_signal(const struct guard_processes *tree, int number);
/* First blow of a freeze; then call tree_freeze_poll until it says true: every process seen
 * stopped. */
void tree_freeze_begin(struct guard_processes *tree);
bool tree_freeze_poll(struct guard_processes *tree);
/* Lets everything run again, root last; also after half a freeze. */
void tree_thaw(struct guard_processes *tree);
/* First blow of a kill; then call tree_kill_poll until it says true: no living process seen. The
 * caller reaps, and only when base has no children left as well the tree is gone. */
void tree_kill_begin(struct guard_processes *tree);
bool tree_kill_poll(struct guard_processes *tree);
/* Before a start: a cgroup stays frozen after a kill. */
void tree_prepare_start(struct guard_processes *tree);

#endif
