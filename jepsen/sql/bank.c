/* SPDX-License-Identifier: Apache-2.0 */
/* Bank: transfers between accounts and reads of all balances, whose sum never changes. Account 0 to
 * 7 begin with 100 each; none may become negative.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "jepsen/sql/load.h"

#define ACCOUNTS 8

static enum sql_end balances(struct load_client *c)
{
    int64_t call_us = sql_now_us();
    struct sql_result *result = sql_run(&c->session, sql_words.all_balances);
    enum sql_end end = sql_outcome(&c->session, result);
    if (end == SQL_OK && sql_rows(result) == 1) {
        load_op(c, "[\"balances\",[%s]]", sql_value(result, 0, 0));
    }
    sql_free(result);
    return end == SQL_OK ? load_end(c, end, call_us) : load_give_up(c, end, call_us);
}

/* How much an account has, before anything is taken from it. */
static enum sql_end balance_of(struct load_client *c, uint64_t account, int64_t *ret)
{
    char statement[128];
    (void)snprintf(statement, sizeof(statement),
                   "SELECT balance FROM jepsen_accounts WHERE id = %" PRIu64, account);
    struct sql_result *result = sql_run(&c->session, statement);
    enum sql_end end = sql_outcome(&c->session, result);
    *ret = end == SQL_OK && sql_rows(result) == 1 ? strtoll(sql_value(result, 0, 0), NULL, 10) : 0;
    sql_free(result);
    return end;
}

static enum sql_end add_to(struct load_client *c, uint64_t account, int64_t amount)
{
    char statement[128];
    (void)snprintf(statement, sizeof(statement),
                   "UPDATE jepsen_accounts SET balance = balance + %" PRId64 " WHERE id = %" PRIu64,
                   amount, account);
    return sql_do(&c->session, statement);
}

static enum sql_end transfer(struct load_client *c)
{
    uint64_t from = load_draw(c, ACCOUNTS);
    uint64_t to = (from + 1 + load_draw(c, ACCOUNTS - 1)) % ACCOUNTS;
    int64_t amount = 1 + (int64_t)load_draw(c, 5);
    int64_t has = 0;
    int64_t call_us = sql_now_us();
    load_op(c, "[\"transfer\",%" PRIu64 ",%" PRIu64 ",%" PRId64 "]", from, to, amount);
    enum sql_end end = sql_do(&c->session, sql_words.begin);
    end = end != SQL_OK ? end : balance_of(c, from, &has);
    if (end == SQL_OK && has < amount) {
        (void)sql_do(&c->session, "ROLLBACK");
        return load_end(c, SQL_FAIL, call_us);
    }
    end = end != SQL_OK ? end : add_to(c, from, -amount);
    end = end != SQL_OK ? end : add_to(c, to, amount);
    if (end != SQL_OK) {
        return load_give_up(c, end, call_us);
    }
    return load_end(c, sql_do(&c->session, "COMMIT"), call_us);
}

static enum sql_end step(struct load_client *c)
{
    return load_draw(c, 3) == 0 ? balances(c) : transfer(c);
}

const struct load_kind load_bank = {
    .name = "bank",
    .schema = "CREATE TABLE jepsen_accounts (id int PRIMARY KEY, balance bigint NOT NULL);"
              "INSERT INTO jepsen_accounts VALUES (0, 100), (1, 100), (2, 100), (3, 100), "
              "(4, 100), (5, 100), (6, 100), (7, 100)",
    .opening = "[\"open\",[100,100,100,100,100,100,100,100]]",
    .step = step,
    .final = balances,
};
