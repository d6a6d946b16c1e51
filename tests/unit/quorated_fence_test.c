/* SPDX-License-Identifier: Apache-2.0 */
/* Fences by real programs: what counts as off, and every way in which one does not come about. */
#include "tests/support/cm.h"

#include "arbiter/quorated/fence.h"
#include "base/canary.h"
#include "base/name.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static struct rig {
    struct io_loop *loop;
    struct quorated_fences *fences;
    char dir[64];
    unsigned ended;
    bool is_off;
    char text[256];
} w;

static void on_ended(void *user, const struct arb_fence_job *job, bool is_off, const char *text)
{
    (void)user;
    assert_string_equal(job->member.text, "pg1");
    w.ended++;
    w.is_off = is_off;
    (void)snprintf(w.text, sizeof(w.text), "%s", text);
}

static int setup(void **state)
{
    (void)state;
    memset(&w, 0, sizeof(w));
    (void)snprintf(w.dir, sizeof(w.dir), "/tmp/quorate-fence-XXXXXX");
    assert_non_null(mkdtemp(w.dir));
    assert_int_equal(io_loop_new(&w.loop), 0);
    const struct quorated_fences_options options = {
        .loop = w.loop, .dir = w.dir, .ended = on_ended};
    assert_int_equal(quorated_fences_new(&options, &w.fences), 0);
    return 0;
}

static void path_of(const char *name, char path[static 128])
{
    (void)snprintf(path, 128, "%s/%s", w.dir, name);
}

static int teardown(void **state)
{
    static const char *const names[] = {"p", "asked"};
    char path[128];
    (void)state;
    w.fences = quorated_fences_free(w.fences);
    w.loop = io_loop_free(w.loop);
    for (size_t i = 0; i < BASE_COUNT_OF(names); i++) {
        path_of(names[i], path);
        (void)unlink(path);
    }
    assert_int_equal(rmdir(w.dir), 0);
    return 0;
}

/* The program "p": `off` and `status` do what is given. */
static void program(const char *off, const char *status, mode_t mode)
{
    char path[128];
    path_of("p", path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file,
                  "#!/bin/sh\n"
                  "echo \"$1 $QUORATE_CLUSTER $QUORATE_MEMBER $QUORATE_HOST $QUORATE_EPOCH\" "
                  ">>%s/asked\n"
                  "case $1 in off) %s ;; status) %s ;; esac\n",
                  w.dir, off, status);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void fence(const char *command)
{
    struct arb_fence_job job = {.epoch = 7, .timeout_ms = 2000};
    assert_int_equal(base_name_from_text("main", &job.cluster), 0);
    assert_int_equal(base_name_from_text("pg1", &job.member), 0);
    job.host = base_text_from(SLICE_LIT("10.0.0.1"));
    (void)snprintf(job.command, sizeof(job.command), "%s", command);
    quorated_fence(w.fences, &job);
    assert_int_equal(w.ended, 0);   /* never from inside */
    quorated_fence(w.fences, &job); /* once is enough */
    struct base_mono until = base_mono_add_us(io_now(), 20 * BASE_US_PER_S);
    while (w.ended == 0 && base_mono_before(io_now(), until)) {
        io_loop_run_once(w.loop, base_mono_add_us(io_now(), 50 * BASE_US_PER_MS));
    }
    assert_int_equal(w.ended, 1);
}

static void asked_is(const char *want)
{
    char path[128];
    char text[512] = "";
    path_of("asked", path);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    (void)!fread(text, 1, sizeof(text) - 1, file);
    (void)fclose(file);
    assert_string_equal(text, want);
}

static void test_off_and_then_status_says_off(void **state)
{
    (void)state;
    program("exit 0", "exit 2", 0755);
    fence("p");
    assert_true(w.is_off);
    asked_is("off main pg1 10.0.0.1 7\nstatus main pg1 10.0.0.1 7\n");
}

static void test_what_the_command_says_alone_is_not_believed(void **state)
{
    (void)state;
    program("exit 0", "exit 0", 0755); /* still on */
    fence("p");
    assert_false(w.is_off);
    assert_string_equal(w.text, "p status: exit 0");
}

static void test_a_command_that_fails(void **state)
{
    (void)state;
    program("exit 3", "exit 2", 0755);
    fence("p");
    assert_false(w.is_off);
    assert_string_equal(w.text, "p off: exit 3");
    asked_is("off main pg1 10.0.0.1 7\n");
}

/* Its children too: the group is killed. */
static void test_a_command_that_takes_too_long(void **state)
{
    (void)state;
    program("sleep 100 & wait", "exit 2", 0755);
    fence("p");
    assert_false(w.is_off);
    assert_string_equal(w.text, "p off: took too long, signal 9");
}

static void test_a_command_that_cannot_be_run(void **state)
{
    (void)state;
    fence("p");
    assert_false(w.is_off);
    assert_non_null(strstr(w.text, "is no program that can be run"));
    w.ended = 0;
    program("exit 0", "exit 2", 0777);
    fence("p");
    assert_false(w.is_off);
    assert_non_null(strstr(w.text, "can be changed by others"));
    w.ended = 0;
    fence("");
    assert_false(w.is_off);
    assert_string_equal(w.text, "no fence.command is set");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        TEST(test_off_and_then_status_says_off),
        TEST(test_what_the_command_says_alone_is_not_believed),
        TEST(test_a_command_that_fails),
        TEST(test_a_command_that_takes_too_long),
        TEST(test_a_command_that_cannot_be_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
