/* SPDX-License-Identifier: Apache-2.0 */
/* kv member add, promote, update, remove; kv move-leader. Ids are hexadecimal, as `kv member list`
 * prints them; changes are made by the leader, one at a time. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"

#define URLS_MAX 8

/* "a,b" cut into pieces in place; 0 for too many. */
static size_t split_urls(char *text, char *ret[static URLS_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    for (char *url = strtok_r(text, ",", &rest); url != NULL; url = strtok_r(NULL, ",", &rest)) {
        if (count == URLS_MAX) {
            return 0;
        }
        ret[count++] = url;
    }
    return count;
}

static int done(const struct cli *cli, uint64_t id, const char *what)
{
    if (cli->output == CLI_JSON && cli->is_output_set) {
        char text[24];
        (void)snprintf(text, sizeof(text), "%" PRIx64, id);
        return cli_print_json(json_pack("{s:s, s:s}", "member", text, "done", what));
    }
    (void)printf("Member %16" PRIx64 " %s\n", id, what);
    return IO_EXIT_OK;
}

static int one_member(int argc, char **argv, const char *usage, uint64_t *ret_id)
{
    return argc == 2 ? cli_hex_id("member", argv[1], ret_id)
                     : cli_fail(IO_EXIT_USAGE, "usage: kv %s; kv member list shows the ids", usage);
}

static int print_added(const struct cli *cli, const char *name,
                       const Etcdserverpb__MemberAddResponse *answer)
{
    const Etcdserverpb__Member *m = answer->member;
    if (m == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "the answer names no member");
    }
    (void)done(cli, m->id, m->islearner ? "added as learner" : "added");
    if (cli->output == CLI_JSON && cli->is_output_set) {
        return IO_EXIT_OK;
    }
    (void)printf("\nStart it with:\n  quorated --name=%s --initial-cluster-state=existing "
                 "--initial-cluster=",
                 name);
    const char *comma = "";
    for (size_t i = 0; i < answer->n_members; i++) {
        const Etcdserverpb__Member *other = answer->members[i];
        for (size_t k = 0; k < other->n_peerurls; k++) {
            (void)printf("%s%s=%s", comma, other->id == m->id ? name : other->name,
                         other->peerurls[k]);
            comma = ",";
        }
    }
    (void)putchar('\n');
    return IO_EXIT_OK;
}

int cmd_member_add(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"peer-urls", true, NULL}, {"learner", false, NULL}};
    Etcdserverpb__MemberAddRequest request;
    ProtobufCMessage *message = NULL;
    char *urls[URLS_MAX];
    etcdserverpb__member_add_request__init(&request);
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && (argc != 2 || options[0].value == NULL)) {
        rc = cli_fail(IO_EXIT_USAGE,
                      "usage: kv member add NAME --peer-urls=http://HOST:2380 [--learner]");
    }
    if (rc != 0) {
        return rc;
    }
    char *text = strdup(options[0].value);
    request.n_peerurls = text == NULL ? 0 : split_urls(text, urls);
    request.peerurls = urls;
    request.islearner = options[1].value != NULL;
    if (request.n_peerurls == 0) {
        rc = cli_fail(IO_EXIT_USAGE, "--peer-urls: one to %d URLs, parted by commas", URLS_MAX);
    }
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.Cluster/MemberAdd", &request.base,
                            &etcdserverpb__member_add_response__descriptor, &message);
    free(text);
    if (rc == 0) {
        rc = print_added(ctx, argv[1],
                         (const Etcdserverpb__MemberAddResponse *)(const void *)message);
        protobuf_c_message_free_unpacked(message, NULL);
    }
    return rc;
}

int cmd_member_update(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"peer-urls", true, NULL}};
    Etcdserverpb__MemberUpdateRequest request;
    ProtobufCMessage *message = NULL;
    char *urls[URLS_MAX];
    uint64_t id = 0;
    etcdserverpb__member_update_request__init(&request);
    int rc = cli_options(&argc, argv, options, 1);
    rc =
        rc != 0 ? rc : one_member(argc, argv, "member update ID --peer-urls=http://HOST:2380", &id);
    char *text = rc != 0 || options[0].value == NULL ? NULL : strdup(options[0].value);
    request.id = id;
    request.n_peerurls = text == NULL ? 0 : split_urls(text, urls);
    request.peerurls = urls;
    if (rc == 0 && request.n_peerurls == 0) {
        rc = cli_fail(IO_EXIT_USAGE, "--peer-urls: one to %d URLs, parted by commas", URLS_MAX);
    }
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.Cluster/MemberUpdate", &request.base,
                            &etcdserverpb__member_update_response__descriptor, &message);
    free(text);
    if (rc == 0) {
        protobuf_c_message_free_unpacked(message, NULL);
        rc = done(ctx, id, "updated");
    }
    return rc;
}

/* A request that names one member, and what to say when it is done. */
struct change {
    const char *usage;
    const char *path;
    const ProtobufCMessage *request;
    uint64_t *id; /* in it */
    const ProtobufCMessageDescriptor *answer;
    const char *what;
};

static int change_one(struct cli *cli, int argc, char **argv, const struct change *change)
{
    ProtobufCMessage *message = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : one_member(argc, argv, change->usage, change->id);
    rc = rc != 0 ? rc : cli_call(cli, change->path, change->request, change->answer, &message);
    if (rc != 0) {
        return rc;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return done(cli, *change->id, change->what);
}

int cmd_member_promote(void *ctx, int argc, char **argv)
{
    Etcdserverpb__MemberPromoteRequest request;
    etcdserverpb__member_promote_request__init(&request);
    const struct change change = {"member promote ID",
                                  "/etcdserverpb.Cluster/MemberPromote",
                                  &request.base,
                                  &request.id,
                                  &etcdserverpb__member_promote_response__descriptor,
                                  "promoted"};
    return change_one(ctx, argc, argv, &change);
}

int cmd_member_remove(void *ctx, int argc, char **argv)
{
    Etcdserverpb__MemberRemoveRequest request;
    etcdserverpb__member_remove_request__init(&request);
    const struct change change = {"member remove ID",
                                  "/etcdserverpb.Cluster/MemberRemove",
                                  &request.base,
                                  &request.id,
                                  &etcdserverpb__member_remove_response__descriptor,
                                  "removed"};
    return change_one(ctx, argc, argv, &change);
}

int cmd_move_leader(void *ctx, int argc, char **argv)
{
    const struct cli *cli = ctx;
    Etcdserverpb__MoveLeaderRequest request;
    ProtobufCMessage *message = NULL;
    etcdserverpb__move_leader_request__init(&request);
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : one_member(argc, argv, "move-leader ID", &request.targetid);
    rc = rc != 0 ? rc
                 : cli_call_leader(ctx, "/etcdserverpb.Maintenance/MoveLeader", &request.base,
                                   &etcdserverpb__move_leader_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    protobuf_c_message_free_unpacked(message, NULL);
    if (cli->output == CLI_JSON && cli->is_output_set) {
        return done(cli, request.targetid, "leads");
    }
    (void)printf("Leadership transferred to %" PRIx64 "\n", request.targetid);
    return IO_EXIT_OK;
}
