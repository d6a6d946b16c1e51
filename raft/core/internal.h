/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the core call of each other; nobody else includes it. */
#ifndef QUORATE_RAFT_CORE_INTERNAL_H
#define QUORATE_RAFT_CORE_INTERNAL_H

#include "raft/core/core.h"

/* core.c */
struct raft_effect *raft_effect_add(struct raft_effects *effects, enum raft_effect_type type);
/* A message to a member, with the sender's fields filled. */
struct msg_raft *raft_send(const struct raft_core *core, struct raft_effects *effects, uint64_t to,
                           enum msg_raft_type type);
void raft_halt(struct raft_core *core, struct raft_effects *effects, int status);
/* Asks for term and vote to be stored, if they have changed. */
void raft_save_state(struct raft_core *core, struct raft_effects *effects);
struct raft_peer *raft_peer_of(struct raft_core *core, uint64_t id);

/* change.c: the configuration in force */
/* How many make a majority of the voters in force. At least one voter. */
size_t raft_majority(const struct raft_core *core);
/* A configuration is in force: by a new entry, from the store, or of an image. */
void raft_members_set(struct raft_core *core, const struct raft_configuration *configuration,
                      bool is_first);
/* The log is cut off at `from`: a configuration that stood there gives way to the one before. */
MUST_CHECK int raft_members_truncate(struct raft_core *core, uint64_t from);
int raft_change_members(struct raft_core *core, struct raft_effects *effects,
                        const struct raft_configuration *next, size_t bytes);

/* transfer.c: handing over leadership */
int raft_transfer(struct raft_core *core, struct raft_effects *effects, uint64_t to);
/* Leader: the other one has caught up, or hears it once more. */
void raft_transfer_advance(struct raft_core *core, struct raft_effects *effects);
/* Ends it when it is over, one way or the other. After every step. */
void raft_transfer_settle(struct raft_core *core, struct raft_effects *effects);
void raft_on_timeout_now(struct raft_core *core, struct raft_effects *effects);
/* A leader that counts no more, once that is committed. */
void raft_resign(struct raft_core *core, struct raft_effects *effects);

/* image.c: the log behind images */
int raft_compact(struct raft_core *core, struct raft_effects *effects, uint64_t index);
void raft_on_snapshot_ended(struct raft_core *core, struct raft_effects *effects,
                            const struct raft_event *event);
void raft_on_snapshot_received(struct raft_core *core, struct raft_effects *effects,
                               const struct raft_event *event);
void raft_on_installed(struct raft_core *core, struct raft_effects *effects,
                       const struct raft_event *event);

/* election.c */
void raft_reset_election(struct raft_core *core, int64_t longest_us);
/* leader 0: unknown. A higher term forgets the vote. */
void raft_become_follower(struct raft_core *core, struct raft_effects *effects, uint64_t term,
                          uint64_t leader);
/* Asked by the leader: stands at once, without a pre-vote. */
void raft_stand(struct raft_core *core, struct raft_effects *effects);
void raft_election_tick(struct raft_core *core, struct raft_effects *effects);
void raft_on_prevote(struct raft_core *core, struct raft_effects *effects,
                     const struct msg_raft *m);
void raft_on_vote(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m);
void raft_on_vote_reply(struct raft_core *core, struct raft_effects *effects,
                        const struct msg_raft *m);
/* Our own term and vote have become durable. */
void raft_on_vote_saved(struct raft_core *core, struct raft_effects *effects);
/* A live leader was heard so recently that nobody may take its place (T 4.2.3). */
bool raft_has_live_leader(const struct raft_core *core);

/* leader.c */
void raft_lead(struct raft_core *core, struct raft_effects *effects);
int raft_propose(struct raft_core *core, struct raft_effects *effects, size_t bytes);
/* Everything the windows allow, to everybody. */
void raft_send_to_all(struct raft_core *core, struct raft_effects *effects);
int raft_append_own(struct raft_core *core, struct raft_effects *effects,
                    enum msg_raft_entry_type type, size_t bytes);
void raft_leader_tick(struct raft_core *core, struct raft_effects *effects);
void raft_broadcast_heartbeat(struct raft_core *core, struct raft_effects *effects);
void raft_on_append_reply(struct raft_core *core, struct raft_effects *effects,
                          const struct msg_raft *m);
void raft_on_heartbeat_reply(struct raft_core *core, struct raft_effects *effects,
                             const struct msg_raft *m);
void raft_on_unreachable(struct raft_core *core, uint64_t id);
void raft_advance_commit(struct raft_core *core, struct raft_effects *effects);

/* progress.c */
/* Sends what the window allows; in probe state at most one message. */
void raft_peer_send(struct raft_core *core, struct raft_effects *effects, struct raft_peer *peer);
/* An append without entries behind `prev`: the answer tells how far the peer is. */
void raft_peer_ask(struct raft_core *core, struct raft_effects *effects, struct raft_peer *peer);
void raft_peer_reset(const struct raft_core *core, struct raft_peer *peer);
void raft_peer_taken(struct raft_core *core, struct raft_peer *peer, uint64_t durable,
                     uint64_t received);
/* False: the rejection is stale. */
bool raft_peer_rejected(struct raft_core *core, struct raft_peer *peer, const struct msg_raft *m);
void raft_peer_probe(struct raft_peer *peer);

/* follower.c */
void raft_on_append(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m);
void raft_on_heartbeat(struct raft_core *core, struct raft_effects *effects,
                       const struct msg_raft *m);
void raft_on_commit(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m);
/* Tells the leader what is durable; when the term is. */
void raft_send_taken(struct raft_core *core, struct raft_effects *effects);
/* The same, if it is news. */
void raft_acknowledge(struct raft_core *core, struct raft_effects *effects);
/* A term has become durable: tells what waited for it. */
void raft_on_term_saved(struct raft_core *core, struct raft_effects *effects);

/* write.c */
/* Committed and durable here: what the log need not tell apart any more. */
uint64_t raft_settled(const struct raft_core *core);
void raft_start_writes(struct raft_core *core, struct raft_effects *effects);
void raft_on_persisted(struct raft_core *core, struct raft_effects *effects, uint64_t write_id);
void raft_set_commit(struct raft_core *core, struct raft_effects *effects, uint64_t commit);

/* read.c */
int raft_read(struct raft_core *core, struct raft_effects *effects);
void raft_read_reset(struct raft_core *core, struct raft_effects *effects);
void raft_read_tick(struct raft_core *core, struct raft_effects *effects);
/* Counts acknowledgements; releases what is confirmed. Also after a commit. */
void raft_rounds_advance(struct raft_core *core, struct raft_effects *effects);
void raft_on_read(struct raft_core *core, struct raft_effects *effects, const struct msg_raft *m);
void raft_on_read_reply(struct raft_core *core, struct raft_effects *effects,
                        const struct msg_raft *m);

#endif
