/* SPDX-License-Identifier: Apache-2.0 */
/* Freezing and killing a tree that may fork while we do it.
 *
 * One pass goes from the base downwards. A process is looked at first and its children are listed
 * after, so a process seen stopped has a complete list: it can neither fork nor reap. A pass in
 * which everything was seen stopped, and nothing vanished, has therefore seen all there is.
 * Anything else: stop what runs, pass again.
 */
#include "agents/guard/tree.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "agents/guard/proc.h"
#include "base/assert.h"

/* Passes after which the root is killed too, though descendants may still be dying. */
#define KILL_ROOT_AFTER 2
/* Passes after which an adopted tree is killed without having been seen stopped as a whole. */
#define ADOPTED_STOP_PASSES 200

struct collect {
    struct guard_processes *tree;
    int32_t parent;
};

static void collect_child(void *ctx, int32_t pid)
{
    struct collect *c = ctx;
    struct guard_processes *tree = c->tree;
    if (pid == tree->exclude || pid == getpid()) {
        return;
    }
    if (tree->count == GUARD_TREE_MAX) {
        tree->has_overflown = true;
        return;
    }
    tree->entries[tree->count++] = (struct tree_entry){.pid = pid, .parent = c->parent};
}

/* Signals the very process that was listed, not one that got its number since. False when it is
 * gone. A child of the base keeps its number until the base reaps it, which happens never during a
 * pass. */
static bool signal_entry(const struct guard_processes *tree, const struct tree_entry *entry,
                         int number)
{
    if (entry->parent == tree->base && tree->base == getpid() && !tree->is_adopted) {
        return kill(entry->pid, number) == 0;
    }
    int fd = pidfd_open(entry->pid, 0);
    if (fd < 0) {
        return false;
    }
    struct proc_stat now = {0};
    bool is_same = proc_stat_read(entry->pid, &now) == 0 && now.start == entry->start;
    bool is_sent = is_same && pidfd_send_signal(fd, number, NULL, 0) == 0;
    (void)close(fd);
    return is_sent;
}

/* Signals the root if it still is the process that was started or adopted. */
void tree_root_signal(const struct guard_processes *tree, int number)
{
    struct proc_stat now = {0};
    if (tree->root <= 0 || proc_stat_read(tree->root, &now) != 0) {
        return;
    }
    if (tree->is_adopted ? now.start == tree->root_start : now.parent == tree->base) {
        (void)kill(tree->root, number);
    }
}

/* Where a pass begins: the children of the base, and an adopted root. */
static void pass_begin(struct guard_processes *tree)
{
    struct collect c = {.tree = tree, .parent = tree->base};
    struct proc_look look;
    tree->count = 0;
    tree->has_overflown = false;
    struct proc_stat now = {0};
    if (tree->is_adopted && proc_stat_read(tree->root, &now) == 0 &&
        now.start == tree->root_start) {
        collect_child(&c, tree->root);
    }
    if (proc_look_at(tree->base, collect_child, &c, &look) != 0) {
        tree->has_overflown = true; /* a base that is gone proves nothing */
    }
}

/* Looks at entry i and appends its children. False when it vanished. */
static bool pass_look(struct guard_processes *tree, uint32_t i, struct proc_look *ret)
{
    struct collect c = {.tree = tree, .parent = tree->entries[i].pid};
    if (proc_look_at(tree->entries[i].pid, collect_child, &c, ret) != 0) {
        return false;
    }
    tree->entries[i].start = ret->stat.start;
    return true;
}

/* The set of processes that a pass has seen, in any order. */
static uint64_t pass_digest(const struct guard_processes *tree)
{
    uint64_t sum = tree->count;
    for (uint32_t i = 0; i < tree->count; i++) {
        uint64_t z = (uint64_t)(uint32_t)tree->entries[i].pid * UINT64_C(0x9e3779b97f4a7c15) +
                     tree->entries[i].start;
        z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
        sum += z ^ z >> 31;
    }
    return sum;
}

/* One pass proves nothing alone: a process that was listed may have forked another one and ended
 * before it was looked at, and counts as stopped then. Who hides so is a new process for the next
 * pass. So two passes in a row must have seen the same processes, all of them stopped. */
static bool pass_confirms(struct guard_processes *tree, bool is_all_stopped)
{
    uint64_t digest = pass_digest(tree);
    bool is_confirmed = is_all_stopped && tree->was_stopped && tree->digest == digest;
    tree->was_stopped = is_all_stopped;
    tree->digest = digest;
    return is_confirmed;
}

/* One pass: stops what runs. True when everything was seen stopped, twice. */
static bool stop_pass(struct guard_processes *tree)
{
    bool is_all_stopped = true;
    pass_begin(tree);
    for (uint32_t i = 0; i < tree->count; i++) {
        struct proc_look look;
        if (!pass_look(tree, i, &look)) {
            is_all_stopped = false;
            continue;
        }
        if (!look.is_stopped) {
            is_all_stopped = false;
            (void)signal_entry(tree, &tree->entries[i], SIGSTOP);
        }
    }
    return pass_confirms(tree, is_all_stopped && !tree->has_overflown);
}

void tree_init(struct guard_processes *tree, int32_t base, struct guard_cgroup *cgroup)
{
    memset(tree, 0, sizeof(*tree));
    tree->base = base;
    tree->cgroup = cgroup;
}

void tree_freeze_begin(struct guard_processes *tree)
{
    tree->passes = 0;
    tree->was_stopped = false;
    if (tree->use_cgroup) {
        (void)guard_cgroup_freeze(tree->cgroup, true); /* a failure shows: never seen frozen */
        return;
    }
    tree_root_signal(tree, SIGSTOP); /* the only one of PostgreSQL that forks backends */
}

bool tree_freeze_poll(struct guard_processes *tree)
{
    tree->passes++;
    if (tree->use_cgroup) {
        bool is_populated = true, is_frozen = false;
        guard_cgroup_events(tree->cgroup, &is_populated, &is_frozen);
        return is_frozen;
    }
    return stop_pass(tree);
}

void tree_thaw(struct guard_processes *tree)
{
    if (tree->use_cgroup) {
        (void)guard_cgroup_freeze(tree->cgroup, false);
        return;
    }
    pass_begin(tree);
    for (uint32_t i = 0; i < tree->count; i++) {
        struct proc_look look;
        (void)pass_look(tree, i, &look);
    }
    for (uint32_t i = tree->count; i > 0; i--) {
        if (tree->entries[i - 1].pid != tree->root) {
            (void)signal_entry(tree, &tree->entries[i - 1], SIGCONT);
        }
    }
    tree_root_signal(tree, SIGCONT);
}

void tree_kill_begin(struct guard_processes *tree)
{
    tree->passes = 0;
    tree->was_stopped = false;
    tree->is_kill_ordered = false;
    if (tree->use_cgroup) {
        (void)guard_cgroup_kill(tree->cgroup);
    }
    tree_root_signal(tree, SIGSTOP);
}

/* One pass that kills. True when no living process was seen. */
static bool kill_pass(struct guard_processes *tree)
{
    bool is_empty = true;
    pass_begin(tree);
    for (uint32_t i = 0; i < tree->count; i++) {
        struct proc_look look;
        if (!pass_look(tree, i, &look)) {
            is_empty = false; /* its children have moved up: see the next pass */
            continue;
        }
        if (look.is_dead) {
            continue;
        }
        is_empty = false;
        if (tree->entries[i].pid != tree->root || tree->passes > KILL_ROOT_AFTER) {
            (void)signal_entry(tree, &tree->entries[i], SIGKILL);
        }
    }
    return is_empty && !tree->has_overflown;
}

/* Orphans of an adopted root leave for somebody else's list: all are stopped and listed before the
 * first dies. */
static bool kill_adopted(struct guard_processes *tree)
{
    if (!tree->is_kill_ordered) {
        if (!stop_pass(tree) && tree->passes < ADOPTED_STOP_PASSES) {
            return false;
        }
        for (uint32_t i = tree->count; i > 0; i--) {
            (void)signal_entry(tree, &tree->entries[i - 1], SIGKILL);
        }
        tree->is_kill_ordered = true;
    }
    for (uint32_t i = 0; i < tree->count; i++) {
        struct proc_stat now = {0};
        if (proc_stat_read(tree->entries[i].pid, &now) == 0 && now.state != 'Z' &&
            now.state != 'X' && now.start == tree->entries[i].start) {
            return false;
        }
    }
    return true;
}

bool tree_kill_poll(struct guard_processes *tree)
{
    bool is_populated = false, is_frozen = false;
    tree->passes++;
    if (tree->use_cgroup) {
        guard_cgroup_events(tree->cgroup, &is_populated, &is_frozen);
        if (is_populated) {
            (void)guard_cgroup_kill(tree->cgroup);
        }
    }
    bool is_empty = tree->is_adopted ? kill_adopted(tree) : kill_pass(tree);
    return is_empty && !is_populated;
}

bool tree_adopt(struct guard_processes *tree, int32_t pid)
{
    struct proc_stat now = {0};
    if (proc_stat_read(pid, &now) != 0 || now.state == 'Z' || now.state == 'X') {
        return false;
    }
    tree->use_cgroup = false;
    tree->is_adopted = true;
    tree->root = pid;
    tree->root_start = now.start;
    return true;
}

void tree_prepare_start(struct guard_processes *tree)
{
    tree->is_adopted = false;
    tree->use_cgroup = false;
    tree->root = 0;
    if (tree->cgroup != NULL && tree->cgroup->is_open && guard_cgroup_freeze(tree->cgroup, false)) {
        tree->use_cgroup = true;
    }
}
