/* SPDX-License-Identifier: Apache-2.0 */
/* Whom a standby receives from, and whom it is cloned from: the holder, unless a tag says otherwise
 * and the member named there is fit.
 *
 * A wished upstream is taken when it streams by itself on a way that ends at the holder and does
 * not come by here. Two members that wish for each other may both turn at once: then both see the
 * ring, and the one with the least name leaves it for good.
 */
#include "agents/core/internal.h"
#include "base/canary.h"
#include "base/mark.h"

#define CALM_US (INT64_C(5) * BASE_US_PER_S) /* fit for so long before it is turned to again */

static const struct msg_member *member_of(const struct agt *a, const struct base_name *name)
{
    for (uint8_t i = 0; i < a->order.members_count; i++) {
        if (base_name_equal(&a->order.members[i].member, name)) {
            return &a->order.members[i];
        }
    }
    return NULL;
}

static bool has_address(const struct msg_member *m)
{
    return m != NULL && m->host.text[0] != '\0' && m->db_port != 0;
}

static bool is_streaming(const struct msg_member *m)
{
    return m->is_heard && m->db_state == MSG_DB_STANDBY && m->is_receiving;
}

/* Does the way from `m` upwards end at the holder? *ret_is_ring: it comes by here, and the names on
 * it are not below ours. */
static bool leads_to_holder(const struct agt *a, const struct msg_member *m, bool *ret_is_ring)
{
    const struct base_name *self = &a->config.member;
    bool is_least = true;
    *ret_is_ring = false;
    for (uint8_t steps = 0; m != NULL && steps <= a->order.members_count; steps++) {
        if (base_name_equal(&m->member, self)) {
            *ret_is_ring = is_least;
            return false;
        }
        is_least = is_least && base_name_compare(self, &m->member) < 0;
        if (base_name_equal(&m->member, &a->order.record.holder)) {
            return true;
        }
        m = is_streaming(m) ? member_of(a, &m->upstream) : NULL;
    }
    return false;
}

void agt_upstream_step(struct agt_run *run)
{
    struct agt *a = run->a;
    const struct base_name *wish = &a->config.replicatefrom;
    bool is_ring = false;
    const struct msg_member *m = base_name_is_empty(wish) ? NULL : member_of(a, wish);
    bool is_other = m != NULL && !base_name_equal(wish, &a->order.record.holder) &&
                    !base_name_equal(wish, &a->config.member);
    bool is_fit = is_other && has_address(m) && is_streaming(m) &&
                  (leads_to_holder(a, m, &is_ring) || CANARY(CASCADE_RING));
    if (is_other && is_ring && !CANARY(CASCADE_RING)) {
        a->is_cascade_refused = true;
    }
    if (!is_fit || a->is_cascade_refused) {
        a->cascade_since = BASE_MONO_NEVER;
        a->upstream = (struct base_name){{0}};
        return;
    }
    if (a->cascade_since.us == BASE_MONO_NEVER.us) {
        a->cascade_since = run->now;
    }
    bool is_running = a->has_guard && a->guard.tree == GUARD_TREE_RUNNING;
    struct base_mono calm_at = base_mono_add_us(a->cascade_since, is_running ? CALM_US : 0);
    if (!base_mono_before(run->now, calm_at) || base_name_equal(&a->followed, wish)) {
        a->upstream = *wish;
    } else {
        agt_wake_at(run, calm_at);
    }
}

const struct msg_member *agt_upstream(const struct agt *a)
{
    const struct msg_member *m =
        base_name_is_empty(&a->upstream) ? NULL : member_of(a, &a->upstream);
    return has_address(m) ? m : agt_holder_address(a);
}

const struct msg_member *agt_catch_up_address(const struct agt *a)
{
    const struct base_name *from = &a->order.catch_up_from;
    const struct msg_member *m = base_name_is_empty(from) ? NULL : member_of(a, from);
    bool is_self = m != NULL && base_name_equal(&m->member, &a->config.member);
    return has_address(m) && !is_self ? m : NULL;
}

/* A voter has acknowledged commits that a standby or a backup may still lack, and its vote would
 * count with the copy. */
bool agt_must_clone_holder(const struct agt *a)
{
    return agt_names_has(&a->order.record.voters, &a->config.member) && !CANARY(VOTER_CLONES_LESS);
}

/* What it has acknowledged until its server was gone counts: an order from before that may not know
 * yet that it was a voter. */
bool agt_knows_its_vote(const struct agt *a)
{
    return agt_must_clone_holder(a) || a->order_number > a->gone_number ||
           CANARY(VOTER_BY_AN_OLD_ORDER);
}

/* A standby that is offered for it, so that the holder's disk is spared; the holder when there is
 * none, and every other time when that failed. */
const struct msg_member *agt_clone_source(const struct agt *a)
{
    bool is_failed = a->failure.kind == DB_ORDER_CLONE && a->failure.times % 2 == 1;
    bool is_bound = is_failed || agt_must_clone_holder(a);
    for (uint8_t i = 0; i < a->order.members_count && !is_bound; i++) {
        const struct msg_member *m = &a->order.members[i];
        bool is_ring = false;
        if (m->is_clonefrom && has_address(m) && is_streaming(m) &&
            leads_to_holder(a, m, &is_ring)) {
            return m;
        }
    }
    return agt_holder_address(a);
}
