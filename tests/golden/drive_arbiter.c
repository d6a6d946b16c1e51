/* SPDX-License-Identifier: Apache-2.0 */
/* Driver of arbiter scripts: the scene of tests/unit/arb_scene.h, one cluster "main" on the leader
 * of term 5, and what each step says, orders and swaps. README.md lists the commands.
 *
 * An order is told when it is another one than the last one of that member. */
#include <stdio.h>
#include <string.h>

#include "tests/golden/golden.h"
#include "tests/unit/arb_scene.h"

#define TEXT_MAX 400
#define BEAT_MS 250

#define ULL(x) ((unsigned long long)(x))

static bool
    is_beating; /* many heartbeats in one command: their questions to the quorum go unsaid */
static char told_orders[16][TEXT_MAX];

/* --- effects into words --- */

static const char *names_text(const struct msg_names *set)
{
    static char text[128];
    size_t len = 0;
    (void)snprintf(text, sizeof(text), "nobody");
    for (uint8_t i = 0; i < set->count; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s", i == 0 ? "" : "+",
                                set->names[i].text);
    }
    return text;
}

/* What operators asked for, on a line of its own; nothing where there is nothing. */
static void say_wishes(const struct msg_record *r)
{
    static const char *const tasks[] = {"nothing", "restart", "reload", "reinit"};
    if (r->is_paused || r->is_unarmed) {
        golden_say("  %s, its lease has no end", r->is_paused ? "paused" : "resumed");
    }
    if (r->fencing_epoch != 0 && r->fencing_epoch == r->epoch) {
        golden_say("  epoch %llu is fenced", ULL(r->fencing_epoch));
    }
    if (r->drained.count > 0) {
        golden_say("  drained: %s", names_text(&r->drained));
    }
    for (uint8_t i = 0; i < r->tasks_count; i++) {
        golden_say("  %s %s of %s", tasks[r->tasks[i].kind],
                   r->tasks[i].at_wall_us == 0 ? "begun" : "due", r->tasks[i].member.text);
    }
}

static void say_record(const char *before, const struct msg_record *r)
{
    static const char *const states[] = {"none", "bootstrap", "running", "switchover"};
    golden_say("%sepoch %llu.%llu %s, holder %s, %llu of %s have every commit%s", before,
               ULL(r->epoch), ULL(r->revision), states[r->state], r->holder.text,
               ULL(r->votes_needed_r), names_text(&r->voters), r->is_opened ? ", opened" : "");
    say_wishes(r);
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

static void say_order(const char *member, const struct msg_order *o)
{
    static const char *const goals[] = {"none", "init",      "hold",   "follow",
                                        "vote", "hand over", "refused"};
    char text[TEXT_MAX];
    char *told = told_orders[id_of(member)];
    int len = snprintf(text, sizeof(text), "%s: %s", member, goals[o->goal]);
    if (o->goal == MSG_GOAL_VOTE) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, " in attempt %llu/%llu",
                        ULL(o->attempt.term), ULL(o->attempt.number));
    }
    if (o->catch_up_from.text[0] != '\0') {
        len += snprintf(text + len, sizeof(text) - (size_t)len, ", fetching from %s",
                        o->catch_up_from.text);
    }
    if (o->is_granted) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, ", granted epoch %llu for %lld ms",
                        ULL(o->granted_epoch), (long long)(o->ttl_us / MS));
    }
    if (o->has_sync) {
        len += snprintf(text + len, sizeof(text) - (size_t)len, ", to wait for %u of %s",
                        o->sync_count, names_text(&o->sync_names));
    }
    if (o->goal == MSG_GOAL_REFUSED) {
        (void)snprintf(text + len, sizeof(text) - (size_t)len, " (%s)", o->reason.text);
    }
    if (strcmp(told, text) != 0) {
        golden_say("%s", text);
        (void)snprintf(told, TEXT_MAX, "%s", text);
    }
}

static void say_swap(void)
{
    static const char *const kinds[ARB_DECISION_COUNT] = {
        "none",    "bootstrap", "created",      "opened",      "failover", "handover",
        "return",  "forced",    "confirmed",    "switchover",  "abandon",  "widen",
        "narrow",  "settings",  "cluster role", "ttl settled", "schedule", "task",
        "members", "failsafe",  "pause",        "resume",      "armed",    "fence"};
    char before[40];
    (void)snprintf(before, sizeof(before), "swap, %s: ", kinds[w.fx.swap_kind]);
    say_record(before, &w.fx.record);
}

static void tell(void)
{
    say_notes();
    if (w.fx.ticket != 0 && !is_beating) {
        golden_say("asks the quorum whether it still leads");
    }
    for (uint8_t i = 0; i < w.c.views_count; i++) {
        if ((w.fx.orders >> i & 1) != 0) {
            say_order(w.c.views[i].member.text, &w.order[id_of(w.c.views[i].member.text)]);
        }
    }
    if (w.fx.has_fence) {
        golden_say("runs the fence command against %s", w.fx.fence_member.text);
    }
    if (w.fx.has_refusal) {
        golden_say("refused: %s", w.fx.refusal.reason.text);
    }
    if (w.fx.has_answer) {
        golden_say("answer: %s%s%s", w.fx.answer == 0 ? "done" : base_error_name(w.fx.answer),
                   w.fx.answer_text.text[0] == '\0' ? "" : ": ", w.fx.answer_text.text);
    }
    if (w.fx.has_swap) {
        say_swap();
    }
}

/* --- reports --- */

static const char *member_at(const struct golden_line *line, int at)
{
    const char *member = golden_word(line, at);
    if (strlen(member) != 3 || member[2] < '1' || member[2] > '9') {
        golden_wrong("members are pg1 to pg9");
    }
    return member;
}

/* "pg2+pg3", or "none". */
static struct msg_names names_from(const char *text)
{
    struct msg_names set = {0};
    for (const char *at = text; strncmp(at, "pg", 2) == 0; at += at[3] == '+' ? 4 : 3) {
        struct base_name name = {{at[0], at[1], at[2]}};
        if (arb_names_add(&set, &name) != 0) {
            golden_wrong("too many names");
        }
    }
    return set;
}

static void set_u64(const struct golden_line *line, const char *key, uint64_t *value)
{
    *value = (uint64_t)golden_option_number(line, key, (int64_t)*value);
}

static void set_bool(const struct golden_line *line, const char *key, bool *value)
{
    *value = golden_option_number(line, key, *value) != 0;
}

static void set_standbys(const struct golden_line *line, struct msg_report *r)
{
    const char *text = golden_option(line, "streaming");
    struct msg_names set = names_from(text == NULL ? "" : text);
    if (text == NULL) {
        return;
    }
    r->standbys_count = set.count;
    for (uint8_t i = 0; i < set.count; i++) {
        r->standbys[i] = (struct msg_standby){set.names[i], r->position.lsn, true,
                                              !golden_has(line, "unconfirmed")};
    }
}

static void set_sync(const struct golden_line *line, struct msg_report *r)
{
    const char *text = golden_option(line, "sync");
    if (text != NULL) {
        r->is_sync_known = true;
        r->sync_names = names_from(text);
    }
    r->sync_count = (uint8_t)golden_option_number(line, "k", r->sync_count);
    set_bool(line, "barrier", &r->is_sync_barrier_passed);
}

/* What the line says besides the kind of report. */
static struct msg_report adjusted(const struct golden_line *line, struct msg_report r)
{
    set_u64(line, "lineage", &r.position.lineage);
    set_u64(line, "lsn", &r.position.lsn);
    set_u64(line, "system", &r.system_id);
    set_u64(line, "instance", &r.instance);
    set_u64(line, "session", &r.session);
    set_u64(line, "seen", &r.epoch_seen);
    set_u64(line, "held", &r.epoch_held);
    set_u64(line, "number", &r.number);
    set_bool(line, "open", &r.is_open);
    r.opened_lsn = r.is_open ? r.opened_lsn : 0;
    set_bool(line, "receiving", &r.is_receiving);
    set_bool(line, "gone", &r.is_tree_gone);
    r.is_nofailover = golden_has(line, "nofailover");
    r.is_nosync = golden_has(line, "nosync");
    r.is_paused = golden_has(line, "disarmed");
    r.lease_left_us = r.epoch_held != 0 && !r.is_paused ? BASE_US_PER_S : 0;
    set_u64(line, "task", &r.task_id);
    r.priority = (uint8_t)golden_option_number(line, "priority", 0);
    if (golden_has(line, "empty")) {
        r.db_state = MSG_DB_EMPTY;
        r.system_id = 0;
        r.position = (struct msg_position){0};
        r.is_receiving = false;
        r.is_tree_gone = true;
        r.timeline_highest = 0;
        r.has_seed = true;
        r.seed_ttl_ms = 2000;
        r.seed_heartbeat_ms = BEAT_MS;
        r.seed_freeze_max_ms = 3000;
    }
    if (golden_has(line, "stopped")) {
        r.db_state = MSG_DB_STOPPED;
        r.is_receiving = false;
        r.is_tree_gone = true;
    }
    set_standbys(line, &r);
    set_sync(line, &r);
    return r;
}

static void do_report(const struct golden_line *line)
{
    send(adjusted(line, report_of(member_at(line, 1))));
}

static void do_primary(const struct golden_line *line)
{
    send(adjusted(line, primary_of(member_at(line, 1))));
}

/* handback pgN [clean=LSN] */
static void do_handback(const struct golden_line *line)
{
    struct msg_report r = handback_of(member_at(line, 1));
    r.handback_lsn = (uint64_t)golden_option_number(line, "clean", 0);
    r.is_handback_clean = r.handback_lsn != 0;
    r.position.lsn = r.is_handback_clean ? r.handback_lsn : r.position.lsn;
    send(adjusted(line, r));
}

/* vote pgN lineage=E lsn=N, for the attempt under way */
static void do_vote(const struct golden_line *line)
{
    send(adjusted(line, vote_of(member_at(line, 1), 3, 5000)));
}

/* beats N pgA pgB: so many heartbeats of these, the holder as primary, each confirmed */
static void do_beats(const struct golden_line *line)
{
    is_beating = true;
    for (int64_t n = golden_number(line, 1); n > 0; n--) {
        for (int at = 2; at < line->count; at++) {
            if (strncmp(line->words[at], "pg", 2) != 0) {
                continue;
            }
            bool is_primary = is_holder(member_at(line, at));
            send(adjusted(line,
                          is_primary ? primary_of(line->words[at]) : report_of(line->words[at])));
            if (w.c.tickets_count > 0) {
                confirm();
            }
        }
        w.now.us += BEAT_MS * MS;
        tick();
    }
    is_beating = false;
}

/* --- time, leadership, the log --- */

static void do_tick(const struct golden_line *line)
{
    (void)line;
    tick();
}

/* wait MS: ticks when the core wants them */
static void do_wait(const struct golden_line *line)
{
    struct base_mono end = base_mono_add_us(w.now, golden_number(line, 1) * MS);
    for (int i = 0; i < 10000 && !base_mono_before(end, w.fx.wake); i++) {
        w.now = base_mono_max(base_mono_add_us(w.now, 1), w.fx.wake);
        tick();
    }
    w.now = base_mono_max(w.now, end);
    tick();
}

static void do_confirm(const struct golden_line *line)
{
    (void)line;
    confirm();
}

static void do_lead(const struct golden_line *line)
{
    lead((uint64_t)golden_number(line, 1));
}

static void do_lost(const struct golden_line *line)
{
    (void)line;
    run((struct arb_event){.kind = ARB_EVENT_LOST});
}

/* hold-swaps: what is swapped from now on is not applied, until apply or void */
static void do_hold_swaps(const struct golden_line *line)
{
    (void)line;
    w.holds_swap = true;
}

static void do_apply(const struct golden_line *line)
{
    struct msg_record record = w.c.swap_record;
    (void)line;
    w.holds_swap = false;
    run((struct arb_event){.kind = ARB_EVENT_RECORD, .record = &record, .is_own = true});
}

static void do_void(const struct golden_line *line)
{
    (void)line;
    w.holds_swap = false;
    run((struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
}

static void do_restore(const struct golden_line *line)
{
    run((struct arb_event){.kind = ARB_EVENT_RESTORE,
                           .restore_id = (uint64_t)golden_number(line, 1)});
}

/* record KEY=VALUE...: the record as somebody else's swap has made it */
static void do_record(const struct golden_line *line)
{
    struct msg_record r = w.c.record.epoch == 0 ? base_record() : w.c.record;
    const char *voters = golden_option(line, "voters");
    const char *holder = golden_option(line, "holder");
    r.voters = voters == NULL ? r.voters : names_from(voters);
    r.holder = holder == NULL ? r.holder : name_of(holder);
    r.votes_needed_r = (uint8_t)golden_option_number(line, "r", r.votes_needed_r);
    r.sync_count = (uint8_t)golden_option_number(line, "count", r.sync_count);
    set_u64(line, "epoch", &r.epoch);
    set_u64(line, "lag", &r.maximum_lag_bytes);
    r.failover_interval_ms =
        (uint32_t)golden_option_number(line, "interval", r.failover_interval_ms);
    r.fence_mode = golden_has(line, "fence") ? MSG_FENCE_REQUIRE : r.fence_mode;
    r.is_sync_strict = r.is_sync_strict || golden_has(line, "strict");
    r.sync_mode = golden_has(line, "async") ? MSG_SYNC_ASYNC : r.sync_mode;
    r.revision++;
    load(r);
}

/* nothing: a cluster that nobody has heard of yet */
static void do_nothing(const struct golden_line *line)
{
    struct base_name name = name_of("main");
    (void)line;
    arb_cluster_init(&w.c, &name);
    lead(5);
}

static void request(const struct golden_line *line, enum arb_request_kind kind)
{
    struct arb_request r = {.kind = kind, .is_forced = golden_has(line, "force")};
    if (line->count > 1 && strncmp(line->words[1], "pg", 2) == 0) {
        r.candidate = name_of(line->words[1]);
    }
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

static void do_switchover(const struct golden_line *line)
{
    request(line, ARB_REQUEST_SWITCHOVER);
}

static void do_failover(const struct golden_line *line)
{
    request(line, ARB_REQUEST_FAILOVER);
}

static void do_confirm_record(const struct golden_line *line)
{
    request(line, ARB_REQUEST_CONFIRM);
}

/* pause, resume, dead pgN, drain pgN, undrain pgN, cancel [pgN], remove pgN */
static void do_wish(const struct golden_line *line)
{
    static const struct {
        const char *word;
        enum arb_request_kind kind;
    } wishes[] = {{"pause", ARB_REQUEST_PAUSE},       {"resume", ARB_REQUEST_RESUME},
                  {"dead", ARB_REQUEST_CONFIRM_DEAD}, {"drain", ARB_REQUEST_DRAIN},
                  {"undrain", ARB_REQUEST_UNDRAIN},   {"cancel", ARB_REQUEST_CANCEL},
                  {"remove", ARB_REQUEST_REMOVE}};
    for (size_t i = 0; i < BASE_COUNT_OF(wishes); i++) {
        if (strcmp(line->words[0], wishes[i].word) == 0) {
            request(line, wishes[i].kind);
        }
    }
}

/* restart pgN, reload pgN, reinit pgN */
static void do_task(const struct golden_line *line)
{
    const char *word = line->words[0];
    struct arb_request r = {.kind = ARB_REQUEST_TASK};
    r.task.kind = strcmp(word, "restart") == 0
                      ? MSG_TASK_RESTART
                      : (strcmp(word, "reload") == 0 ? MSG_TASK_RELOAD : MSG_TASK_REINIT);
    r.task.member = name_of(member_at(line, 1));
    run((struct arb_event){.kind = ARB_EVENT_REQUEST, .request = &r});
}

/* fenced, or fenced not */
static void do_fenced(const struct golden_line *line)
{
    run((struct arb_event){.kind = ARB_EVENT_FENCED,
                           .fenced_epoch = w.c.record.epoch,
                           .is_fenced = !golden_has(line, "not")});
}

static void do_show(const struct golden_line *line)
{
    (void)line;
    say_record("", &w.c.record);
}

static void begin(void)
{
    (void)setup(NULL);
    memset(told_orders, 0, sizeof(told_orders));
    w.told = tell;
}

static void end(void)
{
}

static const struct golden_command commands[] = {
    {"report", do_report},
    {"primary", do_primary},
    {"handback", do_handback},
    {"vote", do_vote},
    {"beats", do_beats},
    {"tick", do_tick},
    {"wait", do_wait},
    {"confirm", do_confirm},
    {"lead", do_lead},
    {"lost", do_lost},
    {"hold-swaps", do_hold_swaps},
    {"apply", do_apply},
    {"void", do_void},
    {"restore", do_restore},
    {"record", do_record},
    {"nothing", do_nothing},
    {"switchover", do_switchover},
    {"failover", do_failover},
    {"confirm-record", do_confirm_record},
    {"pause", do_wish},
    {"resume", do_wish},
    {"dead", do_wish},
    {"drain", do_wish},
    {"undrain", do_wish},
    {"cancel", do_wish},
    {"remove", do_wish},
    {"restart", do_task},
    {"reload", do_task},
    {"reinit", do_task},
    {"fenced", do_fenced},
    {"show", do_show},
};

const struct golden_driver golden_driver = {begin, end, commands, BASE_COUNT_OF(commands)};
