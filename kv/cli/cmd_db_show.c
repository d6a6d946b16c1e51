/* SPDX-License-Identifier: Apache-2.0 */
/* kv db list, show, topology, watch: clusters as the arbiter on the Raft leader sees them. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"
#include "proto/io/loop.h"

/* --- list --- */

static size_t members_up(const Quorate__V1__DatabaseCluster *cluster)
{
    size_t count = 0;
    for (size_t i = 0; i < cluster->n_members; i++) {
        count += cluster->members[i]->is_up != 0;
    }
    return count;
}

static int add_cluster_row(struct io_table *table, const Quorate__V1__DatabaseCluster *c)
{
    char epoch[CELL_MAX];
    char members[CELL_MAX];
    char state[CELL_MAX];
    size_t up = members_up(c);
    (void)snprintf(members, sizeof(members), "%zu up", up);
    if (up < c->n_members) {
        (void)snprintf(members, sizeof(members), "%zu up, %zu down", up, c->n_members - up);
    }
    (void)snprintf(state, sizeof(state), "%s%s", c->state, c->is_paused ? ", paused" : "");
    return IO_TABLE_ADD(table, c->name, c->engine, state, c->primary[0] == '\0' ? "-" : c->primary,
                        db_number_text(c->epoch, epoch), c->sync, members);
}

static int print_list(const struct cli *cli, const Quorate__V1__DatabaseListResponse *answer)
{
    if (cli->output == CLI_JSON) {
        json_t *array = json_array();
        for (size_t i = 0; i < answer->n_clusters; i++) {
            (void)json_array_append_new(array, db_json_cluster(answer->clusters[i]));
        }
        return cli_print_json(json_pack("{s:o}", "clusters", array));
    }
    struct io_table *table = io_table_new("CLUSTER|ENGINE|STATE|PRIMARY|>EPOCH|SYNC|MEMBERS");
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < answer->n_clusters && rc == 0; i++) {
        rc = add_cluster_row(table, answer->clusters[i]);
    }
    if (rc == 0 && answer->n_clusters == 0) {
        (void)puts("no database cluster yet; one appears when its first agent reports");
    } else if (rc == 0) {
        io_table_print(table, stdout, true);
    }
    (void)io_table_free(table);
    return rc == 0 ? IO_EXIT_OK : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}

int cmd_db_list(void *ctx, int argc, char **argv)
{
    struct cli *cli = ctx;
    Quorate__V1__DatabaseListRequest request;
    ProtobufCMessage *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "db list");
    quorate__v1__database_list_request__init(&request);
    rc = rc != 0 ? rc
                 : cli_call(cli, "/quorate.v1.Databases/List", &request.base,
                            &quorate__v1__database_list_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_list(cli, (const Quorate__V1__DatabaseListResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}

/* --- show --- */

int cmd_db_show(void *ctx, int argc, char **argv)
{
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : db_one_cluster(argc, "db show");
    rc = rc != 0 ? rc : db_fetch(ctx, argv[1], &answer);
    if (rc == 0) {
        rc = db_print_cluster(ctx, answer->cluster);
        protobuf_c_message_free_unpacked(&answer->base, NULL);
    }
    return rc;
}

/* --- topology --- */

/* Whom a member stands under: its upstream if that is a member, else the primary. */
static const char *parent_of(const Quorate__V1__DatabaseCluster *c,
                             const Quorate__V1__DatabaseMember *m)
{
    if (strcmp(m->name, c->primary) == 0) {
        return "";
    }
    for (size_t i = 0; i < c->n_members; i++) {
        if (m->upstream[0] != '\0' && strcmp(c->members[i]->name, m->upstream) == 0) {
            return m->upstream;
        }
    }
    return c->primary;
}

/* Whether `m` stands somewhere below `ancestor`, within as many steps as there are members. */
static int depth_below(const Quorate__V1__DatabaseCluster *c, const Quorate__V1__DatabaseMember *m)
{
    int depth = 0;
    const char *parent = parent_of(c, m);
    while (parent[0] != '\0' && depth < (int)c->n_members) {
        const Quorate__V1__DatabaseMember *up = NULL;
        for (size_t i = 0; i < c->n_members && up == NULL; i++) {
            up = strcmp(c->members[i]->name, parent) == 0 ? c->members[i] : NULL;
        }
        depth++;
        parent = up == NULL ? "" : parent_of(c, up);
    }
    return depth;
}

static int add_tree_row(struct io_table *table, const Quorate__V1__DatabaseMember *m, int depth)
{
    char name[CELL_MAX];
    char host[CELL_MAX];
    char timeline[CELL_MAX];
    char lag[CELL_MAX];
    (void)snprintf(name, sizeof(name), "%*s%s%s", depth > 0 ? 2 * (depth - 1) : 0, "",
                   depth > 0 ? "+ " : "", m->name);
    return IO_TABLE_ADD(table, name, db_host_text(m, host), m->role, m->state,
                        m->timeline == 0 ? "-" : db_number_text(m->timeline, timeline),
                        db_lag_text(m, lag));
}

/* Members below `parent`, each followed by those below it; depth-first without recursion: a stack
 * of places to go on from. */
static int add_tree(struct io_table *table, const Quorate__V1__DatabaseCluster *c)
{
    bool is_done[64] = {false};
    const char *parent = "";
    int rc = 0;
    size_t left = c->n_members < BASE_COUNT_OF(is_done) ? c->n_members : BASE_COUNT_OF(is_done);
    while (left > 0 && rc == 0) {
        size_t i = 0;
        while (i < c->n_members &&
               (is_done[i] || strcmp(parent_of(c, c->members[i]), parent) != 0)) {
            i++;
        }
        if (i < c->n_members) { /* down */
            is_done[i] = true;
            left--;
            rc = add_tree_row(table, c->members[i], depth_below(c, c->members[i]));
            parent = c->members[i]->name;
        } else if (parent[0] != '\0') { /* up */
            const Quorate__V1__DatabaseMember *at = NULL;
            for (size_t k = 0; k < c->n_members && at == NULL; k++) {
                at = strcmp(c->members[k]->name, parent) == 0 ? c->members[k] : NULL;
            }
            parent = at == NULL ? "" : parent_of(c, at);
        } else { /* whoever hangs on nobody: a loop, or no primary yet */
            for (i = 0; i < c->n_members && is_done[i]; i++) {
            }
            is_done[i] = true;
            left--;
            rc = add_tree_row(table, c->members[i], 0);
            parent = c->members[i]->name;
        }
    }
    return rc;
}

static json_t *json_of_tree(const Quorate__V1__DatabaseCluster *c)
{
    json_t *array = json_array();
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        (void)json_array_append_new(array,
                                    json_pack("{s:s, s:s, s:s, s:s}", "name", m->name, "parent",
                                              parent_of(c, m), "role", m->role, "state", m->state));
    }
    return array;
}

int cmd_db_topology(void *ctx, int argc, char **argv)
{
    const struct cli *cli = ctx;
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : db_one_cluster(argc, "db topology");
    rc = rc != 0 ? rc : db_fetch(ctx, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    struct io_table *table = io_table_new("MEMBER|HOST|ROLE|STATE|>TL|>LAG");
    if (cli->output == CLI_JSON) {
        rc = cli_print_json(json_of_tree(answer->cluster));
    } else if (table == NULL || add_tree(table, answer->cluster) != 0) {
        rc = cli_fail(IO_EXIT_INTERNAL, "out of memory");
    } else {
        (void)printf("%s  %s, epoch %" PRIu64 "\n", answer->cluster->name, answer->cluster->state,
                     answer->cluster->epoch);
        io_table_print(table, stdout, true);
    }
    (void)io_table_free(table);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    return rc;
}

/* --- watch --- */

/* What a change of is worth a line where there is no terminal. */
static void line_of(const Quorate__V1__DatabaseCluster *c, struct db_words *w)
{
    db_add_words(w, "%s, epoch %" PRIu64 ", primary %s, sync %s", c->state, c->epoch,
                 c->primary[0] == '\0' ? "-" : c->primary, c->sync);
    for (size_t i = 0; i < c->n_members; i++) {
        db_add_words(w, "%s %s %s", c->members[i]->name, c->members[i]->role, c->members[i]->state);
    }
}

static void watch_print(const struct cli *cli, const Quorate__V1__DatabaseCluster *c,
                        struct db_words *last, int64_t *count)
{
    struct db_words line = {0};
    char wall[CELL_MAX];
    line_of(c, &line);
    bool is_terminal = isatty(STDOUT_FILENO) != 0 && cli->output != CLI_JSON;
    bool is_same = strcmp(line.text, last->text) == 0;
    *last = line;
    if (is_terminal) {
        (void)fputs("\033[H\033[2J", stdout);
        (void)db_print_cluster(cli, c);
    } else if (!is_same && cli->output == CLI_JSON) {
        (void)cli_print_json(db_json_cluster(c));
    } else if (!is_same) {
        (void)printf("%s  %s\n", db_wall_text(io_wall_now().us, wall), line.text);
    }
    *count += is_terminal || !is_same;
    (void)fflush(stdout);
}

int cmd_db_watch(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"interval", true, NULL}, {"events", true, NULL}};
    struct db_words last = {0};
    int64_t interval_us = BASE_US_PER_S;
    int64_t events = INT64_MAX;
    int64_t count = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : db_one_cluster(argc, "db watch [--interval 1s] [--events N]");
    if (rc == 0 && options[0].value != NULL &&
        (io_parse_duration(slice_from_text(options[0].value), &interval_us) != 0 ||
         interval_us < 50 * BASE_US_PER_MS)) {
        rc = cli_fail(IO_EXIT_USAGE, "--interval: '%s'; allowed: from 50ms", options[0].value);
    }
    rc = rc != 0 || options[1].value == NULL ? rc
                                             : cli_number("--events", options[1].value, &events);
    while (rc == 0 && count < events) {
        Quorate__V1__DatabaseShowResponse *answer = NULL;
        rc = db_fetch(ctx, argv[1], &answer);
        if (rc == 0) {
            watch_print(ctx, answer->cluster, &last, &count);
            protobuf_c_message_free_unpacked(&answer->base, NULL);
        } else if (rc == IO_EXIT_UNAVAILABLE) {
            rc = 0; /* said; an election ends, a network comes back */
        }
        if (rc == 0 && count < events) {
            (void)nanosleep(&(struct timespec){.tv_sec = interval_us / BASE_US_PER_S,
                                               .tv_nsec = interval_us % BASE_US_PER_S * 1000},
                            NULL);
        }
    }
    return rc;
}
