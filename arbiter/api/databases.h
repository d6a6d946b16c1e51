/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC service quorate.v1.Databases: what people and tools ask the arbiter, and order of it.
 *
 * Answered on the Raft leader from the arbiter's views; other nodes answer UNAVAILABLE and name the
 * leader. History and reasons come from the store, where the arbiter wrote them. Orders need an
 * admin's certificate, questions a viewer's; without TLS (loopback only) everybody may. Loop thread
 * only.
 */
#ifndef QUORATE_ARBITER_API_DATABASES_H
#define QUORATE_ARBITER_API_DATABASES_H

#include "arbiter/driver.h"
#include "kv/service.h"
#include "proto/io/server.h"

struct arb_api;

struct arb_api_options {
    struct arb_driver *driver;
    struct kv_service *service;
    bool is_insecure;
};

MUST_CHECK int arb_api_new(const struct arb_api_options *options, struct arb_api **ret);
/* For kv/api's `next`. */
struct io_grpc_handler arb_api_handler(struct arb_api *api);
/* The server whose calls are answered; NULL before it is freed. */
void arb_api_set_server(struct arb_api *api, struct io_server *server);
/* NULL is fine. Returns NULL. */
struct arb_api *arb_api_free(struct arb_api *api);

#endif
