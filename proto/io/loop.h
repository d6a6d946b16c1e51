/* SPDX-License-Identifier: Apache-2.0 */
/* The loop thread: timers on CLOCK_BOOTTIME, signals, wake-ups from other threads, workers.
 *
 * One struct io_loop wraps one libuv loop. All callbacks run on the thread that runs the loop;
 * every function is for that thread only, except where "any thread" is said. Timers use one timerfd
 * on CLOCK_BOOTTIME per loop, so that suspended time counts, and never fire early. The loop never
 * runs blocking work: that goes to workers, whose `done` comes back on the loop thread.
 */
#ifndef QUORATE_PROTO_IO_LOOP_H
#define QUORATE_PROTO_IO_LOOP_H

#include <uv.h>

#include "base/error.h"
#include "base/types.h"
#include "proto/port_clock.h"

struct io_loop;

/* Makes a loop. NOMEM, IO. */
MUST_CHECK int io_loop_new(struct io_loop **ret);
/* Closes what the loop still holds (timers are dropped, workers joined, open streams closed without
 * their callbacks being of use any more) and frees it. NULL is fine. Returns NULL. */
struct io_loop *io_loop_free(struct io_loop *loop);
/* Memory was used that may not be needed again: what is free of the heap goes back to the system in
 * a few seconds. Cheap, call it as often as you like. Loop thread. */
void io_loop_trim_later(struct io_loop *loop);
/* Runs until io_loop_stop. */
void io_loop_run(struct io_loop *loop);
/* Runs callbacks until `until` at the latest, returning earlier after each round of events; for
 * tests and for programs with a loop of their own. */
void io_loop_run_once(struct io_loop *loop, struct base_mono until);
/* Makes io_loop_run return after the present callback. */
void io_loop_stop(struct io_loop *loop);
/* The libuv loop, for shells that need handles of their own. */
uv_loop_t *io_loop_uv(struct io_loop *loop);

/* The clocks, read at this very moment. Any thread. */
struct base_mono io_now(void);
struct base_wall io_wall_now(void);
/* Port over these two; ctx is unused. */
struct clock_port io_clock_port(void);

/* --- timers: memory of the caller, one shot
 * ------------------------------------------------------------ */
typedef void io_timer_fn(void *ctx);
struct io_timer {
    struct io_loop *loop;
    io_timer_fn *fire;
    void *ctx;
    struct base_mono deadline;
    bool is_active;
    struct io_timer *child, *next, *prev; /* pairing heap */
};
void io_timer_init(struct io_timer *timer, struct io_loop *loop, io_timer_fn *fire, void *ctx);
/* Fires once at or after deadline (again with the new one when active already). BASE_MONO_NEVER
 * stops it. */
void io_timer_start(struct io_timer *timer, struct base_mono deadline);
void io_timer_start_in_us(struct io_timer *timer, int64_t us);
/* May be called from any callback, also when not active. A stopped timer does not fire and may be
 * freed. */
void io_timer_stop(struct io_timer *timer);

/* --- signals
 * ------------------------------------------------------------------------------------------- */
typedef void io_signal_fn(void *ctx, int signal_number);
/* Calls fire on the loop thread for each signal; at most 16 watches a loop, closed with it. SIGPIPE
 * is ignored for the process by io_loop_new. NOSPACE, IO. */
MUST_CHECK int io_signal_watch(struct io_loop *loop, int signal_number, io_signal_fn *fire,
                               void *ctx);

/* --- wake-ups
 * ------------------------------------------------------------------------------------------ */
struct io_wake; /* several sends before the loop comes round to it make one call */
typedef void io_wake_fn(void *ctx);
MUST_CHECK int io_wake_new(struct io_loop *loop, io_wake_fn *fire, void *ctx, struct io_wake **ret);
/* Any thread. */
void io_wake_send(struct io_wake *wake);
/* Loop thread; no call after it. NULL is fine. Returns NULL. */
struct io_wake *io_wake_free(struct io_wake *wake);

/* --- workers: blocking calls on threads of their own
 * --------------------------------------------------- */
struct io_work {
    void (*run)(struct io_work *work);  /* worker thread */
    void (*done)(struct io_work *work); /* loop thread; may free the work */
    struct io_work *next;               /* the pool's */
};
struct io_workers;
/* Starts up to `threads` (1 to 16) threads, each when first needed, with all signals blocked. */
MUST_CHECK int io_workers_new(struct io_loop *loop, unsigned threads, struct io_workers **ret);
/* Queues; works of one pool start in order. The submitter keeps the memory until done was called.
 */
void io_work_submit(struct io_workers *workers, struct io_work *work);
/* Waits for running works (their done is called), drops queued ones (done is called without run
 * when the second argument is true, else not at all). NULL is fine. Returns NULL. */
struct io_workers *io_workers_free(struct io_workers *workers, bool calls_done);

#endif
