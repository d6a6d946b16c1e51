/* SPDX-License-Identifier: Apache-2.0 */
/* Who belongs to a cluster, as a row of its own: a member that is down stays known, with since
 * when, over changes of the leader and restarts of the quorum, until an operator removes it.
 * Written by the leader when somebody comes, goes or changes, at most once a second, never for a
 * heartbeat. Decisions never look at it.
 */
#include "arbiter/driver_internal.h"

#include "base/crc32c.h"
#include "base/lease_math.h"
#include "base/name.h"

#include <string.h>

#define ROW "/members"
#define ROW_VERSION 1
#define WRITE_EVERY_US BASE_US_PER_S

/* --- the row's bytes --- */

static void put_short(struct buf *b, struct slice text)
{
    buf_put_u8(b, (uint8_t)text.len);
    buf_put(b, text);
}

static void encode(const struct arb_seen *list, uint8_t count, struct buf *b)
{
    buf_put_u8(b, ROW_VERSION);
    buf_put_u8(b, count);
    for (uint8_t i = 0; i < count; i++) {
        put_short(b, base_name_slice(&list[i].member));
        put_short(b, base_text_slice(&list[i].host));
        buf_put_u32_be(b, (uint32_t)list[i].db_port << 16 | list[i].http_port);
        buf_put_u8(b, list[i].is_up);
        buf_put_u64_be(b, (uint64_t)list[i].since_wall_us);
        buf_put_u32_be(b, list[i].mark);
    }
}

static int take_short(struct slice *s, struct slice *ret)
{
    uint8_t len = 0;
    int rc = slice_take_u8(s, &len);
    return rc != 0 ? rc : slice_take_bytes(s, len, ret);
}

static int decode_one(struct slice *s, struct arb_seen *ret)
{
    struct slice name;
    struct slice host;
    uint32_t ports = 0;
    uint8_t is_up = 0;
    uint64_t since = 0;
    int rc = take_short(s, &name);
    rc = rc != 0 ? rc : take_short(s, &host);
    rc = rc != 0 ? rc : slice_take_u32_be(s, &ports);
    rc = rc != 0 ? rc : slice_take_u8(s, &is_up);
    rc = rc != 0 ? rc : slice_take_u64_be(s, &since);
    rc = rc != 0 ? rc : slice_take_u32_be(s, &ret->mark);
    rc = rc != 0 ? rc : base_name_from(name, &ret->member);
    if (rc != 0) {
        return rc;
    }
    ret->host = base_text_from(host);
    ret->db_port = (uint16_t)(ports >> 16);
    ret->http_port = (uint16_t)ports;
    ret->is_up = is_up != 0;
    ret->since_wall_us = (int64_t)since;
    return 0;
}

/* What another version wrote reads as nothing: it is written anew. */
static uint8_t decode(struct slice bytes, struct arb_seen list[MSG_MEMBERS_MAX])
{
    uint8_t version = 0;
    uint8_t count = 0;
    if (slice_take_u8(&bytes, &version) != 0 || version != ROW_VERSION ||
        slice_take_u8(&bytes, &count) != 0 || count > MSG_MEMBERS_MAX) {
        return 0;
    }
    for (uint8_t i = 0; i < count; i++) {
        if (decode_one(&bytes, &list[i]) != 0) {
            return 0;
        }
    }
    return count;
}

/* --- what is seen --- */

static const struct arb_seen *find(const struct arb_seen *list, uint8_t count,
                                   const struct base_name *member)
{
    for (uint8_t i = 0; i < count; i++) {
        if (base_name_equal(&list[i].member, member)) {
            return &list[i];
        }
    }
    return NULL;
}

/* Changes when something changes that people and balancers read of a member. */
static uint32_t mark_of(const struct arb_view *view)
{
    const struct msg_report *r = &view->report;
    const uint32_t numbers[] = {(uint32_t)r->db_state,
                                (uint32_t)view->refused,
                                r->db_port,
                                r->http_port,
                                r->is_open,
                                r->is_receiving,
                                r->is_rejoin_needed,
                                r->is_nofailover,
                                r->is_nosync,
                                r->is_noloadbalance,
                                r->is_clonefrom,
                                r->priority,
                                r->is_restart_pending,
                                r->position.timeline};
    uint32_t crc = base_crc32c(0, slice_from((const uint8_t *)numbers, sizeof(numbers)));
    crc = base_crc32c(crc, base_text_slice(&r->host));
    crc = base_crc32c(crc, base_name_slice(&r->zone));
    return base_crc32c(crc, base_name_slice(&r->upstream));
}

static int64_t silence_max_us(const struct arb_slot *s)
{
    uint32_t ttl_ms =
        s->cluster.record.ttl_ms != 0 ? s->cluster.record.ttl_ms : (uint32_t)LEASE_TTL_DEFAULT_MS;
    return 2 * (int64_t)ttl_ms * BASE_US_PER_MS;
}

/* A leader that was just elected may not have heard of anybody yet: what was known stands. */
static bool is_up(const struct arb_slot *s, const struct arb_view *view, struct base_mono now,
                  bool was_up)
{
    int64_t limit = silence_max_us(s);
    bool is_heard = view != NULL && view->has_report;
    bool is_fresh = is_heard && base_mono_diff_us(now, view->heard) <= limit;
    bool is_early = base_mono_diff_us(now, s->driver->elected) <= limit;
    return is_fresh || (is_early && was_up);
}

static void see(const struct arb_slot *s, const struct arb_view *view, struct base_mono now,
                struct arb_seen *seen)
{
    bool was_up = seen->is_up && seen->since_wall_us != 0;
    int64_t wall_us = arb_driver_wall(s->driver).us;
    bool is_heard = view != NULL && view->has_report;
    seen->is_up = is_up(s, view, now, was_up);
    if (is_heard) {
        seen->host = view->report.host;
        seen->db_port = view->report.db_port;
        seen->http_port = view->report.http_port;
        seen->mark = mark_of(view);
    }
    if (seen->is_up && !was_up) {
        seen->since_wall_us = wall_us;
    } else if (!seen->is_up && was_up) {
        seen->since_wall_us = is_heard ? wall_us - base_mono_diff_us(now, view->heard) : wall_us;
    }
}

/* The list as it should stand now; members without a view stay. */
static uint8_t collect(const struct arb_slot *s, struct base_mono now,
                       struct arb_seen list[MSG_MEMBERS_MAX])
{
    const struct arb_cluster *c = &s->cluster;
    uint8_t count = s->registry.count;
    memcpy(list, s->registry.list, sizeof(s->registry.list));
    for (uint8_t i = 0; i < c->views_count; i++) {
        if (c->views[i].has_report && count < MSG_MEMBERS_MAX &&
            find(list, count, &c->views[i].member) == NULL) {
            list[count++] = (struct arb_seen){.member = c->views[i].member};
        }
    }
    for (uint8_t i = 0; i < count; i++) {
        uint8_t at = arb_view_find(c, &list[i].member);
        see(s, at == ARB_NOBODY ? NULL : &c->views[at], now, &list[i]);
    }
    return count;
}

static bool is_same(const struct arb_seen *a, const struct arb_seen *b)
{
    return b != NULL && a->is_up == b->is_up && a->mark == b->mark;
}

/* --- writing --- */

static struct kv_swap *begin(struct arb_slot *s, const struct arb_seen *list, uint8_t count,
                             struct buf *b)
{
    struct kv_swap *swap = arb_swap_begin(s, &s->members_swap, ROW, b);
    size_t from = b->len;
    swap->expect_epoch = s->registry.row.epoch;
    swap->expect_revision = s->registry.row.revision;
    swap->new_epoch = 1;
    swap->new_revision = s->registry.row.revision + 1;
    encode(list, count, b);
    swap->blob = slice_from(b->data + from, b->len - from);
    return swap;
}

static bool may_write(const struct arb_slot *s)
{
    const struct arb_driver *d = s->driver;
    return d->is_leader && d->is_ready && !s->members_swap.is_busy;
}

void arb_registry_check(struct arb_slot *s)
{
    struct base_mono now = arb_driver_now(s->driver);
    struct arb_seen list[MSG_MEMBERS_MAX];
    struct buf b;
    if (base_mono_before(now, s->registry.next)) {
        return;
    }
    s->registry.next = base_mono_add_us(now, WRITE_EVERY_US);
    if (!may_write(s)) { /* asked again then, not at once: the deadline must lie ahead */
        return;
    }
    uint8_t count = collect(s, now, list);
    struct kv_swap *swap = NULL;
    for (uint8_t i = 0; i < count; i++) {
        if (is_same(&list[i], find(s->registry.list, s->registry.count, &list[i].member))) {
            continue;
        }
        uint8_t at = arb_view_find(&s->cluster, &list[i].member);
        swap = swap != NULL ? swap : begin(s, list, count, &b);
        arb_swap_put_member(s, swap, &b, &list[i], at == ARB_NOBODY ? NULL : &s->cluster.views[at]);
    }
    if (swap != NULL) {
        (void)!arb_swap_send(s, &s->members_swap, &b); /* else the next check tries again */
    }
}

bool arb_registry_remove(struct arb_slot *s, const struct base_name *member)
{
    struct arb_seen list[MSG_MEMBERS_MAX];
    struct buf b;
    uint8_t count = 0;
    if (!may_write(s)) {
        return false;
    }
    for (uint8_t i = 0; i < s->registry.count; i++) {
        if (!base_name_equal(&s->registry.list[i].member, member)) {
            list[count++] = s->registry.list[i];
        }
    }
    struct kv_swap *swap = begin(s, list, count, &b);
    struct kv_swap_put *put = &swap->puts.items[swap->puts.count++];
    size_t from = b.len;
    *put = (struct kv_swap_put){.is_delete = true};
    (void)arb_swap_key(&b, s, "/members/");
    buf_put(&b, base_name_slice(member));
    put->key = slice_from(b.data + from, b.len - from);
    return arb_swap_send(s, &s->members_swap, &b);
}

/* --- reading --- */

static void forget(struct arb_slot *s, const struct base_name *member)
{
    struct arb_effects fx;
    struct arb_event event = {.kind = ARB_EVENT_FORGET, .member = member};
    arb_driver_take(s, &event, &fx);
}

void arb_registry_told(struct arb_slot *s, const struct kv_swapped *swapped)
{
    struct arb_registry *r = &s->registry;
    struct arb_registry before = *r;
    r->row = (struct arb_row){swapped->epoch, swapped->revision};
    memset(r->list, 0, sizeof(r->list));
    r->count = swapped->epoch == 0 ? 0 : decode(swapped->blob, r->list);
    for (uint8_t i = 0; i < before.count; i++) {
        if (find(r->list, r->count, &before.list[i].member) == NULL) {
            forget(s, &before.list[i].member);
        }
    }
}
