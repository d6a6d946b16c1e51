/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of arbiter/core that decide about MongoDB replica sets; engine.c names the
 * hooks.
 */
#ifndef QUORATE_ARBITER_CORE_MONGODB_INTERNAL_H
#define QUORATE_ARBITER_CORE_MONGODB_INTERNAL_H

#include "arbiter/core/internal.h"
#include "arbiter/core/mongodb_rules.h"

#define MONGODB_WANTS_MAX (MSG_MEMBERS_MAX + MSG_MONGODB_PEERS_MAX)
#define MONGODB_BACK_OFF_US (10 * BASE_US_PER_S) /* after one failure; doubled with each more */
#define MONGODB_BACK_OFF_MAX_US (300 * BASE_US_PER_S)
#define MONGODB_CANCELED_US (60 * BASE_US_PER_S) /* an operator has canceled an order */
#define MONGODB_STEER_US (600 * BASE_US_PER_S)   /* one steering move in that */
#define MONGODB_CORRECT_US (60 * BASE_US_PER_S)  /* one correction of a priority in that */
#define MONGODB_CORRECTIONS_MAX 3                /* in a row */
#define MONGODB_CORRECT_FORGET_US (900 * BASE_US_PER_S)
#define MONGODB_TOKEN_US (600 * BASE_US_PER_S) /* a plan of force that nobody carries out */
#define MONGODB_TASK_WAIT_US (3 * BASE_US_PER_S)
#define MONGODB_GRAY_MS 20000u /* the agent's own ladder has had its time: 6 s and twice 5 s */

/* All that is known at one moment. */
struct arb_sight {
    struct mdb_opinion opinions[MSG_MEMBERS_MAX]; /* opinions[i] is of views[i] */
    uint8_t count;
    struct mdb_set set;
    struct mdb_want wants[MONGODB_WANTS_MAX];
    uint8_t wants_count;
    bool is_any_heard;
};

/* --- mongodb_sight.c --- */
void arb_mongodb_look(const struct arb_cluster *c, struct base_mono now, struct arb_sight *ret);
/* Its name in the configuration, or under which it would come in; empty: not known. */
struct msg_mongodb_host arb_mongodb_host(const struct arb_cluster *c, const struct arb_view *view);
/* The report of the primary; NULL: there is none, or two claim it. */
const struct msg_mongodb_report *arb_mongodb_primary(const struct arb_sight *s);
/* Name of peers[at]; empty when nobody has that host. */
struct base_name arb_mongodb_name(const struct arb_cluster *c, const struct arb_sight *s,
                                  uint8_t at);
/* Peer of a member by name; MDB_NOBODY: not in the configuration. */
uint8_t arb_mongodb_peer(const struct arb_cluster *c, const struct arb_sight *s,
                         const struct base_name *member);
uint32_t arb_mongodb_since_ms(struct base_mono now, struct base_mono since);
/* How long the member's agent has been silent or has said that no process runs. */
uint32_t arb_mongodb_silent_ms(const struct arb_cluster *c, const struct base_name *member,
                               struct base_mono now);
enum msg_mongodb_set_state arb_mongodb_state_of(const struct arb_cluster *c,
                                                const struct arb_sight *s, struct base_mono now);

/* --- mongodb.c: hooks, what is observed, what goes first --- */
bool arb_mongodb_has_data(const struct msg_report *report);
bool arb_mongodb_is_other(const struct msg_record *record, const struct msg_report *report);
bool arb_mongodb_is_same_host(const struct msg_record *record, const struct msg_report *report);
bool arb_mongodb_is_old_gone(const struct msg_report *report);
bool arb_mongodb_is_serving(const struct msg_report *report);
void arb_mongodb_taken_in(struct arb_cluster *c, struct arb_view *view,
                          const struct msg_report *before);
void arb_mongodb_decide(struct arb_turn *t);
enum arb_refusal arb_mongodb_target_check(const struct arb_cluster *c, const struct arb_view *view,
                                          struct base_mono now);

/* --- mongodb_watch.c: the open order --- */
/* Begins an order: `o` says kind, member, subject and what it changes; `next` is the record with
 * everything else that changes in the same entry, `cause` what the history tells. */
void arb_mongodb_begin(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                       const struct msg_mongodb_order *o, enum arb_mongodb_cause cause);
/* Ends it or brings it into its next phase. True: proposed. */
bool arb_mongodb_watch(struct arb_turn *t, const struct arb_sight *s);
bool arb_mongodb_is_open(const struct msg_record *record);
/* How long the next try waits after so many failures before this one. */
int64_t arb_mongodb_back_off_us(uint8_t failures);
/* Ends the open order for an operator. */
void arb_mongodb_cancel(struct arb_turn *t);

/* --- mongodb_step.c: what to order next --- */
void arb_mongodb_next(struct arb_turn *t, const struct arb_sight *s);
/* An order to the primary about peers[at]. */
struct msg_mongodb_order arb_mongodb_about(const struct arb_turn *t, const struct arb_sight *s,
                                           enum msg_mongodb_order_kind kind, uint8_t at);
/* Whom a switchover goes to: the one wanted, or the best; MDB_NOBODY and why. `is_asked`: by a
 * person. */
uint8_t arb_mongodb_target(const struct arb_turn *t, const struct arb_sight *s,
                           const struct base_name *wanted, bool is_asked, enum arb_refusal *ret_why,
                           struct base_name *ret_who);
void arb_mongodb_switch(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                        uint8_t target, enum arb_mongodb_cause cause);

/* To the best one, for whatever makes the primary leave. True: proposed. */
bool arb_mongodb_move_away(struct arb_turn *t, const struct arb_sight *s, struct msg_record *next,
                           enum arb_mongodb_cause cause);

/* --- mongodb_task.c: what was asked of single members; members that are stale. True: proposed ---
 */
/* In the order in which it was asked for, a primary after all others. What has to wait keeps no
 * other one waiting; what was asked of one that is barred waits until it is emptied. */
bool arb_mongodb_tasks(struct arb_turn *t, const struct arb_sight *s);
bool arb_mongodb_mend_stale(struct arb_turn *t, const struct arb_sight *s);
/* The order that failed was of a task or of a drain: that one is put off, nothing else. */
bool arb_mongodb_put_off(struct arb_turn *t);
/* It was done: what it was of is not put off any more. */
void arb_mongodb_try_again(struct arb_turn *t);
/* It is put off still; says so, by `kind`. `of`: id of a task, or ARB_MONGODB_OF_DRAIN. */
bool arb_mongodb_is_put_off(struct arb_turn *t, uint64_t of, const struct base_name *member,
                            enum arb_note_kind kind);

/* --- mongodb_request.c, mongodb_found.c, mongodb_order.c --- */
bool arb_mongodb_request(struct arb_turn *t);
const char *arb_mongodb_refuses(const struct arb_request *request);
void arb_mongodb_found(struct arb_turn *t);
void arb_mongodb_confirm(struct arb_turn *t);
/* Nobody is in a configuration though there was to be one: the same member tries again. */
void arb_mongodb_found_again(struct arb_turn *t, const struct arb_sight *s);
void arb_mongodb_order(const struct arb_cluster *c, const struct arb_view *view,
                       struct base_mono now, struct msg_order *order);

#endif
