/* SPDX-License-Identifier: Apache-2.0 */
/* Upgrade: the guard runs its program file again, same pid, same child, same twin.
 *
 * The state goes through a memfd in a record of its own, not in the memory layout of a struct that
 * may change; a later version must go on reading version 1. Sockets and lock are inherited as they
 * are; clients are dropped and come back. If exec fails, nothing has happened.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "agents/guard/guard.h"
#include "agents/guard/log.h"

#define HANDOVER_MAGIC 0x6f686771u
#define HANDOVER_VERSION 1u
#define ARGUMENTS_MAX 128

struct handover {
    uint32_t magic;
    uint32_t version;
    uint8_t answer[GUARD_FRAME_BYTES]; /* the status, in the form of the socket */
    int64_t freeze_max_us;
    uint64_t epoch_seen;
    uint64_t root_start;
    int32_t listen_fd;
    int32_t lock_fd;
    int32_t page_fd;
    int32_t wake_fd;
    int32_t oom_score;
    int32_t use_cgroup;
};

static void inherit_set(const struct handover *h, bool is_inherited)
{
    const int fds[] = {h->listen_fd, h->lock_fd, h->page_fd, h->wake_fd};
    for (size_t i = 0; i < BASE_COUNT_OF(fds); i++) {
        (void)fcntl(fds[i], F_SETFD, is_inherited ? 0 : FD_CLOEXEC);
    }
}

static struct handover handover_make(const struct guard *g)
{
    struct guard_answer answer = {.status = g->core.status, .upgrades = g->upgrades + 1};
    struct handover h = {.magic = HANDOVER_MAGIC,
                         .version = HANDOVER_VERSION,
                         .freeze_max_us = g->core.freeze_max_us,
                         .epoch_seen = g->core.epoch_seen,
                         .root_start = g->tree->root_start,
                         .listen_fd = g->server.listen_fd,
                         .lock_fd = g->lock_fd,
                         .page_fd = g->link.page_fd,
                         .wake_fd = g->link.wake_fd,
                         .oom_score = g->oom_score,
                         .use_cgroup = g->tree->use_cgroup};
    guard_answer_encode(&answer, h.answer);
    return h;
}

/* Our own arguments with --resume-fd in front, one of a former upgrade left out. */
static bool arguments_make(const struct guard *g, const char *fd_text, const char **ret)
{
    char *const *old = g->options->argv;
    size_t count = 0;
    ret[count++] = old[0];
    ret[count++] = "--resume-fd";
    ret[count++] = fd_text;
    size_t from = old[1] != NULL && strcmp(old[1], "--resume-fd") == 0 ? 3 : 1;
    for (size_t i = from; old[i] != NULL; i++) {
        if (count == ARGUMENTS_MAX - 1) {
            return false;
        }
        ret[count++] = old[i];
    }
    ret[count] = NULL;
    return true;
}

int guard_upgrade(struct guard *guard)
{
    const char *arguments[ARGUMENTS_MAX];
    char fd_text[16];
    struct handover h = handover_make(guard);
    int fd = memfd_create("quorate-guard-state", 0);
    if (fd < 0 || write(fd, &h, sizeof(h)) != sizeof(h)) {
        return BASE_E_NOMEM;
    }
    (void)snprintf(fd_text, sizeof(fd_text), "%d", fd);
    int rc = BASE_E_TOOBIG;
    if (arguments_make(guard, fd_text, arguments)) {
        guard_log("notice", "ev=upgrade program=%s", guard->program);
        inherit_set(&h, true);
        (void)execv(guard->program, (char *const *)(uintptr_t)arguments);
        guard_log("error", "ev=upgrade_failed program=%s error=\"%s\", going on", guard->program,
                  strerror(errno));
        inherit_set(&h, false);
        rc = BASE_E_IO;
    }
    (void)close(fd);
    return rc;
}

static int handover_read(int fd, struct handover *ret, struct guard_answer *ret_answer)
{
    struct handover h;
    if (pread(fd, &h, sizeof(h), 0) != sizeof(h) || h.magic != HANDOVER_MAGIC ||
        h.version != HANDOVER_VERSION || guard_answer_decode(h.answer, ret_answer) != 0) {
        return BASE_E_CORRUPT;
    }
    (void)close(fd);
    *ret = h;
    return 0;
}

int guard_resume(struct guard *guard)
{
    struct handover h = {0};
    struct guard_answer answer = {0};
    int rc = handover_read(guard->options->resume_fd, &h, &answer);
    if (rc != 0) {
        return rc;
    }
    inherit_set(&h, false);
    if (guard_core_resume(&guard->core, &answer.status, h.freeze_max_us, h.epoch_seen) != 0 ||
        twin_link_attach(&guard->link, h.page_fd, h.wake_fd) != 0) {
        return BASE_E_CORRUPT;
    }
    server_attach(&guard->server, h.listen_fd);
    guard->lock_fd = h.lock_fd;
    guard->oom_score = h.oom_score;
    guard->upgrades = answer.upgrades;
    guard->tree->root = answer.status.root_pid;
    guard->tree->root_start = h.root_start;
    guard->tree->is_adopted = answer.status.is_adopted;
    guard->tree->use_cgroup = h.use_cgroup != 0 && guard->tree->cgroup->is_open;
    return guard_resume_finish(guard);
}
