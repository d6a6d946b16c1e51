/* SPDX-License-Identifier: Apache-2.0 */
/* From the driver's memory to parts and to JSON; see render.h. */
#include "arbiter/web/render.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/api/present.h"
#include "kv/cli/db_json.h"

/* Room for one cluster after the other. */
struct desk {
    struct arb_show show;
    struct arb_present_events events;
};

/* FNV-1a, 64 bits: to see whether a text is another one. */
static uint64_t mark_of(uint64_t mark, const void *bytes, size_t len)
{
    const uint8_t *at = bytes;
    for (size_t i = 0; i < len; i++) {
        mark = (mark ^ at[i]) * UINT64_C(1099511628211);
    }
    return mark;
}
#define MARK_START UINT64_C(14695981039346656037)

static struct web_render_part *part_begin(struct web_render *r, const char *prefix,
                                          const char *name)
{
    struct web_render_part *part = &r->parts[r->count++];
    (void)snprintf(part->id, sizeof(part->id), "%s%.64s", prefix, name);
    r->shape = mark_of(r->shape, part->id, strlen(part->id) + 1);
    return part;
}

static void part_end(struct web_render_part *part)
{
    part->mark = mark_of(MARK_START, part->html.bytes.data, part->html.bytes.len);
}

static void add_cluster(struct web_render *r, const struct arb_driver *driver,
                        const struct web_history *history, const struct arb_cluster *cluster,
                        struct desk *desk)
{
    struct web_cluster shown = {.message = &desk->show.cluster,
                                .is_leader = arb_driver_is_leader(driver),
                                .now_us = r->quorum.now_us};
    arb_present_show(driver, cluster, &desk->show);
    arb_present_events(driver, cluster, &desk->events);
    shown.events = desk->events.list;
    shown.events_count = desk->events.count;
    shown.is_history_read =
        web_history_of(history, &cluster->name, &shown.entries, &shown.entries_count);
    web_summary_add(&r->summary, shown.message);
    struct web_render_part *part = part_begin(r, "c-", cluster->name.text);
    web_part_cluster(&part->html, &shown);
    part_end(part);
    part = part_begin(r, "s-", cluster->name.text);
    web_part_story(&part->html, &shown);
    part_end(part);
}

/* What somebody was woken for comes first. */
static bool is_quorum_first(const struct web_render *r)
{
    return web_quorum_level(&r->quorum) == WEB_BAD;
}

int web_render_fill(struct web_render *r, const struct arb_driver *driver,
                    const struct web_history *history)
{
    const struct arb_cluster *cluster = NULL;
    struct desk *desk = calloc(1, sizeof(*desk));
    if (desk == NULL) {
        return BASE_E_NOMEM;
    }
    r->shape = MARK_START;
    struct web_render_part *summary = part_begin(r, "summary", "");
    struct web_render_part *quorum = part_begin(r, "quorum", "");
    for (size_t i = 0; (cluster = arb_driver_cluster(driver, i)) != NULL; i++) {
        if (r->count + 2 <= WEB_PARTS_MAX && arb_present_is_shown(driver, cluster)) {
            add_cluster(r, driver, history, cluster, desk);
        }
    }
    web_part_quorum(&quorum->html, &r->quorum);
    part_end(quorum);
    web_part_summary(&summary->html, &r->quorum, &r->summary); /* when all have been looked at */
    part_end(summary);
    free(desk);
    bool is_first = is_quorum_first(r); /* the page has another order then */
    r->shape = mark_of(r->shape, &is_first, sizeof(is_first));
    for (size_t i = 0; i < r->count; i++) {
        if (r->parts[i].html.is_failed) {
            return BASE_E_NOMEM;
        }
    }
    return 0;
}

void web_render_document(const struct web_render *r, struct web_out *out)
{
    web_page_begin(out, &r->quorum, &r->summary, r->shape);
    if (is_quorum_first(r)) {
        web_part_quorum(out, &r->quorum);
    }
    for (size_t i = 2; i < r->count; i++) {
        const struct io_bytes *html = &r->parts[i].html.bytes;
        if (!out->is_failed && io_bytes_append(&out->bytes, slice_from(html->data, html->len))) {
            out->is_failed = true;
        }
    }
    if (!is_quorum_first(r)) {
        web_part_quorum(out, &r->quorum);
    }
    web_page_end(out, &r->quorum);
}

void web_render_free(struct web_render *r)
{
    for (size_t i = 0; i < r->count; i++) {
        web_out_free(&r->parts[i].html);
    }
    r->count = 0;
}

/* --- JSON --- */

static json_t *json_of_quorum(const struct web_quorum *q)
{
    json_t *nodes = json_array();
    const char *leader = "";
    for (size_t i = 0; i < q->nodes_count; i++) {
        const struct web_node *node = &q->nodes[i];
        leader = node->is_leader ? node->name.text : leader;
        (void)json_array_append_new(
            nodes, json_pack("{s:s, s:s, s:b, s:b, s:b, s:b, s:I}", "name", node->name.text, "url",
                             node->url, "self", (int)node->is_self, "leader", (int)node->is_leader,
                             "learner", (int)node->is_learner, "up", (int)node->is_up, "behind",
                             (json_int_t)node->behind));
    }
    return json_pack("{s:b, s:s, s:I, s:I, s:b, s:b, s:o}", "has_leader", (int)q->has_leader,
                     "leader", leader, "term", (json_int_t)q->term, "applied",
                     (json_int_t)q->applied, "no_space", (int)q->has_no_space, "corrupt",
                     (int)q->is_corrupt, "nodes", nodes);
}

static json_t *json_of_events(const struct arb_present_events *events)
{
    json_t *list = json_array();
    for (size_t i = 0; i < events->count; i++) {
        const Quorate__V1__DatabaseEvent *e = events->list[i];
        (void)json_array_append_new(list,
                                    json_pack("{s:I, s:s, s:s}", "wall_us", (json_int_t)e->wall_us,
                                              "event", e->event, "text", e->text));
    }
    return list;
}

static json_t *json_of_history(const struct web_history *history, const struct base_name *cluster)
{
    json_t *list = json_array();
    json_t *const *entries = NULL;
    size_t count = 0;
    (void)web_history_of(history, cluster, &entries, &count);
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append(list, entries[i]);
    }
    return list;
}

char *web_render_json(const struct web_quorum *quorum, const struct arb_driver *driver,
                      const struct web_history *history)
{
    const struct arb_cluster *cluster = NULL;
    struct desk *desk = calloc(1, sizeof(*desk));
    json_t *clusters = json_array();
    json_t *events = json_object();
    json_t *histories = json_object();
    for (size_t i = 0; desk != NULL && (cluster = arb_driver_cluster(driver, i)) != NULL; i++) {
        if (!arb_present_is_shown(driver, cluster)) {
            continue;
        }
        arb_present_show(driver, cluster, &desk->show);
        arb_present_events(driver, cluster, &desk->events);
        (void)json_array_append_new(clusters, db_json_cluster(&desk->show.cluster));
        (void)json_object_set_new(events, cluster->name.text, json_of_events(&desk->events));
        (void)json_object_set_new(histories, cluster->name.text,
                                  json_of_history(history, &cluster->name));
    }
    json_t *all =
        json_pack("{s:s, s:s, s:b, s:I, s:o, s:o, s:o, s:o}", "node", quorum->name.text, "version",
                  QUORATE_VERSION, "leads", (int)quorum->is_leader, "now_wall_us",
                  (json_int_t)quorum->now_us, "quorum", json_of_quorum(quorum), "clusters",
                  clusters, "events", events, "history", histories);
    char *text = desk == NULL ? NULL : json_dumps(all, JSON_COMPACT | JSON_PRESERVE_ORDER);
    json_decref(all);
    free(desk);
    return text;
}
