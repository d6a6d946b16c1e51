/* SPDX-License-Identifier: Apache-2.0 */
/* Pages of the documentation that are made from the tables of the code. usage: reference
 * metrics|events|names. `make docs` writes docs/metrics.md and docs/events.md with it, `make
 * docs-check` compares them; `names` prints the bare names of metrics, for the checks of dashboard
 * and rules. */
#include <stdio.h>
#include <string.h>

#include "agents/http_metrics_table.h"
#include "agents/proxy/metrics_table.h"
#include "arbiter/core/note.h"
#include "arbiter/notify/told.h"
#include "arbiter/quorated/metrics_table.h"
#include "base/metric.h"
#include "proto/io/log_events.h"

#define COMMON(type, name, value, help) {#type, #name, "", help},
#define OTHER(id, type, name, labels, help) {#type, #name, labels, help},
static const struct base_metric_row node_rows[] = {QUORATED_FIGURES(COMMON)
                                                       QUORATED_OTHER_METRICS(OTHER)};
#undef OTHER
#undef COMMON
#define ROW(type, name, value, help) {#type, #name, "cluster", help},
static const struct base_metric_row database_rows[] = {QUORATED_DATABASE_FIGURES(ROW)};
#undef ROW
#define ROW(type, name, value, help) {#type, #name, "cluster, member", help},
static const struct base_metric_row member_rows[] = {QUORATED_MEMBER_FIGURES(ROW)};
#undef ROW
#define ROW(type, name, value, help) {#type, #name, "cluster", help},
#define STATE(id, type, name, help) {#type, #name, "cluster, state", help},
static const struct base_metric_row mongodb_rows[] = {QUORATED_MONGODB_FIGURES(ROW)
                                                          QUORATED_MONGODB_STATES(STATE)};
#undef STATE
#undef ROW
#define ROW(name, type, help, value) {type, name, "", help},
#define OTHER(type, name, labels, help) {type, name, labels, help},
static const struct base_metric_row agent_rows[] = {AGT_HTTP_METRICS(ROW) AGT_HTTP_GALERA_METRICS(
    ROW) AGT_HTTP_MONGODB_METRICS(ROW) AGT_HTTP_OTHER_METRICS(OTHER)};
#undef OTHER
#undef ROW
#define COUNTER(field, name, help) {"counter", "quorate_proxy_" name, "cluster, port", help},
#define GAUGE(name, value, help) {"gauge", "quorate_proxy_" name, "cluster, port", help},
#define FIGURE(name, type, value, help) {type, "quorate_proxy_" name, "", help},
static const struct base_metric_row proxy_rows[] = {PROXY_COUNTERS(COUNTER) PROXY_GAUGES(GAUGE)
                                                        PROXY_FIGURES(FIGURE)};
#undef FIGURE
#undef GAUGE
#undef COUNTER

static const struct section {
    const char *title, *text;
    const struct base_metric_row *rows;
    size_t count;
} sections[] = {
    {"Quorum node",
     "`/metrics` of `quorated` on the metrics port (2381) and on the public one. Names are etcd's "
     "where the meaning is the same.",
     node_rows, BASE_COUNT_OF(node_rows)},
    {"Database clusters",
     "On the quorum node that leads only, so that sums over all nodes are right. Label `cluster`.",
     database_rows, BASE_COUNT_OF(database_rows)},
    {"Members of database clusters",
     "As the leader sees them, also when their own port is out of reach. Labels `cluster`, "
     "`member`.",
     member_rows, BASE_COUNT_OF(member_rows)},
    {"MongoDB replica sets",
     "Of clusters that are replica sets, on the quorum node that leads. Label `cluster`; `state` "
     "as docs/mongodb.md names them, a line for each.",
     mongodb_rows, BASE_COUNT_OF(mongodb_rows)},
    {"Agent",
     "`/metrics` on port 8008 of each database host. Names that Patroni has keep its names and "
     "meanings. Labels `scope` (the cluster) and `name` (the member), as Patroni's.",
     agent_rows, BASE_COUNT_OF(agent_rows)},
    {"Proxy", "`/metrics` on the status port of `quorate-proxy` (5002).", proxy_rows,
     BASE_COUNT_OF(proxy_rows)},
};

static void print_metrics(void)
{
    (void)puts("# Metrics\n\nMade from the tables of the code by `make docs`. "
               "`packaging/prometheus` has the configuration of a scrape, alert rules and an\n"
               "Alertmanager sample, `packaging/grafana` a dashboard; both use these names only.");
    for (size_t i = 0; i < BASE_COUNT_OF(sections); i++) {
        const struct section *s = &sections[i];
        (void)printf("\n## %s\n\n%s\n\n| name | type | labels | meaning |\n|---|---|---|---|\n",
                     s->title, s->text);
        for (size_t k = 0; k < s->count; k++) {
            const struct base_metric_row *r = &s->rows[k];
            (void)printf("| `%s` | %s | %s | %s |\n", r->name, r->type, r->labels, r->help);
        }
    }
}

static void print_names(void)
{
    for (size_t i = 0; i < BASE_COUNT_OF(sections); i++) {
        for (size_t k = 0; k < sections[i].count; k++) {
            const struct base_metric_row *r = &sections[i].rows[k];
            bool is_histogram = strcmp(r->type, "histogram") == 0;
            (void)printf("%s%s\n", r->name, is_histogram ? "_bucket" : "");
            if (is_histogram) {
                (void)printf("%s_sum\n%s_count\n", r->name, r->name);
            }
        }
    }
}

static void print_events(void)
{
    static const char *const events[][3] = {
#define EVENT(mod, ev, text) {mod, ev, text},
        IO_LOG_EVENTS(EVENT)
#undef EVENT
    };
    static const char *const notes[][2] = {
#define NOTE(id, name, text) {name, text},
        ARB_NOTES(NOTE)
#undef NOTE
    };
    static const char *const refusals[][2] = {
#define REFUSAL(id, name, text) {name, text},
        ARB_REFUSALS(REFUSAL)
#undef REFUSAL
    };
    (void)puts(
        "# Events\n\nMade from the tables of the code by `make docs`. The names are stable.\n\n"
        "## Sentences of the arbiter\n\nWhat was decided, refused or waited for in a database "
        "cluster. The same names stand in the log of the quorum node that leads\n"
        "(`mod=arbiter ev=NAME cluster=... text=...`), in `kv db history --events`, on the status "
        "page, in the history in the store, in the\nmetric `quorate_events_total`, and in what is "
        "sent to a command or a webhook. `{m}` and `{n}` stand for members, other letters for\n"
        "numbers, positions and reasons.\n\n| event | sentence |\n|---|---|");
    for (size_t i = 0; i < BASE_COUNT_OF(notes); i++) {
        (void)printf("| `%s` | %s |\n", notes[i][0], notes[i][1]);
    }
    (void)puts("\n## Why a member was refused or passed over\n\n| word | it ... |\n|---|---|");
    for (size_t i = 0; i < BASE_COUNT_OF(refusals); i++) {
        (void)printf("| `%s` | %s |\n", refusals[i][0], refusals[i][1]);
    }
    static const char *const told[][2] = {
#define TOLD(id, name, text) {name, text},
        TOLD_EVENTS(TOLD)
#undef TOLD
    };
    (void)puts("\n## What is sent to a command or a webhook\n\nWith `notify.command` or "
               "`notify.url` of the quorum nodes, by the one that leads, at least once, each with "
               "an id that is the same on\nevery node: `{\"id\", \"event\", \"cluster\", "
               "\"text\", \"wall_us\", \"epoch\", \"node\"}`.\n\n"
               "| event | when |\n|---|---|");
    for (size_t i = 0; i < BASE_COUNT_OF(told); i++) {
        (void)printf("| `%s` | %s |\n", told[i][0], told[i][1]);
    }
    (void)puts("\n## Log lines\n\n`ts=2026-01-02T03:04:05.678Z lvl=notice mod=raft ev=role node=n1 "
               "term=7 ...`: one line of key=value to standard error.\n\n"
               "| mod | ev | what happened |\n|---|---|---|");
    for (size_t i = 0; i < BASE_COUNT_OF(events); i++) {
        (void)printf("| `%s` | `%s` | %s |\n", events[i][0], events[i][1], events[i][2]);
    }
}

int main(int argc, char **argv)
{
    const char *what = argc == 2 ? argv[1] : "";
    if (strcmp(what, "metrics") == 0) {
        print_metrics();
    } else if (strcmp(what, "names") == 0) {
        print_names();
    } else if (strcmp(what, "events") == 0) {
        print_events();
    } else {
        (void)fputs("usage: reference metrics|events|names\n", stderr);
        return 2;
    }
    return 0;
}
