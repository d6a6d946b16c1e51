/* SPDX-License-Identifier: Apache-2.0 */
/* The guard process: core, tree, socket and twin put together in one loop. */
#ifndef QUORATE_AGENTS_GUARD_GUARD_H
#define QUORATE_AGENTS_GUARD_GUARD_H

#include "agents/guard/options.h"
#include "agents/guard/server.h"
#include "agents/guard/tree.h"
#include "agents/guard/twin.h"

struct guard {
    const struct guard_options *options;
    struct guard_core core;
    struct guard_processes *tree;
    struct twin_link link;
    struct guard_server server;
    int lock_fd;
    int twin_fd;    /* pidfd of the twin, our parent; -1 when it is lost */
    int adopted_fd; /* pidfd of an adopted root; -1 none */
    int timer_fd;
    int signal_fd;
    int oom_score; /* what children get back */
    uint32_t upgrades;
    struct {
        int fd; /* -1 closed */
        int64_t timeout_us;
        struct base_mono feed_at;
        struct base_mono retry_at;
    } watchdog;
    struct base_mono turn_due; /* the wake-up that was asked for */
    bool is_push_due;
    bool is_done;
    struct base_mono poll_at; /* next look at a tree that is being frozen or killed */
    struct base_mono work_began;
    struct base_mono measured;    /* own memory */
    char program[GUARD_PATH_MAX]; /* run again at an upgrade */
};

/* Everything of the process itself that can be had: memory locked, real-time class, not dumpable (a
 * core dump would delay the news of our death), subreaper. Fills the flags of *status. Used by
 * guard and twin. */
void guard_protect(struct guard_status *ret_status);
/* Fresh guard, in the process whose parent is the twin. 0, BASE_E_IO (socket), BASE_E_NOTFOUND
 * (adopt). */
MUST_CHECK int guard_open(struct guard *guard, int32_t twin);
/* The same after an upgrade, from options->resume_fd. BASE_E_CORRUPT: the state is not one that we
 * read. */
MUST_CHECK int guard_resume(struct guard *guard);
/* The common end of guard_resume; for handover.c. */
MUST_CHECK int guard_resume_finish(struct guard *guard);
/* Until it ends; the tree is gone then, and the socket removed. */
void guard_run(struct guard *guard);
/* Feeds one event to the core and does the effects; returns the core's answer. */
int guard_step(struct guard *guard, const struct guard_event *event);
/* Runs options->argv again in this process (handover.c). Returns only on failure. */
int guard_upgrade(struct guard *guard);

#endif
