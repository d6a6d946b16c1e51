/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.Watch: client streams and the watch hub (kv/watch.h) brought together. */
#ifndef QUORATE_KV_API_WATCH_H
#define QUORATE_KV_API_WATCH_H

#include "kv/api/rpc.h"
#include "kv/watch.h"

/* Adds the method; the hub must live as long as the registry. BASE_E_NOSPACE. */
MUST_CHECK int api_watch_register(struct rpc_registry *registry, struct kv_watch_hub *hub);

#endif
