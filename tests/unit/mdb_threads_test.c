/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions on threads, over a scripted connection: answers come back in the loop, what hangs is
 * told and given up, and never holds up another session. */
#include "tests/support/cm.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "agents/mongodb/threads.h"

#define SECOND BASE_US_PER_S
#define HUNG_US (SECOND / 5)
#define WAIT_US (10 * SECOND)

/* Shared with the threads. */
static struct {
    pthread_mutex_t mutex;
    pthread_cond_t cond;
    bool is_held; /* run blocks while it is */
    unsigned opens, closes, runs, inside;
    int open_status;
    int status;
} server = {.mutex = PTHREAD_MUTEX_INITIALIZER, .cond = PTHREAD_COND_INITIALIZER};

static struct {
    struct io_loop *loop;
    struct mdb_threads *threads;
    struct mdb_session_port port;
    unsigned replies;
    int status;
    char text[64];
} w;

static int conn_open(void *ctx, enum mdb_session session, void **ret)
{
    (void)ctx;
    (void)session;
    (void)pthread_mutex_lock(&server.mutex);
    int status = server.open_status;
    server.opens += status == 0;
    (void)pthread_mutex_unlock(&server.mutex);
    if (status == 0) {
        *ret = malloc(64);
    }
    return status;
}

static void conn_run(void *ctx, void *conn, const char *db, struct slice command,
                     struct mdb_reply *ret)
{
    (void)ctx;
    (void)pthread_mutex_lock(&server.mutex);
    server.runs++;
    server.inside++;
    while (server.is_held) {
        (void)pthread_cond_wait(&server.cond, &server.mutex);
    }
    server.inside--;
    *ret = (struct mdb_reply){.status = server.status, .text = ""};
    (void)pthread_mutex_unlock(&server.mutex);
    (void)snprintf(conn, 64, "%s:%.*s", db, (int)command.len, (const char *)command.data);
    ret->bson = slice_from(conn, strlen(conn));
}

static void conn_close(void *ctx, void *conn)
{
    (void)ctx;
    (void)pthread_mutex_lock(&server.mutex);
    server.closes++;
    (void)pthread_mutex_unlock(&server.mutex);
    free(conn);
}

static void hold(bool is_held)
{
    (void)pthread_mutex_lock(&server.mutex);
    server.is_held = is_held;
    (void)pthread_cond_broadcast(&server.cond);
    (void)pthread_mutex_unlock(&server.mutex);
}

static unsigned now_of(const unsigned *counter)
{
    (void)pthread_mutex_lock(&server.mutex);
    unsigned value = *counter;
    (void)pthread_mutex_unlock(&server.mutex);
    return value;
}

#define UNTIL(condition) \
    do { \
        struct base_mono until_ = base_mono_add_us(io_now(), WAIT_US); \
        while (!(condition) && base_mono_before(io_now(), until_)) { \
            io_loop_run_once(w.loop, base_mono_add_us(io_now(), 5000)); \
        } \
        assert_true(condition); \
    } while (0)

static void came(void *ctx, const struct mdb_reply *reply)
{
    (void)ctx;
    w.replies++;
    w.status = reply->status;
    (void)snprintf(w.text, sizeof(w.text), "%.*s", (int)reply->bson.len,
                   reply->bson.len > 0 ? (const char *)reply->bson.data : "");
}

static void run(enum mdb_session session, const char *text, int64_t timeout_us)
{
    const struct mdb_command command = {
        .db = "admin", .bson = slice_from_text(text), .timeout_us = timeout_us};
    w.port.run(w.port.ctx, session, &command, came, NULL);
}

static bool is_busy(enum mdb_session session)
{
    return w.port.is_busy(w.port.ctx, session);
}

static bool is_hung(enum mdb_session session)
{
    return w.port.hung_since(w.port.ctx, session).us != BASE_MONO_NEVER.us;
}

static int begin(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    server.opens = server.closes = server.runs = 0;
    server.open_status = server.status = 0;
    assert_int_equal(io_loop_new(&w.loop), 0);
    const struct mdb_threads_options options = {
        .loop = w.loop,
        .conns = {.open = conn_open, .run = conn_run, .close = conn_close},
        .hung_us = HUNG_US};
    assert_int_equal(mdb_threads_new(&options, &w.threads), 0);
    w.port = mdb_threads_port(w.threads);
    return 0;
}

static int end(void **state)
{
    (void)state;
    bool all_ended = false;
    hold(false);
    UNTIL(now_of(&server.inside) == 0);
    w.threads = mdb_threads_free(w.threads, &all_ended);
    w.loop = io_loop_free(w.loop);
    return 0;
}

/* --- */

static void test_an_answer_comes_back_in_the_loop(void **state)
{
    (void)state;
    run(MDB_SESSION_WATCH, "status", SECOND * 9);
    assert_int_equal(w.replies, 0);
    assert_true(is_busy(MDB_SESSION_WATCH));
    assert_false(is_busy(MDB_SESSION_HELLO));
    UNTIL(w.replies == 1);
    assert_int_equal(w.status, 0);
    assert_string_equal(w.text, "admin:status");
    assert_false(is_busy(MDB_SESSION_WATCH));
    run(MDB_SESSION_WATCH, "again", SECOND * 9);
    UNTIL(w.replies == 2);
    assert_int_equal(now_of(&server.opens), 1); /* the same connection */
    run(MDB_SESSION_HELLO, "hello", SECOND * 9);
    UNTIL(w.replies == 3);
    assert_int_equal(now_of(&server.opens), 2); /* another thread's */
}

static void test_a_connection_that_cannot_be_made(void **state)
{
    (void)state;
    server.open_status = BASE_E_NOMEM;
    run(MDB_SESSION_WATCH, "status", SECOND * 9);
    UNTIL(w.replies == 1);
    assert_int_equal(w.status, BASE_E_NOMEM);
    server.open_status = 0;
    run(MDB_SESSION_WATCH, "status", SECOND * 9);
    UNTIL(w.replies == 2);
    assert_int_equal(w.status, 0);
}

static void test_too_long_a_command(void **state)
{
    (void)state;
    static uint8_t much[MDB_COMMAND_BYTES + 1];
    const struct mdb_command command = {
        .db = "admin", .bson = slice_from(much, sizeof(much)), .timeout_us = SECOND};
    w.port.run(w.port.ctx, MDB_SESSION_WATCH, &command, came, NULL);
    UNTIL(w.replies == 1);
    assert_int_equal(w.status, BASE_E_TOOBIG);
    assert_int_equal(now_of(&server.runs), 0);
}

static void test_what_is_late_is_told_while_it_hangs(void **state)
{
    (void)state;
    hold(true);
    run(MDB_SESSION_CANARY, "write", SECOND / 50);
    UNTIL(w.replies == 1);
    assert_int_equal(w.status, BASE_E_TIMEOUT);
    assert_true(is_busy(MDB_SESSION_CANARY)); /* nothing else is sent behind it */
    assert_false(is_hung(MDB_SESSION_CANARY));
    hold(false);
    UNTIL(!is_busy(MDB_SESSION_CANARY));
    assert_int_equal(w.replies, 1); /* the late answer belongs to nobody */
    unsigned closes = now_of(&server.closes);
    run(MDB_SESSION_CANARY, "write", SECOND * 9);
    UNTIL(w.replies == 2);
    assert_int_equal(now_of(&server.closes), closes + 1); /* nor does its connection */
}

static void test_a_thread_that_hangs_is_given_up(void **state)
{
    (void)state;
    hold(true);
    for (unsigned i = 1; i <= MDB_GIVEN_UP_MAX; i++) {
        run(MDB_SESSION_ACT, "stepDown", SECOND / 50);
        UNTIL(w.replies == i);
        UNTIL(now_of(&server.inside) == i);
        if (i < MDB_GIVEN_UP_MAX) {
            UNTIL(!is_busy(MDB_SESSION_ACT));
            assert_true(is_hung(MDB_SESSION_ACT));
        }
    }
    UNTIL(is_hung(MDB_SESSION_ACT));
    io_loop_run_once(w.loop, base_mono_add_us(io_now(), HUNG_US * 2));
    assert_true(is_busy(MDB_SESSION_ACT)); /* bounded */
    run(MDB_SESSION_WATCH, "status", SECOND / 50);
    UNTIL(w.replies == MDB_GIVEN_UP_MAX + 1);
    hold(false);
    UNTIL(!is_busy(MDB_SESSION_ACT) && !is_hung(MDB_SESSION_ACT)); /* they came back and ended */
    run(MDB_SESSION_ACT, "stepDown", SECOND * 9);
    UNTIL(w.replies == MDB_GIVEN_UP_MAX + 2);
    assert_int_equal(w.status, 0);
}

static void test_a_reset(void **state)
{
    (void)state;
    run(MDB_SESSION_ACT, "one", SECOND * 9);
    UNTIL(w.replies == 1);
    w.port.reset(w.port.ctx, MDB_SESSION_ACT);
    UNTIL(now_of(&server.closes) == 1); /* an idle one is closed at once */
    UNTIL(!is_busy(MDB_SESSION_ACT));
    hold(true);
    run(MDB_SESSION_ACT, "two", SECOND * 9);
    UNTIL(now_of(&server.inside) == 1);
    w.port.reset(w.port.ctx, MDB_SESSION_ACT);
    assert_int_equal(w.replies, 1); /* never from inside of the call */
    UNTIL(w.replies == 2);
    assert_int_equal(w.status, BASE_E_CANCELED);
    hold(false);
    UNTIL(!is_busy(MDB_SESSION_ACT));
    run(MDB_SESSION_ACT, "three", SECOND * 9);
    UNTIL(w.replies == 3);
    assert_string_equal(w.text, "admin:three");
    assert_int_equal(now_of(&server.closes), 2);
}

static void test_the_end_waits_for_nobody_who_hangs(void **state)
{
    (void)state;
    bool all_ended = true;
    hold(true);
    run(MDB_SESSION_WATCH, "status", SECOND * 9);
    UNTIL(now_of(&server.inside) == 1);
    w.threads = mdb_threads_free(w.threads, &all_ended);
    assert_false(all_ended);
    assert_int_equal(w.replies, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_an_answer_comes_back_in_the_loop, begin, end),
        cmocka_unit_test_setup_teardown(test_a_connection_that_cannot_be_made, begin, end),
        cmocka_unit_test_setup_teardown(test_too_long_a_command, begin, end),
        cmocka_unit_test_setup_teardown(test_what_is_late_is_told_while_it_hangs, begin, end),
        cmocka_unit_test_setup_teardown(test_a_thread_that_hangs_is_given_up, begin, end),
        cmocka_unit_test_setup_teardown(test_a_reset, begin, end),
        cmocka_unit_test_setup_teardown(test_the_end_waits_for_nobody_who_hangs, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
