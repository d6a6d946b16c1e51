/* SPDX-License-Identifier: Apache-2.0 */
/* Glue of an agent: drives agents/core with what the ports bring, and carries its effects out.
 *
 * The same file runs in the product and in the simulator. Loop thread only; no I/O, no allocation,
 * no clock but the clock port. Each agt_driver_* event call runs one step and carries out its
 * effects in their order; ports must not call back from inside of their own functions. Reports go
 * to every quorum node, orders are taken from those nodes alone.
 */
#ifndef QUORATE_AGENTS_DRIVER_H
#define QUORATE_AGENTS_DRIVER_H

#include "agents/core/agent.h"
#include "agents/port_db.h"
#include "agents/port_failsafe.h"
#include "agents/port_guard.h"
#include "agents/port_state.h"
#include "proto/port_clock.h"
#include "proto/port_net.h"
#include "proto/wire/agent.h"

#define AGT_NODES_MAX 9

struct agt_ports {
    struct net_port net;
    struct clock_port clock;
    struct guard_port guard;
    struct db_port db;
    struct state_port state;
    struct failsafe_port failsafe;
    void *ctx;
    /* Replaces the wish before: agt_driver_timer is to be called at `at`, or soon after. */
    void (*wake)(void *ctx, struct base_mono at);
    /* One line for people. */
    void (*log)(void *ctx, const char *text);
};

struct agt_driver {
    uint32_t magic;
    bool is_stepping;
    struct agt agent;
    struct agt_ports ports;
    uint64_t nodes[AGT_NODES_MAX]; /* node ids: links of the net port */
    uint8_t nodes_count;
    uint64_t frames_bad;     /* undecodable, or not from a node */
    struct base_name leader; /* whose order came last; for showing */
    struct agt_effects effects;
    struct msg_order order;   /* decoded into */
    uint64_t config_revision; /* of the document that was handed over last */
    uint8_t config_text[MSG_CONFIG_MAX];
    struct msg_report report; /* encoded from */
    uint8_t bytes[1 + WIRE_AGENT_BYTES_MAX];
};

/* What a driver is made of; copied. */
struct agt_driver_options {
    struct agt_config config;
    struct agt_ports ports;
    struct agt_disk disk; /* as loaded; zeros for a new member */
    uint64_t nodes[AGT_NODES_MAX];
    uint8_t nodes_count;
};

/* BASE_E_INVALID: no nodes, too many, a session of 0, or a name missing. */
MUST_CHECK int agt_driver_init(struct agt_driver *driver, const struct agt_driver_options *options);
/* First timer; call once when the ports work. */
void agt_driver_start(struct agt_driver *driver);

/* Events. */
void agt_driver_receive(struct agt_driver *driver, const struct net_identity *from,
                        struct slice frame);
void agt_driver_connected(struct agt_driver *driver); /* a node can be reached again */
void agt_driver_guard_status(struct agt_driver *driver, const struct guard_status *status);
void agt_driver_db_view(struct agt_driver *driver, const struct db_view *view);
void agt_driver_db_done(struct agt_driver *driver, const struct db_done *done);
void agt_driver_saved(struct agt_driver *driver, int status);
/* A holder's failsafe request, from the peer whose certificate proved to be `from` (on loopback
 * without TLS: role NONE, and the request itself says who asks). 0: `ret_answer` has the bytes of
 * the answer, granted or not. DENIED: not an agent of this cluster, or in another's name. PROTO. */
MUST_CHECK int agt_driver_failsafe(struct agt_driver *driver, const struct net_identity *from,
                                   struct slice request, struct buf *ret_answer);
/* A peer's answer to a round of ours, `member` being whom the certificate proved to have answered
 * (without TLS: who was asked). */
void agt_driver_failsafe_answer(struct agt_driver *driver, const struct base_name *member,
                                struct slice answer);
void agt_driver_timer(struct agt_driver *driver);
/* Hand over what is held and stop the database; agt_driver_is_finished tells when that is done. */
void agt_driver_shutdown(struct agt_driver *driver);
bool agt_driver_is_finished(const struct agt_driver *driver);

/* For health checks and tests; read only. */
const struct agt *agt_driver_agent(const struct agt_driver *driver);

#endif
