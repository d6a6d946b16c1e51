/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB member's agent in a world that is changed by hand: a guard's status, a view, an order.
 * One world; m_begin* makes it anew. Durable state is saved at once unless is_disk_slow.
 */
#ifndef QUORATE_TESTS_UNIT_MONGODB_MEMBER_H
#define QUORATE_TESTS_UNIT_MONGODB_MEMBER_H

#include "agents/core/agent.h"

#define MS BASE_US_PER_MS
#define SECOND BASE_US_PER_S

struct mongodb_member {
    struct agt a;
    struct agt_effects fx;
    struct base_mono now;
    struct guard_status guard;
    struct db_view view;
    struct msg_order order;
    struct msg_report report;
    bool is_disk_slow;
    bool is_arbiter_silent; /* of the control plane: no orders come */
    struct db_order ask;    /* the last one; kind NONE: it has ended, or there was none */
    char log[4096];         /* all lines since m_begin */
    void (*tell)(const struct agt_effects *fx, const struct agt_effect *one); /* may be NULL */
    unsigned starts, kills, terms, saves, asks, cancels;
};
extern struct mongodb_member w;

struct base_name m_name(const char *text);
struct msg_mongodb_host m_host(const char *text);
void m_feed(struct agt_event event);
void m_tick(void);
void m_pass(int64_t us); /* the clock alone */
void m_live(int64_t us); /* looks and orders every half a second for so long */
void m_look(void);       /* a probe that began now, of what w.view says */
void m_guard_says(void);
void m_order_comes(void);
void m_done(int status, int32_t code); /* of w.ask */
void m_saved(void);                    /* a slow disk has finished */

/* Three members a:1, b:1, c:1 of set rs0, this one "a"; nothing runs, nothing was said. */
void m_begin(void);
void m_begin_with(const struct agt_disk *disk, bool is_watched);
void m_root_runs(void);
void m_root_ends(void);
/* Running and healthy; record of epoch 1 in force, goal RUN. */
void m_begin_secondary(void);
void m_begin_primary(void); /* in term 7 */
void m_be_primary(uint64_t term);
void m_be_secondary(void);
/* Another agent process over the same server and disk; nothing was heard yet. */
void m_agent_restarts(void);

/* An open order in the next epoch, for this member, with 20 s left; expected term and configuration
 * are the present ones. Sent. */
struct msg_mongodb_order *m_order(enum msg_mongodb_order_kind kind);
void m_order_send(void);
/* What was reported last of orders. */
struct msg_mongodb_report *m_report(void);

#endif
