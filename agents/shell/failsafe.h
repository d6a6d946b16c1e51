/* SPDX-License-Identifier: Apache-2.0 */
/* The holder's half of failsafe rounds in the loop: asks other agents on their HTTP port.
 *
 * POST /failsafe over HTTP/1.1 with keep-alive, one connection a peer, made when the first round
 * needs it. Beyond loopback over TLS, and an answer counts only from the certificate of the agent
 * that was asked. Whatever fails is no answer, which is a refusal; the next round tries again.
 * Loop thread only; decides nothing.
 */
#ifndef QUORATE_AGENTS_SHELL_FAILSAFE_H
#define QUORATE_AGENTS_SHELL_FAILSAFE_H

#include "agents/port_failsafe.h"
#include "proto/io/loop.h"
#include "proto/io/tls.h"

#define FAILSAFE_PATH "/failsafe"

struct failsafe_client;

struct failsafe_client_options {
    struct base_name cluster;
    struct io_tls *tls; /* NULL: plain, on loopback only */
    void *ctx;
    /* What `member` answered. */
    void (*answered)(void *ctx, const struct base_name *member, struct slice answer);
};

/* NOMEM. */
MUST_CHECK int failsafe_client_new(struct io_loop *loop,
                                   const struct failsafe_client_options *options,
                                   struct failsafe_client **ret);
struct failsafe_port failsafe_client_port(struct failsafe_client *client);
/* Connections are aborted; nothing is called any more. NULL is fine. Returns NULL. */
struct failsafe_client *failsafe_client_free(struct failsafe_client *client);

#endif
