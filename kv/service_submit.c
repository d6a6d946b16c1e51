/* SPDX-License-Identifier: Apache-2.0 */
/* The key-value service: what becomes of a client's request. Which way it takes is told by its kind
 * alone; whether it may go that way, by alarms, room and this node's part in the quorum.
 */
#include "base/assert.h"
#include "base/canary.h"
#include "kv/core/check.h"
#include "kv/service_internal.h"

enum way {
    WAY_WRITE,   /* through the log */
    WAY_LINEAR,  /* read after a barrier */
    WAY_LOCAL,   /* read at once */
    WAY_LEADER,  /* the leader's memory */
    WAY_MEMBERS, /* this node's, as long as it leads */
    WAY_HASH,
};

static enum way way_of(const struct kv_request *request)
{
    switch (request->kind) {
    case KV_KIND_STATUS:
    case KV_KIND_LEASE_LEASES:
    case KV_KIND_HASH:
    case KV_KIND_DEFRAGMENT:
        return WAY_LOCAL;
    case KV_KIND_MEMBER_LIST:
        return request->member_list.is_linearizable ? WAY_LINEAR : WAY_LOCAL;
    case KV_KIND_HASH_KV:
        return WAY_HASH;
    case KV_KIND_MOVE_LEADER:
        return WAY_MEMBERS;
    case KV_KIND_AUTH_STATUS:
    case KV_KIND_USER_GET:
    case KV_KIND_USER_LIST:
    case KV_KIND_ROLE_GET:
    case KV_KIND_ROLE_LIST:
        return WAY_LINEAR;
    default:
        break;
    }
    if (is_leader_kind(request->kind)) {
        return WAY_LEADER;
    }
    if (!kv_request_is_read(request)) {
        return WAY_WRITE;
    }
    return kv_request_is_serializable(request) ? WAY_LOCAL : WAY_LINEAR;
}

bool service_is_learner(const struct kv_service *service)
{
    const struct raft_configuration *c = raft_node_configuration(service->options.node);
    for (size_t i = 0; i < c->count; i++) {
        if (c->members[i].id == service->options.member_id) {
            return c->members[i].is_learner;
        }
    }
    return false;
}

/* What alarms and this node's part in the quorum forbid. */
static enum kv_error check_state(const struct kv_service *service, const struct kv_request *request,
                                 enum way way)
{
    bool is_kv = way == WAY_WRITE || kv_request_is_read(request);
    bool is_learners =
        way == WAY_LOCAL && (request->kind == KV_KIND_STATUS || kv_request_is_read(request));
    if (service->is_halted) {
        return KV_E_STOPPED;
    }
    if (service->alarms.is_corrupt && is_kv && request->kind != KV_KIND_ALARM) {
        return KV_E_CORRUPT_CLUSTER;
    }
    if (!is_learners && service_is_learner(service)) {
        return KV_E_LEARNER_UNSUPPORTED;
    }
    if (service->open_calls >= KV_CALLS_MAX) {
        return KV_E_TOO_MANY_REQUESTS;
    }
    bool is_local = way == WAY_LOCAL || way == WAY_HASH;
    return !is_local && is_leaderless_long(service) ? KV_E_NO_LEADER : KV_OK;
}

static enum kv_error check_room(struct kv_service *service, const struct kv_request *request)
{
    struct raft_node_status status = status_of(service);
    if (kv_request_has_put(request) || CANARY(FULL_STORE_LOCKS)) {
        if (service->alarms.has_no_space && !CANARY(FULL_STORE_WRITES)) {
            return KV_E_NO_SPACE;
        }
        if (service->options.quota_bytes > 0 &&
            service->bytes_used > service->options.quota_bytes) {
            upkeep_raise_no_space(service);
            return KV_E_NO_SPACE;
        }
    }
    return status.commit_index > status.applied_index + KV_BEHIND_MAX ? KV_E_TOO_MANY_REQUESTS
                                                                      : KV_OK;
}

/* Brings a call on its way, or lets it wait for a leader. */
static enum kv_error call_accept(struct kv_service *service, struct kv_call *call)
{
    enum kv_error error = service->parked.head != NULL ? KV_E_NO_LEADER : dispatch(service, call);
    if (error == KV_E_NO_LEADER || error == KV_E_NOT_LEADER) {
        list_push(&service->parked, call);
        error = KV_OK;
    }
    return error;
}

static enum kv_error way_begin(struct kv_service *service, struct kv_call *call, enum way way)
{
    enum kv_error error = KV_OK;
    switch (way) {
    case WAY_WRITE:
        error = check_room(service, call->request);
        return error == KV_OK ? call_accept(service, call) : error;
    case WAY_LEADER:
        return call_accept(service, call);
    case WAY_MEMBERS:
        return service_members_submit(service, call);
    case WAY_HASH:
        upkeep_hash(service, call);
        return KV_OK;
    case WAY_LINEAR:
    case WAY_LOCAL:
        reads_accept(service, call, way == WAY_LOCAL);
        return KV_OK;
    }
    BASE_UNREACHABLE();
}

enum kv_error kv_service_submit(struct kv_service *service, struct kv_call *call)
{
    BASE_ASSERT(service->magic == SERVICE_MAGIC && service->options.node != NULL);
    const struct kv_request *request = call->request;
    if (request->kind == KV_KIND_SWAP) {
        return KV_E_PERMISSION_DENIED;
    }
    enum kv_error error =
        request->kind == KV_KIND_LEASE_CHECKPOINT ? KV_E_MALFORMED : kv_check_request(request);
    if (error != KV_OK) {
        return error;
    }
    enum way way = way_of(request);
    call->guard_term = 0;
    error = check_state(service, request, way);
    if (error == KV_OK) {
        service->open_calls++;
        error = way_begin(service, call, way);
        service->open_calls -= error != KV_OK;
    }
    return error;
}
