/* SPDX-License-Identifier: Apache-2.0 */
/* kv snapshot status, restore: work on image files without a quorum. kv snapshot save is in
 * cmd_save.c. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"
#include "kv/offline/offline.h"

static json_t *json_hex(uint64_t number)
{
    char text[20];
    (void)snprintf(text, sizeof(text), "%" PRIx64, number);
    return json_string(text);
}

static json_t *json_members(const struct raft_configuration *configuration)
{
    json_t *members = json_array();
    for (uint32_t i = 0; i < configuration->count; i++) {
        const struct raft_member *member = &configuration->members[i];
        (void)json_array_append_new(
            members,
            json_pack("{s:o, s:s, s:s, s:b}", "id", json_hex(member->id), "name", member->name.text,
                      "peer_url", member->peer_url.text, "learner", member->is_learner ? 1 : 0));
    }
    return members;
}

static void hex_of(const uint8_t *bytes, size_t len, char *ret)
{
    for (size_t i = 0; i < len; i++) {
        (void)snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
    }
}

static int print_status(const struct cli *cli, const struct kv_image_info *info)
{
    char digest[65];
    hex_of(info->digest, sizeof(info->digest), digest);
    if (cli->output == CLI_JSON) {
        return cli_print_json(
            json_pack("{s:s, s:I, s:I, s:I, s:I, s:I, s:I, s:o, s:b, s:o}", "sha256", digest,
                      "revision", (json_int_t)info->revision, "keys", (json_int_t)info->keys,
                      "rows", (json_int_t)info->rows, "bytes", (json_int_t)info->bytes, "index",
                      (json_int_t)info->index, "term", (json_int_t)info->term, "cluster_id",
                      json_hex(info->cluster_id), "has_digest", info->has_digest ? 1 : 0, "members",
                      json_members(&info->configuration)));
    }
    (void)printf("sha256    %s%s\n", digest, info->has_digest ? "" : " (not in the file)");
    (void)printf("revision  %" PRIu64 "\nkeys      %" PRIu64 "\nbytes     %" PRIu64 "\n",
                 info->revision, info->keys, info->bytes);
    (void)printf("cluster   %" PRIx64 "\nindex     %" PRIu64 "\nterm      %" PRIu64 "\nmembers  ",
                 info->cluster_id, info->index, info->term);
    for (uint32_t i = 0; i < info->configuration.count; i++) {
        const struct raft_member *member = &info->configuration.members[i];
        (void)printf(" %s", member->name.text[0] != 0 ? member->name.text : "(never started)");
    }
    (void)puts("");
    return IO_EXIT_OK;
}

int cmd_snapshot_status(void *ctx, int argc, char **argv)
{
    struct kv_image_info info;
    char text[KV_OFFLINE_TEXT];
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv snapshot status FILE");
    }
    if (rc != 0) {
        return rc;
    }
    rc = kv_image_check(argv[1], &info, text);
    return rc == 0 ? print_status(ctx, &info) : cli_fail(io_exit_of(rc), "%s", text);
}

/* --- restore --- */

enum { OPT_DIR, OPT_NAME, OPT_NODES, OPT_TOKEN, OPT_BUMP, OPT_MARK, OPT_PEERS };

/* One "name=URL" or "name=host:port". */
static int add_member(struct raft_configuration *configuration, struct slice entry)
{
    const uint8_t *equals = memchr(entry.data, '=', entry.len);
    if (equals == NULL || configuration->count == RAFT_MEMBERS_MAX) {
        return cli_fail(IO_EXIT_USAGE, "--initial-cluster: '%.*s' is %s", (int)entry.len,
                        (const char *)entry.data,
                        equals == NULL ? "not name=URL" : "one member too many");
    }
    struct raft_member *member = &configuration->members[configuration->count];
    size_t name_len = (size_t)(equals - entry.data);
    struct slice url = slice_skip(entry, name_len + 1);
    if (base_name_from(slice_from(entry.data, name_len), &member->name) != 0 || url.len == 0 ||
        url.len > 200) {
        return cli_fail(IO_EXIT_USAGE,
                        "--initial-cluster: '%.*s' is not name=URL; names are a-z "
                        "0-9 - _",
                        (int)entry.len, (const char *)entry.data);
    }
    char text[256];
    bool has_scheme = memchr(url.data, '/', url.len) != NULL;
    (void)snprintf(text, sizeof(text), "%s%.*s", has_scheme ? "" : "https://", (int)url.len,
                   (const char *)url.data);
    member->peer_url = base_text_from(slice_from_text(text));
    configuration->count++;
    return 0;
}

static int add_members(struct raft_configuration *configuration, const char *list)
{
    struct slice rest = slice_from_text(list);
    int rc = 0;
    while (rc == 0 && rest.len > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.len);
        size_t len = comma == NULL ? rest.len : (size_t)(comma - rest.data);
        rc = add_member(configuration, slice_from(rest.data, len));
        rest = slice_skip(rest, comma == NULL ? len : len + 1);
    }
    return rc;
}

static void show_progress(uint64_t done, uint64_t all)
{
    (void)fprintf(stderr, "\r%3u %%%s", (unsigned)(all == 0 ? 100 : done * 100 / all),
                  done == all ? "\r     \r" : "");
}

static int print_restored(const struct cli *cli, const struct kv_restore_options *options,
                          const struct kv_restored *restored)
{
    if (cli->output == CLI_JSON) {
        return cli_print_json(json_pack(
            "{s:o, s:o, s:o, s:I, s:I, s:s}", "cluster_id", json_hex(restored->cluster_id),
            "member_id", json_hex(restored->node_id), "restore_id", json_hex(restored->restore_id),
            "revision", (json_int_t)restored->revision, "index", (json_int_t)restored->image.index,
            "data_dir", options->directory));
    }
    (void)printf("%s is ready for %s: quorum %" PRIx64 ", revision %" PRIu64 "\n"
                 "Restore each member from the same file with the same --initial-cluster, "
                 "--initial-cluster-token, --bump-revision, then start them.\n"
                 "Databases: nothing is decided for a cluster before 'kv db confirm CLUSTER'.\n",
                 options->directory, options->name, restored->cluster_id, restored->revision);
    return IO_EXIT_OK;
}

static int read_restore(const struct cli_option *options, struct kv_restore_options *ret)
{
    int64_t bump = (int64_t)KV_RESTORE_BUMP;
    int rc = 0;
    if (options[OPT_DIR].value == NULL || options[OPT_NAME].value == NULL ||
        options[OPT_NODES].value == NULL) {
        return cli_fail(IO_EXIT_USAGE,
                        "snapshot restore needs --data-dir, --name and --initial-cluster; see "
                        "--help");
    }
    if (options[OPT_BUMP].value != NULL) {
        rc = cli_number("--bump-revision", options[OPT_BUMP].value, &bump);
        if (rc == 0 && bump < 0) {
            rc = cli_fail(IO_EXIT_USAGE, "--bump-revision: not below 0");
        }
    }
    ret->directory = options[OPT_DIR].value;
    ret->name = options[OPT_NAME].value;
    ret->token = options[OPT_TOKEN].value == NULL ? "quorate" : options[OPT_TOKEN].value;
    ret->bump = (uint64_t)bump;
    ret->mark_compacted = options[OPT_MARK].value != NULL;
    return rc != 0 ? rc : add_members(&ret->configuration, options[OPT_NODES].value);
}

int cmd_snapshot_restore(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        [OPT_DIR] = {"data-dir", true, NULL},
        [OPT_NAME] = {"name", true, NULL},
        [OPT_NODES] = {"initial-cluster", true, NULL},
        [OPT_TOKEN] = {"initial-cluster-token", true, NULL},
        [OPT_BUMP] = {"bump-revision", true, NULL},
        [OPT_MARK] = {"mark-compacted", false, NULL},
        /* etcdctl's; the URL stands in --initial-cluster */
        [OPT_PEERS] = {"initial-advertise-peer-urls", true, NULL},
    };
    struct kv_restore_options restore = {0};
    struct kv_restored restored;
    char text[KV_OFFLINE_TEXT];
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv snapshot restore FILE --data-dir D --name N "
                                     "--initial-cluster NAME=URL,...");
    }
    rc = rc != 0 ? rc : read_restore(options, &restore);
    if (rc != 0) {
        return rc;
    }
    restore.file = argv[1];
    restore.progress = isatty(STDERR_FILENO) ? show_progress : NULL;
    rc = kv_restore(&restore, &restored, text);
    return rc == 0 ? print_restored(ctx, &restore, &restored)
                   : cli_fail(io_exit_of(rc), "%s", text);
}
