/* SPDX-License-Identifier: Apache-2.0 */
/* kv db switchover, failover, confirm, cancel, pause, resume, drain, undrain, remove: orders about
 * who is the primary and who takes part. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"

#define OVERRIDE_MAX 16 /* members of a cluster */

/* protobuf-c has no const texts in its structs; it only reads them when packing. */
static char *text_of(const char *text)
{
    union {
        const char *in;
        char *out;
    } u = {.in = text == NULL ? "" : text};
    return u.out;
}

/* --- who is the primary --- */

int cmd_db_switchover(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"to", true, NULL}, {"wait", false, NULL}, {"at", true, NULL}};
    Quorate__V1__DatabaseSwitchoverRequest request;
    uint64_t epoch = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_switchover_request__init(&request);
    rc = rc != 0 ? rc : db_one_cluster(argc, "db switchover [--to MEMBER] [--at TIME] [--wait]");
    rc = rc != 0 ? rc : db_time("--at", options[2].value, &request.at_wall_us);
    if (rc != 0) {
        return rc;
    }
    bool is_waiting = options[1].value != NULL;
    if (is_waiting && request.at_wall_us != 0) {
        return cli_fail(IO_EXIT_USAGE, "--wait is for a switchover at once, not one with --at");
    }
    request.cluster = argv[1];
    request.to = text_of(options[0].value);
    struct cli *cli = ctx;
    rc = db_order(cli, "Switchover", &request.base, is_waiting && cli->output == CLI_JSON, &epoch);
    return rc != 0 || !is_waiting ? rc : db_wait_epoch(ctx, argv[1], &epoch, false);
}

int cmd_db_failover(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        {"to", true, NULL}, {"wait", false, NULL}, {"force", false, NULL}};
    Quorate__V1__DatabaseFailoverRequest request;
    uint64_t epoch = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_failover_request__init(&request);
    rc = rc != 0 ? rc : db_one_cluster(argc, "db failover [--to MEMBER] [--force] [--wait]");
    if (rc != 0) {
        return rc;
    }
    bool is_waiting = options[1].value != NULL;
    struct cli *cli = ctx;
    request.cluster = argv[1];
    request.to = text_of(options[0].value);
    request.force = options[2].value != NULL;
    rc = db_order(cli, "Failover", &request.base, is_waiting && cli->output == CLI_JSON, &epoch);
    return rc != 0 || !is_waiting ? rc : db_wait_epoch(ctx, argv[1], &epoch, false);
}

static int add_confirm_row(struct io_table *table, const Quorate__V1__DatabaseMember *m)
{
    char seen[CELL_MAX];
    char held[CELL_MAX];
    char lineage[CELL_MAX];
    char lsn[CELL_MAX];
    (void)snprintf(lsn, sizeof(lsn), "%" PRIX32 "/%" PRIX32, (uint32_t)(m->lsn >> 32),
                   (uint32_t)m->lsn);
    if (m->galera != NULL) {
        (void)snprintf(lsn, sizeof(lsn), "%" PRId64, m->galera->seqno);
    }
    return IO_TABLE_ADD(
        table, m->name, m->is_up ? "yes" : "no", m->state, db_number_text(m->epoch_seen, seen),
        m->epoch_held == 0 ? "-" : db_number_text(m->epoch_held, held),
        db_number_text(m->galera != NULL ? m->galera->generation : m->lineage, lineage), lsn);
}

/* What the agents report, before anything is confirmed. */
static int print_reports(const struct cli *cli, const Quorate__V1__DatabaseCluster *cluster)
{
    if (cli->output == CLI_JSON) {
        return 0;
    }
    struct io_table *table = io_table_new(
        cluster->galera == NULL ? "MEMBER|HEARD|STATE|>EPOCH SEEN|>HELD|>HISTORY OF|>LSN"
                                : "MEMBER|HEARD|STATE|>EPOCH SEEN|>HELD|>GENERATION|>SEQNO");
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

static bool is_over_or_quiet(const Quorate__V1__DatabaseCluster *c, const void *ctx)
{
    return !c->is_unconfirmed && db_is_epoch_over(c, ctx);
}

/* Names between commas; the text is cut up. */
static size_t split_names(const char *text, char *ret_names[OVERRIDE_MAX])
{
    size_t count = 0;
    char *rest = NULL;
    char *at = text == NULL ? NULL : strtok_r(text_of(text), ",", &rest);
    for (; at != NULL && count < OVERRIDE_MAX; at = strtok_r(NULL, ",", &rest)) {
        ret_names[count++] = at;
    }
    return count;
}

int cmd_db_confirm(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"primary", true, NULL},
                                   {"wait", false, NULL},
                                   {"force", false, NULL},
                                   {"dead", true, NULL},
                                   {"override", true, NULL}};
    char *overridden[OVERRIDE_MAX];
    Quorate__V1__DatabaseConfirmRequest request;
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    struct cli *cli = ctx;
    uint64_t epoch = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_confirm_request__init(&request);
    rc = rc != 0 ? rc
                 : db_one_cluster(argc, "db confirm [--primary MEMBER] [--override MEMBER,...] "
                                        "[--force] [--wait] | --dead MEMBER");
    rc = rc != 0 ? rc : db_fetch(ctx, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    bool is_waiting = options[1].value != NULL;
    request.cluster = argv[1];
    request.primary = text_of(options[0].value);
    request.force = options[2].value != NULL;
    request.dead = text_of(options[3].value);
    request.override = overridden;
    request.n_override = split_names(options[4].value, overridden);
    if (options[3].value == NULL) {
        rc = print_reports(cli, answer->cluster);
    } else {
        rc = db_confirm(request.force, options[3].value,
                        "This is a promise that no database process of that host runs, nor ever "
                        "goes on: if it does, two primaries write");
    }
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    rc = rc != 0 ? rc
                 : db_order(cli, "Confirm", &request.base, is_waiting && cli->output == CLI_JSON,
                            &epoch);
    return rc != 0 || !is_waiting ? rc : db_wait(ctx, argv[1], is_over_or_quiet, &epoch, false);
}

int cmd_db_cancel(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"planned", false, NULL}, {"catch-up", false, NULL}};
    Quorate__V1__DatabaseCancelRequest request;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_cancel_request__init(&request);
    request.planned = options[0].value != NULL;
    request.catch_up = options[1].value != NULL;
    bool is_alone = request.planned || request.catch_up;
    if (rc == 0 &&
        ((argc != 2 && (argc != 3 || is_alone)) || (request.planned && request.catch_up))) {
        rc = cli_fail(IO_EXIT_USAGE,
                      "usage: kv db cancel CLUSTER [MEMBER | --planned | --catch-up]");
    }
    if (rc != 0) {
        return rc;
    }
    request.cluster = argv[1];
    request.member = text_of(argv[2]); /* argv ends with NULL */
    return db_order(ctx, "Cancel", &request.base, false, NULL);
}

/* --- pause --- */

/* Everybody who is up has taken it in. */
static bool is_paused_everywhere(const Quorate__V1__DatabaseCluster *c, const void *ctx)
{
    const bool *wanted = ctx;
    bool is_everywhere = (c->is_paused != 0) == *wanted;
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        is_everywhere = is_everywhere && (!m->is_up || (m->is_paused != 0) == *wanted);
    }
    return is_everywhere;
}

static int pause_or_resume(struct cli *cli, int argc, char **argv, bool is_pause)
{
    struct cli_option options[] = {{"wait", false, NULL}};
    Quorate__V1__DatabasePauseRequest request;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_pause_request__init(&request);
    rc = rc != 0 ? rc : db_one_cluster(argc, is_pause ? "db pause [--wait]" : "db resume [--wait]");
    if (rc != 0) {
        return rc;
    }
    bool is_waiting = options[0].value != NULL;
    request.cluster = argv[1];
    request.resume = !is_pause;
    rc = db_order(cli, "Pause", &request.base, is_waiting && cli->output == CLI_JSON, NULL);
    return rc != 0 || !is_waiting ? rc
                                  : db_wait(cli, argv[1], is_paused_everywhere, &is_pause, false);
}

int cmd_db_pause(void *ctx, int argc, char **argv)
{
    return pause_or_resume(ctx, argc, argv, true);
}

int cmd_db_resume(void *ctx, int argc, char **argv)
{
    return pause_or_resume(ctx, argc, argv, false);
}

/* --- members that are to go --- */

static int cluster_and_member(int argc, const char *command)
{
    return argc == 3 ? 0
                     : cli_fail(IO_EXIT_USAGE, "usage: kv %s CLUSTER MEMBER; kv db show lists them",
                                command);
}

/* The member is no primary any more, and somebody else is. */
static bool is_drained(const Quorate__V1__DatabaseCluster *c, const void *ctx)
{
    const char *member = ctx;
    return strcmp(c->primary, member) != 0 && strcmp(c->state, "no primary") != 0 &&
           strcmp(c->state, "switchover") != 0;
}

int cmd_db_drain(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"wait", false, NULL}, {"force", false, NULL}};
    Quorate__V1__DatabaseDrainRequest request;
    struct cli *cli = ctx;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_drain_request__init(&request);
    rc = rc != 0 ? rc : cluster_and_member(argc, "db drain [--force] [--wait]");
    if (rc != 0) {
        return rc;
    }
    bool is_waiting = options[0].value != NULL;
    request.cluster = argv[1];
    request.member = argv[2];
    request.force = options[1].value != NULL;
    rc = db_order(cli, "Drain", &request.base, is_waiting && cli->output == CLI_JSON, NULL);
    return rc != 0 || !is_waiting ? rc : db_wait(cli, argv[1], is_drained, argv[2], false);
}

int cmd_db_undrain(void *ctx, int argc, char **argv)
{
    Quorate__V1__DatabaseDrainRequest request;
    int rc = cli_options(&argc, argv, NULL, 0);
    quorate__v1__database_drain_request__init(&request);
    rc = rc != 0 ? rc : cluster_and_member(argc, "db undrain");
    if (rc != 0) {
        return rc;
    }
    request.cluster = argv[1];
    request.member = argv[2];
    request.undrain = true;
    return db_order(ctx, "Drain", &request.base, false, NULL);
}

int cmd_db_remove(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"force", false, NULL}};
    Quorate__V1__DatabaseRemoveRequest request;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_remove_request__init(&request);
    if (rc == 0 && argc != 2 && argc != 3) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv db remove CLUSTER [MEMBER] [--force]");
    }
    if (rc != 0) {
        return rc;
    }
    bool is_whole = argc == 2;
    request.cluster = argv[1];
    request.member = text_of(argv[2]);
    request.force = options[0].value != NULL;
    rc = db_confirm(request.force, is_whole ? argv[1] : argv[2],
                    is_whole ? "The quorum forgets this cluster: its record, history and "
                               "configuration; databases are left as they are"
                             : "The quorum forgets this member; it must not come back with the "
                               "directory that it has");
    return rc != 0 ? rc : db_order(ctx, "Remove", &request.base, false, NULL);
}
