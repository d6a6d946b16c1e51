/* SPDX-License-Identifier: Apache-2.0 */
/* Port: agents of one cluster talk to each other, in failsafe rounds only (safety.md section 9).
 *
 * Mutually authenticated: beyond loopback over TLS with certificates of role agent, whose cluster
 * and member are those that are meant. What a peer answers comes back through
 * agt_driver_failsafe_answer; no answer is a refusal. Never blocks.
 */
#ifndef QUORATE_AGENTS_PORT_FAILSAFE_H
#define QUORATE_AGENTS_PORT_FAILSAFE_H

#include "agents/core/failsafe.h"

struct failsafe_port {
    void *ctx;
    /* Sends `request` (copied) to each of `peers`. May be NULL: there is no failsafe. */
    void (*ask)(void *ctx, const struct agt_failsafe_peer *peers, uint8_t count,
                struct slice request);
};

#endif
