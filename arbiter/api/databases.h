/* SPDX-License-Identifier: Apache-2.0 */
/* The service quorate.v1.Databases: what people and tools ask the arbiter, and order of it; over
 * gRPC, and as JSON by POST to /quorate/v1/databases/METHOD.
 *
 * Answered on the Raft leader from the arbiter's views; other nodes answer UNAVAILABLE. History,
 * reasons and documents come from the store, where the arbiter wrote them, on any node. Orders need
 * an admin's certificate, questions a viewer's; without TLS (loopback only) everybody may. Users of
 * etcd's kind are never asked for. Loop thread only.
 */
#ifndef QUORATE_ARBITER_API_DATABASES_H
#define QUORATE_ARBITER_API_DATABASES_H

#include "arbiter/driver.h"
#include "kv/api/rpc.h"
#include "kv/service.h"

struct arb_api;

struct arb_api_options {
    struct arb_driver *driver;
    struct kv_service *service;
    struct rpc_registry *registry; /* its methods are added there */
};

/* BASE_E_NOMEM, BASE_E_NOSPACE. */
MUST_CHECK int arb_api_new(const struct arb_api_options *options, struct arb_api **ret);
/* After the server and the service are closed, before the registry is freed. NULL is fine. Returns
 * NULL. */
struct arb_api *arb_api_free(struct arb_api *api);

#endif
