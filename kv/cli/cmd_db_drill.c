/* SPDX-License-Identifier: Apache-2.0 */
/* kv db drill: would a failover go well? Checks, a switchover to the best standby and one back,
 * with the seconds of each as the arbiter has written them down. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "kv/cli/commands.h"
#include "kv/cli/db.h"
#include "proto/io/loop.h"

#define LAG_MAX_BYTES (16u << 20)
#define WAIT_MS 120000u /* the former primary has to come back as a standby in between */

/* --- checks --- */

struct check {
    const char *name;
    bool (*is_good)(const Quorate__V1__DatabaseCluster *c);
    const char *otherwise;
};

static bool is_healthy(const Quorate__V1__DatabaseCluster *c)
{
    return strcmp(c->state, "healthy") == 0;
}

static bool is_active(const Quorate__V1__DatabaseCluster *c)
{
    return !c->is_paused && c->switchover_at_wall_us == 0 && c->n_tasks == 0;
}

static size_t count_fit(const Quorate__V1__DatabaseCluster *c)
{
    size_t count = 0;
    for (size_t i = 0; i < c->n_members; i++) {
        count += strcmp(c->members[i]->candidate, "fit") == 0;
    }
    return count;
}

static bool has_candidate(const Quorate__V1__DatabaseCluster *c)
{
    return count_fit(c) > 0;
}

static bool has_two_candidates(const Quorate__V1__DatabaseCluster *c)
{
    return count_fit(c) > 1;
}

static bool is_lossless(const Quorate__V1__DatabaseCluster *c)
{
    return c->votes_needed_r > 0;
}

static bool is_close(const Quorate__V1__DatabaseCluster *c)
{
    for (size_t i = 0; i < c->n_members; i++) {
        if (c->members[i]->lag_bytes > (int64_t)LAG_MAX_BYTES) {
            return false;
        }
    }
    return true;
}

static bool is_configured(const Quorate__V1__DatabaseCluster *c)
{
    bool is_good = c->config_newest == c->config_revision;
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        is_good = is_good && m->config_revision == c->config_revision && !m->is_restart_pending;
    }
    return is_good;
}

static bool can_write(const Quorate__V1__DatabaseCluster *c)
{
    for (size_t i = 0; i < c->n_members; i++) {
        if (c->members[i]->is_write_failing) {
            return false;
        }
    }
    return true;
}

static bool is_calm(const Quorate__V1__DatabaseCluster *c)
{
    for (size_t i = 0; i < c->n_members; i++) {
        if (c->members[i]->pause_worst_us > (int64_t)c->ttl_ms * BASE_US_PER_MS / 4) {
            return false;
        }
    }
    return true;
}

/* Without the first ones nothing is switched over; the others are worth knowing. */
#define CHECKS_NEEDED 3
static const struct check checks[] = {
    {"all members are there and replicate", is_healthy, "see kv db show"},
    {"nothing is paused, scheduled or under way", is_active, "kv db resume, kv db cancel"},
    {"a standby can take over", has_candidate, "kv db why tells each one's reason"},
    {"a second one could, too", has_two_candidates, "the loss of one more member stops failovers"},
    {"a failover loses nothing acknowledged", is_lossless, "sync is off, or no standby has it all"},
    {"every standby is within 16 MB", is_close, "replay is slow, or the network is"},
    {"one configuration everywhere, no restart pending", is_configured, "kv db restart --pending"},
    {"writes work", can_write, "a disk is full or hangs"},
    {"no agent was ever stalled for a quarter of the ttl", is_calm, "see the pauses in -o wide"},
};

static bool run_checks(const Quorate__V1__DatabaseCluster *c, json_t *report, bool is_quiet)
{
    bool may_go_on = true;
    json_t *array = json_array();
    for (size_t i = 0; i < BASE_COUNT_OF(checks); i++) {
        bool is_good = checks[i].is_good(c);
        may_go_on = may_go_on && (is_good || i >= CHECKS_NEEDED);
        (void)json_array_append_new(
            array, json_pack("{s:s, s:b}", "check", checks[i].name, "ok", (int)is_good));
        if (!is_quiet) {
            (void)printf("%s  %s%s%s\n", is_good ? "ok  " : "FAIL", checks[i].name,
                         is_good ? "" : ": ", is_good ? "" : checks[i].otherwise);
        }
    }
    (void)fflush(stdout);
    (void)json_object_set_new(report, "checks", array);
    return may_go_on;
}

/* --- switchovers --- */

struct step {
    char to[BASE_NAME_MAX + 1];
    char from[BASE_NAME_MAX + 1];
    uint64_t epoch; /* that it replaces */
    int64_t seconds_us;
    int64_t times_us[5];
};

static const char *const time_names[5] = {"detection", "lease", "vote", "commit", "open"};

/* All is well again, and the former primary could take over in its turn. */
static bool is_back(const Quorate__V1__DatabaseCluster *c, const void *ctx)
{
    const struct step *step = ctx;
    bool is_fit = false;
    for (size_t i = 0; i < c->n_members; i++) {
        const Quorate__V1__DatabaseMember *m = c->members[i];
        is_fit = is_fit || (strcmp(m->name, step->from) == 0 && strcmp(m->candidate, "fit") == 0);
    }
    return c->epoch > step->epoch && strcmp(c->primary, step->to) == 0 && is_healthy(c) && is_fit;
}

/* Where the time went, as the history has it. */
static void read_times(struct cli *cli, char *name, struct step *step)
{
    Quorate__V1__DatabaseWhyRequest request;
    ProtobufCMessage *message = NULL;
    quorate__v1__database_why_request__init(&request);
    request.cluster = name;
    if (cli_call(cli, "/quorate.v1.Databases/Why", &request.base,
                 &quorate__v1__database_why_response__descriptor, &message) != 0) {
        return;
    }
    const Quorate__V1__DatabaseWhyResponse *answer =
        (const Quorate__V1__DatabaseWhyResponse *)(const void *)message;
    json_t *entry = json_loads(answer->json, 0, NULL);
    json_t *times = json_object_get(entry, "times_us");
    for (size_t i = 0; i < BASE_COUNT_OF(step->times_us); i++) {
        json_t *value = json_object_get(times, time_names[i]);
        step->times_us[i] = json_is_integer(value) ? json_integer_value(value) : -1;
    }
    json_decref(entry);
    protobuf_c_message_free_unpacked(message, NULL);
}

static int switch_over(struct cli *cli, char *name, struct step *step)
{
    Quorate__V1__DatabaseSwitchoverRequest request;
    quorate__v1__database_switchover_request__init(&request);
    request.cluster = name;
    request.to = step->to;
    int64_t began = io_now().us;
    int rc = db_order(cli, "Switchover", &request.base, true, &step->epoch);
    rc = rc != 0 ? rc : db_wait_epoch(cli, name, &step->epoch, true);
    step->seconds_us = io_now().us - began;
    rc = rc != 0 ? rc : db_wait(cli, name, is_back, step, true);
    if (rc == 0) {
        read_times(cli, name, step);
    }
    return rc;
}

static void report_step(const struct step *step, json_t *steps, bool is_quiet)
{
    json_t *times = json_object();
    char line[CELL_MAX] = "";
    size_t len = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(step->times_us); i++) {
        if (step->times_us[i] >= 0) {
            (void)json_object_set_new(times, time_names[i],
                                      json_real((double)step->times_us[i] / 1e6));
            len +=
                (size_t)snprintf(line + len, sizeof(line) - len, "%s%s %.3f", len == 0 ? "" : ", ",
                                 time_names[i], (double)step->times_us[i] / 1e6);
        }
    }
    (void)json_array_append_new(steps, json_pack("{s:s, s:f, s:o}", "to", step->to, "seconds",
                                                 (double)step->seconds_us / 1e6, "times", times));
    if (!is_quiet) {
        (void)printf("ok    switchover to %s: %.2f s as seen from here (%s)\n", step->to,
                     (double)step->seconds_us / 1e6, line);
        (void)fflush(stdout);
    }
}

/* The fit member that the arbiter would take: the first by name is as good as any for a drill. */
static void choose(const Quorate__V1__DatabaseCluster *c, const char *wanted, struct step *there,
                   struct step *back)
{
    (void)snprintf(back->to, sizeof(back->to), "%s", c->primary);
    (void)snprintf(there->to, sizeof(there->to), "%s", wanted == NULL ? "" : wanted);
    for (size_t i = 0; i < c->n_members && there->to[0] == '\0'; i++) {
        if (strcmp(c->members[i]->candidate, "fit") == 0) {
            (void)snprintf(there->to, sizeof(there->to), "%s", c->members[i]->name);
        }
    }
    memcpy(there->from, back->to, sizeof(there->from));
    memcpy(back->from, there->to, sizeof(back->from));
}

static int drill(struct cli *cli, char *name, struct step steps[2], json_t *report)
{
    json_t *array = json_array();
    int rc = 0;
    bool is_quiet = cli->output == CLI_JSON;
    (void)json_object_set_new(report, "switchovers", array);
    for (size_t i = 0; i < 2 && rc == 0; i++) {
        rc = switch_over(cli, name, &steps[i]);
        if (rc == 0) {
            report_step(&steps[i], array, is_quiet);
        }
    }
    return rc;
}

int cmd_db_drill(void *ctx, int argc, char **argv)
{
    struct cli_option options[] = {
        {"to", true, NULL}, {"check-only", false, NULL}, {"force", false, NULL}};
    Quorate__V1__DatabaseShowResponse *answer = NULL;
    struct step steps[2] = {{.epoch = 0}, {.epoch = 0}};
    struct cli *cli = ctx;
    int rc = cli_options(&argc, argv, options, BASE_COUNT_OF(options));
    rc = rc != 0 ? rc : db_one_cluster(argc, "db drill [--to MEMBER] [--check-only] [--force]");
    rc = rc != 0 ? rc : db_fetch(cli, argv[1], &answer);
    if (rc != 0) {
        return rc;
    }
    json_t *report = json_pack("{s:s}", "cluster", argv[1]);
    bool may_go_on = run_checks(answer->cluster, report, cli->output == CLI_JSON);
    choose(answer->cluster, options[0].value, &steps[0], &steps[1]);
    protobuf_c_message_free_unpacked(&answer->base, NULL);
    if (!may_go_on) {
        rc = cli_fail(IO_EXIT_FALSE, "nothing was switched over: a check that matters failed");
    } else if (options[1].value == NULL) {
        rc = db_confirm(options[2].value != NULL, argv[1],
                        "Two switchovers follow; each stops writes for a moment");
        uint32_t timeout_ms = cli->timeout_ms;
        cli->timeout_ms = timeout_ms > WAIT_MS ? timeout_ms : WAIT_MS;
        rc = rc != 0 ? rc : drill(cli, argv[1], steps, report);
        cli->timeout_ms = timeout_ms;
    }
    (void)json_object_set_new(report, "ok", json_boolean(rc == 0));
    if (cli->output == CLI_JSON) {
        (void)cli_print_json(json_incref(report));
    }
    json_decref(report);
    return rc;
}
