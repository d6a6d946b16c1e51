/* SPDX-License-Identifier: Apache-2.0 */
/* sqlload and galeraload: many clients of a cluster through one connection string, each a thread;
 * every transaction goes to a history. SIGTERM ends the work; then, unless --no-final says so,
 * everything is read once more. Prints counts as JSON.
 */
#include "jepsen/sql/load.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define FINAL_LIMIT_US 60000000

static const struct load_kind *const kinds[] = {&load_append, &load_bank, &load_set,
                                                &load_register};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static atomic_bool is_stopping;

struct options {
    const char *conninfo;
    const char *dir; /* histories are DIR/KIND.jsonl */
    int clients[KINDS];
    uint64_t seed;
    int64_t limit_us;
    int64_t pause_us;
    int64_t first;
    bool is_prepare;
    bool is_without_final;
    bool is_live;
};

uint64_t load_draw(struct load_client *c, uint64_t limit)
{
    c->random = c->random * 6364136223846793005U + 1442695040888963407U;
    return (c->random >> 33) % limit;
}

void load_op(struct load_client *c, const char *format, ...)
{
    va_list arguments;
    size_t left = sizeof(c->ops) - c->ops_len;
    va_start(arguments, format);
    if (c->ops_len > 0 && left > 1) {
        c->ops[c->ops_len++] = ',';
        left--;
    }
    int len = vsnprintf(c->ops + c->ops_len, left, format, arguments);
    va_end(arguments);
    if (len < 0 || (size_t)len >= left) {
        (void)fputs("load: a transaction is longer than its room; raise LOAD_OPS_MAX\n", stderr);
        exit(1);
    }
    c->ops_len += (size_t)len;
}

enum sql_end load_end(struct load_client *c, enum sql_end end, int64_t call_us)
{
    sql_history_txn(c->history, c->process, end, call_us, c->ops);
    c->ops_len = 0;
    if (end == SQL_INFO) {
        c->process += LOAD_CLIENTS_MAX;
    }
    return end;
}

enum sql_end load_give_up(struct load_client *c, enum sql_end end, int64_t call_us)
{
    if (c->session.connection != NULL && end == SQL_FAIL) {
        bool is_conflict = c->session.is_conflict;
        (void)sql_do(&c->session, "ROLLBACK");
        c->session.is_conflict = is_conflict;
    }
    if (c->ops_len > 0) {
        sql_history_txn(c->history, c->process, SQL_FAIL, call_us, c->ops);
    }
    c->ops_len = 0;
    return SQL_FAIL;
}

static void *run_client(void *argument)
{
    struct load_client *c = argument;
    while (!atomic_load(&is_stopping)) {
        if (!sql_connect(&c->session)) {
            sql_pause_us(20000);
            continue;
        }
        c->session.is_conflict = false;
        enum sql_end end = c->kind->step(c);
        c->counts[end]++;
        c->conflicts += c->session.is_conflict ? 1 : 0;
        sql_pause_us(c->pause_us);
    }
    sql_close(&c->session);
    return NULL;
}

/* The last read, tried until it is done; false when it could not be. */
static bool read_all(struct load_client *c)
{
    int64_t end_us = sql_now_us() + FINAL_LIMIT_US;
    c->session.limit_us = 10000000;
    while (sql_now_us() < end_us) {
        if (sql_connect(&c->session) && c->kind->final(c) == SQL_OK) {
            sql_close(&c->session);
            return true;
        }
        sql_pause_us(2000);
    }
    (void)fprintf(stderr, "load: the last read of %s was not possible\n", c->kind->name);
    return false;
}

static int prepare(const struct options *o)
{
    struct sql_session s = {.conninfo = o->conninfo, .limit_us = 20000000};
    for (size_t k = 0; k < KINDS; k++) {
        const char *schema = kinds[k]->schema == NULL ? sql_words.lists_schema : kinds[k]->schema;
        if (!sql_connect(&s) || sql_do(&s, schema) != SQL_OK) {
            (void)fprintf(stderr, "load: cannot make the tables of %s\n", kinds[k]->name);
            sql_close(&s);
            return 1;
        }
    }
    bool is_done = sql_words.after_schema == NULL || sql_do(&s, sql_words.after_schema) == SQL_OK;
    sql_close(&s);
    return is_done ? 0 : 1;
}

static void report(const struct load_client *clients, int count)
{
    for (size_t k = 0; k < KINDS; k++) {
        int64_t sums[4] = {0};
        for (int i = 0; i < count; i++) {
            if (clients[i].kind == kinds[k]) {
                sums[0] += clients[i].counts[SQL_OK];
                sums[1] += clients[i].counts[SQL_FAIL];
                sums[2] += clients[i].counts[SQL_INFO];
                sums[3] += clients[i].conflicts;
            }
        }
        (void)printf("%s\"%s\":{\"ok\":%" PRId64 ",\"fail\":%" PRId64 ",\"info\":%" PRId64
                     ",\"conflicts\":%" PRId64 "}",
                     k == 0 ? "{" : ",", kinds[k]->name, sums[0], sums[1], sums[2], sums[3]);
    }
    (void)puts("}");
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&is_stopping, true);
}

/* The clients of one kind, and the file that they share. */
static int start_kind(const struct options *o, size_t k, struct sql_history *history,
                      struct load_client *clients, int *count)
{
    char path[SQL_TEXT_MAX];
    (void)snprintf(path, sizeof(path), "%s/%s.jsonl", o->dir, kinds[k]->name);
    history->field = kinds[k]->field;
    if (sql_history_open(history, path, o->is_live) != 0) {
        perror(path);
        return 1;
    }
    if (kinds[k]->opening != NULL && o->clients[k] > 0) {
        sql_history_txn(history, LOAD_CLIENTS_MAX - 1, SQL_OK, sql_now_us(), kinds[k]->opening);
    }
    for (int i = 0; i < o->clients[k] && *count < LOAD_CLIENTS_MAX; i++, (*count)++) {
        struct load_client *c = &clients[*count];
        c->kind = kinds[k];
        c->history = history;
        c->session = (struct sql_session){.conninfo = o->conninfo, .limit_us = o->limit_us};
        c->random = o->seed * 1000003U + (uint64_t)*count;
        c->process = *count;
        c->pause_us = o->pause_us;
        if (pthread_create(&c->thread, NULL, run_client, c) != 0) {
            perror("load: a thread");
            return 1;
        }
    }
    return 0;
}

/* Each kind once, by the first of its clients. */
static bool read_kinds(struct load_client *clients, int count)
{
    bool is_done = true;
    for (int i = 0; i < count; i++) {
        bool is_first = i == 0 || clients[i].kind != clients[i - 1].kind;
        is_done = (!is_first || read_all(&clients[i])) && is_done;
    }
    return is_done;
}

static int run(const struct options *o)
{
    static struct load_client clients[LOAD_CLIENTS_MAX];
    static struct sql_history histories[KINDS];
    int count = 0;
    for (size_t k = 0; k < KINDS; k++) {
        if (start_kind(o, k, &histories[k], clients, &count) != 0) {
            return 1;
        }
    }
    for (int i = 0; i < count; i++) {
        (void)pthread_join(clients[i].thread, NULL);
    }
    bool is_done = o->is_without_final || read_kinds(clients, count);
    for (size_t k = 0; k < KINDS; k++) {
        is_done = fclose(histories[k].file) == 0 && is_done;
    }
    report(clients, count);
    return is_done ? 0 : 1;
}

static int usage(void)
{
    (void)fputs("usage: sqlload|galeraload --conninfo TEXT --prepare\n"
                "       sqlload|galeraload --conninfo TEXT --dir DIR [--append N] [--bank N] "
                "[--set N]\n               [--register N] [--seed N] [--limit-ms N] [--pause-us N] "
                "[--first N] [--live]\n               [--no-final]\n",
                stderr);
    return 2;
}

static bool parse_one(int option, int64_t number, struct options *o)
{
    switch (option) {
    case 'c':
        o->conninfo = optarg;
        return true;
    case 'd':
        o->dir = optarg;
        return true;
    case 'r':
        o->seed = (uint64_t)number;
        return true;
    case 'l':
        o->limit_us = number * 1000;
        return true;
    case 'u':
        o->pause_us = number;
        return true;
    case 'f':
        o->first = number;
        return true;
    case 'p':
        return o->is_prepare = true;
    case 'n':
        return o->is_without_final = true;
    case 'v':
        return o->is_live = true;
    default:
        if (option < 0 || option >= (int)KINDS) {
            return false;
        }
        o->clients[option] = (int)number;
        return true;
    }
}

static bool parse(int argc, char **argv, struct options *o)
{
    /* clients of a kind: the kind's number */
    static const struct option options[] = {
        {"append", required_argument, NULL, 0},     {"bank", required_argument, NULL, 1},
        {"set", required_argument, NULL, 2},        {"register", required_argument, NULL, 3},
        {"conninfo", required_argument, NULL, 'c'}, {"dir", required_argument, NULL, 'd'},
        {"seed", required_argument, NULL, 'r'},     {"limit-ms", required_argument, NULL, 'l'},
        {"pause-us", required_argument, NULL, 'u'}, {"first", required_argument, NULL, 'f'},
        {"prepare", no_argument, NULL, 'p'},        {"no-final", no_argument, NULL, 'n'},
        {"live", no_argument, NULL, 'v'},           {NULL, 0, NULL, 0}};
    int option = 0;
    int sum = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!parse_one(option, optarg == NULL ? 0 : strtoll(optarg, NULL, 10), o)) {
            return false;
        }
    }
    for (size_t k = 0; k < KINDS; k++) {
        sum += o->clients[k];
    }
    return o->conninfo != NULL && (o->is_prepare || o->dir != NULL) && sum < LOAD_CLIENTS_MAX;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .limit_us = 3000000, .pause_us = 10000, .first = 1};
    if (!parse(argc, argv, &o)) {
        return usage();
    }
    const struct sigaction stop = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    load_set_first(o.first);
    return o.is_prepare ? prepare(&o) : run(&o);
}
