/* SPDX-License-Identifier: Apache-2.0 */
/* sqlprobe and galeraprobe: look at one database from inside its host, over the local socket, every
 * 50 ms: may it be written to, and does it accept the commit of a unique token? Two threads do so
 * at once: local, without waiting for standbys where an engine has that (OUT): what an isolated
 * side would still accept; and sync, as clients commit (OUT.sync), each token an element of the set
 * history too (--set). The database may die, hang or be frozen; the prober goes on. An answer is
 * waited for as long as the connection lives, so that what a frozen server says when it wakes is
 * seen with its time. Ends on SIGTERM.
 */
#include "jepsen/sql/sql.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ANSWER_LIMIT_US 60000000
#define LOOK_LONG_US 500000 /* a look that took longer is a record of its own */

static atomic_bool is_stopping;

struct prober {
    const char *host; /* its name in the records */
    int number;       /* and its lowest digit in tokens, 1 to 9 */
    bool is_sync;
    int64_t pause_us;
    int64_t next;
    struct sql_session session;
    struct sql_history *out;
    struct sql_history *set; /* NULL: no part of the set */
    pthread_t thread;
};

struct sight {
    struct sql_sight seen;
    int64_t token;
    enum sql_end end;
    int64_t asked_us; /* when the look at it began */
    int64_t call_us;
};

static void commit_token(struct prober *p, struct sight *s)
{
    char statement[256];
    s->token = p->next++ * 10 + p->number;
    if (p->is_sync) {
        (void)snprintf(statement, sizeof(statement), "INSERT INTO jepsen_set VALUES (%" PRId64 ")",
                       s->token);
    } else {
        (void)snprintf(statement, sizeof(statement),
                       "INSERT INTO jepsen_probes VALUES (%d, %" PRId64 ")", p->number, s->token);
    }
    s->call_us = sql_now_us();
    s->end = sql_do(&p->session, statement);
}

static void keep(struct prober *p, const struct sight *s)
{
    int64_t return_us = sql_now_us();
    (void)pthread_mutex_lock(&p->out->lock);
    (void)fprintf(p->out->file,
                  "{\"prober\":\"%s\",\"call\":%" PRId64 ",\"return\":%" PRId64
                  ",\"role\":\"%s\",\"epoch\":%" PRId64 ",\"timeline\":%" PRId64
                  ",\"token\":%" PRId64 ",\"type\":\"%s\"}\n",
                  p->host, s->call_us, return_us,
                  !s->seen.is_up        ? "none"
                  : s->seen.is_writable ? "primary"
                                        : "standby",
                  s->seen.timeline, s->seen.timeline, s->token, sql_end_name(s->end));
    (void)fflush(p->out->file);
    (void)pthread_mutex_unlock(&p->out->lock);
    if (p->set != NULL && s->token != 0) {
        char op[64];
        (void)snprintf(op, sizeof(op), "[\"add\",%" PRId64 "]", s->token);
        sql_history_txn(p->set, 1000000000 + s->token, s->end, s->call_us, op);
    }
}

static bool connect_prober(struct prober *p)
{
    if (p->session.connection != NULL) {
        return true;
    }
    return sql_connect(&p->session) &&
           (p->is_sync || sql_do(&p->session, sql_words.local) == SQL_OK);
}

static void *run_prober(void *argument)
{
    struct prober *p = argument;
    while (!atomic_load(&is_stopping)) {
        struct sight s = {.end = SQL_FAIL, .asked_us = sql_now_us()};
        s.call_us = s.asked_us;
        if (connect_prober(p)) {
            sql_look(&p->session, &s.seen);
            if (s.seen.is_writable) {
                if (sql_now_us() - s.asked_us > LOOK_LONG_US) {
                    keep(p, &s);
                }
                commit_token(p, &s);
            }
        }
        keep(p, &s);
        sql_pause_us(p->pause_us);
    }
    return NULL;
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&is_stopping, true);
}

static int usage(void)
{
    (void)fputs("usage: sqlprobe|galeraprobe --host NAME --number 1..9 --conninfo TEXT --out FILE\n"
                "                --set FILE [--pause-ms N]\n",
                stderr);
    return 2;
}

struct options {
    const char *host;
    const char *conninfo;
    const char *out;
    const char *set;
    int number;
    int64_t pause_us;
};

static bool parse(int argc, char **argv, struct options *o)
{
    static const struct option options[] = {{"host", required_argument, NULL, 'h'},
                                            {"number", required_argument, NULL, 'n'},
                                            {"conninfo", required_argument, NULL, 'c'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"set", required_argument, NULL, 's'},
                                            {"pause-ms", required_argument, NULL, 'p'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'h':
            o->host = optarg;
            break;
        case 'n':
            o->number = (int)strtol(optarg, NULL, 10);
            break;
        case 'c':
            o->conninfo = optarg;
            break;
        case 'o':
            o->out = optarg;
            break;
        case 's':
            o->set = optarg;
            break;
        case 'p':
            o->pause_us = strtoll(optarg, NULL, 10) * 1000;
            break;
        default:
            return false;
        }
    }
    return o->host != NULL && o->conninfo != NULL && o->out != NULL && o->set != NULL &&
           o->number >= 1 && o->number <= 9;
}

int main(int argc, char **argv)
{
    static struct prober probers[2];
    static struct sql_history files[3];
    struct options o = {.pause_us = 50000};
    char sync_out[SQL_TEXT_MAX];
    if (!parse(argc, argv, &o)) {
        return usage();
    }
    (void)snprintf(sync_out, sizeof(sync_out), "%s.sync", o.out);
    if (sql_history_open(&files[0], o.out, false) != 0 ||
        sql_history_open(&files[1], sync_out, false) != 0 ||
        sql_history_open(&files[2], o.set, false) != 0) {
        perror(o.out);
        return 1;
    }
    const struct sigaction stop = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < 2; i++) {
        probers[i] =
            (struct prober){.host = o.host,
                            .number = o.number,
                            .is_sync = i == 1,
                            .pause_us = o.pause_us,
                            .next = 1,
                            .session = {.conninfo = o.conninfo, .limit_us = ANSWER_LIMIT_US},
                            .out = &files[i],
                            .set = i == 1 ? &files[2] : NULL};
        if (pthread_create(&probers[i].thread, NULL, run_prober, &probers[i]) != 0) {
            perror("prober: a thread");
            return 1;
        }
    }
    while (!atomic_load(&is_stopping)) {
        sql_pause_us(50000);
    }
    /* A thread may wait for a server that never answers: what it knows is written. */
    sql_pause_us(300000);
    for (size_t i = 0; i < 3; i++) {
        (void)fflush(files[i].file);
    }
    _exit(0);
}
