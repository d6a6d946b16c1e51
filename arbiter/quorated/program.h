/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a program of this node's own in a process group of its own, with a time limit: fences and
 * notifications. Its path comes from this node's configuration, never from the wire; nobody but
 * root and its owner may be able to change it. Output goes to this process's log. Loop thread. */
#ifndef QUORATE_ARBITER_QUORATED_PROGRAM_H
#define QUORATE_ARBITER_QUORATED_PROGRAM_H

#include "base/error.h"
#include "proto/io/loop.h"

/* PATH of what is run. */
#define QUORATED_PROGRAM_PATH "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define QUORATED_PROGRAM_WHY_MAX 160

struct quorated_program;

/* How it ended. */
struct quorated_ended {
    bool is_begun; /* false: it could not be started, `why` says it */
    bool is_late;  /* killed at the limit */
    int64_t status;
    int signal_number; /* 0: none */
    char why[QUORATED_PROGRAM_WHY_MAX];
};

struct quorated_program_run {
    struct io_loop *loop;
    const char *path;
    char **arguments;   /* with the path as the first, NULL at the end; read during the call */
    char **environment; /* the same */
    int64_t timeout_us;
    void *user;
    /* Once, never from inside quorated_program_start; the handle is dead then. */
    void (*ended)(void *user, const struct quorated_ended *how);
};

/* BASE_E_NOMEM: nothing was begun. */
MUST_CHECK int quorated_program_start(const struct quorated_program_run *run,
                                      struct quorated_program **ret);
/* Kills it with its group; nobody is told. NULL is fine. Returns NULL. */
struct quorated_program *quorated_program_kill(struct quorated_program *program);

#endif
