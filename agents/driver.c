/* SPDX-License-Identifier: Apache-2.0 */
/* The agent's glue: event -> step -> effects, in their order. */
#include "agents/driver.h"

#include <signal.h>
#include <string.h>

#include "base/assert.h"
#include "base/name.h"

#define DRIVER_MAGIC 0x61677464u

_Static_assert((int)AGT_SIGNAL_FAST == SIGINT, "fast stop");
_Static_assert((int)AGT_SIGNAL_IMMEDIATE == SIGQUIT, "immediate stop");
_Static_assert((int)AGT_SIGNAL_TERM == SIGTERM, "orderly stop");

int agt_driver_init(struct agt_driver *driver, const struct agt_driver_options *options)
{
    if (options->nodes_count == 0 || options->nodes_count > AGT_NODES_MAX ||
        options->config.session == 0 || base_name_is_empty(&options->config.cluster) ||
        base_name_is_empty(&options->config.member)) {
        return BASE_E_INVALID;
    }
    memset(driver, 0, sizeof(*driver));
    driver->magic = DRIVER_MAGIC;
    driver->ports = options->ports;
    driver->nodes_count = options->nodes_count;
    memcpy(driver->nodes, options->nodes, sizeof(driver->nodes));
    agt_init(&driver->agent, &options->config, &options->disk,
             driver->ports.clock.now(driver->ports.clock.ctx));
    return 0;
}

/* The send time is read before anything else: the deadline of a grant counts from it. */
static void send_report(struct agt_driver *d)
{
    struct base_mono t_send = d->ports.clock.now(d->ports.clock.ctx);
    agt_report_make(&d->agent, t_send, &d->report);
    struct buf b = buf_over(d->bytes, sizeof(d->bytes));
    buf_put_u8(&b, NET_FRAME_REPORT);
    if (wire_report_encode(&d->report, &b) != 0) {
        d->ports.log(d->ports.ctx, "a report does not fit into a frame, not sent");
        return;
    }
    for (uint8_t i = 0; i < d->nodes_count; i++) {
        (void)d->ports.net.send(d->ports.net.ctx, d->nodes[i], buf_slice(&b));
    }
}

/* The deadline counts from this sending, as with a report. */
static void ask_members(struct agt_driver *d)
{
    uint8_t bytes[AGT_FAILSAFE_BYTES_MAX];
    struct agt_failsafe_ask ask;
    struct buf b = buf_over(bytes, sizeof(bytes));
    struct base_mono t_send = d->ports.clock.now(d->ports.clock.ctx);
    if (d->ports.failsafe.ask == NULL) {
        return;
    }
    agt_failsafe_make(&d->agent, t_send, &ask);
    int rc = agt_failsafe_ask_encode(&ask, &b);
    BASE_ASSERT(rc == 0); /* bounded by its limits */
    d->ports.failsafe.ask(d->ports.failsafe.ctx, d->agent.failsafe.peers,
                          d->agent.failsafe.peers_count, buf_slice(&b));
}

static void save_state(struct agt_driver *d)
{
    struct buf b = buf_over(d->bytes, AGT_DISK_BYTES_MAX);
    int rc = agt_disk_encode(&d->agent.saving, &b);
    BASE_ASSERT(rc == 0); /* bounded by its limits */
    d->ports.state.save(d->ports.state.ctx, buf_slice(&b));
}

static void guard_effect(struct agt_driver *d, const struct agt_effect *fx)
{
    const struct guard_port *g = &d->ports.guard;
    switch (fx->kind) {
    case AGT_FX_GUARD_START:
        g->start(g->ctx);
        return;
    case AGT_FX_GUARD_ARM:
        if (fx->soft_us > 0) {
            g->arm_soft(g->ctx, fx->epoch, fx->deadline, fx->soft_us);
        } else {
            g->arm(g->ctx, fx->epoch, fx->deadline, fx->freeze_max_us);
        }
        return;
    case AGT_FX_GUARD_DISARM:
        g->disarm(g->ctx);
        return;
    case AGT_FX_GUARD_SIGNAL:
        g->signal(g->ctx, fx->number);
        return;
    case AGT_FX_GUARD_KILL:
        g->kill(g->ctx);
        return;
    case AGT_FX_GUARD_HAND_BACK:
        g->hand_back(g->ctx, fx->epoch);
        return;
    case AGT_FX_GUARD_RELEASE:
        g->release(g->ctx, fx->epoch);
        return;
    case AGT_FX_DB_ORDER:
    case AGT_FX_DB_CANCEL:
    case AGT_FX_SAVE:
    case AGT_FX_REPORT:
    case AGT_FX_LOG:
    case AGT_FX_FAILSAFE_ASK:
        break;
    }
    BASE_UNREACHABLE();
}

static void effect_do(struct agt_driver *d, const struct agt_effect *fx)
{
    switch (fx->kind) {
    case AGT_FX_DB_ORDER:
        d->ports.db.order(d->ports.db.ctx, &d->effects.db_order);
        return;
    case AGT_FX_DB_CANCEL:
        d->ports.db.order(d->ports.db.ctx, &d->effects.db_cancel);
        return;
    case AGT_FX_SAVE:
        save_state(d);
        return;
    case AGT_FX_REPORT:
        send_report(d);
        return;
    case AGT_FX_FAILSAFE_ASK:
        ask_members(d);
        return;
    case AGT_FX_LOG:
        d->ports.log(d->ports.ctx, d->effects.logs[fx->number].text);
        return;
    case AGT_FX_GUARD_START:
    case AGT_FX_GUARD_ARM:
    case AGT_FX_GUARD_DISARM:
    case AGT_FX_GUARD_SIGNAL:
    case AGT_FX_GUARD_KILL:
    case AGT_FX_GUARD_HAND_BACK:
    case AGT_FX_GUARD_RELEASE:
        guard_effect(d, fx);
        return;
    }
    BASE_UNREACHABLE();
}

/* One step. The time is read here and now, never a loop's cached one: it decides whether a deadline
 * is ahead. */
static void step(struct agt_driver *d, struct agt_event *event)
{
    BASE_ASSERT(d->magic == DRIVER_MAGIC);
    BASE_ASSERT(!d->is_stepping);
    d->is_stepping = true;
    event->now = d->ports.clock.now(d->ports.clock.ctx);
    agt_step(&d->agent, event, &d->effects);
    for (uint8_t i = 0; i < d->effects.count; i++) {
        effect_do(d, &d->effects.list[i]);
    }
    d->ports.wake(d->ports.ctx, d->effects.wake);
    d->is_stepping = false;
}

void agt_driver_start(struct agt_driver *driver)
{
    agt_driver_timer(driver);
}

/* A document counts when the newest order names its revision: also a lower one than before, since
 * the store may have been restored. */
static bool config_fits(const struct agt_driver *d, const struct msg_config *c)
{
    const struct agt *a = &d->agent;
    return base_name_equal(&c->cluster, &a->config.cluster) && agt_order_is_in_force(a) &&
           c->term >= a->order.term && c->revision != 0 &&
           c->revision == a->order.record.config_revision;
}

static bool take_config(struct agt_driver *d, struct slice frame)
{
    struct msg_config config;
    if (wire_config_decode(frame, d->config_text, &config) != 0) {
        return false;
    }
    bool is_new =
        config.revision != d->config_revision || config.revision != d->agent.view.config_revision;
    if (!config_fits(d, &config) || !is_new || d->ports.db.configure == NULL) {
        return true;
    }
    d->config_revision = config.revision;
    d->ports.db.configure(d->ports.db.ctx, config.revision, config.text);
    step(d, &(struct agt_event){.kind = AGT_EVENT_CONFIG, .revision = config.revision});
    return true;
}

static bool take_order(struct agt_driver *d, const struct net_identity *from, struct slice frame)
{
    if (wire_order_decode(frame, &d->order) != 0) {
        return false;
    }
    d->leader = from->member;
    step(d, &(struct agt_event){.kind = AGT_EVENT_ORDER, .order = &d->order});
    return true;
}

void agt_driver_receive(struct agt_driver *driver, const struct net_identity *from,
                        struct slice frame)
{
    uint8_t kind = 0;
    bool is_good = from->role == NET_ROLE_NODE && slice_take_u8(&frame, &kind) == 0;
    if (is_good && kind == NET_FRAME_CONFIG) {
        is_good = take_config(driver, frame);
    } else {
        is_good = is_good && kind == NET_FRAME_ORDER && take_order(driver, from, frame);
    }
    driver->frames_bad += is_good ? 0 : 1;
}

int agt_driver_failsafe(struct agt_driver *driver, const struct net_identity *from,
                        struct slice request, struct buf *ret_answer)
{
    struct agt_failsafe_ask ask;
    int rc = agt_failsafe_ask_decode(request, &ask);
    if (rc != 0) {
        driver->frames_bad++;
        return rc;
    }
    bool is_proven = from->role == NET_ROLE_NONE ||
                     (from->role == NET_ROLE_AGENT &&
                      base_name_equal(&from->cluster, &driver->agent.config.cluster) &&
                      base_name_equal(&from->member, &ask.holder));
    if (!is_proven || !base_name_equal(&ask.cluster, &driver->agent.config.cluster)) {
        return BASE_E_DENIED;
    }
    step(driver, &(struct agt_event){.kind = AGT_EVENT_FAILSAFE_ASKED, .ask = &ask});
    return agt_failsafe_answer_encode(&driver->effects.failsafe_answer, ret_answer);
}

void agt_driver_failsafe_answer(struct agt_driver *driver, const struct base_name *member,
                                struct slice bytes)
{
    struct agt_failsafe_answer answer;
    if (agt_failsafe_answer_decode(bytes, &answer) != 0 ||
        !base_name_equal(&answer.member, member)) {
        driver->frames_bad++;
        return;
    }
    step(driver, &(struct agt_event){.kind = AGT_EVENT_FAILSAFE_ANSWER, .answer = &answer});
}

void agt_driver_connected(struct agt_driver *driver)
{
    step(driver, &(struct agt_event){.kind = AGT_EVENT_CONNECTED});
}

void agt_driver_guard_status(struct agt_driver *driver, const struct guard_status *status)
{
    step(driver, &(struct agt_event){.kind = AGT_EVENT_GUARD, .guard = status});
}

void agt_driver_db_view(struct agt_driver *driver, const struct db_view *view)
{
    step(driver, &(struct agt_event){.kind = AGT_EVENT_VIEW, .view = view});
}

void agt_driver_db_done(struct agt_driver *driver, const struct db_done *done)
{
    step(driver, &(struct agt_event){.kind = AGT_EVENT_DONE, .done = done});
}

void agt_driver_saved(struct agt_driver *driver, int status)
{
    step(driver, &(struct agt_event){.kind = AGT_EVENT_SAVED, .status = status});
}

void agt_driver_timer(struct agt_driver *driver)
{
    step(driver, &(struct agt_event){.kind = AGT_EVENT_TIMER});
}

void agt_driver_shutdown(struct agt_driver *driver)
{
    step(driver, &(struct agt_event){.kind = AGT_EVENT_SHUTDOWN});
}

bool agt_driver_is_finished(const struct agt_driver *driver)
{
    const struct agt_ports *ports = &driver->ports;
    return agt_is_finished(&driver->agent, ports->clock.now(ports->clock.ctx));
}

const struct agt *agt_driver_agent(const struct agt_driver *driver)
{
    return &driver->agent;
}
