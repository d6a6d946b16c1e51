/* SPDX-License-Identifier: Apache-2.0 */
/* See threads.h. A worker is what loop and thread share: the one word that says whose turn it is is
 * guarded by its mutex, and command and answer belong to whose turn it is. */
#include "agents/mongodb/threads.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define STACK_BYTES (256 * 1024) /* libmongoc, OpenSSL and ICU; touched pages alone cost memory */
#define DB_NAME_MAX 63

enum turn {
    TURN_IDLE, /* the loop's: nothing to do */
    TURN_RUN,  /* the thread's: a command, or the end */
    TURN_DONE, /* the loop's: the answer is there */
};

/* Outlives the lanes, since a thread that was given up comes back to it, whenever. Atomic. */
struct counts {
    unsigned users; /* the sessions, and each thread that was given up */
    unsigned given_up[MDB_SESSION_COUNT];
};

struct worker {
    struct mdb_conn_port conns;
    enum mdb_session session;
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    enum turn turn;
    bool is_ending;
    bool is_given_up; /* the thread frees the worker */
    bool is_reset;    /* the connection is closed before the command */
    struct io_wake *wake;
    struct counts *counts; /* of those that hang; this one, too, when it is given up */
    pthread_t thread;
    char db[DB_NAME_MAX + 1];
    size_t len;
    struct mdb_reply reply;
    uint8_t command[MDB_COMMAND_BYTES];
};

struct lane {
    struct mdb_threads *owner;
    enum mdb_session session;
    struct worker *worker; /* NULL: none yet */
    mdb_reply_fn *done;    /* NULL: nobody waits */
    void *done_ctx;
    bool is_running; /* the worker has a command */
    bool is_late;    /* ... that was called back already */
    bool is_reset;
    int soon;                    /* not 0: to be called back with that, from the loop */
    struct base_mono since;      /* of the command */
    struct base_mono hung_since; /* of the first one that was given up and has not come back */
    struct io_timer deadline;
    struct io_timer hung;
};

struct mdb_threads {
    struct mdb_threads_options options;
    struct io_wake *wake;
    struct counts *counts;
    struct lane lanes[MDB_SESSION_COUNT];
};

/* --- the thread --- */

static void counts_drop(struct counts *counts)
{
    if (__atomic_sub_fetch(&counts->users, 1, __ATOMIC_SEQ_CST) == 0) {
        free(counts);
    }
}

static unsigned counts_hung(const struct counts *counts, enum mdb_session session)
{
    return __atomic_load_n(&counts->given_up[session], __ATOMIC_SEQ_CST);
}

static void worker_free(struct worker *w)
{
    (void)pthread_cond_destroy(&w->cond);
    (void)pthread_mutex_destroy(&w->mutex);
    free(w);
}

/* One command with the mutex open: the worker's fields are the thread's while its turn lasts. */
static void worker_run(struct worker *w, void **conn)
{
    if (w->is_reset && *conn != NULL) {
        w->conns.close(w->conns.ctx, *conn);
        *conn = NULL;
    }
    w->is_reset = false;
    w->reply = (struct mdb_reply){.text = ""};
    if (w->len == 0) {
        return; /* to be closed was all */
    }
    int status = *conn != NULL ? 0 : w->conns.open(w->conns.ctx, w->session, conn);
    if (status != 0) {
        w->reply.status = status;
        w->reply.text = base_error_text(status);
        return;
    }
    w->conns.run(w->conns.ctx, *conn, w->db, slice_from(w->command, w->len), &w->reply);
    if (w->reply.bson.len > MDB_REPLY_BYTES) {
        w->reply =
            (struct mdb_reply){.status = BASE_E_TOOBIG, .text = "the answer is much too long"};
    }
}

/* True: another command. False: the end; the mutex is locked in any case. */
static bool worker_wait(struct worker *w)
{
    while (w->turn != TURN_RUN && !w->is_ending) {
        (void)pthread_cond_wait(&w->cond, &w->mutex);
    }
    return !w->is_ending;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    void *conn = NULL;
    (void)pthread_mutex_lock(&w->mutex);
    while (worker_wait(w)) {
        (void)pthread_mutex_unlock(&w->mutex);
        worker_run(w, &conn);
        (void)pthread_mutex_lock(&w->mutex);
        if (w->is_given_up) {
            break;
        }
        w->turn = TURN_DONE;
        io_wake_send(w->wake);
    }
    bool is_given_up = w->is_given_up;
    (void)pthread_mutex_unlock(&w->mutex);
    if (conn != NULL) {
        w->conns.close(w->conns.ctx, conn);
    }
    if (is_given_up) {
        (void)__atomic_sub_fetch(&w->counts->given_up[w->session], 1, __ATOMIC_SEQ_CST);
        counts_drop(w->counts);
        worker_free(w);
    }
    return NULL;
}

/* --- workers, from the loop --- */

static int worker_new(struct lane *lane, struct worker **ret)
{
    pthread_attr_t attr;
    sigset_t all;
    sigset_t old;
    struct worker *w = calloc(1, sizeof(*w));
    if (w == NULL) {
        return BASE_E_NOMEM;
    }
    w->conns = lane->owner->options.conns;
    w->session = lane->session;
    w->wake = lane->owner->wake;
    w->counts = lane->owner->counts;
    (void)pthread_mutex_init(&w->mutex, NULL);
    (void)pthread_cond_init(&w->cond, NULL);
    (void)pthread_attr_init(&attr);
    (void)pthread_attr_setstacksize(&attr, STACK_BYTES);
    (void)sigfillset(&all); /* signals are the loop's */
    (void)pthread_sigmask(SIG_SETMASK, &all, &old);
    int rc = pthread_create(&w->thread, &attr, worker_main, w);
    (void)pthread_sigmask(SIG_SETMASK, &old, NULL);
    (void)pthread_attr_destroy(&attr);
    if (rc != 0) {
        worker_free(w);
        return BASE_E_NOMEM;
    }
    *ret = w;
    return 0;
}

/* It is in a command that does not come back: it ends when that comes, whenever. */
static void worker_give_up(struct worker *w)
{
    (void)__atomic_add_fetch(&w->counts->given_up[w->session], 1, __ATOMIC_SEQ_CST);
    (void)__atomic_add_fetch(&w->counts->users, 1, __ATOMIC_SEQ_CST);
    (void)pthread_mutex_lock(&w->mutex);
    pthread_t thread = w->thread;
    w->is_given_up = true;
    w->is_ending = true;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mutex);
    (void)pthread_detach(thread);
}

static bool worker_is_in_command(struct worker *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    bool is_in = w->turn == TURN_RUN;
    (void)pthread_mutex_unlock(&w->mutex);
    return is_in;
}

static void worker_end(struct worker *w)
{
    (void)pthread_mutex_lock(&w->mutex);
    w->is_ending = true;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mutex);
    (void)pthread_join(w->thread, NULL);
    worker_free(w);
}

static void worker_take(struct worker *w, const struct mdb_command *command, bool is_reset)
{
    (void)pthread_mutex_lock(&w->mutex);
    BASE_ASSERT(w->turn == TURN_IDLE);
    size_t len = strnlen(command->db, DB_NAME_MAX);
    memcpy(w->db, command->db, len);
    w->db[len] = '\0';
    if (command->bson.len > 0) {
        memcpy(w->command, command->bson.data, command->bson.len);
    }
    w->len = command->bson.len;
    w->is_reset = is_reset;
    w->turn = TURN_RUN;
    (void)pthread_cond_signal(&w->cond);
    (void)pthread_mutex_unlock(&w->mutex);
}

/* --- lanes --- */

static void lane_call(struct lane *lane, const struct mdb_reply *reply)
{
    mdb_reply_fn *done = lane->done;
    io_timer_stop(&lane->deadline);
    lane->done = NULL;
    lane->soon = 0;
    if (done != NULL) {
        done(lane->done_ctx, reply);
    }
}

static void lane_late(void *ctx)
{
    struct lane *lane = ctx;
    int status = lane->soon != 0 ? lane->soon : BASE_E_TIMEOUT;
    lane->is_late = lane->is_running;
    lane_call(lane, &(struct mdb_reply){.status = status, .text = base_error_text(status)});
}

static void lane_hung(void *ctx)
{
    struct lane *lane = ctx;
    if (lane->worker != NULL && lane->is_running && worker_is_in_command(lane->worker)) {
        if (counts_hung(lane->owner->counts, lane->session) == 0) {
            lane->hung_since = lane->since;
        }
        worker_give_up(lane->worker);
        lane->worker = NULL;
        lane->is_running = false;
        if (lane->done != NULL) {
            lane_late(lane);
        }
    }
}

/* The answer stays the worker's until it was called back: the thread waits for its next turn. */
static void lane_look(struct lane *lane)
{
    struct worker *w = lane->worker;
    if (w == NULL || !lane->is_running || worker_is_in_command(w)) {
        return;
    }
    io_timer_stop(&lane->hung);
    const struct mdb_reply reply = w->reply;
    lane->is_running = false;
    (void)pthread_mutex_lock(&w->mutex);
    w->turn = TURN_IDLE;
    (void)pthread_mutex_unlock(&w->mutex);
    if (lane->is_late || lane->is_reset) {
        lane->is_reset = true; /* whatever is left of it on the wire belongs to nobody */
        lane->is_late = false;
    }
    lane_call(lane, &reply);
}

static void woken(void *ctx)
{
    struct mdb_threads *t = ctx;
    for (size_t i = 0; i < MDB_SESSION_COUNT; i++) {
        lane_look(&t->lanes[i]);
    }
}

static void lane_take(struct lane *lane, const struct mdb_command *command)
{
    int64_t hung_us = lane->owner->options.hung_us;
    lane->is_running = true;
    lane->is_late = false;
    lane->since = io_now();
    worker_take(lane->worker, command, lane->is_reset);
    lane->is_reset = false;
    /* A command that was given longer than others is not hung before its own limit. */
    io_timer_start_in_us(&lane->hung,
                         command->timeout_us > hung_us ? command->timeout_us : hung_us);
}

static void call_soon(struct lane *lane, int status)
{
    lane->soon = status;
    io_timer_start_in_us(&lane->deadline, 0);
}

static void port_run(void *ctx, enum mdb_session session, const struct mdb_command *command,
                     mdb_reply_fn *done, void *done_ctx)
{
    struct mdb_threads *t = ctx;
    struct lane *lane = &t->lanes[session];
    BASE_ASSERT(lane->done == NULL && !lane->is_running);
    lane->done = done;
    lane->done_ctx = done_ctx;
    if (command->bson.len > MDB_COMMAND_BYTES) {
        call_soon(lane, BASE_E_TOOBIG);
        return;
    }
    int rc = lane->worker != NULL ? 0 : worker_new(lane, &lane->worker);
    if (rc != 0) {
        call_soon(lane, rc);
        return;
    }
    lane_take(lane, command);
    io_timer_start_in_us(&lane->deadline, command->timeout_us);
}

static bool is_full(const struct lane *lane)
{
    return counts_hung(lane->owner->counts, lane->session) >= MDB_GIVEN_UP_MAX;
}

static bool port_is_busy(void *ctx, enum mdb_session session)
{
    const struct mdb_threads *t = ctx;
    const struct lane *lane = &t->lanes[session];
    return lane->done != NULL || lane->is_running || (lane->worker == NULL && is_full(lane));
}

static void port_reset(void *ctx, enum mdb_session session)
{
    struct mdb_threads *t = ctx;
    struct lane *lane = &t->lanes[session];
    lane->is_reset = true;
    if (lane->done != NULL) {
        call_soon(lane, BASE_E_CANCELED);
    } else if (lane->worker != NULL && !lane->is_running) {
        lane_take(lane, &(const struct mdb_command){.db = "", .timeout_us = t->options.hung_us});
    }
}

static struct base_mono port_hung_since(void *ctx, enum mdb_session session)
{
    const struct mdb_threads *t = ctx;
    const struct lane *lane = &t->lanes[session];
    bool is_over =
        lane->is_running && base_mono_diff_us(io_now(), lane->since) >= t->options.hung_us;
    if (counts_hung(t->counts, session) > 0) {
        return lane->hung_since;
    }
    return is_over ? lane->since : BASE_MONO_NEVER;
}

/* --- life --- */

int mdb_threads_new(const struct mdb_threads_options *options, struct mdb_threads **ret)
{
    struct mdb_threads *t = calloc(1, sizeof(*t));
    if (t == NULL) {
        return BASE_E_NOMEM;
    }
    t->options = *options;
    if (t->options.hung_us == 0) {
        t->options.hung_us = MDB_HUNG_US;
    }
    t->counts = calloc(1, sizeof(*t->counts));
    int rc = t->counts == NULL ? BASE_E_NOMEM : io_wake_new(options->loop, woken, t, &t->wake);
    if (rc != 0) {
        free(t->counts);
        free(t);
        return rc;
    }
    t->counts->users = 1;
    for (size_t i = 0; i < MDB_SESSION_COUNT; i++) {
        struct lane *lane = &t->lanes[i];
        lane->owner = t;
        lane->session = (enum mdb_session)i;
        io_timer_init(&lane->deadline, options->loop, lane_late, lane);
        io_timer_init(&lane->hung, options->loop, lane_hung, lane);
    }
    *ret = t;
    return 0;
}

struct mdb_session_port mdb_threads_port(struct mdb_threads *threads)
{
    return (struct mdb_session_port){.ctx = threads,
                                     .run = port_run,
                                     .is_busy = port_is_busy,
                                     .reset = port_reset,
                                     .hung_since = port_hung_since};
}

struct mdb_threads *mdb_threads_free(struct mdb_threads *threads, bool *ret_all_ended)
{
    bool all_ended = true;
    if (threads == NULL) {
        *ret_all_ended = true;
        return NULL;
    }
    for (size_t i = 0; i < MDB_SESSION_COUNT; i++) {
        struct lane *lane = &threads->lanes[i];
        io_timer_stop(&lane->deadline);
        io_timer_stop(&lane->hung);
        if (lane->worker != NULL && worker_is_in_command(lane->worker)) {
            worker_give_up(lane->worker);
        } else if (lane->worker != NULL) {
            worker_end(lane->worker);
        }
        all_ended = all_ended && counts_hung(threads->counts, lane->session) == 0;
    }
    threads->wake = io_wake_free(threads->wake);
    counts_drop(threads->counts);
    free(threads);
    *ret_all_ended = all_ended;
    return NULL;
}
