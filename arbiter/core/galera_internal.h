/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of arbiter/core that decide about Galera clusters; engine.c names the hooks. */
#ifndef QUORATE_ARBITER_CORE_GALERA_INTERNAL_H
#define QUORATE_ARBITER_CORE_GALERA_INTERNAL_H

#include "arbiter/core/internal.h"

#define GALERA_OUT_US (15 * BASE_US_PER_S)     /* no Primary component for that long */
#define GALERA_OUT_TWO_US (2 * BASE_US_PER_S)  /* ... of two nodes, or where no process is left */
#define GALERA_FORMED_US (60 * BASE_US_PER_S)  /* a writer without a second member */
#define GALERA_SETTLED_US (15 * BASE_US_PER_S) /* Synced again, before the next one restarts */
#define GALERA_QUEUE_MAX 16 /* writesets to be applied: well below what flow control stops at */
#define GALERA_JOIN_MAX_US (60 * BASE_US_PER_S) /* the turn of one who does not even start */
#define GALERA_JOIN_AGAIN_US (60 * BASE_US_PER_S)
#define GALERA_SILENT_US (10 * BASE_US_PER_S)

/* --- galera.c: the component, its writer --- */
bool arb_galera_has_data(const struct msg_report *report);
bool arb_galera_is_other(const struct msg_record *record, const struct msg_report *report);
bool arb_galera_is_same_host(const struct msg_record *record, const struct msg_report *report);
bool arb_galera_is_old_gone(const struct msg_report *report);
bool arb_galera_is_serving(const struct msg_report *report);
void arb_galera_taken_in(struct arb_cluster *c, struct arb_view *view,
                         const struct msg_report *before);
bool arb_galera_may_hold(const struct arb_cluster *c, const struct arb_view *view);
bool arb_galera_is_evicted(const struct arb_cluster *c, struct base_mono now);
void arb_galera_decide(struct arb_turn *t);
enum arb_refusal arb_galera_target_check(const struct arb_cluster *c, const struct arb_view *view,
                                         struct base_mono now);
uint8_t arb_galera_target_choose(const struct arb_cluster *c, struct base_mono now);
const char *arb_galera_refuses(const struct arb_request *request);
/* Live, not refused, and in the Primary component of the record. */
bool arb_galera_is_in(const struct arb_cluster *c, const struct arb_view *view,
                      struct base_mono now);
/* Member of the component with the newest view; ARB_NOBODY: nobody is in it. */
uint8_t arb_galera_reference(const struct arb_cluster *c, struct base_mono now);
/* Known committed in the generation in force; -1: not known. */
int64_t arb_galera_high_water(const struct arb_cluster *c);
/* Could be the writer but for who it is; NONE or why not. */
enum arb_refusal arb_galera_fitness(const struct arb_cluster *c, const struct arb_view *view,
                                    struct base_mono now);
/* The best of all who are fit; ARB_NOBODY: nobody is. */
uint8_t arb_galera_choose_writer(const struct arb_cluster *c, struct base_mono now);

/* --- galera_recover.c: no Primary component. True: proposed --- */
bool arb_galera_grant_watch(struct arb_turn *t);
bool arb_galera_recover(struct arb_turn *t);
/* The component is there: what was begun for a recovery ends. */
bool arb_galera_recovered(struct arb_turn *t, const struct arb_view *reference);

/* --- galera_found.c, galera_confirm.c --- */
void arb_galera_found(struct arb_turn *t);
void arb_galera_confirm(struct arb_turn *t);
bool arb_galera_dead(struct arb_turn *t);
/* Who founds a cluster without data; ARB_NOBODY with the counts: not all are heard. */
uint8_t arb_galera_founder(const struct arb_cluster *c, struct base_mono now, uint8_t *ret_heard,
                           uint8_t *ret_wanted);
void arb_galera_found_at(struct arb_turn *t, uint8_t founder, struct msg_record *next);

/* --- galera_donor.c --- */
/* Who shall give `joiner` what it lacks; empty: nobody is known who can. */
struct base_name arb_galera_donor(const struct arb_cluster *c, const struct base_name *joiner,
                                  struct base_mono now);

/* Of those beside the writer who can give `joiner` what it lacks there is just one. Where there is
 * none, no reader is left to be kept, and a second copy matters more. */
bool arb_galera_takes_last_reader(const struct arb_cluster *c, const struct base_name *joiner,
                                  struct base_mono now);

/* --- galera_turn.c: transfers and restarts, one at a time. True: proposed --- */
bool arb_galera_joiner(struct arb_turn *t);
bool arb_galera_tasks(struct arb_turn *t);
/* Order of this kind to this member that is under way; NULL: none. */
const struct msg_task *arb_galera_task(const struct msg_record *record, enum msg_task_kind kind,
                                       const struct base_name *member);
/* It is restarted by an order, with the data that it has: as long as they are known to be of the
 * history in force, since it starts with its own position, whatever that turns out to be. */
bool arb_galera_is_restarted(const struct arb_cluster *c, const struct arb_view *view);
/* pc.weight that the member shall have. */
uint8_t arb_galera_weight(const struct arb_cluster *c, const struct base_name *member);

/* --- galera_order.c --- */
/* In a Primary component that nobody granted, or left over from another generation. */
bool arb_galera_is_rogue(const struct arb_cluster *c, const struct arb_view *view,
                         struct base_mono now);
void arb_galera_order(const struct arb_cluster *c, const struct arb_view *view,
                      struct base_mono now, struct msg_order *order);

#endif
