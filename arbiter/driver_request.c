/* SPDX-License-Identifier: Apache-2.0 */
/* Orders of people on their way to the core, and what is the driver's own of them: members and
 * clusters that are taken out of the store once the core has nothing against it.
 */
#include "arbiter/driver_internal.h"

#include "base/assert.h"
#include "base/name.h"

static int say(struct base_text *ret_text, int rc, const char *text)
{
    *ret_text = base_text_from(slice_from_text(text));
    return rc;
}

/* All rows of the cluster, and all its keys. */
static int remove_cluster(struct arb_slot *s, struct base_text *ret_text)
{
    const struct {
        const char *what;
        struct arb_swap_slot *slot;
        struct arb_row row;
    } rows[] = {{"/config", &s->config_swap, s->document.row},
                {"/members", &s->members_swap, s->registry.row},
                {"", &s->removal, {s->cluster.record.epoch, s->cluster.record.revision}}};
    if (arb_slot_is_busy(s)) {
        return say(ret_text, BASE_E_BUSY, "another change is on its way, try again");
    }
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct buf b;
        if (rows[i].row.epoch == 0) {
            continue;
        }
        struct kv_swap *swap = arb_swap_begin(s, rows[i].slot, rows[i].what, &b);
        swap->expect_epoch = rows[i].row.epoch;
        swap->expect_revision = rows[i].row.revision;
        arb_swap_put_removal(s, swap, &b);
        if (!arb_swap_send(s, rows[i].slot, &b)) {
            return say(ret_text, BASE_E_BUSY, "the log takes nothing at the moment, try again");
        }
    }
    return say(ret_text, 0, "the cluster is taken out of the quorum; its databases are untouched");
}

static bool is_seen(const struct arb_slot *s, const struct base_name *member)
{
    for (uint8_t i = 0; i < s->registry.count; i++) {
        if (base_name_equal(&s->registry.list[i].member, member)) {
            return true;
        }
    }
    return false;
}

static int remove_member(struct arb_slot *s, const struct base_name *member,
                         struct base_text *ret_text)
{
    if (!arb_registry_remove(s, member)) {
        return say(ret_text, BASE_E_BUSY, "another change is on its way, try again");
    }
    return say(ret_text, 0, "the member is taken out of the cluster");
}

/* A cluster that has a document and nothing else. */
static bool is_only_planned(const struct arb_slot *s)
{
    return s->cluster.record.epoch == 0 && s->cluster.views_count == 0;
}

int arb_driver_request(struct arb_driver *driver, const struct base_name *cluster,
                       const struct arb_request *request, struct base_text *ret_text)
{
    struct arb_slot *s = arb_slot_find(driver, cluster);
    struct arb_effects fx;
    bool is_removal = request->kind == ARB_REQUEST_REMOVE;
    bool is_whole = is_removal && base_name_is_empty(&request->candidate);
    if (s == NULL || arb_slot_is_empty(s)) {
        return say(ret_text, BASE_E_NOTFOUND, "there is no such cluster");
    }
    if (is_whole && is_only_planned(s)) {
        return arb_driver_is_leader(driver)
                   ? remove_cluster(s, ret_text)
                   : say(ret_text, BASE_E_NOTLEADER, "this node does not lead");
    }
    if (is_removal && !is_whole && !is_seen(s, &request->candidate) &&
        arb_view_find(&s->cluster, &request->candidate) == ARB_NOBODY) {
        return say(ret_text, BASE_E_NOTFOUND, "there is no such member");
    }
    struct arb_event event = {.kind = ARB_EVENT_REQUEST, .request = request};
    arb_driver_take(s, &event, &fx);
    BASE_ASSERT(fx.has_answer);
    *ret_text = fx.answer_text;
    if (fx.answer == 0 && is_removal) {
        return is_whole ? remove_cluster(s, ret_text)
                        : remove_member(s, &request->candidate, ret_text);
    }
    return fx.answer;
}
