/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of arbiter/core; nobody else includes this. */
#ifndef QUORATE_ARBITER_CORE_INTERNAL_H
#define QUORATE_ARBITER_CORE_INTERNAL_H

#include "arbiter/core/arb.h"

/* One step under way: what came and what shall be done. */
struct arb_turn {
    struct arb_cluster *c;
    const struct arb_event *event;
    struct arb_effects *fx;
};

/* --- note --- */
struct arb_note *arb_say(struct arb_turn *t, enum arb_note_kind kind);
/* Says why nothing can be decided, once for each new reason. */
void arb_say_waiting(struct arb_turn *t, const struct arb_note *note);

/* --- view.c: who is there --- */
void arb_view_report(struct arb_turn *t);
/* The view of the record's holder; NULL when it was never heard of. */
struct arb_view *arb_view_holder(struct arb_cluster *c);
/* Heard within `us`. */
bool arb_view_is_fresh(const struct arb_view *view, struct base_mono now, int64_t us);
/* Heard within three heartbeats of the cluster and half a second at least. */
bool arb_view_is_live(const struct arb_cluster *c, const struct arb_view *view,
                      struct base_mono now);
/* The guard process that the record names, or the one that may use the epoch. */
bool arb_view_is_holder(const struct arb_cluster *c, const struct arb_view *view);
int64_t arb_heartbeat_us(const struct arb_cluster *c);
int64_t arb_ttl_us(const struct arb_cluster *c);
/* Record is below an epoch that a member has seen: nothing may be granted or decided. */
const struct arb_view *arb_view_ahead(const struct arb_cluster *c);

/* --- lease.c: section 2 --- */
void arb_lease_reset(struct arb_cluster *c);
/* Notes a handback in `view`'s report; true when it is new and valid. */
bool arb_lease_handback(struct arb_turn *t, const struct arb_view *view);
/* Whether the right of the holder is over at `now`, and how. */
enum arb_over arb_lease_over(const struct arb_cluster *c, struct base_mono now);
/* Moment at which it is over if nothing else is granted. */
struct base_mono arb_lease_end(const struct arb_cluster *c);
bool arb_lease_may_grant(const struct arb_cluster *c, const struct arb_view *view);
/* Asks for a confirmation for the holder's report, when a grant is thinkable. */
void arb_lease_ask(struct arb_turn *t, const struct arb_view *view);
void arb_lease_confirmed(struct arb_turn *t, uint64_t ticket);

/* --- vote.c: section 4 --- */
int arb_position_compare(const struct msg_position *a, const struct msg_position *b);
/* A directory at `p` holds everything up to the record's floor. */
bool arb_position_has_floor(const struct msg_record *record, const struct msg_position *p);
/* Whether the member's vote of the present attempt counts; NONE or why not. */
enum arb_refusal arb_vote_check(const struct arb_cluster *c, const struct arb_view *view);
uint8_t arb_vote_count(const struct arb_cluster *c);
/* Who of the counted voters shall take over: index, or ARB_NOBODY and why in *ret_note. */
uint8_t arb_vote_choose(const struct arb_cluster *c, struct base_mono now,
                        struct arb_note *ret_note);
/* Who can take over after an orderly stop at c->handback_lsn, or ARB_NOBODY. */
uint8_t arb_handover_choose(const struct arb_cluster *c, struct base_mono now);
/* Whether the holder may come back with its own directory; NONE or why not. */
enum arb_refusal arb_return_check(const struct arb_cluster *c, struct base_mono now);
/* Whether a standby may be named as target of a switchover; NONE or why not. */
enum arb_refusal arb_target_check(const struct arb_cluster *c, const struct arb_view *view,
                                  struct base_mono now);
uint8_t arb_target_choose(const struct arb_cluster *c, struct base_mono now);
/* What would be lost at most if `p` took over, by the highest position known. */
uint64_t arb_loss_bound(const struct arb_cluster *c, const struct msg_position *p);
bool arb_has_database(const struct arb_view *view);

/* --- record.c: new records and swaps --- */
bool arb_record_check(const struct msg_record *record);
/* Is `next` a lawful successor of `old`? */
bool arb_record_follows(const struct msg_record *old, const struct msg_record *next);
/* Proposes: fills the swap effect and remembers it. */
void arb_propose(struct arb_turn *t, enum arb_decision_kind kind, struct msg_record *next);
/* Record of the next epoch for `view`, with a timeline reserved. */
struct msg_record arb_record_next(const struct arb_cluster *c, const struct arb_view *view,
                                  struct base_wall wall);
/* Fills the decision with what is known now. */
void arb_decision_begin(struct arb_turn *t, enum arb_decision_kind kind,
                        const struct base_name *to);

/* --- decide.c --- */
void arb_decide(struct arb_turn *t);
void arb_attempt_end(struct arb_cluster *c);
/* Settings of a seed; what lies outside the bounds takes the default. */
void arb_take_seed(const struct msg_report *seed, struct msg_record *record);
/* A member with a database, for a cluster without a record; NULL: none. */
const struct arb_view *arb_view_with_data(const struct arb_cluster *c);

/* --- request.c: operators --- */
void arb_request(struct arb_turn *t);

/* --- confirm.c: section 1, after a restore --- */
void arb_confirm(struct arb_turn *t);
/* Is `next` what an operator may confirm in place of `old`? */
bool arb_record_confirms(const struct msg_record *old, const struct msg_record *next);
/* Says that the record is unconfirmed, or that a member has seen a higher epoch; true when nothing
 * may be decided for that. */
bool arb_is_blocked(struct arb_turn *t);
void arb_answer(struct arb_turn *t, int status, const char *text);

/* --- sync.c: section 5 --- */
void arb_sync(struct arb_turn *t);
struct arb_set arb_sync_target(const struct arb_cluster *c, struct base_mono now);

#endif
