/* SPDX-License-Identifier: Apache-2.0 */
/* kv status and kv member list: the quorum nodes themselves. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

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

static int add_up(struct io_table *table, json_t *array, const char *endpoint,
                  const Etcdserverpb__StatusResponse *s)
{
    char id[CELL_MAX];
    char size[CELL_MAX];
    char term[CELL_MAX];
    char index[CELL_MAX];
    char applied[CELL_MAX];
    uint64_t member_id = s->header == NULL ? 0 : s->header->member_id;
    bool is_leader = member_id != 0 && member_id == s->leader;
    (void)json_array_append_new(
        array, json_pack("{s:s, s:b, s:s, s:s, s:I, s:b, s:I, s:I, s:I, s:I}", "endpoint", endpoint,
                         "up", 1, "id", hex_text(member_id, id), "version", s->version, "db_size",
                         (json_int_t)s->dbsize, "is_leader", (int)is_leader, "raft_term",
                         (json_int_t)s->raftterm, "raft_index", (json_int_t)s->raftindex,
                         "raft_applied_index", (json_int_t)s->raftappliedindex, "revision",
                         (json_int_t)(s->header == NULL ? 0 : s->header->revision)));
    (void)snprintf(size, sizeof(size), "%" PRId64 " kB", s->dbsize / 1024);
    return IO_TABLE_ADD(table, endpoint, hex_text(member_id, id), is_leader ? "leader" : "follower",
                        size, u64_text(s->raftterm, term), u64_text(s->raftindex, index),
                        u64_text(s->raftappliedindex, applied),
                        s->n_errors > 0 ? s->errors[0] : "");
}

static int add_down(struct io_table *table, json_t *array, const char *endpoint, const char *why)
{
    (void)json_array_append_new(
        array, json_pack("{s:s, s:b, s:s}", "endpoint", endpoint, "up", 0, "error", why));
    return IO_TABLE_ADD(table, endpoint, "-", "down", "-", "-", "-", "-", why);
}

static int add_endpoint(struct cli *cli, struct io_table *table, json_t *array, size_t n,
                        size_t *up)
{
    struct io_grpc_client *client = cli->client;
    struct io_grpc_answer answer = {0};
    struct io_why why = {""};
    const char *endpoint = io_grpc_client_endpoint(client, n);
    io_grpc_client_pin(client, n);
    if (io_grpc_call(client, "/etcdserverpb.Maintenance/Status", SLICE_EMPTY, cli->timeout_ms,
                     &answer, &why) != 0) {
        return add_down(table, array, endpoint, why.text);
    }
    int rc = 0;
    Etcdserverpb__StatusResponse *status =
        answer.status != IO_GRPC_OK
            ? NULL
            : etcdserverpb__status_response__unpack(NULL, answer.len, answer.data);
    if (status == NULL) {
        rc = add_down(table, array, endpoint, answer.message.text);
    } else {
        rc = add_up(table, array, endpoint, status);
        (*up)++;
    }
    etcdserverpb__status_response__free_unpacked(status, NULL);
    io_grpc_answer_free(&answer);
    return rc;
}

int cmd_status(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && argc != 1) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv status [--endpoints HOST:PORT,...]");
    }
    if (rc != 0 || cli_client(cli) == NULL) {
        return rc != 0 ? rc : IO_EXIT_USAGE;
    }
    struct io_table *table = io_table_new("ENDPOINT|ID|ROLE|>SIZE|>TERM|>INDEX|>APPLIED|ERRORS");
    json_t *array = json_array();
    size_t up = 0;
    size_t count = io_grpc_client_endpoints(cli->client);
    for (size_t i = 0; i < count && table != NULL && rc == 0; i++) {
        rc = add_endpoint(cli, table, array, i, &up);
    }
    if (table == NULL || rc != 0) {
        rc = cli_fail(IO_EXIT_INTERNAL, "out of memory");
    } else if (cli->output == CLI_JSON) {
        (void)cli_print_json(json_incref(array));
    } else {
        io_table_print(table, stdout, true);
    }
    json_decref(array);
    (void)io_table_free(table);
    return rc != 0 ? rc : up == 0 ? IO_EXIT_UNAVAILABLE : IO_EXIT_OK;
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
    if (rc == 0 && cli->output == CLI_JSON) {
        (void)cli_print_json(json_incref(array));
    } else if (rc == 0) {
        io_table_print(table, stdout, true);
    }
    json_decref(array);
    (void)io_table_free(table);
    return rc == 0 ? IO_EXIT_OK : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}

int cmd_member_list(void *ctx, int argc, char **argv)
{
    Etcdserverpb__MemberListRequest request;
    ProtobufCMessage *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    etcdserverpb__member_list_request__init(&request);
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.Cluster/MemberList", &request.base,
                            &etcdserverpb__member_list_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_members(ctx, (const Etcdserverpb__MemberListResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}
