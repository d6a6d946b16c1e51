/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's link to its guard: agents/port_guard.h over the guard's socket, in the loop.
 *
 * At start it looks for a running guard at the socket and goes on under it; without one it starts
 * one (on a worker: leftovers of a former guard are killed first). A lost connection is taken up
 * again; commands sent meanwhile are dropped, the core repeats what still holds. The guard outlives
 * this. Loop thread only.
 */
#ifndef QUORATE_AGENTS_SHELL_GUARD_LINK_H
#define QUORATE_AGENTS_SHELL_GUARD_LINK_H

#include "agents/guard/client.h"
#include "agents/port_guard.h"
#include "proto/io/loop.h"

struct guard_link;

struct guard_link_options {
    struct guard_spawn spawn; /* texts outlive the link */
    void *ctx;
    /* Every status that came. */
    void (*status)(void *ctx, const struct guard_status *status);
    /* Before each arm is sent: the margin may still be set. NULL: nothing to do. */
    void (*arming)(void *ctx);
    /* No guard can be started; one line has been printed by it. The agent should stop. */
    void (*failed)(void *ctx, int status);
};

/* Starts looking. NOMEM, IO. */
MUST_CHECK int guard_link_new(struct io_loop *loop, const struct guard_link_options *options,
                              struct guard_link **ret);
struct guard_port guard_link_port(struct guard_link *link);
/* Margin of the lease as the cluster has it now: sent along with each arm. */
void guard_link_set_margin(struct guard_link *link, int64_t margin_us);
/* Kills the tree and ends the guard; after the database has stopped in order. */
void guard_link_end_guard(struct guard_link *link);
/* Closes the connection; the guard goes on. NULL is fine. Returns NULL. */
struct guard_link *guard_link_free(struct guard_link *link);

#endif
