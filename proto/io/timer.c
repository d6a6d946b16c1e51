/* SPDX-License-Identifier: Apache-2.0 */
/* Timers of a loop: an intrusive pairing heap over one timerfd on CLOCK_BOOTTIME.
 *
 * Starting a timer is O(1), firing and stopping O(log n) amortised, and neither allocates. The
 * timerfd is set once per round of the loop, just before it polls, and only when the earliest
 * deadline has changed. (The heap: Fredman, Sedgewick, Sleator, Tarjan, "The pairing heap",
 * Algorithmica 1986.)
 */
#include <errno.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "proto/io/loop_internal.h"

#define FIRES_PER_ROUND 256 /* then others get their turn */

/* Links two heaps; the later one becomes the first child of the earlier one. */
static struct io_timer *meld(struct io_timer *a, struct io_timer *b)
{
    if (a == NULL) {
        return b;
    }
    if (b == NULL) {
        return a;
    }
    if (base_mono_before(b->deadline, a->deadline)) {
        struct io_timer *swap = a;
        a = b;
        b = swap;
    }
    b->prev = a;
    b->next = a->child;
    if (a->child != NULL) {
        a->child->prev = b;
    }
    a->child = b;
    return a;
}

/* Melds a list of siblings into one heap: pairs from the left, then all of them from the right. */
static struct io_timer *meld_siblings(struct io_timer *first)
{
    struct io_timer *pairs = NULL; /* linked by next, last one first */
    while (first != NULL) {
        struct io_timer *a = first;
        struct io_timer *b = a->next;
        first = b != NULL ? b->next : NULL;
        a->next = a->prev = NULL;
        if (b != NULL) {
            b->next = b->prev = NULL;
        }
        a = meld(a, b);
        a->next = pairs;
        pairs = a;
    }
    struct io_timer *root = NULL;
    while (pairs != NULL) {
        struct io_timer *next = pairs->next;
        pairs->next = NULL;
        root = meld(root, pairs);
        pairs = next;
    }
    return root;
}

static void heap_remove(struct io_loop *loop, struct io_timer *timer)
{
    if (timer == loop->timers) {
        loop->timers = meld_siblings(timer->child);
    } else {
        if (timer->prev->child == timer) {
            timer->prev->child = timer->next;
        } else {
            timer->prev->next = timer->next;
        }
        if (timer->next != NULL) {
            timer->next->prev = timer->prev;
        }
        loop->timers = meld(loop->timers, meld_siblings(timer->child));
    }
    timer->child = timer->next = timer->prev = NULL;
    timer->is_active = false;
}

void io_timer_init(struct io_timer *timer, struct io_loop *loop, io_timer_fn *fire, void *ctx)
{
    *timer = (struct io_timer){.loop = loop, .fire = fire, .ctx = ctx};
}

void io_timer_start(struct io_timer *timer, struct base_mono deadline)
{
    BASE_ASSERT(timer->loop != NULL);
    io_timer_stop(timer);
    if (deadline.us == BASE_MONO_NEVER.us) {
        return;
    }
    timer->deadline = deadline;
    timer->is_active = true;
    timer->loop->timers = meld(timer->loop->timers, timer);
}

void io_timer_start_in_us(struct io_timer *timer, int64_t us)
{
    io_timer_start(timer, base_mono_add_us(io_now(), us));
}

void io_timer_stop(struct io_timer *timer)
{
    if (timer->is_active) {
        heap_remove(timer->loop, timer);
    }
}

static void fire_due(struct io_loop *loop)
{
    struct base_mono now = io_now();
    for (int i = 0; i < FIRES_PER_ROUND; i++) {
        struct io_timer *timer = loop->timers;
        if (timer == NULL || base_mono_before(now, timer->deadline)) {
            return;
        }
        heap_remove(loop, timer);
        timer->fire(timer->ctx);
    }
}

static void timer_came(uv_poll_t *poll, int status, int events)
{
    struct io_loop *loop = poll->data;
    uint64_t expirations;
    (void)status;
    (void)events;
    ssize_t got = read(loop->timer_fd, &expirations, sizeof(expirations));
    BASE_ASSERT(got == (ssize_t)sizeof(expirations) || errno == EAGAIN || errno == EINTR ||
                errno == ECANCELED);
    loop->armed = BASE_MONO_NEVER;
    fire_due(loop);
}

/* Before each poll: gathered writes go out, the timerfd follows the earliest deadline. */
static void arm(uv_prepare_t *prepare)
{
    struct io_loop *loop = prepare->data;
    io_streams_flush(loop);
    struct base_mono wanted = loop->timers != NULL ? loop->timers->deadline : BASE_MONO_NEVER;
    if (wanted.us == loop->armed.us) {
        return;
    }
    struct itimerspec spec = {0};
    if (wanted.us != BASE_MONO_NEVER.us) {
        int64_t us = wanted.us > 0 ? wanted.us : 1; /* zero would disarm; the past fires at once */
        spec.it_value.tv_sec = us / BASE_US_PER_S;
        spec.it_value.tv_nsec = us % BASE_US_PER_S * 1000;
    }
    BASE_ASSERT(timerfd_settime(loop->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL) == 0);
    loop->armed = wanted;
}

int io_timers_open(struct io_loop *loop)
{
    loop->armed = BASE_MONO_NEVER;
    loop->timer_fd = timerfd_create(CLOCK_BOOTTIME, TFD_NONBLOCK | TFD_CLOEXEC);
    if (loop->timer_fd < 0) {
        return BASE_E_IO;
    }
    if (uv_poll_init(&loop->uv, &loop->timer_poll, loop->timer_fd) != 0) {
        (void)close(loop->timer_fd);
        return BASE_E_IO;
    }
    loop->timer_poll.data = loop;
    (void)uv_prepare_init(&loop->uv, &loop->timer_prepare);
    loop->timer_prepare.data = loop;
    (void)uv_poll_start(&loop->timer_poll, UV_READABLE, timer_came);
    (void)uv_prepare_start(&loop->timer_prepare, arm);
    return 0;
}

static void poll_closed(uv_handle_t *handle)
{
    struct io_loop *loop = handle->data;
    (void)close(loop->timer_fd);
}

void io_timers_close(struct io_loop *loop)
{
    while (loop->timers != NULL) {
        io_timer_stop(loop->timers);
    }
    uv_close((uv_handle_t *)&loop->timer_poll, poll_closed);
    uv_close((uv_handle_t *)&loop->timer_prepare, NULL);
}
