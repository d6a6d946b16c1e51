/* SPDX-License-Identifier: Apache-2.0 */
/* What the modes of the sweep share: the shim's page, the tally, and the verdicts about how a
 * process ended. See sweep.c. One thread. */
#ifndef QUORATE_TESTS_CRASH_SWEEP_H
#define QUORATE_TESTS_CRASH_SWEEP_H

#include "tests/crash/daemon.h"
#include "tests/crash/shim.h"

#define SWEEP_BAD_MAX 5u
#define SWEEP_READY_MS 30000
#define SWEEP_END_MS 20000

struct sweep {
    struct daemon daemons[DAEMONS_MAX];
    char top[200];
    char page_path[256];
    struct shim_page *page;
    const char *kv; /* program */
    uint64_t first, step;
    bool is_all, is_told;
    const char *only;           /* name of the one fault; NULL: all take turns */
    char (*views)[DAEMON_TEXT]; /* alone: after each step; [0]: of the empty store */
    uint64_t points, bad, hits[SHIM_CLASSES], stopped, went_on, undone;
};

struct sweep_fault {
    const char *name;
    enum shim_action action;
    int error;
};

/* One run with a fault at the at-th operation of its class, and its verdict. False: there is no
 * such operation. */
typedef bool sweep_point_fn(struct sweep *s, enum shim_class operation, uint64_t at,
                            const struct sweep_fault *fault);

/* The modes: `prepare` says FAILED and returns false when even without faults nothing works. */
bool sweep_alone_prepare(struct sweep *s);
sweep_point_fn sweep_alone_point;
bool sweep_image_prepare(struct sweep *s);
sweep_point_fn sweep_image_point;
bool sweep_restore_prepare(struct sweep *s);
sweep_point_fn sweep_restore_point;

/* Arms the shim for what lies below `top`; without a fault it only counts. */
void sweep_arm(struct sweep *s, const char *top, enum shim_class operation, uint64_t at,
               const struct sweep_fault *fault);
/* Counts a point that was hit. */
void sweep_note_point(struct sweep *s, const struct sweep_fault *fault);
/* Ends it, so to speak, with SIGKILL. */
bool sweep_is_killing(const struct sweep_fault *fault);
/* Prints a FAILED line: the rule, the point, and what the process said last. */
void sweep_bad_point(struct sweep *s, const struct daemon *d, const struct sweep_fault *fault,
                     const char *rule, const char *more);
/* After a fault that was to stop it: it has ended, not by a signal of its own, and says why. */
bool sweep_has_ended_well(struct sweep *s, struct daemon *d, const struct sweep_fault *fault);

#endif
