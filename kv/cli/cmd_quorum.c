/* SPDX-License-Identifier: Apache-2.0 */
/* kv status and kv member list: the quorum nodes themselves. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/types.h"
#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"

#define CELL_MAX 128

static const char *u64_text(uint64_t value, char memory[static CELL_MAX])
{
    (void)snprintf(memory, CELL_MAX, "%" PRIu64, value);
    return memory;
}

static const char *hex_text(uint64_t value, char memory[static CELL_MAX])
{
    (void)snprintf(memory, CELL_MAX, "%" PRIx64, value);
    return memory;
}

/* A quorum node as its endpoint answered. */
struct seen {
    const char *endpoint;
    Etcdserverpb__StatusResponse *status; /* NULL: down, with why */
    bool has_answer;                      /* down: it answered, but with a refusal */
    struct io_why why;
};

static void ask_endpoint(struct cli *cli, size_t n, struct seen *ret)
{
    struct io_grpc_answer answer = {0};
    ret->endpoint = io_grpc_client_endpoint(cli->client, n);
    io_grpc_client_pin(cli->client, n);
    if (io_grpc_call(cli->client, "/etcdserverpb.Maintenance/Status", SLICE_EMPTY, cli->timeout_ms,
                     &answer, &ret->why) != 0) {
        return;
    }
    if (answer.status == IO_GRPC_OK) {
        ret->status = etcdserverpb__status_response__unpack(NULL, answer.len, answer.data);
        io_why_set(&ret->why, "its answer cannot be read");
    } else {
        ret->has_answer = true;
        io_why_set(&ret->why, "%s%s", answer.message.text, cli_denied_hint(cli, answer.status));
    }
    io_grpc_answer_free(&answer);
}

/* The members, for the names of nodes; from whoever is up. NULL when nobody tells. */
static Etcdserverpb__MemberListResponse *ask_members(struct cli *cli, const struct seen *seen,
                                                     size_t count)
{
    Etcdserverpb__MemberListResponse *members = NULL;
    for (size_t i = 0; i < count && members == NULL; i++) {
        struct io_grpc_answer answer = {0};
        struct io_why why = {""};
        io_grpc_client_pin(cli->client, i);
        if (seen[i].status == NULL ||
            io_grpc_call(cli->client, "/etcdserverpb.Cluster/MemberList", SLICE_EMPTY,
                         cli->timeout_ms, &answer, &why) != 0) {
            continue;
        }
        if (answer.status == IO_GRPC_OK) {
            members = etcdserverpb__member_list_response__unpack(NULL, answer.len, answer.data);
        }
        io_grpc_answer_free(&answer);
    }
    return members;
}

static bool has_client_url(const Etcdserverpb__Member *member, const char *endpoint)
{
    for (size_t i = 0; i < member->n_clienturls; i++) {
        const char *slashes = strstr(member->clienturls[i], "//");
        if (slashes != NULL && strcmp(slashes + 2, endpoint) == 0) {
            return true;
        }
    }
    return false;
}

/* By id where the node answered, else by the URL that the others tell of it. */
static const char *name_of(const Etcdserverpb__MemberListResponse *members, const struct seen *seen)
{
    bool is_up = seen->status != NULL && seen->status->header != NULL;
    for (size_t i = 0; members != NULL && i < members->n_members; i++) {
        const Etcdserverpb__Member *m = members->members[i];
        if (is_up ? m->id == seen->status->header->member_id : has_client_url(m, seen->endpoint)) {
            return m->name;
        }
    }
    return "";
}

static int add_up(struct io_table *table, json_t *array, const struct seen *seen, const char *name)
{
    char id[CELL_MAX];
    char size[CELL_MAX];
    char term[CELL_MAX];
    char index[CELL_MAX];
    char applied[CELL_MAX];
    char revision[CELL_MAX];
    const Etcdserverpb__StatusResponse *s = seen->status;
    uint64_t member_id = s->header == NULL ? 0 : s->header->member_id;
    int64_t at = s->header == NULL ? 0 : s->header->revision;
    bool is_leader = member_id != 0 && member_id == s->leader;
    (void)json_array_append_new(
        array, json_pack("{s:s, s:s, s:b, s:s, s:s, s:I, s:b, s:I, s:I, s:I, s:I}", "endpoint",
                         seen->endpoint, "name", name, "up", 1, "id", hex_text(member_id, id),
                         "version", s->version, "db_size", (json_int_t)s->dbsize, "is_leader",
                         (int)is_leader, "raft_term", (json_int_t)s->raftterm, "raft_index",
                         (json_int_t)s->raftindex, "raft_applied_index",
                         (json_int_t)s->raftappliedindex, "revision", (json_int_t)at));
    (void)snprintf(size, sizeof(size), "%" PRId64 " kB", s->dbsize / 1024);
    return IO_TABLE_ADD(table, name[0] == '\0' ? "-" : name, seen->endpoint,
                        is_leader ? "leader" : "follower", size, u64_text(s->raftterm, term),
                        u64_text(s->raftindex, index), u64_text(s->raftappliedindex, applied),
                        u64_text((uint64_t)at, revision), hex_text(member_id, id),
                        s->n_errors > 0 ? s->errors[0] : "");
}

static int add_down(struct io_table *table, json_t *array, const struct seen *seen,
                    const char *name)
{
    (void)json_array_append_new(array, json_pack("{s:s, s:s, s:b, s:s}", "endpoint", seen->endpoint,
                                                 "name", name, "up", 0, "error", seen->why.text));
    return IO_TABLE_ADD(table, name[0] == '\0' ? "-" : name, seen->endpoint,
                        seen->has_answer ? "refuses" : "down", "-", "-", "-", "-", "-", "-",
                        seen->why.text);
}

/* Asks every endpoint and prints a row for each; *ret_up: how many answered. */
static int show_status(struct cli *cli, struct seen *seen, size_t count, size_t *ret_up)
{
    struct io_table *table =
        io_table_new("NODE|ENDPOINT|ROLE|>SIZE|>TERM|>INDEX|>APPLIED|>REVISION|ID|ERRORS");
    json_t *array = json_array();
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < count; i++) {
        ask_endpoint(cli, i, &seen[i]);
        *ret_up += seen[i].status != NULL;
    }
    Etcdserverpb__MemberListResponse *members = ask_members(cli, seen, count);
    for (size_t i = 0; i < count && rc == 0; i++) {
        const char *name = name_of(members, &seen[i]);
        rc = seen[i].status == NULL ? add_down(table, array, &seen[i], name)
                                    : add_up(table, array, &seen[i], name);
    }
    if (rc == 0 && cli->output == CLI_JSON) {
        (void)cli_print_json(json_incref(array));
    } else if (rc == 0) {
        io_table_print(table, stdout, true);
    }
    etcdserverpb__member_list_response__free_unpacked(members, NULL);
    json_decref(array);
    (void)io_table_free(table);
    return rc;
}

int cmd_status(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "status");
    if (rc != 0 || cli_client(cli) == NULL) {
        return rc != 0 ? rc : IO_EXIT_USAGE;
    }
    size_t up = 0;
    size_t count = io_grpc_client_endpoints(cli->client);
    struct seen *seen = calloc(count + 1, sizeof(*seen));
    rc = seen == NULL ? BASE_E_NOMEM : show_status(cli, seen, count, &up);
    for (size_t i = 0; seen != NULL && i < count; i++) {
        etcdserverpb__status_response__free_unpacked(seen[i].status, NULL);
    }
    free(seen);
    if (rc != 0) {
        return cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    return up == 0 ? IO_EXIT_UNAVAILABLE : IO_EXIT_OK;
}

static void join(size_t count, char *const *texts, char memory[static 1024])
{
    memory[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        size_t used = strlen(memory);
        (void)snprintf(memory + used, 1024 - used, "%s%s", i == 0 ? "" : ",", texts[i]);
    }
}

static int print_members(const struct cli *cli, const Etcdserverpb__MemberListResponse *answer)
{
    struct io_table *table = io_table_new("ID|NAME|PEER|CLIENT|LEARNER");
    json_t *array = json_array();
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < answer->n_members && rc == 0; i++) {
        const Etcdserverpb__Member *m = answer->members[i];
        char id[CELL_MAX];
        char peers[1024];
        char clients[1024];
        join(m->n_peerurls, m->peerurls, peers);
        join(m->n_clienturls, m->clienturls, clients);
        (void)json_array_append_new(array, json_pack("{s:s, s:s, s:s, s:s, s:b}", "id",
                                                     hex_text(m->id, id), "name", m->name,
                                                     "peer_urls", peers, "client_urls", clients,
                                                     "is_learner", (int)m->islearner));
        rc = IO_TABLE_ADD(table, hex_text(m->id, id), m->name, peers, clients,
                          m->islearner ? "yes" : "no");
    }
    return cli_end_list(cli, table, array, rc);
}

/* A node that has just come, or has been cut off, may know an old list: the leader's is wanted. */
int cmd_member_list(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"local", false, NULL}};
    Etcdserverpb__MemberListRequest request;
    ProtobufCMessage *answer = NULL;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "member list");
    etcdserverpb__member_list_request__init(&request);
    request.linearizable = options[0].value == NULL;
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.Cluster/MemberList", &request.base,
                            &etcdserverpb__member_list_response__descriptor, &answer);
    if (rc == IO_EXIT_UNAVAILABLE && request.linearizable) {
        return cli_fail(rc, "--local lists them as the node that is asked knows them");
    }
    if (rc == 0) {
        rc = print_members(ctx, (const Etcdserverpb__MemberListResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}
