/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's decisions (safety.md section 3). One function per event; the time's demands come
 * first. */
#include "agents/guard/core.h"

#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"

#define GUARD_MAGIC 0x67647264u

/* Signals of Linux on every architecture that we know; the core names no system header. */
enum { SIG_HUP = 1, SIG_INT = 2, SIG_QUIT = 3, SIG_USR1 = 10, SIG_USR2 = 12, SIG_TERM = 15 };

static void effect_add(struct guard_effects *fx, enum guard_effect_kind kind, int32_t number)
{
    BASE_ASSERT(fx->count < GUARD_EFFECTS_MAX);
    fx->list[fx->count++] = (struct guard_effect){.kind = kind, .number = number};
}

static void tree_set(struct guard_core *core, enum guard_tree tree, struct base_mono now)
{
    core->status.tree = tree;
    core->status.changed = now;
}

static bool is_stopping_or_stopped(const struct guard_core *core)
{
    return core->status.tree == GUARD_TREE_FREEZING || core->status.tree == GUARD_TREE_FROZEN;
}

/* From this moment on nothing may run; of an engine that fences itself: nothing may run unfenced.
 */
static struct base_mono lease_end(const struct guard_core *core)
{
    return base_mono_add_us(core->status.deadline, core->status.soft_us - core->lead_us);
}

static bool is_guarded(const struct guard_core *core)
{
    return core->status.tree == GUARD_TREE_RUNNING && core->status.is_armed &&
           !CANARY(AGENT_IGNORES_LEASE_END);
}

/* The moment at which a running tree must be frozen. */
static struct base_mono freeze_at(const struct guard_core *core)
{
    return is_guarded(core) && core->status.soft_us == 0 ? lease_end(core) : BASE_MONO_NEVER;
}

/* The moment at which a tree being frozen, or frozen, must be killed; or one that runs, of an
 * engine whose own fence has not been reported done in time. */
static struct base_mono kill_at(const struct guard_core *core)
{
    if (is_guarded(core) && core->status.soft_us > 0) {
        return lease_end(core);
    }
    if (core->status.tree == GUARD_TREE_FREEZING) {
        return base_mono_add_us(core->freeze_began, core->status.margin_us / 4);
    }
    if (core->status.tree == GUARD_TREE_FROZEN) {
        return base_mono_add_us(core->freeze_began, core->freeze_max_us);
    }
    return BASE_MONO_NEVER;
}

static void freeze_begin(struct guard_core *core, struct base_mono due, struct base_mono now,
                         struct guard_effects *fx)
{
    core->freeze_due = due;
    core->freeze_began = now;
    tree_set(core, GUARD_TREE_FREEZING, now);
    effect_add(fx, GUARD_FX_FREEZE, 0);
}

static void kill_begin(struct guard_core *core, struct base_mono now, struct guard_effects *fx)
{
    tree_set(core, GUARD_TREE_KILLING, now);
    effect_add(fx, GUARD_FX_KILL, 0);
}

/* What the time alone demands, whatever the event is. */
static void time_passes(struct guard_core *core, struct base_mono now, struct guard_effects *fx)
{
    struct base_mono due = freeze_at(core);
    if (!base_mono_before(now, due)) {
        freeze_begin(core, due, now, fx);
    } else if (!base_mono_before(now, kill_at(core))) {
        if (core->status.tree != GUARD_TREE_RUNNING) {
            MARK(GUARD_FROZEN_TOO_LONG);
        }
        kill_begin(core, now, fx);
    }
}

static int event_start(struct guard_core *core, const struct guard_event *ev,
                       struct guard_effects *fx)
{
    struct guard_status *st = &core->status;
    if (st->tree != GUARD_TREE_GONE || core->is_ending) {
        return BASE_E_STATE;
    }
    /* Under a lease that has run out it would be frozen at birth; hand back or disarm first. */
    if (st->is_armed && !base_mono_before(ev->now, lease_end(core)) &&
        !CANARY(AGENT_IGNORES_LEASE_END)) {
        return BASE_E_STATE;
    }
    tree_set(core, GUARD_TREE_RUNNING, ev->now);
    st->root_pid = 0;
    st->is_adopted = false;
    st->exit_status = 0;
    st->starts++;
    effect_add(fx, GUARD_FX_START, 0);
    return 0;
}

static void arm_take(struct guard_core *core, const struct guard_event *ev)
{
    struct guard_status *st = &core->status;
    st->deadline =
        ev->epoch == st->epoch ? base_mono_max(st->deadline, ev->deadline) : ev->deadline;
    st->epoch = ev->epoch;
    st->is_armed = true;
    st->soft_us = ev->soft_us > 0 ? ev->soft_us : 0;
    core->epoch_seen = ev->epoch > core->epoch_seen ? ev->epoch : core->epoch_seen;
    core->freeze_max_us = ev->freeze_max_us < 0 ? 0 : ev->freeze_max_us;
    if (ev->margin_us > 0) {
        st->margin_us = ev->margin_us;
    }
}

/* A frozen tree goes on only for a grant of the same epoch; any other means that its right is over.
 */
static int event_arm(struct guard_core *core, const struct guard_event *ev,
                     struct guard_effects *fx)
{
    struct guard_status *st = &core->status;
    bool is_over = ev->epoch <= st->epoch_handed_back;
    if (is_over && CANARY(HANDBACK_NOT_FINAL) && ev->epoch == st->epoch) {
        st->epoch_handed_back = ev->epoch - 1;
        is_over = false;
    }
    bool is_lower = ev->epoch < core->epoch_seen && !CANARY(OLD_EPOCH_ACCEPTED);
    if (ev->epoch == 0 || is_over || is_lower) {
        return BASE_E_CONFLICT;
    }
    if (base_mono_before(base_mono_add_us(ev->now, GUARD_AHEAD_MAX_US), ev->deadline)) {
        return BASE_E_RANGE;
    }
    if (ev->soft_us > GUARD_SOFT_MAX_US) {
        return BASE_E_RANGE;
    }
    bool is_same = ev->epoch == st->epoch;
    if (is_same && st->is_armed && !base_mono_before(st->deadline, ev->deadline) &&
        !CANARY(THAW_ANY_GRANT)) {
        return 0; /* an older grant: nothing new */
    }
    arm_take(core, ev);
    if (is_stopping_or_stopped(core)) {
        if (!is_same) {
            kill_begin(core, ev->now, fx);
        } else if (base_mono_before(ev->now, lease_end(core)) || CANARY(THAW_ANY_GRANT)) {
            MARK(GUARD_THAWS);
            tree_set(core, GUARD_TREE_RUNNING, ev->now);
            effect_add(fx, GUARD_FX_THAW, 0);
        }
    }
    return 0;
}

static int event_disarm(struct guard_core *core)
{
    if (is_stopping_or_stopped(core)) {
        return BASE_E_STATE; /* only a grant thaws, and a frozen tree must keep its end */
    }
    core->status.is_armed = false;
    return 0;
}

static int event_signal(struct guard_core *core, const struct guard_event *ev,
                        struct guard_effects *fx)
{
    /* To a stopped process it would stay pending and act after a thaw. */
    if (core->status.tree != GUARD_TREE_RUNNING || core->status.root_pid == 0) {
        return BASE_E_STATE;
    }
    switch (ev->number) {
    case SIG_HUP:
    case SIG_INT:
    case SIG_QUIT:
    case SIG_USR1:
    case SIG_USR2:
    case SIG_TERM:
        effect_add(fx, GUARD_FX_SIGNAL, ev->number);
        return 0;
    default:
        return BASE_E_RANGE;
    }
}

static int event_kill(struct guard_core *core, const struct guard_event *ev,
                      struct guard_effects *fx)
{
    if (core->status.tree == GUARD_TREE_RUNNING || is_stopping_or_stopped(core)) {
        kill_begin(core, ev->now, fx);
    }
    return 0;
}

static int event_hand_back(struct guard_core *core, const struct guard_event *ev)
{
    struct guard_status *st = &core->status;
    /* Only of an engine that fences itself, and was armed so: any other tree must be gone. */
    bool is_fenced = ev->soft_us > 0 && st->tree == GUARD_TREE_RUNNING &&
                     (st->soft_us > 0 || CANARY(HANDBACK_WHILE_RUNNING));
    if (st->tree != GUARD_TREE_GONE && !is_fenced) {
        return BASE_E_STATE;
    }
    if (ev->epoch == 0) {
        return BASE_E_RANGE;
    }
    if (ev->epoch > st->epoch_handed_back) {
        st->epoch_handed_back = ev->epoch;
    }
    if (st->epoch_handed_back >= st->epoch) {
        st->is_armed = false;
    }
    return 0;
}

static int event_epoch_seen(struct guard_core *core, const struct guard_event *ev,
                            struct guard_effects *fx)
{
    if (ev->epoch > core->epoch_seen) {
        core->epoch_seen = ev->epoch;
    }
    if (is_stopping_or_stopped(core) && core->epoch_seen > core->status.epoch) {
        kill_begin(core, ev->now, fx);
    }
    return 0;
}

static int event_freeze(struct guard_core *core, const struct guard_event *ev,
                        struct guard_effects *fx)
{
    if (is_stopping_or_stopped(core)) {
        return 0;
    }
    if (core->status.tree != GUARD_TREE_RUNNING) {
        return BASE_E_STATE;
    }
    freeze_begin(core, ev->now, ev->now, fx);
    return 0;
}

static int event_adopted(struct guard_core *core, const struct guard_event *ev)
{
    if (core->status.tree != GUARD_TREE_GONE || core->is_ending) {
        return BASE_E_STATE;
    }
    /* It runs already, perhaps read-write: a lease that is over freezes it at once. */
    tree_set(core, GUARD_TREE_RUNNING, ev->now);
    core->status.root_pid = ev->number;
    core->status.is_adopted = true;
    core->status.is_cgroup = false; /* it stays in the one it was started in */
    core->status.exit_status = 0;
    return 0;
}

/* The way back of an adoption: only what runs by nobody's grant is nobody's to end. */
static int event_release(struct guard_core *core, const struct guard_event *ev)
{
    if (core->status.tree != GUARD_TREE_RUNNING || !core->status.is_adopted ||
        (core->status.is_armed && !CANARY(RELEASED_ARMED))) {
        return BASE_E_STATE;
    }
    core->status.root_pid = 0;
    core->status.is_adopted = false;
    tree_set(core, GUARD_TREE_GONE, ev->now);
    core->is_ending = true;
    return 0;
}

static void event_start_failed(struct guard_core *core, const struct guard_event *ev)
{
    core->status.exit_status = ev->number;
    core->status.root_pid = 0;
    tree_set(core, GUARD_TREE_GONE, ev->now);
}

static void event_root_exit(struct guard_core *core, const struct guard_event *ev,
                            struct guard_effects *fx)
{
    core->status.exit_status = ev->number;
    if (CANARY(HANDBACK_AT_EXIT)) {
        core->status.root_pid = 0;
        tree_set(core, GUARD_TREE_GONE, ev->now);
        return;
    }
    /* Backends outlive a killed root; gone is only what was seen empty. */
    if (core->status.tree == GUARD_TREE_RUNNING || is_stopping_or_stopped(core)) {
        tree_set(core, GUARD_TREE_ROOT_EXITED, ev->now);
        effect_add(fx, GUARD_FX_KILL, 0);
    }
}

static void event_tree_stopped(struct guard_core *core, const struct guard_event *ev)
{
    if (core->status.tree == GUARD_TREE_FREEZING) {
        core->status.freeze_us = base_mono_diff_us(ev->now, core->freeze_due);
        tree_set(core, GUARD_TREE_FROZEN, ev->now);
    }
}

static void event_tree_empty(struct guard_core *core, const struct guard_event *ev)
{
    if (core->status.tree == GUARD_TREE_KILLING || core->status.tree == GUARD_TREE_ROOT_EXITED) {
        core->status.root_pid = 0;
        core->status.is_adopted = false;
        tree_set(core, GUARD_TREE_GONE, ev->now);
    }
}

static void event_ending(struct guard_core *core, const struct guard_event *ev,
                         struct guard_effects *fx)
{
    core->is_ending = true;
    if (ev->kind == GUARD_EV_TWIN_LOST) {
        core->status.has_twin = false;
    }
    (void)event_kill(core, ev, fx);
}

static int command_do(struct guard_core *core, const struct guard_event *ev,
                      struct guard_effects *fx)
{
    switch (ev->kind) { /* NOLINT: the rest is not a command */
    case GUARD_EV_START:
        return event_start(core, ev, fx);
    case GUARD_EV_ARM:
        return event_arm(core, ev, fx);
    case GUARD_EV_DISARM:
        return event_disarm(core);
    case GUARD_EV_SIGNAL:
        return event_signal(core, ev, fx);
    case GUARD_EV_KILL:
        return event_kill(core, ev, fx);
    case GUARD_EV_HAND_BACK:
        return event_hand_back(core, ev);
    case GUARD_EV_EPOCH_SEEN:
        return event_epoch_seen(core, ev, fx);
    case GUARD_EV_FREEZE:
        return event_freeze(core, ev, fx);
    case GUARD_EV_RELEASE:
        return event_release(core, ev);
    case GUARD_EV_ADOPTED:
        return event_adopted(core, ev);
    case GUARD_EV_STARTED:
    case GUARD_EV_START_FAILED:
    case GUARD_EV_ROOT_EXIT:
    case GUARD_EV_TREE_STOPPED:
    case GUARD_EV_TREE_EMPTY:
    case GUARD_EV_TWIN_LOST:
    case GUARD_EV_TERMINATE:
    case GUARD_EV_TIME:
        break;
    }
    return BASE_E_INVALID;
}

/* True when the event was one of the shell's observations. */
static bool observation_do(struct guard_core *core, const struct guard_event *ev,
                           struct guard_effects *fx)
{
    if (ev->kind == GUARD_EV_STARTED) {
        core->status.root_pid = ev->number;
    } else if (ev->kind == GUARD_EV_START_FAILED) {
        event_start_failed(core, ev);
    } else if (ev->kind == GUARD_EV_ROOT_EXIT) {
        event_root_exit(core, ev, fx);
    } else if (ev->kind == GUARD_EV_TREE_STOPPED) {
        event_tree_stopped(core, ev);
    } else if (ev->kind == GUARD_EV_TREE_EMPTY) {
        event_tree_empty(core, ev);
    } else if (ev->kind == GUARD_EV_TWIN_LOST || ev->kind == GUARD_EV_TERMINATE) {
        event_ending(core, ev, fx);
    } else if (ev->kind != GUARD_EV_TIME) {
        return false;
    }
    return true;
}

void guard_core_init(struct guard_core *core, uint64_t instance, int64_t margin_us,
                     struct base_mono now)
{
    memset(core, 0, sizeof(*core));
    core->magic = GUARD_MAGIC;
    core->status.instance = instance;
    core->status.tree = GUARD_TREE_GONE;
    core->status.changed = now;
    core->status.margin_us = margin_us > 0 ? margin_us : GUARD_MARGIN_DEFAULT_US;
    core->freeze_max_us = GUARD_FREEZE_MAX_DEFAULT_US;
}

int guard_core_resume(struct guard_core *core, const struct guard_status *status,
                      int64_t freeze_max_us, uint64_t epoch_seen)
{
    struct guard_core c;
    guard_core_init(&c, status->instance, status->margin_us, status->changed);
    c.status = *status;
    c.freeze_max_us = freeze_max_us;
    c.epoch_seen = epoch_seen;
    if ((status->tree != GUARD_TREE_RUNNING && status->tree != GUARD_TREE_GONE) ||
        !guard_core_check(&c)) {
        return BASE_E_INVALID;
    }
    *core = c;
    return 0;
}

int guard_core_step(struct guard_core *core, const struct guard_event *event,
                    struct guard_effects *ret_effects)
{
    BASE_ASSERT(core->magic == GUARD_MAGIC);
    struct guard_status before = core->status;
    bool was_ending = core->is_ending;
    ret_effects->count = 0;
    int result = 0;
    /* The end of a tree is no reason to freeze it first. */
    if (event->kind != GUARD_EV_ROOT_EXIT && event->kind != GUARD_EV_TREE_EMPTY &&
        event->kind != GUARD_EV_START_FAILED) {
        time_passes(core, event->now, ret_effects);
    }
    if (!observation_do(core, event, ret_effects)) {
        result = command_do(core, event, ret_effects);
    }
    time_passes(core, event->now, ret_effects); /* an arm may name a deadline already over */
    if (memcmp(&before, &core->status, sizeof(before)) != 0 || was_ending != core->is_ending) {
        effect_add(ret_effects, GUARD_FX_STATUS, 0);
    }
    if (core->is_ending && core->status.tree == GUARD_TREE_GONE) {
        effect_add(ret_effects, GUARD_FX_EXIT, 0);
    }
    BASE_ASSERT_SLOW(guard_core_check(core));
    return result;
}

void guard_core_lead_set(struct guard_core *core, int64_t lead_us)
{
    core->lead_us = lead_us < 0 ? 0 : lead_us;
}

struct base_mono guard_core_wake(const struct guard_core *core)
{
    return base_mono_min(freeze_at(core), kill_at(core));
}

struct base_mono guard_core_due(const struct guard_core *core)
{
    switch (core->status.tree) {
    case GUARD_TREE_GONE:
        return BASE_MONO_NEVER;
    case GUARD_TREE_RUNNING:
        return base_mono_min(freeze_at(core), kill_at(core));
    case GUARD_TREE_FREEZING:
        return core->freeze_due; /* the word "stopped" is still owed since then */
    case GUARD_TREE_FROZEN:
        return kill_at(core);
    case GUARD_TREE_KILLING:
    case GUARD_TREE_ROOT_EXITED:
        return core->status.changed;
    }
    BASE_UNREACHABLE();
}

bool guard_core_check(const struct guard_core *core)
{
    const struct guard_status *st = &core->status;
    bool ok = st->margin_us > 0 && core->freeze_max_us >= 0 && st->soft_us >= 0;
    ok = ok && BASE_IMPLIES(st->is_armed, st->epoch > st->epoch_handed_back);
    ok = ok && core->epoch_seen >= st->epoch;
    ok = ok && BASE_IMPLIES(st->tree == GUARD_TREE_GONE, st->root_pid == 0);
    ok = ok && BASE_IMPLIES(core->is_ending, st->tree != GUARD_TREE_RUNNING);
    return ok;
}

const char *guard_tree_text(enum guard_tree tree)
{
    static const char *const texts[] = {"gone",   "running", "freezing",
                                        "frozen", "killing", "root exited"};
    return (size_t)tree < BASE_COUNT_OF(texts) ? texts[tree] : "unknown";
}

const char *guard_watchdog_text(enum guard_watchdog watchdog)
{
    static const char *const texts[] = {"off", "idle", "fed", "not fed", "unavailable"};
    return (size_t)watchdog < BASE_COUNT_OF(texts) ? texts[watchdog] : "unknown";
}
