/* SPDX-License-Identifier: Apache-2.0 */
/* The invariants: named functions over what really happened, which no part of the system can see.
 *
 * Each is told of an event by the simulated shells and compares it with all before. A violation
 * ends the run through world_fail with the name given here. None of them knows which fault or
 * planted bug is at work.
 */
#ifndef QUORATE_TESTS_SIM_TRUTH_H
#define QUORATE_TESTS_SIM_TRUTH_H

#include "jepsen/check/watch.h"
#include "kv/service.h"
#include "raft/node.h"
#include "tests/sim/members.h"
#include "tests/sim/world.h"

/* The names; canaries say which of them must fail. */
#define INVARIANT_ONE_LEADER "one-leader-a-term"
#define INVARIANT_ONE_VOTE "one-vote-a-term"
#define INVARIANT_LOG_MATCHING "log-matching"
#define INVARIANT_STATE_MACHINE "state-machine-equality"
#define INVARIANT_QUORUM "quorum-of-the-configuration"
#define INVARIANT_ONE_CHANGE "one-change-at-a-time"
#define INVARIANT_IMAGE "image-equals-state"
#define INVARIANT_LINEARIZABLE "linearizable-kv"
#define INVARIANT_ONE_WRITER "one-writer"
#define INVARIANT_EPOCH_AFTER_LEASE "epoch-after-lease"
#define INVARIANT_EPOCHS_GROW "epochs-grow"
#define INVARIANT_NO_LOST_COMMIT "no-lost-commit"
#define INVARIANT_BEST_CANDIDATE "best-candidate"
#define INVARIANT_SYNC_SET "sync-set"
#define INVARIANT_CALM "no-failover-without-fault"
#define INVARIANT_LIVENESS "liveness"
#define INVARIANT_HANDBACK "handback-after-tree-gone"
#define INVARIANT_REWIND "no-divergence"
#define INVARIANT_TIMELINE "reserved-timeline"
#define INVARIANT_NO_CRASH "no-assertion"
#define INVARIANT_STARTS "starts-from-its-disk"
#define INVARIANT_ENOUGH "enough-happened"
#define INVARIANT_OWN_TERM "leader-counts-its-own-term"
#define INVARIANT_KEPT "log-kept-until-durable"
#define INVARIANT_FORWARD "terms-and-commit-grow"
#define INVARIANT_NO_CUT "committed-is-not-cut"
#define INVARIANT_IMAGE_FORWARD "image-goes-forward"
#define INVARIANT_ROUND "round-by-majority"
#define INVARIANT_HEARD "counts-what-was-said"
#define INVARIANT_DURABLE "durable-is-on-disk"
#define INVARIANT_VERSIONS "versions-count"
#define INVARIANT_PAST "past-as-it-was"
#define INVARIANT_FULL "full-store-serves"
#define INVARIANT_TOKEN "told-token-is-known"
#define INVARIANT_PERMITTED "nothing-unpermitted"
#define INVARIANT_ELECTED "leader-by-majority"
#define INVARIANT_HANDED_OVER "hand-over-to-the-newest"
#define INVARIANT_PRE_VOTE "vote-after-pre-vote"
#define INVARIANT_REVISIONS "revisions-in-steps-of-one"
#define INVARIANT_APPLIED_ONCE "applied-once"
#define INVARIANT_LEASE_EARLY "lease-not-early"
#define INVARIANT_LEASE_KEYS "lease-and-keys-together"
#define INVARIANT_LEASE_RENEWAL "lease-renewal-holds"
#define INVARIANT_LEASE_RENEWER "renewed-by-the-leader"
#define INVARIANT_LEASE_END "lease-ends"
#define INVARIANT_UNCONFIRMED "unconfirmed-record-rests"
#define INVARIANT_WATCH "watch-hears-everything"
#define INVARIANT_LOSS "loss-within-bound"
#define INVARIANT_COPY "voter-copies-the-holder"
#define INVARIANT_VOTE_FINAL "vote-is-final"
#define INVARIANT_PROMISE "promise-kept"
#define INVARIANT_CONFIRMED "confirmed-before-sync"
#define INVARIANT_FENCED "fenced-in-time"
#define INVARIANT_UNDER_LEASE "orders-under-lease"
#define INVARIANT_HAND_OVER "hand-over-loses-nothing"
#define INVARIANT_ONE_GUARD "one-guard-an-epoch"
#define INVARIANT_GATE "gate-after-barrier"
#define INVARIANT_RETIRES "retires-after-three-crashes"
#define INVARIANT_STANDBY_CLUSTER "standby-cluster-never-opens"

void truth_open(struct world *w);
void truth_close(struct world *w);

/* Raft */
void truth_role(struct world *w, unsigned node, const struct raft_node_status *status);
/* True when the frame grants a vote. */
bool truth_raft_frame(struct world *w, unsigned from, struct slice payload);
void truth_started(struct world *w, unsigned node, uint64_t applied_index);
void truth_apply(struct world *w, unsigned node, const struct raft_applied *entry);
void truth_logs(struct world *w);
/* The node's configuration, or its part, may have changed. */
void truth_members(struct world *w, unsigned node);
/* An image was installed; the disks of a place, of the node `id` (0: nobody), were taken away. */
void truth_restored(struct world *w, unsigned node, uint64_t applied_index);
void truth_wiped(struct world *w, unsigned node, uint64_t id);

/* Something is about to leave the node, or to be applied (truth_lead.c). */
void truth_leads(struct world *w, unsigned node);

/* The store: after an entry, with its effect in `txn`; an image was installed. */
void truth_kv_applied(struct world *w, unsigned node, struct store_txn *txn,
                      const struct raft_applied *entry);
void truth_kv_image(struct world *w, unsigned node, struct store_txn *txn, uint64_t index);
/* Every change so far, and the newest revision. */
const struct chk_changes *truth_changes(const struct world *w);
int64_t truth_revision(const struct world *w);
/* Leases of the simulator's clients, whose ids are used once: a revoke is on its way; a grant or a
 * renewal sent at `sent_us` was answered (ttl 0: gone); the end of the run. */
void truth_lease_asked(struct world *w, int64_t id, bool is_revoke);
int64_t truth_lease_told(struct world *w, int64_t id, int64_t sent_us, int64_t ttl);
/* Who has renewed says that it led this term; truth_term was asked for when the request was sent.
 */
uint64_t truth_term(const struct world *w);
void truth_lease_renewer(struct world *w, int64_t id, uint64_t term, uint64_t term_sent);
void truth_leases_end(struct world *w);
/* A node refuses the token of that login, sent at that time, as one that it does not know. */
void truth_token_refused(struct world *w, unsigned node, uint64_t index, int64_t sent_us);

/* Record and lease of the databases */
void truth_swapped(struct world *w, unsigned node, const struct kv_swapped *swapped);
void truth_report(struct world *w, const struct member *m, struct slice payload);
void truth_guard(struct world *w, const struct member *m);
int truth_holder(struct world *w, unsigned cluster); /* -1 none */
/* An operator starts or promotes its database, past its agent. */
void truth_by_hand(struct world *w, unsigned member);

/* A restored quorum. Remembers how the store stands; it stands like that again, at that entry, and
 * goes on from that revision; an operator's confirmation was accepted; whether one is missing. */
void truth_saved(struct world *w);
void truth_begin_anew(struct world *w, uint64_t index, int64_t revision);
void truth_confirming(struct world *w);
bool truth_is_unconfirmed(const struct world *w);
/* The newest record; false: none. Whether this store has it, of that epoch. */
bool truth_record(const struct world *w, struct msg_record *ret);
bool truth_is_newest(struct world *w, struct store_txn *txn, uint64_t epoch);
/* A quorum node sends an order to an agent, at `now` of its own clock. */
void truth_order(struct world *w, unsigned node, struct base_mono now, struct slice payload);

/* Databases. A process tree ends. */
void truth_ends(struct world *w, const struct pg *pg);
/* A database serves no more, and may be ended for that. */
void truth_fails(struct world *w, const struct pg *pg);
void truth_open_writes(struct world *w, struct pg *pg);
void truth_settings(struct world *w, const struct pg *pg);
/* The cluster of that member follows the primary of another site. */
bool truth_is_standby_cluster(struct world *w, unsigned member);
void truth_ack(struct world *w, struct pg *pg, uint32_t record, uint32_t position);
void truth_promoted(struct world *w, const struct pg *pg);
/* The agent gives its database an order. */
void truth_ordered(struct world *w, const struct member *m, const struct db_order *order);
/* A restarted primary lets its first client in. */
void truth_lets_in(struct world *w, const struct pg *pg);
/* A standby has been accepted by an upstream and holds a part of what that holds. */
void truth_streams(struct world *w, const struct pg *standby, const struct pg *upstream);
/* The same from the primary of another site. */
void truth_streams_elsewhere(struct world *w, const struct pg *standby,
                             const struct pg_directory *site);
/* At the end of a run: writable again, and everything acknowledged is there. */
void truth_db_end(struct world *w);

#endif
