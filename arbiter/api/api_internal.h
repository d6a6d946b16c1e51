/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of arbiter/api; nobody else includes this. A method answers its call exactly
 * once; afterwards the pointer is dead. */
#ifndef QUORATE_ARBITER_API_API_INTERNAL_H
#define QUORATE_ARBITER_API_API_INTERNAL_H

#include "arbiter/api/databases.h"
#include "databases.pb-c.h"

#define ARB_ANSWER_MAX 1024

struct arb_api {
    struct arb_api_options options;
};

/* A unary method: `request` is unpacked, of the method's type, valid during the call. */
typedef void arb_method_fn(struct arb_api *api, struct rpc_call *call,
                           const ProtobufCMessage *request);

void arb_api_reply(struct rpc_call *call, const ProtobufCMessage *message);
void arb_api_refuse(struct rpc_call *call, enum io_grpc_status status, const char *text);
/* Looks a cluster up; answers the call when there is none. */
const struct arb_cluster *arb_api_find(const struct arb_api *api, struct rpc_call *call,
                                       const char *name);
/* Why the driver said no. */
enum io_grpc_status arb_api_status(int rc);

/* Every method: name, its path on the gateway, may a viewer, must this node lead, function. */
#define ARB_METHODS(X) \
    X(List, list, true, true, arb_api_list) \
    X(Show, show, true, true, arb_api_show) \
    X(History, history, true, false, arb_api_history) \
    X(Why, why, true, false, arb_api_why) \
    X(Config, config, true, false, arb_api_config) \
    X(ConfigHistory, confighistory, true, false, arb_api_config_history) \
    X(Configure, configure, false, true, arb_api_configure) \
    X(Switchover, switchover, false, true, arb_api_switchover) \
    X(Failover, failover, false, true, arb_api_failover) \
    X(Confirm, confirm, false, true, arb_api_confirm) \
    X(Task, task, false, true, arb_api_task) \
    X(Cancel, cancel, false, true, arb_api_cancel) \
    X(Pause, pause, false, true, arb_api_pause) \
    X(Drain, drain, false, true, arb_api_drain) \
    X(Remove, remove, false, true, arb_api_remove) \
    X(ForceReconfigure, forcereconfigure, false, true, arb_api_force_reconfigure)

#define ARB_METHOD_DECLARE(name, path, is_read, needs_leader, run) arb_method_fn run;
ARB_METHODS(ARB_METHOD_DECLARE)
#undef ARB_METHOD_DECLARE

#endif
