/* SPDX-License-Identifier: Apache-2.0 */
/* From the driver's memory to messages; see present.h. */
#include "arbiter/api/present.h"

#include "proto/io/loop.h"

bool arb_present_is_shown(const struct arb_driver *driver, const struct arb_cluster *cluster)
{
    uint64_t revision = 0;
    struct slice text;
    return cluster->record.epoch != 0 || cluster->views_count > 0 ||
           arb_driver_document(driver, &cluster->name, &revision, &text);
}

void arb_present_show(const struct arb_driver *driver, const struct arb_cluster *cluster,
                      struct arb_show *show)
{
    struct arb_show_from from = {
        .cluster = cluster, .now = io_now(), .wall = io_wall_now(), .seen_count = 0};
    struct slice text;
    from.seen_count = arb_driver_seen(driver, cluster, from.seen);
    if (!arb_driver_document(driver, &cluster->name, &from.config_newest, &text)) {
        from.config_newest = 0;
    }
    arb_show_fill(show, &from);
}

void arb_present_events(const struct arb_driver *driver, const struct arb_cluster *cluster,
                        struct arb_present_events *events)
{
    struct base_mono now = io_now();
    int64_t wall_us = io_wall_now().us;
    events->count = arb_driver_story(driver, cluster, events->story);
    for (size_t i = 0; i < events->count; i++) {
        const struct arb_note *note = &events->story[i];
        Quorate__V1__DatabaseEvent *m = &events->messages[i];
        struct buf b = buf_over((uint8_t *)events->texts[i], ARB_EVENT_MAX - 1);
        union {
            const char *in;
            char *out;
        } name = {.in = arb_note_name(note->kind)}; /* only read when it is packed */
        quorate__v1__database_event__init(m);
        arb_note_put(note, &b);
        events->texts[i][b.len] = '\0';
        m->wall_us = wall_us - base_mono_diff_us(now, note->at);
        m->event = name.out;
        m->text = events->texts[i];
        events->list[i] = m;
    }
}
