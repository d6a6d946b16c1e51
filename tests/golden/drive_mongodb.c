/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of scripts about MongoDB replica sets: the scene of tests/unit/mongodb_scene.h, members
 * mg1 to mg5 of cluster "main" on the leader of term 5. README.md lists the commands. What a member
 * is told beside the record is said when it is something else than the last time. */
#include <stdio.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "tests/unit/mongodb_scene.h"

#define TEXT_MAX 400
#define ULL(x) ((unsigned long long)(x))

static enum msg_mongodb_goal told_goals[MON_MEMBERS + 1];

/* --- effects into words --- */

static void say_names(const char *what, const struct msg_names *names)
{
    for (uint8_t i = 0; i < names->count; i++) {
        golden_say("  %s %s", what, names->names[i].text);
    }
}

static void say_record(const char *before, const struct msg_record *r)
{
    static const char *const states[] = {"no order", "open", "done", "failed"};
    const struct msg_mongodb_record *m = &r->mongodb;
    const struct msg_mongodb_order *o = &m->order;
    golden_say("%sepoch %llu.%llu, primary %s in term %llu, configuration %llu.%llu; %s%s%s%s%s",
               before, ULL(r->epoch), ULL(r->revision),
               m->primary.text[0] == '\0' ? "-" : m->primary.text, ULL(m->primary_term),
               ULL(m->config.term), ULL(m->config.version), states[o->state],
               o->state == MSG_MONGODB_ORDER_IDLE ? "" : " ",
               o->state == MSG_MONGODB_ORDER_IDLE ? "" : arb_mongodb_order_word(o->kind),
               o->phase == 0 ? "" : ", ", arb_mongodb_phase_word(o->phase));
    say_names("without its vote:", &m->degraded);
    say_names("barred:", &m->barred);
    say_names("leaving:", &m->leaving);
}

static void tell(void)
{
    static const char *const kinds[] = {
#define KIND(id, name) name,
        ARB_DECISIONS(KIND)
#undef KIND
    };
    static const char *const goals[] = {"keep", "run", "bar", "hold"};
    for (uint8_t i = 0; i < w.fx.notes_count; i++) {
        char text[TEXT_MAX];
        struct buf out = buf_over((uint8_t *)text, sizeof(text));
        arb_note_put(&w.fx.notes[i], &out);
        golden_say("\"%.*s\"", (int)out.len, text);
    }
    for (uint8_t i = 0; i < w.c.views_count; i++) {
        unsigned n = (unsigned)id_of(w.c.views[i].member.text);
        enum msg_mongodb_goal goal = w.order[n].mongodb.goal;
        if ((w.fx.orders >> i & 1) != 0 && goal != told_goals[n]) {
            golden_say("%s: %s", mon_name(n), goals[goal]);
            told_goals[n] = goal;
        }
    }
    if (w.fx.has_answer) {
        golden_say("answer: %s%s%s", w.fx.answer == 0 ? "done" : base_error_name(w.fx.answer),
                   w.fx.answer_text.text[0] == '\0' ? "" : ": ", w.fx.answer_text.text);
    }
    if (w.fx.has_swap) {
        char before[40];
        (void)snprintf(before, sizeof(before), "swap, %s: ", kinds[w.fx.swap_kind]);
        say_record(before, &w.fx.record);
    }
}

/* --- the set --- */

static unsigned member_from(const char *word)
{
    unsigned n = (unsigned)(word[0] == 'm' && word[1] == 'g' ? word[2] - '0' : 0);
    if (n < 1 || n > MON_MEMBERS || word[3] != '\0') {
        golden_wrong("members are mg1 to mg5");
    }
    return n;
}

static void reset(void)
{
    memset(told_goals, 0, sizeof(told_goals));
}

/* blank DATA ARBITERS: no record, no data; running DATA ARBITERS: a set that runs and was taken in
 */
static void do_scene(const struct golden_line *line)
{
    unsigned data = (unsigned)golden_number(line, 1);
    unsigned arbiters = (unsigned)golden_number(line, 2);
    w.told = NULL;
    if (strcmp(line->words[0], "blank") == 0) {
        mon_blank(data, arbiters);
    } else {
        mon_running(data, arbiters);
    }
    reset();
    w.told = tell;
}

/* down, up, silent, heard, stale, wiped: mgA ... */
static void do_member(const struct golden_line *line)
{
    const char *word = line->words[0];
    for (int at = 1; at < line->count; at++) {
        struct mon_member *m = &mon.m[member_from(line->words[at])];
        if (strcmp(word, "down") == 0 || strcmp(word, "up") == 0) {
            m->is_down = word[0] == 'd';
        } else if (strcmp(word, "silent") == 0 || strcmp(word, "heard") == 0) {
            m->is_silent = word[0] == 's';
        } else if (strcmp(word, "stale") == 0) {
            m->state = MSG_MONGODB_STALE;
        } else {
            m->has_data = false;
        }
    }
}

/* gray MS mgA, lag MS mgA, priority N mgA, stalled MS */
static void do_figure(const struct golden_line *line)
{
    const char *word = line->words[0];
    uint32_t value = (uint32_t)golden_number(line, 1);
    if (strcmp(word, "stalled") == 0) {
        mon.commit_age_ms = value;
        return;
    }
    struct mon_member *m = &mon.m[member_from(golden_word(line, 2))];
    if (strcmp(word, "gray") == 0) {
        m->canary_ms = value;
    } else if (strcmp(word, "lag") == 0) {
        m->lag_ms = value;
    } else {
        m->priority = (uint16_t)value;
    }
}

/* disobey, obey: what is ordered is not carried out, or is */
static void do_obey(const struct golden_line *line)
{
    mon.disobeys = line->words[0][0] == 'd';
}

static void do_elect(const struct golden_line *line)
{
    (void)line;
    mon_elect();
}

static void do_pass(const struct golden_line *line)
{
    mon_pass((unsigned)golden_number(line, 1));
}

/* policy degrade|resync|gray-stepdown|gray-kill */
static void do_policy(const struct golden_line *line)
{
    struct msg_record r = w.c.record;
    struct msg_mongodb_policy *p = &r.mongodb.policy;
    r.revision++;
    p->is_degrade_auto = p->is_degrade_auto || golden_has(line, "degrade");
    p->is_resync_auto = p->is_resync_auto || golden_has(line, "resync");
    p->gray = golden_has(line, "gray-kill")       ? MSG_MONGODB_GRAY_KILL
              : golden_has(line, "gray-stepdown") ? MSG_MONGODB_GRAY_STEPDOWN
                                                  : p->gray;
    load(r);
}

/* lead TERM: another leader, which knows the record alone */
static void do_lead(const struct golden_line *line)
{
    run((struct arb_event){.kind = ARB_EVENT_LOST});
    lead((uint64_t)golden_number(line, 1));
}

/* --- operators --- */

static void do_ask(const struct golden_line *line)
{
    static const struct {
        const char *word;
        enum arb_request_kind kind;
    } wishes[] = {{"switchover", ARB_REQUEST_SWITCHOVER}, {"failover", ARB_REQUEST_FAILOVER},
                  {"pause", ARB_REQUEST_PAUSE},           {"resume", ARB_REQUEST_RESUME},
                  {"drain", ARB_REQUEST_DRAIN},           {"remove", ARB_REQUEST_REMOVE},
                  {"cancel", ARB_REQUEST_CANCEL},         {"confirm", ARB_REQUEST_CONFIRM},
                  {"restart", ARB_REQUEST_TASK},          {"reinit", ARB_REQUEST_TASK}};
    for (size_t i = 0; i < BASE_COUNT_OF(wishes); i++) {
        struct arb_request r = {.kind = wishes[i].kind, .is_forced = golden_has(line, "force")};
        if (strcmp(line->words[0], wishes[i].word) != 0) {
            continue;
        }
        if (line->count > 1 && strncmp(line->words[1], "mg", 2) == 0) {
            r.candidate = name_of(line->words[1]);
        }
        r.task =
            (struct msg_task){.kind = line->words[0][2] == 's' ? MSG_TASK_RESTART : MSG_TASK_REINIT,
                              .member = r.candidate};
        run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
    }
}

/* force [mgA ...] [token | token=N]: those are destroyed; with the token of the record, or another
 */
static void do_force(const struct golden_line *line)
{
    struct arb_request r = {.kind = ARB_REQUEST_FORCE_RECONFIGURE, .random = 7};
    r.token = golden_has(line, "token") ? w.c.record.mongodb.force.token
                                        : (uint64_t)golden_option_number(line, "token", 0);
    for (int at = 1; at < line->count; at++) {
        struct base_name name = {{0}};
        if (strncmp(line->words[at], "mg", 2) == 0) {
            name = name_of(line->words[at]);
            assert_int_equal(arb_names_add(&r.destroyed, &name), 0);
        }
    }
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

static void do_show(const struct golden_line *line)
{
    (void)line;
    golden_say("%s", arb_mongodb_set_word(mon_state()));
    say_record("", &w.c.record);
}

static void begin(void)
{
    mon_running(3, 0);
    reset();
    w.told = tell;
}

static void end(void)
{
}

static const struct golden_command commands[] = {
    {"blank", do_scene},   {"running", do_scene}, {"down", do_member},     {"up", do_member},
    {"silent", do_member}, {"heard", do_member},  {"stale", do_member},    {"wiped", do_member},
    {"gray", do_figure},   {"lag", do_figure},    {"priority", do_figure}, {"stalled", do_figure},
    {"obey", do_obey},     {"disobey", do_obey},  {"elect", do_elect},     {"pass", do_pass},
    {"policy", do_policy}, {"lead", do_lead},     {"switchover", do_ask},  {"failover", do_ask},
    {"pause", do_ask},     {"resume", do_ask},    {"drain", do_ask},       {"remove", do_ask},
    {"cancel", do_ask},    {"confirm", do_ask},   {"restart", do_ask},     {"reinit", do_ask},
    {"force", do_force},   {"show", do_show},
};

const struct golden_driver golden_driver = {begin, end, commands, BASE_COUNT_OF(commands)};
