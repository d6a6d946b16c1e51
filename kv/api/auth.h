/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.Auth, and the walker for all calls of a registry.
 *
 * Most methods are one request to the service. Where a password is in play a worker thread hashes
 * or compares it first, so that the loop never waits and the clear text never leaves this node: it
 * is wiped as soon as it has been looked at. Loop thread only. */
#ifndef QUORATE_KV_API_AUTH_H
#define QUORATE_KV_API_AUTH_H

#include "kv/api/rpc.h"
#include "kv/auth.h"
#include "proto/io/loop.h"

#define API_AUTH_PENDING_MAX 256u /* passwords under way; more: TOO_MANY_REQUESTS */
#define API_AUTH_THREADS 2u

struct api_auth_options {
    struct rpc_registry *registry;
    struct kv_service *service;
    struct kv_auth *auth;
    struct io_loop *loop;
};

struct api_auth;
/* Registers the methods and sets the walker. kv_auth_options.known must call rpc_walk_again. */
MUST_CHECK int api_auth_new(const struct api_auth_options *options, struct api_auth **ret);
/* After the server and the service are closed, before registry, kv_auth and loop. NULL is fine.
 * Returns NULL. */
struct api_auth *api_auth_free(struct api_auth *api);

#endif
