/* SPDX-License-Identifier: Apache-2.0 */
/* What happened in a database cluster, on the status page: its failovers, each with where its
 * seconds went, and the last sentences of the arbiter; see page.h. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "arbiter/api/entry.h"
#include "arbiter/web/page.h"

#define EVENTS_SHOWN 12
#define BAR_WIDTH 1000.0

/* The steps of a decision, as arbiter/record_json.c names them. */
static const struct {
    const char *key, *text;
} steps[] = {
    {"detection", "until the loss was known"},
    {"lease", "until the old right was over"},
    {"vote", "until the votes were there"},
    {"commit", "until the decision was committed"},
    {"open", "until the new one was open for writes"},
};

/* In microseconds; -1: not known. */
static int64_t step_us(json_t *entry, size_t i)
{
    json_t *value = json_object_get(json_object_get(entry, "times_us"), steps[i].key);
    return json_is_integer(value) && json_integer_value(value) >= 0 ? json_integer_value(value)
                                                                    : -1;
}

static int64_t sum_us(json_t *entry)
{
    int64_t sum = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++) {
        int64_t us = step_us(entry, i);
        sum += us > 0 ? us : 0;
    }
    return sum;
}

/* A line of segments as long as the time they took; what it says stands in the list below it. */
static void put_bar(struct web_out *out, json_t *entry)
{
    double sum = (double)sum_us(entry);
    double at = 0;
    web_raw(out, "<svg class=\"bar\" viewBox=\"0 0 1000 14\" preserveAspectRatio=\"none\" "
                 "aria-hidden=\"true\" focusable=\"false\">");
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++) {
        int64_t us = step_us(entry, i);
        if (us <= 0) {
            continue;
        }
        double width = (double)us / sum * BAR_WIDTH;
        char rect[128];
        (void)snprintf(rect, sizeof(rect),
                       "<rect class=\"t%zu\" x=\"%.1f\" y=\"0\" width=\"%.1f\" height=\"14\"/>", i,
                       at, width > 2 ? width : 2.0);
        web_raw(out, rect);
        at += width;
    }
    web_raw(out, "</svg>\n");
}

static void put_steps(struct web_out *out, json_t *entry)
{
    if (sum_us(entry) == 0) {
        return;
    }
    put_bar(out, entry);
    web_raw(out, "<ol class=\"steps\">\n");
    for (size_t i = 0; i < BASE_COUNT_OF(steps); i++) {
        int64_t us = step_us(entry, i);
        char item[64];
        if (us < 0) {
            continue;
        }
        (void)snprintf(item, sizeof(item), "<li class=\"t%zu\"><b>", i);
        web_raw(out, item);
        web_textf(out, "%.3f s", (double)us / 1e6);
        web_raw(out, "</b> ");
        web_raw(out, steps[i].text);
        web_raw(out, "</li>\n");
    }
    web_raw(out, "</ol>\n");
}

static void put_why(struct web_out *out, json_t *entry, const char *id)
{
    struct arb_why_lines lines = {0};
    arb_why_fill(&lines, entry);
    web_raw(out, "<details");
    web_attribute(out, "id", id);
    web_raw(out, "><summary>Decided from what</summary><ul class=\"why\">\n");
    for (size_t i = 0; i < lines.count; i++) {
        web_raw(out, "<li>");
        web_text(out, lines.list[i]);
        web_raw(out, "</li>\n");
    }
    web_raw(out, "</ul></details>\n");
    arb_why_free(&lines);
}

static void put_entry(struct web_out *out, const struct web_cluster *cluster, json_t *entry)
{
    const char *from = arb_entry_text(entry, "from");
    const char *to = arb_entry_text(entry, "to");
    const char *reason = arb_entry_text(entry, "reason");
    uint64_t epoch = arb_entry_number(entry, "epoch");
    int64_t sum = sum_us(entry);
    char id[128];
    (void)snprintf(id, sizeof(id), "w-%.63s-%" PRIu64, cluster->message->name, epoch);
    web_raw(out, "<li");
    web_number(out, "data-entry", (int64_t)epoch);
    web_attribute(out, "data-kind", arb_entry_text(entry, "kind"));
    web_raw(out, "><p><b>");
    web_text(out, arb_entry_text(entry, "kind"));
    web_raw(out, "</b> ");
    if (from[0] != '\0' && strcmp(from, to) != 0) {
        web_textf(out, "from %s to %s", from, to);
    } else {
        web_textf(out, "of %s", to);
    }
    web_textf(out, ", epoch %" PRIu64 ", ", epoch);
    web_time(out, (int64_t)arb_entry_number(entry, "since_wall_us"));
    if (sum > 0) {
        web_textf(out, ": %.2f s", (double)sum / 1e6);
    }
    web_textf(out, "%s%s", reason[0] == '\0' ? "" : "; ", reason);
    web_raw(out, "</p>\n");
    put_steps(out, entry);
    put_why(out, entry, id);
    web_raw(out, "</li>\n");
}

static void put_events(struct web_out *out, const struct web_cluster *cluster)
{
    size_t count = cluster->events_count;
    size_t first = count > EVENTS_SHOWN ? count - EVENTS_SHOWN : 0;
    web_raw(out, "<h3>Events</h3>\n");
    if (count == 0) {
        web_raw(out, cluster->is_leader
                         ? "<p class=\"aside\">None since this node began to decide.</p>\n"
                         : "<p class=\"aside\">Told by the node that leads.</p>\n");
        return;
    }
    web_raw(out, "<ol class=\"events\">\n");
    for (size_t i = count; i > first; i--) {
        const Quorate__V1__DatabaseEvent *event = cluster->events[i - 1];
        web_raw(out, "<li");
        web_attribute(out, "data-event", event->event);
        web_raw(out, ">");
        web_time(out, event->wall_us);
        web_raw(out, " ");
        web_text(out, event->text);
        web_raw(out, "</li>\n");
    }
    web_raw(out, "</ol>\n");
}

void web_part_story(struct web_out *out, const struct web_cluster *cluster)
{
    char id[WEB_CELL_MAX + 32];
    (void)snprintf(id, sizeof(id), "s-%.63s", cluster->message->name);
    web_raw(out, "<section class=\"card story\"");
    web_attribute(out, "id", id);
    (void)snprintf(id, sizeof(id), "What happened in %.63s", cluster->message->name);
    web_attribute(out, "aria-label", id);
    web_raw(out, ">\n<h3>Changes of the primary</h3>\n");
    if (cluster->entries_count == 0) {
        web_raw(out, cluster->is_history_read ? "<p class=\"aside\">None is kept.</p>\n"
                                              : "<p class=\"aside\">Being read.</p>\n");
    } else {
        web_raw(out, "<ol class=\"entries\">\n");
        for (size_t i = 0; i < cluster->entries_count; i++) {
            put_entry(out, cluster, cluster->entries[i]);
        }
        web_raw(out, "</ol>\n");
    }
    put_events(out, cluster);
    web_raw(out, "</section>\n");
}
