/* SPDX-License-Identifier: Apache-2.0 */
/* What a quorum node keeps for its clients beside the key-value service: watches, users and their
 * tokens, locks and elections. Loop thread only. */
#ifndef QUORATE_ARBITER_QUORATED_CLIENTS_H
#define QUORATE_ARBITER_QUORATED_CLIENTS_H

#include "kv/api/auth.h"
#include "kv/api/recipe.h"
#include "kv/watch.h"

struct quorated_clients {
    struct kv_service *service;
    struct rpc_registry *registry;
    struct kv_watch_hub *hub;
    struct kv_auth *auth;
    struct api_auth *users;
    struct recipes *recipes;
};

struct quorated_clients_options {
    struct kv_service *service;
    struct rpc_registry *registry;
    struct store_port store; /* of the state */
    struct io_loop *loop;
    uint64_t seed;
};

/* Registers the services at the registry. A BASE_E_*; close it all the same. */
MUST_CHECK int quorated_clients_open(struct quorated_clients *clients,
                                     const struct quorated_clients_options *options);
/* From the hooks of kv/service; before quorated_clients_open they do nothing. */
void quorated_clients_revised(struct quorated_clients *clients, int64_t revision);
void quorated_clients_auth_changed(struct quorated_clients *clients,
                                   const struct kv_auth_event *event);
/* The state store can be read, or holds another state. */
void quorated_clients_restored(struct quorated_clients *clients);
/* Some times a second. */
void quorated_clients_tick(struct quorated_clients *clients, struct base_mono now);
/* After server, stores and service are closed, before the registry. */
void quorated_clients_close(struct quorated_clients *clients);

#endif
