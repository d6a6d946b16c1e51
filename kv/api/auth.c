/* SPDX-License-Identifier: Apache-2.0 */
/* etcdserverpb.Auth; see auth.h.
 *
 * Somebody logs in: a read that waits for the leader makes sure that this node has seen every
 * change of users before; the worker compares the password with the hash known here; the token goes
 * into the log together with the auth revision that the comparison was made under. When that has
 * changed meanwhile, all of it is done again. A change of a password: the worker makes the hash,
 * the request goes on with it. One thing at a time is under way for each operation: the service's
 * call, the worker's work, or waiting for kv/auth.
 */
#include "kv/api/auth.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "base/assert.h"
#include "base/name.h"
#include "kv/api/password.h"
#include "proto/wire/kv.h"

#define RETRIES_MAX 8u
#define TOKEN_RANDOM_BYTES 16u
#define NO_PASSWORD_TEXT "auth: authentication failed, password was given for no password user"

struct api_auth {
    struct api_auth_options options;
    struct io_workers *workers;
    uint32_t pending;
};

enum stage {
    STAGE_BEGIN,  /* whether he may at all */
    STAGE_SYNC,   /* log in: everything older has been applied */
    STAGE_KNOWN,  /* log in: users are known */
    STAGE_SUBMIT, /* the entry */
};

struct operation {
    struct io_work work; /* first */
    struct kv_call call;
    struct kv_auth_waiter waiter;
    struct api_auth *api;
    uint64_t call_id; /* 0: nobody waits for the answer */
    struct base_mono deadline;
    enum stage stage;
    bool is_busy; /* with worker or service */
    unsigned retries;
    uint64_t revision; /* log in: what the password was compared under */
    struct kv_request request;
    struct kv_request sync;
    bool has_clear;
    struct slice clear;
    uint8_t old_hash[KV_AUTH_HASH_MAX];
    size_t old_hash_len;
    bool is_no_password;
    bool is_fit;
    int work_status;
    uint8_t hash[PASSWORD_HASH_BYTES];
    uint8_t token[2 * TOKEN_RANDOM_BYTES];
    uint8_t asker_name[KV_AUTH_NAME_MAX];
    size_t message_len;
    uint8_t message[]; /* copy; clear and the names of the request lie in it */
};

static void go_on(struct operation *op);

/* --- life of an operation --- */

static struct operation *operation_free(struct operation *op)
{
    op->api->pending--;
    explicit_bzero(op, sizeof(*op) + op->message_len);
    free(op);
    return NULL;
}

/* The call, or NULL when the client is gone. */
static struct rpc_call *call_of(const struct operation *op)
{
    return op->call_id == 0 ? NULL : rpc_find(op->api->options.registry, op->call_id);
}

static void fail(struct operation *op, enum kv_error error)
{
    struct rpc_call *call = call_of(op);
    if (call != NULL) {
        rpc_reply_error(call, error);
    }
    (void)operation_free(op);
}

static void waited(struct kv_auth_waiter *waiter)
{
    go_on(waiter->user);
}

/* Decides anew when users and roles are known again; true: not now. */
static bool wait_known(struct operation *op)
{
    return !kv_auth_wait(op->api->options.auth, &op->waiter);
}

static void canceled(void *ctx, struct rpc_call *call)
{
    struct operation *op = call->user;
    (void)ctx;
    if (op == NULL) {
        return;
    }
    op->call_id = 0;
    if (op->waiter.is_waiting) {
        kv_auth_unwait(op->api->options.auth, &op->waiter);
        (void)operation_free(op);
    } /* else whatever it is busy with ends it */
}

/* --- the service --- */

static void again_or_fail(struct operation *op, enum stage stage, enum kv_error error)
{
    if (error != KV_E_AUTH_OLD_REVISION || op->retries++ >= RETRIES_MAX) {
        fail(op, error);
        return;
    }
    op->stage = stage;
    if (!wait_known(op)) {
        go_on(op);
    }
}

static void submitted(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct operation *op = kv->user;
    struct rpc_call *call = call_of(op);
    op->is_busy = false;
    if (call == NULL) {
        (void)operation_free(op);
    } else if (error != KV_OK) {
        /* a changed user may have another password: from the beginning */
        bool is_login = op->request.kind == KV_KIND_AUTHENTICATE;
        again_or_fail(op, is_login ? STAGE_SYNC : STAGE_SUBMIT, error);
    } else {
        rpc_reply(call, response);
        (void)operation_free(op);
    }
}

static void synced(struct kv_call *kv, enum kv_error error, struct slice response)
{
    struct operation *op = kv->user;
    (void)response;
    op->is_busy = false;
    if (error != KV_OK || op->call_id == 0) {
        fail(op, error);
        return;
    }
    op->stage = STAGE_KNOWN;
    if (!wait_known(op)) {
        go_on(op);
    }
}

static void submit(struct operation *op, const struct kv_request *request, struct kv_asker asker,
                   void (*done)(struct kv_call *call, enum kv_error error, struct slice response))
{
    op->call = (struct kv_call){
        .request = request, .deadline = op->deadline, .user = op, .asker = asker, .done = done};
    op->is_busy = true;
    enum kv_error error = kv_service_submit(op->api->options.service, &op->call);
    if (error != KV_OK) {
        op->is_busy = false;
        fail(op, error);
    }
}

/* --- the worker --- */

static void work_run(struct io_work *work)
{
    struct operation *op = (struct operation *)work; /* its first member */
    if (op->request.kind == KV_KIND_AUTHENTICATE) {
        op->is_fit = password_fits(op->clear, slice_from(op->old_hash, op->old_hash_len));
    } else {
        op->work_status = password_hash(op->clear, op->hash);
    }
}

static void work_done(struct io_work *work)
{
    struct operation *op = (struct operation *)work;
    op->is_busy = false;
    if (op->call_id == 0) {
        (void)operation_free(op);
        return;
    }
    op->stage = STAGE_SUBMIT;
    go_on(op);
}

static void work_start(struct operation *op)
{
    op->work.run = work_run;
    op->work.done = work_done;
    op->is_busy = true;
    io_work_submit(op->api->workers, &op->work);
}

/* --- log in --- */

static void login_sync(struct operation *op)
{
    op->sync.kind = KV_KIND_AUTH_STATUS;
    submit(op, &op->sync, (struct kv_asker){.auth_revision = KV_ASKER_INTERNAL}, synced);
}

static void login_compare(struct operation *op)
{
    struct kv_auth *auth = op->api->options.auth;
    if (kv_auth_known_revision(auth, &op->revision) != 0 || op->revision == 0) {
        fail(op, KV_E_AUTH_NOT_ENABLED);
        return;
    }
    struct slice hash = kv_auth_hash(auth, op->request.authenticate.name, &op->is_no_password);
    op->old_hash_len = hash.len <= sizeof(op->old_hash) ? hash.len : 0;
    if (op->old_hash_len > 0) {
        memcpy(op->old_hash, hash.data, op->old_hash_len);
    }
    work_start(op);
}

static void login_submit(struct operation *op)
{
    struct rpc_call *call = call_of(op);
    uint8_t random[TOKEN_RANDOM_BYTES];
    struct buf token = buf_over(op->token, sizeof(op->token));
    if (op->is_no_password) {
        rpc_reply_status(call, IO_GRPC_UNKNOWN, NO_PASSWORD_TEXT);
        (void)operation_free(op);
        return;
    }
    if (!op->is_fit) {
        fail(op, KV_E_AUTH_FAILED);
        return;
    }
    if (call->token.len > 0 && !kv_auth_has_token(op->api->options.auth, call->token)) {
        fail(op, KV_E_INVALID_TOKEN); /* as etcd: who shows a bad token is told so */
        return;
    }
    if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
        fail(op, KV_E_STOPPED);
        return;
    }
    for (size_t i = 0; i < sizeof(random); i++) {
        buf_put_hex(&token, random[i], 2);
    }
    op->request.authenticate.token = buf_slice(&token);
    submit(op, &op->request, (struct kv_asker){.auth_revision = op->revision}, submitted);
}

static void login(struct operation *op)
{
    switch (op->stage) {
    case STAGE_BEGIN:
    case STAGE_SYNC:
        login_sync(op);
        break;
    case STAGE_KNOWN:
        login_compare(op);
        break;
    case STAGE_SUBMIT:
        login_submit(op);
        break;
    }
}

/* --- passwords of users --- */

/* Whether it may be done, for the node's own asker copy; false: answered or waiting. */
static bool allowed(struct operation *op, struct kv_asker *ret)
{
    struct rpc_call *call = call_of(op);
    enum kv_error error = rpc_allow(call, &op->request);
    if (error != KV_OK) {
        again_or_fail(op, op->stage, error);
        return false;
    }
    *ret = call->asker;
    BASE_ASSERT(ret->user.len <= sizeof(op->asker_name));
    if (ret->user.len > 0) { /* the call may go before the entry is encoded */
        memcpy(op->asker_name, ret->user.data, ret->user.len);
    }
    ret->user = slice_from(op->asker_name, ret->user.len);
    return true;
}

static void password_submit(struct operation *op)
{
    struct kv_asker asker;
    if (op->work_status != 0) {
        fail(op, op->work_status == BASE_E_INVALID ? KV_E_MALFORMED : KV_E_STOPPED);
        return;
    }
    if (!allowed(op, &asker)) {
        return;
    }
    struct slice *hashed = op->request.kind == KV_KIND_USER_ADD
                               ? &op->request.user_add.hashed_password
                               : &op->request.user_password.hashed_password;
    *hashed = op->has_clear ? slice_from(op->hash, sizeof(op->hash)) : SLICE_EMPTY;
    submit(op, &op->request, asker, submitted);
}

static void password_begin(struct operation *op)
{
    struct kv_asker asker;
    if (!allowed(op, &asker)) {
        return;
    }
    op->stage = STAGE_SUBMIT;
    if (!op->has_clear) {
        password_submit(op);
    } else {
        work_start(op);
    }
}

static void go_on(struct operation *op)
{
    if (op->request.kind == KV_KIND_AUTHENTICATE) {
        login(op);
    } else if (op->stage == STAGE_SUBMIT) {
        password_submit(op);
    } else {
        password_begin(op);
    }
}

/* --- calls --- */

/* Takes the clear text out of the request, so that it cannot get into an entry. */
static void take_clear(struct operation *op)
{
    struct slice *clear = &op->request.authenticate.password;
    op->has_clear = true;
    if (op->request.kind == KV_KIND_USER_ADD) {
        const struct kv_user_add *add = &op->request.user_add;
        clear = &op->request.user_add.password;
        op->request.user_add.hashed_password = SLICE_EMPTY; /* etcd takes none from clients */
        op->has_clear = !(add->has_options && add->options.is_no_password);
    } else if (op->request.kind == KV_KIND_USER_PASSWORD) {
        clear = &op->request.user_password.password;
        op->request.user_password.hashed_password = SLICE_EMPTY;
    }
    op->clear = *clear;
    *clear = SLICE_EMPTY;
}

static void unary(void *ctx, struct rpc_call *call, struct slice message)
{
    struct api_auth *api = ctx;
    struct base_arena none = {0};
    struct operation *op =
        api->pending >= API_AUTH_PENDING_MAX ? NULL : calloc(1, sizeof(*op) + message.len);
    if (op == NULL) {
        rpc_reply_error(call, KV_E_TOO_MANY_REQUESTS);
        return;
    }
    api->pending++;
    op->api = api;
    op->call_id = call->id;
    op->deadline = call->deadline;
    op->waiter = (struct kv_auth_waiter){.user = op, .again = waited};
    op->message_len = message.len;
    if (message.len > 0) {
        memcpy(op->message, message.data, message.len);
    }
    call->user = op;
    int rc = kv_wire_decode_request(call->method->kv_kind, slice_from(op->message, message.len),
                                    &none, &op->request);
    if (rc != 0) {
        fail(op, KV_E_MALFORMED);
        return;
    }
    if (op->request.kind == KV_KIND_AUTHENTICATE) {
        op->request.authenticate.token = SLICE_EMPTY;
    }
    take_clear(op);
    enum kv_error error = kv_auth_check(&op->request);
    if (error != KV_OK) {
        fail(op, error);
        return;
    }
    go_on(op);
}

#define AUTH(name, access_, kind, gateway_) \
    .path = "/etcdserverpb.Auth/" name, .access = access_, .kv_kind = kind, .gateway = gateway_
#define WORKED .unary = unary, .canceled = canceled /* a password is in play */

static const struct rpc_method methods[] = {
    {AUTH("AuthEnable", RPC_ADMIN, KV_KIND_AUTH_ENABLE, "/v3/auth/enable")},
    {AUTH("AuthDisable", RPC_ADMIN, KV_KIND_AUTH_DISABLE, "/v3/auth/disable")},
    {AUTH("AuthStatus", RPC_READ, KV_KIND_AUTH_STATUS, "/v3/auth/status")},
    {AUTH("Authenticate", RPC_OPEN, KV_KIND_AUTHENTICATE, "/v3/auth/authenticate"), WORKED},
    {AUTH("UserAdd", RPC_ADMIN, KV_KIND_USER_ADD, "/v3/auth/user/add"), WORKED},
    {AUTH("UserGet", RPC_READ, KV_KIND_USER_GET, "/v3/auth/user/get")},
    {AUTH("UserList", RPC_READ, KV_KIND_USER_LIST, "/v3/auth/user/list")},
    {AUTH("UserDelete", RPC_ADMIN, KV_KIND_USER_DELETE, "/v3/auth/user/delete")},
    {AUTH("UserChangePassword", RPC_ADMIN, KV_KIND_USER_PASSWORD, "/v3/auth/user/changepw"),
     WORKED},
    {AUTH("UserGrantRole", RPC_ADMIN, KV_KIND_USER_GRANT, "/v3/auth/user/grant")},
    {AUTH("UserRevokeRole", RPC_ADMIN, KV_KIND_USER_REVOKE, "/v3/auth/user/revoke")},
    {AUTH("RoleAdd", RPC_ADMIN, KV_KIND_ROLE_ADD, "/v3/auth/role/add")},
    {AUTH("RoleGet", RPC_READ, KV_KIND_ROLE_GET, "/v3/auth/role/get")},
    {AUTH("RoleList", RPC_READ, KV_KIND_ROLE_LIST, "/v3/auth/role/list")},
    {AUTH("RoleDelete", RPC_ADMIN, KV_KIND_ROLE_DELETE, "/v3/auth/role/delete")},
    {AUTH("RoleGrantPermission", RPC_ADMIN, KV_KIND_ROLE_GRANT, "/v3/auth/role/grant")},
    {AUTH("RoleRevokePermission", RPC_ADMIN, KV_KIND_ROLE_REVOKE, "/v3/auth/role/revoke")},
};

/* --- the walker --- */

/* The method as a whole is looked at where it is for administrators; what the others do comes here
 * request by request. */
static enum kv_error walk(void *ctx, struct rpc_call *call, const struct kv_request *request)
{
    const struct api_auth *api = ctx;
    bool has_name = call->who != NULL && call->who->has_certificate && !call->is_gateway;
    const struct kv_auth_who who = {
        .token = call->token,
        .common_name = has_name ? base_text_slice(&call->who->common_name) : SLICE_EMPTY,
        .may_wait = request != NULL && call->method->kind == RPC_UNARY,
    };
    static const struct kv_request defragment = {.kind = KV_KIND_DEFRAGMENT};
    if (request == NULL && call->method->access != RPC_ADMIN) {
        return KV_OK;
    }
    if (request == NULL && call->method->kv_kind == KV_KIND_DEFRAGMENT) {
        request = &defragment; /* answered without the service, but told as that request is */
    }
    return kv_auth_decide(api->options.auth, &who, request, call->asker_memory, &call->asker);
}

static bool is_ahead(void *ctx, struct rpc_call *call)
{
    const struct api_auth *api = ctx;
    return kv_auth_is_ahead(api->options.auth, call->token);
}

int api_auth_new(const struct api_auth_options *options, struct api_auth **ret)
{
    struct api_auth *api = calloc(1, sizeof(*api));
    if (api == NULL) {
        return BASE_E_NOMEM;
    }
    api->options = *options;
    int rc = io_workers_new(options->loop, API_AUTH_THREADS, &api->workers);
    rc = rc != 0 ? rc : rpc_register(options->registry, methods, BASE_COUNT_OF(methods), api);
    if (rc != 0) {
        (void)api_auth_free(api);
        return rc;
    }
    rpc_set_walker(options->registry, walk, api);
    rpc_set_ahead(options->registry, is_ahead);
    *ret = api;
    return 0;
}

struct api_auth *api_auth_free(struct api_auth *api)
{
    if (api != NULL) {
        api->workers = io_workers_free(api->workers, true);
        free(api);
    }
    return NULL;
}
