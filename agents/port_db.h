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
 * rewritten file) sends it through the guard itself.
 */
#ifndef QUORATE_AGENTS_PORT_DB_H
#define QUORATE_AGENTS_PORT_DB_H

#include "agents/core/db_types.h"

struct db_port {
    void *ctx;
    void (*order)(void *ctx, const struct db_order *order);
    /* The cluster's configuration document of that revision; copied. It comes into force with an
     * order DB_ORDER_CONFIGURE that names it. May be NULL: the engine has none. */
    void (*configure)(void *ctx, uint64_t revision, struct slice text);
};

#endif
