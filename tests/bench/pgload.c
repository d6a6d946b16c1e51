/* SPDX-License-Identifier: Apache-2.0 */
/* Writes to a PostgreSQL cluster while it is being broken, and keeps what was acknowledged.
 *
 * Ways of finding the primary, each with its own writers; --dsn takes a connection string as it is:
 *   multihost  N writers, each an ordinary libpq multi-host connection with
 * target_session_attrs=read-write; parallel   one writer per member that asks it all the time
 * whether it is primary, as a proxy would. Each commit is one INSERT of (writer, n). A value counts
 * as acknowledged when the server said so without a warning: a cancelled wait for a standby is
 * reported by PostgreSQL as success with a warning, and is unknown. Output file, one line per
 * acknowledgement: "t_us writer n", t on CLOCK_BOOTTIME, written at once and appended. Ends on
 * SIGTERM or after --seconds; prints counts as JSON.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <libpq-fe.h>

#define WRITERS_MAX 64
#define MEMBERS_MAX 16
#define TEXT_MAX 1024

struct settings {
    char hosts[TEXT_MAX]; /* "127.0.0.1,127.0.0.1" */
    char ports[TEXT_MAX]; /* "5432,5433" */
    char dsn[TEXT_MAX];   /* keywords of --dsn, which stands in for hosts and ports; empty: none */
    const char *extra;    /* further connection parameters, "user=... passfile=..." */
    const char *table;
    int clients;
    double seconds;
    int pause_us; /* between two inserts of a writer */
};

struct writer {
    const struct settings *settings;
    pthread_t thread;
    int number;
    char conninfo[4 * TEXT_MAX];
    bool is_parallel;
    bool is_warned; /* a warning came with the last statement */
    int64_t next;
    int64_t acknowledged;
    int64_t unknown;
    int64_t refused;
    int64_t connects;
};

static atomic_bool is_stopping;
static int output_fd = -1;

static int64_t now_us(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_BOOTTIME, &t);
    return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

static void pause_us(int us)
{
    const struct timespec t = {.tv_sec = us / 1000000, .tv_nsec = (us % 1000000) * 1000L};
    (void)nanosleep(&t, NULL);
}

static void on_signal(int number)
{
    (void)number;
    atomic_store(&is_stopping, true);
}

static void note_warning(void *ctx, const PGresult *result)
{
    struct writer *w = ctx;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    w->is_warned |= state == NULL || strncmp(state, "01", 2) == 0;
}

static PGconn *connect_writer(struct writer *w)
{
    w->connects++;
    PGconn *connection = PQconnectdb(w->conninfo);
    if (PQstatus(connection) != CONNECTION_OK) {
        PQfinish(connection);
        return NULL;
    }
    (void)PQsetNoticeReceiver(connection, note_warning, w);
    return connection;
}

static void keep(const struct writer *w, int64_t n)
{
    char line[96];
    int len = snprintf(line, sizeof(line), "%" PRId64 " %d %" PRId64 "\n", now_us(), w->number, n);
    if (write(output_fd, line, (size_t)len) != len) {
        (void)fprintf(stderr, "pgload: cannot keep an acknowledged value: %s\n", strerror(errno));
        _exit(1);
    }
}

/* One insert; false when the connection is of no use any more. */
static bool insert_one(struct writer *w, PGconn *connection)
{
    char statement[TEXT_MAX];
    int64_t n = w->next++;
    w->is_warned = false;
    (void)snprintf(statement, sizeof(statement),
                   "INSERT INTO %s (writer, n) VALUES (%d, %" PRId64 ")", w->settings->table,
                   w->number, n);
    PGresult *result = PQexec(connection, statement);
    bool is_ok = PQresultStatus(result) == PGRES_COMMAND_OK;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    if (is_ok && !w->is_warned) {
        w->acknowledged++;
        keep(w, n);
    } else if (!is_ok && state != NULL && strcmp(state, "25006") == 0) {
        w->refused++;
    } else {
        w->unknown++;
    }
    PQclear(result);
    return is_ok;
}

static bool is_primary(PGconn *connection)
{
    PGresult *result = PQexec(connection, "SELECT pg_is_in_recovery()");
    bool is = PQresultStatus(result) == PGRES_TUPLES_OK && PQgetvalue(result, 0, 0)[0] == 'f';
    PQclear(result);
    return is;
}

static void write_while_connected(struct writer *w, PGconn *connection)
{
    while (!atomic_load(&is_stopping) && PQstatus(connection) == CONNECTION_OK) {
        if (w->is_parallel && !is_primary(connection)) {
            pause_us(5000);
            continue;
        }
        if (!insert_one(w, connection)) {
            return;
        }
        if (w->settings->pause_us > 0) {
            pause_us(w->settings->pause_us);
        }
    }
}

static void *run_writer(void *argument)
{
    struct writer *w = argument;
    while (!atomic_load(&is_stopping)) {
        PGconn *connection = connect_writer(w);
        if (connection != NULL) {
            write_while_connected(w, connection);
            PQfinish(connection);
        }
        pause_us(10000);
    }
    return NULL;
}

/* "h:p,h:p" into the two lists that libpq wants. */
static size_t split_members(struct settings *s, char *members, char hosts[][TEXT_MAX],
                            char ports[][16])
{
    size_t count = 0;
    char *rest = NULL;
    for (char *m = strtok_r(members, ",", &rest); m != NULL && count < MEMBERS_MAX;
         m = strtok_r(NULL, ",", &rest)) {
        char *colon = strrchr(m, ':');
        if (colon == NULL) {
            continue;
        }
        (void)snprintf(hosts[count], TEXT_MAX, "%.*s", (int)(colon - m), m);
        (void)snprintf(ports[count], 16, "%s", colon + 1);
        size_t at = strlen(s->hosts);
        (void)snprintf(s->hosts + at, TEXT_MAX - at, "%s%s", count == 0 ? "" : ",", hosts[count]);
        at = strlen(s->ports);
        (void)snprintf(s->ports + at, TEXT_MAX - at, "%s%s", count == 0 ? "" : ",", ports[count]);
        count++;
    }
    return count;
}

/* "key='value' " of all that the URI says, so that further parameters can follow. */
static bool keywords_of(const char *uri, char *text, size_t size)
{
    PQconninfoOption *options = PQconninfoParse(uri, NULL);
    size_t at = 0;
    for (PQconninfoOption *o = options; o != NULL && o->keyword != NULL && at < size; o++) {
        if (o->val != NULL) {
            at += (size_t)snprintf(text + at, size - at, "%s='%s' ", o->keyword, o->val);
        }
    }
    PQconninfoFree(options);
    return at > 0 && at < size;
}

static bool prepare(struct writer *w, const struct settings *s, int number, const char *host,
                    const char *port)
{
    w->settings = s;
    w->number = number;
    w->is_parallel = host != NULL;
    w->next = now_us(); /* no value of an earlier run comes again */
    if (s->dsn[0] != '\0') {
        int len = snprintf(w->conninfo, sizeof(w->conninfo), "%s %s", s->dsn, s->extra);
        return len > 0 && (size_t)len < sizeof(w->conninfo);
    }
    int len = snprintf(w->conninfo, sizeof(w->conninfo),
                       "host=%s port=%s connect_timeout=2 tcp_user_timeout=2000 %s "
                       "application_name=pgload %s",
                       host == NULL ? s->hosts : host, host == NULL ? s->ports : port,
                       host == NULL ? "target_session_attrs=read-write" : "", s->extra);
    return len > 0 && (size_t)len < sizeof(w->conninfo);
}

static void report(const struct writer *writers, int count)
{
    int64_t sum[4] = {0};
    for (int i = 0; i < count; i++) {
        sum[0] += writers[i].acknowledged;
        sum[1] += writers[i].unknown;
        sum[2] += writers[i].refused;
        sum[3] += writers[i].connects;
    }
    (void)printf("{\"acknowledged\": %" PRId64 ", \"unknown\": %" PRId64 ", \"refused\": %" PRId64
                 ", \"connects\": %" PRId64 "}\n",
                 sum[0], sum[1], sum[2], sum[3]);
}

static int usage(void)
{
    (void)fputs("usage: pgload {--members H:P,... | --dsn URI} --out FILE [--clients N] "
                "[--parallel] [--first-writer N]\n              [--seconds S] [--pause-us N] "
                "[--table T] [--conninfo 'user=... dbname=...']\n",
                stderr);
    return 2;
}

struct arguments {
    char *members;
    const char *out;
    bool is_parallel;
    int first_writer;
};

static bool parse(int argc, char **argv, struct settings *s, struct arguments *a)
{
    static const struct option options[] = {{"members", required_argument, NULL, 'm'},
                                            {"out", required_argument, NULL, 'o'},
                                            {"clients", required_argument, NULL, 'c'},
                                            {"parallel", no_argument, NULL, 'p'},
                                            {"seconds", required_argument, NULL, 's'},
                                            {"pause-us", required_argument, NULL, 'u'},
                                            {"table", required_argument, NULL, 't'},
                                            {"conninfo", required_argument, NULL, 'i'},
                                            {"first-writer", required_argument, NULL, 'f'},
                                            {"dsn", required_argument, NULL, 'd'},
                                            {NULL, 0, NULL, 0}};
    int option = 0;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 'm':
            a->members = optarg;
            break;
        case 'o':
            a->out = optarg;
            break;
        case 'c':
            s->clients = (int)strtol(optarg, NULL, 10);
            break;
        case 'p':
            a->is_parallel = true;
            break;
        case 's':
            s->seconds = strtod(optarg, NULL);
            break;
        case 'u':
            s->pause_us = (int)strtol(optarg, NULL, 10);
            break;
        case 't':
            s->table = optarg;
            break;
        case 'i':
            s->extra = optarg;
            break;
        case 'd':
            if (!keywords_of(optarg, s->dsn, sizeof(s->dsn))) {
                return false;
            }
            break;
        case 'f':
            a->first_writer = (int)strtol(optarg, NULL, 10);
            break;
        default:
            return false;
        }
    }
    return (a->members != NULL) != (s->dsn[0] != '\0') && (a->members != NULL || !a->is_parallel) &&
           a->out != NULL && s->clients > 0 && s->clients <= WRITERS_MAX;
}

int main(int argc, char **argv)
{
    static char hosts[MEMBERS_MAX][TEXT_MAX];
    static char ports[MEMBERS_MAX][16];
    static struct writer writers[WRITERS_MAX];
    static struct settings s = {
        .extra = "", .table = "quorate_load", .clients = 4, .seconds = 1e9, .pause_us = 0};
    struct arguments a = {0};
    if (!parse(argc, argv, &s, &a)) {
        return usage();
    }
    int count = a.members == NULL ? 1 : (int)split_members(&s, a.members, hosts, ports);
    int writers_count = a.is_parallel ? count : s.clients;
    output_fd = open(a.out, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (count == 0 || output_fd < 0) {
        return usage();
    }
    const struct sigaction stop = {.sa_handler = on_signal};
    (void)sigaction(SIGTERM, &stop, NULL);
    (void)sigaction(SIGINT, &stop, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    for (int i = 0; i < writers_count; i++) {
        if (!prepare(&writers[i], &s, a.first_writer + i, a.is_parallel ? hosts[i] : NULL,
                     a.is_parallel ? ports[i] : NULL)) {
            return usage();
        }
        if (pthread_create(&writers[i].thread, NULL, run_writer, &writers[i]) != 0) {
            return 1;
        }
    }
    int64_t end = s.seconds > 1e8 ? INT64_MAX : now_us() + (int64_t)(s.seconds * 1e6);
    while (!atomic_load(&is_stopping) && now_us() < end) {
        pause_us(20000);
    }
    atomic_store(&is_stopping, true);
    /* A writer may hang in a commit that nobody acknowledges: give it a moment, then leave. */
    int64_t patience = now_us() + 3000000;
    for (int i = 0; i < writers_count; i++) {
        struct timespec until;
        (void)clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += now_us() < patience ? 1 : 0;
        (void)pthread_timedjoin_np(writers[i].thread, NULL, &until);
    }
    report(writers, writers_count);
    (void)fflush(stdout);
    _exit(0);
}
