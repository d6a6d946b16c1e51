/* SPDX-License-Identifier: Apache-2.0 */
/* kv lease: grant, revoke, keep-alive, timetolive, list. Ids are hexadecimal, as etcdctl's are. */
#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"

static int one_lease(int argc, char **argv, const char *command, uint64_t *ret_id)
{
    return argc == 2
               ? cli_hex_id("lease", argv[1], ret_id)
               : cli_fail(IO_EXIT_USAGE, "usage: kv %s ID; kv lease list shows them", command);
}

static json_t *json_of_id(int64_t id)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%016" PRIx64, (uint64_t)id);
    return json_string(text);
}

int cmd_lease_grant(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    struct cli_option options[] = {{"id", true, NULL}};
    Etcdserverpb__LeaseGrantRequest request;
    ProtobufCMessage *message = NULL;
    uint64_t id = 0;
    etcdserverpb__lease_grant_request__init(&request);
    int rc = cli_options(&argc, argv, options, 1);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv lease grant SECONDS [--id ID]");
    }
    rc = rc != 0 ? rc : cli_number("TTL", argv[1], &request.ttl);
    rc = rc != 0 || options[0].value == NULL ? rc : cli_hex_id("--id", options[0].value, &id);
    request.id = (int64_t)id;
    rc = rc != 0 ? rc
                 : cli_call(cli, "/etcdserverpb.Lease/LeaseGrant", &request.base,
                            &etcdserverpb__lease_grant_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    const Etcdserverpb__LeaseGrantResponse *answer =
        (const Etcdserverpb__LeaseGrantResponse *)(const void *)message;
    if (cli->output == CLI_JSON && cli->is_output_set) {
        rc = cli_print_json(
            json_pack("{s:o, s:I}", "id", json_of_id(answer->id), "ttl", (json_int_t)answer->ttl));
    } else {
        (void)printf("lease %016" PRIx64 " granted with TTL(%" PRId64 "s)\n", (uint64_t)answer->id,
                     (int64_t)answer->ttl);
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return rc;
}

int cmd_lease_revoke(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    Etcdserverpb__LeaseRevokeRequest request;
    ProtobufCMessage *message = NULL;
    uint64_t id = 0;
    etcdserverpb__lease_revoke_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : one_lease(argc, argv, "lease revoke", &id);
    request.id = (int64_t)id;
    rc = rc != 0 ? rc
                 : cli_call(cli, "/etcdserverpb.Lease/LeaseRevoke", &request.base,
                            &etcdserverpb__lease_revoke_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    if (cli->output == CLI_JSON && cli->is_output_set) {
        return cli_print_json(json_pack("{s:o}", "revoked", json_of_id((int64_t)id)));
    }
    (void)printf("lease %016" PRIx64 " revoked\n", id);
    return IO_EXIT_OK;
}

static int print_time_to_live(const struct cli *cli,
                              const Etcdserverpb__LeaseTimeToLiveResponse *answer, bool has_keys)
{
    int code = answer->ttl <= 0 ? IO_EXIT_FALSE : IO_EXIT_OK;
    if (cli->output == CLI_JSON && cli->is_output_set) {
        json_t *keys = json_array();
        for (size_t i = 0; i < answer->n_keys; i++) {
            (void)json_array_append_new(keys,
                                        cli_json_bytes(answer->keys[i].data, answer->keys[i].len));
        }
        (void)cli_print_json(json_pack("{s:o, s:I, s:I, s:o}", "id", json_of_id(answer->id), "ttl",
                                       (json_int_t)answer->ttl, "granted_ttl",
                                       (json_int_t)answer->grantedttl, "keys", keys));
        return code;
    }
    if (answer->ttl <= 0) {
        (void)printf("lease %016" PRIx64 " already expired\n", (uint64_t)answer->id);
        return code;
    }
    (void)printf("lease %016" PRIx64 " granted with TTL(%" PRId64 "s), remaining(%" PRId64 "s)",
                 (uint64_t)answer->id, (int64_t)answer->grantedttl, (int64_t)answer->ttl);
    for (size_t i = 0; i < answer->n_keys; i++) {
        (void)printf("%s%.*s", i == 0 ? ", attached keys([" : " ", (int)answer->keys[i].len,
                     (const char *)answer->keys[i].data);
    }
    (void)puts(answer->n_keys > 0 ? "])" : has_keys ? ", attached keys([])" : "");
    return code;
}

int cmd_lease_timetolive(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"keys", false, NULL}};
    Etcdserverpb__LeaseTimeToLiveRequest request;
    ProtobufCMessage *message = NULL;
    uint64_t id = 0;
    etcdserverpb__lease_time_to_live_request__init(&request);
    int rc = cli_options(&argc, argv, options, 1);
    rc = rc != 0 ? rc : one_lease(argc, argv, "lease timetolive", &id);
    request.id = (int64_t)id;
    request.keys = options[0].value != NULL;
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.Lease/LeaseTimeToLive", &request.base,
                            &etcdserverpb__lease_time_to_live_response__descriptor, &message);
    if (rc == 0) {
        rc = print_time_to_live(
            ctx, (const Etcdserverpb__LeaseTimeToLiveResponse *)(const void *)message,
            request.keys != 0);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return rc;
}

int cmd_lease_list(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    Etcdserverpb__LeaseLeasesRequest request;
    ProtobufCMessage *message = NULL;
    etcdserverpb__lease_leases_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "lease list");
    rc = rc != 0 ? rc
                 : cli_call(cli, "/etcdserverpb.Lease/LeaseLeases", &request.base,
                            &etcdserverpb__lease_leases_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    const Etcdserverpb__LeaseLeasesResponse *answer =
        (const Etcdserverpb__LeaseLeasesResponse *)(const void *)message;
    if (cli->output == CLI_JSON && cli->is_output_set) {
        json_t *array = json_array();
        for (size_t i = 0; i < answer->n_leases; i++) {
            (void)json_array_append_new(array, json_of_id(answer->leases[i]->id));
        }
        rc = cli_print_json(json_pack("{s:o}", "leases", array));
    } else {
        (void)printf("found %zu leases\n", answer->n_leases);
        for (size_t i = 0; i < answer->n_leases; i++) {
            (void)printf("%016" PRIx64 "\n", (uint64_t)answer->leases[i]->id);
        }
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return rc;
}

/* Sends one and shows the answer. *ret_ttl 0: there is no such lease. */
static int keep_once(struct cli *cli, int64_t id, int64_t *ret_ttl)
{
    Etcdserverpb__LeaseKeepAliveRequest request;
    ProtobufCMessage *message = NULL;
    etcdserverpb__lease_keep_alive_request__init(&request);
    request.id = id;
    int rc = cli_stream_send(cli, &request.base);
    rc = rc != 0 ? rc
                 : cli_stream_next(cli, cli->timeout_ms,
                                   &etcdserverpb__lease_keep_alive_response__descriptor, &message);
    if (rc == -1 || (rc == 0 && message == NULL)) {
        return cli_fail(IO_EXIT_UNAVAILABLE, "no answer to a keep-alive within the timeout");
    }
    if (rc != 0) {
        return rc;
    }
    *ret_ttl = ((const Etcdserverpb__LeaseKeepAliveResponse *)(const void *)message)->ttl;
    protobuf_c_message_free_unpacked(message, NULL);
    if (*ret_ttl <= 0) {
        (void)printf("lease %016" PRIx64 " expired or revoked.\n", (uint64_t)id);
        return IO_EXIT_FALSE;
    }
    (void)printf("lease %016" PRIx64 " keepalived with TTL(%" PRId64 ")\n", (uint64_t)id, *ret_ttl);
    return fflush(stdout) == 0 ? 0 : IO_EXIT_INTERNAL;
}

int cmd_lease_keep_alive(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    struct cli_option options[] = {{"once", false, NULL}};
    uint64_t id = 0;
    int64_t ttl = 0;
    int rc = cli_options(&argc, argv, options, 1);
    rc = rc != 0 ? rc : one_lease(argc, argv, "lease keep-alive [--once]", &id);
    rc = rc != 0 ? rc : cli_stream_open(cli, "/etcdserverpb.Lease/LeaseKeepAlive");
    bool is_once = options[0].value != NULL;
    for (bool is_first = true; rc == 0 && (is_first || !is_once); is_first = false) {
        rc = keep_once(cli, (int64_t)id, &ttl);
        int64_t pause_ms = ttl * 1000 / 3;
        if (rc == 0 && !is_once) {
            (void)nanosleep(
                &(struct timespec){.tv_sec = pause_ms / 1000, .tv_nsec = pause_ms % 1000 * 1000000},
                NULL);
        }
    }
    return rc;
}
