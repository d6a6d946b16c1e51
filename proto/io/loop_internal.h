/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of struct io_loop, for the files of proto/io only. */
#ifndef QUORATE_PROTO_IO_LOOP_INTERNAL_H
#define QUORATE_PROTO_IO_LOOP_INTERNAL_H

#include "base/assert.h"
#include "proto/io/loop.h"

#define IO_SIGNALS_MAX 16
#define IO_READ_BUFFER ((size_t)64 << 10)  /* bytes read from a socket at once */
#define IO_PLAIN_BUFFER ((size_t)16 << 10) /* bytes decrypted at once: one TLS record */
#define IO_RESOLVER_THREADS 2

struct io_signal {
    uv_signal_t handle;
    io_signal_fn *fire;
    void *ctx;
};

struct io_loop {
    uv_loop_t uv;
    /* timer.c */
    struct io_timer *timers; /* root of the heap: the earliest */
    int timer_fd;
    uv_poll_t timer_poll;
    uv_prepare_t timer_prepare;
    struct base_mono armed; /* what the timerfd is set to */
    struct io_timer until;  /* io_loop_run_once */
    struct io_timer trim;   /* io_loop_trim_later */
    struct io_signal signals[IO_SIGNALS_MAX];
    unsigned signals_count;
    struct io_workers *resolver; /* made when first needed */
    uint8_t *read_buffer;        /* shared by all streams: used only inside one read callback */
    uint8_t *plain_buffer;
    struct io_stream *streams;    /* stream.c's list of all streams of this loop */
    struct io_stream *flush_list; /* those with something to send */
};

/* timer.c */
MUST_CHECK int io_timers_open(struct io_loop *loop);
void io_timers_close(struct io_loop *loop);
/* stream.c: closes every stream of the loop at once. */
void io_streams_close_all(struct io_loop *loop);
/* stream.c: hands what was written to the kernel; before each poll. */
void io_streams_flush(struct io_loop *loop);
/* loop.c: NULL on no memory. */
struct io_workers *io_loop_resolver(struct io_loop *loop);
/* work.c: like io_workers_free, but leaves the pool and its thread alone when one hangs in a call.
 */
struct io_workers *io_workers_abandon(struct io_workers *workers);

#endif
