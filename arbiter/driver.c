/* SPDX-License-Identifier: Apache-2.0 */
/* Glue of the arbiter: reports in, orders out, confirmations, swaps, records.
 *
 * One slot per database cluster. Effects of a step are carried out before anything else is heard:
 * the swap is handed to the log first, so that no grant of the same turn can follow a decision.
 * Confirmations of leadership are shared by all clusters: a few may be under way, what is asked for
 * meanwhile goes with the next one.
 */
#include "arbiter/driver.h"

#include "arbiter/record_json.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"
#include "proto/wire/agent.h"

#include <stdlib.h>
#include <string.h>

#define CONFIRMS 4
#define SWAP_SLOTS \
    2 /* the one that was applied may not be returned yet when the next one is decided */
#define SWAP_BYTES (96u << 10)
#define SWAP_PUTS (MSG_MEMBERS_MAX + 2)
#define HISTORY_NOTES 32

struct slot;

struct swap_slot {
    struct kv_call call; /* first: the service hands it back */
    struct slot *owner;
    bool is_busy;
    uint64_t term;
    struct kv_request request;
    struct kv_swap_put puts[SWAP_PUTS];
    uint8_t bytes[SWAP_BYTES];
};

struct slot {
    struct arb_driver *driver;
    struct arb_cluster cluster;
    struct base_mono wake;
    uint64_t ticket_wanted;
    uint16_t members_changed; /* not yet written under members/ */
    struct swap_slot swaps[SWAP_SLOTS];
    struct swap_slot *swapping; /* the one that the core waits for */
    size_t story_count;         /* ever said; the ring holds the last ARB_STORY_MAX */
    struct arb_note story[ARB_STORY_MAX];
};

struct confirm_slot {
    struct raft_confirm confirm; /* first: the node hands it back */
    struct arb_driver *driver;
    bool is_busy;
    uint64_t tickets[ARB_CLUSTERS_MAX];
};

struct arb_driver {
    struct arb_driver_options options;
    bool is_leader, is_ready;
    bool is_stale; /* the records are not known */
    uint64_t term;
    struct base_mono elected;
    uint64_t restore_id;
    size_t slots_count, slots_max;
    struct slot *slots[ARB_CLUSTERS_MAX];
    struct confirm_slot confirms[CONFIRMS];
    uint8_t frame[WIRE_AGENT_BYTES_MAX + 1];
};

static void take(struct slot *s, struct arb_event *event, struct arb_effects *fx);

static struct base_mono now_of(const struct arb_driver *d)
{
    return d->options.clock.now(d->options.clock.ctx);
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
    for (size_t i = 0; i < CONFIRMS; i++) {
        d->confirms[i].driver = d;
    }
    for (; d->slots_max < max; d->slots_max++) { /* pages are touched when a cluster comes */
        d->slots[d->slots_max] = calloc(1, sizeof(struct slot));
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

static struct slot *slot_find(const struct arb_driver *d, const struct base_name *name)
{
    for (size_t i = 0; i < d->slots_count; i++) {
        if (base_name_equal(&d->slots[i]->cluster.name, name)) {
            return d->slots[i];
        }
    }
    return NULL;
}

static void tell_leadership(struct slot *s)
{
    const struct arb_driver *d = s->driver;
    struct arb_effects fx;
    if (!d->is_leader) {
        return;
    }
    take(s, &(struct arb_event){.kind = ARB_EVENT_LEADER, .term = d->term, .elected = d->elected},
         &fx);
    if (d->is_ready) {
        take(s, &(struct arb_event){.kind = ARB_EVENT_READY}, &fx);
    }
}

/* NULL when there are too many. */
static struct slot *slot_for(struct arb_driver *d, const struct base_name *name)
{
    struct slot *s = slot_find(d, name);
    if (s != NULL || d->slots_count == d->slots_max) {
        return s;
    }
    s = d->slots[d->slots_count++];
    s->driver = d;
    s->wake = BASE_MONO_NEVER;
    arb_cluster_init(&s->cluster, name);
    for (size_t i = 0; i < SWAP_SLOTS; i++) {
        s->swaps[i].owner = s;
    }
    s->cluster.restore_id = d->restore_id;
    tell_leadership(s);
    return s;
}

/* --- confirmations of leadership --- */

static void confirm_begin(struct arb_driver *d);

static void confirm_done(struct raft_confirm *confirm, int status)
{
    struct confirm_slot *slot = (struct confirm_slot *)(void *)confirm;
    struct arb_driver *d = slot->driver;
    bool is_good = status == 0 && d->is_leader && confirm->term == d->term;
    slot->is_busy = false;
    for (size_t i = 0; i < d->slots_count && is_good; i++) {
        struct arb_effects fx;
        if (slot->tickets[i] != 0) {
            struct arb_event event = {.kind = ARB_EVENT_CONFIRMED, .ticket = slot->tickets[i]};
            slot->tickets[i] = 0;
            take(d->slots[i], &event, &fx);
        }
    }
    confirm_begin(d);
}

/* One round for all that was asked for. Without a free place the next one that ends takes them
 * along. */
static void confirm_begin(struct arb_driver *d)
{
    struct confirm_slot *slot = NULL;
    bool is_wanted = false;
    for (size_t i = 0; i < CONFIRMS && slot == NULL; i++) {
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

/* --- swaps --- */

static void swap_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct swap_slot *swap = (struct swap_slot *)(void *)call;
    struct slot *s = swap->owner;
    struct arb_effects fx;
    (void)response;
    swap->is_busy = false;
    if (s->swapping != swap) {
        return;
    }
    s->swapping = NULL;
    /* Any other error than this means that the outcome is unknown: leadership is lost, and told as
     * such. */
    if (error == KV_E_SWAP_VOID && s->cluster.is_swapping && s->cluster.term == swap->term) {
        take(s, &(struct arb_event){.kind = ARB_EVENT_SWAP_ENDED}, &fx);
    }
}

static struct slice cut(const struct buf *b, size_t from)
{
    return slice_from(b->data + from, b->len - from);
}

static struct slice key_put(struct buf *b, const struct slot *s, const char *what)
{
    size_t from = b->len;
    buf_put_text(b, "/quorate/v1/clusters/");
    buf_put(b, base_name_slice(&s->cluster.name));
    buf_put_text(b, what);
    return cut(b, from);
}

static void put_record(struct buf *b, const struct slot *s, const struct arb_effects *fx,
                       struct kv_swap *swap)
{
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    size_t from = b->len;
    int rc = wire_record_encode(&fx->record, b);
    BASE_ASSERT(rc == 0); /* bounded, far below SWAP_BYTES */
    swap->blob = cut(b, from);
    put->key = key_put(b, s, "/record");
    from = b->len;
    arb_json_record(b, &fx->record);
    put->value = cut(b, from);
}

static void put_history(struct buf *b, const struct slot *s, const struct arb_effects *fx,
                        struct kv_swap *swap)
{
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    struct arb_note story[ARB_STORY_MAX];
    size_t count = arb_driver_story(s->driver, &s->cluster, story);
    size_t first = count > HISTORY_NOTES ? count - HISTORY_NOTES : 0;
    size_t from = b->len;
    (void)key_put(b, s, "/history/");
    buf_put_dec(b, fx->record.epoch);
    put->key = cut(b, from);
    from = b->len;
    arb_json_history(b, &fx->record, &s->cluster.decision, story + first, count - first);
    put->value = cut(b, from);
}

static void put_members(struct buf *b, struct slot *s, struct kv_swap *swap)
{
    for (uint8_t i = 0; i < s->cluster.views_count; i++) {
        const struct arb_view *view = &s->cluster.views[i];
        if ((s->members_changed >> i & 1) == 0) {
            continue;
        }
        struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
        size_t from = b->len;
        (void)key_put(b, s, "/members/");
        buf_put(b, base_name_slice(&view->member));
        put->key = cut(b, from);
        from = b->len;
        arb_json_member(b, view);
        put->value = cut(b, from);
    }
    s->members_changed = 0;
}

static bool swap_propose(struct slot *s, const struct arb_effects *fx)
{
    struct swap_slot *slot = NULL;
    for (size_t i = 0; i < SWAP_SLOTS && slot == NULL; i++) {
        slot = s->swaps[i].is_busy ? NULL : &s->swaps[i];
    }
    if (slot == NULL) {
        return false;
    }
    struct buf b = buf_over(slot->bytes, sizeof(slot->bytes));
    struct kv_swap *swap = &slot->request.swap;
    slot->request = (struct kv_request){.kind = KV_KIND_SWAP};
    *swap = (struct kv_swap){.name = base_name_slice(&s->cluster.name),
                             .expect_epoch = fx->expect_epoch,
                             .expect_revision = fx->expect_revision,
                             .term = fx->term,
                             .new_epoch = fx->record.epoch,
                             .new_revision = fx->record.revision,
                             .puts = {slot->puts, 0}};
    put_record(&b, s, fx, swap);
    if (fx->has_history) {
        put_history(&b, s, fx, swap);
    }
    put_members(&b, s, swap);
    BASE_ASSERT(!b.is_full && swap->puts.count <= SWAP_PUTS);
    slot->call = (struct kv_call){
        .request = &slot->request, .deadline = BASE_MONO_NEVER, .user = s, .done = swap_done};
    slot->term = fx->term;
    slot->is_busy = kv_service_swap(s->driver->options.service, &slot->call) == KV_OK;
    s->swapping = slot->is_busy ? slot : NULL;
    return slot->is_busy;
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

static void send_orders(struct slot *s, uint16_t orders, struct base_mono now)
{
    for (uint8_t i = 0; i < s->cluster.views_count; i++) {
        struct msg_order order;
        if ((orders >> i & 1) != 0) {
            arb_order_make(&s->cluster, i, CANARY(CACHED_CLOCK) ? now : now_of(s->driver), &order);
            send_order(s->driver, s->cluster.views[i].link, &order);
        }
    }
}

static void tell_notes(struct slot *s, const struct arb_effects *fx)
{
    const struct arb_driver_options *o = &s->driver->options;
    for (uint8_t i = 0; i < fx->notes_count; i++) {
        s->story[s->story_count++ % ARB_STORY_MAX] = fx->notes[i];
        if (o->noted != NULL) {
            o->noted(o->user, &s->cluster.name, &fx->notes[i]);
        }
    }
}

/* One step and all that follows from it, in the one safe order. */
static void take(struct slot *s, struct arb_event *event, struct arb_effects *fx)
{
    struct arb_driver *d = s->driver;
    event->now = now_of(d);
    event->wall = d->options.clock.wall(d->options.clock.ctx);
    arb_step(&s->cluster, event, fx);
    s->wake = fx->wake;
    s->members_changed |= fx->changed;
    tell_notes(s, fx);
    if (fx->has_swap && !swap_propose(s, fx)) {
        struct arb_effects more;
        struct arb_event ended = {.kind = ARB_EVENT_SWAP_ENDED};
        take(s, &ended, &more); /* decides nothing, so this ends */
    }
    if (fx->ticket != 0) {
        s->ticket_wanted = fx->ticket;
        confirm_begin(d);
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
    struct slot *s = slot_for(driver, &report.cluster);
    if (s == NULL) {
        return BASE_E_TOOBIG;
    }
    struct arb_event event = {.kind = ARB_EVENT_REPORT, .report = &report, .link = link};
    take(s, &event, &fx);
    return 0;
}

void arb_driver_set_restore(struct arb_driver *driver, uint64_t restore_id)
{
    driver->restore_id = restore_id;
    for (size_t i = 0; i < driver->slots_count; i++) {
        struct arb_effects fx;
        struct arb_event event = {.kind = ARB_EVENT_RESTORE, .restore_id = restore_id};
        take(driver->slots[i], &event, &fx);
    }
}

static bool is_ours(const struct slot *s, const struct kv_swapped *swapped)
{
    const struct msg_record *r = &s->cluster.swap_record;
    return s->cluster.is_swapping && swapped->is_won && !swapped->is_loaded &&
           swapped->term == s->cluster.term && swapped->epoch == r->epoch &&
           swapped->revision == r->revision;
}

void arb_driver_swapped(struct arb_driver *driver, const struct kv_swapped *swapped)
{
    struct base_name name;
    struct msg_record record;
    struct arb_effects fx;
    if (swapped->epoch == 0 || base_name_from(swapped->name, &name) != 0 ||
        wire_record_decode(swapped->blob, &record) != 0 ||
        !base_name_equal(&name, &record.cluster) || record.epoch != swapped->epoch ||
        record.revision != swapped->revision) {
        return; /* no record stands, or not one that this version wrote */
    }
    struct slot *s = slot_for(driver, &name);
    if (s == NULL) {
        return;
    }
    const struct msg_record *have = &s->cluster.record;
    if (record.epoch < have->epoch ||
        (record.epoch == have->epoch && record.revision <= have->revision)) {
        return; /* a void swap shows what stands, which is known */
    }
    struct arb_event event = {
        .kind = ARB_EVENT_RECORD, .record = &record, .is_own = is_ours(s, swapped)};
    take(s, &event, &fx);
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
        take(d->slots[i], &event, &fx);
    }
    for (size_t i = 0; i < d->slots_count && becomes_ready; i++) {
        struct arb_event event = {.kind = ARB_EVENT_READY};
        d->slots[i]->members_changed = (uint16_t)((1u << d->slots[i]->cluster.views_count) - 1);
        take(d->slots[i], &event, &fx);
    }
}

void arb_driver_records_stale(struct arb_driver *driver)
{
    driver->is_stale = true;
    if (driver->is_ready) {
        arb_driver_role_changed(driver);
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
        first = base_mono_min(first, driver->slots[i]->wake);
    }
    return first;
}

void arb_driver_tick(struct arb_driver *driver)
{
    for (size_t i = 0; i < driver->slots_count; i++) {
        struct arb_effects fx;
        struct arb_event event = {.kind = ARB_EVENT_TICK};
        if (!base_mono_before(now_of(driver), driver->slots[i]->wake)) {
            take(driver->slots[i], &event, &fx);
        }
    }
    confirm_begin(driver);
}

int arb_driver_request(struct arb_driver *driver, const struct base_name *cluster,
                       const struct arb_request *request, struct base_text *ret_text)
{
    struct slot *s = slot_find(driver, cluster);
    struct arb_effects fx;
    if (s == NULL) {
        *ret_text = base_text_from(SLICE_LIT("there is no such cluster"));
        return BASE_E_NOTFOUND;
    }
    struct arb_event event = {.kind = ARB_EVENT_REQUEST, .request = request};
    take(s, &event, &fx);
    BASE_ASSERT(fx.has_answer);
    *ret_text = fx.answer_text;
    return fx.answer;
}

/* --- for showing --- */

const struct arb_cluster *arb_driver_cluster(const struct arb_driver *driver, size_t index)
{
    return index < driver->slots_count ? &driver->slots[index]->cluster : NULL;
}

const struct arb_cluster *arb_driver_find(const struct arb_driver *driver,
                                          const struct base_name *cluster)
{
    const struct slot *s = slot_find(driver, cluster);
    return s == NULL ? NULL : &s->cluster;
}

size_t arb_driver_story(const struct arb_driver *driver, const struct arb_cluster *cluster,
                        struct arb_note ret[ARB_STORY_MAX])
{
    const struct slot *s = slot_find(driver, &cluster->name);
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

bool arb_driver_is_leader(const struct arb_driver *driver)
{
    return driver->is_leader && driver->is_ready;
}
