/* SPDX-License-Identifier: Apache-2.0 */
/* Glue of the arbiter: reports in, orders out, confirmations, swaps, records.
 *
 * One slot per database cluster. Effects of a step are carried out before anything else is heard:
 * the swap is handed to the log first, so that no grant of the same turn can follow a decision.
 * Confirmations of leadership are shared by all clusters: a few may be under way, what is asked for
 * meanwhile goes with the next one.
 */
#include "arbiter/driver_internal.h"

#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <stdlib.h>
#include <string.h>

struct base_mono arb_driver_now(const struct arb_driver *d)
{
    return d->options.clock.now(d->options.clock.ctx);
}

struct base_wall arb_driver_wall(const struct arb_driver *d)
{
    return d->options.clock.wall(d->options.clock.ctx);
}

/* --- life --- */

int arb_driver_open(const struct arb_driver_options *options, struct arb_driver **ret)
{
    size_t max = options->clusters_max == 0 ? ARB_CLUSTERS_MAX : options->clusters_max;
    if (max > ARB_CLUSTERS_MAX) {
        return BASE_E_INVALID;
    }
    struct arb_driver *d = calloc(1, sizeof(*d));
    if (d == NULL) {
        return BASE_E_NOMEM;
    }
    d->options = *options;
    for (size_t i = 0; i < ARB_CONFIRMS; i++) {
        d->confirms[i].driver = d;
    }
    for (; d->slots_max < max; d->slots_max++) { /* pages are touched when a cluster comes */
        d->slots[d->slots_max] = calloc(1, sizeof(struct arb_slot));
        if (d->slots[d->slots_max] == NULL) {
            arb_driver_close(d);
            return BASE_E_NOMEM;
        }
    }
    *ret = d;
    return 0;
}

struct arb_driver *arb_driver_close(struct arb_driver *driver)
{
    if (driver != NULL) {
        for (size_t i = 0; i < driver->slots_max; i++) {
            free(driver->slots[i]);
        }
        free(driver);
    }
    return NULL;
}

void arb_driver_set_node(struct arb_driver *driver, struct raft_node *node)
{
    driver->options.node = node;
}

/* --- clusters --- */

struct arb_slot *arb_slot_find(const struct arb_driver *d, const struct base_name *name)
{
    for (size_t i = 0; i < d->slots_count; i++) {
        if (base_name_equal(&d->slots[i]->cluster.name, name)) {
            return d->slots[i];
        }
    }
    return NULL;
}

static void tell_leadership(struct arb_slot *s)
{
    const struct arb_driver *d = s->driver;
    struct arb_effects fx;
    if (!d->is_leader) {
        return;
    }
    arb_driver_take(
        s, &(struct arb_event){.kind = ARB_EVENT_LEADER, .term = d->term, .elected = d->elected},
        &fx);
    if (d->is_ready) {
        arb_driver_take(s, &(struct arb_event){.kind = ARB_EVENT_READY}, &fx);
    }
}

bool arb_slot_is_empty(const struct arb_slot *s)
{
    return s->cluster.record.epoch == 0 && s->cluster.views_count == 0 &&
           s->document.row.epoch == 0 && s->registry.row.epoch == 0;
}

bool arb_slot_is_busy(const struct arb_slot *s)
{
    bool is_swapping = s->config_swap.is_busy || s->members_swap.is_busy || s->removal.is_busy;
    for (size_t i = 0; i < ARB_SWAP_SLOTS; i++) {
        is_swapping = is_swapping || s->swaps[i].is_busy;
    }
    return is_swapping;
}

/* One that was never used, or whose cluster was removed. */
static struct arb_slot *slot_free(struct arb_driver *d)
{
    for (size_t i = 0; i < d->slots_count; i++) {
        if (arb_slot_is_empty(d->slots[i]) && !arb_slot_is_busy(d->slots[i])) {
            return d->slots[i];
        }
    }
    return d->slots_count == d->slots_max ? NULL : d->slots[d->slots_count++];
}

static size_t slot_index(const struct arb_slot *s, const struct arb_driver *d)
{
    size_t i = 0;
    while (d->slots[i] != s) {
        i++;
    }
    return i;
}

/* A cluster of which nothing is known. */
static void slot_begin(struct arb_slot *s, struct arb_driver *d, const struct base_name *name)
{
    struct base_name copy = *name; /* may be the one that is overwritten */
    s->driver = d;
    s->wake = BASE_MONO_NEVER;
    s->ticket_wanted = 0;
    s->members_changed = 0;
    s->swapping = NULL;
    s->story_count = 0;
    s->registry.next = (struct base_mono){0};
    for (size_t i = 0; i < ARB_CONFIRMS; i++) { /* rounds that began before prove nothing to it */
        d->confirms[i].tickets[slot_index(s, d)] = 0;
    }
    arb_cluster_init(&s->cluster, &copy);
    for (size_t i = 0; i < ARB_SWAP_SLOTS; i++) {
        s->swaps[i].owner = s;
    }
    s->cluster.restore_id = d->restore_id;
    tell_leadership(s);
}

struct arb_slot *arb_slot_for(struct arb_driver *d, const struct base_name *name)
{
    struct arb_slot *s = arb_slot_find(d, name);
    if (s == NULL) {
        s = slot_free(d);
        if (s != NULL) {
            slot_begin(s, d, name);
        }
    }
    return s;
}

/* --- confirmations of leadership --- */

static void confirm_begin(struct arb_driver *d);

static void confirm_done(struct raft_confirm *confirm, int status)
{
    struct arb_confirm_slot *slot = (struct arb_confirm_slot *)(void *)confirm;
    struct arb_driver *d = slot->driver;
    bool is_good = status == 0 && d->is_leader && confirm->term == d->term;
    slot->is_busy = false;
    for (size_t i = 0; i < d->slots_count && is_good; i++) {
        struct arb_effects fx;
        if (slot->tickets[i] != 0) {
            struct arb_event event = {.kind = ARB_EVENT_CONFIRMED, .ticket = slot->tickets[i]};
            slot->tickets[i] = 0;
            arb_driver_take(d->slots[i], &event, &fx);
        }
    }
    confirm_begin(d);
}

/* One round for all that was asked for. Without a free place the next one that ends takes them
 * along. */
static void confirm_begin(struct arb_driver *d)
{
    struct arb_confirm_slot *slot = NULL;
    bool is_wanted = false;
    for (size_t i = 0; i < ARB_CONFIRMS && slot == NULL; i++) {
        slot = d->confirms[i].is_busy ? NULL : &d->confirms[i];
    }
    for (size_t i = 0; i < d->slots_count; i++) {
        is_wanted = is_wanted || d->slots[i]->ticket_wanted != 0;
    }
    if (slot == NULL || !is_wanted) {
        return;
    }
    memset(slot->tickets, 0, sizeof(slot->tickets));
    for (size_t i = 0; i < d->slots_count; i++) {
        slot->tickets[i] = d->slots[i]->ticket_wanted;
        d->slots[i]->ticket_wanted = 0;
    }
    slot->confirm.done = confirm_done;
    slot->is_busy = raft_node_confirm(d->options.node, &slot->confirm) == 0;
}

/* --- effects --- */

static void send_order(struct arb_driver *d, uint64_t link, const struct msg_order *order)
{
    struct buf b = buf_over(d->frame, sizeof(d->frame));
    buf_put_u8(&b, NET_FRAME_ORDER);
    int rc = wire_order_encode(order, &b);
    BASE_ASSERT(rc == 0); /* every field is bounded */
    (void)d->options.net.send(d->options.net.ctx, link,
                              buf_slice(&b)); /* lost: the next one comes */
}

static void send_orders(struct arb_slot *s, uint16_t orders, struct base_mono now)
{
    for (uint8_t i = 0; i < s->cluster.views_count; i++) {
        struct msg_order order;
        if ((orders >> i & 1) != 0) {
            arb_order_make(&s->cluster, i, CANARY(CACHED_CLOCK) ? now : arb_driver_now(s->driver),
                           &order);
            send_order(s->driver, s->cluster.views[i].link, &order);
        }
    }
}

static void tell_notes(struct arb_slot *s, const struct arb_effects *fx)
{
    const struct arb_driver_options *o = &s->driver->options;
    for (uint8_t i = 0; i < fx->notes_count; i++) {
        s->story[s->story_count++ % ARB_STORY_MAX] = fx->notes[i];
        if (o->noted != NULL) {
            o->noted(o->user, &s->cluster.name, &fx->notes[i]);
        }
    }
}

/* Without anybody who could do it the fence has failed, told with the next tick. */
static void fence_begin(struct arb_slot *s, const struct arb_effects *fx)
{
    const struct arb_driver_options *o = &s->driver->options;
    struct arb_fence_job job = {.cluster = s->cluster.name,
                                .member = fx->fence_member,
                                .epoch = fx->fence_epoch,
                                .timeout_ms = s->document.settings.fence_timeout_ms};
    uint8_t i = arb_view_find(&s->cluster, &fx->fence_member);
    if (i != ARB_NOBODY) {
        job.host = s->cluster.views[i].report.host;
    }
    if (s->document.row.epoch == 0 || o->fence == NULL) {
        s->fence_failed = fx->fence_epoch;
        s->wake = arb_driver_now(s->driver);
        return;
    }
    memcpy(job.command, s->document.settings.fence_command, sizeof(job.command));
    o->fence(o->user, &job);
}

void arb_driver_fenced(struct arb_driver *driver, const struct base_name *cluster, uint64_t epoch,
                       bool is_off)
{
    struct arb_slot *s = arb_slot_find(driver, cluster);
    struct arb_effects fx;
    if (s != NULL) {
        struct arb_event event = {
            .kind = ARB_EVENT_FENCED, .fenced_epoch = epoch, .is_fenced = is_off};
        arb_driver_take(s, &event, &fx);
    }
}

void arb_driver_take(struct arb_slot *s, struct arb_event *event, struct arb_effects *fx)
{
    struct arb_driver *d = s->driver;
    event->now = arb_driver_now(d);
    event->wall = d->options.clock.wall(d->options.clock.ctx);
    arb_step(&s->cluster, event, fx);
    s->wake = fx->wake;
    s->members_changed |= fx->changed;
    tell_notes(s, fx);
    if (fx->has_swap && !arb_swap_record(s, fx)) {
        struct arb_effects more;
        struct arb_event ended = {.kind = ARB_EVENT_SWAP_ENDED};
        arb_driver_take(s, &ended, &more); /* decides nothing, so this ends */
    }
    if (fx->ticket != 0) {
        s->ticket_wanted = fx->ticket;
        confirm_begin(d);
    }
    if (fx->has_fence && d->is_leader && d->is_ready) {
        fence_begin(s, fx);
    }
    if (d->is_leader && d->is_ready) {
        send_orders(s, fx->orders, event->now);
        if (fx->has_refusal) {
            send_order(d, fx->refusal_link, &fx->refusal);
        }
    }
}

/* --- what comes in --- */

int arb_driver_receive(struct arb_driver *driver, uint64_t link, const struct net_identity *from,
                       struct slice payload)
{
    struct msg_report report;
    struct arb_effects fx;
    if (payload.len == 0 || payload.data[0] != NET_FRAME_REPORT) {
        return BASE_E_PROTO;
    }
    int rc = wire_report_decode(slice_skip(payload, 1), &report);
    if (rc != 0) {
        return rc;
    }
    if (from->role != NET_ROLE_AGENT || !base_name_equal(&from->cluster, &report.cluster) ||
        !base_name_equal(&from->member, &report.member) || report.session == 0) {
        return BASE_E_DENIED;
    }
    struct arb_slot *s = arb_slot_for(driver, &report.cluster);
    if (s == NULL) {
        return BASE_E_TOOBIG;
    }
    struct arb_event event = {.kind = ARB_EVENT_REPORT, .report = &report, .link = link};
    arb_driver_take(s, &event, &fx);
    uint8_t i = arb_view_find(&s->cluster, &report.member);
    if (i != ARB_NOBODY && s->cluster.views[i].report.session == report.session) {
        arb_document_offer(s, &s->cluster.views[i]);
    }
    arb_registry_check(s);
    return 0;
}

void arb_driver_set_restore(struct arb_driver *driver, uint64_t restore_id)
{
    driver->restore_id = restore_id;
    for (size_t i = 0; i < driver->slots_count; i++) {
        struct arb_effects fx;
        struct arb_event event = {.kind = ARB_EVENT_RESTORE, .restore_id = restore_id};
        arb_driver_take(driver->slots[i], &event, &fx);
    }
}

static bool is_ours(const struct arb_slot *s, const struct kv_swapped *swapped)
{
    const struct msg_record *r = &s->cluster.swap_record;
    return s->cluster.is_swapping && swapped->is_won && !swapped->is_loaded &&
           swapped->term == s->cluster.term && swapped->epoch == r->epoch &&
           swapped->revision == r->revision;
}

/* The record is gone: as if the cluster had never been, but for who is heard of it. */
static void record_removed(struct arb_slot *s, const struct kv_swapped *swapped)
{
    if (swapped->is_won && s->cluster.record.epoch != 0) {
        slot_begin(s, s->driver, &s->cluster.name);
        arb_document_give(s);
    }
}

static void record_told(struct arb_slot *s, const struct kv_swapped *swapped)
{
    struct msg_record record;
    struct arb_effects fx;
    const struct msg_record *have = &s->cluster.record;
    if (swapped->epoch == 0) {
        record_removed(s, swapped);
        return;
    }
    if (wire_record_decode(swapped->blob, &record) != 0 ||
        !base_name_equal(&s->cluster.name, &record.cluster) || record.epoch != swapped->epoch ||
        record.revision != swapped->revision) {
        return; /* not one that this version wrote */
    }
    if (record.epoch < have->epoch ||
        (record.epoch == have->epoch && record.revision <= have->revision)) {
        return; /* a void swap shows what stands, which is known */
    }
    struct arb_event event = {
        .kind = ARB_EVENT_RECORD, .record = &record, .is_own = is_ours(s, swapped)};
    arb_driver_take(s, &event, &fx);
}

void arb_driver_swapped(struct arb_driver *driver, const struct kv_swapped *swapped)
{
    static const struct {
        const char *suffix;
        void (*told)(struct arb_slot *s, const struct kv_swapped *swapped);
    } rows[] = {{"/config", arb_document_told}, {"/members", arb_registry_told}, {"", record_told}};
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct base_name name;
        struct slice suffix = slice_from_text(rows[i].suffix);
        struct slice text = swapped->name;
        if (text.len < suffix.len ||
            !slice_equal(slice_skip(text, text.len - suffix.len), suffix) ||
            base_name_from(slice_from(text.data, text.len - suffix.len), &name) != 0) {
            continue;
        }
        /* Of a cluster that is not known only what stands is news. */
        struct arb_slot *s =
            swapped->epoch == 0 ? arb_slot_find(driver, &name) : arb_slot_for(driver, &name);
        if (s != NULL) {
            rows[i].told(s, swapped);
        }
        return;
    }
}

void arb_driver_role_changed(struct arb_driver *driver)
{
    struct arb_driver *d = driver;
    struct raft_node_status status;
    struct arb_effects fx;
    raft_node_status(d->options.node, &status);
    bool leads = status.role == RAFT_LEADER && !status.is_halted;
    bool is_ready =
        leads && (status.has_applied_own_term || CANARY(GRANT_BEFORE_NOOP)) && !d->is_stale;
    bool is_other = leads != d->is_leader || (leads && status.term != d->term) ||
                    (d->is_ready && !is_ready); /* begins anew */
    bool becomes_ready = is_ready && (is_other || !d->is_ready);
    d->is_leader = leads;
    d->is_ready = is_ready;
    d->term = status.term;
    d->elected = status.elected_at;
    for (size_t i = 0; i < d->slots_count && is_other; i++) {
        struct arb_event event = {.kind = leads ? ARB_EVENT_LEADER : ARB_EVENT_LOST,
                                  .term = d->term,
                                  .elected = d->elected};
        d->slots[i]->swapping = NULL;
        d->slots[i]->ticket_wanted = 0;
        arb_driver_take(d->slots[i], &event, &fx);
    }
    for (size_t i = 0; i < d->slots_count && becomes_ready; i++) {
        struct arb_event event = {.kind = ARB_EVENT_READY};
        arb_document_give(d->slots[i]);
        d->slots[i]->members_changed = (uint16_t)((1u << d->slots[i]->cluster.views_count) - 1);
        arb_driver_take(d->slots[i], &event, &fx);
    }
}

void arb_driver_records_stale(struct arb_driver *driver)
{
    driver->is_stale = true;
    if (driver->is_ready) {
        arb_driver_role_changed(driver);
    }
    for (size_t i = 0; i < driver->slots_count; i++) {
        arb_document_forget(driver->slots[i]); /* told anew if there is one */
        driver->slots[i]->registry.row = (struct arb_row){0, 0};
        driver->slots[i]->registry.count = 0;
    }
}

void arb_driver_records_told(struct arb_driver *driver)
{
    driver->is_stale = false;
    arb_driver_role_changed(driver);
}

struct base_mono arb_driver_deadline(const struct arb_driver *driver)
{
    struct base_mono first = BASE_MONO_NEVER;
    for (size_t i = 0; i < driver->slots_count; i++) {
        const struct arb_slot *s = driver->slots[i];
        first = base_mono_min(first, s->wake);
        if (driver->is_ready && (s->cluster.views_count > 0 || s->registry.count > 0)) {
            first = base_mono_min(first, s->registry.next);
        }
    }
    return first;
}

void arb_driver_tick(struct arb_driver *driver)
{
    for (size_t i = 0; i < driver->slots_count; i++) {
        struct arb_effects fx;
        struct arb_slot *s = driver->slots[i];
        struct arb_event event = {.kind = ARB_EVENT_TICK};
        uint64_t epoch = s->fence_failed;
        if (!base_mono_before(arb_driver_now(driver), s->wake)) {
            s->fence_failed = 0;
            arb_driver_take(s, &event, &fx);
            if (epoch != 0) {
                arb_driver_fenced(driver, &s->cluster.name, epoch, false);
            }
        }
        arb_registry_check(s);
    }
    confirm_begin(driver);
}

/* --- for showing --- */

const struct arb_cluster *arb_driver_cluster(const struct arb_driver *driver, size_t index)
{
    return index < driver->slots_count ? &driver->slots[index]->cluster : NULL;
}

const struct arb_cluster *arb_driver_find(const struct arb_driver *driver,
                                          const struct base_name *cluster)
{
    const struct arb_slot *s = arb_slot_find(driver, cluster);
    return s == NULL ? NULL : &s->cluster;
}

size_t arb_driver_story(const struct arb_driver *driver, const struct arb_cluster *cluster,
                        struct arb_note ret[ARB_STORY_MAX])
{
    const struct arb_slot *s = arb_slot_find(driver, &cluster->name);
    size_t count = 0;
    if (s == NULL) {
        return 0;
    }
    size_t first = s->story_count > ARB_STORY_MAX ? s->story_count - ARB_STORY_MAX : 0;
    for (size_t i = first; i < s->story_count; i++) {
        ret[count++] = s->story[i % ARB_STORY_MAX];
    }
    return count;
}

size_t arb_driver_seen(const struct arb_driver *driver, const struct arb_cluster *cluster,
                       struct arb_seen ret[MSG_MEMBERS_MAX])
{
    const struct arb_slot *s = arb_slot_find(driver, &cluster->name);
    if (s == NULL) {
        return 0;
    }
    memcpy(ret, s->registry.list, s->registry.count * sizeof(ret[0]));
    return s->registry.count;
}

bool arb_driver_is_leader(const struct arb_driver *driver)
{
    return driver->is_leader && driver->is_ready;
}
