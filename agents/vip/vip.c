/* SPDX-License-Identifier: Apache-2.0 */
/* See vip.h. */
#include "agents/vip/vip.h"

#include <string.h>

#include "base/lease_math.h"
#include "proto/io/log.h"

int vip_settings_add(struct vip_settings *settings, const char *text)
{
    if (settings->count == VIP_ADDRESSES_MAX) {
        return BASE_E_TOOBIG;
    }
    int rc = vip_address_parse(text, &settings->addresses[settings->count]);
    settings->count += rc == 0 ? 1 : 0;
    return rc;
}

/* --- worker thread --- */

static int set_all(const struct vip *v)
{
    int rc = 0;
    for (size_t i = 0; i < v->settings->count && rc == 0; i++) {
        rc = vip_netlink_set(v->settings->interface, &v->settings->addresses[i], v->step.valid_s);
    }
    for (size_t i = 0; i < v->settings->count && rc == 0; i++) {
        bool is_there = vip_netlink_has(v->settings->interface, &v->settings->addresses[i]);
        rc = is_there ? 0 : BASE_E_STATE;
    }
    return rc;
}

/* All of them are tried. */
static int remove_all(const struct vip *v)
{
    int first = 0;
    for (size_t i = 0; i < v->settings->count; i++) {
        int rc = vip_netlink_remove(v->settings->interface, &v->settings->addresses[i]);
        first = first != 0 ? first : rc;
    }
    return first;
}

static int announce_all(const struct vip *v)
{
    int first = 0;
    for (size_t i = 0; i < v->settings->count; i++) {
        int rc = vip_netlink_announce(v->settings->interface, &v->settings->addresses[i]);
        first = first != 0 ? first : rc;
    }
    return first;
}

static void act(struct io_work *work)
{
    struct vip *v = (struct vip *)(void *)work;
    switch (v->step.action) {
    case VIP_ADD:
        v->status = set_all(v);
        if (v->status == 0 && announce_all(v) != 0) {
            v->status = BASE_E_DENIED;
        }
        return;
    case VIP_RENEW:
        v->status = set_all(v);
        return;
    case VIP_REMOVE:
        v->status = remove_all(v);
        return;
    case VIP_ANNOUNCE:
        v->status = announce_all(v);
        return;
    case VIP_NOTHING:
        v->status = 0;
        return;
    }
}

/* --- loop thread --- */

static void look(struct vip *v);

static void log_step(const struct vip *v, bool was_present)
{
    if (v->status != 0) {
        IO_LOG_WARN("vip", "failed", io_i64("action", (int64_t)v->step.action), io_err(v->status),
                    io_text("interface", v->settings->interface),
                    io_text("next", "tried again; needs CAP_NET_ADMIN and CAP_NET_RAW"));
    } else if (v->plan.is_present != was_present) {
        IO_LOG_NOTICE("vip", v->plan.is_present ? "added" : "removed",
                      io_text("interface", v->settings->interface));
    }
}

static void acted(struct io_work *work)
{
    struct vip *v = (struct vip *)(void *)work;
    bool was_present = v->plan.is_present;
    v->is_busy = false;
    vip_plan_done(&v->plan, &v->step, &v->facts, io_now(), v->status == 0);
    log_step(v, was_present);
    if (!v->is_closing) {
        look(v);
    }
}

static int64_t lease_us(const struct agt *a)
{
    uint32_t ms = a->has_order ? a->order.record.ttl_ms : 0;
    int64_t ttl_us = (int64_t)(ms == 0 ? LEASE_TTL_DEFAULT_MS : ms) * BASE_US_PER_MS;
    return ttl_us - lease_margin_us(ttl_us);
}

static void look(struct vip *v)
{
    if (v->is_busy || v->agent == NULL) {
        return;
    }
    struct base_mono now = io_now();
    v->facts = (struct vip_facts){
        .now = now,
        .is_open = agt_is_open(v->agent, now),
        .is_endless = v->agent->has_guard && !v->agent->guard.is_armed,
        .lease_us = lease_us(v->agent),
        .deadline = v->agent->has_guard ? v->agent->guard.deadline : BASE_MONO_LONG_AGO,
    };
    v->step = vip_plan_step(&v->plan, &v->facts);
    if (v->step.action == VIP_NOTHING) {
        io_timer_start(&v->wake, v->step.wake);
        return;
    }
    v->is_busy = true;
    v->work = (struct io_work){.run = act, .done = acted};
    io_work_submit(v->workers, &v->work);
}

static void woke(void *ctx)
{
    look(ctx);
}

int vip_open(struct vip *vip, struct io_loop *loop, const struct vip_settings *settings)
{
    memset(vip, 0, sizeof(*vip));
    vip->settings = settings;
    vip_plan_init(&vip->plan);
    if (settings->count == 0) {
        return 0;
    }
    io_timer_init(&vip->wake, loop, woke, vip);
    return io_workers_new(loop, 1, &vip->workers);
}

void vip_look(struct vip *vip, const struct agt *agent)
{
    if (vip->workers != NULL) {
        vip->agent = agent;
        look(vip);
    }
}

bool vip_is_present(const struct vip *vip)
{
    return vip->plan.is_present;
}

void vip_close(struct vip *vip)
{
    if (vip->workers == NULL) {
        return;
    }
    vip->is_closing = true;
    io_timer_stop(&vip->wake);
    vip->workers = io_workers_free(vip->workers, false);
    if (remove_all(vip) != 0) {
        IO_LOG_WARN("vip", "left_behind",
                    io_text("next", "the kernel takes it away when its lifetime is over"));
    }
}
