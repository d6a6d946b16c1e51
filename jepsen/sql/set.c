/* SPDX-License-Identifier: Apache-2.0 */
/* Set: single inserts of unique values; one read of all at the end tells what is lost. Values carry
 * the number of the client in their lowest digits, so that probers can take part with values of
 * their own.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "jepsen/sql/load.h"

static atomic_llong next_value = 1;

void load_set_first(int64_t value)
{
    atomic_store(&next_value, value);
}

static enum sql_end step(struct load_client *c)
{
    char statement[128];
    int64_t value = (int64_t)atomic_fetch_add(&next_value, 1) * 10;
    int64_t call_us = sql_now_us();
    (void)snprintf(statement, sizeof(statement), "INSERT INTO jepsen_set VALUES (%" PRId64 ")",
                   value);
    load_op(c, "[\"add\",%" PRId64 "]", value);
    return load_end(c, sql_do(&c->session, statement), call_us);
}

/* The whole table on one line, which is longer than the operations of a transaction may be. */
static enum sql_end final(struct load_client *c)
{
    int64_t call_us = sql_now_us();
    struct sql_result *result = sql_run(&c->session, sql_words.all_values);
    enum sql_end end = sql_outcome(&c->session, result);
    if (end == SQL_OK) {
        const char *all = sql_value(result, 0, 0);
        all = all == NULL ? "" : all;
        size_t size = strlen(all) + 32;
        char *ops = malloc(size);
        if (ops == NULL) {
            (void)fputs("sqlload: no memory for the last read of the set\n", stderr);
            exit(1);
        }
        (void)snprintf(ops, size, "[\"all\",[%s]]", all);
        sql_history_txn(c->history, c->process, end, call_us, ops);
        free(ops);
    }
    sql_free(result);
    c->ops_len = 0;
    return end;
}

const struct load_kind load_set = {
    .name = "set",
    .schema = "CREATE TABLE jepsen_set (v bigint PRIMARY KEY);"
              "CREATE TABLE jepsen_probes (host int, token bigint, PRIMARY KEY (host, token))",
    .step = step,
    .final = final,
};
