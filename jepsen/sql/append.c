/* SPDX-License-Identifier: Apache-2.0 */
/* List-append: transactions of one to four reads and appends over a few lists. A list is filled
 * with some tens of values, then a new one takes its place, so that no list becomes long. The final
 * reads see every list that was ever begun.
 */
#include <inttypes.h>
#include <string.h>

#include "jepsen/sql/load.h"

#define LISTS_OPEN 8
#define LIST_VALUES 40

static atomic_llong next_value = 1; /* over all lists: a list's number is a value's age */

static int64_t newest_list(void)
{
    return (int64_t)atomic_load(&next_value) / LIST_VALUES + LISTS_OPEN;
}

/* "{1,2,3}" or "1,2,3" of the server as "[1,2,3]"; an absent list is empty. */
static void note_read(struct load_client *c, int64_t key, const struct sql_result *result)
{
    const char *text = sql_rows(result) == 1 ? sql_value(result, 0, 0) : sql_words.list_brackets;
    size_t around = sql_words.list_brackets == NULL ? 0 : 1;
    text = text == NULL ? "" : text;
    size_t len = strlen(text);
    load_op(c, "[\"r\",%" PRId64 ",[%.*s]]", key, (int)(len - 2 * around), text + around);
}

static enum sql_end read_list(struct load_client *c, int64_t key)
{
    char statement[128];
    (void)snprintf(statement, sizeof(statement), "SELECT v FROM jepsen_lists WHERE k = %" PRId64,
                   key);
    struct sql_result *result = sql_run(&c->session, statement);
    enum sql_end end = sql_outcome(&c->session, result);
    if (end == SQL_OK) {
        note_read(c, key, result);
    }
    sql_free(result);
    return end;
}

static enum sql_end append_list(struct load_client *c, int64_t key)
{
    char statement[256];
    int64_t value = (int64_t)atomic_fetch_add(&next_value, 1);
    sql_word_append(statement, sizeof(statement), key, value);
    load_op(c, "[\"append\",%" PRId64 ",%" PRId64 "]", key, value);
    return sql_do(&c->session, statement);
}

static enum sql_end step(struct load_client *c)
{
    uint64_t count = 1 + load_draw(c, 4);
    int64_t call_us = sql_now_us();
    enum sql_end end = sql_do(&c->session, sql_words.begin);
    for (uint64_t i = 0; i < count && end == SQL_OK; i++) {
        int64_t key = newest_list() - (int64_t)load_draw(c, LISTS_OPEN);
        end = load_draw(c, 2) == 0 ? read_list(c, key) : append_list(c, key);
    }
    if (end != SQL_OK) {
        return load_give_up(c, end, call_us);
    }
    return load_end(c, sql_do(&c->session, "COMMIT"), call_us);
}

/* A few lists a transaction. */
static enum sql_end final(struct load_client *c)
{
    int64_t call_us = sql_now_us();
    int64_t until = c->final_next + 20;
    enum sql_end end = sql_do(&c->session, sql_words.begin);
    for (int64_t key = c->final_next; key < until && end == SQL_OK; key++) {
        end = read_list(c, key);
    }
    if (end != SQL_OK) {
        return load_give_up(c, end, call_us);
    }
    end = load_end(c, sql_do(&c->session, "COMMIT"), call_us);
    c->final_next = end == SQL_OK ? until : c->final_next;
    return c->final_next > newest_list() ? end : SQL_FAIL;
}

const struct load_kind load_append = {
    .name = "append",
    .step = step,
    .final = final,
};
