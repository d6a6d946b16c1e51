/* SPDX-License-Identifier: Apache-2.0 */
/* Galera: who gives a member what it lacks (record.sst_donor; section C9 of the design).
 *
 * A donor falls behind, and with rsync it stands still: it is the one that would be the writer
 * last, and the writer himself only where nobody else is there. The agent names it to Galera in
 * front of all others; Galera takes another one where that one cannot give by then.
 */
#include "arbiter/core/galera_internal.h"
#include "base/canary.h"
#include "base/name.h"

/* Synced, of the history in force, and up with the others. */
static bool may_give(const struct arb_cluster *c, const struct arb_view *view, struct base_mono now)
{
    const struct msg_galera_record *g = &c->record.galera;
    const struct msg_galera_report *r = &view->report.galera;
    return arb_galera_is_in(c, view, now) && r->state == MSG_GALERA_SYNCED &&
           (r->generation == g->generation || g->grant.is_kept);
}

static struct gal_choice choice_of(const struct arb_cluster *c, const struct arb_view *view)
{
    return (struct gal_choice){.name = &view->member,
                               .is_target = base_name_equal(&view->member, &c->record.target),
                               .is_holder = base_name_equal(&view->member, &c->record.holder),
                               .priority = view->report.priority};
}

static bool gives_before(const struct arb_cluster *c, const struct arb_view *a,
                         const struct arb_view *b)
{
    struct gal_choice one = choice_of(c, a);
    struct gal_choice other = choice_of(c, b);
    bool is_behind = a->report.galera.recv_queue > GALERA_QUEUE_MAX;
    bool is_other_behind = b->report.galera.recv_queue > GALERA_QUEUE_MAX;
    if (CANARY(GALERA_WRITER_GIVES)) {
        return gal_writer_is_better(&one, &other);
    }
    if (one.is_holder != other.is_holder) {
        return other.is_holder;
    }
    if (is_behind != is_other_behind) {
        return is_other_behind;
    }
    return gal_writer_is_better(&other, &one);
}

bool arb_galera_takes_last_reader(const struct arb_cluster *c, const struct base_name *joiner,
                                  struct base_mono now)
{
    uint8_t readers = 0;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        bool is_other = !base_name_equal(&view->member, joiner) &&
                        !base_name_equal(&view->member, &c->record.holder);
        readers = (uint8_t)(readers + (is_other && may_give(c, view, now) ? 1 : 0));
    }
    return readers == 1;
}

struct base_name arb_galera_donor(const struct arb_cluster *c, const struct base_name *joiner,
                                  struct base_mono now)
{
    const struct arb_view *best = NULL;
    for (uint8_t i = 0; i < c->views_count; i++) {
        const struct arb_view *view = &c->views[i];
        if (!base_name_equal(&view->member, joiner) && may_give(c, view, now) &&
            (best == NULL || gives_before(c, view, best))) {
            best = view;
        }
    }
    return best == NULL ? (struct base_name){{0}} : best->member;
}
