/* SPDX-License-Identifier: Apache-2.0 */
/* The guard of a simulated host: agents/guard/core.c over a modelled process tree. Freezing and
 * killing take their time; the guard can be late, never wrong about what it saw.
 */
#include <string.h>

#include "base/lease_math.h"
#include "tests/sim/adopted.h"
#include "tests/sim/members.h"
#include "tests/sim/truth.h"
#include "tests/sim/truth_lease.h"

static void rearm(struct member *m);

static void step(struct member *m, struct guard_event event);

static void simple(struct member *m, enum guard_event_kind kind, int32_t number)
{
    step(m, (struct guard_event){.kind = kind, .number = number});
}

static void started(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    (void)bytes;
    m->is_start_under_way = false;
    if (m->tree.is_up) {
        simple(m, GUARD_EV_START_FAILED, 256);
        return;
    }
    tree_start(m);
    simple(m, GUARD_EV_STARTED, (int32_t)(1000 + m->tree.life));
}

static void frozen(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)bytes;
    if (number != m->freeze_number || !m->tree.is_up) {
        return;
    }
    process_freeze(&m->tree, STOPPED_BY_GUARD);
    tree_note(m);
    simple(m, GUARD_EV_TREE_STOPPED, 0);
}

static void later(struct member *m, int64_t us, event_fn *fn, uint64_t number);

static void killed(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)number;
    (void)bytes;
    if (m->is_start_under_way) {
        later(m, MS, killed, 0);
        return;
    }
    if (m->tree.is_up && m->pg.is_write_stuck) { /* they wait for the disk, and die after that */
        process_freeze(&m->tree, STOPPED_BY_GUARD);
        pg_note(&m->pg);
        later(m, 50 * MS, killed, 0);
        return;
    }
    if (m->tree.is_up) {
        tree_gone(m, false);
    }
    simple(m, GUARD_EV_TREE_EMPTY, 0);
}

static void later(struct member *m, int64_t us, event_fn *fn, uint64_t number)
{
    world_at_with(m->world, m->world->now_us + us, &m->guard_process, fn, m, number, SLICE_EMPTY);
}

static void carry_out(struct member *m, const struct guard_effect *fx)
{
    int64_t slow_us = chance(&m->rand, 50000) ? 40 * MS : 3 * MS;
    switch (fx->kind) {
    case GUARD_FX_START:
        m->is_start_under_way = true;
        later(m, draw(&m->rand, MS, 5 * MS), started, 0);
        break;
    case GUARD_FX_FREEZE:
        later(m, draw(&m->rand, 200, slow_us), frozen, ++m->freeze_number);
        break;
    case GUARD_FX_THAW:
        m->freeze_number++;
        truth_lease_thaw(m->world, m);
        process_thaw(m->world, &m->tree, STOPPED_BY_GUARD);
        tree_note(m);
        break;
    case GUARD_FX_KILL:
        m->freeze_number++;
        later(m, draw(&m->rand, 500, slow_us), killed, 0);
        break;
    case GUARD_FX_SIGNAL:
        if (m->is_galera) {
            wsrep_signal(&m->gal, fx->number);
        } else if (m->is_mongodb) {
            mongo_signal(&m->mongo, fx->number);
        } else {
            pg_signal(&m->pg, fx->number);
        }
        break;
    case GUARD_FX_STATUS:
        trace(m->world, m->guard.status.tree != m->tree_told ? TRACE_GUARD : TRACE_ARMED, m->index,
              m->guard.status.tree, m->guard.status.epoch,
              (uint64_t)base_mono_diff_us(m->guard.status.deadline, clock_now(&m->clock)));
        m->tree_told = m->guard.status.tree;
        agent_guard_status(m);
        break;
    case GUARD_FX_EXIT:
        break;
    }
}

static void step(struct member *m, struct guard_event event)
{
    struct guard_effects effects;
    event.now = clock_now(&m->clock);
    bool is_refused = event.kind == GUARD_EV_ARM && !watchdog_prepare(m, event.deadline);
    if (is_refused) {
        event = (struct guard_event){.kind = GUARD_EV_TIME, .now = event.now};
    }
    (void)guard_core_step(&m->guard, &event, &effects);
    if (is_refused) {
        agent_guard_status(m); /* every command is answered: who refuses is not deaf */
    }
    adopted_armed(m);
    for (unsigned i = 0; i < effects.count; i++) {
        carry_out(m, &effects.list[i]);
    }
    watchdog_work(m);
    truth_guard(m->world, m);
    rearm(m);
}

static void wake(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    (void)bytes;
    if (m->twin_exit != 0) {
        int32_t status = m->twin_exit;
        m->twin_exit = 0;
        simple(m, GUARD_EV_ROOT_EXIT, status);
    }
    if (number == m->guard_wake_number) {
        m->guard_wake_us = INT64_MAX;
        simple(m, GUARD_EV_TIME, 0);
    }
}

static void rearm(struct member *m)
{
    struct base_mono at = base_mono_min(guard_core_wake(&m->guard), watchdog_wake(m));
    int64_t at_us = clock_true_us(&m->clock, at);
    if (at_us >= m->guard_wake_us || at_us >= INT64_MAX / 8) {
        return;
    }
    m->guard_wake_us = at_us;
    world_at_with(m->world, at_us + draw(&m->rand, 0, 200), &m->guard_process, wake, m,
                  ++m->guard_wake_number, SLICE_EMPTY);
}

static void arrive(void *ctx, uint64_t number, struct slice bytes)
{
    struct member *m = ctx;
    struct guard_event event;
    (void)number;
    memcpy(&event, bytes.data, sizeof(event));
    step(m, event);
}

void guard_command(struct member *m, const struct guard_event *event)
{
    world_at_with(m->world, m->world->now_us + draw(&m->rand, 20, 200), &m->guard_process, arrive,
                  m, 0, slice_from(event, sizeof(*event)));
}

static void exit_seen(void *ctx, uint64_t number, struct slice bytes)
{
    (void)bytes;
    simple(ctx, GUARD_EV_ROOT_EXIT, (int32_t)number);
}

void guard_root_exited(struct member *m, int status)
{
    if (m->is_twin_first) {
        m->twin_exit = status;
        return;
    }
    later(m, draw(&m->rand, 50, MS), exit_seen, (uint64_t)status);
}

void guard_adopts(struct member *m)
{
    simple(m, GUARD_EV_ADOPTED, (int32_t)(1000 + m->tree.life));
}

void guard_boot(struct member *m)
{
    process_start(&m->guard_process);
    m->guard_wake_us = INT64_MAX;
    m->twin_exit = 0;
    m->is_start_under_way = false;
    watchdog_off(m);
    guard_core_init(&m->guard, base_rand_next(&m->rand) | 1,
                    lease_margin_us(database_of(m->world, m->index)->ttl_ms * MS),
                    clock_now(&m->clock));
    rearm(m);
}
