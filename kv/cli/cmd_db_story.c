/* SPDX-License-Identifier: Apache-2.0 */
/* kv db history, why: what was decided, from what, and what waits now. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"

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
        rc = IO_TABLE_ADD(table, db_number_text(e->epoch, epoch), db_wall_text(e->wall_us, wall),
                          e->kind, e->holder, e->former[0] == '\0' ? "-" : e->former,
                          db_number_text(e->timeline, timeline),
                          e->reason[0] == '\0' ? "-" : e->reason);
    }
    return cli_end_list(cli, table, array, rc);
}

/* What the leader has said, a line each. */
static int print_events(const struct cli *cli, const Quorate__V1__DatabaseShowResponse *answer)
{
    json_t *array = json_array();
    for (size_t i = 0; i < answer->n_events; i++) {
        const Quorate__V1__DatabaseEvent *e = answer->events[i];
        char wall[CELL_MAX];
        if (cli->output != CLI_JSON) {
            (void)printf("%s  %s\n", db_wall_text(e->wall_us, wall), e->text);
        }
        (void)json_array_append_new(array,
                                    json_pack("{s:I, s:s, s:s}", "wall_us", (json_int_t)e->wall_us,
                                              "event", e->event, "text", e->text));
    }
    if (cli->output == CLI_JSON) {
        return cli_print_json(array);
    }
    json_decref(array);
    return IO_EXIT_OK;
}

static int events_of(struct cli *cli, char *name)
{
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    int rc = db_fetch_events(cli, name, &answer);
    if (rc == 0) {
        rc = print_events(cli, answer);
        protobuf_c_message_free_unpacked(&answer->base, NULL);
    }
    return rc;
}

int cmd_db_history(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {{"limit", true, NULL}, {"events", false, NULL}};
    Quorate__V1__DatabaseHistoryRequest request;
    ProtobufCMessage *answer = NULL;
    int64_t limit = 0;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    quorate__v1__database_history_request__init(&request);
    rc = rc != 0 ? rc : db_one_cluster(argc, "db history [--limit N | --events]");
    if (rc == 0 && options[0].value != NULL) {
        rc = cli_number("--limit", options[0].value, &limit);
    }
    if (rc == 0 && (limit < 0 || limit > UINT32_MAX)) {
        rc = cli_fail(IO_EXIT_USAGE, "--limit: must not be negative");
    }
    if (rc != 0) {
        return rc;
    }
    if (options[1].value != NULL) {
        return events_of(ctx, argv[1]);
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

/* What holds now: what is waited for, and why each member could not take over. */
static void print_now(const Quorate__V1__DatabaseCluster *c)
{
    (void)printf("now: %s\n", c->state);
    if (c->waiting_for[0] != '\0') {
        (void)printf("  %s\n", c->waiting_for);
    }
    if (c->is_paused) {
        (void)puts("  it is paused: nothing is done by itself until kv db resume");
    }
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        if (strcmp(m->name, c->primary) != 0 && m->candidate_text[0] != '\0') {
            (void)printf("  %s could %stake over: it %s\n", m->name,
                         strcmp(m->candidate, "fit") == 0 ? "" : "not ", m->candidate_text);
        }
    }
    if (c->loss[0] != '\0') {
        (void)printf("  %s\n", c->loss);
    }
}

static json_t *json_of_now(const Quorate__V1__DatabaseCluster *c)
{
    json_t *candidates = json_object();
    for (size_t i = 0; i < c->n_members; i++) {
        (void)json_object_set_new(candidates, c->members[i]->name,
                                  json_string(c->members[i]->candidate));
    }
    return json_pack("{s:s, s:s, s:b, s:s, s:o}", "state", c->state, "waiting_for", c->waiting_for,
                     "paused", (int)c->is_paused, "loss", c->loss, "candidates", candidates);
}

static int print_why(const struct cli *cli, const Quorate__V1__DatabaseWhyResponse *answer,
                     const Quorate__V1__DatabaseCluster *now)
{
    if (cli->output == CLI_JSON) {
        json_t *entry = json_loads(answer->json, 0, NULL);
        return cli_print_json(json_pack("{s:I, s:o, s:o, s:o}", "epoch", (json_int_t)answer->epoch,
                                        "lines", db_json_texts(answer->n_lines, answer->lines),
                                        "entry", entry == NULL ? json_null() : entry, "now",
                                        now == NULL ? json_null() : json_of_now(now)));
    }
    if (now != NULL) {
        print_now(now);
    }
    if (answer->epoch == 0) {
        (void)puts("nothing was decided yet: there is no record");
    } else {
        (void)printf("epoch %" PRIu64 "\n", answer->epoch);
    }
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
    if (rc != 0) {
        return rc;
    }
    Quorate__V1__DatabaseShowResponse *now = NULL;
    if (epoch == 0) {
        (void)db_fetch(ctx, argv[1], &now); /* what was is told without it, too */
    }
    rc = print_why(ctx, (const Quorate__V1__DatabaseWhyResponse *)(const void *)answer,
                   now == NULL ? NULL : now->cluster);
    protobuf_c_message_free_unpacked(answer, NULL);
    if (now != NULL) {
        protobuf_c_message_free_unpacked(&now->base, NULL);
    }
    return rc;
}
