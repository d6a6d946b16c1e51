/* SPDX-License-Identifier: Apache-2.0 */
/* Helper programs (initdb, pg_basebackup, pg_rewind, pg_controldata ...) as children with a
 * deadline.
 *
 * Each runs in a process group of its own, with a small fixed environment, output and errors in one
 * pipe that is kept bounded, and dies with the thread that started it. At the deadline, or when the
 * cancel descriptor becomes readable, the whole group is killed. A lock file that the children
 * inherit tells the next agent that a helper of a dead one is still at work. Worker threads only:
 * everything here blocks.
 */
#ifndef QUORATE_AGENTS_SHELL_CHILD_H
#define QUORATE_AGENTS_SHELL_CHILD_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

#define PG_CHILD_HEAD_MAX 6144
#define PG_CHILD_LINE_MAX 400
#define PG_CHILD_ENVIRONMENT_MAX 16

struct pg_child {
    const char *const *argv;        /* [0] is the full path; NULL-terminated */
    const char *const *environment; /* further NAME=VALUE, NULL-terminated; NULL: none */
    struct slice input;             /* to its standard input; at most what a pipe holds (64 kB) */
    struct base_mono deadline;
    int cancel_fd; /* readable: stop; -1 none */
    int lock_fd;   /* inherited by the child; -1 none */
    void (*line)(
        void *ctx,
        const char *line); /* each line as it comes, cut at PG_CHILD_LINE_MAX; may be NULL */
    void *ctx;
};

struct pg_child_result {
    int wait_status;
    size_t head_len;
    char head[PG_CHILD_HEAD_MAX];       /* the first bytes of the output, NUL-terminated */
    char last_line[PG_CHILD_LINE_MAX];  /* not empty if there was any */
    char error_line[PG_CHILD_LINE_MAX]; /* first line with "error:", "ERROR:", "FATAL:" or "PANIC:"
                                         */
};

/* CLOCK_BOOTTIME now. */
struct base_mono pg_now(void);

/* Runs to the end. 0: exit code 0. STATE: another exit (result filled). TIMEOUT, CANCELED: killed.
 * Else it could not be started. */
MUST_CHECK int pg_child_run(const struct pg_child *child, struct pg_child_result *result);
/* The line to show for a failed run: the error line, else the last one, else how it ended. */
void pg_child_reason(const struct pg_child_result *result, struct base_text *ret);

#endif
