/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's guarded swaps on their way into the log: records with what people read beside them,
 * and what the other rows of a cluster share. Nothing is decided here.
 */
#include "arbiter/driver_internal.h"

#include "arbiter/record_json.h"
#include "base/assert.h"
#include "base/name.h"

#include <string.h>

static struct slice cut(const struct buf *b, size_t from)
{
    return slice_from(b->data + from, b->len - from);
}

struct slice arb_swap_key(struct buf *b, const struct arb_slot *s, const char *what)
{
    size_t from = b->len;
    buf_put_text(b, "/quorate/v1/clusters/");
    buf_put(b, base_name_slice(&s->cluster.name));
    buf_put_text(b, what);
    return cut(b, from);
}

/* --- any row --- */

static void row_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct arb_swap_slot *slot = (struct arb_swap_slot *)(void *)call;
    (void)error; /* what stands now was told before, as on every node */
    (void)response;
    slot->is_busy = false;
}

struct kv_swap *arb_swap_begin(struct arb_slot *s, struct arb_swap_slot *slot, const char *what,
                               struct buf *ret_bytes)
{
    struct kv_swap *swap = &slot->request.swap;
    *ret_bytes = buf_over(slot->bytes, sizeof(slot->bytes));
    buf_put(ret_bytes, base_name_slice(&s->cluster.name));
    buf_put_text(ret_bytes, what);
    slot->owner = s;
    slot->request = (struct kv_request){.kind = KV_KIND_SWAP};
    *swap = (struct kv_swap){
        .name = buf_slice(ret_bytes), .term = s->driver->term, .puts = {slot->puts, 0}};
    slot->call = (struct kv_call){
        .request = &slot->request, .deadline = BASE_MONO_NEVER, .user = s, .done = row_done};
    return swap;
}

bool arb_swap_send(struct arb_slot *s, struct arb_swap_slot *slot, const struct buf *bytes)
{
    BASE_ASSERT(!bytes->is_full && slot->request.swap.puts.count <= ARB_SWAP_PUTS);
    slot->term = slot->request.swap.term;
    slot->is_busy = kv_service_swap(s->driver->options.service, &slot->call) == KV_OK;
    return slot->is_busy;
}

void arb_swap_put_removal(struct arb_slot *s, struct kv_swap *swap, struct buf *b)
{
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    *put = (struct kv_swap_put){.is_delete = true};
    put->key = arb_swap_key(b, s, "/");
    put->value = arb_swap_key(b, s, "0"); /* '0' follows '/' */
}

void arb_swap_put_member(struct arb_slot *s, struct kv_swap *swap, struct buf *b,
                         const struct arb_seen *seen, const struct arb_view *view)
{
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    size_t from = b->len;
    (void)arb_swap_key(b, s, "/members/");
    buf_put(b, base_name_slice(view != NULL ? &view->member : &seen->member));
    *put = (struct kv_swap_put){.key = cut(b, from)};
    from = b->len;
    arb_json_member(b, view, seen);
    put->value = cut(b, from);
}

/* --- records --- */

static void swap_done(struct kv_call *call, enum kv_error error, struct slice response)
{
    struct arb_swap_slot *swap = (struct arb_swap_slot *)(void *)call;
    struct arb_slot *s = swap->owner;
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
        arb_driver_take(s, &(struct arb_event){.kind = ARB_EVENT_SWAP_ENDED}, &fx);
    }
}

static void put_record(struct buf *b, const struct arb_slot *s, const struct arb_effects *fx,
                       struct kv_swap *swap)
{
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    size_t from = b->len;
    int rc = wire_record_encode(&fx->record, b);
    BASE_ASSERT(rc == 0); /* bounded, far below ARB_SWAP_BYTES */
    *put = (struct kv_swap_put){0};
    swap->blob = cut(b, from);
    put->key = arb_swap_key(b, s, "/record");
    from = b->len;
    arb_json_record(b, &fx->record);
    put->value = cut(b, from);
}

static void put_history(struct buf *b, const struct arb_slot *s, const struct arb_effects *fx,
                        struct kv_swap *swap)
{
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    struct arb_note story[ARB_STORY_MAX];
    size_t count = arb_driver_story(s->driver, &s->cluster, story);
    size_t first = count > ARB_HISTORY_NOTES ? count - ARB_HISTORY_NOTES : 0;
    size_t from = b->len;
    *put = (struct kv_swap_put){0};
    (void)arb_swap_key(b, s, "/history/");
    buf_put_dec(b, fx->record.epoch);
    put->key = cut(b, from);
    from = b->len;
    arb_json_history(b, &fx->record, &s->cluster.decision, story + first, count - first);
    put->value = cut(b, from);
}

static const struct arb_seen *seen_find(const struct arb_slot *s, const struct base_name *member)
{
    for (uint8_t i = 0; i < s->registry.count; i++) {
        if (base_name_equal(&s->registry.list[i].member, member)) {
            return &s->registry.list[i];
        }
    }
    return NULL;
}

static void put_members(struct buf *b, struct arb_slot *s, struct kv_swap *swap)
{
    for (uint8_t i = 0; i < s->cluster.views_count; i++) {
        const struct arb_view *view = &s->cluster.views[i];
        if ((s->members_changed >> i & 1) != 0) {
            arb_swap_put_member(s, swap, b, seen_find(s, &view->member), view);
        }
    }
    s->members_changed = 0;
}

bool arb_swap_record(struct arb_slot *s, const struct arb_effects *fx)
{
    struct arb_swap_slot *slot = NULL;
    struct buf b;
    for (size_t i = 0; i < ARB_SWAP_SLOTS && slot == NULL; i++) {
        slot = s->swaps[i].is_busy ? NULL : &s->swaps[i];
    }
    if (slot == NULL) {
        return false;
    }
    struct kv_swap *swap = arb_swap_begin(s, slot, "", &b);
    swap->expect_epoch = fx->expect_epoch;
    swap->expect_revision = fx->expect_revision;
    swap->term = fx->term;
    swap->new_epoch = fx->record.epoch;
    swap->new_revision = fx->record.revision;
    slot->call.done = swap_done;
    put_record(&b, s, fx, swap);
    if (fx->has_history) {
        put_history(&b, s, fx, swap);
    }
    put_members(&b, s, swap);
    bool is_sent = arb_swap_send(s, slot, &b);
    s->swapping = is_sent ? slot : NULL;
    return is_sent;
}
