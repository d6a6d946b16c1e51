/* SPDX-License-Identifier: Apache-2.0 */
/* Calls and streams that the commands of `kv` share, and what is said when one fails. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "kv.pb-c.h"
#include "kv/cli/cli_internal.h"
#include "proto/io/loop.h"

#define BUSY_WAIT_NS 50000000

static int exit_of_status(enum io_grpc_status status)
{
    switch ((int)status) {
    case IO_GRPC_NOT_FOUND:
        return IO_EXIT_FALSE;
    case IO_GRPC_INVALID_ARGUMENT:
    case IO_GRPC_OUT_OF_RANGE:
        return IO_EXIT_USAGE;
    case IO_GRPC_PERMISSION_DENIED:
    case IO_GRPC_FAILED_PRECONDITION:
    case IO_GRPC_ALREADY_EXISTS:
    case IO_GRPC_ABORTED:
    case IO_GRPC_UNAUTHENTICATED:
    case IO_GRPC_RESOURCE_EXHAUSTED:
        return IO_EXIT_REFUSED;
    case IO_GRPC_UNAVAILABLE:
    case IO_GRPC_DEADLINE_EXCEEDED:
    case IO_GRPC_CANCELLED:
        return IO_EXIT_UNAVAILABLE;
    default:
        return IO_EXIT_INTERNAL;
    }
}

const char *cli_hint(const struct cli *cli, int code)
{
    if (code != BASE_E_UNREACHABLE && code != BASE_E_CLOSED && code != BASE_E_TIMEOUT) {
        return "";
    }
    if (!cli_has_endpoints(cli)) {
        return "; name the quorum nodes with --endpoints or QUORATE_ENDPOINTS";
    }
    if (code == BASE_E_CLOSED && !cli_has_file(cli, CLI_FILE_CACERT)) {
        return "; it may want TLS: give --cacert, --cert and --key";
    }
    return "; is quorated running there?";
}

const char *cli_denied_hint(const struct cli *cli, enum io_grpc_status status)
{
    if (status != IO_GRPC_PERMISSION_DENIED) {
        return "";
    }
    return !cli_has_file(cli, CLI_FILE_CERT)
               ? "; no certificate was shown: give --cert and --key"
               : "; the certificate shown may not do this, and keys under /quorate/ are written "
                 "by the arbiter alone";
}

/* The node is named where it matters which one it was. */
static int refused(const struct cli *cli, const struct io_grpc_answer *answer)
{
    int code = exit_of_status(answer->status);
    if (code == IO_EXIT_UNAVAILABLE || code == IO_EXIT_INTERNAL) {
        return cli_fail(code, "%s (%s)", answer->message.text, answer->endpoint);
    }
    return cli_fail(code, "%s%s", answer->message.text, cli_denied_hint(cli, answer->status));
}

static int unpack_answer(const struct cli *cli, const struct io_grpc_answer *answer,
                         const ProtobufCMessageDescriptor *type, ProtobufCMessage **ret)
{
    if (answer->status != IO_GRPC_OK) {
        return refused(cli, answer);
    }
    *ret = protobuf_c_message_unpack(type, NULL, answer->len, answer->data);
    return *ret != NULL ? 0
                        : cli_fail(IO_EXIT_INTERNAL, "%s sent an answer that cannot be read",
                                   answer->endpoint);
}

/* Calls that change something: never sent to a second node when the first may have done it. */
static bool is_write(const char *path)
{
    static const char *const paths[] = {"/etcdserverpb.KV/Put",
                                        "/etcdserverpb.KV/DeleteRange",
                                        "/etcdserverpb.KV/Txn",
                                        "/etcdserverpb.Lease/LeaseGrant",
                                        "/etcdserverpb.Cluster/MemberAdd",
                                        "/etcdserverpb.Cluster/MemberRemove",
                                        "/etcdserverpb.Maintenance/MoveLeader",
                                        "/v3lockpb.Lock/Lock",
                                        "/v3electionpb.Election/Campaign",
                                        "/quorate.v1.Databases/Switchover",
                                        "/quorate.v1.Databases/Failover",
                                        "/quorate.v1.Databases/Confirm",
                                        "/quorate.v1.Databases/Configure",
                                        "/quorate.v1.Databases/Task",
                                        "/quorate.v1.Databases/Cancel",
                                        "/quorate.v1.Databases/Pause",
                                        "/quorate.v1.Databases/Drain",
                                        "/quorate.v1.Databases/Remove"};
    for (size_t i = 0; i < BASE_COUNT_OF(paths); i++) {
        if (strcmp(path, paths[i]) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_elsewhere(const struct io_grpc_answer *answer)
{
    return answer->status == IO_GRPC_UNAVAILABLE &&
           (strncmp(answer->message.text, "this node does not lead", 23) == 0 ||
            strcmp(answer->message.text, "etcdserver: no leader") == 0);
}

/* Whether another node may be asked after this outcome: nothing was done, or nothing can be. */
static bool may_ask_next(const char *path, int rc, const struct io_grpc_answer *answer)
{
    if (rc != 0) {
        return rc == BASE_E_UNREACHABLE || rc == BASE_E_TLS || !is_write(path);
    }
    return is_elsewhere(answer) || (answer->status == IO_GRPC_UNAVAILABLE && !is_write(path));
}

/* Asks one endpoint after the other until one has an answer of its own. */
static int call_any(struct io_grpc_client *client, const char *path, struct slice request,
                    uint32_t timeout_ms, struct io_grpc_answer *ret, struct io_why *why)
{
    size_t count = io_grpc_client_endpoints(client);
    int rc = BASE_E_UNREACHABLE;
    bool has_answer = false;
    bool is_over = false;
    for (size_t i = 0; i < count && !is_over; i++) {
        struct io_grpc_answer answer = {0};
        io_grpc_client_pin(client, i);
        int this_rc = io_grpc_call(client, path, request, timeout_ms, &answer, why);
        is_over = !may_ask_next(path, this_rc, &answer);
        if (has_answer && (this_rc == 0 || is_over)) {
            io_grpc_answer_free(ret);
            has_answer = false;
        }
        if (this_rc == 0) {
            *ret = answer;
            has_answer = true;
        }
        rc = has_answer ? 0 : this_rc;
    }
    io_grpc_client_pin(client, SIZE_MAX);
    return rc;
}

/* Takes all nodes that the quorum names as endpoints, once: the leader may be one that was not
 * given. False when there is nothing new to try. */
static bool find_all_nodes(struct cli *cli)
{
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    char endpoints[CLI_ENDPOINTS_BYTES] = "";
    struct io_grpc_client *client = NULL;
    if (cli->has_all_nodes || call_any(cli->client, "/etcdserverpb.Cluster/MemberList", SLICE_EMPTY,
                                       cli->timeout_ms, &answer, &why) != 0) {
        return false;
    }
    cli->has_all_nodes = true;
    Etcdserverpb__MemberListResponse *members =
        answer.status != IO_GRPC_OK
            ? NULL
            : etcdserverpb__member_list_response__unpack(NULL, answer.len, answer.data);
    for (size_t i = 0; members != NULL && i < members->n_members; i++) {
        if (members->members[i]->n_clienturls > 0) {
            cli_add_endpoint(endpoints, members->members[i]->clienturls[0]);
        }
    }
    etcdserverpb__member_list_response__free_unpacked(members, NULL);
    io_grpc_answer_free(&answer);
    if (endpoints[0] == '\0' || cli_client_of(cli, endpoints, &client, &why) != 0) {
        return false;
    }
    (void)io_grpc_client_free(cli->client);
    cli->client = client;
    return true;
}

static int unanswered(const struct cli *cli, const char *path, int rc, const struct io_why *why)
{
    size_t count = io_grpc_client_endpoints(cli->client);
    if (rc != BASE_E_UNREACHABLE && rc != BASE_E_TLS && is_write(path)) {
        return cli_fail(io_exit_of(rc), "%s; it may have been done: look before trying again",
                        why->text);
    }
    if (rc == BASE_E_UNREACHABLE && count > 1) {
        return cli_fail(io_exit_of(rc), "none of %zu endpoints can be reached; the last: %s", count,
                        why->text);
    }
    return cli_fail(io_exit_of(rc), "%s%s", why->text, cli_hint(cli, rc));
}

/* Another change is on its way there: nothing was done, and soon it can be. */
static bool is_to_be_repeated(const struct io_grpc_answer *answer, int64_t deadline_us)
{
    if (answer->status != IO_GRPC_ABORTED || io_now().us >= deadline_us) {
        return false;
    }
    (void)nanosleep(&(struct timespec){.tv_nsec = BUSY_WAIT_NS}, NULL);
    return true;
}

/* Asks those that were given, then all nodes that there are. */
static int call_all(struct cli *cli, const char *path, struct slice request,
                    struct io_grpc_answer *ret, struct io_why *why)
{
    int rc = call_any(cli->client, path, request, cli->timeout_ms, ret, why);
    if (rc == 0 && is_elsewhere(ret) && find_all_nodes(cli)) {
        io_grpc_answer_free(ret);
        *ret = (struct io_grpc_answer){0};
        rc = call_any(cli->client, path, request, cli->timeout_ms, ret, why);
    }
    return rc;
}

int cli_call(struct cli *cli, const char *path, const ProtobufCMessage *request,
             const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret)
{
    if (cli_client(cli) == NULL) {
        return cli->client_error;
    }
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    (void)protobuf_c_message_pack(request, bytes);
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    int64_t deadline_us = io_now().us + (int64_t)cli->timeout_ms * BASE_US_PER_MS;
    int rc = call_all(cli, path, slice_from(bytes, len), &answer, &why);
    while (rc == 0 && is_to_be_repeated(&answer, deadline_us)) {
        io_grpc_answer_free(&answer);
        answer = (struct io_grpc_answer){0};
        rc = call_all(cli, path, slice_from(bytes, len), &answer, &why);
    }
    free(bytes);
    if (rc != 0) {
        return unanswered(cli, path, rc, &why);
    }
    rc = unpack_answer(cli, &answer, descriptor, ret);
    io_grpc_answer_free(&answer);
    return rc;
}

/* Packs, asks the pinned endpoint or all, unpacks. */
static int call_once(struct cli *cli, const char *path, const ProtobufCMessage *request,
                     struct io_grpc_answer *ret, struct io_why *why)
{
    size_t len = protobuf_c_message_get_packed_size(request);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        io_why_set(why, "out of memory");
        return BASE_E_NOMEM;
    }
    (void)protobuf_c_message_pack(request, bytes);
    int rc = io_grpc_call(cli->client, path, slice_from(bytes, len), cli->timeout_ms, ret, why);
    free(bytes);
    return rc;
}

int cli_call_endpoint(struct cli *cli, size_t n, const char *path, const ProtobufCMessage *request,
                      const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret)
{
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    if (cli_client(cli) == NULL) {
        return cli->client_error;
    }
    io_grpc_client_pin(cli->client, n);
    int rc = call_once(cli, path, request, &answer, &why);
    io_grpc_client_pin(cli->client, SIZE_MAX);
    if (rc != 0) {
        return cli_fail(io_exit_of(rc), "%s%s", why.text, cli_hint(cli, rc));
    }
    rc = unpack_answer(cli, &answer, descriptor, ret);
    io_grpc_answer_free(&answer);
    return rc;
}

/* Number of the endpoint that leads; SIZE_MAX when none says so. */
static size_t find_leader(struct cli *cli)
{
    Etcdserverpb__StatusRequest request;
    size_t leader = SIZE_MAX;
    etcdserverpb__status_request__init(&request);
    for (size_t i = 0; i < io_grpc_client_endpoints(cli->client) && leader == SIZE_MAX; i++) {
        struct io_grpc_answer answer = {0};
        struct io_why why = {""};
        io_grpc_client_pin(cli->client, i);
        if (call_once(cli, "/etcdserverpb.Maintenance/Status", &request.base, &answer, &why) != 0) {
            continue;
        }
        Etcdserverpb__StatusResponse *status =
            answer.status == IO_GRPC_OK
                ? etcdserverpb__status_response__unpack(NULL, answer.len, answer.data)
                : NULL;
        if (status != NULL && status->header != NULL && status->leader != 0 &&
            status->leader == status->header->member_id) {
            leader = i;
        }
        if (status != NULL) {
            etcdserverpb__status_response__free_unpacked(status, NULL);
        }
        io_grpc_answer_free(&answer);
    }
    io_grpc_client_pin(cli->client, SIZE_MAX);
    return leader;
}

int cli_call_leader(struct cli *cli, const char *path, const ProtobufCMessage *request,
                    const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret)
{
    if (cli_client(cli) == NULL) {
        return cli->client_error;
    }
    size_t leader = find_leader(cli);
    if (leader == SIZE_MAX && find_all_nodes(cli)) {
        leader = find_leader(cli);
    }
    if (leader == SIZE_MAX) {
        return cli_fail(IO_EXIT_UNAVAILABLE,
                        "none of the endpoints leads the quorum; kv status shows each of them");
    }
    return cli_call_endpoint(cli, leader, path, request, descriptor, ret);
}

/* --- streams --- */

int cli_stream_open(struct cli *cli, const char *path)
{
    struct io_why why = {""};
    if (cli_client(cli) == NULL) {
        return cli->client_error;
    }
    int rc = io_grpc_stream_open(cli->client, path, cli->dial_ms, &why);
    return rc == 0 ? 0 : cli_fail(io_exit_of(rc), "%s%s", why.text, cli_hint(cli, rc));
}

int cli_stream_send(struct cli *cli, const ProtobufCMessage *message)
{
    struct io_why why = {""};
    size_t len = protobuf_c_message_get_packed_size(message);
    uint8_t *bytes = malloc(len + 1);
    if (bytes == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    (void)protobuf_c_message_pack(message, bytes);
    int rc = io_grpc_stream_send(cli->client, slice_from(bytes, len), cli->timeout_ms, &why);
    free(bytes);
    return rc == 0 ? 0 : cli_fail(io_exit_of(rc), "%s", why.text);
}

int cli_stream_next(struct cli *cli, uint32_t timeout_ms,
                    const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret)
{
    struct io_grpc_answer answer;
    struct io_why why = {""};
    bool is_end = false;
    *ret = NULL;
    int rc = io_grpc_stream_next(cli->client, timeout_ms, &answer, &is_end, &why);
    if (rc == BASE_E_TIMEOUT) {
        return -1;
    }
    if (rc != 0) {
        return cli_fail(io_exit_of(rc), "%s", why.text);
    }
    if (is_end) {
        return answer.status == IO_GRPC_OK ? IO_EXIT_OK : refused(cli, &answer);
    }
    rc = unpack_answer(cli, &answer, descriptor, ret);
    io_grpc_answer_free(&answer);
    return rc;
}
