/* SPDX-License-Identifier: Apache-2.0 */
/* What was told and what is to be told; see told.h. */
#include "arbiter/notify/told.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "base/name.h"

const char *told_kind_name(enum told_kind kind)
{
    static const char *const names[] = {
#define TOLD_NAME(id, name, text) name,
        TOLD_EVENTS(TOLD_NAME)
#undef TOLD_NAME
    };
    return names[kind];
}

static struct told_facts *find(struct told_facts *list, size_t count, const struct base_name *name)
{
    for (size_t i = 0; i < count; i++) {
        if (base_name_equal(&list[i].cluster, name)) {
            return &list[i];
        }
    }
    return NULL;
}

/* Whether `a` is an older state of the record than `b`. */
static bool is_before(const struct told_facts *a, const struct told_facts *b)
{
    return a->epoch < b->epoch || (a->epoch == b->epoch && a->revision < b->revision);
}

/* --- the queue --- */

static void take_out(struct told *told, size_t at)
{
    told->queue_count--;
    memmove(&told->queue[at], &told->queue[at + 1],
            (told->queue_count - at) * sizeof(told->queue[0]));
}

void told_add(struct told *told, const struct told_event *event)
{
    for (size_t i = 0; i < told->queue_count; i++) {
        if (strcmp(told->queue[i].id, event->id) == 0) {
            return;
        }
    }
    if (told->queue_count == TOLD_QUEUE_MAX) {
        take_out(told, 0);
        told->dropped++;
    }
    told->queue[told->queue_count++] = *event;
    told->added++;
}

void told_remove(struct told *told, const char *id)
{
    for (size_t i = 0; i < told->queue_count; i++) {
        if (strcmp(told->queue[i].id, id) == 0) {
            take_out(told, i);
            return;
        }
    }
}

const struct told_event *told_next(const struct told *told, bool is_leader)
{
    for (size_t i = 0; i < told->queue_count; i++) {
        if (is_leader || told->queue[i].is_own) {
            return &told->queue[i];
        }
    }
    return NULL;
}

void told_forget_spoken(struct told *told)
{
    for (size_t i = told->queue_count; i-- > 0;) {
        if (told->queue[i].facts.epoch == 0 && !told->queue[i].is_own) {
            take_out(told, i);
        }
    }
}

/* --- differences --- */

struct change {
    const struct told_facts *from, *to;
    int64_t wall_us;
};

__attribute__((format(printf, 4, 5))) static void add_change(struct told *told,
                                                             const struct change *c,
                                                             enum told_kind kind,
                                                             const char *format, ...)
{
    struct told_event event = {.kind = kind, .facts = *c->to, .wall_us = c->wall_us};
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(event.text, sizeof(event.text), format, arguments);
    va_end(arguments);
    (void)snprintf(event.id, sizeof(event.id), "%s/%" PRIu64 ".%" PRIu64 "/%s", c->to->cluster.text,
                   c->to->epoch,
                   kind == TOLD_FAILOVER && !c->to->is_elected_elsewhere ? UINT64_C(0)
                                                                         : c->to->revision,
                   told_kind_name(kind));
    told_add(told, &event);
}

static void add_failover(struct told *told, const struct change *c)
{
    const char *name = c->to->cluster.text;
    const char *to = c->to->holder.text;
    if (c->from->epoch == 0) {
        add_change(told, c, TOLD_FAILOVER, "%s is the first primary of %s, epoch %" PRIu64, to,
                   name, c->to->epoch);
    } else if (base_name_equal(&c->from->holder, &c->to->holder)) {
        add_change(told, c, TOLD_FAILOVER, "%s goes on as the primary of %s, epoch %" PRIu64, to,
                   name, c->to->epoch);
    } else {
        add_change(told, c, TOLD_FAILOVER,
                   "%s is the primary of %s now, epoch %" PRIu64 "; it was %s", to, name,
                   c->to->epoch, c->from->holder.text);
    }
}

static void add_changes(struct told *told, const struct told_facts *from,
                        const struct told_facts *to, int64_t wall_us)
{
    const struct change c = {from, to, wall_us};
    const char *name = to->cluster.text;
    uint64_t before = told->added;
    bool is_elected = to->is_elected_elsewhere && !base_name_is_empty(&to->holder) &&
                      !base_name_equal(&from->holder, &to->holder);
    if (is_elected || (!to->is_elected_elsewhere && to->epoch > from->epoch)) {
        add_failover(told, &c);
    }
    if (to->is_sync_lost && !from->is_sync_lost) {
        add_change(told, &c, TOLD_SYNC_LOST,
                   "only %s has everything that was committed in %s: nobody could take over",
                   to->holder.text, name);
    } else if (!to->is_sync_lost && from->is_sync_lost) {
        add_change(told, &c, TOLD_SYNC_BACK, "commits of %s wait for a standby again", name);
    }
    if (to->is_paused != from->is_paused) {
        add_change(told, &c, to->is_paused ? TOLD_PAUSED : TOLD_RESUMED, "%s is %s", name,
                   to->is_paused ? "paused" : "resumed");
    }
    if (to->is_unconfirmed != from->is_unconfirmed) {
        add_change(told, &c, to->is_unconfirmed ? TOLD_UNCONFIRMED : TOLD_CONFIRMED, "%s %s", name,
                   to->is_unconfirmed ? "waits for kv db confirm: nothing is granted"
                                      : "was confirmed by an operator");
    }
    if (told->added > before) {
        told->queue[told->queue_count - 1].is_last = true;
    }
}

static void forget(struct told *told, const struct base_name *name)
{
    for (size_t i = told->queue_count; i-- > 0;) {
        if (base_name_equal(&told->queue[i].facts.cluster, name)) {
            take_out(told, i);
        }
    }
    struct told_facts *seen = find(told->seen, told->seen_count, name);
    if (seen != NULL) {
        *seen = told->seen[--told->seen_count];
    }
}

void told_record(struct told *told, const struct told_facts *facts, bool is_loaded, int64_t wall_us)
{
    struct told_facts *seen = find(told->seen, told->seen_count, &facts->cluster);
    if (facts->epoch == 0) {
        forget(told, &facts->cluster);
        return;
    }
    if (seen == NULL && told->seen_count == TOLD_CLUSTERS_MAX) {
        return;
    }
    if (seen == NULL) {
        seen = &told->seen[told->seen_count++];
        *seen = (struct told_facts){.cluster = facts->cluster};
    }
    if (!is_loaded) {
        add_changes(told, seen, facts, wall_us);
    }
    *seen = *facts;
}

static bool has_queued(const struct told *told, const struct base_name *name)
{
    for (size_t i = 0; i < told->queue_count; i++) {
        if (told->queue[i].facts.epoch != 0 &&
            base_name_equal(&told->queue[i].facts.cluster, name)) {
            return true;
        }
    }
    return false;
}

void told_loaded(struct told *told, int64_t wall_us)
{
    for (size_t i = 0; i < told->seen_count; i++) {
        const struct told_facts *seen = &told->seen[i];
        const struct told_facts *last = find(told->list, told->count, &seen->cluster);
        const struct told_facts none = {.cluster = seen->cluster};
        if (!has_queued(told, &seen->cluster)) {
            add_changes(told, last == NULL ? &none : last, seen, wall_us);
        }
    }
}

/* --- the row: lines "cluster epoch revision holder flags" --- */

static void put_line(struct buf *out, const struct told_facts *f)
{
    buf_put_text(out, f->cluster.text);
    buf_put_u8(out, ' ');
    buf_put_dec(out, f->epoch);
    buf_put_u8(out, ' ');
    buf_put_dec(out, f->revision);
    buf_put_u8(out, ' ');
    buf_put_text(out, f->holder.text[0] == '\0' ? "-" : f->holder.text);
    buf_put_u8(out, ' ');
    buf_put_dec(out, (f->is_sync_lost ? 1u : 0u) | (f->is_paused ? 2u : 0u) |
                         (f->is_unconfirmed ? 4u : 0u));
    buf_put_u8(out, '\n');
}

/* What stands of other clusters stays; one that is gone is left out. */
void told_row_after(const struct told *told, const struct told_event *event, struct buf *out)
{
    BASE_ASSERT(event->facts.epoch != 0);
    for (size_t i = 0; i < told->count; i++) {
        const struct told_facts *f = &told->list[i];
        bool is_there = false;
        for (size_t k = 0; k < told->seen_count; k++) {
            is_there = is_there || base_name_equal(&told->seen[k].cluster, &f->cluster);
        }
        if (is_there && !base_name_equal(&f->cluster, &event->facts.cluster)) {
            put_line(out, f);
        }
    }
    put_line(out, &event->facts);
}

static struct slice word_of(struct slice *line)
{
    size_t len = 0;
    while (len < line->len && line->data[len] != ' ' && line->data[len] != '\n') {
        len++;
    }
    struct slice word = slice_from(line->data, len);
    *line = slice_skip(*line, len + 1);
    return word;
}

static int read_line(struct slice *in, struct told_facts *ret)
{
    uint64_t flags = 0;
    struct told_facts f = {.epoch = 0};
    int rc = base_name_from(word_of(in), &f.cluster);
    rc = rc != 0 ? rc : slice_to_u64(word_of(in), &f.epoch);
    rc = rc != 0 ? rc : slice_to_u64(word_of(in), &f.revision);
    struct slice holder = word_of(in);
    if (rc == 0 && !slice_equal(holder, SLICE_LIT("-"))) {
        rc = base_name_from(holder, &f.holder);
    }
    rc = rc != 0 ? rc : slice_to_u64(word_of(in), &flags);
    f.is_sync_lost = (flags & 1) != 0;
    f.is_paused = (flags & 2) != 0;
    f.is_unconfirmed = (flags & 4) != 0;
    if (rc == 0) {
        *ret = f;
    }
    return rc;
}

int told_row(struct told *told, uint64_t revision, struct slice blob)
{
    struct told_facts list[TOLD_CLUSTERS_MAX];
    size_t count = 0;
    while (blob.len > 0) {
        if (count == TOLD_CLUSTERS_MAX || read_line(&blob, &list[count]) != 0) {
            return BASE_E_PROTO;
        }
        count++;
    }
    memcpy(told->list, list, sizeof(list));
    told->count = count;
    told->revision = revision;
    for (size_t i = told->queue_count; i-- > 0;) {
        const struct told_facts *f = &told->queue[i].facts;
        const struct told_facts *last = find(told->list, told->count, &f->cluster);
        if (f->epoch != 0 && last != NULL && !is_before(last, f)) {
            take_out(told, i);
        }
    }
    return 0;
}
