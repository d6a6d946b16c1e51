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

/* --- engine.c: where the engines differ; NULL: nothing, or as PostgreSQL's --- */
struct arb_engine {
    enum msg_engine id;
    int64_t kill_us;   /* what the end of a right takes beyond the ttl */
    bool is_leaseless; /* no holder, no lease, no right to be primary: epochs are those of orders */
    bool says_first;   /* of several reasons for a wait the first one is said, not the last */
    /* The member has a database, for a cluster without a record. */
    bool (*has_data)(const struct msg_report *report);
    /* ... and it is another cluster's. */
    bool (*is_other)(const struct msg_record *record, const struct msg_report *report);
    /* The host is the one that the record's holder ran on, though its guard is another. */
    bool (*is_same_host)(const struct msg_record *record, const struct msg_report *report);
    /* Nothing of the database that an earlier guard of this host had is left. */
    bool (*is_old_gone)(const struct msg_report *report);
    /* The holder does what it holds the right for. */
    bool (*is_serving)(const struct msg_report *report);
    /* A report was taken in; `before` is the one that it replaces. */
    void (*taken_in)(struct arb_cluster *c, struct arb_view *view, const struct msg_report *before);
    /* A further condition of a grant. */
    bool (*may_hold)(const struct arb_cluster *c, const struct arb_view *view);
    /* The holder is known to be unable to write, though its lease may run. */
    bool (*is_harmless)(const struct arb_cluster *c, struct base_mono now);
    void (*found)(struct arb_turn *t);  /* there is no record */
    void (*decide)(struct arb_turn *t); /* a record in force, no pause */
    void (*confirm)(struct arb_turn *t);
    /* An operator's word that a member is dead: true when that is answered with it. */
    bool (*dead)(struct arb_turn *t);
    /* Whether a member could take over in a switchover; who is the best one. */
    enum arb_refusal (*target_check)(const struct arb_cluster *c, const struct arb_view *view,
                                     struct base_mono now);
    uint8_t (*target_choose)(const struct arb_cluster *c, struct base_mono now);
    /* The engine's part of an order that is made otherwise. */
    void (*order)(const struct arb_cluster *c, const struct arb_view *view, struct base_mono now,
                  struct msg_order *order);
    /* Answers a request in its own way: true; else it is carried out as every engine's. */
    bool (*request)(struct arb_turn *t);
    /* Why such a request makes no sense here; NULL: it does. */
    const char *(*refuses)(const struct arb_request *request);
};
extern const struct arb_engine arb_engine_postgresql, arb_engine_galera, arb_engine_mongodb;
/* Of the record, or of the first member that is heard. */
const struct arb_engine *arb_engine_of(const struct arb_cluster *c);

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
/* By the clock alone: fences and handbacks aside. */
bool arb_lease_has_run_out(const struct arb_cluster *c, struct base_mono now);
/* How long after a grant of `ttl_us` something may still go on by it. */
int64_t arb_lease_wait_us(const struct arb_cluster *c, int64_t ttl_us);
/* Moment at which it is over if nothing else is granted. */
struct base_mono arb_lease_end(const struct arb_cluster *c);
bool arb_lease_may_grant(const struct arb_cluster *c, const struct arb_view *view);
/* Asks for a confirmation for the holder's report, when a grant is thinkable. */
void arb_lease_ask(struct arb_turn *t, const struct arb_view *view);
void arb_lease_confirmed(struct arb_turn *t, uint64_t ticket);

/* --- vote.c: section 4 --- */
int arb_position_compare(const struct msg_position *a, const struct msg_position *b);
/* The holder has told this node how far it was, and no longer before this leadership than a ttl:
 * what it told others since, and was granted for, is not known here. */
bool arb_is_loss_known(const struct arb_cluster *c);
/* A directory at `p` holds everything up to the record's floor. */
bool arb_position_has_floor(const struct msg_record *record, const struct msg_position *p);
/* Whether the member's vote of the present attempt counts; NONE or why not. */
enum arb_refusal arb_vote_check(const struct arb_cluster *c, const struct arb_view *view);
uint8_t arb_vote_count(const struct arb_cluster *c);
/* Who of the counted voters shall take over: index, or ARB_NOBODY and why in *ret_note. */
uint8_t arb_vote_choose(const struct arb_cluster *c, struct base_mono now,
                        struct arb_note *ret_note);
/* Whether the holder may come back with its own directory; NONE or why not. */
enum arb_refusal arb_return_check(const struct arb_cluster *c, struct base_mono now);
/* What would be lost at most if `p` took over, by the highest position known. */
uint64_t arb_loss_bound(const struct arb_cluster *c, const struct msg_position *p);
bool arb_has_database(const struct arb_view *view);
/* A takeover may lose something, within a limit: asynchronous mode, and standby clusters, whose
 * data are another cluster's. */
bool arb_is_async(const struct msg_record *record);

/* --- candidate.c: tags, zone, drain --- */
/* Why a member that is far enough cannot be the next holder; NONE: it can. */
enum arb_refusal arb_candidate_check(const struct arb_cluster *c, const struct arb_view *view,
                                     struct base_mono now);
/* Among members with equal positions. */
bool arb_candidate_is_better(const struct arb_cluster *c, const struct arb_view *a,
                             const struct arb_view *b);
/* The holder may be elsewhere without us: only whom it has confirmed counts (section 9). */
bool arb_is_confirmed_for_failsafe(const struct arb_cluster *c, const struct base_name *member);
/* Who can take over after an orderly stop at c->handback_lsn, or ARB_NOBODY. */
uint8_t arb_handover_choose(const struct arb_cluster *c, struct base_mono now);
/* Whether a standby may be named as target of a switchover; NONE or why not. */
enum arb_refusal arb_target_check(const struct arb_cluster *c, const struct arb_view *view,
                                  struct base_mono now);
uint8_t arb_target_choose(const struct arb_cluster *c, struct base_mono now);
/* All who are far enough are barred: one that is not fetches from `best` what it lacks. True when
 * somebody does, or has just done so and votes anew. */
bool arb_catch_up_begin(struct arb_turn *t, const struct base_name *best);
void arb_catch_up_end(struct arb_cluster *c);
/* Ends it when it has all, or when it cannot come to an end. */
void arb_catch_up_watch(struct arb_turn *t);
/* A voter that was asked to fetch first: its vote comes after that. */
bool arb_is_catching_up(const struct arb_cluster *c, const struct arb_view *view);

/* --- record.c: new records and swaps --- */
bool arb_settings_are_lawful(const struct msg_record *settings);
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
/* While the holder has its right. True: proposed. */
bool arb_watch_holder(struct arb_turn *t, const struct arb_view *holder);

/* --- takeover.c: a new epoch --- */
void arb_attempt_begin(struct arb_turn *t);
void arb_attempt_end(struct arb_cluster *c);
void arb_right_is_over(struct arb_turn *t, enum arb_over over);
/* Notes when the right of the holder ended, and says so. */
void arb_note_over(struct arb_turn *t, enum arb_over over);
/* An epoch made by a failover was applied here. */
void arb_note_failover(struct arb_cluster *c, struct base_mono now);
void arb_found_again(struct arb_turn *t);

/* --- settings.c: the configuration document. True: proposed --- */
/* For the first record: a lawful document goes before what the first member's file says. */
void arb_settings_begin(const struct arb_cluster *c, struct msg_record *next);
bool arb_settings(struct arb_turn *t);
/* What an operator may need in order to end an outage. */
bool arb_settings_in_outage(struct arb_turn *t);
bool arb_ttl_settle(struct arb_turn *t);
/* Which ttl counts, from a record that was applied. */
void arb_ttl_note(struct arb_cluster *c, const struct msg_record *record, bool is_new_epoch);

/* --- pause.c: section 10. True: proposed --- */
void arb_request_pause(struct arb_turn *t);
void arb_request_resume(struct arb_turn *t);
void arb_request_dead(struct arb_turn *t);
bool arb_armed(struct arb_turn *t);
bool arb_is_known_dead(const struct arb_cluster *c);
/* A later guard of the holder sees no process of the one that the record names. */
bool arb_is_guard_replaced(const struct arb_cluster *c);

/* --- fence.c: section 3. True: proposed --- */
bool arb_fence(struct arb_turn *t);
/* The entry is applied: the present epoch is granted no more. */
bool arb_fence_is_entered(const struct arb_cluster *c);
/* It is required, and has not succeeded. */
bool arb_fence_is_missing(const struct arb_cluster *c);
void arb_fence_ended(struct arb_turn *t);

/* --- task.c. True: proposed --- */
/* Takes out what members have reported to have ended, or what cannot be done any more. */
bool arb_tasks_ended(struct arb_turn *t);
void arb_request_task(struct arb_turn *t);
/* Takes out the tasks of `member`, or all when it is empty; how many. */
uint8_t arb_tasks_drop(struct msg_record *next, const struct base_name *member);
/* Not begun, and its time has come. */
bool arb_task_is_due(const struct arb_turn *t, const struct msg_task *task);
bool arb_tasks(struct arb_turn *t);
/* Members whose copy a REINIT that is due or under way throws away: they leave V before it. */
void arb_tasks_leaving(const struct arb_turn *t, struct msg_names *ret);

/* --- member.c. True: proposed --- */
void arb_request_drain(struct arb_turn *t, bool is_on);
void arb_request_remove(struct arb_turn *t);
void arb_forget(struct arb_turn *t);
bool arb_failsafe(struct arb_turn *t);

/* --- switchover.c. True: proposed --- */
void arb_request_switchover(struct arb_turn *t);
void arb_request_cancel(struct arb_turn *t);
bool arb_switchover_abandon(struct arb_turn *t, const struct arb_view *holder);
bool arb_switchover_due(struct arb_turn *t);
bool arb_drain_holder(struct arb_turn *t);
/* Asks the holder to hand over to the best target. False: nobody can take over; *ret_why says it.
 */
bool arb_switchover_begin(struct arb_turn *t, enum arb_refusal *ret_why);
/* Settings of a seed; what lies outside the bounds takes the default. */
void arb_take_seed(const struct msg_report *seed, struct msg_record *record);
/* A member with a database, for a cluster without a record; NULL: none. */
const struct arb_view *arb_view_with_data(const struct arb_cluster *c);

/* --- request.c: operators --- */
void arb_request(struct arb_turn *t);

/* --- confirm.c: section 1, after a restore --- */
/* Highest epoch of record and reports. */
uint64_t arb_epoch_highest(const struct arb_cluster *c);
/* The epoch of a confirmation: none that a lost quorum may have given is met again. */
uint64_t arb_epoch_confirmed(const struct arb_cluster *c);
void arb_confirm(struct arb_turn *t);
/* A member offers the database that it had before there was an arbiter: waits for what others have,
 * then makes the record. False: nobody does, or an operator has to choose. */
bool arb_adopt_offered(struct arb_turn *t);
/* Is `next` what an operator may confirm in place of `old`? */
bool arb_record_confirms(const struct msg_record *old, const struct msg_record *next);
/* Says that the record is unconfirmed, or that a member has seen a higher epoch; true when nothing
 * may be decided for that. */
bool arb_is_blocked(struct arb_turn *t);
void arb_answer(struct arb_turn *t, int status, const char *text);
/* "NAME text" as the reason. */
void arb_answer_member(struct arb_turn *t, int status, const struct base_name *member,
                       const char *text);

/* --- sync.c: section 5 --- */
void arb_sync(struct arb_turn *t);
struct arb_set arb_sync_target(const struct arb_cluster *c, struct base_mono now);

#endif
