/* SPDX-License-Identifier: Apache-2.0 */
/* Command line of quorate-guard. All texts are borrowed from argv. */
#ifndef QUORATE_AGENTS_GUARD_OPTIONS_H
#define QUORATE_AGENTS_GUARD_OPTIONS_H

#include "base/error.h"
#include "base/types.h"

#define GUARD_GROUPS_MAX 16

enum guard_watchdog_mode {
    GUARD_WATCHDOG_NONE,
    GUARD_WATCHDOG_TRY,
    GUARD_WATCHDOG_REQUIRE, /* no arm without it */
};

struct guard_options {
    const char *socket; /* Unix socket, mode 0600; SOCKET.lock beside it */
    const char
        *state_dir; /* remembers the root's pid, so that a later guard tells ours from others */
    const char *data_dir; /* of the database; names leftovers. NULL: none are looked for */
    const char *cgroup;   /* "auto", "none", or a delegated directory */
    const char *log;      /* file for the root's output; NULL: inherited */
    int log_fd;           /* the same as an open descriptor; -1 none */
    int64_t margin_us;
    enum guard_watchdog_mode watchdog_mode;
    const char *watchdog_device;
    int64_t watchdog_timeout_us;
    bool has_user;
    uint32_t uid;
    uint32_t gid;
    uint32_t groups_count;
    uint32_t groups[GUARD_GROUPS_MAX];
    int32_t adopt; /* pid of a root that runs already; 0 none */
    bool is_kill_leftovers;
    bool is_release;      /* tell the guard at the socket to leave an adopted root */
    int ready_fd;         /* one byte is written when the socket is there; -1 none */
    int resume_fd;        /* state of the former image after an upgrade; -1 none */
    char *const *command; /* NULL-terminated; NULL when none was given */
    char *const *argv;
};

/* BASE_E_INVALID with one line on stderr; BASE_E_CANCELED when --help or --version was answered. */
MUST_CHECK int guard_options_parse(int argc, char *const *argv, struct guard_options *ret);

#endif
