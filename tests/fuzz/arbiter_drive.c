/* SPDX-License-Identifier: Apache-2.0 */
/* See arbiter_drive.h. */
#include "tests/fuzz/arbiter_drive.h"

struct base_name arb_drive_name(unsigned member)
{
    struct base_name name;
    char text[2] = {(char)('a' + member), 0};
    int rc = base_name_from(slice_from_text(text), &name);
    BASE_ASSERT(rc == 0);
    return name;
}

uint64_t arb_drive_near(struct slice *in, uint64_t value)
{
    uint8_t byte = fuzz_u8(in);
    return byte < 192 ? value : value + byte % 4 - (value > 1 ? 1 : 0);
}

void arb_drive_begin(struct arb_drive *d)
{
    struct base_name name = arb_drive_name(25);
    memset(d, 0, sizeof(*d));
    d->now.us = 10 * BASE_US_PER_S;
    arb_cluster_init(&d->c, &name);
}

/* --- what comes out --- */

static void check_order(struct arb_drive *d, const struct msg_order *order,
                        const struct base_name *member)
{
    static uint8_t bytes[WIRE_AGENT_BYTES_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    int rc = wire_order_encode(order, &out);
    BASE_ASSERT(rc == 0);
    if (d->order != NULL) {
        d->order(order, member);
    }
    if (!order->is_granted) {
        return;
    }
    BASE_ASSERT(d->c.is_leader && d->c.is_ready && order->granted_epoch == d->record.epoch);
    BASE_ASSERT(d->granted_epoch <= order->granted_epoch);
    struct base_mono until = base_mono_add_us(d->now, order->ttl_us);
    d->granted_until =
        d->granted_epoch == order->granted_epoch ? base_mono_max(d->granted_until, until) : until;
    d->granted_epoch = order->granted_epoch;
}

static void check_swap(struct arb_drive *d, const struct arb_effects *fx)
{
    const struct msg_record *next = &fx->record;
    bool is_anew = fx->swap_kind == ARB_DECIDE_CONFIRMED;
    bool is_free = is_anew || d->is_excused || d->handed_back >= d->granted_epoch ||
                   (d->is_free != NULL && d->is_free(fx));
    BASE_ASSERT(d->c.is_leader && d->c.is_ready && !d->has_swap);
    BASE_ASSERT(fx->expect_epoch == d->record.epoch && fx->expect_revision == d->record.revision);
    BASE_ASSERT(next->epoch == d->record.epoch || d->granted_epoch == 0 || is_free ||
                !base_mono_before(d->now, d->granted_until));
    if (d->swap_begins != NULL) {
        d->swap_begins(fx);
    }
    d->is_excused = d->is_excused || is_anew;
    d->has_swap = true;
    d->swap = *next;
}

void arb_drive_run(struct arb_drive *d, struct arb_event event)
{
    static struct arb_effects fx;
    event.now = d->now;
    event.wall = (struct base_wall){d->now.us};
    arb_step(&d->c, &event, &fx);
    arb_cluster_check(&d->c);
    for (uint8_t i = 0; i < fx.notes_count; i++) {
        static uint8_t text[1024];
        struct buf out = buf_over(text, sizeof(text));
        arb_note_put(&fx.notes[i], &out);
    }
    if (fx.has_swap) {
        check_swap(d, &fx);
    }
    d->ticket = fx.ticket != 0 ? fx.ticket : d->ticket;
    BASE_ASSERT(fx.orders >> d->c.views_count == 0);
    for (uint8_t i = 0; i < d->c.views_count; i++) {
        static struct msg_order order;
        if ((fx.orders >> i & 1) != 0) {
            arb_order_make(&d->c, i, d->now, &order);
            check_order(d, &order, &d->c.views[i].member);
        }
    }
    if (fx.has_refusal) {
        check_order(d, &fx.refusal, &(struct base_name){""});
    }
}

/* --- what goes in --- */

bool arb_drive_report(struct arb_drive *d, unsigned member, const struct msg_report *report)
{
    static struct msg_report taken;
    static uint8_t bytes[WIRE_AGENT_BYTES_MAX];
    struct buf out = buf_over(bytes, sizeof(bytes));
    if (wire_report_encode(report, &out) != 0 || wire_report_decode(buf_slice(&out), &taken) != 0 ||
        taken.session == 0) {
        return false;
    }
    bool is_holder = base_name_equal(&taken.member, &d->record.holder);
    if (is_holder && taken.epoch_handed_back > d->handed_back) {
        d->handed_back = taken.epoch_handed_back;
    }
    arb_drive_run(
        d, (struct arb_event){.kind = ARB_EVENT_REPORT, .report = &taken, .link = member + 1u});
    return true;
}

void arb_drive_elect(struct arb_drive *d)
{
    d->term++;
    d->has_swap = false;
    arb_drive_run(d,
                  (struct arb_event){.kind = ARB_EVENT_LEADER, .term = d->term, .elected = d->now});
    arb_drive_run(d, (struct arb_event){.kind = ARB_EVENT_READY, .term = d->term});
}

void arb_drive_confirm(struct arb_drive *d)
{
    if (d->c.is_leader && d->ticket != 0) {
        arb_drive_run(d, (struct arb_event){.kind = ARB_EVENT_CONFIRMED, .ticket = d->ticket});
    }
}

void arb_drive_end_swap(struct arb_drive *d, bool is_won)
{
    if (!d->has_swap) {
        return;
    }
    d->has_swap = false;
    if (!is_won) {
        arb_drive_run(d, (struct arb_event){.kind = ARB_EVENT_SWAP_ENDED});
        return;
    }
    BASE_ASSERT(d->swap.epoch >= d->record.epoch);
    d->record = d->swap;
    arb_drive_run(
        d, (struct arb_event){.kind = ARB_EVENT_RECORD, .record = &d->record, .is_own = true});
}

void arb_drive_wait(struct arb_drive *d, int64_t us)
{
    d->now.us += us;
    arb_drive_run(d, (struct arb_event){.kind = ARB_EVENT_TICK});
}
