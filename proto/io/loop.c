/* SPDX-License-Identifier: Apache-2.0 */
/* The loop itself: life cycle, clocks, signals and wake-ups. Timers are in timer.c, workers in
 * work.c. */
#include "proto/io/loop.h"

#include <malloc.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>

#include "proto/io/loop_internal.h"

#define TRIM_US (5 * BASE_US_PER_S)
#define TRIM_KEEP ((size_t)64 << 10)

static int64_t read_clock_us(clockid_t id)
{
    struct timespec now;
    BASE_ASSERT(clock_gettime(id, &now) == 0);
    return (int64_t)now.tv_sec * BASE_US_PER_S + now.tv_nsec / 1000;
}

struct base_mono io_now(void)
{
    return (struct base_mono){read_clock_us(CLOCK_BOOTTIME)};
}

struct base_wall io_wall_now(void)
{
    return (struct base_wall){read_clock_us(CLOCK_REALTIME)};
}

static struct base_mono port_now(void *ctx)
{
    (void)ctx;
    return io_now();
}

static struct base_wall port_wall(void *ctx)
{
    (void)ctx;
    return io_wall_now();
}

struct clock_port io_clock_port(void)
{
    return (struct clock_port){.ctx = NULL, .now = port_now, .wall = port_wall};
}

/* What a burst of connections leaves is holes in the heap, which free() alone never gives back. */
static void trim(void *ctx)
{
    (void)ctx;
    (void)malloc_trim(TRIM_KEEP);
}

void io_loop_trim_later(struct io_loop *loop)
{
    if (!loop->trim.is_active) {
        io_timer_start_in_us(&loop->trim, TRIM_US);
    }
}

int io_loop_new(struct io_loop **ret)
{
    struct io_loop *loop = calloc(1, sizeof(*loop));
    if (loop == NULL) {
        return BASE_E_NOMEM;
    }
    if (uv_loop_init(&loop->uv) != 0) {
        free(loop);
        return BASE_E_IO;
    }
    loop->uv.data = loop;
    if (io_timers_open(loop) != 0) {
        (void)uv_loop_close(&loop->uv);
        free(loop);
        return BASE_E_IO;
    }
    io_timer_init(&loop->trim, loop, trim, NULL);
    (void)signal(SIGPIPE, SIG_IGN);
    *ret = loop;
    return 0;
}

static void close_handle(uv_handle_t *handle, void *ctx)
{
    (void)ctx;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

struct io_loop *io_loop_free(struct io_loop *loop)
{
    if (loop == NULL) {
        return NULL;
    }
    loop->resolver = io_workers_abandon(loop->resolver);
    io_streams_close_all(loop);
    io_timers_close(loop);
    for (unsigned i = 0; i < loop->signals_count; i++) {
        close_handle((uv_handle_t *)&loop->signals[i].handle, NULL);
    }
    for (int round = 0; round < 100 && uv_run(&loop->uv, UV_RUN_NOWAIT) != 0; round++) {
    }
    uv_walk(&loop->uv, close_handle, NULL); /* handles of others, if they left any */
    (void)uv_run(&loop->uv, UV_RUN_NOWAIT);
    (void)uv_loop_close(&loop->uv);
    free(loop->read_buffer);
    free(loop->plain_buffer);
    free(loop);
    return NULL;
}

void io_loop_run(struct io_loop *loop)
{
    (void)uv_run(&loop->uv, UV_RUN_DEFAULT);
}

static void until_passed(void *ctx)
{
    (void)ctx;
}

void io_loop_run_once(struct io_loop *loop, struct base_mono until)
{
    io_timer_init(&loop->until, loop, until_passed, NULL);
    io_timer_start(&loop->until, until);
    (void)uv_run(&loop->uv, UV_RUN_ONCE);
    io_timer_stop(&loop->until);
}

void io_loop_stop(struct io_loop *loop)
{
    uv_stop(&loop->uv);
}

uv_loop_t *io_loop_uv(struct io_loop *loop)
{
    return &loop->uv;
}

struct io_workers *io_loop_resolver(struct io_loop *loop)
{
    if (loop->resolver == NULL && io_workers_new(loop, IO_RESOLVER_THREADS, &loop->resolver) != 0) {
        return NULL;
    }
    return loop->resolver;
}

static void signal_came(uv_signal_t *handle, int signal_number)
{
    struct io_signal *watch = handle->data;
    watch->fire(watch->ctx, signal_number);
}

int io_signal_watch(struct io_loop *loop, int signal_number, io_signal_fn *fire, void *ctx)
{
    if (loop->signals_count == IO_SIGNALS_MAX) {
        return BASE_E_NOSPACE;
    }
    struct io_signal *watch = &loop->signals[loop->signals_count];
    watch->fire = fire;
    watch->ctx = ctx;
    if (uv_signal_init(&loop->uv, &watch->handle) != 0) {
        return BASE_E_IO;
    }
    loop->signals_count++;
    watch->handle.data = watch;
    return uv_signal_start(&watch->handle, signal_came, signal_number) == 0 ? 0 : BASE_E_IO;
}

struct io_wake {
    uv_async_t async;
    io_wake_fn *fire;
    void *ctx;
};

static void wake_came(uv_async_t *async)
{
    struct io_wake *wake = async->data;
    if (wake->fire != NULL) {
        wake->fire(wake->ctx);
    }
}

int io_wake_new(struct io_loop *loop, io_wake_fn *fire, void *ctx, struct io_wake **ret)
{
    struct io_wake *wake = calloc(1, sizeof(*wake));
    if (wake == NULL) {
        return BASE_E_NOMEM;
    }
    wake->fire = fire;
    wake->ctx = ctx;
    if (uv_async_init(&loop->uv, &wake->async, wake_came) != 0) {
        free(wake);
        return BASE_E_IO;
    }
    wake->async.data = wake;
    *ret = wake;
    return 0;
}

void io_wake_send(struct io_wake *wake)
{
    (void)uv_async_send(&wake->async);
}

static void wake_closed(uv_handle_t *handle)
{
    free(handle->data);
}

struct io_wake *io_wake_free(struct io_wake *wake)
{
    if (wake != NULL) {
        wake->fire = NULL;
        uv_close((uv_handle_t *)&wake->async, wake_closed);
    }
    return NULL;
}
