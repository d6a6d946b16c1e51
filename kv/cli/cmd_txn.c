/* SPDX-License-Identifier: Apache-2.0 */
/* kv txn: a transaction from standard input, in the form that etcdctl reads.
 *
 *   compares, one a line:   mod("key") > "0"     (mod, create, version, value; = != < >)
 *   an empty line
 *   what to do when all hold: get, put and del lines, as on the command line
 *   an empty line
 *   what to do otherwise
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/cli_keys.h"
#include "kv/cli/commands.h"

#define LINES_MAX 128
#define WORDS_MAX 32
#define LINE_MAX_BYTES 65536

/* One line of then or else, with all that its request points into. */
struct txn_op {
    Etcdserverpb__RequestOp op;
    struct cli_get get;
    struct cli_delete delete_range;
    Etcdserverpb__PutRequest put;
};

struct txn {
    size_t compares_count;
    Etcdserverpb__Compare compares[LINES_MAX];
    Etcdserverpb__Compare *compare_list[LINES_MAX];
    size_t ops_count[2];
    struct txn_op *ops[2][LINES_MAX];
    Etcdserverpb__RequestOp *op_list[2][LINES_MAX];
    size_t lines_count;
    char *lines[3 * LINES_MAX];
};

/* Splits a line into words at blanks, in place; "..." and '...' keep blanks, \ the next character.
 */
static int split_words(char *line, char **words)
{
    int count = 0;
    char *out = line;
    while (*line != '\0') {
        line += strspn(line, " \t");
        if (*line == '\0' || count == WORDS_MAX - 1) {
            break;
        }
        words[count++] = out;
        char quote = '\0';
        for (; *line != '\0' && (quote != '\0' || strchr(" \t", *line) == NULL); line++) {
            if (quote == '\0' && (*line == '"' || *line == '\'')) {
                quote = *line;
            } else if (*line == quote && quote != '\0') {
                quote = '\0';
            } else if (*line == '\\' && quote != '\'' && line[1] != '\0') {
                *out++ = *++line;
            } else {
                *out++ = *line;
            }
        }
        bool is_end = *line == '\0';
        line += is_end ? 0 : 1;
        *out++ = '\0';
        if (is_end) {
            break;
        }
    }
    words[count] = NULL;
    return count;
}

struct target {
    const char *name;
    Etcdserverpb__Compare__CompareTarget target;
    Etcdserverpb__Compare__TargetUnionCase which;
};

static const struct target targets[] = {
    {"version", ETCDSERVERPB__COMPARE__COMPARE_TARGET__VERSION,
     ETCDSERVERPB__COMPARE__TARGET_UNION_VERSION},
    {"create", ETCDSERVERPB__COMPARE__COMPARE_TARGET__CREATE,
     ETCDSERVERPB__COMPARE__TARGET_UNION_CREATE_REVISION},
    {"mod", ETCDSERVERPB__COMPARE__COMPARE_TARGET__MOD,
     ETCDSERVERPB__COMPARE__TARGET_UNION_MOD_REVISION},
    {"value", ETCDSERVERPB__COMPARE__COMPARE_TARGET__VALUE,
     ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE},
};

static const struct target *find_target(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT_OF(targets); i++) {
        if (strcmp(targets[i].name, name) == 0) {
            return &targets[i];
        }
    }
    return NULL;
}

static bool parse_result(const char *text, Etcdserverpb__Compare__CompareResult *ret)
{
    if (strcmp(text, "=") == 0) {
        *ret = ETCDSERVERPB__COMPARE__COMPARE_RESULT__EQUAL;
    } else if (strcmp(text, "!=") == 0) {
        *ret = ETCDSERVERPB__COMPARE__COMPARE_RESULT__NOT_EQUAL;
    } else if (strcmp(text, "<") == 0) {
        *ret = ETCDSERVERPB__COMPARE__COMPARE_RESULT__LESS;
    } else if (strcmp(text, ">") == 0) {
        *ret = ETCDSERVERPB__COMPARE__COMPARE_RESULT__GREATER;
    } else {
        return false;
    }
    return true;
}

/* name("key") OP "operand": after splitting it is name(key), OP, operand. */
static int parse_compare(char *line, Etcdserverpb__Compare *compare)
{
    char *words[WORDS_MAX];
    int count = split_words(line, words);
    char *open = count == 3 ? strchr(words[0], '(') : NULL;
    size_t len = count == 3 ? strlen(words[0]) : 0;
    etcdserverpb__compare__init(compare);
    if (open == NULL || words[0][len - 1] != ')' || !parse_result(words[1], &compare->result)) {
        return cli_fail(IO_EXIT_USAGE, "txn: a compare is like mod(\"key\") > \"0\"");
    }
    words[0][len - 1] = '\0';
    *open = '\0';
    const struct target *target = find_target(words[0]);
    if (target == NULL) {
        return cli_fail(IO_EXIT_USAGE, "txn: '%s'; allowed: version, create, mod, value", words[0]);
    }
    compare->target = target->target;
    compare->target_union_case = target->which;
    compare->key = cli_bytes(open + 1);
    if (target->which == ETCDSERVERPB__COMPARE__TARGET_UNION_VALUE) {
        compare->value = cli_bytes(words[2]);
        return 0;
    }
    /* The three numbers share one place in the union. */
    return cli_number("txn", words[2], &compare->version);
}

static int parse_op(char *line, struct txn_op *op)
{
    char *words[WORDS_MAX];
    int count = split_words(line, words);
    etcdserverpb__request_op__init(&op->op);
    if (count > 0 && strcmp(words[0], "get") == 0) {
        op->op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_RANGE;
        op->op.request_range = &op->get.request;
        return cli_get_request(count, words, &op->get);
    }
    if (count > 0 && strcmp(words[0], "del") == 0) {
        op->op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_DELETE_RANGE;
        op->op.request_delete_range = &op->delete_range.request;
        return cli_delete_request(count, words, &op->delete_range);
    }
    if (count == 3 && strcmp(words[0], "put") == 0) {
        op->op.request_case = ETCDSERVERPB__REQUEST_OP__REQUEST_REQUEST_PUT;
        op->op.request_put = &op->put;
        return cli_put_request(count, words, &op->put);
    }
    return cli_fail(IO_EXIT_USAGE, "txn: '%s'; allowed: get KEY, put KEY VALUE, del KEY",
                    count == 0 ? "" : words[0]);
}

static int add_line(struct txn *txn, int section, char *line)
{
    if (section == 0) {
        if (txn->compares_count == LINES_MAX) {
            return cli_fail(IO_EXIT_USAGE, "txn: more than %d compares", LINES_MAX);
        }
        Etcdserverpb__Compare *compare = &txn->compares[txn->compares_count];
        txn->compare_list[txn->compares_count++] = compare;
        return parse_compare(line, compare);
    }
    size_t *count = &txn->ops_count[section - 1];
    struct txn_op *op = *count == LINES_MAX ? NULL : calloc(1, sizeof(*op));
    if (op == NULL) {
        return cli_fail(IO_EXIT_USAGE, "txn: more than %d operations", LINES_MAX);
    }
    txn->ops[section - 1][*count] = op;
    txn->op_list[section - 1][(*count)++] = &op->op;
    return parse_op(line, op);
}

static int read_txn(struct txn *txn, FILE *in)
{
    char line[LINE_MAX_BYTES];
    int section = 0;
    int rc = 0;
    while (rc == 0 && section < 3 && fgets(line, sizeof(line), in) != NULL) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[strspn(line, " \t")] == '\0') {
            section++;
            continue;
        }
        char *copy = txn->lines_count == BASE_COUNT_OF(txn->lines) ? NULL : strdup(line);
        if (copy == NULL) {
            return cli_fail(IO_EXIT_USAGE, "txn: too many lines");
        }
        txn->lines[txn->lines_count++] = copy;
        rc = add_line(txn, section, copy);
    }
    return rc;
}

static json_t *json_of_response(const Etcdserverpb__ResponseOp *op)
{
    switch ((int)op->response_case) {
    case ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE:
        return json_pack("{s:{s:I, s:o}}", "range", "count", (json_int_t)op->response_range->count,
                         "kvs", cli_json_pairs(op->response_range->n_kvs, op->response_range->kvs));
    case ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE:
        return json_pack("{s:{s:I}}", "delete_range", "deleted",
                         (json_int_t)op->response_delete_range->deleted);
    default:
        return json_pack("{s:{}}", "put");
    }
}

static void print_response(const struct cli *cli, const Etcdserverpb__ResponseOp *op)
{
    (void)putchar('\n');
    if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_RANGE) {
        for (size_t i = 0; i < op->response_range->n_kvs; i++) {
            cli_print_pair(cli, op->response_range->kvs[i], true, true);
        }
    } else if (op->response_case == ETCDSERVERPB__RESPONSE_OP__RESPONSE_RESPONSE_DELETE_RANGE) {
        (void)printf("%" PRId64 "\n", op->response_delete_range->deleted);
    } else {
        (void)puts("OK");
    }
}

static int print_txn(const struct cli *cli, const Etcdserverpb__TxnResponse *answer)
{
    if (cli->output == CLI_JSON && cli->is_output_set) {
        json_t *responses = json_array();
        for (size_t i = 0; i < answer->n_responses; i++) {
            (void)json_array_append_new(responses, json_of_response(answer->responses[i]));
        }
        return cli_print_json(
            json_pack("{s:I, s:b, s:o}", "revision",
                      (json_int_t)(answer->header == NULL ? 0 : answer->header->revision),
                      "succeeded", (int)answer->succeeded, "responses", responses));
    }
    (void)puts(answer->succeeded ? "SUCCESS" : "FAILURE");
    for (size_t i = 0; i < answer->n_responses; i++) {
        print_response(cli, answer->responses[i]);
    }
    return IO_EXIT_OK;
}

static void txn_free(struct txn *txn)
{
    for (size_t i = 0; i < txn->lines_count; i++) {
        free(txn->lines[i]);
    }
    for (int branch = 0; branch < 2; branch++) {
        for (size_t i = 0; i < txn->ops_count[branch]; i++) {
            free(txn->ops[branch][i]);
        }
    }
    free(txn);
}

static int send_txn(struct cli *cli, struct txn *txn)
{
    Etcdserverpb__TxnRequest request;
    ProtobufCMessage *answer = NULL;
    etcdserverpb__txn_request__init(&request);
    request.n_compare = txn->compares_count;
    request.compare = txn->compare_list;
    request.n_success = txn->ops_count[0];
    request.success = txn->op_list[0];
    request.n_failure = txn->ops_count[1];
    request.failure = txn->op_list[1];
    int rc = cli_call(cli, "/etcdserverpb.KV/Txn", &request.base,
                      &etcdserverpb__txn_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_txn(cli, (const Etcdserverpb__TxnResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}

int cmd_txn(void *ctx, int argc, char **argv)
{
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && argc != 1) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv txn < FILE; see --help for its form");
    }
    struct txn *txn = rc == 0 ? calloc(1, sizeof(*txn)) : NULL;
    if (txn == NULL) {
        return rc != 0 ? rc : cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    rc = read_txn(txn, stdin);
    rc = rc != 0 ? rc : send_txn(ctx, txn);
    txn_free(txn);
    return rc;
}
