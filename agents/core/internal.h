/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the files of agents/core only: the step under way, facts, effects, orders, actions. */
#ifndef QUORATE_AGENTS_CORE_INTERNAL_H
#define QUORATE_AGENTS_CORE_INTERNAL_H

#include "agents/core/agent.h"
#include "base/assert.h"
#include "base/name.h"

#define AGT_START_TIMEOUT_US (INT64_C(30) * BASE_US_PER_S)
#define AGT_CRASH_WINDOW_US (INT64_C(60) * BASE_US_PER_S)
#define AGT_GONE_VIEW_WAIT_US (INT64_C(300) * BASE_US_PER_MS)
#define AGT_REPEAT_US (INT64_C(100) * BASE_US_PER_MS) /* a request without an answer */
#define AGT_START_WORD_US BASE_US_PER_S /* the guard's word on a start comes long before */
#define AGT_EXTRA_REPORT_US (INT64_C(10) * BASE_US_PER_MS)
#define AGT_RETRY_MIN_US (INT64_C(200) * BASE_US_PER_MS)
#define AGT_RETRY_MAX_US (INT64_C(10) * BASE_US_PER_S)
#define AGT_UNFOLLOWED_US \
    (INT64_C(15) * BASE_US_PER_S) /* an open holder that does not stream to it */
#define AGT_BARRED_US (INT64_C(60) * BASE_US_PER_S)
/* Galera: how long its own fence may take before the guard kills; the arbiter waits as long. */
#define AGT_GALERA_FENCE_US BASE_US_PER_S
#define AGT_GALERA_EVIDENCE_US (2 * BASE_US_PER_S) /* older than that it proves nothing */
#define AGT_GALERA_TICK_US (INT64_C(250) * BASE_US_PER_MS)
#define AGT_GALERA_DAMAGES 2            /* recoveries that found the data damaged: it is told */
#define AGT_GALERA_GAP_US BASE_US_PER_S /* between two steps: this agent has stood still */
#define AGT_GALERA_ALONE_US (3 * BASE_US_PER_S)   /* non-Primary without a word of the arbiter */
#define AGT_GALERA_CLOSED_US (10 * BASE_US_PER_S) /* SQL closed: waits for a component */
#define AGT_ROGUE_VIEWS 2  /* a view may be older than the status; two in a row are not */
#define AGT_SILENT_VIEWS 3 /* so that a stall of our own is not held against the database */

/* One step under way. */
struct agt_run {
    struct agt *a;
    struct base_mono now;
    struct agt_effects *fx;
};

/* An engine whose replication is its own, beside its table (engine.c). */
struct agt_engine {
    void (*tick)(struct agt_run *run);         /* before the event is taken in */
    void (*root_started)(struct agt_run *run); /* another root process than before */
    void (*root_gone)(struct agt_run *run);
    void (*view)(struct agt_run *run); /* a->view is new */
    void (*order_done)(struct agt_run *run, const struct db_order *order,
                       const struct db_done *done); /* of the root that it was asked of */
    void (*step)(struct agt_run *run);              /* behind the event */
    void (*report)(const struct agt *a, struct base_mono now, struct msg_report *r);
    uint32_t (*digest)(const struct agt *a, struct base_mono now);
};
const struct agt_engine *agt_engine(const struct agt *a); /* NULL: its replication is ours */

/* facts.c: what follows from what is known; no effects. */
bool agt_holds(const struct agt *a); /* the guard has an epoch that was not handed back */
/* Asked to arm, and silent for a ttl: stopped, or not there. */
bool agt_is_guard_deaf(const struct agt *a, struct base_mono now);
bool agt_is_arm_taken(const struct agt *a); /* the first one asked that counts (arm_epoch) */
/* It answers, and has not taken the epoch that it was asked to be armed for since a ttl. */
bool agt_is_arm_refused(const struct agt *a, struct base_mono now);
/* It answers, and puts the deadline of the epoch that it holds off no more. */
bool agt_is_renewal_refused(const struct agt *a, struct base_mono now);
/* Killed half a ttl ago and not seen gone: holds nothing that it could serve with. */
bool agt_is_undying(const struct agt *a, struct base_mono now);
struct base_mono agt_undying_from(const struct agt *a); /* NEVER: it is not being killed */
uint64_t agt_epoch_known(const struct agt *a);          /* highest, durable or not */
bool agt_is_lease_ahead(const struct agt *a, struct base_mono now);
bool agt_is_holder(const struct agt *a); /* the order in force names this guard */
bool agt_promise_is_kept(const struct agt *a);
bool agt_vote_is_final(const struct agt *a);
/* A standby that has not come to the end of its own log yet: see msg_report. */
bool agt_is_end_unread(const struct agt *a);
bool agt_has_foreign_system(const struct agt *a);
/* Read-write without a grant, and no breach: it was so before we came (section 3, adopted). */
bool agt_is_adoptable(const struct agt *a);
/* A process is there that the guard did not start, or the look is older than the end of ours. */
bool agt_is_beside_a_process(const struct agt *a);
/* Our guard watches a server that was there before us, and has never been armed for it. */
bool agt_is_taken_over(const struct agt *a);
/* Made the database, never started it, and somebody else makes it or has made it now: as good as an
 * empty directory. */
bool agt_is_passed_over(const struct agt *a);
bool agt_is_receiving_from_holder(const struct agt *a);
enum agt_state agt_state_of(const struct agt *a, struct base_mono now);
enum agt_goal agt_goal_of(const struct agt *a);
enum agt_prefix agt_prefix_of(const struct agt *a);
#define AGT_LINEAGE_ELSEWHERE 1u /* of a standby cluster: the history of the primary elsewhere */
uint64_t agt_lineage(const struct agt *a); /* as it is reported */
bool agt_is_history_over(const struct agt *a);
bool agt_is_own_line(const struct agt *a); /* this member was the holder of the directory's line */
bool agt_is_of_former_role(const struct agt *a);
bool agt_may_follow(const struct agt *a); /* a plain start, or pointing at the holder, will do */
bool agt_is_rejoin_needed(const struct agt *a);
const struct msg_member *agt_holder_address(const struct agt *a); /* NULL: not known */
bool agt_holder_is_ready(const struct agt *a); /* has opened: may be cloned or rewound from */
bool agt_has_enough_voters(
    const struct agt *a); /* streaming: a failover can be decided without us */
bool agt_has_successor(const struct agt *a);
int64_t agt_ttl_us(const struct agt *a);
bool agt_names_has(const struct msg_names *names, const struct base_name *name);
bool agt_names_equal(const struct msg_names *a, const struct msg_names *b);
int agt_attempt_compare(struct msg_attempt a, struct msg_attempt b);

bool agt_is_carried_over(const struct agt *a);
bool agt_has_paused_right(const struct agt *a);
int64_t agt_heartbeat_us(const struct agt *a);

/* detect.c */
int64_t agt_hang_timeout_us(const struct agt *a);
int64_t agt_start_timeout_us(const struct agt *a);
enum agt_on_crash agt_on_crash_of(const struct agt *a); /* the record's, else our own */
bool agt_is_replaceable(const struct agt *a); /* a standby is fit, and policy lets it take over */
void agt_write_seen(struct agt_run *run);
void agt_writing_watch(struct agt_run *run); /* who cannot write wants to hand the role back */
bool agt_gives_up_unarmed(struct agt_run *run);
bool agt_gives_up_unrenewed(struct agt_run *run);

/* upstream.c */
void agt_upstream_step(struct agt_run *run);
const struct msg_member *agt_upstream(const struct agt *a); /* NULL: not known */
const struct msg_member *agt_clone_source(const struct agt *a);
/* CLONE must be a base backup of the holder. */
bool agt_must_clone_holder(const struct agt *a);
/* The order in force is of after the end of the server: it tells whether this was a voter. */
bool agt_knows_its_vote(const struct agt *a);
const struct msg_member *agt_catch_up_address(const struct agt *a);

/* failsafe.c */
void agt_failsafe_start(struct agt *a, struct base_mono now);
void agt_failsafe_order(struct agt_run *run);
void agt_failsafe_step(struct agt_run *run);
void agt_failsafe_asked(struct agt_run *run, const struct agt_failsafe_ask *ask);
void agt_failsafe_answered(struct agt_run *run, const struct agt_failsafe_answer *answer);
void agt_failsafe_close(struct agt *a, uint64_t epoch); /* is asked to vote against it */
bool agt_failsafe_is_bound(const struct agt *a);        /* a grant of ours has not run out */

/* pause.c */
void agt_pause_step(struct agt_run *run);
bool agt_is_armed_again(const struct agt *a);

/* tasks.c: what stands in the record for us, due and not done; NULL: nothing of that kind. */
const struct msg_task *agt_task_of(const struct agt *a, enum msg_task_kind kind);
void agt_task_end(struct agt_run *run, const struct msg_task *t, int status);
bool agt_is_former_root(const struct agt *a); /* the one that ran when the task began is there */
/* True when it has taken the step over from the table. */
bool agt_work(struct agt_run *run, enum agt_state state, enum agt_goal goal);
bool agt_is_restarting(const struct agt *a); /* by an operator's order */
void agt_reload_done(struct agt_run *run, const struct db_done *done);

/* effects.c */
struct agt_effect *agt_fx_add(struct agt_run *run, enum agt_effect_kind kind);
void agt_fx_log(struct agt_run *run, const char *text, const char *detail);
void agt_wake_at(struct agt_run *run, struct base_mono at);
void agt_kill(struct agt_run *run);
void agt_hand_back(struct agt_run *run, uint64_t epoch);
void agt_release(struct agt_run *run, uint64_t epoch); /* handed back while it runs, fenced */
/* Asks the guard for the start of the root, once until its status changes. */
void agt_start(struct agt_run *run);
struct db_order agt_order_make(const struct agt *a, enum db_order_kind kind);
/* Same work, whatever its id. */
bool agt_order_equal(const struct db_order *a, const struct db_order *b);
/* Brings the order about: issues it, or cancels another one first, or waits (running, or failed
 * lately). */
void agt_want_order(struct agt_run *run, const struct db_order *order);
void agt_order_done(struct agt_run *run, const struct db_done *done);

/* act_holder.c, act_standby.c: one function an action. */
void agt_do_init(struct agt_run *run);
void agt_do_start_holder(struct agt_run *run);
void agt_do_await_grant(struct agt_run *run);
void agt_do_watch_start(struct agt_run *run);
void agt_do_promote(struct agt_run *run);
void agt_do_open(struct agt_run *run);
void agt_do_clients_out(struct agt_run *run);
void agt_do_settle(struct agt_run *run);
void agt_do_hand_back(struct agt_run *run);
void agt_do_resign(struct agt_run *run);
void agt_do_hand_over(struct agt_run *run);
void agt_do_stop(struct agt_run *run);
void agt_judge_directory(struct agt_run *run);
void agt_do_clone(struct agt_run *run);
void agt_do_rejoin(struct agt_run *run);
void agt_do_follow(struct agt_run *run);
void agt_do_detach(struct agt_run *run);
void agt_do_start_voter(struct agt_run *run);
void agt_do_stay(struct agt_run *run);
void agt_count_crash(struct agt_run *run);
/* The holder's root went away: settle at once whether the epoch is handed back. */
void agt_on_exit(struct agt_run *run);

/* orders.c */
void agt_on_order(struct agt_run *run, const struct msg_order *o);
/* Arms the guard with the grant at hand, once its epoch is on disk and as long as it was not given
 * up. */
void agt_grant_apply(struct agt_run *run);

/* sight.c */
void agt_on_guard(struct agt_run *run, const struct guard_status *status);
void agt_on_view(struct agt_run *run, const struct db_view *view);

/* galera_facts.c */
bool agt_is_galera(const struct agt *a);
enum agt_galera_state agt_galera_state_of(const struct agt *a, struct base_mono now);
/* In this state, down, its server has found the data damaged more than once. */
bool agt_galera_is_damaged(const struct agt *a, enum agt_galera_state state);
enum agt_galera_goal agt_galera_goal_of(const struct agt *a);
/* The order grants a bootstrap to this member that it may carry out, or is carrying out. */
const struct msg_galera_grant *agt_galera_grant(const struct agt *a);
bool agt_galera_is_serving(enum agt_galera_state state);

/* galera_sight.c: what is taken in */
void agt_galera_root_started(struct agt_run *run);
void agt_galera_root_gone(struct agt_run *run);
void agt_galera_view(struct agt_run *run);
void agt_galera_order_done(struct agt_run *run, const struct db_order *order, int status);
/* What an order says of generations, and a gap since the step before. */
void agt_galera_tick(struct agt_run *run);

/* galera_role.c: the writer's right. True when it has taken the step over. */
bool agt_galera_role(struct agt_run *run, enum agt_galera_state state);

/* galera_act.c, galera_start.c */
void agt_galera_turn(struct agt_run *run); /* step.c: right and pause, then agt_galera_step */
void agt_galera_step(struct agt_run *run);
void agt_galera_stop(struct agt_run *run);
void agt_galera_join(struct agt_run *run, bool has_position);
void agt_galera_bootstrap(struct agt_run *run, enum agt_galera_state state);
bool agt_galera_is_granted_root(const struct agt *a);
void agt_galera_grant_watch(struct agt_run *run, enum agt_galera_state state);

/* galera_tasks.c: operators' tasks */
bool agt_galera_task_begin(struct agt_run *run, const struct msg_task *t);
void agt_galera_tasks(struct agt_run *run, enum agt_galera_state state);

/* galera_report.c */
enum msg_db_state agt_galera_db_state(const struct agt *a, struct base_mono now);
void agt_galera_report(const struct agt *a, struct base_mono now, struct msg_report *r);
uint32_t agt_galera_digest(const struct agt *a, struct base_mono now);

/* report.c */
uint32_t agt_report_digest(const struct agt *a, struct base_mono now);

#endif
