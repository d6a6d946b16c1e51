/* SPDX-License-Identifier: Apache-2.0 */
/* The simulated network: directed links with delay, loss, doubling, lateness, cuts and resets.
 *
 * Frames are bytes. A link has its own random stream, and its own share of the seed's losses.
 * Ordered links deliver in order, as one TCP connection does, and hold frames back during a short
 * cut; the others let frames pass each other. A cut either holds or drops, as drawn when it is
 * made. Delivery runs in the receiving process (waits while it is paused, is lost when it is down).
 */
#ifndef QUORATE_TESTS_SIM_NET_H
#define QUORATE_TESTS_SIM_NET_H

#include "tests/sim/world.h"

typedef void net_deliver_fn(void *ctx, unsigned from, struct slice payload);

void net_open(struct world *w);
void net_close(struct world *w);
/* Who receives at an address. */
void net_listen(struct world *w, unsigned address, const struct process *process,
                net_deliver_fn *fn, void *ctx);
/* False when nobody listens there now (connection refused). */
bool net_send(struct world *w, unsigned from, unsigned to, struct slice payload);
/* Nothing gets from `from` to `to` until then; a later end replaces an earlier one. */
void net_cut(struct world *w, unsigned from, unsigned to, int64_t until_us, bool is_held);
bool net_is_cut(const struct world *w, unsigned from, unsigned to);
/* Frames on the way are lost, both directions. */
void net_reset(struct world *w, unsigned a, unsigned b);
/* How often that has happened between them. */
uint64_t net_resets(const struct world *w, unsigned a, unsigned b);
/* Adds this delay to what is sent until then. */
void net_slow(struct world *w, unsigned from, unsigned to, int64_t until_us, int64_t extra_us);
/* What is sent until then arrives then, in order. */
void net_clog(struct world *w, unsigned from, unsigned to, int64_t until_us);
/* Some frames that were sent before arrive once more, where links do not keep order; returns how
 * many. */
unsigned net_replay(struct world *w, struct base_rand *r, unsigned count);
void net_heal_all(struct world *w);

#endif
