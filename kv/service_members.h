/* SPDX-License-Identifier: Apache-2.0 */
/* The Cluster API on the leader: adding, removing, moving and promoting members, and handing
 * leadership over. Part of the key-value service (service_internal.h); loop thread.
 *
 * What is refused here is refused for the quorum's sake: a change that would leave it without a
 * majority that runs, counted after the change. That configurations change one step at a time, and
 * only after an entry of the own term is committed, is the Raft core's; a call that comes too early
 * waits here until the core takes it or its deadline is over.
 */
#ifndef QUORATE_KV_SERVICE_MEMBERS_H
#define QUORATE_KV_SERVICE_MEMBERS_H

#include "kv/call_list.h"
#include "proto/msg/kv.h"
#include "raft/core/types.h"

#define SERVICE_LEARNERS_MAX 1u
#define SERVICE_HEALTHY_US INT64_C(5000000) /* a member not heard for longer counts as down */
#define SERVICE_IN_SYNC_PERCENT 90u         /* of the leader's log, to be promoted */

/* In struct kv_service; all zero at the start. */
struct service_members {
    struct call_list waiting; /* not yet taken by the core, oldest first */
    struct kv_call *current;  /* taken: ends with `changed` */
    uint64_t cookie;          /* of current */
    uint64_t added_id;        /* MEMBER_ADD: of current */
    uint64_t to_promote; /* added as a voter to a group of one; 0: none. Forgotten when this node
                            restarts: then it is promoted by an operator */
};

/* MEMBER_ADD, _REMOVE, _UPDATE, _PROMOTE and MOVE_LEADER: what service_members_submit takes. */
bool service_members_is_kind(uint32_t kind);
/* KV_OK: the call ends later, through call_end. NOT_LEADER when this node does not lead; else the
 * refusal for the client. */
MUST_CHECK enum kv_error service_members_submit(struct kv_service *service, struct kv_call *call);
/* struct raft_machine's `changed`; ctx is the service. Cookies that are not its own are ignored. */
void service_members_changed(void *ctx, uint64_t cookie, int status);
/* Tries what waits once more and ends what is late. */
void service_members_tick(struct kv_service *service);
/* Ends everything with `error`: the node stops, or leads no more. */
void service_members_fail(struct kv_service *service, enum kv_error error);

/* A configuration in the form of the API. The slices point into the configuration. */
struct service_member_list {
    struct kv_member items[RAFT_MEMBERS_MAX];
    struct slice peer_urls[RAFT_MEMBERS_MAX];
    struct slice client_urls[RAFT_MEMBERS_MAX][RAFT_CLIENT_URLS_MAX];
};
struct kv_members service_members_of(const struct raft_configuration *configuration,
                                     struct service_member_list *list);

#endif
