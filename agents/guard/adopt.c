/* SPDX-License-Identifier: Apache-2.0 */
/* Adoption of a database that somebody else has started. */
#include "agents/guard/adopt.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <unistd.h>

#include "agents/guard/leftovers.h"
#include "agents/guard/log.h"
#include "agents/guard/proc.h"
#include "base/canary.h"

/* Effective user of a process, the second number of the line Uid of proc(5). */
static bool user_read(int32_t pid, uint32_t *ret_uid)
{
    char path[64], text[2048];
    (void)snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
    if (proc_file_read(AT_FDCWD, path, text, sizeof(text)) != 0) {
        return false;
    }
    const char *line = strstr(text, "\nUid:");
    char *end = NULL;
    if (line == NULL) {
        return false;
    }
    (void)strtoul(line + 5, &end, 10);
    *ret_uid = (uint32_t)strtoul(end, NULL, 10);
    return true;
}

/* Everything that can be known of a process which its number alone does not name. */
static int candidate_check(const struct guard_options *o, int32_t pid, uint64_t start)
{
    struct proc_stat now = {0};
    uint32_t uid = 0;
    if (pid <= 1 || pid == getpid() || pid == getppid() || proc_stat_read(pid, &now) != 0 ||
        now.state == 'Z' || now.state == 'X' || !user_read(pid, &uid)) {
        return BASE_E_NOTFOUND;
    }
    if (start != 0 && now.start != start && !CANARY(ADOPT_BY_NUMBER)) {
        return BASE_E_NOTFOUND; /* another process has got the number since */
    }
    if (uid != (o->has_user ? o->uid : geteuid())) {
        return BASE_E_DENIED;
    }
    return o->data_dir == NULL || leftovers_is_server(o, pid) ? 0 : BASE_E_CONFLICT;
}

int guard_adopt(struct guard *guard, int32_t pid, uint64_t start)
{
    struct guard_event ev = {.kind = GUARD_EV_ADOPTED, .now = proc_now(), .number = pid};
    if (guard->core.status.tree != GUARD_TREE_GONE || guard->core.is_ending) {
        return BASE_E_STATE;
    }
    int fd = pid > 1 ? pidfd_open(pid, 0) : -1;
    if (fd < 0) {
        return BASE_E_NOTFOUND;
    }
    /* From here on the number is bound to the process that fd names, or that one has ended. */
    int rc = candidate_check(guard->options, pid, start);
    if (rc == 0 && !tree_adopt(guard->tree, pid)) {
        rc = BASE_E_NOTFOUND;
    }
    if (rc == 0) {
        rc = guard_step(guard, &ev);
    }
    guard_log(rc == 0 ? "notice" : "error", "ev=adopt root=%d result=\"%s\"", (int)pid,
              rc == 0 ? "done" : base_error_text(rc));
    if (rc != 0) {
        (void)close(fd);
        guard->tree->is_adopted = false;
        guard->tree->root = 0;
        return rc;
    }
    guard->adopted_fd = fd;
    leftovers_remember(guard->options, pid); /* a later guard may kill it */
    return 0;
}

int guard_adopt_release(struct guard *guard)
{
    const struct guard_status *st = &guard->core.status;
    struct guard_event ev = {.kind = GUARD_EV_RELEASE, .now = proc_now()};
    int32_t pid = guard->tree->root;
    if (st->tree != GUARD_TREE_RUNNING || !st->is_adopted || st->is_armed) {
        return BASE_E_STATE;
    }
    leftovers_forget(guard->options);
    guard->tree->root = 0; /* before the twin is told: it kills what it knows of */
    guard->tree->is_adopted = false;
    (void)close(guard->adopted_fd);
    guard->adopted_fd = -1;
    guard_log("notice", "ev=release root=%d", (int)pid);
    return guard_step(guard, &ev);
}

void guard_adopted_exit(struct guard *guard)
{
    struct guard_event ev = {.kind = GUARD_EV_ROOT_EXIT, .now = proc_now()};
    (void)close(guard->adopted_fd);
    guard->adopted_fd = -1;
    (void)guard_step(guard, &ev);
}

bool guard_adopted_rest_kill(struct guard *guard)
{
    struct guard_processes *tree = guard->tree;
    if (!tree->is_adopted || guard->options->data_dir == NULL || CANARY(ADOPTED_ORPHANS_LEFT)) {
        return true;
    }
    int32_t root = tree->root;
    uint64_t root_start = tree->root_start;
    int rc = leftovers_kill_all(guard->options, tree); /* uses the tree's memory */
    tree_init(tree, getpid(), tree->cgroup);
    tree->root = root;
    tree->root_start = root_start;
    tree->is_adopted = true;
    return rc == 0;
}

void guard_adopted_reopen(struct guard *guard)
{
    if (!guard->tree->is_adopted) {
        return;
    }
    guard->adopted_fd = pidfd_open(guard->tree->root, 0);
    struct proc_stat now = {0};
    bool is_same = guard->adopted_fd >= 0 && proc_stat_read(guard->tree->root, &now) == 0 &&
                   now.start == guard->tree->root_start;
    if (!is_same) {
        guard_adopted_exit(guard);
    }
}
