/* SPDX-License-Identifier: Apache-2.0 */
/* Event heap, processes, clocks, randomness, failure. */
#include "tests/sim/world.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

struct event {
    int64_t at_us;
    uint64_t sequence;
    const struct process *process;
    uint64_t life;
    event_fn *fn;
    void *ctx;
    uint64_t number;
    uint8_t *bytes;
    size_t bytes_len, bytes_cap;
    struct event *next_free;
};

/* --- memory --- */

void *must_alloc(size_t count, size_t size)
{
    void *p = calloc(count != 0 ? count : 1, size);
    if (p == NULL) {
        (void)fprintf(stderr, "sim: out of memory\n");
        exit(2);
    }
    return p;
}

void *must_grow(void *old, size_t *cap, size_t count, size_t size)
{
    if (count <= *cap) {
        return old;
    }
    size_t next = *cap * 2 > count ? *cap * 2 : count + 16;
    void *p = realloc(old, next * size);
    if (p == NULL) {
        (void)fprintf(stderr, "sim: out of memory\n");
        exit(2);
    }
    *cap = next;
    return p;
}

/* --- heap --- */

static bool is_before(const struct event *a, const struct event *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void heap_push(struct world *w, struct event *e)
{
    w->heap = must_grow(w->heap, &w->heap_cap, w->heap_count + 1, sizeof(struct event *));
    size_t i = w->heap_count++;
    while (i > 0 && is_before(e, w->heap[(i - 1) / 2])) {
        w->heap[i] = w->heap[(i - 1) / 2];
        i = (i - 1) / 2;
    }
    w->heap[i] = e;
}

static struct event *heap_pop(struct world *w)
{
    struct event *top = w->heap[0], *last = w->heap[--w->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= w->heap_count) {
            break;
        }
        if (child + 1 < w->heap_count && is_before(w->heap[child + 1], w->heap[child])) {
            child++;
        }
        if (!is_before(w->heap[child], last)) {
            break;
        }
        w->heap[i] = w->heap[child];
        i = child;
    }
    w->heap[i] = last;
    return top;
}

static struct event *event_take(struct world *w)
{
    struct event *e = w->free_events;
    if (e == NULL) {
        return must_alloc(1, sizeof(*e));
    }
    w->free_events = e->next_free;
    return e;
}

static void event_give(struct world *w, struct event *e)
{
    e->next_free = w->free_events;
    w->free_events = e;
}

void world_at_with(struct world *w, int64_t at_us, struct process const *process, event_fn *fn,
                   void *ctx, uint64_t number, struct slice bytes)
{
    struct event *e = event_take(w);
    e->at_us = at_us > w->now_us ? at_us : w->now_us;
    e->sequence = ++w->sequence;
    e->process = process;
    e->life = process != NULL ? process->life : 0;
    e->fn = fn;
    e->ctx = ctx;
    e->number = number;
    e->bytes = must_grow(e->bytes, &e->bytes_cap, bytes.len, 1);
    e->bytes_len = bytes.len;
    if (bytes.len > 0) {
        memcpy(e->bytes, bytes.data, bytes.len);
    }
    heap_push(w, e);
}

void world_at(struct world *w, int64_t at_us, const struct process *process, event_fn *fn,
              void *ctx)
{
    world_at_with(w, at_us, process, fn, ctx, 0, SLICE_EMPTY);
}

static void event_run(struct world *w, struct event *e)
{
    w->now_us = e->at_us;
    w->event_number++;
    w->running = e->process;
    e->fn(e->ctx, e->number, slice_from(e->bytes, e->bytes_len));
}

void world_run(struct world *w)
{
    while (w->heap_count > 0 && w->heap[0]->at_us <= w->setup.end_us) {
        struct event *e = heap_pop(w);
        const struct process *p = e->process;
        if (p != NULL && (!p->is_up || p->life != e->life)) {
            event_give(w, e);
            continue;
        }
        if (p != NULL && p->stopped != 0) {
            w->parked =
                must_grow(w->parked, &w->parked_cap, w->parked_count + 1, sizeof(*w->parked));
            w->parked[w->parked_count++] = e;
            continue;
        }
        event_run(w, e);
        event_give(w, e);
    }
    w->now_us = w->setup.end_us;
}

void world_free_events(struct world *w)
{
    for (size_t i = 0; i < w->heap_count; i++) {
        event_give(w, w->heap[i]);
    }
    while (w->parked_count > 0) {
        event_give(w, w->parked[--w->parked_count]);
    }
    while (w->free_events != NULL) {
        struct event *e = w->free_events;
        w->free_events = e->next_free;
        free(e->bytes);
        free(e);
    }
    free(w->heap);
    free(w->parked);
    w->parked = NULL;
    w->parked_cap = 0;
    w->heap = NULL;
    w->heap_count = w->heap_cap = 0;
}

/* --- processes and clocks --- */

void process_start(struct process *p)
{
    p->life++;
    p->is_up = true;
    p->stopped = 0;
}

void process_stop(struct process *p)
{
    p->is_up = false;
    p->life++;
}

void process_freeze(struct process *p, enum stopped_by by)
{
    p->stopped |= (unsigned)by;
}

/* What waited runs now, in the order in which it would have run. */
void process_thaw(struct world *w, struct process *p, enum stopped_by by)
{
    p->stopped &= ~(unsigned)by;
    if (p->stopped != 0) {
        return;
    }
    size_t kept = 0;
    for (size_t i = 0; i < w->parked_count; i++) {
        struct event *e = w->parked[i];
        if (e->process == p) {
            e->at_us = w->now_us;
            heap_push(w, e);
        } else {
            w->parked[kept++] = e;
        }
    }
    w->parked_count = kept;
}

struct pause_end {
    struct world *world;
    struct process *process;
};

static void pause_end(void *ctx, uint64_t number, struct slice bytes)
{
    struct pause_end end;
    (void)ctx;
    memcpy(&end, bytes.data, sizeof(end));
    if (end.process->pause_number == number) {
        process_thaw(end.world, end.process, STOPPED_BY_FAULT);
    }
}

void process_pause(struct world *w, struct process *p, int64_t for_us)
{
    struct pause_end end = {w, p};
    process_freeze(p, STOPPED_BY_FAULT);
    world_at_with(w, w->now_us + for_us, NULL, pause_end, w, ++p->pause_number,
                  slice_from(&end, sizeof(end)));
}

struct base_mono clock_now(const struct host_clock *c)
{
    int64_t t = (c->standing_since != 0 ? c->standing_since : c->world->now_us) - c->stood_us;
    return (struct base_mono){c->offset_us + t + t * c->rate_ppm / 1000000};
}

int64_t clock_true_us(const struct host_clock *c, struct base_mono local)
{
    if (local.us >= INT64_MAX / 4) {
        return INT64_MAX / 4;
    }
    if (local.us <= clock_now(c).us) {
        return c->world->now_us;
    }
    int64_t wanted = local.us - c->offset_us;
    int64_t t = (int64_t)((__int128)wanted * 1000000 / (1000000 + c->rate_ppm));
    while (t + t * c->rate_ppm / 1000000 < wanted) {
        t++;
    }
    int64_t stands_us = c->standing_since != 0 ? c->world->now_us - c->standing_since : 0;
    return t + c->stood_us + stands_us; /* as if it went on now */
}

void clock_stop(struct host_clock *c)
{
    c->standing_since = c->world->now_us;
}

void clock_go_on(struct host_clock *c)
{
    c->stood_us += c->world->now_us - c->standing_since;
    c->standing_since = 0;
}

static struct base_mono port_now(void *ctx)
{
    return clock_now(ctx);
}

static struct base_wall port_wall(void *ctx)
{
    const struct host_clock *c = ctx;
    return (struct base_wall){INT64_C(1700000000) * SECOND + c->world->now_us + c->wall_offset_us};
}

struct clock_port clock_port_of(struct host_clock *c)
{
    return (struct clock_port){.ctx = c, .now = port_now, .wall = port_wall};
}

/* --- randomness --- */

struct base_rand seed_stream(uint64_t seed, enum stream stream, uint64_t source)
{
    return base_rand_make(seed, (uint64_t)stream * 1000000 + source);
}

struct base_rand world_stream(const struct world *w, enum stream stream, uint64_t source)
{
    return seed_stream(w->seed, stream, source);
}

int64_t draw(struct base_rand *r, int64_t low, int64_t high)
{
    return low + (int64_t)base_rand_between(r, 0, (uint64_t)(high > low ? high - low : 0));
}

bool chance(struct base_rand *r, uint32_t ppm)
{
    return base_rand_chance_ppm(r, ppm);
}

/* --- failure --- */

void world_fail(struct world *w, const char *name, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    (void)vsnprintf(w->failure_text, sizeof(w->failure_text), format, args);
    va_end(args);
    w->failure_name = name;
    longjmp(w->failed, 1);
}
