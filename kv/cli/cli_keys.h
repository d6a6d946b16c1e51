/* SPDX-License-Identifier: Apache-2.0 */
/* Requests on keys made from command lines, shared by get, put, del and the lines of a txn.
 * Everything borrows from argv; a struct must stay where it is while its request is used. */
#ifndef QUORATE_KV_CLI_CLI_KEYS_H
#define QUORATE_KV_CLI_CLI_KEYS_H

#include <jansson.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"

#define CLI_KEY_MAX 4096
#define CLI_VALUE_MAX 1572864

struct cli_key_range {
    ProtobufCBinaryData key;
    ProtobufCBinaryData end;
    char memory[CLI_KEY_MAX];
};

struct cli_get {
    Etcdserverpb__RangeRequest request;
    struct cli_key_range range;
    bool is_value_only;
};

struct cli_delete {
    Etcdserverpb__DeleteRangeRequest request;
    struct cli_key_range range;
};

/* argv as of the command itself, argv[0] its name. 0 or an exit code after a message. */
int cli_get_request(int argc, char **argv, struct cli_get *get);
/* value.data stays NULL when no value was given. */
int cli_put_request(int argc, char **argv, Etcdserverpb__PutRequest *request);
int cli_delete_request(int argc, char **argv, struct cli_delete *delete_range);

int cli_key_range(struct cli_key_range *range, char *key, char *end, bool is_prefix,
                  bool is_from_key);
ProtobufCBinaryData cli_bytes(char *text);
json_t *cli_json_pair(const Mvccpb__KeyValue *pair);
json_t *cli_json_pairs(size_t count, Mvccpb__KeyValue *const *pairs);
void cli_print_pair(const struct cli *cli, const Mvccpb__KeyValue *pair, bool has_key,
                    bool has_value);

#endif
