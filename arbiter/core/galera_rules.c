/* SPDX-License-Identifier: Apache-2.0 */
/* Views and records of a Galera cluster, and who may write, join and restart: pure functions. Who
 * may bootstrap: galera_grant.c. */
#include "arbiter/core/galera_rules.h"

#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <string.h>

#define UUID_BYTES 16

/* --- views --- */

static bool is_same_node(const struct msg_galera_node *a, const struct msg_galera_node *b)
{
    return base_name_equal(&a->node, &b->node);
}

bool gal_view_is_same(const struct msg_galera_view *a, const struct msg_galera_view *b)
{
    bool is_same = a->conf_id == b->conf_id && a->count == b->count;
    for (uint8_t i = 0; is_same && i < a->count; i++) { /* both by name */
        is_same = is_same_node(&a->nodes[i], &b->nodes[i]);
    }
    return is_same;
}

bool gal_view_has(const struct msg_galera_view *view, const struct base_name *node)
{
    for (uint8_t i = 0; i < view->count; i++) {
        if (base_name_equal(&view->nodes[i].node, node)) {
            return true;
        }
    }
    return false;
}

uint32_t gal_view_weight(const struct msg_galera_view *view)
{
    uint32_t weight = 0;
    for (uint8_t i = 0; i < view->count; i++) {
        weight += view->nodes[i].weight;
    }
    return weight;
}

bool gal_is_no_uuid(const uint8_t uuid[static UUID_BYTES])
{
    static const uint8_t none[UUID_BYTES];
    return memcmp(uuid, none, UUID_BYTES) == 0;
}

bool gal_is_granting(const struct msg_galera_record *r)
{
    return (r->grant.state == MSG_GALERA_GRANT_GIVEN ||
            r->grant.state == MSG_GALERA_GRANT_FAILED) &&
           r->grant.generation > r->generation;
}

/* The number in force, or one from which the component went on without a bootstrap. */
bool gal_is_same_history(const struct msg_galera_record *r, uint64_t generation)
{
    const struct msg_galera_grant *g = &r->grant;
    bool is_kept = g->state == MSG_GALERA_GRANT_DONE && g->is_kept && generation >= g->after &&
                   generation < r->generation;
    return generation == r->generation || is_kept || CANARY(GALERA_GENERATION_IGNORED);
}

/* --- records --- */

static bool is_view_good(uint8_t count, const struct msg_galera_node *nodes)
{
    bool is_good = count <= MSG_GALERA_NODES_MAX;
    for (uint8_t i = 1; is_good && i < count; i++) {
        is_good = base_name_compare(&nodes[i - 1].node, &nodes[i].node) < 0;
    }
    return is_good;
}

bool gal_record_check(const struct msg_galera_record *r)
{
    const struct msg_galera_grant *g = &r->grant;
    bool is_named = !base_name_is_empty(&g->node);
    bool is_grant_good = false;
    switch (g->state) {
    case MSG_GALERA_GRANT_NONE:
        is_grant_good = g->generation == 0 && !is_named;
        break;
    case MSG_GALERA_GRANT_GIVEN:
    case MSG_GALERA_GRANT_FAILED:
        is_grant_good = g->generation > r->generation && is_named;
        break;
    case MSG_GALERA_GRANT_DONE:
        is_grant_good = g->generation == r->generation && is_named;
        break;
    }
    return is_grant_good && r->high_water >= -1 && r->recovery_wait_us >= -1 &&
           is_view_good(r->view.count, r->view.nodes) &&
           is_view_good(r->weights.count, r->weights.nodes);
}

static bool is_grant_next(const struct msg_galera_record *old, const struct msg_galera_record *next,
                          bool is_revoked)
{
    const struct msg_galera_grant *a = &old->grant;
    const struct msg_galera_grant *b = &next->grant;
    if (a->generation != b->generation) {
        bool may_another = a->state != MSG_GALERA_GRANT_GIVEN || is_revoked;
        return may_another && b->generation > a->generation && b->generation > old->generation;
    }
    bool is_based = a->base.seqno == b->base.seqno || a->base.seqno < 0; /* founded: known later */
    bool is_same = base_name_equal(&a->node, &b->node) && is_based;
    bool is_back = b->state == MSG_GALERA_GRANT_GIVEN && a->state != MSG_GALERA_GRANT_GIVEN;
    bool is_undone = a->state == MSG_GALERA_GRANT_DONE && b->state != MSG_GALERA_GRANT_DONE;
    return is_same && !is_back && !is_undone;
}

bool gal_record_follows(const struct msg_galera_record *old, const struct msg_galera_record *next,
                        bool is_revoked)
{
    bool is_raised = next->generation > old->generation;
    return gal_record_check(next) && next->generation >= old->generation &&
           next->inhibit >= old->inhibit && is_grant_next(old, next, is_revoked) &&
           (!is_raised || next->grant.state == MSG_GALERA_GRANT_DONE) &&
           (gal_is_no_uuid(old->uuid) || memcmp(old->uuid, next->uuid, UUID_BYTES) == 0);
}

/* --- rule 4 --- */

bool gal_is_prefix(const struct msg_galera_record *record, const struct msg_galera_report *report)
{
    const struct msg_galera_grant *g = &record->grant;
    if ((report->is_unreadable && !CANARY(GALERA_DAMAGE_WAITED_FOR)) ||
        gal_is_no_uuid(report->position.uuid) ||
        memcmp(report->position.uuid, record->uuid, UUID_BYTES) != 0) {
        return false;
    }
    if (gal_is_same_history(record, report->generation)) {
        return true;
    }
    /* Only the last bootstrap's base is known: what is older comes back by a transfer. */
    return g->state == MSG_GALERA_GRANT_DONE && report->generation == g->after &&
           report->position.seqno >= 0 && report->position.seqno <= g->base.seqno &&
           report->view.conf_id <= g->conf_id;
}

bool gal_may_merge(const struct msg_galera_record *record, const struct msg_galera_report *report,
                   int64_t outside)
{
    const struct msg_galera_grant *g = &record->grant;
    bool is_begun = g->state == MSG_GALERA_GRANT_DONE && !g->is_kept &&
                    report->generation < record->generation && !CANARY(GALERA_GENERATION_IGNORED);
    bool is_prefix = report->generation == g->after && outside >= 0 && outside <= g->base.seqno;
    return !is_begun || is_prefix;
}

/* --- writer, transfers, restarts --- */

/* Stamped before the last number was given, in one view with those who went on under it. After a
 * cold start views are counted anew, and who joins is stamped before. */
static bool is_with_them(const struct msg_galera_record *record,
                         const struct msg_galera_report *report)
{
    const struct msg_galera_grant *g = &record->grant;
    bool is_later = g->state == MSG_GALERA_GRANT_DONE && g->is_live &&
                    report->view.conf_id >= record->view.conf_id &&
                    gal_view_has(&report->view, &g->node);
    return report->generation < record->generation && record->view.conf_id != 0 &&
           (is_later || gal_view_is_same(&report->view, &record->view));
}

bool gal_is_member(const struct msg_galera_record *record, const struct msg_galera_report *report)
{
    bool is_ours = report->is_primary && !gal_is_no_uuid(report->position.uuid) &&
                   memcmp(report->position.uuid, record->uuid, UUID_BYTES) == 0;
    return is_ours && (report->generation == record->generation || is_with_them(record, report));
}

enum arb_refusal gal_writer_check(const struct msg_galera_record *record,
                                  const struct msg_galera_report *report)
{
    if (report->state == MSG_GALERA_DONOR || report->is_desynced) {
        return ARB_REFUSE_DONOR;
    }
    if (report->state == MSG_GALERA_STALLED || report->is_flow_paused) {
        return ARB_REFUSE_STALLED;
    }
    if (report->state != MSG_GALERA_SYNCED) {
        return ARB_REFUSE_NOT_SYNCED;
    }
    if (!gal_is_member(record, report) || !gal_is_same_history(record, report->generation)) {
        return ARB_REFUSE_OTHER_GENERATION;
    }
    return report->is_rejecting ? ARB_REFUSE_REJECTING : ARB_REFUSE_NONE;
}

bool gal_writer_is_better(const struct gal_choice *a, const struct gal_choice *b)
{
    if (a->is_target != b->is_target) {
        return a->is_target;
    }
    if (a->is_holder != b->is_holder) {
        return a->is_holder;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    if (a->recv_queue != b->recv_queue) {
        return a->recv_queue < b->recv_queue;
    }
    return base_name_compare(a->name, b->name) < 0;
}

bool gal_may_leave(const struct msg_galera_view *view, const struct base_name *node)
{
    uint32_t all = gal_view_weight(view);
    uint32_t rest = 0;
    for (uint8_t i = 0; i < view->count; i++) {
        rest += base_name_equal(&view->nodes[i].node, node) ? 0u : view->nodes[i].weight;
    }
    return 2 * rest > all;
}

bool gal_is_waiting_to_join(const struct msg_galera_report *report)
{
    return report->state == MSG_GALERA_DOWN || report->state == MSG_GALERA_NEEDS_SST ||
           report->state == MSG_GALERA_INCONSISTENT;
}
