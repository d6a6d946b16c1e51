/* SPDX-License-Identifier: Apache-2.0 */
/* Hooks: which are due, what they are told, that they end in time, and the gate around a promotion
 * and a stop. */
#include "tests/support/cm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/hooks/port.h"
#include "base/canary.h"
#include "base/name.h"
#include "proto/io/log.h"

static struct base_name name(const char *text)
{
    struct base_name n = {{0}};
    assert_int_equal(base_name_from_text(text, &n), 0);
    return n;
}

/* --- what is due --- */

static struct hooks_watch watch;
static struct hooks_facts facts;

static void due_is(const char *want)
{
    enum hook_kind due[HOOKS_EVENTS_MAX];
    char got[200] = "";
    size_t count = hooks_watch_step(&watch, &facts, due);
    for (size_t i = 0; i < count; i++) {
        size_t len = strlen(got);
        (void)snprintf(got + len, sizeof(got) - len, "%s ", hook_name(due[i]));
    }
    assert_string_equal(got, want);
}

static void watch_begin(enum hooks_role role)
{
    memset(&watch, 0, sizeof(watch));
    facts = (struct hooks_facts){.is_known = true, .is_gone = true};
    due_is("");
    facts = (struct hooks_facts){
        .is_known = true, .is_answering = true, .starts = 1, .role = role, .epoch = 3};
}

static void test_life_of_a_member(void **state)
{
    (void)state;
    watch_begin(HOOKS_ROLE_REPLICA);
    due_is("on_start on_role_change ");
    due_is("");
    facts.role = HOOKS_ROLE_PRIMARY; /* promoted */
    facts.primary = name("a");
    due_is("on_role_change on_primary_change ");
    due_is("");
    facts.is_answering = false; /* a probe that hangs is no end */
    due_is("");
    facts.is_answering = true;
    due_is("");
    facts.starts = 2; /* came back between two looks */
    due_is("on_stop on_restart ");
    facts.is_gone = true;
    facts.is_answering = false;
    facts.role = HOOKS_ROLE_REPLICA;
    due_is("on_stop on_role_change ");
    facts.is_gone = false;
    facts.is_answering = true;
    facts.starts = 3;
    due_is("on_start ");
}

static void test_agent_that_comes_back_starts_nothing(void **state)
{
    (void)state;
    memset(&watch, 0, sizeof(watch));
    facts = (struct hooks_facts){.is_known = false, .is_answering = true};
    due_is("");
    facts = (struct hooks_facts){
        .is_known = true, .is_answering = true, .starts = 7, .role = HOOKS_ROLE_PRIMARY};
    due_is("on_role_change ");
    memset(&watch, 0, sizeof(watch)); /* its first probe comes later */
    facts = (struct hooks_facts){.is_known = true, .starts = 7};
    due_is("");
    facts.is_answering = true;
    facts.role = HOOKS_ROLE_REPLICA;
    due_is("on_role_change ");
    facts.starts = 8;
    due_is("on_stop on_restart ");
}

static void test_a_primary_starts_when_it_is_open(void **state)
{
    (void)state;
    watch_begin(HOOKS_ROLE_UNKNOWN);
    due_is("");
    facts.role = HOOKS_ROLE_PRIMARY;
    due_is("on_start on_role_change ");
}

static void test_every_new_primary_is_told_once(void **state)
{
    (void)state;
    watch_begin(HOOKS_ROLE_REPLICA);
    due_is("on_start on_role_change ");
    facts.primary = name("b");
    facts.primary_port = 5432;
    due_is("on_primary_change ");
    due_is("");
    facts.epoch = 4;
    memset(&facts.primary, 0, sizeof(facts.primary)); /* nobody yet */
    due_is("");
    facts.primary = name("b"); /* the same one, in a new epoch: it opened again */
    due_is("on_primary_change ");
    facts.primary_port = 5433;
    due_is("on_primary_change ");
    due_is("");
}

/* --- real commands --- */

static struct io_loop *loop;
static struct hooks hooks;
static struct hooks_settings settings;
static struct agt agent;
static struct db_order forwarded;
static int forwarded_count;
static struct db_done done;
static int done_count;
static bool has_right;
static char dir[64];

static void engine_order(void *ctx, const struct db_order *order)
{
    (void)ctx;
    forwarded = *order;
    forwarded_count++;
}

static void driver_done(void *ctx, const struct db_done *ended)
{
    (void)ctx;
    done = *ended;
    done_count++;
}

static bool may_promote(void *ctx, uint64_t epoch)
{
    (void)ctx;
    return has_right && epoch == 5;
}

static struct db_port rig_open(void)
{
    memset(&agent, 0, sizeof(agent));
    agent.config.cluster = name("c");
    agent.config.member = name("a");
    agent.config.db_port = 5432;
    agent.has_order = true;
    agent.order.record.epoch = 5;
    forwarded_count = done_count = 0;
    has_right = true;
    assert_int_equal(io_loop_new(&loop), 0);
    memset(&hooks, 0, sizeof(hooks));
    assert_int_equal(hooks_open(&hooks, loop, &settings), 0);
    hooks.done = driver_done;
    hooks.may_promote = may_promote;
    struct db_port port = hooks_port(&hooks, (struct db_port){.order = engine_order});
    hooks_look(&hooks, &agent, io_now());
    return port;
}

static void rig_close(void)
{
    hooks_close(&hooks);
    loop = io_loop_free(loop);
    memset(&settings, 0, sizeof(settings));
}

static void set(enum hook_kind kind, const char *format, const char *argument)
{
    char *command = settings.commands[kind];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    (void)snprintf(command, HOOK_COMMAND_MAX, format, argument);
#pragma GCC diagnostic pop
}

/* Until a condition holds, 10 s at most. */
#define RUN_UNTIL(condition) \
    do { \
        struct base_mono until = base_mono_add_us(io_now(), 10 * BASE_US_PER_S); \
        while (!(condition) && base_mono_before(io_now(), until)) { \
            io_loop_run_once(loop, base_mono_add_us(io_now(), 20 * BASE_US_PER_MS)); \
        } \
        assert_true(condition); \
    } while (false)

static const char *written(const char *file)
{
    static char text[2048];
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", dir, file);
    FILE *f = fopen(path, "re");
    if (f == NULL) {
        return "";
    }
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    (void)fclose(f);
    return text;
}

/* Gone, or a zombie: its parent has gone, and whoever reaps orphans here may take a moment. */
static bool is_dead(long pid)
{
    char proc[64];
    char line[256] = "";
    (void)snprintf(proc, sizeof(proc), "/proc/%ld/stat", pid);
    FILE *f = fopen(proc, "re");
    if (f == NULL) {
        return true;
    }
    line[fread(line, 1, sizeof(line) - 1, f)] = '\0';
    (void)fclose(f);
    return line[0] == '\0' || strstr(line, ") Z ") != NULL;
}

static struct db_order promote_order(void)
{
    return (struct db_order){.id = 9, .kind = DB_ORDER_PROMOTE, .epoch = 5};
}

static void test_a_refused_promotion_never_reaches_the_engine(void **state)
{
    (void)state;
    set(HOOK_PRE_PROMOTE, "echo not here; exit %s", "3");
    struct db_port port = rig_open();
    struct db_order order = promote_order();
    port.order(port.ctx, &order);
    assert_int_equal(done_count, 0); /* never from inside */
    RUN_UNTIL(done_count == 1);
    assert_int_equal(forwarded_count, 0);
    assert_int_equal(done.id, 9);
    assert_int_equal(done.status, BASE_E_DENIED);
    assert_string_equal(done.text.text, "pre_promote refused: not here");
    rig_close();
}

static void test_a_promotion_goes_on_behind_its_hook(void **state)
{
    (void)state;
    set(HOOK_PRE_PROMOTE, "sh -c 'env; echo \"$0 $1 $2 $3\"' x >%s/told", dir);
    struct db_port port = rig_open();
    struct db_order order = promote_order();
    port.order(port.ctx, &order);
    assert_int_equal(forwarded_count, 0);
    RUN_UNTIL(forwarded_count == 1);
    assert_int_equal(forwarded.id, 9);
    assert_int_equal(done_count, 0);
    assert_non_null(strstr(written("told"), "x pre_promote unknown c\n"));
    assert_non_null(strstr(written("told"), "QUORATE_MEMBER=a\n"));
    assert_non_null(strstr(written("told"), "QUORATE_EPOCH=5\n"));
    rig_close();
}

/* The lease may have ended while the hook ran. */
static void test_the_right_is_looked_at_again(void **state)
{
    (void)state;
    set(HOOK_PRE_PROMOTE, "true%s", "");
    struct db_port port = rig_open();
    struct db_order order = promote_order();
    port.order(port.ctx, &order);
    has_right = false;
    RUN_UNTIL(done_count == 1);
    assert_int_equal(forwarded_count, 0);
    assert_int_equal(done.status, BASE_E_CANCELED);
    rig_close();
}

static void test_a_canceled_promotion_ends_its_hook(void **state)
{
    (void)state;
    set(HOOK_PRE_PROMOTE, "touch %s/began; sleep 60 & wait", dir);
    struct db_port port = rig_open();
    struct db_order order = promote_order();
    struct db_order cancel = {.id = 9, .kind = DB_ORDER_CANCEL};
    port.order(port.ctx, &order);
    port.order(port.ctx, &cancel);
    RUN_UNTIL(done_count == 1);
    assert_int_equal(forwarded_count, 0);
    assert_int_equal(done.status, BASE_E_CANCELED);
    assert_int_equal(done.id, 9);
    rig_close();
}

static void test_a_hook_that_hangs_is_killed_with_its_children(void **state)
{
    (void)state;
    set(HOOK_PRE_PROMOTE, "sleep 600 & echo $! >%s/pid; wait", dir);
    settings.timeout_us = 300 * BASE_US_PER_MS;
    struct db_port port = rig_open();
    struct db_order order = promote_order();
    port.order(port.ctx, &order);
    RUN_UNTIL(done_count == 1);
    assert_int_equal(done.status, BASE_E_DENIED);
    RUN_UNTIL(is_dead(strtol(written("pid"), NULL, 10)));
    rig_close();
}

static void test_before_stop_runs_behind_the_checkpoint(void **state)
{
    (void)state;
    set(HOOK_BEFORE_STOP, "touch %s/paused; exit 1", dir); /* its status changes nothing */
    struct db_port port = rig_open();
    struct db_order order = {.id = 4, .kind = DB_ORDER_CHECKPOINT};
    port.order(port.ctx, &order);
    assert_int_equal(forwarded_count, 1);
    struct db_done ended = {.id = 4, .kind = DB_ORDER_CHECKPOINT};
    assert_true(hooks_take_done(&hooks, &ended));
    assert_int_equal(done_count, 0);
    RUN_UNTIL(done_count == 1);
    assert_int_equal(done.status, 0);
    assert_int_equal(done.id, 4);
    struct db_done other = {.id = 5, .kind = DB_ORDER_FOLLOW};
    assert_false(hooks_take_done(&hooks, &other));
    rig_close();
}

/* Clients that were told to wait hear that nothing changes. */
static void test_a_hand_over_called_off_tells_the_role_again(void **state)
{
    (void)state;
    set(HOOK_BEFORE_STOP, "sleep 60 & wait%s", "");
    set(HOOK_ROLE_CHANGE, "echo \"$@\" >%s/role; #", dir);
    struct db_port port = rig_open();
    hooks.watch.role = HOOKS_ROLE_PRIMARY;
    struct db_order order = {.id = 4, .kind = DB_ORDER_CHECKPOINT};
    struct db_order cancel = {.id = 4, .kind = DB_ORDER_CANCEL};
    struct db_done ended = {.id = 4, .kind = DB_ORDER_CHECKPOINT};
    port.order(port.ctx, &order);
    assert_true(hooks_take_done(&hooks, &ended));
    port.order(port.ctx, &cancel);
    RUN_UNTIL(done_count == 1);
    assert_int_equal(done.status, BASE_E_CANCELED);
    RUN_UNTIL(strcmp(written("role"), "on_role_change primary c\n") == 0);
    RUN_UNTIL(!hooks.follower.is_running);
    rig_close();
}

/* The second one of a kind ends the first, and runs. */
static void test_a_later_word_replaces_the_earlier(void **state)
{
    (void)state;
    set(HOOK_RELOAD, "echo run >>%s/runs; [ -e \"$0.never\" ] || sleep 0.2; #", dir);
    (void)rig_open();
    const struct db_done ended = {.id = 1, .kind = DB_ORDER_CONFIGURE};
    for (int i = 0; i < 3; i++) {
        assert_false(hooks_take_done(&hooks, &ended));
    }
    assert_int_equal(hooks.queue_count, 1);
    RUN_UNTIL(hooks.queue_count == 0 && !hooks.follower.is_running);
    assert_non_null(strstr(written("runs"), "run\n"));
    rig_close();
}

static void test_without_commands_nothing_is_in_between(void **state)
{
    (void)state;
    struct db_port port = rig_open();
    assert_ptr_equal(port.order, engine_order);
    assert_null(hooks.workers);
    rig_close();
}

static int make_dir(void **state)
{
    (void)state;
    (void)snprintf(dir, sizeof(dir), "%s/hooks.XXXXXX",
                   getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
    io_log_set_level(IO_LEVEL_ERROR);
    return mkdtemp(dir) == NULL ? -1 : 0;
}

static int remove_dir(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -rf '%s'", dir);
    return system(command);
}

int main(void)
{
    (void)base_canary_select(getenv("QUORATE_CANARY")); /* a canary build: what this must catch */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life_of_a_member),
        cmocka_unit_test(test_agent_that_comes_back_starts_nothing),
        cmocka_unit_test(test_a_primary_starts_when_it_is_open),
        cmocka_unit_test(test_every_new_primary_is_told_once),
        cmocka_unit_test(test_a_refused_promotion_never_reaches_the_engine),
        cmocka_unit_test(test_a_promotion_goes_on_behind_its_hook),
        cmocka_unit_test(test_the_right_is_looked_at_again),
        cmocka_unit_test(test_a_canceled_promotion_ends_its_hook),
        cmocka_unit_test(test_a_hook_that_hangs_is_killed_with_its_children),
        cmocka_unit_test(test_before_stop_runs_behind_the_checkpoint),
        cmocka_unit_test(test_a_hand_over_called_off_tells_the_role_again),
        cmocka_unit_test(test_a_later_word_replaces_the_earlier),
        cmocka_unit_test(test_without_commands_nothing_is_in_between),
    };
    return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
