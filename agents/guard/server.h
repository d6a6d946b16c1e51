/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's socket: a few clients, fixed frames, never blocking.
 *
 * Every client sees every status. The one that said HELLO last may command; the others' commands
 * are answered with BASE_E_DENIED. A client that sends a bad frame, or does not read, is dropped:
 * it comes back and is sent the whole status again. The guard does not depend on any of them.
 */
#ifndef QUORATE_AGENTS_GUARD_SERVER_H
#define QUORATE_AGENTS_GUARD_SERVER_H

#include <poll.h>

#include "agents/guard/frame.h"

#define GUARD_CLIENTS_MAX 4

struct guard_client_slot {
    int fd;         /* -1 free */
    uint64_t since; /* counts connections: lower is older */
    uint64_t cookie;
    int32_t result;
    size_t filled;
    uint8_t frame[GUARD_FRAME_BYTES];
};

struct guard_server {
    int listen_fd;
    int commander; /* index of the client that may command; -1 none */
    uint64_t connections;
    struct guard_client_slot slots[GUARD_CLIENTS_MAX];
};

/* Does the command, returns its result. */
typedef int (*guard_command_fn)(void *ctx, const struct guard_command *command);

/* Locks PATH.lock for the life of all processes that hold *ret_fd. BASE_E_BUSY: another guard (or
 * its twin, still killing) holds it. BASE_E_IO: cannot be made. */
MUST_CHECK int server_lock(const char *path, int *ret_fd);
/* Listens; a stale socket is replaced, so hold the lock. BASE_E_IO. */
MUST_CHECK int server_open(struct guard_server *server, const char *path);
/* After an upgrade, with the inherited descriptor. */
void server_attach(struct guard_server *server, int listen_fd);
/* Fills 1 + GUARD_CLIENTS_MAX entries. */
void server_poll_fill(const struct guard_server *server, struct pollfd *fds);
/* Accepts, and reads at most one frame of each client. True when somebody is owed a status: call
 * server_push. */
bool server_work(struct guard_server *server, const struct pollfd *fds, guard_command_fn command,
                 void *ctx);
/* Sends the status to every client; cookie, result and right are each client's own. */
void server_push(struct guard_server *server, const struct guard_status *status, uint32_t upgrades);

#endif
