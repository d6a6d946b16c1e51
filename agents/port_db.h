/* SPDX-License-Identifier: Apache-2.0 */
/* Port: the database of one host, engine-specific work behind engine-neutral orders.
 *
 * One order at a time; its completion comes back through the glue with the same id. A new order
 * while one is running is allowed only for DB_CANCEL. Orders are done by a worker with a deadline
 * and never block the loop. Views (what a probe saw) come on their own, at least once per heartbeat
 * while a database process is there, at once after each completion, and as often while there is no
 * process: the guard's tree GONE is followed at once by a view of the control file, which a
 * hand-over waits for. A probe that hangs gives a view with is_answering false. Starting,
 * signalling and killing processes is the guard's; an order that needs a signal (SIGHUP after a
 * rewritten file) sends it through the guard itself. Loop thread, except where said.
 */
#ifndef QUORATE_AGENTS_PORT_DB_H
#define QUORATE_AGENTS_PORT_DB_H

#include "agents/core/db_types.h"
#include "agents/port_guard.h"

/* What a port calls; its owner brings it. Never from inside of a call into the port. */
struct db_events {
    void *ctx;
    void (*done)(void *ctx, const struct db_done *done);
    void (*view)(void *ctx, const struct db_view *view);
    void (*log)(void *ctx, const char *text); /* a line for people; any thread */
};

struct db_port {
    void *ctx;
    void (*order)(void *ctx, const struct db_order *order);
    /* The cluster's configuration document of that revision; copied. It comes into force with an
     * order DB_ORDER_CONFIGURE that names it. May be NULL: the engine has none. */
    void (*configure)(void *ctx, uint64_t revision, struct slice text);
    /* The next two are for who owns the guard's link and knows the record; NULL in front of them.
     */
    /* What the guard says, at each change: is followed by a view at once. */
    void (*guard_changed)(void *ctx, const struct guard_status *status);
    /* How often a view is wanted, from now on. */
    void (*set_interval)(void *ctx, int64_t interval_us);
};

#endif
