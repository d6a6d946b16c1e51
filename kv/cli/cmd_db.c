/* SPDX-License-Identifier: Apache-2.0 */
/* kv db: the database clusters, as the arbiter on the Raft leader sees them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "databases.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/commands.h"
#include "proto/io/loop.h"

#define CELL_MAX 320

/* "4d 02:11", "01:07" (minutes and seconds), "-" for nothing. */
static const char *age_text(int64_t since_wall_us, char memory[static CELL_MAX])
{
    int64_t seconds = (io_wall_now().us - since_wall_us) / BASE_US_PER_S;
    if (since_wall_us == 0 || seconds < 0) {
        return "-";
    }
    if (seconds >= 86400) {
        (void)snprintf(memory, CELL_MAX, "%" PRId64 "d %02" PRId64 ":%02" PRId64, seconds / 86400,
                       seconds / 3600 % 24, seconds / 60 % 60);
    } else if (seconds >= 3600) {
        (void)snprintf(memory, CELL_MAX, "%" PRId64 "h%02" PRId64 "m", seconds / 3600,
                       seconds / 60 % 60);
    } else {
        (void)snprintf(memory, CELL_MAX, "%02" PRId64 ":%02" PRId64, seconds / 60, seconds % 60);
    }
    return memory;
}

static const char *lag_text(const Quorate__V1__DatabaseMember *member, char memory[static CELL_MAX])
{
    if (member->lag_bytes < 0 || strcmp(member->role, "primary") == 0) {
        return "-";
    }
    if (member->lag_bytes < 1024) {
        (void)snprintf(memory, CELL_MAX, "%" PRId64 " B", member->lag_bytes);
    } else if (member->lag_bytes < 1024 * 1024) {
        (void)snprintf(memory, CELL_MAX, "%" PRId64 " kB", member->lag_bytes / 1024);
    } else {
        (void)snprintf(memory, CELL_MAX, "%" PRId64 " MB", member->lag_bytes / (1024 * 1024));
    }
    return memory;
}

static const char *number_text(uint64_t value, char memory[static CELL_MAX])
{
    (void)snprintf(memory, CELL_MAX, "%" PRIu64, value);
    return memory;
}

static json_t *json_of_member(const Quorate__V1__DatabaseMember *m)
{
    return json_pack(
        "{s:s, s:s, s:i, s:i, s:s, s:s, s:i, s:I, s:I, s:I, s:s, s:b, s:I, s:I, s:I, s:I, s:I}",
        "name", m->name, "host", m->host, "port", (int)m->db_port, "http_port", (int)m->http_port,
        "role", m->role, "state", m->state, "timeline", (int)m->timeline, "lsn", (json_int_t)m->lsn,
        "lag_bytes", (json_int_t)m->lag_bytes, "since_wall_us", (json_int_t)m->since_wall_us,
        "note", m->note, "up", (int)m->is_up, "seen_ago_us", (json_int_t)m->seen_ago_us,
        "lease_left_us", (json_int_t)m->lease_left_us, "pause_worst_us",
        (json_int_t)m->pause_worst_us, "epoch_seen", (json_int_t)m->epoch_seen, "epoch_held",
        (json_int_t)m->epoch_held);
}

static json_t *json_of_texts(size_t count, char *const *texts)
{
    json_t *array = json_array();
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append_new(array, json_string(texts[i]));
    }
    return array;
}

static json_t *json_of_cluster(const Quorate__V1__DatabaseCluster *c)
{
    json_t *members = json_array();
    for (size_t i = 0; i < c->n_members; i++) {
        (void)json_array_append_new(members, json_of_member(c->members[i]));
    }
    char system_id[CELL_MAX];
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:I, s:s, s:i, s:I, s:s, s:o, s:i, s:o, s:i, s:i, "
        "s:i, s:s, s:b, s:o}",
        "name", c->name, "engine", c->engine, "state", c->state, "primary", c->primary, "epoch",
        (json_int_t)c->epoch, "revision", (json_int_t)c->revision, "system_id",
        number_text(c->system_id, system_id), "timeline", (int)c->timeline, "since_wall_us",
        (json_int_t)c->since_wall_us, "sync", c->sync, "voters",
        json_of_texts(c->n_voters, c->voters), "r", (int)c->votes_needed_r, "sync_names",
        json_of_texts(c->n_sync_names, c->sync_names), "sync_count", (int)c->sync_count, "ttl_ms",
        (int)c->ttl_ms, "heartbeat_ms", (int)c->heartbeat_ms, "waiting_for", c->waiting_for,
        "unconfirmed", (int)c->is_unconfirmed, "members", members);
}

static size_t members_up(const Quorate__V1__DatabaseCluster *cluster)
{
    size_t count = 0;
    for (size_t i = 0; i < cluster->n_members; i++) {
        count += cluster->members[i]->is_up != 0;
    }
    return count;
}

static int print_list(const struct cli *cli, const Quorate__V1__DatabaseListResponse *answer)
{
    if (cli->output == CLI_JSON) {
        json_t *array = json_array();
        for (size_t i = 0; i < answer->n_clusters; i++) {
            (void)json_array_append_new(array, json_of_cluster(answer->clusters[i]));
        }
        return cli_print_json(json_pack("{s:o}", "clusters", array));
    }
    struct io_table *table = io_table_new("CLUSTER|ENGINE|STATE|PRIMARY|>EPOCH|SYNC|MEMBERS");
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < answer->n_clusters && rc == 0; i++) {
        const Quorate__V1__DatabaseCluster *c = answer->clusters[i];
        char epoch[CELL_MAX];
        char members[CELL_MAX];
        size_t up = members_up(c);
        (void)snprintf(members, sizeof(members), "%zu up", up);
        if (up < c->n_members) {
            (void)snprintf(members, sizeof(members), "%zu up, %zu down", up, c->n_members - up);
        }
        rc = IO_TABLE_ADD(table, c->name, c->engine, c->state,
                          c->primary[0] == '\0' ? "-" : c->primary, number_text(c->epoch, epoch),
                          c->sync, members);
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

static int add_member_row(struct io_table *table, const Quorate__V1__DatabaseMember *m,
                          bool is_wide)
{
    char host[CELL_MAX];
    char timeline[CELL_MAX];
    char lag[CELL_MAX];
    char age[CELL_MAX];
    char note[CELL_MAX];
    char lsn[CELL_MAX];
    (void)snprintf(host, sizeof(host), strchr(m->host, ':') != NULL ? "[%s]:%u" : "%s:%u", m->host,
                   m->db_port);
    (void)snprintf(note, sizeof(note), "%s", m->note);
    if (strcmp(m->role, "primary") == 0 && m->lease_left_us > 0) {
        (void)snprintf(note, sizeof(note), "lease %.1f s left%s%s",
                       (double)m->lease_left_us / (double)BASE_US_PER_S,
                       m->note[0] == '\0' ? "" : "; ", m->note);
    }
    (void)snprintf(lsn, sizeof(lsn), "%" PRIX32 "/%" PRIX32, (uint32_t)(m->lsn >> 32),
                   (uint32_t)m->lsn);
    const char *timeline_cell = m->timeline == 0 ? "-" : number_text(m->timeline, timeline);
    if (is_wide) {
        char pause[CELL_MAX];
        (void)snprintf(pause, sizeof(pause), "%" PRId64 " ms", m->pause_worst_us / BASE_US_PER_MS);
        return IO_TABLE_ADD(table, m->name, host, m->role, m->state, timeline_cell,
                            lag_text(m, lag), age_text(m->since_wall_us, age), lsn, pause, note);
    }
    return IO_TABLE_ADD(table, m->name, host, m->role, m->state, timeline_cell, lag_text(m, lag),
                        age_text(m->since_wall_us, age), note);
}

static int print_cluster(const struct cli *cli, const Quorate__V1__DatabaseCluster *cluster)
{
    if (cli->output == CLI_JSON) {
        return cli_print_json(json_of_cluster(cluster));
    }
    bool is_wide = cli->output == CLI_WIDE;
    struct io_table *table =
        io_table_new(is_wide ? "MEMBER|HOST|ROLE|STATE|>TL|>LAG|>SINCE|LSN|>PAUSE|NOTE"
                             : "MEMBER|HOST|ROLE|STATE|>TL|>LAG|>SINCE|NOTE");
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < cluster->n_members && rc == 0; i++) {
        rc = add_member_row(table, cluster->members[i], is_wide);
    }
    if (rc == 0) {
        (void)printf("%s  %s, epoch %" PRIu64 ", sync %s\n", cluster->name, cluster->state,
                     cluster->epoch, cluster->sync);
        io_table_print(table, stdout, true);
        if (cluster->waiting_for[0] != '\0') {
            (void)printf("%s\n", cluster->waiting_for);
        }
    }
    (void)io_table_free(table);
    return rc == 0 ? IO_EXIT_OK : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}

/* Takes the one operand CLUSTER and asks Show for it. */
static int fetch_cluster(struct cli *cli, char *name, Quorate__V1__DatabaseShowResponse **ret)
{
    Quorate__V1__DatabaseShowRequest request;
    ProtobufCMessage *answer = NULL;
    quorate__v1__database_show_request__init(&request);
    request.cluster = name;
    int rc = cli_call(cli, "/quorate.v1.Databases/Show", &request.base,
                      &quorate__v1__database_show_response__descriptor, &answer);
    if (rc != 0) {
        return rc;
    }
    *ret = (Quorate__V1__DatabaseShowResponse *)(void *)answer;
    if ((*ret)->cluster == NULL) {
        protobuf_c_message_free_unpacked(answer, NULL);
        return cli_fail(IO_EXIT_FALSE, "no database cluster '%s'; kv db list shows all", name);
    }
    return 0;
}

static int one_cluster(int argc, const char *command)
{
    return argc == 2
               ? 0
               : cli_fail(IO_EXIT_USAGE, "usage: kv %s CLUSTER; kv db list shows them", command);
}

int cmd_db_show(void *ctx, int argc, char **argv)
{
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : one_cluster(argc, "db show");
    rc = rc != 0 ? rc : fetch_cluster(ctx, argv[1], &answer);
    if (rc == 0) {
        rc = print_cluster(ctx, answer->cluster);
        protobuf_c_message_free_unpacked(&answer->base, NULL);
    }
    return rc;
}

int cmd_db_dsn(void *ctx, int argc, char **argv)
{
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : one_cluster(argc, "db dsn");
    rc = rc != 0 ? rc : fetch_cluster(ctx, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    const Quorate__V1__DatabaseCluster *cluster = answer->cluster;
    (void)printf("postgresql://");
    for (size_t i = 0; i < cluster->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = cluster->members[i];
        (void)printf(strchr(m->host, ':') != NULL ? "%s[%s]:%u" : "%s%s:%u", i == 0 ? "" : ",",
                     m->host, m->db_port);
    }
    (void)printf("/postgres?target_session_attrs=read-write&connect_timeout=2"
                 "&tcp_user_timeout=2000\n");
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    return IO_EXIT_OK;
}

/* Polls Show until the cluster has another epoch and is healthy enough to have a primary. */
static int wait_for_epoch(struct cli *cli, char *name, uint64_t epoch)
{
    int64_t deadline = io_now().us + (int64_t)cli->timeout_ms * BASE_US_PER_MS;
    while (io_now().us < deadline) {
        Quorate__V1__DatabaseShowResponse *answer = NULL;
        int rc = fetch_cluster(cli, name, &answer);
        if (rc == 0) {
            const Quorate__V1__DatabaseCluster *c = answer->cluster;
            bool is_over = c->epoch > epoch && strcmp(c->state, "no primary") != 0 &&
                           strcmp(c->state, "switchover") != 0;
            rc = is_over ? print_cluster(cli, c) : -1;
            protobuf_c_message_free_unpacked(&answer->base, NULL);
            if (is_over) {
                return rc;
            }
        }
        (void)nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    return cli_fail(IO_EXIT_UNAVAILABLE,
                    "%s: not over within the timeout; it goes on, kv db why %s tells more", name,
                    name);
}

static int run_order(struct cli *cli, const char *path, const ProtobufCMessage *request, char *name,
                     bool is_waiting)
{
    ProtobufCMessage *message = NULL;
    int rc =
        cli_call(cli, path, request, &quorate__v1__database_order_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    const Quorate__V1__DatabaseOrderResponse *answer =
        (const Quorate__V1__DatabaseOrderResponse *)(const void *)message;
    uint64_t epoch = answer->epoch;
    if (cli->output != CLI_JSON) {
        (void)printf("%s\n", answer->message);
    } else if (!is_waiting) {
        rc = cli_print_json(
            json_pack("{s:s, s:I}", "message", answer->message, "epoch", (json_int_t)epoch));
    }
    protobuf_c_message_free_unpacked(message, NULL);
    return is_waiting ? wait_for_epoch(cli, name, epoch) : rc;
}

int cmd_db_switchover(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"to", true, NULL}, {"wait", false, NULL}};
    Quorate__V1__DatabaseSwitchoverRequest request;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_switchover_request__init(&request);
    rc = rc != 0 ? rc : one_cluster(argc, "db switchover [--to MEMBER] [--wait]");
    if (rc != 0) {
        return rc;
    }
    char empty[] = "";
    char to[BASE_NAME_MAX + 1];
    (void)snprintf(to, sizeof(to), "%s", options[0].value == NULL ? "" : options[0].value);
    request.cluster = argv[1];
    request.to = options[0].value == NULL ? empty : to;
    return run_order(ctx, "/quorate.v1.Databases/Switchover", &request.base, argv[1],
                     options[1].value != NULL);
}

int cmd_db_failover(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        {"to", true, NULL}, {"wait", false, NULL}, {"force", false, NULL}};
    Quorate__V1__DatabaseFailoverRequest request;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_failover_request__init(&request);
    rc = rc != 0 ? rc : one_cluster(argc, "db failover [--to MEMBER] [--force] [--wait]");
    if (rc != 0) {
        return rc;
    }
    char to[BASE_NAME_MAX + 1];
    (void)snprintf(to, sizeof(to), "%s", options[0].value == NULL ? "" : options[0].value);
    request.cluster = argv[1];
    request.to = to;
    request.force = options[2].value != NULL;
    return run_order(ctx, "/quorate.v1.Databases/Failover", &request.base, argv[1],
                     options[1].value != NULL);
}

static int add_confirm_row(struct io_table *table, const Quorate__V1__DatabaseMember *m)
{
    char seen[CELL_MAX];
    char held[CELL_MAX];
    char lineage[CELL_MAX];
    char lsn[CELL_MAX];
    (void)snprintf(lsn, sizeof(lsn), "%" PRIX32 "/%" PRIX32, (uint32_t)(m->lsn >> 32),
                   (uint32_t)m->lsn);
    return IO_TABLE_ADD(table, m->name, m->is_up ? "yes" : "no", m->state,
                        number_text(m->epoch_seen, seen),
                        m->epoch_held == 0 ? "-" : number_text(m->epoch_held, held),
                        number_text(m->lineage, lineage), lsn);
}

/* What the agents report, before anything is confirmed. */
static int print_reports(const struct cli *cli, const Quorate__V1__DatabaseCluster *cluster)
{
    if (cli->output == CLI_JSON) {
        return 0;
    }
    struct io_table *table = io_table_new("MEMBER|HEARD|STATE|>EPOCH SEEN|>HELD|>HISTORY OF|>LSN");
    int rc = table == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < cluster->n_members && rc == 0; i++) {
        rc = add_confirm_row(table, cluster->members[i]);
    }
    if (rc == 0) {
        if (cluster->epoch == 0) {
            (void)printf("%s  no record\n", cluster->name);
        } else {
            (void)printf("%s  record: epoch %" PRIu64 ", primary %s\n", cluster->name,
                         cluster->epoch, cluster->primary);
        }
        io_table_print(table, stdout, true);
        (void)fflush(stdout);
    }
    (void)io_table_free(table);
    return rc == 0 ? 0 : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}

int cmd_db_confirm(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        {"primary", true, NULL}, {"wait", false, NULL}, {"force", false, NULL}};
    Quorate__V1__DatabaseConfirmRequest request;
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_confirm_request__init(&request);
    rc = rc != 0 ? rc : one_cluster(argc, "db confirm [--primary MEMBER] [--force] [--wait]");
    rc = rc != 0 ? rc : fetch_cluster(ctx, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    rc = print_reports(ctx, answer->cluster);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    char primary[BASE_NAME_MAX + 1];
    (void)snprintf(primary, sizeof(primary), "%s",
                   options[0].value == NULL ? "" : options[0].value);
    request.cluster = argv[1];
    request.primary = primary;
    request.force = options[2].value != NULL;
    return rc != 0 ? rc
                   : run_order(ctx, "/quorate.v1.Databases/Confirm", &request.base, argv[1],
                               options[1].value != NULL);
}

static const char *wall_text(int64_t wall_us, char memory[static CELL_MAX])
{
    time_t seconds = (time_t)(wall_us / BASE_US_PER_S);
    struct tm parts;
    if (gmtime_r(&seconds, &parts) == NULL ||
        strftime(memory, CELL_MAX, "%Y-%m-%d %H:%M:%SZ", &parts) == 0) {
        return "-";
    }
    return memory;
}

static int print_history(const struct cli *cli, const Quorate__V1__DatabaseHistoryResponse *answer)
{
    json_t *array = json_array();
    struct io_table *table = io_table_new(">EPOCH|WHEN|KIND|PRIMARY|FORMER|>TL|REASON");
    int rc = table == NULL || array == NULL ? BASE_E_NOMEM : 0;
    for (size_t i = 0; i < answer->n_entries && rc == 0; i++) {
        const Quorate__V1__DatabaseHistoryEntry *e = answer->entries[i];
        char epoch[CELL_MAX];
        char wall[CELL_MAX];
        char timeline[CELL_MAX];
        json_t *entry = json_loads(e->json, 0, NULL);
        (void)json_array_append_new(array, entry == NULL ? json_string(e->json) : entry);
        rc = IO_TABLE_ADD(table, number_text(e->epoch, epoch), wall_text(e->wall_us, wall), e->kind,
                          e->holder, e->former[0] == '\0' ? "-" : e->former,
                          number_text(e->timeline, timeline),
                          e->reason[0] == '\0' ? "-" : e->reason);
    }
    if (rc == 0 && cli->output == CLI_JSON) {
        (void)cli_print_json(json_incref(array));
    } else if (rc == 0) {
        io_table_print(table, stdout, true);
    }
    json_decref(array);
    (void)io_table_free(table);
    return rc == 0 ? IO_EXIT_OK : cli_fail(IO_EXIT_INTERNAL, "out of memory");
}

int cmd_db_history(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"limit", true, NULL}};
    Quorate__V1__DatabaseHistoryRequest request;
    ProtobufCMessage *answer = NULL;
    int64_t limit = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_history_request__init(&request);
    rc = rc != 0 ? rc : one_cluster(argc, "db history");
    if (rc == 0 && options[0].value != NULL) {
        rc = cli_number("--limit", options[0].value, &limit);
    }
    if (rc == 0 && (limit < 0 || limit > UINT32_MAX)) {
        rc = cli_fail(IO_EXIT_USAGE, "--limit: must not be negative");
    }
    if (rc != 0) {
        return rc;
    }
    request.cluster = argv[1];
    request.limit = (uint32_t)limit;
    rc = cli_call(ctx, "/quorate.v1.Databases/History", &request.base,
                  &quorate__v1__database_history_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_history(ctx, (const Quorate__V1__DatabaseHistoryResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}

static int print_why(const struct cli *cli, const Quorate__V1__DatabaseWhyResponse *answer)
{
    if (cli->output == CLI_JSON) {
        json_t *entry = json_loads(answer->json, 0, NULL);
        return cli_print_json(json_pack("{s:I, s:o, s:o}", "epoch", (json_int_t)answer->epoch,
                                        "lines", json_of_texts(answer->n_lines, answer->lines),
                                        "entry", entry == NULL ? json_null() : entry));
    }
    (void)printf("epoch %" PRIu64 "\n", answer->epoch);
    for (size_t i = 0; i < answer->n_lines; i++) {
        (void)printf("  %s\n", answer->lines[i]);
    }
    return IO_EXIT_OK;
}

int cmd_db_why(void *ctx, int argc, char **argv)
{
    Quorate__V1__DatabaseWhyRequest request;
    ProtobufCMessage *answer = NULL;
    int64_t epoch = 0;
    int rc = cli_options(&argc, argv, NULL, 0);
    quorate__v1__database_why_request__init(&request);
    if (rc == 0 && argc != 2 && argc != 3) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv db why CLUSTER [EPOCH]");
    }
    if (rc == 0 && argc == 3) {
        rc = cli_number("EPOCH", argv[2], &epoch);
    }
    if (rc == 0 && epoch < 0) {
        rc = cli_fail(IO_EXIT_USAGE, "EPOCH: must not be negative");
    }
    if (rc != 0) {
        return rc;
    }
    request.cluster = argv[1];
    request.epoch = (uint64_t)epoch;
    rc = cli_call(ctx, "/quorate.v1.Databases/Why", &request.base,
                  &quorate__v1__database_why_response__descriptor, &answer);
    if (rc == 0) {
        rc = print_why(ctx, (const Quorate__V1__DatabaseWhyResponse *)(const void *)answer);
        protobuf_c_message_free_unpacked(answer, NULL);
    }
    return rc;
}
