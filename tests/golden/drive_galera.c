/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of scripts about Galera clusters: the scene of tests/unit/galera_scene.h, members gn1, gn2
 * and gn3 of cluster "main" on the leader of term 5. README.md lists the commands.
 *
 * An order is told when it is another one than the last one of that member; grants of the lease are
 * not told but for the first of an epoch. */
#include <stdio.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "tests/unit/galera_scene.h"

#define TEXT_MAX 400
#define ULL(x) ((unsigned long long)(x))

static char told_orders[GAL_MEMBERS + 1][TEXT_MAX];

/* --- effects into words --- */

static const char *const goals[] = {"keep",  "join", "bootstrap", "inhibit",
                                    "fence", "wait", "rejoin",    "restart"};

static void say_order(unsigned n, const struct msg_order *o)
{
    static const char *const roles[] = {"none", "init",      "hold",   "reader",
                                        "vote", "hand over", "refused"};
    char text[TEXT_MAX];
    (void)snprintf(text, sizeof(text), "%s: %s, %s%s", gal_name(n), goals[o->galera_goal],
                   roles[o->goal], o->galera_weight > 1 ? ", more weight" : "");
    if (strcmp(told_orders[n], text) != 0) {
        golden_say("%s", text);
        (void)snprintf(told_orders[n], TEXT_MAX, "%s", text);
    }
}

static void say_record(const char *before, const struct msg_record *r)
{
    static const char *const states[] = {"none", "bootstrap", "running", "switchover"};
    static const char *const grants[] = {"no grant", "granted to", "done by", "failed on"};
    const struct msg_galera_record *g = &r->galera;
    golden_say("%sepoch %llu.%llu %s, writer %s; generation %llu, view of %u, %s %s %llu%s", before,
               ULL(r->epoch), ULL(r->revision), states[r->state], r->holder.text,
               ULL(g->generation), g->view.count, grants[g->grant.state], g->grant.node.text,
               ULL(g->grant.generation), r->is_opened ? ", opened" : "");
    if (g->inhibit > g->generation) {
        golden_say("  no start below generation %llu", ULL(g->inhibit));
    }
    if (g->sst_joiner.text[0] != '\0') {
        golden_say("  %s may join", g->sst_joiner.text);
    }
    if (g->restarting.text[0] != '\0') {
        golden_say("  %s restarts", g->restarting.text);
    }
}

static void say_notes(void)
{
    for (uint8_t i = 0; i < w.fx.notes_count; i++) {
        char text[TEXT_MAX];
        struct buf out = buf_over(text, sizeof(text));
        arb_note_put(&w.fx.notes[i], &out);
        golden_say("\"%.*s\"", (int)out.len, text);
    }
}

static void tell(void)
{
    static const char *const kinds[] = {
#define KIND(id, name) name,
        ARB_DECISIONS(KIND)
#undef KIND
    };
    say_notes();
    for (uint8_t i = 0; i < w.c.views_count; i++) {
        unsigned n = (unsigned)id_of(w.c.views[i].member.text);
        if ((w.fx.orders >> i & 1) != 0) {
            say_order(n, &w.order[n]);
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

/* --- members --- */

static unsigned member_from(const char *word)
{
    unsigned n = (unsigned)(word[0] == 'g' && word[1] == 'n' ? word[2] - '0' : 0);
    if (n < 1 || n > GAL_MEMBERS || word[3] != '\0') {
        golden_wrong("members are gn1 to gn3");
    }
    return n;
}

static unsigned member_at(const struct golden_line *line, int at)
{
    return member_from(golden_word(line, at));
}

static void for_each(const struct golden_line *line, int from, void (*each)(unsigned n))
{
    for (int at = from; at < line->count; at++) {
        each(member_from(line->words[at]));
    }
}

/* view N gnA gnB ...: these are Synced in that Primary view */
static void do_view(const struct golden_line *line)
{
    unsigned members = 0;
    for (int at = 2; at < line->count; at++) {
        members |= 1u << member_from(line->words[at]);
    }
    for (unsigned n = 1; n <= GAL_MEMBERS; n++) {
        if ((members >> n & 1) != 0) {
            gal_is_synced(n, (uint64_t)golden_number(line, 1), members);
        }
    }
}

/* down SEQNO gnA ...: no process; -1: the position is not recovered yet */
static void do_down(const struct golden_line *line)
{
    for (int at = 2; at < line->count; at++) {
        gal_is_down(member_from(line->words[at]), golden_number(line, 1));
    }
}

static void do_nonprim(const struct golden_line *line)
{
    for_each(line, 1, gal_is_nonprim);
}

static void be_silent(unsigned n)
{
    gal_nodes[n].is_silent = true;
}

static void do_silent(const struct golden_line *line)
{
    for_each(line, 1, be_silent);
}

static void be_heard(unsigned n)
{
    gal_nodes[n].is_silent = false;
}

static void do_heard(const struct golden_line *line)
{
    for_each(line, 1, be_heard);
}

static void do_hands_back(const struct golden_line *line)
{
    gal_hands_back(member_at(line, 1));
}

/* seqno N gnA ... */
static void do_seqno(const struct golden_line *line)
{
    for (int at = 2; at < line->count; at++) {
        gal_nodes[member_from(line->words[at])].report.galera.position.seqno =
            golden_number(line, 1);
    }
}

/* grant-fails gnA */
static void do_grant_fails(const struct golden_line *line)
{
    struct msg_galera_report *r = &gal_nodes[member_at(line, 1)].report.galera;
    r->grant_generation = w.c.record.galera.grant.generation;
    r->grant_status = BASE_E_STATE;
}

/* --- time --- */

static void do_pass(const struct golden_line *line)
{
    gal_pass(golden_number(line, 1) * MS);
}

/* obey N: N times all do what they were told, and speak */
static void do_obey(const struct golden_line *line)
{
    for (int64_t n = golden_number(line, 1); n > 0; n--) {
        gal_obey_all();
    }
}

/* --- operators --- */

static void do_ask(const struct golden_line *line)
{
    static const struct {
        const char *word;
        enum arb_request_kind kind;
    } wishes[] = {{"switchover", ARB_REQUEST_SWITCHOVER}, {"failover", ARB_REQUEST_FAILOVER},
                  {"pause", ARB_REQUEST_PAUSE},           {"resume", ARB_REQUEST_RESUME},
                  {"dead", ARB_REQUEST_CONFIRM_DEAD},     {"drain", ARB_REQUEST_DRAIN},
                  {"confirm", ARB_REQUEST_CONFIRM},       {"override", ARB_REQUEST_CONFIRM}};
    for (size_t i = 0; i < BASE_COUNT_OF(wishes); i++) {
        struct arb_request r = {.kind = wishes[i].kind, .is_forced = golden_has(line, "force")};
        if (strcmp(line->words[0], wishes[i].word) != 0) {
            continue;
        }
        if (line->count > 1 && strncmp(line->words[1], "gn", 2) == 0) {
            r.candidate = name_of(line->words[1]);
        }
        if (strcmp(line->words[0], "override") == 0) {
            r.candidate = (struct base_name){{0}};
            struct base_name name = name_of(golden_word(line, 1));
            if (arb_names_add(&r.overridden, &name) != 0) {
                golden_wrong("too many names");
            }
        }
        run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
    }
}

/* restart gnN, reload gnN, reinit gnN */
static void do_task(const struct golden_line *line)
{
    const char *word = line->words[0];
    struct arb_request r = {.kind = ARB_REQUEST_TASK};
    r.task.kind = strcmp(word, "restart") == 0
                      ? MSG_TASK_RESTART
                      : (strcmp(word, "reload") == 0 ? MSG_TASK_RELOAD : MSG_TASK_REINIT);
    r.task.member = name_of(gal_name(member_at(line, 1)));
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

/* done gnN: what it was ordered to do is done */
static void do_done(const struct golden_line *line)
{
    unsigned n = member_at(line, 1);
    for (uint8_t i = 0; i < w.c.record.tasks_count; i++) {
        if (id_of(w.c.record.tasks[i].member.text) == n) {
            gal_nodes[n].report.task_id = w.c.record.tasks[i].id;
        }
    }
}

static void do_blank(const struct golden_line *line)
{
    (void)line;
    (void)gal_setup_blank(NULL);
    memset(told_orders, 0, sizeof(told_orders));
    w.told = tell;
}

static void do_show(const struct golden_line *line)
{
    (void)line;
    say_record("", &w.c.record);
}

static void begin(void)
{
    (void)gal_setup(NULL);
    memset(told_orders, 0, sizeof(told_orders));
    w.told = tell;
}

static void end(void)
{
}

static const struct golden_command commands[] = {
    {"blank", do_blank},
    {"view", do_view},
    {"down", do_down},
    {"nonprim", do_nonprim},
    {"silent", do_silent},
    {"heard", do_heard},
    {"hands-back", do_hands_back},
    {"seqno", do_seqno},
    {"grant-fails", do_grant_fails},
    {"pass", do_pass},
    {"obey", do_obey},
    {"switchover", do_ask},
    {"failover", do_ask},
    {"pause", do_ask},
    {"resume", do_ask},
    {"dead", do_ask},
    {"drain", do_ask},
    {"confirm", do_ask},
    {"override", do_ask},
    {"restart", do_task},
    {"reload", do_task},
    {"reinit", do_task},
    {"done", do_done},
    {"show", do_show},
};

const struct golden_driver golden_driver = {begin, end, commands, BASE_COUNT_OF(commands)};
