/* SPDX-License-Identifier: Apache-2.0 */
/* See gal_operator.h. */
#include "tests/sim/gal_operator.h"

#include "tests/sim/faults_gal.h"
#include "tests/sim/members.h"
#include "tests/sim/nodes.h"
#include "tests/sim/truth_gal.h"
#include "tests/sim/truth_ops.h"

#define LOOK_US SECOND
#define PATIENCE_US (6 * SECOND)

static bool is_for_operator(const struct world *w, const struct arb_note *note)
{
    bool is_healed = w->now_us > w->setup.faults_end_us;
    switch ((int)note->kind) {
    case ARB_NOTE_GALERA_FAILED_WAITS:
        return true;
    case ARB_NOTE_GALERA_LOSS:
    case ARB_NOTE_GALERA_BEFORE:
    case ARB_NOTE_GALERA_OLDER:
    case ARB_NOTE_GALERA_DAMAGED: /* does not heal */
        return is_healed || w->setup.has_hands || w->galera->is_given_up;
    case ARB_NOTE_GALERA_MISSING:
        if (note->why == ARB_REFUSE_OTHER_GENERATION) { /* heard: it does not heal */
            return is_healed || w->setup.has_hands || w->galera->is_given_up;
        }
        return !is_healed && (w->setup.has_hands || w->galera->is_given_up);
    default:
        return false;
    }
}

/* It is in a component that nobody granted: people are told to stop it. */
static bool is_to_be_stopped(struct world *w, const struct arb_note *note)
{
    int at = member_by_name(w, &note->member);
    return note->why == ARB_REFUSE_NOT_STOPPED && at >= 0 && w->now_us > w->setup.faults_end_us &&
           wsrep_is_primary(wsrep_of(w, (unsigned)at));
}

/* number: since when it waits so; 0: it does not. */
static void look(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct arb_request confirm = {.kind = ARB_REQUEST_CONFIRM, .is_forced = true};
    struct arb_note note;
    (void)bytes;
    bool is_waiting = nodes_waits(w, w->setup.clusters, &note);
    bool is_rogue = is_waiting && is_to_be_stopped(w, &note);
    bool is_asked = is_rogue || (is_waiting && is_for_operator(w, &note));
    uint64_t since = !is_asked ? 0 : number == 0 ? (uint64_t)w->now_us : number;
    if (is_asked && w->now_us - (int64_t)since >= PATIENCE_US) {
        if (note.kind == ARB_NOTE_GALERA_MISSING || note.kind == ARB_NOTE_GALERA_DAMAGED) {
            confirm.overridden = (struct msg_names){1, {note.member}};
        }
        if (note.kind == ARB_NOTE_GALERA_OLDER) {
            confirm.candidate = note.member;
        }
        if (is_rogue) {
            (void)galera_kill_server(w, (unsigned)member_by_name(w, &note.member));
        } else if (nodes_request(w, w->setup.clusters, &confirm) == 0) {
            trace(w, TRACE_MARK, 63, note.kind, 0, 0);
            w->tally.galera_confirmed++;
            truth_gal_confirmed(w);
        }
        since = 0;
    }
    world_at_with(w, w->now_us + LOOK_US, NULL, look, w, since, SLICE_EMPTY);
}

/* --- administrators --- */

static struct base_name draw_name(struct world *w, struct base_rand *r)
{
    return w->members->list[draw(r, wsrep_first(w), (int64_t)wsrep_end(w) - 1)].name;
}

static void ask(struct world *w, const struct arb_request *request)
{
    if (nodes_request(w, w->setup.clusters, request) == 0) {
        w->tally.galera_orders++;
    }
}

static void drain_or_not(struct world *w, struct base_rand *r, const struct msg_record *record)
{
    struct arb_request request = {.kind = ARB_REQUEST_DRAIN, .candidate = draw_name(w, r)};
    if (record->drained.count > 0) {
        request.kind = ARB_REQUEST_UNDRAIN;
        request.candidate = record->drained.names[0];
    }
    ask(w, &request);
}

static void order_a_task(struct world *w, struct base_rand *r)
{
    struct arb_request request = {.kind = ARB_REQUEST_TASK};
    request.task.kind = chance(r, 700000) ? MSG_TASK_RESTART : MSG_TASK_REINIT;
    request.task.member = draw_name(w, r);
    ask(w, &request);
}

static void switch_over(struct world *w, struct base_rand *r)
{
    struct arb_request request = {.kind = ARB_REQUEST_SWITCHOVER};
    if (chance(r, 500000)) {
        request.candidate = draw_name(w, r);
    }
    ask(w, &request);
}

static void act(struct world *w, struct base_rand *r, const struct msg_record *record)
{
    int64_t what = draw(r, 0, 99);
    if (record->is_paused || what < 20) {
        ask(w, &(struct arb_request){.kind = record->is_paused ? ARB_REQUEST_RESUME
                                                               : ARB_REQUEST_PAUSE});
    } else if (what < 40) {
        drain_or_not(w, r, record);
    } else if (what < 70) {
        order_a_task(w, r);
    } else {
        switch_over(w, r);
    }
}

/* A pause in which the holder dies lasts until somebody says that it is dead. */
static void confirm_dead(struct world *w, const struct msg_record *record)
{
    int holder = member_by_name(w, &record->holder);
    struct arb_request request = {.kind = ARB_REQUEST_CONFIRM_DEAD, .candidate = record->holder};
    if (holder >= 0 && record->is_unarmed && !member_of(w, (unsigned)holder)->has_power &&
        nodes_request(w, w->setup.clusters, &request) == 0) {
        truth_ops_dead(w, w->setup.clusters);
        truth_gal_confirmed(w); /* what only it has is given up */
    }
}

static void tidy(struct world *w, const struct msg_record *record)
{
    if (record->is_paused) {
        ask(w, &(struct arb_request){.kind = ARB_REQUEST_RESUME});
    } else if (record->drained.count > 0) {
        ask(w, &(struct arb_request){.kind = ARB_REQUEST_UNDRAIN,
                                     .candidate = record->drained.names[0]});
    }
}

static void admin(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    struct base_rand r = world_stream(w, STREAM_GALERA, 100 + number);
    struct msg_record record;
    (void)bytes;
    bool is_over = w->now_us >= w->setup.faults_end_us;
    int64_t next_us = is_over ? 2 * SECOND : draw(&r, SECOND, 15 * SECOND);
    world_at_with(w, w->now_us + next_us, NULL, admin, w, number + 1, SLICE_EMPTY);
    if (!truth_ops_record(w, w->setup.clusters, &record) || record.state == MSG_RECORD_BOOTSTRAP) {
        return;
    }
    confirm_dead(w, &record);
    if (is_over) {
        tidy(w, &record);
    } else {
        act(w, &r, &record);
    }
}

/* The document says which of the voters is no member: the arbitrator, which has no data. In some
 * seeds also that a writer that was evicted is not waited for. Written again until it stands. */
static void configure(void *ctx, uint64_t number, struct slice bytes)
{
    struct world *w = ctx;
    const char *text = w->setup.has_arbitrator ? "{\"galera\":{\"arbitrator\":\"garb\"}}"
                                               : "{\"galera\":{\"fast_takeover\":true}}";
    (void)number;
    (void)bytes;
    if (!nodes_is_configured(w, w->setup.clusters)) {
        (void)nodes_configure(w, w->setup.clusters, slice_from_text(text));
        world_at(w, w->now_us + SECOND, NULL, configure, w);
    }
}

void gal_operator_open(struct world *w)
{
    if (w->setup.has_arbitrator || w->setup.is_fast_takeover) {
        world_at(w, w->now_us + 6 * SECOND, NULL, configure, w);
    }

    if (w->setup.has_galera_admins) {
        world_at_with(w, w->now_us + 20 * SECOND, NULL, admin, w, 0, SLICE_EMPTY);
    }
    if (wsrep_exists(w)) {
        world_at_with(w, w->now_us + 10 * SECOND, NULL, look, w, 0, SLICE_EMPTY);
    }
}
