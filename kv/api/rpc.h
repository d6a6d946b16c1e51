/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the etcd v3 API, whatever it came over: what stands between the transports (gRPC over
 * HTTP/2, the JSON gateway over HTTP/1.1) and the handlers (KV, Watch, Lease, Cluster, Maintenance,
 * Auth, Lock, Election, Health).
 *
 * A handler gets protobuf bytes and answers protobuf bytes; a transport wraps them. Who may call
 * what is decided in one place, rpc_admit (certificate roles) and the permission walker (etcd's
 * users), before a handler sees the call. Calls are heap objects owned by the registry: a handler
 * answers each exactly once (rpc_reply for unary, rpc_finish for streams). After `canceled`, reply
 * or finish the pointer is dead; who answers later keeps `id` and asks rpc_find. Loop thread only.
 */
#ifndef QUORATE_KV_API_RPC_H
#define QUORATE_KV_API_RPC_H

#include "kv/service.h"
#include "proto/io/server.h"

enum rpc_kind { RPC_UNARY, RPC_STREAM };

/* What a certificate's role may call; see docs/interfaces and kv/README.md. */
enum rpc_access {
    RPC_OPEN,  /* anyone who got through TLS: health, authenticate, auth status */
    RPC_READ,  /* viewer and admin */
    RPC_WRITE, /* admin; with etcd's auth enabled the walker decides on keys */
    RPC_ADMIN, /* admin; with etcd's auth enabled also the root role */
};

struct rpc_registry;
struct rpc_call;

/* How a transport carries the other direction. */
struct rpc_transport {
    void (*reply)(struct rpc_call *call, enum io_grpc_status status, const char *text,
                  struct slice message);
    /* BASE_E_BUSY: the client is too slow, nothing was queued; `writable` follows. */
    int (*send)(struct rpc_call *call, struct slice message);
    size_t (*queued)(const struct rpc_call *call);
    void (*finish)(struct rpc_call *call, enum io_grpc_status status, const char *text);
    /* The call exists now: transport_call may be given to it by id or pointer. Before any of the
     * above. */
    void (*bind)(struct rpc_call *call);
};

struct rpc_method {
    const char *path; /* "/etcdserverpb.KV/Range" */
    enum rpc_kind kind;
    enum rpc_access access;
    bool is_for_learner;   /* answered by a learner too */
    bool is_by_role;       /* unary: the certificate's role alone decides, never etcd's users */
    enum kv_kind kv_kind;  /* of unary methods that are one request to kv/service; else NONE */
    const char *gateway;   /* "/v3/kv/range"; NULL: not on the gateway */
    const char *gateway_2; /* an alias, or NULL */
    /* Handlers; ctx is what the methods were registered with. NULL `unary` with a kv_kind: the
     * registry submits the request to the service. The message is valid until the call is answered
     * (unary) or during the call (streams). Those of streams may be NULL: nothing is done then. */
    void (*unary)(void *ctx, struct rpc_call *call, struct slice message);
    void (*opened)(void *ctx, struct rpc_call *call);
    void (*message)(void *ctx, struct rpc_call *call, struct slice message);
    void (*half_closed)(void *ctx, struct rpc_call *call);
    void (*writable)(void *ctx, struct rpc_call *call);
    void (*canceled)(void *ctx, struct rpc_call *call);
};

/* A method and whom it was registered by. */
struct rpc_route {
    const struct rpc_method *method;
    void *ctx;
    uint64_t started;
    uint64_t handled[17]; /* by status */
};

struct rpc_call {
    uint64_t id; /* never used again in this process */
    struct rpc_route *route;
    const struct rpc_method *method;
    void *ctx; /* of the methods */
    struct rpc_registry *registry;
    const struct rpc_transport *transport;
    void *transport_call;          /* the transport's */
    const struct io_identity *who; /* certificate; valid as long as the call */
    struct slice token;            /* etcd's token: metadata `token` or `authorization`; or empty */
    bool is_gateway;
    bool wants_leader;         /* metadata `hasleader: true` */
    struct base_mono deadline; /* the client's, or ours */
    struct kv_asker asker;     /* filled in by admission when etcd's auth is enabled */
    uint8_t asker_memory[256]; /* room for the name */
    void *user;                /* the handler's */
    struct rpc_call *next;     /* the registry's */
};

struct rpc_registry_options {
    struct kv_service *service;
    bool is_insecure; /* no TLS: no roles */
    void *ctx;
    /* Is there a leader, and does this node apply? NULL: always. */
    bool (*is_healthy)(void *ctx);
    /* NULL: never. */
    bool (*is_learner)(void *ctx);
    /* Asked of each call whose role may make it; false: RESOURCE_EXHAUSTED. NULL: always. */
    bool (*may_begin)(void *ctx, const struct rpc_call *call);
    /* Told of each call that has ended; `message` is a unary call's request. May be NULL. */
    void (*ended)(void *ctx, const struct rpc_call *call, struct slice message,
                  enum io_grpc_status status);
};

MUST_CHECK int rpc_registry_new(const struct rpc_registry_options *options,
                                struct rpc_registry **ret);
/* Calls under way are answered to nobody. NULL is fine. Returns NULL. */
struct rpc_registry *rpc_registry_free(struct rpc_registry *registry);
/* Adds `count` methods (static) served with ctx. BASE_E_NOSPACE above RPC_METHODS_MAX. */
#define RPC_METHODS_MAX 96u
MUST_CHECK int rpc_register(struct rpc_registry *registry, const struct rpc_method *methods,
                            size_t count, void *ctx);
/* NULL: no such method. */
struct rpc_route *rpc_find_method(const struct rpc_registry *registry, struct slice path);
struct rpc_route *rpc_find_gateway(const struct rpc_registry *registry, struct slice path);
/* The routes in order of registration; NULL behind the last. */
const struct rpc_route *rpc_route_at(const struct rpc_registry *registry, size_t index);
uint32_t rpc_streams(const struct rpc_registry *registry); /* open ones */

/* As grpc's metrics write it: "PermissionDenied". */
const char *rpc_status_name(enum io_grpc_status status);

/* --- for transports --- */

/* What a transport knows of a call. */
struct rpc_open {
    const struct rpc_transport *transport;
    void *transport_call;
    const struct io_identity *who;
    struct slice token; /* valid as long as the transport's call */
    bool is_gateway;
    bool wants_leader;
    struct base_mono deadline; /* the client's; BASE_MONO_NEVER: none */
};

/* Admits and runs a unary call: it is answered at once or later, or `rpc_gone` ends it. */
void rpc_unary(struct rpc_registry *registry, struct rpc_route *route, const struct rpc_open *open,
               struct slice message);
/* Opens a stream; refused ones are finished at once. */
void rpc_stream(struct rpc_registry *registry, struct rpc_route *route,
                const struct rpc_open *open);
void rpc_message(struct rpc_call *call, struct slice message);
void rpc_half_closed(struct rpc_call *call);
void rpc_writable(struct rpc_call *call);
/* The client is gone, or was told by the transport: the handler hears `canceled`. */
void rpc_gone(struct rpc_call *call, enum io_grpc_status status);
/* Ends streams that want a leader when there has been none for KV_NO_LEADER_AFTER_US. Some times a
 * second. */
void rpc_tick(struct rpc_registry *registry, struct base_mono now);
/* Token out of the values of `token` and `authorization` ("Bearer " is left away). */
struct slice rpc_token(struct slice token, struct slice authorization);

/* --- for handlers --- */

struct rpc_call *rpc_find(struct rpc_registry *registry, uint64_t id);
/* Ends a unary call. The call is dead afterwards. The message is copied. */
void rpc_reply(struct rpc_call *call, struct slice message);
void rpc_reply_error(struct rpc_call *call, enum kv_error error);
/* The same for a status and text that are in no table (grpc 2 of the election service). */
void rpc_reply_status(struct rpc_call *call, enum io_grpc_status status, const char *text);
MUST_CHECK int rpc_send(struct rpc_call *call, struct slice message);
size_t rpc_queued(const struct rpc_call *call);
void rpc_finish(struct rpc_call *call, enum kv_error error); /* KV_OK: status 0 */
void rpc_finish_status(struct rpc_call *call, enum io_grpc_status status, const char *text);

/* Walker of permissions, set by kv/auth.h: KV_OK, or why this request of this call may not be made.
 * Called once for each request of each call (also for watches and the requests that Lock and
 * Election make), after the method's access was admitted. request NULL: the method as a whole. NULL
 * walker: etcd's auth does not exist here (tests). KV_E_AUTH_OLD_REVISION: permissions are being
 * read again, rpc_walk_again will follow (never for request NULL). */
typedef enum kv_error rpc_walk_fn(void *ctx, struct rpc_call *call,
                                  const struct kv_request *request);
void rpc_set_walker(struct rpc_registry *registry, rpc_walk_fn *walk, void *ctx);
/* Set beside the walker, with its ctx: whether the call's token was made by an entry that this node
 * has not applied. Such a call does not begin, whatever its method, until rpc_walk_again follows;
 * at its deadline, or that of a call without one, it ends as timed out. */
typedef bool rpc_ahead_fn(void *ctx, struct rpc_call *call);
void rpc_set_ahead(struct rpc_registry *registry, rpc_ahead_fn *is_ahead);
/* Permissions have been read again, or newer tokens are known: requests that the walker put off
 * (KV_E_AUTH_OLD_REVISION) are decided anew. */
void rpc_walk_again(struct rpc_registry *registry);
/* Asks the walker; fills in call->asker. For handlers that make requests of their own. */
enum kv_error rpc_allow(struct rpc_call *call, const struct kv_request *request);

#endif
