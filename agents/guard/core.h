/* SPDX-License-Identifier: Apache-2.0 */
/* The guard's decisions: event in, bounded list of effects out (safety.md section 3).
 *
 * Pure: no clock, no process, no socket. The shell (agents/guard/guard.c) and the simulator run it
 * unchanged. Each event carries the time at which the caller looked at the clock; what that time
 * alone demands (freeze at the deadline, kill of what does not stop) is done before the event
 * itself, so that a command which arrives late meets the state it should have met. Effects are to
 * be done in their order, and before anybody is told about the new status.
 */
#ifndef QUORATE_AGENTS_GUARD_CORE_H
#define QUORATE_AGENTS_GUARD_CORE_H

#include "agents/guard/core_status.h"
#include "base/error.h"

/* A deadline further ahead than this is a mistake: the largest ttl is 60 s. */
#define GUARD_AHEAD_MAX_US (INT64_C(120) * BASE_US_PER_S)
/* More time than that no engine's own fence may take. */
#define GUARD_SOFT_MAX_US (INT64_C(10) * BASE_US_PER_S)
/* Used when a tree is frozen before any arm has said how long it may stay so. */
#define GUARD_FREEZE_MAX_DEFAULT_US (INT64_C(3) * BASE_US_PER_S)
#define GUARD_MARGIN_DEFAULT_US (INT64_C(200) * BASE_US_PER_MS)

enum guard_event_kind {
    /* commands of the agent; step returns why one was refused */
    GUARD_EV_START = 1,
    GUARD_EV_ARM, /* epoch, deadline, freeze_max_us; margin_us when above 0 */
    GUARD_EV_DISARM,
    GUARD_EV_SIGNAL, /* number: the signal, to the root only */
    GUARD_EV_KILL,
    GUARD_EV_HAND_BACK,  /* epoch */
    GUARD_EV_EPOCH_SEEN, /* epoch: exists in the record; a tree frozen in a lower one is killed */
    GUARD_EV_FREEZE,     /* at once, as if the deadline were now; thawed and killed as ever */
    GUARD_EV_RELEASE,    /* an adopted root, unarmed: the guard ends and leaves it running */
    /* what the shell saw */
    GUARD_EV_ADOPTED,      /* number: pid of a root that already runs */
    GUARD_EV_STARTED,      /* number: pid; answers GUARD_FX_START */
    GUARD_EV_START_FAILED, /* number: wait status to show */
    GUARD_EV_ROOT_EXIT,    /* number: wait status */
    GUARD_EV_TREE_STOPPED, /* every process of the tree was seen stopped */
    GUARD_EV_TREE_EMPTY,   /* no process of the tree is left, all reaped */
    GUARD_EV_TWIN_LOST,
    GUARD_EV_TERMINATE, /* the guard itself is asked to end */
    GUARD_EV_TIME,
};

struct guard_event {
    enum guard_event_kind kind;
    struct base_mono now;
    uint64_t epoch;
    struct base_mono deadline;
    int64_t freeze_max_us;
    int64_t margin_us;
    int64_t soft_us; /* ARM: see guard_status. HAND_BACK, above 0: the engine says that its own
                        fence is done, the tree may go on running */
    int32_t number;
};

enum guard_effect_kind {
    GUARD_FX_START = 1,
    GUARD_FX_FREEZE, /* begin; report GUARD_EV_TREE_STOPPED when seen */
    GUARD_FX_THAW,   /* ends a freeze that is under way, too */
    GUARD_FX_KILL,   /* begin; report GUARD_EV_TREE_EMPTY when seen. Never thaws before */
    GUARD_FX_SIGNAL, /* number, to the root */
    GUARD_FX_STATUS, /* the status has changed: publish it to twin and agent */
    GUARD_FX_EXIT,   /* the tree is gone and nothing holds this guard any longer */
};

#define GUARD_EFFECTS_MAX 8

struct guard_effect {
    enum guard_effect_kind kind;
    int32_t number;
};

struct guard_effects {
    uint8_t count;
    struct guard_effect list[GUARD_EFFECTS_MAX];
};

struct guard_core {
    uint32_t magic;
    struct guard_status status;
    int64_t freeze_max_us;
    struct base_mono freeze_began; /* valid while FREEZING or FROZEN */
    struct base_mono freeze_due;   /* the moment from which freeze_us counts: the deadline */
    uint64_t epoch_seen;           /* highest seen or armed; nothing lower is armed */
    int64_t lead_us;               /* frozen so long before the deadline */
    bool is_ending;                /* twin lost or asked to end: kill, then exit */
};

/* Unarmed, no tree. margin_us of 0 or less takes the default. */
void guard_core_init(struct guard_core *core, uint64_t instance, int64_t margin_us,
                     struct base_mono now);

/* Goes on where a former image of the same guard was, RUNNING or GONE. BASE_E_INVALID when that
 * cannot be. */
MUST_CHECK int guard_core_resume(struct guard_core *core, const struct guard_status *status,
                                 int64_t freeze_max_us, uint64_t epoch_seen);

/* One step. Effects are written to *ret_effects in any case. Returns 0, or for a command that was
 * refused BASE_E_STATE (not in this state of the tree), BASE_E_CONFLICT (epoch lower, or handed
 * back), BASE_E_RANGE (number, deadline); the time's own effects stand even then. */
int guard_core_step(struct guard_core *core, const struct guard_event *event,
                    struct guard_effects *ret_effects);

/* A tree is frozen lead_us before its deadline (a watchdog needs that); 0 at first and after a
 * resume. */
void guard_core_lead_set(struct guard_core *core, int64_t lead_us);

/* When GUARD_EV_TIME is wanted next; BASE_MONO_NEVER when time changes nothing. */
struct base_mono guard_core_wake(const struct guard_core *core);

/* When the guard's next duty falls due, for its twin: the twin kills when this lies half of the
 * margin back and is still the same. BASE_MONO_NEVER when there is none. */
struct base_mono guard_core_due(const struct guard_core *core);

/* True when the invariants hold; asserted after every step in debug builds. */
bool guard_core_check(const struct guard_core *core);

/* "running", "frozen" ...; static. */
const char *guard_tree_text(enum guard_tree tree);
/* "off", "fed" ...; static. */
const char *guard_watchdog_text(enum guard_watchdog watchdog);

#endif
