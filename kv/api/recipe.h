/* SPDX-License-Identifier: Apache-2.0 */
/* What Lock and Election are made of: calls that make several requests to the key-value service one
 * after the other, and wait for keys to go in between. Like etcd's concurrency package, on the
 * server.
 *
 * One recipe per call, with one thing under way at a time: a request, a wait for permissions
 * (kv/auth.h), or a watch. Every request passes the walker with the caller's identity. A caller who
 * goes away while he waits leaves no key behind. Refusals come as gRPC's UNKNOWN with etcd's text,
 * as etcd's own server gives them. Loop thread only.
 */
#ifndef QUORATE_KV_API_RECIPE_H
#define QUORATE_KV_API_RECIPE_H

#include "kv/api/rpc.h"
#include "kv/auth.h"
#include "kv/watch.h"
#include "proto/wire/pb.h"

#define RECIPES_MAX 16384u    /* calls of both services under way; more: TOO_MANY_REQUESTS */
#define RECIPE_LEASE_TTL_S 60 /* of a lease made for a caller who brings none */

struct recipes;

struct recipes_options {
    struct rpc_registry *registry;
    struct kv_service *service;
    struct kv_watch_hub *hub;
    struct kv_auth *auth; /* NULL: nobody is ever asked to wait for permissions */
    struct io_loop *loop; /* NULL: the owner calls recipes_pump */
};

/* Registers v3lockpb.Lock and v3electionpb.Election. */
MUST_CHECK int recipes_new(const struct recipes_options *options, struct recipes **ret);
/* Goes on with those whose watch has fired; a watch's callback must not do so itself. */
void recipes_pump(struct recipes *recipes);
uint32_t recipes_count(const struct recipes *recipes);
/* After the server and the service are closed and before the watch hub is. NULL is fine. Returns
 * NULL. */
struct recipes *recipes_free(struct recipes *recipes);

/* --- for lock.c and election.c --- */

struct recipe;
/* What comes next, with the answer of the request or (watches) the event that fired. */
typedef void recipe_step_fn(struct recipe *recipe, const struct kv_response *response);

struct recipe {
    struct kv_call kv; /* first */
    struct recipes *owner;
    uint64_t call_id; /* 0: the client is gone */
    bool is_busy;     /* the service has the call */
    bool is_woken;    /* in the list of those to go on with */
    bool has_key;     /* our key was put and is to go when the call fails */
    unsigned retries;
    struct kv_auth_waiter waiter;
    struct recipe *next_woken;
    recipe_step_fn *step;       /* after the request */
    recipe_step_fn *after_wait; /* after recipe_wait_deletes */
    /* a watch: visits events, in order; true: it has seen enough, the watch is to be closed and
     * `fired` called. BASE_E_BUSY goes to the hub. */
    int (*event)(struct recipe *recipe, const struct kv_event *event,
                 const struct kv_header *header);
    void (*fired)(struct recipe *recipe);
    struct kv_watch_stream *stream;
    enum kv_error watch_error;

    /* the request under way */
    struct kv_request request;
    struct kv_compare compare;
    struct kv_op then_ops[2];
    struct kv_op else_ops[2];

    /* what it is about; names and values lie in `message` */
    struct slice name;
    struct slice value;
    int64_t lease;
    int64_t my_revision; /* create revision of our key */
    int64_t seen;        /* newest revision told to an observer */
    struct kv_header header;
    struct slice prefix;
    struct slice prefix_end;
    struct slice key;
    struct slice watched;
    uint8_t *pending; /* an answer that the client did not take yet; malloc */
    size_t pending_len;
    uint8_t asker_name[KV_AUTH_NAME_MAX];
    uint8_t bytes[3 * KV_KEY_MAX + 64]; /* of prefix, prefix_end, key */
    uint8_t watched_bytes[KV_KEY_MAX];
    size_t message_len;
    uint8_t message[]; /* a copy: the service may look at it when the call is gone */
};

/* A recipe for the call with its message decoded by the table, names and values pointing into the
 * recipe's copy; or NULL after having answered it. */
struct recipe *recipe_begin(struct recipes *recipes, struct rpc_call *call, struct slice message,
                            const struct wire_pb_message *table, void *ret_object);
/* Sets prefix (name and a slash) and its end; false after having failed for its length. */
bool recipe_set_prefix(struct recipe *recipe, struct slice name);
/* Sets key: prefix and the lease in hexadecimal. */
void recipe_set_key(struct recipe *recipe);
/* Makes recipe->request; `step` gets the decoded answer, whose bytes are valid during the call. */
void recipe_ask(struct recipe *recipe, recipe_step_fn *step);
/* A lease of RECIPE_LEASE_TTL_S when recipe->lease is 0; then `step` with response NULL or that of
 * the grant. */
void recipe_need_lease(struct recipe *recipe, recipe_step_fn *step);
/* Waits until no key under the prefix was created at or before `revision`; then `after`. */
void recipe_wait_deletes(struct recipe *recipe, int64_t revision, recipe_step_fn *after);
/* Range request for the oldest (or newest up to max_create) key under the prefix. */
struct kv_range recipe_first(const struct recipe *recipe);
/* Watches from revision on; see `event` and `fired`. end empty: one key. */
void recipe_watch(struct recipe *recipe, struct slice key, struct slice end, int64_t revision);
/* Transaction on recipe->key being at my_revision. */
void recipe_compare_created(struct recipe *recipe, int64_t revision);

/* Ends. Table and message of the answer; at most a few kilobytes plus `extra` bytes. */
void recipe_reply(struct recipe *recipe, const struct wire_pb_message *table, const void *object,
                  size_t extra);
void recipe_fail(struct recipe *recipe, enum kv_error error);
void recipe_fail_text(struct recipe *recipe, const char *text);
/* The client is gone: `canceled` of the methods. */
void recipe_canceled(void *ctx, struct rpc_call *call);

MUST_CHECK int lock_register(struct recipes *recipes);
MUST_CHECK int election_register(struct recipes *recipes);
struct rpc_registry *recipes_registry(const struct recipes *recipes);

#endif
