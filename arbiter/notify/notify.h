/* SPDX-License-Identifier: Apache-2.0 */
/* Events to the outside: what happens to databases and quorum is told to a program or a webhook by
 * the node that leads, at least once, in order, with ids that are the same on every node.
 *
 * What was told about a record stands in one row of guarded swaps (told.h), so that the next leader
 * goes on there; what else the leader says (refusals) is said again by a new one. A node that knows
 * no leader, or whose certificate ends, tells that itself. Nothing is ever waited for: what cannot
 * be delivered is tried again with growing pauses, and the queue is bounded. Without a target
 * nothing is done at all. Loop thread. */
#ifndef QUORATE_ARBITER_NOTIFY_NOTIFY_H
#define QUORATE_ARBITER_NOTIFY_NOTIFY_H

#include "arbiter/driver.h"
#include "arbiter/notify/deliver.h"
#include "kv/service.h"

struct notify;

struct notify_options {
    struct io_loop *loop;
    struct kv_service *service;
    struct raft_node *node;
    const struct arb_driver *driver;
    struct base_name name; /* of this node */
    uint64_t life;
    struct deliver_settings settings;
};

struct notify_stats {
    uint64_t delivered, failed, dropped, waiting;
};

/* *ret is NULL when there is no target: all other functions take that. Errors of deliver_new. */
MUST_CHECK int notify_new(const struct notify_options *options, struct notify **ret,
                          struct io_why *why);
/* kv_service_options.swapped, for every row; true: it was ours, nobody else wants it. After the
 * driver has taken in its own. */
bool notify_swapped(struct notify *notify, const struct kv_swapped *swapped);
/* All rows were told. */
void notify_loaded(struct notify *notify);
/* A sentence of the arbiter on the leader. */
void notify_noted(struct notify *notify, const struct base_name *cluster,
                  const struct arb_note *note);
void notify_role_changed(struct notify *notify);
/* Some times a second: the quorum's leader, and when this node's certificate ends (0: no TLS). */
void notify_tick(struct notify *notify, int64_t certificate_end_us);
struct notify_stats notify_stats(const struct notify *notify);
/* After the service is closed. NULL is fine. Returns NULL. */
struct notify *notify_free(struct notify *notify);

#endif
