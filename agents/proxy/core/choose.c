/* SPDX-License-Identifier: Apache-2.0 */
/* Where one connection goes now, or why it waits. See core.h. */
#include "agents/proxy/core/core.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#define REASON_NAME(id, name, text) name,
#define REASON_TEXT(id, name, text) text,

const char *proxy_reason_name(enum proxy_reason reason)
{
    static const char *const names[] = {PROXY_REASONS(REASON_NAME)};
    BASE_ASSERT((size_t)reason < BASE_COUNT_OF(names));
    return names[reason];
}

const char *proxy_reason_text(enum proxy_reason reason)
{
    static const char *const texts[] = {PROXY_REASONS(REASON_TEXT)};
    BASE_ASSERT((size_t)reason < BASE_COUNT_OF(texts));
    return texts[reason];
}

static bool hold(struct proxy_choice *ret, enum proxy_reason reason, struct base_mono again_at)
{
    *ret = (struct proxy_choice){PROXY_NOBODY, reason, again_at};
    return false;
}

/* Its last answer, if it was asked for within the lease. */
static enum proxy_answer word_of(const struct proxy_core *core, const struct proxy_member *m,
                                 enum proxy_question question, struct base_mono now)
{
    const struct proxy_word *word = &m->words[question];
    bool is_young = base_mono_diff_us(now, word->asked_at) < proxy_age_max_us(core) ||
                    CANARY(PROXY_ROUTES_BY_OLD_ANSWER);
    return is_young ? word->answer : PROXY_ANSWER_NONE;
}

/* After failures one connection tries, at its time; the others wait for what it finds. */
static bool may_connect(const struct proxy_core *core, uint8_t i, struct base_mono now,
                        struct proxy_choice *ret)
{
    const struct proxy_member *m = &core->members[i];
    bool is_early = base_mono_before(now, m->retry_at);
    if (m->failures > 0 && (m->is_scouting || is_early)) {
        return hold(ret, PROXY_REASON_UNREACHABLE, m->is_scouting ? BASE_MONO_NEVER : m->retry_at);
    }
    *ret = (struct proxy_choice){i, PROXY_REASON_NONE, BASE_MONO_NEVER};
    return true;
}

/* Without a word from the quorum: an agent that says, within the lease, that its database may write
 * has a lease of its own (failsafe, pause, or the proxy alone is cut off). */
static bool choose_by_agents(const struct proxy_core *core, struct base_mono now,
                             enum proxy_reason reason, struct proxy_choice *ret)
{
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        const struct proxy_member *m = &core->members[i];
        if (m->is_listed && word_of(core, m, PROXY_ASKS_PRIMARY, now) == PROXY_ANSWER_YES) {
            return may_connect(core, i, now, ret);
        }
    }
    return hold(ret, reason, BASE_MONO_NEVER);
}

/* Its agent was asked in this epoch and says that it is out of recovery, on the epoch's own line
 * and under its lease: clients log in while the synchronous settings come into force, which takes
 * about as long; what they commit waits in the database until it is safe. */
static bool is_promoted(const struct proxy_core *core, struct base_mono now)
{
    uint8_t i = proxy_holder(core);
    return i != PROXY_NOBODY && !core->options.waits_for_open &&
           word_of(core, &core->members[i], PROXY_ASKS_PROMOTED, now) == PROXY_ANSWER_YES &&
           !base_mono_before(core->members[i].words[PROXY_ASKS_PROMOTED].asked_at, core->epoch_at);
}

static bool choose_primary(const struct proxy_core *core, int64_t waited_us, struct base_mono now,
                           struct proxy_choice *ret)
{
    const struct proxy_record *r = &core->record;
    int64_t patience_us = core->options.switchover_hold_us;
    if (!core->has_record) {
        return hold(ret, PROXY_REASON_NO_RECORD, BASE_MONO_NEVER);
    }
    if (r->is_standby_cluster) {
        return hold(ret, PROXY_REASON_STANDBY_CLUSTER, BASE_MONO_NEVER);
    }
    if (!proxy_is_fresh(core, now)) {
        enum proxy_reason why = core->is_restored ? PROXY_REASON_RESTORED : PROXY_REASON_STALE;
        return choose_by_agents(core, now, why, ret);
    }
    if (!r->is_opened && !is_promoted(core, now) && !CANARY(PROXY_ROUTES_UNOPENED)) {
        return hold(ret, PROXY_REASON_NOT_OPEN, BASE_MONO_NEVER);
    }
    if (r->state == MSG_RECORD_SWITCHOVER && waited_us < patience_us) {
        struct base_mono end = base_mono_add_us(now, patience_us - waited_us);
        return hold(ret, PROXY_REASON_SWITCHOVER, end);
    }
    uint8_t i = proxy_holder(core);
    if (i == PROXY_NOBODY || core->members[i].seen.db_port == 0) {
        return hold(ret, PROXY_REASON_NO_ADDRESS, BASE_MONO_NEVER);
    }
    if (r->is_opened &&
        word_of(core, &core->members[i], PROXY_ASKS_PRIMARY, now) == PROXY_ANSWER_NO) {
        const struct proxy_word *word = &core->members[i].words[PROXY_ASKS_PRIMARY];
        struct base_mono end = base_mono_add_us(word->asked_at, proxy_age_max_us(core));
        return hold(ret, PROXY_REASON_NOT_SERVING, end);
    }
    return may_connect(core, i, now, ret);
}

/* A Galera writer may be read from as well; it is left to those who write while others are fit. */
static bool is_writer(const struct proxy_core *core, uint8_t i, struct base_mono now)
{
    return i == proxy_holder(core) &&
           word_of(core, &core->members[i], PROXY_ASKS_PRIMARY, now) == PROXY_ANSWER_YES;
}

static bool is_fit(const struct proxy_core *core, uint8_t i, struct base_mono now)
{
    const struct proxy_member *m = &core->members[i];
    struct proxy_choice unused;
    return m->is_listed && !is_writer(core, i, now) && !m->is_dead && !m->seen.is_noloadbalance &&
           m->seen.db_port != 0 && !proxy_is_drained(core, i) &&
           word_of(core, m, PROXY_ASKS_REPLICA, now) == PROXY_ANSWER_YES &&
           may_connect(core, i, now, &unused);
}

static bool is_near(const struct proxy_core *core, uint8_t i)
{
    return !base_name_is_empty(&core->options.zone) &&
           base_name_equal(&core->options.zone, &core->members[i].seen.zone);
}

/* The fit one with fewest connections of ours; our zone first; turns among equals. */
static uint8_t best_replica(struct proxy_core *core, struct base_mono now)
{
    uint8_t best = PROXY_NOBODY;
    for (uint8_t k = 0; k < PROXY_MEMBERS_MAX; k++) {
        uint8_t i = (uint8_t)((core->rotation + k) % PROXY_MEMBERS_MAX);
        if (!is_fit(core, i, now)) {
            continue;
        }
        if (best == PROXY_NOBODY || (is_near(core, i) && !is_near(core, best))) {
            best = i;
        } else if (is_near(core, i) == is_near(core, best) &&
                   core->members[i].connections[PROXY_REPLICAS] <
                       core->members[best].connections[PROXY_REPLICAS]) {
            best = i;
        }
    }
    if (best != PROXY_NOBODY) {
        core->rotation = (uint8_t)((best + 1) % PROXY_MEMBERS_MAX);
    }
    return best;
}

/* Some agent has not been heard yet since the start: it is too early to say that nobody is fit. */
static bool is_early(const struct proxy_core *core)
{
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        const struct proxy_member *m = &core->members[i];
        if (m->is_listed && m->words[PROXY_ASKS_REPLICA].asked_at.us == 0) {
            return true;
        }
    }
    return !core->has_record;
}

static void choose_replica(struct proxy_core *core, int64_t waited_us, struct base_mono now,
                           struct proxy_choice *ret)
{
    uint8_t best = best_replica(core, now);
    if (best != PROXY_NOBODY) {
        *ret = (struct proxy_choice){best, PROXY_REASON_NONE, BASE_MONO_NEVER};
    } else if (core->options.is_primary_for_reads && !is_early(core)) {
        (void)choose_primary(core, waited_us, now, ret);
    } else {
        (void)hold(ret, PROXY_REASON_NO_REPLICA, BASE_MONO_NEVER);
    }
}

void proxy_choose(struct proxy_core *core, enum proxy_port port, int64_t waited_us,
                  struct base_mono now, struct proxy_choice *ret)
{
    if (port == PROXY_PRIMARY) {
        (void)choose_primary(core, waited_us, now, ret);
    } else {
        choose_replica(core, waited_us, now, ret);
    }
    BASE_ASSERT(BASE_IMPLIES(ret->member == PROXY_NOBODY, ret->reason != PROXY_REASON_NONE));
}
