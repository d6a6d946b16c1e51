/* SPDX-License-Identifier: Apache-2.0 */
/* etcd's JSON gateway: the methods of an rpc_registry as POST requests to /v3/... (/v3beta/... is
 * an alias), for HTTP/1.1 and HTTP/2 alike. Answers, errors and their status codes are those of
 * etcd 3.4's gateway. A token comes in `Authorization`; the common name of a certificate is never
 * an etcd user here, but the certificate's role binds as everywhere. Other paths go to the next
 * handler. Loop thread only. */
#ifndef QUORATE_KV_API_GATEWAY_H
#define QUORATE_KV_API_GATEWAY_H

#include "kv/api/rpc.h"

struct gateway {
    struct rpc_registry *registry;
    struct io_http_handler
        next; /* for other paths; request NULL: 404. Must not set user pointers. */
};

/* The descriptor of "/etcdserverpb.KV/Range"; NULL: of no service that is known here. */
const struct ProtobufCMethodDescriptor *gateway_method(const char *path);
/* The handler for io_server_new; `gateway` must outlive the server. */
struct io_http_handler gateway_handler(struct gateway *gateway);

#endif
