/* SPDX-License-Identifier: Apache-2.0 */
/* kv db dsn, haproxy: what clients and balancers need to find a cluster's databases. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"
#include "kv/cli/db_mongodb.h"

#define PRIMARY_PORT 5000
#define REPLICAS_PORT 5001

/* --- dsn --- */

static void put_hosts(const Quorate__V1__DatabaseCluster *c, const char *member)
{
    bool is_first = true;
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        char host[CELL_MAX];
        if (member == NULL || strcmp(m->name, member) == 0) {
            (void)printf("%s%s", is_first ? "" : ",", db_host_text(m, host));
            is_first = false;
        }
    }
}

/* Hung connections end after two seconds, whatever the kernel's defaults; a server that is
 * read-only or frozen is passed over. */
static void print_dsn(const Quorate__V1__DatabaseCluster *c, const char *member, const char *attrs,
                      const char *database, const char *user)
{
    (void)printf("postgresql://%s%s", user == NULL ? "" : user, user == NULL ? "" : "@");
    put_hosts(c, member);
    (void)printf("/%s?connect_timeout=2&tcp_user_timeout=2000&target_session_attrs=%s\n",
                 database == NULL ? "postgres" : database, attrs);
}

static bool has_member(const Quorate__V1__DatabaseCluster *c, const char *name)
{
    for (size_t i = 0; i < c->n_members; i++) {
        if (strcmp(c->members[i]->name, name) == 0) {
            return true;
        }
    }
    return false;
}

int cmd_db_dsn(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"replicas", false, NULL},
                                   {"member", true, NULL},
                                   {"dbname", true, NULL},
                                   {"username", true, NULL}};
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc
                 : db_one_cluster(argc, "db dsn [--replicas | --member M] [--dbname D] "
                                        "[--username U]");
    rc = rc != 0 ? rc : db_fetch(ctx, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    const char *member = options[1].value;
    const char *attrs = member != NULL             ? "any"
                        : options[0].value != NULL ? "prefer-standby"
                                                   : "read-write";
    if (member != NULL && !has_member(answer->cluster, member)) {
        rc = cli_fail(IO_EXIT_FALSE, "%s has no member '%s'", argv[1], member);
    } else if (answer->cluster->galera != NULL) {
        rc = cli_fail(IO_EXIT_FALSE,
                      "%s is a Galera cluster, and libpq speaks to PostgreSQL: clients find its "
                      "writer through kv db haproxy or quorate-proxy",
                      argv[1]);
    } else if (answer->cluster->n_members == 0) {
        rc = cli_fail(IO_EXIT_FALSE, "%s has no member yet", argv[1]);
    } else if (answer->cluster->mongodb != NULL) {
        rc = db_mongodb_dsn(answer->cluster,
                            &(struct db_mongodb_dsn){member, options[2].value, options[3].value,
                                                     options[0].value != NULL});
    } else {
        print_dsn(answer->cluster, member, attrs, options[2].value, options[3].value);
    }
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    return rc;
}

/* --- haproxy --- */

/* A check that fails is looked at again after 100 ms; two failures take a server out and cut its
 * sessions, so that nobody goes on with a deposed primary. A host that is gone answers nothing: the
 * check's time limit counts. */
#define HAPROXY_HEAD \
    "# Made by: kv db haproxy %s\n" \
    "defaults\n" \
    "    mode tcp\n" \
    "    retries 2\n" \
    "    option clitcpka\n" \
    "    option srvtcpka\n" \
    "    timeout queue 5s\n" \
    "    timeout connect 2s\n" \
    "    timeout check 500ms\n" \
    "    timeout client 24h\n" \
    "    timeout server 24h\n"
#define HAPROXY_LISTEN \
    "\nlisten %s-%s\n" \
    "    bind %s:%" PRId64 "\n" \
    "    balance %s\n" \
    "    option httpchk OPTIONS %s\n" \
    "    http-check expect status 200\n" \
    "    default-server inter 500ms fastinter 100ms downinter 250ms fall 2 rise 1 " \
    "on-marked-down shutdown-sessions\n"

/* Galera: consensus names the writer, not the balancer (no `backup`). One good answer is enough: at
 * most one member gives it, from memory and under its lease. */
#define HAPROXY_GALERA \
    "\nlisten %s-%s\n" \
    "    bind %s:%" PRId64 "\n" \
    "    balance %s\n" \
    "    option httpchk GET %s\n" \
    "    http-check expect status 200\n" \
    "    default-server inter 500ms fastinter 100ms downinter 250ms fall 2 rise 1 " \
    "on-marked-down shutdown-sessions\n"

struct listen {
    const char *name, *balance, *check, *bind;
    int64_t port;
};

static void print_listen(const Quorate__V1__DatabaseCluster *c, const struct listen *l)
{
    if (c->galera != NULL) {
        (void)printf(HAPROXY_GALERA, c->name, l->name, l->bind, l->port, l->balance, l->check);
    } else {
        (void)printf(HAPROXY_LISTEN, c->name, l->name, l->bind, l->port, l->balance, l->check);
    }
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        char host[CELL_MAX];
        (void)printf("    server %s %s check port %u\n", m->name, db_host_text(m, host),
                     m->http_port);
    }
}

int cmd_db_haproxy(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"bind", true, NULL},
                                   {"primary-port", true, NULL},
                                   {"replicas-port", true, NULL},
                                   {"lag", true, NULL}};
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    char check[CELL_MAX] = "/replica";
    struct listen primary = {"primary", "first", "/primary", "*", PRIMARY_PORT};
    struct listen replicas = {"replicas", "leastconn", check, "*", REPLICAS_PORT};
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc
                 : db_one_cluster(argc, "db haproxy [--bind ADDRESS] [--primary-port N] "
                                        "[--replicas-port N] [--lag BYTES]");
    rc = rc != 0 || options[1].value == NULL
             ? rc
             : cli_number("--primary-port", options[1].value, &primary.port);
    rc = rc != 0 || options[2].value == NULL
             ? rc
             : cli_number("--replicas-port", options[2].value, &replicas.port);
    rc = rc != 0 ? rc : db_fetch(ctx, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    if (answer->cluster->mongodb != NULL) {
        protobuf_c_message_free_unpacked(&answer->base, NULL);
        return cli_fail(IO_EXIT_FALSE,
                        "%s is a MongoDB replica set: its drivers find the primary by themselves "
                        "and need no balancer; kv db dsn %s prints what they connect to",
                        argv[1], argv[1]);
    }
    if (options[0].value != NULL) {
        primary.bind = replicas.bind = options[0].value;
    }
    if (options[3].value != NULL) {
        (void)snprintf(check, sizeof(check), "/replica?lag=%s", options[3].value);
    }
    if (answer->cluster->galera != NULL && options[3].value == NULL) {
        primary.name = "writer";
        primary.check = "/writer";
        replicas.name = "reader";
        replicas.check = "/reader";
    } else if (answer->cluster->galera != NULL) {
        protobuf_c_message_free_unpacked(&answer->base, NULL);
        return cli_fail(IO_EXIT_USAGE, "--lag: Galera's readers have no lag in bytes; /reader asks "
                                       "for a causal read");
    }
    (void)printf(HAPROXY_HEAD, answer->cluster->name);
    print_listen(answer->cluster, &primary);
    print_listen(answer->cluster, &replicas);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    return IO_EXIT_OK;
}
