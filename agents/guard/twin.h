/* SPDX-License-Identifier: Apache-2.0 */
/* The twin: the guard's parent, which kills the tree when the guard dies or does not do its duty in
 * time.
 *
 * The guard publishes what it owes next, and when, in a page shared with its twin. The twin needs
 * nobody's cooperation: it reads the page and the clock. Being the guard's parent and a subreaper
 * itself, it inherits all that the guard leaves behind, at the instant at which the guard ends.
 */
#ifndef QUORATE_AGENTS_GUARD_TWIN_H
#define QUORATE_AGENTS_GUARD_TWIN_H

#include <stdatomic.h>

#include "agents/guard/core.h"
#include "agents/guard/tree.h"

struct guard_page {
    uint32_t magic;
    uint32_t version;
    _Atomic uint32_t sequence; /* odd while the guard writes */
    _Atomic int32_t root;
    _Atomic int16_t is_adopted;
    _Atomic int16_t has_watchdog;
    _Atomic uint64_t root_start;
    _Atomic int64_t due_us;
    _Atomic int64_t margin_us;
};

/* What the page says, read at one instant. */
struct twin_word {
    int32_t root;
    bool is_adopted;
    uint64_t root_start;
    struct base_mono due; /* guard_core_due */
    int64_t margin_us;
    bool has_watchdog; /* a device counts, and must be stopped when the tree is gone */
};

struct twin_link {
    struct guard_page *page;
    int page_fd; /* memfd */
    int wake_fd; /* eventfd: the word changed in a way that the twin must not sleep over */
    struct twin_word said;
};

MUST_CHECK int twin_link_make(struct twin_link *link);
/* After the guard's upgrade, from inherited descriptors. BASE_E_UNSUPPORTED: another version of the
 * page. */
MUST_CHECK int twin_link_attach(struct twin_link *link, int page_fd, int wake_fd);
/* The guard's side. Call before the effects are done, so that a guard stopped in between owes them.
 */
void twin_publish(struct twin_link *link, const struct twin_word *word);

/* What the guard said last about a watchdog. */
bool twin_has_watchdog(const struct twin_link *link);

/* The twin's life: returns the exit status for the process, when the guard has ended and no process
 * of the tree is left. guard_fd: pidfd of the guard; tree: memory for its own use. */
int twin_run(struct twin_link *link, int32_t guard, int guard_fd, struct guard_processes *tree);

#endif
