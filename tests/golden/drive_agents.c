/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of agent scripts: the world of tests/unit/agt_world.h, one agent with the real guard core
 * over a modelled database, member "a" of {a, b, d}. README.md lists the commands.
 *
 * Told are: what the agent orders of guard and database, what it logs, and after each command the
 * row of the table that is in force, when it is another one. Renewals of a lease are counted. */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "tests/golden/golden.h"
#include "tests/unit/agt_world.h"

#define ULL(x) ((unsigned long long)(x))

static struct world world;
static struct agt_ports original; /* the world's own */
static uint64_t armed;            /* epoch of the last arm that was told */
static unsigned renewals;
static const struct agt_row *told_row;
static int64_t began_us;

/* --- what the agent asks for --- */

static long long at_ms(void)
{
    return (long long)((world.now.us - began_us) / BASE_US_PER_MS);
}

static void tell_start(void *ctx)
{
    golden_say("%lld ms: guard, start", at_ms());
    original.guard.start(ctx);
}

static void tell_arm(void *ctx, uint64_t epoch, struct base_mono deadline, int64_t freeze_max_us)
{
    if (epoch == armed && world.guard.status.is_armed &&
        world.guard.status.tree != GUARD_TREE_FROZEN) {
        renewals++;
    } else {
        golden_say("%lld ms: guard, arm epoch %llu for %lld ms", at_ms(), ULL(epoch),
                   (long long)(base_mono_diff_us(deadline, world.now) / BASE_US_PER_MS));
    }
    armed = epoch;
    original.guard.arm(ctx, epoch, deadline, freeze_max_us);
}

static void tell_disarm(void *ctx)
{
    golden_say("%lld ms: guard, disarm", at_ms());
    original.guard.disarm(ctx);
}

static void tell_signal(void *ctx, int number)
{
    golden_say("%lld ms: guard, %s", at_ms(),
               number == AGT_SIGNAL_FAST ? "fast stop" : "immediate stop");
    original.guard.signal(ctx, number);
}

static void tell_kill(void *ctx)
{
    golden_say("%lld ms: guard, kill", at_ms());
    original.guard.kill(ctx);
}

static void tell_hand_back(void *ctx, uint64_t epoch)
{
    golden_say("%lld ms: guard, hand back epoch %llu", at_ms(), ULL(epoch));
    original.guard.hand_back(ctx, epoch);
}

static const char *sync_text(const struct db_order *o)
{
    static char text[160];
    int len = snprintf(text, sizeof(text), ", %u of", o->sync_count);
    for (uint8_t i = 0; i < o->sync_names.count; i++) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, " %s", o->sync_names.names[i].text);
    }
    return text;
}

static void tell_order(void *ctx, const struct db_order *o)
{
    static const char *const kinds[] = {"none",
                                        "initdb",
                                        "clone",
                                        "rewind",
                                        "prepare as standby",
                                        "prepare as primary",
                                        "follow",
                                        "detach",
                                        "promote",
                                        "set sync",
                                        "barrier",
                                        "checkpoint",
                                        "clients out",
                                        "configure",
                                        "cancel"};
    char detail[64] = "";
    if (o->kind == DB_ORDER_PROMOTE) {
        (void)snprintf(detail, sizeof(detail), " to timeline %u", o->timeline);
    } else if (o->kind != DB_ORDER_CANCEL && o->upstream_member.text[0] != '\0') {
        (void)snprintf(detail, sizeof(detail), " from %.40s", o->upstream_member.text);
    }
    bool has_sync = o->kind == DB_ORDER_SET_SYNC || o->kind == DB_ORDER_BARRIER ||
                    o->kind == DB_ORDER_PREPARE_PRIMARY;
    golden_say("%lld ms: database, %s%s%s%s", at_ms(), kinds[o->kind], detail,
               has_sync ? sync_text(o) : "", o->is_gated ? ", gated" : "");
    original.db.order(ctx, o);
}

static void tell_log(void *ctx, const char *text)
{
    (void)ctx;
    golden_say("%lld ms: \"%s\"", at_ms(), text);
}

static void tell_renewals(void)
{
    if (renewals > 0) {
        golden_say("renewed %u times", renewals);
    }
    renewals = 0;
}

/* After each command. */
static void tell_row(void)
{
    const struct agt *agent = world_agent(&world);
    const struct agt_row *row =
        world.has_agent ? agt_table_row(agent->state, agent->goal) : told_row;
    tell_renewals();
    if (row != told_row) {
        golden_say("%s, to %s: %s", agt_state_text(row->state), agt_goal_text(row->goal),
                   row->sentence);
    }
    told_row = row;
    if (world.broken != NULL) {
        golden_wrong("the world is broken: %s", world.broken);
    }
}

/* --- commands --- */

static void do_agent(const struct golden_line *line)
{
    (void)line;
    world_agent_start(&world);
    tell_row();
}

/* directory EPOCH TIMELINE LSN: what is on disk before the agent starts */
static void do_directory(const struct golden_line *line)
{
    world_directory(&world, (uint64_t)golden_number(line, 1), (uint32_t)golden_number(line, 2),
                    (uint64_t)golden_number(line, 3));
}

/* record EPOCH HOLDER [bootstrap] */
static void do_record(const struct golden_line *line)
{
    world_record(&world, (uint64_t)golden_number(line, 1), golden_word(line, 2));
    if (golden_has(line, "bootstrap")) {
        world.record.state = MSG_RECORD_BOOTSTRAP;
        world.record.system_id = 0;
    }
}

static enum msg_goal goal_at(const struct golden_line *line, int at)
{
    static const char *const goals[] = {"none", "init",      "hold",   "follow",
                                        "vote", "hand-over", "refused"};
    for (size_t i = 0; i < BASE_COUNT_OF(goals); i++) {
        if (strcmp(golden_word(line, at), goals[i]) == 0) {
            return (enum msg_goal)i;
        }
    }
    golden_wrong("no goal '%s'", line->words[at]);
}

/* order GOAL MS [granted]: every report is answered so for so long */
static void do_order(const struct golden_line *line)
{
    world_hold_ms(&world, goal_at(line, 1), golden_has(line, "granted"), golden_number(line, 2));
    tell_row();
}

static void do_pass(const struct golden_line *line)
{
    world_run_ms(&world, golden_number(line, 1));
    tell_row();
}

/* stall MS: the agent does not run, the guard does */
static void do_stall(const struct golden_line *line)
{
    world_stall_ms(&world, golden_number(line, 1));
    tell_row();
}

/* attempt TERM NUMBER, ended TERM NUMBER: as orders name them from now on */
static void do_attempt(const struct golden_line *line)
{
    struct msg_attempt a = {(uint64_t)golden_number(line, 1), (uint64_t)golden_number(line, 2)};
    if (strcmp(line->words[0], "attempt") == 0) {
        world.attempt = a;
    } else {
        world.ended = a;
    }
}

/* sync K NAME...: the wish that orders carry */
static void do_sync(const struct golden_line *line)
{
    world.has_sync = true;
    memset(&world.sync_names, 0, sizeof(world.sync_names));
    world.sync_count = (uint8_t)golden_number(line, 1);
    for (int at = 2; at < line->count; at++) {
        world.sync_names.names[world.sync_names.count++] = world_name(line->words[at]);
    }
}

/* standbys NAME...: they stream from us */
static void do_standbys(const struct golden_line *line)
{
    world.db.standbys_count = 0;
    for (int at = 1; at < line->count; at++) {
        world.db.standbys[world.db.standbys_count++] = (struct msg_standby){
            .member = world_name(line->words[at]), .flush_lsn = world.db.lsn, .is_streaming = true};
    }
}

static void do_crash(const struct golden_line *line)
{
    (void)line;
    world_crash(&world);
}

/* lever NAME VALUE */
static void do_lever(const struct golden_line *line)
{
    const char *name = golden_word(line, 1);
    int value = (int)golden_number(line, 2);
    if (strcmp(name, "hanging") == 0) {
        world.db.is_hanging = value != 0;
    } else if (strcmp(name, "guard-silent") == 0) {
        world.is_guard_silent = value != 0;
    } else if (strcmp(name, "stop-slow") == 0) {
        world.is_stop_slow = value != 0;
    } else if (strcmp(name, "save-fails") == 0) {
        world.save_status = value != 0 ? BASE_E_NOSPACE : 0;
    } else if (strcmp(name, "rewind-fails") == 0) {
        world.rewind_status = value != 0 ? BASE_E_CONFLICT : 0;
    } else if (strcmp(name, "promote-off-by") == 0) {
        world.promote_offset = (uint32_t)value;
    } else if (strcmp(name, "writing-fails") == 0) {
        world.db.is_write_failing = value != 0;
    } else if (strcmp(name, "upstream-timeline") == 0) {
        world.upstream_timeline = (uint32_t)value;
    } else if (strcmp(name, "upstream-open") == 0) {
        world.is_upstream_open = value != 0;
    } else if (strcmp(name, "on-crash") == 0) { /* of the next agent process */
        world.options.config.on_crash = (enum agt_on_crash)value;
    } else if (strcmp(name, "term") == 0) {
        world.term = (uint64_t)value;
    } else {
        golden_wrong("no lever '%s'", name);
    }
}

/* pause on|off: as the record says from now on */
static void do_pause(const struct golden_line *line)
{
    world.record.is_paused = strcmp(golden_word(line, 1), "on") == 0;
    world.record.revision++;
}

/* task restart|reload|reinit ID, task none: what the record asks of "a" */
static void do_task(const struct golden_line *line)
{
    static const char *const kinds[] = {"none", "restart", "reload", "reinit"};
    world.record.tasks_count = 0;
    world.record.revision++;
    for (size_t i = 1; i < BASE_COUNT_OF(kinds); i++) {
        if (strcmp(golden_word(line, 1), kinds[i]) == 0) {
            world_task(&world, (enum msg_task_kind)i, (uint64_t)golden_number(line, 2));
        }
    }
}

/* config N: the record names document N, and the leader sends it */
static void do_config(const struct golden_line *line)
{
    world.record.config_revision = (uint64_t)golden_number(line, 1);
    world.record.revision++;
    world_order(&world, world.last_goal, false);
    world_config(&world, world.record.config_revision);
    tell_row();
}

/* failsafe NAME...: members that the record names for it */
static void do_failsafe(const struct golden_line *line)
{
    world.record.is_failsafe = true;
    world.record.revision++;
    memset(&world.record.failsafe_members, 0, sizeof(world.record.failsafe_members));
    for (int at = 1; at < line->count; at++) {
        world.record.failsafe_members.names[world.record.failsafe_members.count++] =
            world_name(line->words[at]);
    }
}

/* rounds MS NAME...: the quorum is silent, and these members grant every round */
static void do_rounds(const struct golden_line *line)
{
    uint64_t answered = world.asked.round;
    uint64_t first = answered;
    for (long long ms = golden_number(line, 1); ms > 0; ms--) {
        world_run_ms(&world, 1);
        for (int at = 2; world.asked.round != answered && at < line->count; at++) {
            world_failsafe_answer(&world, line->words[at], true);
        }
        answered = world.asked.round;
    }
    golden_say("asked %llu times", ULL(answered - first));
    tell_row();
}

/* ask NAME EPOCH: a holder asks us */
static void do_ask(const struct golden_line *line)
{
    bool is_granted =
        world_failsafe_ask(&world, golden_word(line, 1), (uint64_t)golden_number(line, 2));
    golden_say("%s", is_granted ? "granted" : "refused");
    tell_row();
}

static void do_shutdown(const struct golden_line *line)
{
    (void)line;
    agt_driver_shutdown(&world.driver);
    tell_row();
}

static void do_report(const struct golden_line *line)
{
    static const char *const states[] = {"unknown",  "empty",   "creating",  "stopped",
                                         "starting", "standby", "promoting", "primary",
                                         "stopping", "frozen",  "failed"};
    const struct msg_report *r = &world.report;
    (void)line;
    golden_say("%s%s, seen epoch %llu, held %llu, handed back %llu%s, history %llu up to %llu",
               states[r->db_state], r->is_open ? " and open" : "", ULL(r->epoch_seen),
               ULL(r->epoch_held), ULL(r->epoch_handed_back),
               r->is_handback_clean ? " (clean)" : "", ULL(r->position.lineage),
               ULL(r->position.lsn));
    if (r->is_paused || r->is_failsafe || r->task_id != 0 || r->config_revision != 0) {
        golden_say("%s%stask %llu (%d), document %llu", r->is_paused ? "paused, " : "",
                   r->is_failsafe ? "failsafe, " : "", ULL(r->task_id), r->task_status,
                   ULL(r->config_revision));
    }
    if (r->promised.number != 0) {
        golden_say("promised attempt %llu/%llu%s", ULL(r->promised.term), ULL(r->promised.number),
                   r->is_vote_valid ? ", the position is final" : "");
    }
}

static void begin(void)
{
    world_init(&world);
    original = world.options.ports;
    world.options.ports.guard.start = tell_start;
    world.options.ports.guard.arm = tell_arm;
    world.options.ports.guard.disarm = tell_disarm;
    world.options.ports.guard.signal = tell_signal;
    world.options.ports.guard.kill = tell_kill;
    world.options.ports.guard.hand_back = tell_hand_back;
    world.options.ports.db.order = tell_order;
    world.options.ports.log = tell_log;
    began_us = world.now.us;
    armed = 0;
    renewals = 0;
    told_row = NULL;
}

static void end(void)
{
}

static const struct golden_command commands[] = {
    {"agent", do_agent},       {"directory", do_directory},
    {"record", do_record},     {"order", do_order},
    {"pass", do_pass},         {"stall", do_stall},
    {"attempt", do_attempt},   {"ended", do_attempt},
    {"sync", do_sync},         {"standbys", do_standbys},
    {"crash", do_crash},       {"lever", do_lever},
    {"shutdown", do_shutdown}, {"report", do_report},
    {"pause", do_pause},       {"task", do_task},
    {"config", do_config},     {"failsafe", do_failsafe},
    {"rounds", do_rounds},     {"ask", do_ask},
};

const struct golden_driver golden_driver = {begin, end, commands, BASE_COUNT_OF(commands)};
