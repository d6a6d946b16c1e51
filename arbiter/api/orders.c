/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of people: each is handed to the driver, which answers at once: accepted and in the log,
 * or refused with the reason and what would lift it. */
#include "arbiter/api/api_internal.h"

#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "base/name.h"

#define SCHEDULE_MAX_US (INT64_C(366) * 86400 * BASE_US_PER_S)

/* --- wishes that need no arbiter to be refused; each answers the call then --- */

static bool name_of(struct rpc_call *call, const char *text, struct base_name *ret)
{
    if (text[0] != '\0' && base_name_from_text(text, ret) != 0) {
        arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT, "no member can have such a name");
        return false;
    }
    return true;
}

static bool is_member(const struct arb_api *api, const struct arb_cluster *cluster,
                      const struct base_name *name)
{
    struct arb_seen seen[MSG_MEMBERS_MAX];
    size_t count = arb_driver_seen(api->options.driver, cluster, seen);
    for (size_t i = 0; i < count; i++) {
        if (base_name_equal(&seen[i].member, name)) {
            return true;
        }
    }
    return arb_view_find(cluster, name) != ARB_NOBODY;
}

static bool check_member(const struct arb_api *api, struct rpc_call *call,
                         const struct arb_cluster *cluster, const struct base_name *name)
{
    char text[ARB_ANSWER_MAX];
    if (name->text[0] == '\0' || is_member(api, cluster, name)) {
        return true;
    }
    (void)snprintf(text, sizeof(text), "%s has no member '%s'; kv db show %s lists them",
                   cluster->name.text, name->text, cluster->name.text);
    arb_api_refuse(call, IO_GRPC_NOT_FOUND, text);
    return false;
}

static bool check_time(struct rpc_call *call, int64_t at_wall_us)
{
    int64_t ahead = at_wall_us - io_wall_now().us;
    if (at_wall_us == 0 || (ahead > 0 && ahead < SCHEDULE_MAX_US)) {
        return true;
    }
    arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT,
                   ahead <= 0 ? "that time has passed by the clock of the quorum's leader"
                              : "a time more than a year ahead is a mistake");
    return false;
}

/* --- asking --- */

static int ask(struct arb_api *api, const struct arb_cluster *cluster,
               const struct arb_request *request, struct base_text *ret_text)
{
    struct base_name name = cluster->name; /* the cluster may go with the order */
    int rc = arb_driver_request(api->options.driver, &name, request, ret_text);
    if (rc != 0 && ret_text->text[0] == '\0') {
        *ret_text = base_text_from(slice_from_text(base_error_text(rc)));
    }
    return rc;
}

static void accepted(struct rpc_call *call, const char *text, uint64_t epoch)
{
    Quorate__V1__DatabaseOrderResponse response;
    union {
        const char *in;
        char *out;
    } u = {.in = text}; /* only read when it is packed */
    quorate__v1__database_order_response__init(&response);
    response.message = u.out;
    response.epoch = epoch;
    arb_api_reply(call, &response.base);
}

static void order(struct arb_api *api, struct rpc_call *call, const struct arb_cluster *cluster,
                  const struct arb_request *request)
{
    struct base_text text = {{0}};
    uint64_t epoch = cluster->record.epoch;
    int rc = ask(api, cluster, request, &text);
    if (rc != 0) {
        arb_api_refuse(call, arb_api_status(rc), text.text);
    } else {
        accepted(call, text.text, epoch);
    }
}

/* An order about one member, or about none. */
static void order_about(struct arb_api *api, struct rpc_call *call, const char *cluster_name,
                        const char *member, struct arb_request *request)
{
    const struct arb_cluster *cluster = arb_api_find(api, call, cluster_name);
    if (cluster != NULL && name_of(call, member, &request->candidate) &&
        check_member(api, call, cluster, &request->candidate)) {
        order(api, call, cluster, request);
    }
}

/* --- methods --- */

void arb_api_switchover(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseSwitchoverRequest *request = (const void *)message;
    struct arb_request wanted = {.kind = ARB_REQUEST_SWITCHOVER, .at_wall_us = request->at_wall_us};
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    if (cluster == NULL || !check_time(call, request->at_wall_us)) {
        return;
    }
    if (request->to[0] != '\0' && request->at_wall_us == 0 &&
        (strcmp(cluster->record.holder.text, request->to) == 0 ||
         strcmp(cluster->record.mongodb.primary.text, request->to) == 0)) {
        char text[ARB_ANSWER_MAX];
        (void)snprintf(text, sizeof(text), "%.63s is the primary of %s already", request->to,
                       cluster->name.text);
        arb_api_refuse(call, IO_GRPC_FAILED_PRECONDITION, text);
        return;
    }
    order_about(api, call, request->cluster, request->to, &wanted);
}

void arb_api_failover(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseFailoverRequest *request = (const void *)message;
    struct arb_request wanted = {.kind = ARB_REQUEST_FAILOVER, .is_forced = request->force != 0};
    order_about(api, call, request->cluster, request->to, &wanted);
}

void arb_api_confirm(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseConfirmRequest *request = (const void *)message;
    bool is_dead = request->dead[0] != '\0';
    struct arb_request wanted = {.kind = is_dead ? ARB_REQUEST_CONFIRM_DEAD : ARB_REQUEST_CONFIRM,
                                 .is_forced = request->force != 0};
    for (size_t i = 0; i < request->n_override; i++) {
        struct base_name name = {{0}};
        if (!name_of(call, request->override[i], &name)) {
            return;
        }
        if (base_name_is_empty(&name) || arb_names_add(&wanted.overridden, &name) != 0) {
            arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT,
                           "override: names of members, as many as a cluster can have");
            return;
        }
    }
    order_about(api, call, request->cluster, is_dead ? request->dead : request->primary, &wanted);
}

void arb_api_cancel(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseCancelRequest *request = (const void *)message;
    struct arb_request wanted = {.kind = ARB_REQUEST_CANCEL,
                                 .is_planned = request->planned != 0,
                                 .is_catch_up = request->catch_up != 0};
    order_about(api, call, request->cluster, request->member, &wanted);
}

void arb_api_pause(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabasePauseRequest *request = (const void *)message;
    struct arb_request wanted = {.kind = request->resume ? ARB_REQUEST_RESUME : ARB_REQUEST_PAUSE};
    order_about(api, call, request->cluster, "", &wanted);
}

void arb_api_drain(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseDrainRequest *request = (const void *)message;
    struct arb_request wanted = {.kind = request->undrain ? ARB_REQUEST_UNDRAIN : ARB_REQUEST_DRAIN,
                                 .is_forced = request->force != 0};
    if (request->member[0] == '\0') {
        arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT, "a member must be named");
        return;
    }
    order_about(api, call, request->cluster, request->member, &wanted);
}

void arb_api_remove(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseRemoveRequest *request = (const void *)message;
    struct arb_request wanted = {.kind = ARB_REQUEST_REMOVE, .is_forced = request->force != 0};
    order_about(api, call, request->cluster, request->member, &wanted);
}

/* A member, or the place in the configuration of one that has no agent: that has a port. */
static bool add_destroyed(struct arb_request *wanted, const char *text)
{
    struct base_name name = {{0}};
    struct msg_mongodb_hosts *hosts = &wanted->destroyed_hosts;
    size_t len = strlen(text);
    if (base_name_from_text(text, &name) == 0) {
        return arb_names_add(&wanted->destroyed, &name) == 0;
    }
    if (strchr(text, ':') == NULL || len > MSG_MONGODB_HOST_MAX ||
        hosts->count == MSG_MONGODB_PEERS_MAX || strpbrk(text, " \t\r\n\"\\") != NULL) {
        return false;
    }
    memcpy(hosts->list[hosts->count++].text, text, len + 1);
    return true;
}

void arb_api_force_reconfigure(struct arb_api *api, struct rpc_call *call,
                               const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseForceReconfigureRequest *request = (const void *)message;
    struct arb_request wanted = {.kind = ARB_REQUEST_FORCE_RECONFIGURE, .token = request->token};
    for (size_t i = 0; i < request->n_destroyed; i++) {
        if (!add_destroyed(&wanted, request->destroyed[i])) {
            arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT,
                           "destroyed: names of members, or HOST:PORT as in the configuration of "
                           "the replica set, as many as a cluster can have");
            return;
        }
    }
    if (getrandom(&wanted.random, sizeof(wanted.random), 0) != (ssize_t)sizeof(wanted.random)) {
        arb_api_refuse(call, IO_GRPC_UNAVAILABLE, "this host has no random numbers yet, try again");
        return;
    }
    order_about(api, call, request->cluster, "", &wanted);
}

/* --- tasks --- */

static enum msg_task_kind task_kind(const char *word)
{
    static const char *const words[] = {
        [MSG_TASK_RESTART] = "restart", [MSG_TASK_RELOAD] = "reload", [MSG_TASK_REINIT] = "reinit"};
    for (size_t i = 1; i < BASE_COUNT_OF(words); i++) {
        if (strcmp(words[i], word) == 0) {
            return (enum msg_task_kind)i;
        }
    }
    return MSG_TASK_NONE;
}

void arb_api_task(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseTaskRequest *request = (const void *)message;
    const struct arb_cluster *cluster = arb_api_find(api, call, request->cluster);
    struct arb_request wanted = {.kind = ARB_REQUEST_TASK, .at_wall_us = request->at_wall_us};
    if (cluster == NULL || !check_time(call, request->at_wall_us) ||
        !name_of(call, request->member, &wanted.candidate) ||
        !check_member(api, call, cluster, &wanted.candidate)) {
        return;
    }
    wanted.task = (struct msg_task){.kind = task_kind(request->kind),
                                    .member = wanted.candidate,
                                    .is_pending_only = request->pending_only != 0,
                                    .at_wall_us = request->at_wall_us};
    if (wanted.task.kind == MSG_TASK_NONE || base_name_is_empty(&wanted.candidate)) {
        arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT,
                       base_name_is_empty(&wanted.candidate)
                           ? "a member must be named"
                           : "kind: allowed: restart reload reinit");
        return;
    }
    order(api, call, cluster, &wanted);
}

/* --- the document --- */

void arb_api_configure(struct arb_api *api, struct rpc_call *call, const ProtobufCMessage *message)
{
    const Quorate__V1__DatabaseConfigureRequest *request = (const void *)message;
    struct arb_settings_why why = {""};
    struct arb_settings settings;
    struct base_name name;
    uint64_t revision = 0;
    char text[ARB_ANSWER_MAX];
    struct slice document = slice_from_text(request->json);
    if (base_name_from_text(request->cluster, &name) != 0) {
        arb_api_refuse(call, IO_GRPC_INVALID_ARGUMENT, "no cluster can have such a name");
        return;
    }
    int rc = request->check_only ? arb_settings_read(document, &settings, &why)
                                 : arb_driver_configure(api->options.driver, &name, request->expect,
                                                        document, &revision, &why);
    if (rc != 0) {
        arb_api_refuse(call, arb_api_status(rc),
                       why.text[0] == '\0' ? base_error_text(rc) : why.text);
        return;
    }
    (void)snprintf(text, sizeof(text), "configuration revision %llu of %s",
                   (unsigned long long)revision, name.text);
    accepted(call, request->check_only ? "the configuration is good" : text, revision);
}
