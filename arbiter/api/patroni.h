/* SPDX-License-Identifier: Apache-2.0 */
/* Control calls as Patroni's users have them in their scripts, as calls of the Databases service.
 *
 * An agent answers `POST /switchover` of an admin with 307 and the address of the leader's own
 * port, `/quorate/v1/patroni/CLUSTER/MEMBER/switchover`; the client repeats the call there, with
 * its own certificate. So the arbiter knows who asks, and no agent ever gives an order in its own
 * name. Here the path and the body are put into the words of the JSON gateway, which does the rest:
 * who may, what is refused and why. Loop thread.
 */
#ifndef QUORATE_ARBITER_API_PATRONI_H
#define QUORATE_ARBITER_API_PATRONI_H

#include "base/types.h"
#include "proto/io/http1.h"

#define ARB_PATRONI_BODY_MAX 65536 /* a document with every quote of it escaped */
#define ARB_PATRONI_PREFIX "/quorate/v1/patroni/"

/* A call translated: status 0, path and body are to be used; else it is refused so. */
struct arb_patroni_call {
    int status;
    const char *text; /* static */
    char path[64];
    char body[ARB_PATRONI_BODY_MAX];
};

/* Who holds the cluster, for calls that name a leader; empty: not known. */
typedef struct base_name arb_patroni_holder_fn(void *ctx, const struct base_name *cluster);

/* The configuration document that stands and its revision; 0: there is none. Valid until the next
 * event. */
typedef uint64_t arb_patroni_document_fn(void *ctx, const struct base_name *cluster,
                                         struct slice *ret_text);

struct arb_patroni {
    void *ctx;
    arb_patroni_holder_fn *holder;
    arb_patroni_document_fn *document;
    struct io_http_handler next;  /* the gateway */
    struct arb_patroni_call call; /* the last one: the gateway reads it at once */
};

/* `path` is behind ARB_PATRONI_PREFIX: CLUSTER/MEMBER/OPERATION. `now` is the wall clock. */
void arb_patroni_translate(struct slice method, struct slice path, struct slice body,
                           const struct arb_patroni *patroni, struct base_wall now,
                           struct arb_patroni_call *ret);

/* For io_server_new; other paths go to `next`. */
struct io_http_handler arb_patroni_handler(struct arb_patroni *patroni);

#endif
