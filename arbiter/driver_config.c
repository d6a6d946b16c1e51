/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration document of a cluster: a row of its own, changed by compare-and-swap on its
 * revision, told to the core on every node and sent to members whose database runs under another
 * one. What it means is arbiter/settings.h's and the engine's.
 */
#include "arbiter/driver_internal.h"

#include "arbiter/record_json.h"
#include "base/assert.h"
#include "base/canary.h"
#include "base/name.h"

#include <stdio.h>
#include <string.h>

#define ROW "/config"
#define KEPT 20 /* documents under config-history/ */
#define SEND_EVERY_US (2 * BASE_US_PER_S)

/* --- what stands --- */

void arb_document_give(struct arb_slot *s)
{
    const struct arb_document *d = &s->document;
    struct arb_effects fx;
    if (d->row.epoch != 0) {
        struct msg_record settings = d->settings.record;
        settings.config_revision = d->row.epoch;
        arb_driver_take(s, &(struct arb_event){.kind = ARB_EVENT_SETTINGS, .settings = &settings},
                        &fx);
    }
}

void arb_document_forget(struct arb_slot *s)
{
    struct arb_effects fx;
    if (s->document.row.epoch != 0) {
        s->document.row = (struct arb_row){0, 0};
        s->document.len = 0;
        arb_driver_take(s, &(struct arb_event){.kind = ARB_EVENT_SETTINGS}, &fx);
    }
}

void arb_document_told(struct arb_slot *s, const struct kv_swapped *swapped)
{
    struct arb_document *d = &s->document;
    struct arb_settings_why why;
    struct arb_settings settings;
    if (swapped->epoch == 0) {
        arb_document_forget(s);
        return;
    }
    if (d->row.epoch == swapped->epoch && d->row.revision == swapped->revision) {
        return; /* a void swap shows what stands, which is known */
    }
    /* One that this version cannot read was written by a newer one: settings stay as they are. */
    if (swapped->blob.len > sizeof(d->text) ||
        arb_settings_read(swapped->blob, &settings, &why) != 0) {
        return;
    }
    d->row = (struct arb_row){swapped->epoch, swapped->revision};
    d->len = swapped->blob.len;
    memcpy(d->text, swapped->blob.data, d->len);
    d->settings = settings;
    arb_document_give(s);
}

bool arb_driver_document(const struct arb_driver *driver, const struct base_name *cluster,
                         uint64_t *ret_revision, struct slice *ret_text)
{
    const struct arb_slot *s = arb_slot_find(driver, cluster);
    if (s == NULL || s->document.row.epoch == 0) {
        return false;
    }
    *ret_revision = s->document.row.epoch;
    *ret_text = slice_from(s->document.text, s->document.len);
    return true;
}

/* --- writing --- */

static uint64_t higher(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Above every one that anybody has seen: after a restore members may know later ones than the
 * store. */
static uint64_t next_revision(const struct arb_slot *s)
{
    uint64_t revision = higher(s->document.row.epoch, s->cluster.record.config_revision);
    for (uint8_t i = 0; i < s->cluster.views_count; i++) {
        revision = higher(revision, s->cluster.views[i].report.config_revision);
    }
    return revision + 1;
}

static struct kv_swap_put *add_put(struct kv_swap *swap)
{
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    *put = (struct kv_swap_put){0};
    return put;
}

static struct slice history_key(struct buf *b, const struct arb_slot *s, uint64_t revision)
{
    size_t from = b->len;
    (void)arb_swap_key(b, s, "/config-history/");
    buf_put_dec(b, revision);
    return slice_from(b->data + from, b->len - from);
}

static void put_history(struct arb_slot *s, struct kv_swap *swap, struct buf *b)
{
    struct kv_swap_put *put = add_put(swap);
    put->key = history_key(b, s, swap->new_epoch);
    size_t from = b->len;
    buf_put_text(b, "{\"revision\":");
    buf_put_dec(b, swap->new_epoch);
    buf_put_text(b, ",\"wall_us\":");
    buf_put_int(b, arb_driver_wall(s->driver).us);
    buf_put_text(b, ",\"document\":");
    buf_put(b, swap->blob);
    buf_put_text(b, "}");
    put->value = slice_from(b->data + from, b->len - from);
    if (swap->new_epoch > KEPT) {
        put = add_put(swap);
        put->is_delete = true;
        put->key = history_key(b, s, swap->new_epoch - KEPT);
    }
}

static int say(struct arb_settings_why *why, int rc, const char *text)
{
    (void)snprintf(why->text, sizeof(why->text), "%s", text);
    return rc;
}

static int propose(struct arb_slot *s, struct slice text, struct arb_settings_why *why)
{
    struct buf b;
    struct kv_swap *swap = arb_swap_begin(s, &s->config_swap, ROW, &b);
    swap->expect_epoch = s->document.row.epoch;
    swap->expect_revision = s->document.row.revision;
    swap->new_epoch = next_revision(s);
    swap->new_revision = 1;
    size_t from = b.len;
    int rc = arb_settings_write(text, false, &b, why);
    if (rc != 0) {
        return rc;
    }
    swap->blob = slice_from(b.data + from, b.len - from);
    if (swap->blob.len > MSG_CONFIG_MAX) {
        return say(why, BASE_E_TOOBIG, "the document is longer than 24 kB");
    }
    struct kv_swap_put *put = add_put(swap);
    put->key = arb_swap_key(&b, s, "/config");
    put->value = swap->blob;
    put_history(s, swap, &b);
    return arb_swap_send(s, &s->config_swap, &b)
               ? 0
               : say(why, BASE_E_BUSY, "the log takes nothing at the moment, try again");
}

static int check_room(const struct arb_cluster *c, const struct msg_record *settings,
                      struct arb_settings_why *why)
{
    const struct arb_view *crowded =
        arb_settings_crowded(c, settings, c->record.epoch != 0 ? c->record.ttl_ms : UINT32_MAX);
    if (crowded == NULL) {
        return 0;
    }
    (void)snprintf(why->text, sizeof(why->text),
                   "ttl: %u ms; %s wants %u ms at least, twice its watchdog.timeout: shorten that "
                   "in its agent's file and restart the agent, or choose a longer ttl",
                   settings->ttl_ms, crowded->member.text, crowded->report.ttl_least_ms);
    return BASE_E_INVALID;
}

int arb_driver_configure(struct arb_driver *driver, const struct base_name *cluster,
                         uint64_t expect, struct slice text, uint64_t *ret_revision,
                         struct arb_settings_why *why)
{
    struct arb_settings settings;
    if (!arb_driver_is_leader(driver)) {
        return say(why, BASE_E_NOTLEADER, "this node does not lead");
    }
    int rc = arb_settings_read(text, &settings, why);
    if (rc != 0) {
        return rc;
    }
    struct arb_slot *s = arb_slot_for(driver, cluster);
    if (s == NULL) {
        return say(why, BASE_E_TOOBIG, "there are as many clusters as a quorum can have");
    }
    enum msg_engine engine = arb_engine_id(&s->cluster);
    bool is_known = s->cluster.record.epoch != 0 || s->cluster.views_count > 0;
    if (is_known && engine != settings.record.engine) {
        static const char *const wanted[] = {
            [MSG_ENGINE_POSTGRESQL] =
                ("galera, mongodb: this cluster runs PostgreSQL; allowed: no such section"),
            [MSG_ENGINE_GALERA] =
                "galera: missing; the document of a Galera cluster has that section, {} at least",
            [MSG_ENGINE_MONGODB] =
                ("mongodb: missing; the document of a MongoDB replica set has that section, {} at "
                 "least"),
        };
        return say(why, BASE_E_INVALID, wanted[engine]);
    }
    rc = check_room(&s->cluster, &settings.record, why);
    if (rc != 0) {
        return rc;
    }
    if (s->config_swap.is_busy) {
        return say(why, BASE_E_BUSY, "another change of the document is on its way, try again");
    }
    if (s->document.row.epoch != expect && !CANARY(DOCUMENT_OVER_ANOTHER)) {
        (void)snprintf(why->text, sizeof(why->text),
                       expect == 0 ? "%s has a configuration already, revision %llu; kv db config "
                                     "set changes it"
                                   : "%s has revision %llu of its configuration by now: look at it "
                                     "and try again",
                       cluster->text, (unsigned long long)s->document.row.epoch);
        return BASE_E_CONFLICT;
    }
    uint64_t revision = next_revision(s);
    rc = propose(s, text, why);
    if (rc == 0) {
        *ret_revision = revision;
    }
    return rc;
}

/* --- sending --- */

/* NULL: told just now, or there is no room to remember. */
static struct arb_config_sent *sent_for(struct arb_document *d, const struct arb_view *view,
                                        struct base_mono now)
{
    struct arb_config_sent *free_one = NULL;
    for (size_t i = 0; i < MSG_MEMBERS_MAX; i++) {
        struct arb_config_sent *sent = &d->sent[i];
        if (base_name_equal(&sent->member, &view->member)) {
            bool is_known = sent->session == view->report.session &&
                            sent->revision == d->row.epoch &&
                            base_mono_diff_us(now, sent->at) < SEND_EVERY_US;
            return is_known ? NULL : sent;
        }
        if (free_one == NULL && (base_name_is_empty(&sent->member) ||
                                 base_mono_diff_us(now, sent->at) > 30 * SEND_EVERY_US)) {
            free_one = sent;
        }
    }
    return free_one;
}

void arb_document_offer(struct arb_slot *s, const struct arb_view *view)
{
    struct arb_driver *driver = s->driver;
    struct arb_document *d = &s->document;
    struct base_mono now = arb_driver_now(driver);
    uint64_t wanted = s->cluster.record.config_revision;
    bool is_in_force = wanted == d->row.epoch || CANARY(DOCUMENT_AHEAD);
    if (!arb_driver_is_leader(driver) || wanted == 0 || !is_in_force ||
        view->report.config_revision == wanted || view->refused != ARB_REFUSE_NONE) {
        return;
    }
    struct arb_config_sent *sent = sent_for(d, view, now);
    if (sent == NULL) {
        return;
    }
    const struct msg_config config = {.cluster = s->cluster.name,
                                      .term = driver->term,
                                      .revision = wanted,
                                      .text = slice_from(d->text, d->len)};
    struct buf b = buf_over(driver->frame, sizeof(driver->frame));
    buf_put_u8(&b, NET_FRAME_CONFIG);
    int rc = wire_config_encode(&config, &b);
    BASE_ASSERT(rc == 0); /* the text is bounded */
    *sent = (struct arb_config_sent){view->member, view->report.session, wanted, now};
    (void)driver->options.net.send(driver->options.net.ctx, view->link, buf_slice(&b));
}
