/* SPDX-License-Identifier: Apache-2.0 */
#include "arbiter/core/galera_source.h"

#include "base/canary.h"
#include "base/name.h"

#include <string.h>

#define UUID_BYTES 16

bool gal_is_heard(const struct gal_member *m)
{
    return m != NULL && m->is_heard && m->report != NULL;
}

bool gal_is_current(const struct gal_situation *s, const struct gal_member *m)
{
    const struct msg_galera_record *r = s->record;
    bool is_granted = gal_is_granting(r) && m->report->generation == r->grant.generation &&
                      base_name_equal(&m->name, &r->grant.node);
    return gal_is_same_history(r, m->report->generation) || is_granted;
}

bool gal_is_ours(const struct gal_situation *s, const struct msg_galera_report *r)
{
    return !gal_is_no_uuid(r->position.uuid) &&
           (gal_is_no_uuid(s->record->uuid) ||
            memcmp(r->position.uuid, s->record->uuid, UUID_BYTES) == 0);
}

bool gal_is_out(const struct gal_member *m)
{
    return m->report->state == MSG_GALERA_NONPRIM;
}

int64_t gal_received(const struct msg_galera_report *report)
{
    bool is_running = report->state == MSG_GALERA_NONPRIM && report->position.seqno >= 0;
    return report->position.seqno + (is_running ? (int64_t)report->recv_queue : 0);
}

/* Somebody's data could be started from. */
static bool has_data(const struct gal_situation *s, const struct gal_member *m)
{
    return gal_is_heard(m) && m->is_hosted && gal_is_ours(s, m->report) &&
           m->report->position.seqno >= 0 &&
           (gal_is_out(m) ||
            (m->report->state == MSG_GALERA_DOWN && m->report->is_position_recovered));
}

static enum gal_age age_of(const struct gal_situation *s, const struct gal_member *m)
{
    if (gal_is_current(s, m)) {
        return GAL_AGE_NOW;
    }
    return gal_is_prefix(s->record, m->report) ? GAL_AGE_BEFORE : GAL_AGE_OLDER;
}

/* Most first; then who needs no start, the former writer, priority, the flag of Galera's own. */
static bool has_more(const struct gal_member *a, const struct gal_member *b)
{
    const struct msg_galera_report *x = a->report;
    const struct msg_galera_report *y = b->report;
    if (CANARY(GALERA_CANDIDATE_BY_NAME)) {
        return base_name_compare(&a->name, &b->name) < 0;
    }
    if (gal_received(x) != gal_received(y)) {
        return gal_received(x) > gal_received(y);
    }
    if (gal_is_out(a) != gal_is_out(b)) {
        return gal_is_out(a);
    }
    if (a->is_holder != b->is_holder) {
        return a->is_holder;
    }
    if (a->priority != b->priority) {
        return a->priority > b->priority;
    }
    if (x->is_safe_to_bootstrap != y->is_safe_to_bootstrap) {
        return x->is_safe_to_bootstrap;
    }
    return base_name_compare(&a->name, &b->name) < 0;
}

/* Of older histories the later one, whatever its numbers. */
static bool is_better(const struct gal_member *a, const struct gal_member *b, enum gal_age age)
{
    if (age == GAL_AGE_OLDER && a->report->generation != b->report->generation) {
        return a->report->generation > b->report->generation;
    }
    return has_more(a, b);
}

static enum gal_age newest(const struct gal_situation *s)
{
    enum gal_age age = GAL_AGE_OLDER;
    for (uint8_t i = 0; i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        if (has_data(s, m) && age_of(s, m) < age) {
            age = age_of(s, m);
        }
    }
    return age;
}

uint8_t gal_source(const struct gal_situation *s, enum gal_age *ret_age)
{
    uint8_t best = GAL_NOBODY;
    enum gal_age age = newest(s);
    for (uint8_t i = 0; i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        bool is_asked = base_name_is_empty(&s->wanted) || base_name_equal(&s->wanted, &m->name);
        if (is_asked && has_data(s, m) && age_of(s, m) == age &&
            (best == GAL_NOBODY || is_better(m, &s->members[best], age))) {
            best = i;
        }
    }
    *ret_age = best == GAL_NOBODY ? GAL_AGE_NOW : age;
    return best;
}

bool gal_is_unproven(const struct gal_situation *s, const struct gal_member *m, enum gal_age age,
                     bool is_in_view)
{
    if (!gal_is_heard(m)) {
        return false;
    }
    const struct msg_galera_report *r = m->report;
    bool is_of_before = age == GAL_AGE_BEFORE && r->generation == s->record->grant.after;
    bool is_counted = gal_is_current(s, m) || is_of_before || age == GAL_AGE_OLDER ||
                      (is_in_view && !CANARY(GALERA_LATE_STAMP_TRUSTED));
    return r->state == MSG_GALERA_UNKNOWN ||
           (r->state == MSG_GALERA_DOWN && !r->is_position_recovered && is_counted);
}

const struct gal_member *gal_other_uuid(const struct gal_situation *s)
{
    const struct gal_member *first = NULL;
    for (uint8_t i = 0; i < s->count; i++) {
        const struct gal_member *m = &s->members[i];
        if (!has_data(s, m) || !gal_is_current(s, m)) {
            continue;
        }
        if (first != NULL &&
            memcmp(first->report->position.uuid, m->report->position.uuid, UUID_BYTES) != 0) {
            return m;
        }
        first = first == NULL ? m : first;
    }
    return NULL;
}
