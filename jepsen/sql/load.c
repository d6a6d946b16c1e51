/* SPDX-License-Identifier: Apache-2.0 */
/* sqlload: many clients of a PostgreSQL cluster through one multi-host connection string, each a
 * thread; every transaction goes to a history. SIGTERM ends the work; then, with --final,
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

static const struct load_kind *const kinds[] = {&load_append, &load_bank, &load_set};
#define KINDS (sizeof(kinds) / sizeof(kinds[0]))

static atomic_bool is_stopping;

struct options {
    const char *conninfo;
    const char *dir; /* histories are DIR/KIND.jsonl */
    int clients[KINDS];
    uint64_t seed;
    int64_t limit_us;
    int64_t pause_us;
    bool is_prepare;
    bool is_without_final;
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
        (void)fputs("sqlload: a transaction is longer than its room; raise LOAD_OPS_MAX\n", stderr);
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
    (void)fprintf(stderr, "sqlload: the last read of %s was not possible\n", c->kind->name);
    return false;
}

static int prepare(const struct options *o)
{
    struct sql_session s = {.conninfo = o->conninfo, .limit_us = 20000000};
    for (size_t k = 0; k < KINDS; k++) {
        if (!sql_connect(&s) || sql_do(&s, kinds[k]->schema) != SQL_OK) {
            (void)fprintf(stderr, "sqlload: cannot make the tables of %s\n", kinds[k]->name);
            sql_close(&s);
            return 1;
        }
    }
    sql_close(&s);
    return 0;
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

static int run(const struct options *o)
{
    static struct load_client clients[LOAD_CLIENTS_MAX];
    static struct sql_history histories[KINDS];
    int count = 0;
    for (size_t k = 0; k < KINDS; k++) {
        char path[SQL_TEXT_MAX];
        (void)snprintf(path, sizeof(path), "%s/%s.jsonl", o->dir, kinds[k]->name);
        if (sql_history_open(&histories[k], path) != 0) {
            perror(path);
            return 1;
        }
        if (kinds[k]->opening != NULL) {
            sql_history_txn(&histories[k], LOAD_CLIENTS_MAX - 1, SQL_OK, sql_now_us(),
                            kinds[k]->opening);
        }
        for (int i = 0; i < o->clients[k] && count < LOAD_CLIENTS_MAX; i++, count++) {
            struct load_client *c = &clients[count];
            c->kind = kinds[k];
            c->history = &histories[k];
            c->session = (struct sql_session){.conninfo = o->conninfo, .limit_us = o->limit_us};
            c->random = o->seed * 1000003U + (uint64_t)count;
            c->process = count;
            c->pause_us = o->pause_us;
            if (pthread_create(&c->thread, NULL, run_client, c) != 0) {
                perror("sqlload: a thread");
                return 1;
            }
        }
    }
    bool is_read[KINDS] = {false};
    bool is_done = true;
    for (int i = 0; i < count; i++) {
        (void)pthread_join(clients[i].thread, NULL);
    }
    for (int i = 0; i < count && !o->is_without_final; i++) {
        size_t k = clients[i].kind == &load_append ? 0 : clients[i].kind == &load_bank ? 1 : 2;
        is_done = (is_read[k] || read_all(&clients[i])) && is_done;
        is_read[k] = true;
    }
    for (size_t k = 0; k < KINDS; k++) {
        is_done = fclose(histories[k].file) == 0 && is_done;
    }
    report(clients, count);
    return is_done ? 0 : 1;
}

static int usage(void)
{
    (void)fputs(
        "usage: sqlload --conninfo TEXT --prepare\n"
        "       sqlload --conninfo TEXT --dir DIR [--append N] [--bank N] [--set N] [--seed N]\n"
        "               [--limit-ms N] [--pause-us N] [--no-final]\n",
        stderr);
    return 2;
}

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {{"conninfo", required_argument, NULL, 'c'},
                                            {"dir", required_argument, NULL, 'd'},
                                            {"append", required_argument, NULL, 'a'},
                                            {"bank", required_argument, NULL, 'b'},
                                            {"set", required_argument, NULL, 's'},
                                            {"seed", required_argument, NULL, 'r'},
                                            {"limit-ms", required_argument, NULL, 'l'},
                                            {"pause-us", required_argument, NULL, 'u'},
                                            {"prepare", no_argument, NULL, 'p'},
                                            {"no-final", no_argument, NULL, 'n'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        int64_t number = optarg == NULL ? 0 : strtoll(optarg, NULL, 10);
        switch (option) {
        case 'c':
            o->conninfo = optarg;
            break;
        case 'd':
            o->dir = optarg;
            break;
        case 'a':
            o->clients[0] = (int)number;
            break;
        case 'b':
            o->clients[1] = (int)number;
            break;
        case 's':
            o->clients[2] = (int)number;
            break;
        case 'r':
            o->seed = (uint64_t)number;
            break;
        case 'l':
            o->limit_us = number * 1000;
            break;
        case 'u':
            o->pause_us = number;
            break;
        case 'p':
            o->is_prepare = true;
            break;
        case 'n':
            o->is_without_final = true;
            break;
        default:
            return false;
        }
    }
    return o->conninfo != NULL && (o->is_prepare || o->dir != NULL) &&
           o->clients[0] + o->clients[1] + o->clients[2] < LOAD_CLIENTS_MAX;
}

int main(int argc, char **argv)
{
    struct options o = {.seed = 1, .limit_us = 3000000, .pause_us = 10000};
    if (!parse(argc, argv, &o)) {
        return usage();
    }
    const struct sigaction stop = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    return o.is_prepare ? prepare(&o) : run(&o);
}
