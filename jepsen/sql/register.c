/* SPDX-License-Identifier: Apache-2.0 */
/* Registers: single reads and blind writes of a few rows, for the search for a linear order. A row
 * is used for some hundred operations, then a new one takes its place, so that the search of each
 * stays short.
 */
#include <inttypes.h>
#include <stdlib.h>

#include "jepsen/sql/load.h"

#define REGISTERS_OPEN 4
#define REGISTER_VALUES 60

static atomic_llong next_value = 1; /* over all registers: one's number is a value's age */

static int64_t newest(void)
{
    return (int64_t)atomic_load(&next_value) / REGISTER_VALUES + REGISTERS_OPEN;
}

static enum sql_end read_register(struct load_client *c, int64_t key)
{
    char statement[128];
    int64_t call_us = sql_now_us();
    (void)snprintf(statement, sizeof(statement),
                   "SELECT v FROM jepsen_registers WHERE k = %" PRId64, key);
    struct sql_result *result = sql_run(&c->session, statement);
    enum sql_end end = sql_outcome(&c->session, result);
    const char *value = end == SQL_OK && sql_rows(result) == 1 ? sql_value(result, 0, 0) : "0";
    load_op(c, "[\"get\",\"r%" PRId64 "\",%s,0]", key, value);
    sql_free(result);
    return load_end(c, end, call_us);
}

static enum sql_end write_register(struct load_client *c, int64_t key)
{
    char statement[256];
    int64_t value = (int64_t)atomic_fetch_add(&next_value, 1);
    int64_t call_us = sql_now_us();
    sql_word_write(statement, sizeof(statement), key, value);
    load_op(c, "[\"put\",\"r%" PRId64 "\",%" PRId64 ",0]", key, value);
    return load_end(c, sql_do(&c->session, statement), call_us);
}

static enum sql_end step(struct load_client *c)
{
    int64_t key = newest() - (int64_t)load_draw(c, REGISTERS_OPEN);
    return load_draw(c, 2) == 0 ? read_register(c, key) : write_register(c, key);
}

/* Every register that was ever written. */
static enum sql_end final(struct load_client *c)
{
    if (read_register(c, c->final_next) != SQL_OK) {
        return SQL_FAIL;
    }
    c->final_next++;
    return c->final_next > newest() ? SQL_OK : SQL_FAIL;
}

const struct load_kind load_register = {
    .name = "register",
    .schema = "CREATE TABLE jepsen_registers (k bigint PRIMARY KEY, v bigint NOT NULL)",
    .field = "parts",
    .step = step,
    .final = final,
};
