/* SPDX-License-Identifier: Apache-2.0 */
/* kv lock and kv elect: a lock, or the leadership of an election, held as long as this process (or
 * the command that it runs) lives. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "election.pb-c.h"
#include "kv/cli/cli_keys.h"
#include "kv/cli/commands.h"
#include "kv/cli/keeper.h"
#include "lock.pb-c.h"

#define TTL_DEFAULT_S 60
#define WAIT_MS 86400000u /* for a lock that others hold; the lease is kept alive meanwhile */

/* What stands behind the name is a command, with options of its own: argv ends before it. */
static char **split_command(int *argc, char **argv, int operands)
{
    int seen = 0;
    for (int i = 1; i < *argc; i++) {
        if (strcmp(argv[i], "--") == 0) {
            argv[i] = NULL;
            *argc = i;
            return argv[i + 1] == NULL ? NULL : &argv[i + 1];
        }
        if (strcmp(argv[i], "--ttl") == 0) {
            i++;
        } else if (argv[i][0] != '-' && ++seen == operands && i + 1 < *argc &&
                   argv[i + 1][0] != '-') {
            *argc = i + 1;
            return &argv[i + 1];
        }
    }
    return NULL;
}

static int read_ttl(const char *text, int64_t *ret)
{
    *ret = TTL_DEFAULT_S;
    int rc = text == NULL ? 0 : cli_number("--ttl", text, ret);
    return rc != 0 || (*ret >= 1 && *ret <= 3600)
               ? rc
               : cli_fail(IO_EXIT_USAGE, "--ttl: %" PRId64 " s; allowed are 1 to 3600", *ret);
}

/* The call that waits: with a day instead of --timeout. */
static int call_patiently(struct cli *cli, const char *path, const ProtobufCMessage *request,
                          const ProtobufCMessageDescriptor *descriptor, ProtobufCMessage **ret)
{
    uint32_t timeout_ms = cli->timeout_ms;
    cli->timeout_ms = WAIT_MS;
    int rc = cli_call(cli, path, request, descriptor, ret);
    cli->timeout_ms = timeout_ms;
    return rc;
}

static void set_bytes(const char *name, ProtobufCBinaryData bytes)
{
    char *text = strndup((const char *)bytes.data, bytes.len);
    if (text != NULL) {
        (void)setenv(name, text, 1);
        free(text);
    }
}

static void set_revision(const char *name, int64_t revision)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%" PRId64, revision);
    (void)setenv(name, text, 1);
}

static int hold_lock(struct cli_keeper *keeper, const V3lockpb__LockResponse *answer,
                     char **command)
{
    if (command != NULL) {
        set_bytes("ETCD_LOCK_KEY", answer->key);
        set_revision("ETCD_LOCK_REV", answer->header == NULL ? 0 : answer->header->revision);
        return cli_keeper_run(keeper, command);
    }
    cli_print_bytes(keeper->cli, answer->key.data, answer->key.len);
    (void)fflush(stdout);
    return cli_keeper_wait(keeper);
}

int cmd_lock(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    struct cli_option options[] = {{"ttl", true, NULL}};
    struct cli_keeper keeper = {.client = NULL};
    V3lockpb__LockRequest request;
    ProtobufCMessage *message = NULL;
    int64_t ttl_s = 0;
    char **command = split_command(&argc, argv, 1);
    char *kept[4] = {argc > 0 ? argv[0] : NULL, argc > 1 ? argv[1] : NULL,
                     argc > 2 ? argv[2] : NULL, argc > 3 ? argv[3] : NULL};
    int rc = argc > 4 ? cli_fail(IO_EXIT_USAGE, "usage: kv lock NAME [--ttl N] [COMMAND ...]") : 0;
    rc = rc != 0 ? rc : cli_options(&argc, kept, options, 1);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv lock NAME [--ttl SECONDS] [COMMAND ...]");
    }
    rc = rc != 0 ? rc : read_ttl(options[0].value, &ttl_s);
    rc = rc != 0 ? rc : cli_keeper_start(&keeper, cli, ttl_s);
    if (rc != 0) {
        return rc;
    }
    v3lockpb__lock_request__init(&request);
    request.name = cli_bytes(kept[1]);
    request.lease = keeper.lease;
    rc = call_patiently(cli, "/v3lockpb.Lock/Lock", &request.base,
                        &v3lockpb__lock_response__descriptor, &message);
    if (rc == 0) {
        rc = hold_lock(&keeper, (const V3lockpb__LockResponse *)(const void *)message, command);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    cli_keeper_stop(&keeper);
    return rc;
}

/* --- elect --- */

static int print_leader(const struct cli *cli, const V3electionpb__LeaderResponse *answer)
{
    if (answer->kv == NULL) {
        return 0;
    }
    if (cli->output == CLI_JSON && cli->is_output_set) {
        json_t *value = cli_json_pair(answer->kv);
        (void)json_dumpf(value, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
        (void)putchar('\n');
        json_decref(value);
    } else {
        cli_print_pair(cli, answer->kv, true, true);
    }
    return fflush(stdout) == 0 ? 0 : IO_EXIT_INTERNAL;
}

static int observe(struct cli *cli, char *name)
{
    V3electionpb__LeaderRequest request;
    struct io_why why = {""};
    v3electionpb__leader_request__init(&request);
    request.name = cli_bytes(name);
    int rc = cli_stream_open(cli, "/v3electionpb.Election/Observe");
    rc = rc != 0 ? rc : cli_stream_send(cli, &request.base);
    if (rc == 0 && io_grpc_stream_half_close(cli->client, cli->timeout_ms, &why) != 0) {
        rc = cli_fail(IO_EXIT_UNAVAILABLE, "%s", why.text);
    }
    while (rc == 0) {
        ProtobufCMessage *message = NULL;
        rc = cli_stream_next(cli, WAIT_MS, &v3electionpb__leader_response__descriptor, &message);
        if (rc == 0 && message == NULL) {
            return cli_fail(IO_EXIT_UNAVAILABLE, "the node ended the observation; try again");
        }
        if (message != NULL) {
            rc = print_leader(cli, (const V3electionpb__LeaderResponse *)(const void *)message);
            protobuf_c_message_free_unpacked(message, NULL);
        }
        rc = rc == -1 ? 0 : rc;
    }
    return rc;
}

static int campaign(struct cli *cli, char *name, char *proposal, int64_t ttl_s)
{
    struct cli_keeper keeper = {.client = NULL};
    V3electionpb__CampaignRequest request;
    ProtobufCMessage *message = NULL;
    int rc = cli_keeper_start(&keeper, cli, ttl_s);
    if (rc != 0) {
        return rc;
    }
    v3electionpb__campaign_request__init(&request);
    request.name = cli_bytes(name);
    request.value = cli_bytes(proposal);
    request.lease = keeper.lease;
    rc = call_patiently(cli, "/v3electionpb.Election/Campaign", &request.base,
                        &v3electionpb__campaign_response__descriptor, &message);
    if (rc == 0) {
        const V3electionpb__CampaignResponse *answer =
            (const V3electionpb__CampaignResponse *)(const void *)message;
        if (answer->leader != NULL) {
            cli_print_bytes(cli, answer->leader->key.data, answer->leader->key.len);
        }
        (void)puts(proposal);
        (void)fflush(stdout);
        protobuf_c_message_free_unpacked(message, NULL);
        rc = cli_keeper_wait(&keeper);
    }
    cli_keeper_stop(&keeper);
    return rc;
}

int cmd_elect(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"listen", false, NULL}, {"ttl", true, NULL}};
    static char long_form[] = "--listen";
    int64_t ttl_s = 0;
    for (int i = 1; i < argc; i++) {
        argv[i] = strcmp(argv[i], "-l") == 0 ? long_form : argv[i];
    }
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    bool is_listening = options[0].value != NULL;
    if (rc == 0 && argc != (is_listening ? 2 : 3)) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv elect NAME PROPOSAL [--ttl SECONDS], or kv elect "
                                     "--listen NAME");
    }
    rc = rc != 0 ? rc : read_ttl(options[1].value, &ttl_s);
    if (rc != 0) {
        return rc;
    }
    return is_listening ? observe(ctx, argv[1]) : campaign(ctx, argv[1], argv[2], ttl_s);
}
