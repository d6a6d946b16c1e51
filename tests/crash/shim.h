/* SPDX-License-Identifier: Apache-2.0 */
/* What a sweep and the shim inside the daemon share: a page in a file that both have mapped. The
 * sweep says at which operation what shall happen; the shim counts, and notes what it did. The page
 * outlives the daemon, however it ends. */
#ifndef QUORATE_TESTS_CRASH_SHIM_H
#define QUORATE_TESTS_CRASH_SHIM_H

#include <stdbool.h>
#include <stdint.h>

#define SHIM_ENVIRONMENT "QUORATE_SHIM" /* path of the page */

enum shim_class {
    SHIM_WRITE, /* bytes of a file, or its length */
    SHIM_SYNC,
    SHIM_NAME, /* a file is made, renamed or removed */
    SHIM_CLASSES,
};

enum shim_action {
    SHIM_NOTHING,
    SHIM_KILL,  /* ends the process in front of the operation */
    SHIM_TORN,  /* ends it after the first half of a write; in front of anything else */
    SHIM_LOSE,  /* as KILL, and what was not flushed is gone from the files, as without power */
    SHIM_ERROR, /* fails with `error`; what a failed flush was to make durable is gone */
    SHIM_FULL,  /* ENOSPC, and so does every later write */
};

struct shim_page {
    char top[256];      /* files below it count; lock files do not */
    uint32_t operation; /* enum shim_class */
    uint32_t action;    /* enum shim_action */
    uint64_t at;        /* the at-th of its class, from 1 */
    int32_t error;
    /* set by the shim */
    bool was_hit;
    uint64_t counts[SHIM_CLASSES];
    uint64_t undone; /* pieces taken back */
    char name[80];   /* of the file at which it struck, below top */
};

#endif
