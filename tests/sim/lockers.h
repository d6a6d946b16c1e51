/* SPDX-License-Identifier: Apache-2.0 */
/* Clients that want locks and stand for elections, by kv/api/{recipe,lock,election}.c as they are,
 * on any node. They keep a lease each, renew it or forget to, ask again at another node when theirs
 * has failed, give up, unlock, or let the lease run out under the lock.
 *
 * Who was told that the lock is his is first in line: nobody who came before him is still there.
 * And as long as his lease is promised and he has not begun to give the lock back, nobody else is
 * told so. */
#ifndef QUORATE_TESTS_SIM_LOCKERS_H
#define QUORATE_TESTS_SIM_LOCKERS_H

#include "tests/sim/world.h"

#define INVARIANT_LOCK_TURN "lock-is-first-in-line"
#define INVARIANT_LOCK_ONE "one-lock-owner"
#define LOCKER_KEYS '@' /* keys of locks begin with it */

struct kv_service;
struct kv_watch_hub;

void lockers_open(struct world *w); /* before the nodes */
void lockers_close(struct world *w);
/* A node's life begins; is about to end, its service and its watches still there; has ended. */
void lockers_node_up(struct world *w, unsigned node, struct kv_service *service,
                     struct kv_watch_hub *hub, const struct host_clock *clock);
void lockers_node_falls(struct world *w, unsigned node);
void lockers_node_down(struct world *w, unsigned node);
/* Watches of recipes may have fired. */
void lockers_pump(struct world *w, unsigned node);

#endif
