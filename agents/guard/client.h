/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's side of the guard's socket, without a loop of its own.
 *
 * The agent polls the descriptor for reading (and for writing while guard_client_wants_write), and
 * calls guard_client_read until it says BASE_E_BUSY. A lost connection costs nothing: connect
 * again, and the first answer holds the whole status. Not for several threads at once.
 */
#ifndef QUORATE_AGENTS_GUARD_CLIENT_H
#define QUORATE_AGENTS_GUARD_CLIENT_H

#include "agents/guard/frame.h"

#define GUARD_CLIENT_QUEUE 16

struct guard_client {
    int fd;          /* -1 not connected */
    uint64_t cookie; /* of the last command sent */
    size_t in_filled;
    uint8_t in[GUARD_FRAME_BYTES];
    size_t out_filled;
    uint8_t out[GUARD_CLIENT_QUEUE * GUARD_FRAME_BYTES];
};

void guard_client_init(struct guard_client *client);
/* Connects, and claims the right to command unless is_watching. BASE_E_NOTFOUND: no guard there;
 * BASE_E_UNREACHABLE: cannot connect now. */
MUST_CHECK int guard_client_connect(struct guard_client *client, const char *socket,
                                    bool is_watching);
/* Closes; the guard goes on. */
void guard_client_close(struct guard_client *client);
/* Queues and sends what can be sent. *ret_cookie (may be NULL): comes back in the answer.
 * BASE_E_CLOSED: not connected (any more), or the guard does not read: connect again. */
MUST_CHECK int guard_client_send(struct guard_client *client, const struct guard_command *command,
                                 uint64_t *ret_cookie);
bool guard_client_wants_write(const struct guard_client *client);
MUST_CHECK int guard_client_flush(struct guard_client *client);
/* One answer. BASE_E_BUSY: nothing more now; BASE_E_CLOSED or BASE_E_PROTO: the connection is
 * closed. */
MUST_CHECK int guard_client_read(struct guard_client *client, struct guard_answer *ret);

/* How to start a guard. Texts are borrowed; NULL leaves an option out. */
struct guard_spawn {
    const char *program; /* path of quorate-guard */
    const char *socket;
    const char *state_dir;
    const char *data_dir;
    const char *cgroup; /* NULL: auto */
    const char *log;    /* file for the database's output */
    int64_t margin_us;  /* 0: default */
    bool has_user;
    uint32_t uid;
    uint32_t gid;
    const char *groups; /* "101,102" */
    int32_t adopt;
    const char *watchdog; /* mode; NULL: off */
    const char *watchdog_device;
    int64_t watchdog_timeout_us; /* 0: default */
    char *const *command;        /* NULL-terminated */
    const char *guard_log;       /* file for the guard's own lines; NULL: stderr of the caller */
};

/* Starts a guard that outlives the caller, in a session of its own, and waits until its socket is
 * there. Blocks up to timeout_ms (it may have to kill leftovers first): call it from a worker or at
 * start. It takes the environment of the caller; so does the database. BASE_E_STATE: it
 * refused, its line on stderr says why (a guard is there already, a foreign server runs);
 * BASE_E_TIMEOUT; BASE_E_IO. */
MUST_CHECK int guard_client_spawn(const struct guard_spawn *spawn, int timeout_ms);

/* Kills what a former guard and twin, killed together, have left (quorate-guard --kill-leftovers).
 * Blocks. 0; BASE_E_CONFLICT: a guard lives there, or a server that is not ours runs in the
 * directory; BASE_E_IO. */
MUST_CHECK int guard_client_kill_leftovers(const struct guard_spawn *spawn);

#endif
