/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of scripts of a MongoDB member's agent: the world of tests/unit/mongodb_member.h, member
 * "a" of the set a:1, b:1, c:1. README.md lists the commands.
 *
 * Told are: what the agent asks of guard and mongod, what it logs, and after each command its part
 * in the last order and its row of the table, when they are others. Repeated requests are told
 * once. */
#include <stdio.h>
#include <string.h>

#include "base/name.h"
#include "tests/golden/golden.h"
#include "tests/unit/mongodb_member.h"

static struct base_mono began;
static bool is_kill_told, is_start_told;
static char told[512];

/* --- what the agent asks for --- */

static long long at_ms(void)
{
    return (long long)(base_mono_diff_us(w.now, began) / BASE_US_PER_MS);
}

static void tell_config(const struct db_mongodb_order *o)
{
    static const char *const changes[] = {
        [DB_MONGODB_ADD] = "add",
        [DB_MONGODB_MEMBER] = "change",
        [DB_MONGODB_REMOVE] = "remove",
        [DB_MONGODB_TIMEOUTS] = "election timeout",
        [DB_MONGODB_SURVIVORS] = "FORCED to",
    };
    char hosts[256] = "";
    for (uint8_t i = 0; i < o->hosts_count; i++) {
        size_t len = strlen(hosts);
        (void)snprintf(hosts + len, sizeof(hosts) - len, " %s", o->hosts[i].text);
    }
    golden_say("%lld ms: mongod, on configuration (%llu, %llu) %s %s%s votes %u priority %u.%u",
               at_ms(), (unsigned long long)o->expected_config.term,
               (unsigned long long)o->expected_config.version, changes[o->change], o->host.text,
               hosts, o->votes, o->priority_x10 / 10u, o->priority_x10 % 10u);
}

static const char *order_text(const struct db_order *o)
{
    static const struct {
        enum db_order_kind kind;
        const char *text;
    } texts[] = {
        {DB_ORDER_MONGODB_WIPE, "moves its data aside"},
        {DB_ORDER_MONGODB_INITIATE, "initiates the set with itself alone"},
        {DB_ORDER_MONGODB_CONCERN, "default write concern"},
        {DB_ORDER_MONGODB_STEP_DOWN, "step down"},
        {DB_ORDER_MONGODB_STEP_UP, "step up"},
        {DB_ORDER_MONGODB_FREEZE, "freeze"},
        {DB_ORDER_MONGODB_ABORT_CATCHUP, "end catching up"},
        {DB_ORDER_MONGODB_SHUTDOWN, "shut down"},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(texts); i++) {
        if (texts[i].kind == o->kind) {
            return texts[i].text;
        }
    }
    return "?";
}

static void tell_order(const struct db_order *o)
{
    if (o->kind == DB_ORDER_MONGODB_RECONFIG) {
        tell_config(&o->mongodb);
    } else {
        golden_say("%lld ms: mongod, %s%s %u s (epoch %llu, within %lld ms)", at_ms(),
                   order_text(o), o->mongodb.is_forced ? ", forced," : "", o->mongodb.seconds,
                   (unsigned long long)o->epoch, (long long)(o->timeout_us / BASE_US_PER_MS));
    }
}

static void tell(const struct agt_effects *fx, const struct agt_effect *one)
{
    if (one->kind == AGT_FX_GUARD_START && !is_start_told) {
        is_start_told = true;
        golden_say("%lld ms: guard, start", at_ms());
    } else if (one->kind == AGT_FX_GUARD_KILL && !is_kill_told) {
        is_kill_told = true;
        golden_say("%lld ms: guard, kill", at_ms());
    } else if (one->kind == AGT_FX_GUARD_SIGNAL) {
        golden_say("%lld ms: guard, orderly stop", at_ms());
    } else if (one->kind == AGT_FX_DB_ORDER) {
        tell_order(&fx->db_order);
    } else if (one->kind == AGT_FX_DB_CANCEL) {
        golden_say("%lld ms: mongod, cancel", at_ms());
    } else if (one->kind == AGT_FX_LOG) {
        golden_say("%lld ms: \"%s\"", at_ms(), fx->logs[one->number].text);
    }
}

static void state_tell(void)
{
    char text[512];
    const struct msg_mongodb_report *m = m_report();
    enum agt_mongodb_action action = agt_mongodb_table_action(w.a.mongodb.state, w.a.mongodb.goal);
    (void)snprintf(text, sizeof(text), "%s, to %s: %s; order %llu.%u %s%s",
                   agt_mongodb_state_text(w.a.mongodb.state),
                   agt_mongodb_goal_text(w.a.mongodb.goal), agt_mongodb_action_text(action),
                   (unsigned long long)m->order_epoch, m->order_phase,
                   m->is_order_done ? "ended: " : "open",
                   m->is_order_done ? base_error_text(m->order_status) : "");
    if (strcmp(text, told) != 0) {
        (void)snprintf(told, sizeof(told), "%s", text);
        golden_say("%s", text);
    }
}

/* --- commands --- */

static void do_agent(const struct golden_line *line)
{
    static const struct agt_disk nothing;
    m_begin_with(&nothing, golden_has(line, "watched"));
    w.tell = tell;
    began = w.now;
    w.order.record.mongodb.is_initiated = true;
    w.order.mongodb.goal = MSG_MONGODB_GOAL_RUN;
    state_tell();
}

static void do_again(const struct golden_line *line)
{
    (void)line;
    m_agent_restarts();
    state_tell();
}

static void do_runs(const struct golden_line *line)
{
    (void)line;
    is_start_told = false;
    m_root_runs();
    state_tell();
}

static void do_ends(const struct golden_line *line)
{
    (void)line;
    is_kill_told = false;
    m_root_ends();
    m_look();
    state_tell();
}

static void do_primary(const struct golden_line *line)
{
    m_be_primary((uint64_t)golden_number(line, 1));
    m_look();
    state_tell();
}

static void do_secondary(const struct golden_line *line)
{
    m_be_secondary();
    w.view.mongodb.status.term = (uint64_t)golden_option_number(line, "term", 7);
    m_look();
    state_tell();
}

static void do_syncing(const struct golden_line *line)
{
    (void)line;
    m_be_secondary();
    w.view.mongodb.hello.is_secondary = false;
    w.view.mongodb.status.state = 5;
    m_look();
    state_tell();
}

static void do_directory(const struct golden_line *line)
{
    w.view.has_directory = !golden_has(line, "empty");
    m_look();
    state_tell();
}

static void do_live(const struct golden_line *line)
{
    m_live(golden_number(line, 1) * BASE_US_PER_MS);
    state_tell();
}

static void do_stall(const struct golden_line *line)
{
    m_pass(golden_number(line, 1) * BASE_US_PER_MS);
    m_tick();
    state_tell();
}

static void do_record(const struct golden_line *line)
{
    w.order.record.epoch = (uint64_t)golden_number(line, 1);
    w.order.record.revision++;
    m_order_comes();
    state_tell();
}

static void do_goal(const struct golden_line *line)
{
    static const char *const goals[] = {"keep", "run", "bar", "hold"};
    for (size_t i = 0; i < BASE_COUNT_OF(goals); i++) {
        if (strcmp(goals[i], golden_word(line, 1)) == 0) {
            w.order.mongodb.goal = (enum msg_mongodb_goal)i;
            w.order.record.mongodb.barred_epoch =
                w.order.mongodb.goal == MSG_MONGODB_GOAL_BAR ? w.order.record.epoch : 0;
            m_order_comes();
            state_tell();
            return;
        }
    }
    golden_wrong("no such goal");
}

static uint8_t choice(const struct golden_line *line, const char *key)
{
    static const char *const names[] = {"report", "stepdown", "kill"};
    const char *value = golden_option(line, key);
    for (uint8_t i = 0; value != NULL && i < BASE_COUNT_OF(names); i++) {
        if (strcmp(value, names[i]) == 0) {
            return i;
        }
    }
    return 0;
}

static void do_policy(const struct golden_line *line)
{
    struct msg_mongodb_policy *p = &w.order.record.mongodb.policy;
    p->cut_off = (enum msg_mongodb_cut_off)choice(line, "cut_off");
    p->gray = (enum msg_mongodb_gray)choice(line, "gray");
    w.order.mongodb.is_majority_elsewhere = golden_has(line, "others-well");
    w.order.record.revision++;
    m_order_comes();
    state_tell();
}

static const struct {
    const char *name;
    enum msg_mongodb_order_kind kind;
    uint8_t phase;
} kinds[] = {{"initiate", MSG_MONGODB_ORDER_INITIATE, 0},
             {"add", MSG_MONGODB_ORDER_ADD, 0},
             {"vote", MSG_MONGODB_ORDER_VOTE, 0},
             {"priority", MSG_MONGODB_ORDER_PRIORITY, 0},
             {"unvote", MSG_MONGODB_ORDER_UNVOTE, 0},
             {"remove", MSG_MONGODB_ORDER_REMOVE, 0},
             {"freeze", MSG_MONGODB_ORDER_SWITCHOVER, 1},
             {"hand-over", MSG_MONGODB_ORDER_SWITCHOVER, 2},
             {"take-over", MSG_MONGODB_ORDER_SWITCHOVER, 3},
             {"unfreeze", MSG_MONGODB_ORDER_SWITCHOVER, 4},
             {"step-down", MSG_MONGODB_ORDER_STEP_DOWN, 0},
             {"kill", MSG_MONGODB_ORDER_KILL, 0},
             {"resync", MSG_MONGODB_ORDER_RESYNC, 0},
             {"restart", MSG_MONGODB_ORDER_RESTART, 0}};

/* The next phase of the same switchover keeps its epoch. */
static void do_order(const struct golden_line *line)
{
    struct msg_mongodb_order *o = &w.order.record.mongodb.order;
    const char *name = golden_word(line, 1);
    for (size_t i = 0; i < BASE_COUNT_OF(kinds); i++) {
        if (strcmp(kinds[i].name, name) != 0) {
            continue;
        }
        if (!golden_has(line, "next")) {
            o = m_order(kinds[i].kind);
        }
        const char *host = golden_option(line, "host");
        o->phase = kinds[i].phase;
        o->subject_host = m_host(host != NULL ? host : "");
        o->subject = m_name(kinds[i].phase == MSG_MONGODB_PHASE_STEP_UP ? "a" : "b");
        o->member = m_name(o->phase == 0 || o->phase == MSG_MONGODB_PHASE_STEP_DOWN ? "a" : "c");
        o->priority_x10 = (uint16_t)(10 * golden_option_number(line, "priority", 0));
        o->expected_term = (uint64_t)golden_option_number(line, "term", (int64_t)o->expected_term);
        o->expected_config.version =
            (uint64_t)golden_option_number(line, "version", (int64_t)o->expected_config.version);
        w.order.mongodb.order_left_ms = (uint32_t)golden_option_number(line, "left", 20000);
        w.order.record.revision++;
        m_order_send();
        state_tell();
        return;
    }
    golden_wrong("no such order");
}

static void do_over(const struct golden_line *line)
{
    w.order.record.mongodb.order.state = MSG_MONGODB_ORDER_DONE;
    w.order.record.revision++;
    (void)line;
    m_order_comes();
    state_tell();
}

static void do_answers(const struct golden_line *line)
{
    static const struct {
        const char *name;
        int status;
    } words[] = {{"yes", 0},
                 {"state", BASE_E_STATE},
                 {"conflict", BASE_E_CONFLICT},
                 {"busy", BASE_E_BUSY},
                 {"timeout", BASE_E_TIMEOUT}};
    for (size_t i = 0; i < BASE_COUNT_OF(words); i++) {
        if (strcmp(words[i].name, golden_word(line, 1)) == 0) {
            m_done(words[i].status, (int32_t)golden_option_number(line, "code", 0));
            state_tell();
            return;
        }
    }
    golden_wrong("no such answer");
}

/* What the configuration says of a host, from the next version on. */
static void do_config(const struct golden_line *line)
{
    struct db_mongodb_config *c = &w.view.mongodb.config;
    struct msg_mongodb_host host = m_host(golden_word(line, 1));
    for (uint8_t i = 0; i < c->peers_count; i++) {
        struct msg_mongodb_peer *p = &c->peers[i];
        if (strcmp(p->host.text, host.text) == 0) {
            p->votes = (uint8_t)golden_option_number(line, "votes", p->votes);
            p->priority_x10 = (uint16_t)golden_option_number(line, "tenths", p->priority_x10);
        }
    }
    c->version.version++;
    c->is_committed = !golden_has(line, "uncommitted");
    m_look();
    state_tell();
}

static void do_dead(const struct golden_line *line)
{
    struct db_mongodb_status *s = &w.view.mongodb.status;
    for (uint8_t i = 0; i < s->peers_count; i++) {
        for (int n = 1; n < line->count; n++) {
            if (strcmp(s->peers[i].host.text, line->words[n]) == 0) {
                s->peers[i].is_healthy = false;
            }
        }
    }
    m_look();
    state_tell();
}

static void do_canary(const struct golden_line *line)
{
    struct db_mongodb_view *v = &w.view.mongodb;
    bool is_stuck = golden_has(line, "stuck");
    v->canary_since = is_stuck ? w.now : BASE_MONO_NEVER;
    v->canary_misses = is_stuck;
    m_look();
    state_tell();
}

static void do_silent(const struct golden_line *line)
{
    (void)line;
    w.is_arbiter_silent = true;
}

static void do_heard(const struct golden_line *line)
{
    (void)line;
    w.is_arbiter_silent = false;
    m_order_comes();
    state_tell();
}

static void do_shutdown(const struct golden_line *line)
{
    (void)line;
    m_feed((struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
    state_tell();
}

static void do_health(const struct golden_line *line)
{
    (void)line;
    golden_say("/primary %s, /secondary %s%s", agt_mongodb_is_primary(&w.a, w.now) ? "yes" : "no",
               agt_mongodb_is_secondary(&w.a, w.now, UINT32_MAX) ? "yes" : "no",
               agt_mongodb_is_control_lost(&w.a, w.now) ? ", control lost" : "");
}

static void begin(void)
{
    told[0] = '\0';
    is_kill_told = is_start_told = false;
}

static void end(void)
{
}

static const struct golden_command commands[] = {
    {"agent", do_agent},       {"agent-restarts", do_again}, {"runs", do_runs},
    {"ends", do_ends},         {"primary", do_primary},      {"secondary", do_secondary},
    {"syncing", do_syncing},   {"directory", do_directory},  {"live", do_live},
    {"stall", do_stall},       {"record", do_record},        {"goal", do_goal},
    {"policy", do_policy},     {"order", do_order},          {"over", do_over},
    {"answers", do_answers},   {"config", do_config},        {"dead", do_dead},
    {"canary", do_canary},     {"silent", do_silent},        {"heard", do_heard},
    {"shutdown", do_shutdown}, {"health", do_health},
};

const struct golden_driver golden_driver = {begin, end, commands, BASE_COUNT_OF(commands)};
