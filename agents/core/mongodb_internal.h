/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by agents/core/mongodb_*.c only. */
#ifndef QUORATE_AGENTS_CORE_MONGODB_INTERNAL_H
#define QUORATE_AGENTS_CORE_MONGODB_INTERNAL_H

#include "agents/core/internal.h"

#define AGT_MONGODB_TICK_US (INT64_C(250) * BASE_US_PER_MS)
#define AGT_MONGODB_GAP_US BASE_US_PER_S            /* between two steps: we have stood still */
#define AGT_MONGODB_EVIDENCE_US (3 * BASE_US_PER_S) /* older than that it proves nothing */
#define AGT_MONGODB_STATUS_US (5 * BASE_US_PER_S)   /* the same of replSetGetStatus */
#define AGT_MONGODB_SILENT_US (5 * BASE_US_PER_S)   /* a hello of that age tells no state */
#define AGT_MONGODB_CONTROL_US (5 * BASE_US_PER_S)  /* no word of the arbiter */
#define AGT_MONGODB_MISSES 3
#define AGT_MONGODB_LAG_MS 10000u

/* --- mongodb_facts.c: what follows from what is known; no effects --- */

bool agt_mongodb_is_watched(const struct agt *a); /* run by somebody else */
/* There is a process that we look at: of our guard, or the watched one. */
bool agt_mongodb_is_running(const struct agt *a);
/* Asked for since this host stood still, and of this server. */
bool agt_mongodb_is_valid(const struct agt *a, struct base_mono asked_at);
bool agt_mongodb_has_hello(const struct agt *a, struct base_mono now, int64_t within_us);
bool agt_mongodb_has_status(const struct agt *a, struct base_mono now);
bool agt_mongodb_has_config(const struct agt *a); /* the one that hello tells of */
uint64_t agt_mongodb_term(const struct agt *a);   /* the server's own word; 0: none */
bool agt_mongodb_is_set_id_known(const uint8_t *id);
/* As MongoDB orders them: one without a term (forced) is known by its version alone. */
bool agt_mongodb_version_equal(const struct msg_mongodb_version *a,
                               const struct msg_mongodb_version *b);
bool agt_mongodb_is_set_config(const struct msg_mongodb_version *version); /* not {0, 0} */
/* A member of the configuration; NULL: none of that name. */
const struct msg_mongodb_peer *agt_mongodb_peer(const struct agt *a,
                                                const struct msg_mongodb_host *host);
bool agt_mongodb_host_equal(const struct msg_mongodb_host *a, const struct msg_mongodb_host *b);
/* Members of the configuration that vote, are healthy, and were heard within two heartbeats by
 * this one's status; itself among them. */
uint8_t agt_mongodb_live_voters(const struct agt *a, struct base_mono now);
uint8_t agt_mongodb_majority(const struct agt *a);
/* Of two positions the later one. */
struct msg_mongodb_optime agt_mongodb_later(struct msg_mongodb_optime a,
                                            struct msg_mongodb_optime b);
struct msg_mongodb_optime agt_mongodb_applied(const struct agt *a);
uint32_t agt_mongodb_lag_ms(const struct agt *a, struct base_mono now); /* UINT32_MAX: unknown */
/* For how long no canary write has come through; 0: they do, or it is no primary. */
int64_t agt_mongodb_canary_us(const struct agt *a, struct base_mono now);
bool agt_mongodb_is_gray(const struct agt *a, struct base_mono now);
enum agt_mongodb_state agt_mongodb_state_of(const struct agt *a, struct base_mono now);
enum agt_mongodb_goal agt_mongodb_goal_of(const struct agt *a);
/* What the table does there, in words; of a watched one: that it is left alone. */
const char *agt_mongodb_doing(const struct agt *a, enum agt_mongodb_state state,
                              enum agt_mongodb_goal goal);
/* The others are healthy, connected and caught up, as the arbiter said within 5 s. */
bool agt_mongodb_is_majority_elsewhere(const struct agt *a, struct base_mono now);
/* What the last record says. */
enum msg_mongodb_cut_off agt_mongodb_cut_off(const struct agt *a);
enum msg_mongodb_gray agt_mongodb_gray(const struct agt *a);

/* --- mongodb_sight.c: what is taken in --- */

void agt_mongodb_tick(struct agt_run *run);
void agt_mongodb_root_started(struct agt_run *run);
void agt_mongodb_root_gone(struct agt_run *run);
void agt_mongodb_view(struct agt_run *run);
void agt_mongodb_order_done(struct agt_run *run, const struct db_order *order,
                            const struct db_done *done);

/* --- mongodb_orders.c: the arbiter's orders --- */

/* How two places of orders stand to each other: below, at, or above 0. */
int agt_mongodb_place_compare(uint64_t epoch, uint8_t phase, uint64_t other, uint8_t other_phase);
/* The record's order when it is open, in force, of this very epoch, and this member has a part in
 * it that has not ended; NULL: none. */
const struct msg_mongodb_order *agt_mongodb_order(const struct agt *a);
/* ... and it was begun, on disk. */
bool agt_mongodb_is_begun(const struct agt *a, const struct msg_mongodb_order *o);
/* The root process that ran when the order was begun is the one that is there. */
bool agt_mongodb_is_former_root(const struct agt *a);
void agt_mongodb_orders(struct agt_run *run, enum agt_mongodb_state state);
void agt_mongodb_order_end(struct agt_run *run, int status, int32_t code);

/* --- mongodb_rules.c: what each order needs, asks for, and is known by --- */

enum agt_mongodb_who { AGT_MONGODB_WHO_MEMBER, AGT_MONGODB_WHO_SUBJECT, AGT_MONGODB_WHO_OTHERS };
enum agt_mongodb_need {
    AGT_MONGODB_NEED_NOTHING,
    AGT_MONGODB_NEED_PRIMARY,
    AGT_MONGODB_NEED_SECONDARY,
    AGT_MONGODB_NEED_ABSENT, /* answers, and is in no set */
    AGT_MONGODB_NEED_ANSWER,
    AGT_MONGODB_NEED_OURS /* not watched: started and stopped by us */
};
struct agt_mongodb_rule {
    enum msg_mongodb_order_kind kind;
    enum msg_mongodb_phase phase;
    enum agt_mongodb_who who;
    enum agt_mongodb_need need;
    enum db_order_kind ask; /* NONE: done by starts and stops, the table's */
    int64_t limit_us;       /* of that */
    bool is_config;         /* on exactly the expected configuration */
    bool is_reply_enough;   /* nothing to be read afterwards */
    bool is_failure_final;  /* also one that another try might mend */
    bool is_once;           /* never sent again by a process that has not sent it */
    bool is_any_term;       /* whatever the term is: it undoes something */
    bool is_term_own;       /* it makes a term of its own: only another's is one that has moved */
    /* It is as the order wants it, by what was seen. */
    bool (*is_there)(const struct agt *a, const struct msg_mongodb_order *o, struct base_mono now);
    /* Its particulars; false: it cannot be put into words here. */
    bool (*fill)(const struct agt *a, const struct msg_mongodb_order *o,
                 struct db_mongodb_order *ret);
};
const char *agt_mongodb_order_text(enum msg_mongodb_order_kind kind);
/* NULL: no such order. */
const struct agt_mongodb_rule *agt_mongodb_rule(enum msg_mongodb_order_kind kind, uint8_t phase);
bool agt_mongodb_is_asked(const struct agt *a, const struct agt_mongodb_rule *rule,
                          const struct msg_mongodb_order *o);

/* --- mongodb_ladder.c: a primary that is cut off or does not write. True: has taken the step. ---
 */

void agt_mongodb_sample(struct agt_run *run);
bool agt_mongodb_ladder(struct agt_run *run);

/* --- mongodb_act.c --- */

void agt_mongodb_step(struct agt_run *run);

/* --- mongodb_tasks.c: operators' tasks; `kind` NONE: not of an order --- */

void agt_mongodb_tasks(struct agt_run *run);
void agt_mongodb_task_of_order(struct agt_run *run, enum msg_mongodb_order_kind kind, int status);

/* --- mongodb_report.c --- */

void agt_mongodb_report(const struct agt *a, struct base_mono now, struct msg_report *r);
uint32_t agt_mongodb_digest(const struct agt *a, struct base_mono now);

#endif
