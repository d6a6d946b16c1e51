/* SPDX-License-Identifier: Apache-2.0 */
/* What every daemon does at its edges: readiness and watchdog for systemd, lock file, version,
 * locked memory.
 *
 * panic.c beside it provides base_panic for programs: it prints the expression and the build id on
 * one line and aborts. Loop thread, or before the loop runs.
 */
#ifndef QUORATE_PROTO_IO_DAEMON_H
#define QUORATE_PROTO_IO_DAEMON_H

#include "proto/io/address.h"
#include "proto/io/loop.h"

/* Sends "READY=1", "STOPPING=1", "STATUS=..." to systemd; nothing when not started by it. */
void io_daemon_notify(const char *state);
/* Sends WATCHDOG=1 from the loop at a third of WatchdogSec; nothing when the unit has none. */
void io_daemon_watchdog(struct io_loop *loop);
/* Takes the exclusive lock on a file and writes our pid into it. The lock lives as long as the
 * process. BASE_E_EXISTS: "another quorated (pid 123) uses /var/lib/quorate". */
MUST_CHECK int io_daemon_lock(const char *path, struct io_why *why);
/* "quorated 0.1.0 (release, build 1a2b3c...)" */
const char *io_daemon_version(const char *program, char *memory, size_t cap);
/* Hexadecimal GNU build id of the running program, "" when it has none; returns memory. */
const char *io_build_id(char *memory, size_t cap);
/* Keeps what is mapped now and later in memory; false when it is not allowed (LimitMEMLOCK). */
bool io_daemon_lock_memory(void);
/* After SIGBUS and SIGSEGV: a line that names `files` as what may be damaged, and `cure` as what to
 * do, then the end by that signal. Call before threads start. */
void io_daemon_catch_faults(const char *files, const char *cure);
/* Fewer malloc arenas and lower thresholds, so that a daemon stays small. Call first in main. */
void io_daemon_small_memory(void);

#endif
