/* SPDX-License-Identifier: Apache-2.0 */
/* kv compact, alarm, hash, defrag: looking after the quorum's store. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"

#define CELL_MAX 64

int cmd_compact(void *ctx, int argc, char **argv)
{
    const struct cli *cli = ctx;
    struct cli_option options[] = {{"physical", false, NULL}};
    Etcdserverpb__CompactionRequest request;
    ProtobufCMessage *message = NULL;
    etcdserverpb__compaction_request__init(&request);
    int rc = cli_options(&argc, argv, options, 1);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv compact REVISION [--physical]; kv status shows the "
                                     "newest revision");
    }
    rc = rc != 0 ? rc : cli_number("revision", argv[1], &request.revision);
    request.physical = options[0].value != NULL;
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.KV/Compact", &request.base,
                            &etcdserverpb__compaction_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    if (cli->output == CLI_JSON && cli->is_output_set) {
        return cli_print_json(json_pack("{s:I}", "compacted", (json_int_t)request.revision));
    }
    (void)printf("compacted revision %" PRId64 "\n", (int64_t)request.revision);
    return IO_EXIT_OK;
}

/* --- alarms --- */

static const char *alarm_name(Etcdserverpb__AlarmType alarm)
{
    return alarm == ETCDSERVERPB__ALARM_TYPE__NOSPACE   ? "NOSPACE"
           : alarm == ETCDSERVERPB__ALARM_TYPE__CORRUPT ? "CORRUPT"
                                                        : "NONE";
}

static int print_alarms(const struct cli *cli, const Etcdserverpb__AlarmResponse *answer)
{
    json_t *array = json_array();
    for (size_t i = 0; i < answer->n_alarms; i++) {
        const Etcdserverpb__AlarmMember *alarm = answer->alarms[i];
        char id[CELL_MAX];
        (void)snprintf(id, sizeof(id), "%" PRIx64, (uint64_t)alarm->memberid);
        (void)json_array_append_new(
            array, json_pack("{s:s, s:s}", "member", id, "alarm", alarm_name(alarm->alarm)));
        if (cli->output != CLI_JSON) {
            (void)printf("memberID:%" PRIu64 " alarm:%s\n", (uint64_t)alarm->memberid,
                         alarm_name(alarm->alarm));
        }
    }
    if (cli->output == CLI_JSON) {
        return cli_print_json(array);
    }
    json_decref(array);
    return IO_EXIT_OK;
}

static int ask_alarms(struct cli *cli, Etcdserverpb__AlarmRequest__AlarmAction action,
                      const Etcdserverpb__AlarmMember *of, Etcdserverpb__AlarmResponse **ret)
{
    Etcdserverpb__AlarmRequest request;
    ProtobufCMessage *message = NULL;
    etcdserverpb__alarm_request__init(&request);
    request.action = action;
    if (of != NULL) {
        request.memberid = of->memberid;
        request.alarm = of->alarm;
    }
    int rc = cli_call(cli, "/etcdserverpb.Maintenance/Alarm", &request.base,
                      &etcdserverpb__alarm_response__descriptor, &message);
    if (rc == 0) {
        *ret = (Etcdserverpb__AlarmResponse *)(void *)message;
    }
    return rc;
}

int cmd_alarm_list(void *ctx, int argc, char **argv)
{
    Etcdserverpb__AlarmResponse *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "alarm list");
    rc = rc != 0 ? rc
                 : ask_alarms(ctx, ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__GET, NULL, &answer);
    if (rc == 0) {
        rc = print_alarms(ctx, answer);
        etcdserverpb__alarm_response__free_unpacked(answer, NULL);
    }
    return rc;
}

/* Takes back each alarm that stands. */
int cmd_alarm_disarm(void *ctx, int argc, char **argv)
{
    Etcdserverpb__AlarmResponse *standing = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "alarm disarm");
    rc = rc != 0 ? rc
                 : ask_alarms(ctx, ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__GET, NULL, &standing);
    for (size_t i = 0; rc == 0 && i < standing->n_alarms; i++) {
        Etcdserverpb__AlarmResponse *answer = NULL;
        rc = ask_alarms(ctx, ETCDSERVERPB__ALARM_REQUEST__ALARM_ACTION__DEACTIVATE,
                        standing->alarms[i], &answer);
        if (rc == 0) {
            etcdserverpb__alarm_response__free_unpacked(answer, NULL);
        }
    }
    if (rc == 0) {
        rc = print_alarms(ctx, standing);
    }
    if (standing != NULL) {
        etcdserverpb__alarm_response__free_unpacked(standing, NULL);
    }
    return rc;
}

/* --- hash --- */

static int add_hash(struct io_table *table, json_t *array, const char *endpoint,
                    const Etcdserverpb__HashKVResponse *answer)
{
    char hash[CELL_MAX];
    char revision[CELL_MAX];
    char compacted[CELL_MAX];
    int64_t at = answer->header == NULL ? 0 : answer->header->revision;
    (void)snprintf(hash, sizeof(hash), "%" PRIu32, (uint32_t)answer->hash);
    (void)snprintf(revision, sizeof(revision), "%" PRId64, at);
    (void)snprintf(compacted, sizeof(compacted), "%" PRId64, (int64_t)answer->compact_revision);
    (void)json_array_append_new(array, json_pack("{s:s, s:I, s:I, s:I}", "endpoint", endpoint,
                                                 "hash", (json_int_t)answer->hash, "revision",
                                                 (json_int_t)at, "compact_revision",
                                                 (json_int_t)answer->compact_revision));
    return IO_TABLE_ADD(table, endpoint, hash, revision, compacted);
}

/* Asks each endpoint; the worst exit code of all. */
static int hash_each(struct cli *cli, const Etcdserverpb__HashKVRequest *request,
                     struct io_table *table, json_t *array)
{
    int worst = 0;
    for (size_t i = 0; i < io_grpc_client_endpoints(cli->client); i++) {
        ProtobufCMessage *message = NULL;
        int rc = cli_call_endpoint(cli, i, "/etcdserverpb.Maintenance/HashKV", &request->base,
                                   &etcdserverpb__hash_kvresponse__descriptor, &message);
        if (rc == 0) {
            rc = add_hash(table, array, io_grpc_client_endpoint(cli->client, i),
                          (const Etcdserverpb__HashKVResponse *)(const void *)message);
            protobuf_c_message_free_unpacked(message, NULL);
        }
        worst = rc > worst ? rc : worst;
    }
    return worst;
}

int cmd_hash(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    struct cli_option options[] = {{"rev", true, NULL}};
    Etcdserverpb__HashKVRequest request;
    etcdserverpb__hash_kvrequest__init(&request);
    int rc = cli_options(&argc, argv, options, 1);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "hash");
    rc = rc != 0 || options[0].value == NULL
             ? rc
             : cli_number("--rev", options[0].value, &request.revision);
    if (rc != 0 || cli_client(cli) == NULL) {
        return rc != 0 ? rc : cli->client_error;
    }
    struct io_table *table = io_table_new("ENDPOINT|>HASH|>REVISION|>COMPACTED");
    json_t *array = json_array();
    if (table == NULL || array == NULL) {
        rc = cli_fail(IO_EXIT_INTERNAL, "out of memory");
    } else {
        rc = hash_each(cli, &request, table, array);
        if (cli->output == CLI_JSON) {
            (void)cli_print_json(json_incref(array));
        } else if (io_table_rows(table) > 0) {
            io_table_print(table, stdout, true);
        }
    }
    json_decref(array);
    (void)io_table_free(table);
    return rc;
}

int cmd_defrag(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    Etcdserverpb__DefragmentRequest request;
    etcdserverpb__defragment_request__init(&request);
    int worst = cli_options(&argc, argv, NULL, 0);
    worst = worst != 0 ? worst : cli_no_operands(argc, argv, "defrag");
    if (worst != 0 || cli_client(cli) == NULL) {
        return worst != 0 ? worst : cli->client_error;
    }
    for (size_t i = 0; i < io_grpc_client_endpoints(cli->client); i++) {
        ProtobufCMessage *message = NULL;
        int rc = cli_call_endpoint(cli, i, "/etcdserverpb.Maintenance/Defragment", &request.base,
                                   &etcdserverpb__defragment_response__descriptor, &message);
        if (rc == 0) {
            protobuf_c_message_free_unpacked(message, NULL);
            (void)printf("%s: nothing to do, free pages of the store are used again by "
                         "themselves\n",
                         io_grpc_client_endpoint(cli->client, i));
        }
        worst = rc > worst ? rc : worst;
    }
    return worst;
}
