/* SPDX-License-Identifier: Apache-2.0 */
/* What the proxy learns, and whose connections end because of it. See core.h. */
#include <string.h>

#include "agents/proxy/core/core.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/lease_math.h"
#include "base/name.h"

#define RETRY_FIRST_US (20 * BASE_US_PER_MS)
#define RETRY_MAX_US (200 * BASE_US_PER_MS)
#define ASK_SOON_US (50 * BASE_US_PER_MS)
#define ASK_AT_ONCE_US (10 * BASE_US_PER_MS) /* a promotion is under way */
#define PROMOTION_US (5 * BASE_US_PER_S)     /* as long as one may take with such haste */

void proxy_core_init(struct proxy_core *core, const struct proxy_options *options)
{
    memset(core, 0, sizeof(*core));
    core->options = *options;
    core->proof_at = core->learned_at = core->epoch_at = BASE_MONO_LONG_AGO;
}

void proxy_core_set(struct proxy_core *core, const struct proxy_options *options)
{
    core->options = *options;
}

uint8_t proxy_member_find(const struct proxy_core *core, const struct base_name *name)
{
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        if (core->members[i].is_used && base_name_equal(&core->members[i].seen.name, name)) {
            return i;
        }
    }
    return PROXY_NOBODY;
}

/* --- the record --- */

static bool is_older(const struct proxy_record *a, const struct proxy_record *b)
{
    return a->epoch < b->epoch || (a->epoch == b->epoch && a->revision < b->revision);
}

/* Whoever held an epoch that is over keeps nobody: also when the same member holds the next one,
 * its database was another process. */
static void end_epoch(struct proxy_core *core, struct proxy_effects *fx)
{
    uint8_t i = proxy_member_find(core, &core->record.holder);
    if (i != PROXY_NOBODY && !CANARY(PROXY_KEEPS_DEPOSED)) {
        fx->cut = (uint16_t)(fx->cut | 1u << i);
    }
}

static void take_record(struct proxy_core *core, const struct proxy_record *record,
                        struct base_mono now, struct proxy_effects *fx)
{
    bool is_back = core->has_record && is_older(record, &core->record);
    bool is_same = core->has_record && !is_back && !is_older(&core->record, record);
    if ((is_back && !CANARY(PROXY_RECORD_GOES_BACK)) || is_same) {
        return;
    }
    bool is_turned = !core->has_record || record->epoch != core->record.epoch ||
                     record->is_opened != core->record.is_opened ||
                     record->state != core->record.state;
    bool is_other_epoch = !core->has_record || record->epoch != core->record.epoch;
    if (core->has_record && is_other_epoch) {
        end_epoch(core, fx);
    }
    core->epoch_at = is_other_epoch ? now : core->epoch_at;
    core->record = *record;
    core->has_record = true;
    core->learned_at = now;
    fx->is_changed = fx->is_new_record = true;
    uint8_t holder = proxy_member_find(core, &record->holder);
    if (holder != PROXY_NOBODY && is_turned) { /* what its agent said before says nothing now */
        core->members[holder].words[PROXY_ASKS_PRIMARY].answer = PROXY_ANSWER_NONE;
        core->members[holder].failures = 0;
    }
}

/* A read that was sent at `asked_at` saw the record, so at some later moment it stood. What is
 * known beyond that came later still, and is younger. Only a read that was sent after a record was
 * known and shows an older one proves something else: the store has gone back. */
static void take_proof(struct proxy_core *core, const struct proxy_event *event,
                       struct proxy_effects *fx)
{
    take_record(core, event->record, event->now, fx);
    bool is_behind = is_older(event->record, &core->record);
    bool was_restored = core->is_restored;
    if (is_behind && base_mono_before(core->learned_at, event->asked_at)) {
        core->is_restored = true;
    } else {
        bool was_fresh = proxy_is_fresh(core, event->now);
        core->is_restored = core->is_restored && is_behind;
        core->proof_at = base_mono_max(core->proof_at, event->asked_at);
        fx->is_changed = fx->is_changed || !was_fresh;
    }
    fx->is_changed = fx->is_changed || was_restored != core->is_restored;
}

/* The cluster was removed: its connections are its databases' own matter, new ones wait. */
static void take_no_record(struct proxy_core *core, const struct proxy_event *event,
                           struct proxy_effects *fx)
{
    if (core->has_record && base_mono_before(core->learned_at, event->asked_at)) {
        core->has_record = false;
        core->proof_at = BASE_MONO_LONG_AGO;
        fx->is_changed = true;
    }
}

int64_t proxy_age_max_us(const struct proxy_core *core)
{
    uint32_t ttl_ms = core->has_record ? core->record.ttl_ms : LEASE_TTL_DEFAULT_MS;
    return (int64_t)ttl_ms * BASE_US_PER_MS;
}

bool proxy_is_fresh(const struct proxy_core *core, struct base_mono now)
{
    return core->has_record && !core->is_restored &&
           (base_mono_diff_us(now, core->proof_at) < proxy_age_max_us(core) ||
            CANARY(PROXY_ROUTES_BY_OLD_ANSWER));
}

uint8_t proxy_holder(const struct proxy_core *core)
{
    return core->has_record ? proxy_member_find(core, &core->record.holder) : PROXY_NOBODY;
}

bool proxy_is_drained(const struct proxy_core *core, uint8_t member)
{
    for (uint8_t i = 0; core->has_record && i < core->record.drained.count; i++) {
        if (base_name_equal(&core->record.drained.names[i], &core->members[member].seen.name)) {
            return true;
        }
    }
    return false;
}

/* --- members --- */

static uint32_t connections_of(const struct proxy_member *m)
{
    return m->connections[PROXY_PRIMARY] + m->connections[PROXY_REPLICAS];
}

static uint8_t slot_for(struct proxy_core *core, const struct base_name *name)
{
    uint8_t i = proxy_member_find(core, name);
    for (uint8_t k = 0; k < PROXY_MEMBERS_MAX && i == PROXY_NOBODY; k++) {
        struct proxy_member *m = &core->members[k];
        bool is_idle = m->is_used && !m->is_listed && connections_of(m) == 0 && !m->is_scouting;
        if (!m->is_used || is_idle) {
            *m = (struct proxy_member){
                .is_used = true, .silent_since = BASE_MONO_NEVER, .retry_at = BASE_MONO_LONG_AGO};
            i = k;
        }
    }
    return i;
}

static void take_member(struct proxy_core *core, const struct proxy_seen *seen,
                        struct proxy_effects *fx)
{
    uint8_t i = slot_for(core, &seen->name);
    if (i == PROXY_NOBODY) {
        return; /* more than a cluster may have: the oldest names stay */
    }
    struct proxy_member *m = &core->members[i];
    bool is_moved = m->is_listed && (strcmp(m->seen.host.text, seen->host.text) != 0 ||
                                     m->seen.db_port != seen->db_port);
    if (is_moved) { /* nothing that was learned there holds for the new address */
        m->failures = 0;
        memset(m->words, 0, sizeof(m->words));
    }
    m->seen = *seen;
    m->is_listed = true;
    fx->is_changed = true;
}

static void take_member_gone(struct proxy_core *core, const struct proxy_seen *seen,
                             struct proxy_effects *fx)
{
    uint8_t i = proxy_member_find(core, &seen->name);
    if (i != PROXY_NOBODY) {
        core->members[i].is_listed = false;
        fx->is_changed = true;
    }
}

/* --- what agents say --- */

/* An agent that was heard once and then says nothing, not even that its port is closed, for two
 * leases: the host is gone, and TCP would take long to notice. */
static void look_for_dead(struct proxy_core *core, struct base_mono now, struct proxy_effects *fx)
{
    for (uint8_t i = 0; i < PROXY_MEMBERS_MAX; i++) {
        struct proxy_member *m = &core->members[i];
        if (m->is_used && !m->is_dead && m->has_answered &&
            base_mono_before(m->silent_since, BASE_MONO_NEVER) &&
            base_mono_diff_us(now, m->silent_since) >= 2 * proxy_age_max_us(core)) {
            m->is_dead = true;
            fx->is_changed = true;
            /* the primary's end is the record's to tell: the proxy may be the one that is cut off
             */
            if (i != proxy_holder(core)) {
                fx->cut = (uint16_t)(fx->cut | 1u << i);
            }
        }
    }
}

static void take_word(struct proxy_core *core, const struct proxy_event *event,
                      struct proxy_effects *fx)
{
    struct proxy_member *m = &core->members[event->member];
    struct proxy_word *word = &m->words[event->question];
    if (!m->is_used || base_mono_before(event->asked_at, word->asked_at)) {
        return;
    }
    bool is_of_before = /* asked before this turn was known */
        event->question != PROXY_ASKS_REPLICA && event->member == proxy_holder(core) &&
        base_mono_before(event->asked_at, core->learned_at);
    if (event->answer == PROXY_ANSWER_SILENT) {
        m->silent_since = base_mono_min(m->silent_since, event->asked_at);
    } else {
        m->has_answered = m->has_answered || event->answer != PROXY_ANSWER_NONE;
        m->silent_since = BASE_MONO_NEVER;
        fx->is_changed = fx->is_changed || m->is_dead;
        m->is_dead = false;
    }
    if (is_of_before) {
        return;
    }
    fx->is_changed = fx->is_changed || word->answer != event->answer;
    word->answer = event->answer;
    word->asked_at = event->asked_at;
    if (event->answer == PROXY_ANSWER_YES && m->failures > 0) {
        m->retry_at = event->now; /* it serves again: try at once */
        fx->is_changed = true;
    }
}

int64_t proxy_word_urgency_us(const struct proxy_core *core, uint8_t member, struct base_mono now)
{
    const struct proxy_member *m = &core->members[member];
    bool is_holder = member == proxy_holder(core);
    bool is_fresh = proxy_is_fresh(core, now);
    if (!m->is_listed || !core->has_record) {
        return 0;
    }
    if (is_holder && is_fresh && !core->record.is_opened && !core->record.is_standby_cluster) {
        bool is_new = base_mono_diff_us(now, core->epoch_at) < PROMOTION_US;
        return is_new ? ASK_AT_ONCE_US : ASK_SOON_US;
    }
    bool is_doubtful =
        is_holder && (m->failures > 0 || m->words[PROXY_ASKS_PRIMARY].answer == PROXY_ANSWER_NO);
    return is_doubtful || !is_fresh ? ASK_SOON_US : 0;
}

/* --- fates of connections --- */

static void take_failure(struct proxy_member *m, struct base_mono now, struct proxy_effects *fx)
{
    uint32_t doublings = m->failures < 4 ? m->failures : 4;
    int64_t wait_us = RETRY_FIRST_US << doublings;
    m->failures++;
    m->retry_at = base_mono_add_us(now, wait_us < RETRY_MAX_US ? wait_us : RETRY_MAX_US);
    m->is_scouting = false;
    fx->is_changed = true;
}

static void take_fate(struct proxy_core *core, const struct proxy_event *event,
                      struct proxy_effects *fx)
{
    struct proxy_member *m = &core->members[event->member];
    BASE_ASSERT(event->member < PROXY_MEMBERS_MAX && m->is_used);
    if (event->kind == PROXY_EVENT_CONNECTING) {
        m->is_scouting = m->failures > 0;
        m->connections[event->port]++;
        return;
    }
    if (event->kind == PROXY_EVENT_CONNECTED) {
        fx->is_changed = m->failures > 0;
        m->failures = 0;
        m->is_scouting = false;
        return;
    }
    BASE_ASSERT(m->connections[event->port] > 0);
    m->connections[event->port]--;
    if (event->kind == PROXY_EVENT_CONNECT_FAILED) {
        take_failure(m, event->now, fx);
    } else if (event->kind == PROXY_EVENT_CONNECT_DROPPED && m->is_scouting) {
        m->is_scouting = false; /* perhaps not the scout: then two try, which does no harm */
        fx->is_changed = true;
    }
}

void proxy_step(struct proxy_core *core, const struct proxy_event *event, struct proxy_effects *ret)
{
    *ret = (struct proxy_effects){0};
    switch (event->kind) {
    case PROXY_EVENT_TICK:
        break;
    case PROXY_EVENT_RECORD:
        take_record(core, event->record, event->now, ret);
        break;
    case PROXY_EVENT_PROOF:
        take_proof(core, event, ret);
        break;
    case PROXY_EVENT_NO_RECORD:
        take_no_record(core, event, ret);
        break;
    case PROXY_EVENT_MEMBER:
        take_member(core, event->seen, ret);
        break;
    case PROXY_EVENT_MEMBER_GONE:
        take_member_gone(core, event->seen, ret);
        break;
    case PROXY_EVENT_WORD:
        take_word(core, event, ret);
        break;
    case PROXY_EVENT_CONNECTING:
    case PROXY_EVENT_CONNECTED:
    case PROXY_EVENT_CONNECT_FAILED:
    case PROXY_EVENT_CONNECT_DROPPED:
    case PROXY_EVENT_CLOSED:
        take_fate(core, event, ret);
        break;
    }
    look_for_dead(core, event->now, ret);
}
