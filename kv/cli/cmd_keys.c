/* SPDX-License-Identifier: Apache-2.0 */
/* kv get, put, del: keys and values, as etcdctl's users know them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/cli_keys.h"
#include "kv/cli/commands.h"

ProtobufCBinaryData cli_bytes(char *text)
{
    return (ProtobufCBinaryData){strlen(text), (uint8_t *)text};
}

/* End of the range of all keys with this prefix: the last byte below 0xff plus one, the rest cut
 * off. */
static ProtobufCBinaryData prefix_end(const char *prefix, char memory[static CLI_KEY_MAX])
{
    static uint8_t everything[1] = {0};
    size_t len = strlen(prefix);
    memcpy(memory, prefix, len);
    while (len > 0 && (uint8_t)memory[len - 1] == 0xff) {
        len--;
    }
    if (len == 0) {
        return (ProtobufCBinaryData){1, everything};
    }
    memory[len - 1] = (char)((uint8_t)memory[len - 1] + 1);
    return (ProtobufCBinaryData){len, (uint8_t *)memory};
}

int cli_key_range(struct cli_key_range *range, char *key, char *end, bool is_prefix,
                  bool is_from_key)
{
    static uint8_t zero[1] = {0};
    if (strlen(key) >= CLI_KEY_MAX) {
        return cli_fail(IO_EXIT_USAGE, "key is longer than %d bytes", CLI_KEY_MAX);
    }
    if ((end != NULL) + is_prefix + is_from_key > 1) {
        return cli_fail(IO_EXIT_USAGE, "a range end, --prefix and --from-key exclude each other");
    }
    range->key = cli_bytes(key);
    range->end = (ProtobufCBinaryData){0, NULL};
    if (end != NULL) {
        range->end = cli_bytes(end);
    } else if (is_prefix) {
        range->end = prefix_end(key, range->memory);
        if (key[0] == '\0') {
            range->key = (ProtobufCBinaryData){1, zero};
        }
    } else if (is_from_key) {
        range->end = (ProtobufCBinaryData){1, zero};
        if (key[0] == '\0') {
            range->key = (ProtobufCBinaryData){1, zero};
        }
    }
    return 0;
}

json_t *cli_json_pair(const Mvccpb__KeyValue *pair)
{
    return json_pack(
        "{s:o, s:o, s:I, s:I, s:I, s:I}", "key", cli_json_bytes(pair->key.data, pair->key.len),
        "value", cli_json_bytes(pair->value.data, pair->value.len), "create_revision",
        (json_int_t)pair->create_revision, "mod_revision", (json_int_t)pair->mod_revision,
        "version", (json_int_t)pair->version, "lease", (json_int_t)pair->lease);
}

json_t *cli_json_pairs(size_t count, Mvccpb__KeyValue *const *pairs)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(array, cli_json_pair(pairs[i]));
    }
    return array;
}

void cli_print_pair(const struct cli *cli, const Mvccpb__KeyValue *pair, bool has_key,
                    bool has_value)
{
    if (has_key) {
        cli_print_bytes(cli, pair->key.data, pair->key.len);
    }
    if (has_value) {
        cli_print_bytes(cli, pair->value.data, pair->value.len);
    }
}

struct word {
    const char *text;
    int value;
};

static int choose(const char *option, const char *text, const struct word *words, size_t count,
                  int *ret)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(text, words[i].text) == 0) {
            *ret = words[i].value;
            return 0;
        }
    }
    (void)fprintf(stderr, "kv: --%s: '%s'; allowed:", option, text);
    for (size_t i = 0; i < count; i++) {
        (void)fprintf(stderr, " %s", words[i].text);
    }
    (void)fputc('\n', stderr);
    return IO_EXIT_USAGE;
}

enum get_option {
    GET_PREFIX,
    GET_FROM_KEY,
    GET_LIMIT,
    GET_REV,
    GET_ORDER,
    GET_SORT_BY,
    GET_KEYS_ONLY,
    GET_COUNT_ONLY,
    GET_CONSISTENCY,
    GET_PRINT_VALUE_ONLY,
    GET_OPTIONS
};

static int get_sorting(const struct cli_option *options, Etcdserverpb__RangeRequest *request)
{
    static const struct word orders[] = {{"ascend", 1}, {"descend", 2}};
    static const struct word targets[] = {
        {"key", 0}, {"version", 1}, {"create", 2}, {"modify", 3}, {"value", 4}};
    static const struct word consistencies[] = {{"l", 0}, {"s", 1}};
    int order = 0;
    int target = 0;
    int serializable = 0;
    int rc = 0;
    if (options[GET_ORDER].value != NULL) {
        rc = choose("order", options[GET_ORDER].value, orders, BASE_COUNT_OF(orders), &order);
    }
    if (rc == 0 && options[GET_SORT_BY].value != NULL) {
        rc =
            choose("sort-by", options[GET_SORT_BY].value, targets, BASE_COUNT_OF(targets), &target);
    }
    if (rc == 0 && options[GET_CONSISTENCY].value != NULL) {
        rc = choose("consistency", options[GET_CONSISTENCY].value, consistencies,
                    BASE_COUNT_OF(consistencies), &serializable);
    }
    request->sort_order = (Etcdserverpb__RangeRequest__SortOrder)order;
    request->sort_target = (Etcdserverpb__RangeRequest__SortTarget)target;
    request->serializable = serializable;
    return rc;
}

int cli_get_request(int argc, char **argv, struct cli_get *get)
{
    static const struct cli_option table[GET_OPTIONS] = {
        {"prefix", false, NULL},     {"from-key", false, NULL},
        {"limit", true, NULL},       {"rev", true, NULL},
        {"order", true, NULL},       {"sort-by", true, NULL},
        {"keys-only", false, NULL},  {"count-only", false, NULL},
        {"consistency", true, NULL}, {"print-value-only", false, NULL}};
    struct cli_option options[GET_OPTIONS];
    memcpy(options, table, sizeof(table));
    etcdserverpb__range_request__init(&get->request);
    int rc = cli_options(&argc, argv, options, GET_OPTIONS);
    if (rc == 0 && (argc < 2 || argc > 3)) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv get KEY [RANGE_END] [options]; see --help");
    }
    rc = rc != 0 ? rc
                 : cli_key_range(&get->range, argv[1], argc > 2 ? argv[2] : NULL,
                                 options[GET_PREFIX].value != NULL,
                                 options[GET_FROM_KEY].value != NULL);
    if (rc == 0 && options[GET_LIMIT].value != NULL) {
        rc = cli_number("--limit", options[GET_LIMIT].value, &get->request.limit);
    }
    if (rc == 0 && options[GET_REV].value != NULL) {
        rc = cli_number("--rev", options[GET_REV].value, &get->request.revision);
    }
    rc = rc != 0 ? rc : get_sorting(options, &get->request);
    get->request.key = get->range.key;
    get->request.range_end = get->range.end;
    get->request.keys_only = options[GET_KEYS_ONLY].value != NULL;
    get->request.count_only = options[GET_COUNT_ONLY].value != NULL;
    get->is_value_only = options[GET_PRINT_VALUE_ONLY].value != NULL;
    return rc;
}

static int print_range(const struct cli *cli, const struct cli_get *get,
                       const Etcdserverpb__RangeResponse *answer)
{
    int code = answer->count == 0 ? IO_EXIT_FALSE : IO_EXIT_OK;
    if (cli->output == CLI_JSON && cli->is_output_set) {
        (void)cli_print_json(
            json_pack("{s:I, s:I, s:b, s:o}", "revision",
                      (json_int_t)(answer->header == NULL ? 0 : answer->header->revision), "count",
                      (json_int_t)answer->count, "more", (int)answer->more, "kvs",
                      cli_json_pairs(answer->n_kvs, answer->kvs)));
        return code;
    }
    if (get->request.count_only) {
        (void)printf("%" PRId64 "\n", answer->count);
        return code;
    }
    for (size_t i = 0; i < answer->n_kvs; i++) {
        cli_print_pair(cli, answer->kvs[i], !get->is_value_only, !get->request.keys_only);
    }
    return code;
}

int cmd_get(void *ctx, int argc, char **argv)
{
    struct cli_get get = {0};
    ProtobufCMessage *answer = NULL;
    int rc = cli_get_request(argc, argv, &get);
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.KV/Range", &get.request.base,
                            &etcdserverpb__range_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_range(ctx, &get, (const Etcdserverpb__RangeResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}

/* The whole of standard input; malloc'ed. */
static int read_input(size_t *ret_len, char **ret)
{
    size_t len = 0;
    char *text = malloc(CLI_VALUE_MAX + 1);
    if (text != NULL) {
        len = fread(text, 1, CLI_VALUE_MAX + 1, stdin);
    }
    if (text == NULL || len > CLI_VALUE_MAX || ferror(stdin)) {
        free(text);
        return cli_fail(IO_EXIT_USAGE, "value from standard input is above %d bytes or unreadable",
                        CLI_VALUE_MAX);
    }
    *ret_len = len;
    *ret = text;
    return 0;
}

int cli_put_request(int argc, char **argv, Etcdserverpb__PutRequest *request)
{
    struct cli_option options[] = {{"prev-kv", false, NULL},
                                   {"lease", true, NULL},
                                   {"ignore-value", false, NULL},
                                   {"ignore-lease", false, NULL}};
    etcdserverpb__put_request__init(request);
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    bool is_ignore_value = options[2].value != NULL;
    if (rc == 0 && (argc < 2 || argc > 3 || (is_ignore_value && argc != 2))) {
        rc = cli_fail(IO_EXIT_USAGE,
                      "usage: kv put KEY VALUE (or KEY alone: value from standard input)");
    }
    if (rc == 0 && options[1].value != NULL) {
        char *end = NULL;
        request->lease = (int64_t)strtoull(options[1].value, &end, 16);
        if (*end != '\0' || end == options[1].value) {
            rc = cli_fail(IO_EXIT_USAGE, "--lease: '%s' is no hexadecimal lease id",
                          options[1].value);
        }
    }
    if (rc != 0) {
        return rc;
    }
    request->key = cli_bytes(argv[1]);
    request->prev_kv = options[0].value != NULL;
    request->ignore_value = is_ignore_value;
    request->ignore_lease = options[3].value != NULL;
    if (argc == 3) {
        request->value = cli_bytes(argv[2]);
    }
    return 0;
}

static int print_put(const struct cli *cli, const Etcdserverpb__PutResponse *answer)
{
    if (cli->output == CLI_JSON && cli->is_output_set) {
        json_t *value =
            json_pack("{s:I}", "revision",
                      (json_int_t)(answer->header == NULL ? 0 : answer->header->revision));
        if (answer->prev_kv != NULL) {
            (void)json_object_set_new(value, "prev_kv", cli_json_pair(answer->prev_kv));
        }
        return cli_print_json(value);
    }
    (void)puts("OK");
    if (answer->prev_kv != NULL) {
        cli_print_pair(cli, answer->prev_kv, true, true);
    }
    return IO_EXIT_OK;
}

int cmd_put(void *ctx, int argc, char **argv)
{
    Etcdserverpb__PutRequest request;
    ProtobufCMessage *answer = NULL;
    char *input = NULL;
    int rc = cli_put_request(argc, argv, &request);
    if (rc == 0 && request.value.data == NULL && !request.ignore_value) {
        rc = read_input(&request.value.len, &input);
        request.value.data = (uint8_t *)input;
    }
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.KV/Put", &request.base,
                            &etcdserverpb__put_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_put(ctx, (const Etcdserverpb__PutResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    free(input);
    return rc;
}

int cli_delete_request(int argc, char **argv, struct cli_delete *delete_range)
{
    struct cli_option options[] = {
        {"prefix", false, NULL}, {"from-key", false, NULL}, {"prev-kv", false, NULL}};
    etcdserverpb__delete_range_request__init(&delete_range->request);
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    if (rc == 0 && (argc < 2 || argc > 3)) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv del KEY [RANGE_END] [--prefix] [--from-key]");
    }
    rc = rc != 0 ? rc
                 : cli_key_range(&delete_range->range, argv[1], argc > 2 ? argv[2] : NULL,
                                 options[0].value != NULL, options[1].value != NULL);
    delete_range->request.key = delete_range->range.key;
    delete_range->request.range_end = delete_range->range.end;
    delete_range->request.prev_kv = options[2].value != NULL;
    return rc;
}

static int print_delete(const struct cli *cli, const Etcdserverpb__DeleteRangeResponse *answer)
{
    if (cli->output == CLI_JSON && cli->is_output_set) {
        return cli_print_json(
            json_pack("{s:I, s:I, s:o}", "revision",
                      (json_int_t)(answer->header == NULL ? 0 : answer->header->revision),
                      "deleted", (json_int_t)answer->deleted, "prev_kvs",
                      cli_json_pairs(answer->n_prev_kvs, answer->prev_kvs)));
    }
    (void)printf("%" PRId64 "\n", answer->deleted);
    for (size_t i = 0; i < answer->n_prev_kvs; i++) {
        cli_print_pair(cli, answer->prev_kvs[i], true, true);
    }
    return IO_EXIT_OK;
}

int cmd_del(void *ctx, int argc, char **argv)
{
    struct cli_delete delete_range = {0};
    ProtobufCMessage *answer = NULL;
    int rc = cli_delete_request(argc, argv, &delete_range);
    rc = rc != 0 ? rc
                 : cli_call(ctx, "/etcdserverpb.KV/DeleteRange", &delete_range.request.base,
                            &etcdserverpb__delete_range_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_delete(ctx, (const Etcdserverpb__DeleteRangeResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}
