/* SPDX-License-Identifier: Apache-2.0 */
/* Timers in order and by the thousand, wake-ups from threads, workers, log lines, addresses. */
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/rand.h"
#include "proto/io/address.h"
#include "proto/io/log.h"
#include "tests/unit/io_test_support.h"

#define TIMERS 2000

static struct io_loop *loop;

static int setup(void **state)
{
    (void)state;
    return io_loop_new(&loop);
}

static int teardown(void **state)
{
    (void)state;
    loop = io_loop_free(loop);
    return 0;
}

static struct {
    struct io_timer timers[TIMERS];
    struct base_mono last;
    unsigned fired, early, disordered;
} many;

static void many_fired(void *ctx)
{
    struct io_timer *timer = ctx;
    many.fired++;
    many.early += base_mono_before(io_now(), timer->deadline);
    many.disordered += base_mono_before(timer->deadline, many.last);
    many.last = timer->deadline;
}

/* Random starts, restarts and stops; the rest fires in order, once, never early. */
static void timers_fire_in_order(void **state)
{
    (void)state;
    struct base_rand r = base_rand_make(7, 1);
    struct base_mono start = io_now();
    unsigned active = 0;
    for (size_t i = 0; i < TIMERS; i++) {
        io_timer_init(&many.timers[i], loop, many_fired, &many.timers[i]);
    }
    many.last = BASE_MONO_LONG_AGO;
    for (size_t i = 0; i < 5 * TIMERS; i++) {
        struct io_timer *timer = &many.timers[base_rand_between(&r, 0, TIMERS - 1)];
        if (base_rand_chance_ppm(&r, 300000)) {
            io_timer_stop(timer);
        } else {
            io_timer_start(
                timer, base_mono_add_us(start, 50000 + (int64_t)base_rand_between(&r, 0, 100000)));
        }
    }
    for (size_t i = 0; i < TIMERS; i++) {
        active += many.timers[i].is_active;
    }
    run_for(loop, 300000);
    assert_int_equal(many.fired, active);
    assert_int_equal(many.early, 0);
    assert_int_equal(many.disordered, 0);
}

static void set_flag(void *ctx)
{
    *(bool *)ctx = true;
}

static void never_and_past(void **state)
{
    (void)state;
    struct io_timer timer;
    bool is_fired = false;
    io_timer_init(&timer, loop, set_flag, &is_fired);
    io_timer_start(&timer, BASE_MONO_NEVER);
    assert_false(timer.is_active);
    io_timer_start(&timer, BASE_MONO_LONG_AGO);
    run_until(loop, &is_fired);
}

static void signal_came(void *ctx, int number)
{
    assert_int_equal(number, SIGUSR1);
    set_flag(ctx);
}

static void signals_come(void **state)
{
    (void)state;
    bool is_there = false;
    assert_int_equal(io_signal_watch(loop, SIGUSR1, signal_came, &is_there), 0);
    assert_int_equal(kill(getpid(), SIGUSR1), 0);
    run_until(loop, &is_there);
}

struct job {
    struct io_work work;
    unsigned number;
    pthread_t thread;
    bool is_done;
};

static void job_run(struct io_work *work)
{
    struct job *job = (struct job *)work;
    job->thread = pthread_self();
    (void)usleep(1000);
}

static void job_done(struct io_work *work)
{
    ((struct job *)work)->is_done = true;
}

static void workers_run_elsewhere(void **state)
{
    (void)state;
    static struct job jobs[50];
    struct io_workers *workers = NULL;
    assert_int_equal(io_workers_new(loop, 3, &workers), 0);
    for (unsigned i = 0; i < 50; i++) {
        jobs[i] = (struct job){.work = {.run = job_run, .done = job_done}, .number = i};
        io_work_submit(workers, &jobs[i].work);
    }
    for (unsigned i = 0; i < 50; i++) {
        run_until(loop, &jobs[i].is_done);
        assert_false(pthread_equal(jobs[i].thread, pthread_self()));
    }
    jobs[0].is_done = false;
    io_work_submit(workers, &jobs[0].work);
    workers = io_workers_free(workers, true);
    assert_true(jobs[0].is_done);
}

static char logged[4096];
static unsigned logged_count;

static void log_sink(void *ctx, struct slice line)
{
    (void)ctx;
    assert_true(line.len < sizeof(logged));
    memcpy(logged, line.data, line.len);
    logged[line.len] = '\0';
    logged_count++;
}

static void log_lines(void **state)
{
    (void)state;
    struct base_name name = {"n2"};
    io_log_set_sink(log_sink, NULL);
    io_log_set_node("n1");
    IO_LOG_NOTICE("raft", "leader_elected", io_u64("term", 7), io_name("leader", &name),
                  io_i64("delta", -5), io_hex("id", 0xab), io_bool("is_new", true),
                  io_err(BASE_E_BUSY), io_text("why", "a \"b\"\n=\x01"), io_text("empty", NULL));
    assert_memory_equal(logged, "ts=20", 5);
    assert_string_equal(
        strstr(logged, " lvl="),
        " lvl=notice mod=raft ev=leader_elected node=n1 term=7 leader=n2 delta=-5 id=ab "
        "is_new=true err=BUSY why=\"a \\\"b\\\"\\n=\\x01\" empty=\"\"");
    logged_count = 0;
    IO_LOG_DEBUG("raft", "hidden");
    assert_int_equal(logged_count, 0);
    for (int i = 0; i < 100; i++) {
        IO_LOG_WARN("raft", "noisy");
    }
    assert_int_equal(logged_count, 20);
    static char longest[5000];
    memset(longest, 'x', sizeof(longest) - 1);
    IO_LOG_WARN("raft", "long", io_text("a", longest), io_text("b", longest), io_text("c", longest),
                io_text("d", longest));
    assert_true(strlen(logged) <= IO_LOG_LINE_MAX);
    io_log_set_sink(NULL, NULL);
    io_log_set_node("");
}

static struct io_address parse(const char *text)
{
    struct io_address address;
    struct io_why why = {""};
    assert_int_equal(io_address_parse(slice_from_text(text), 2379, &address, &why), 0);
    return address;
}

static void addresses(void **state)
{
    (void)state;
    char memory[IO_ADDRESS_TEXT_MAX];
    struct io_address address = parse("https://n1.example:2380/");
    assert_string_equal(address.host, "n1.example");
    assert_int_equal(address.port, 2380);
    assert_int_equal(address.scheme, IO_SCHEME_HTTPS);
    address = parse("[::1]:99");
    assert_string_equal(io_address_text(&address, memory, sizeof(memory)), "[::1]:99");
    assert_true(io_address_is_loopback(&address));
    address = parse("fe80::1%eth0");
    assert_int_equal(address.port, 2379);
    address = parse("*:1");
    assert_string_equal(address.host, "");
    address = parse("127.9.9.9");
    assert_true(io_address_is_loopback(&address) && io_address_is_numeric(&address));
    address = parse("localhost");
    assert_true(io_address_is_loopback(&address) && !io_address_is_numeric(&address));
    address = parse("10.0.0.1");
    assert_false(io_address_is_loopback(&address));
    static const char *const bad[] = {"a:b",    "a:",  "a:70000", "[::1",
                                      "[::1]x", "a b", "x:y:z",   "a/b"};
    for (size_t i = 0; i < BASE_COUNT_OF(bad); i++) {
        struct io_why why = {""};
        assert_int_equal(io_address_parse(slice_from_text(bad[i]), 1, &address, &why),
                         BASE_E_INVALID);
        assert_non_null(strstr(why.text, "allowed:"));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(timers_fire_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(never_and_past, setup, teardown),
        cmocka_unit_test_setup_teardown(signals_come, setup, teardown),
        cmocka_unit_test_setup_teardown(workers_run_elsewhere, setup, teardown),
        cmocka_unit_test(log_lines),
        cmocka_unit_test(addresses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
