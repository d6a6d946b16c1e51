/* SPDX-License-Identifier: Apache-2.0 */
/* Coverage marks: MARK(ID) at a rare branch counts that it was taken. A simulated run that never
 * came there proves nothing about it, so `make sim-check` fails when a mark was hit too seldom.
 * Counted in the `canary` variant only; nothing at all in every other build. Any thread.
 *
 * The table is all there is: a mark that is not in it does not compile, and `make lint` finds rows
 * that no code passes. */
#ifndef QUORATE_BASE_MARK_H
#define QUORATE_BASE_MARK_H

#include "base/types.h"

/* clang-format off */
/*   id, name, the branch */
#define BASE_MARKS(X) \
    X(FLOOR_BY_LINEAGE, "floor-by-lineage", \
      "a vote has the floor because its line was opened since") \
    X(VOTE_LACKS_FLOOR, "vote-lacks-floor", "a voter lacks the floor and does not count") \
    X(GRANT_ENDS_ATTEMPT, "grant-ends-attempt", \
      "a grant to the old holder ends a failover under way") \
    X(GRANT_HELD_FOR_SWAP, "grant-held-for-swap", \
      "no grant, since an entry that replaces the epoch is in the log") \
    X(HANDBACK_BY_LATER_GUARD, "handback-by-later-guard", \
      "a later guard hands back for its predecessor") \
    X(CONFIRMATIONS_MISSING, "confirmations-missing", \
      "confirmations of leadership stay away, the oldest is given up") \
    X(SWAP_VOID, "swap-void", "a decision came too late, its entry is void") \
    X(HOLDER_RETURNS, "holder-returns", "the former holder goes on in a new epoch without a vote") \
    X(FAILOVER_WAITS_FOR_VOTES, "failover-waits-for-votes", \
      "too few votes can be had, the failover waits") \
    X(FAILOVER_HELD_OFF, "failover-held-off", \
      "the last failover was a short while ago, the holder goes on in place") \
    X(GOES_ON_ALONE, "goes-on-alone", "the last standby goes, and the record says so first") \
    X(STRICT_WAITS, "strict-waits", \
      "too few standbys are left, and commits wait for those of the record") \
    X(ANOTHER_GUARD_SPEAKS, "another-guard-speaks", \
      "another guard takes a name while the one before is fresh") \
    X(AGENT_STALE_ORDER, "agent-stale-order", "an order of an older leader, or overtaken") \
    X(AGENT_STATUS_OVERTAKEN, "agent-status-overtaken", \
      "a word of the guard comes behind a later one") \
    X(AGENT_RECEIVER_AGAIN, "agent-receiver-again", "a receiver is there after it was taken away") \
    X(AGENT_SYNC_WAITS_FOR_GRANT, "agent-sync-waits-for-grant", \
      "an agent that was started anew has an order about the set, and no grant yet") \
    X(AGENT_READS_BEFORE_IT_FOLLOWS, "agent-reads-before-it-follows", \
      "a standby is told to follow before it has read what it has") \
    X(AGENT_RETIRES, "agent-retires", "three crashes in a minute") \
    X(AGENT_STOPS_AT_ONCE, "agent-stops-at-once", "a fast stop takes too long") \
    X(AGENT_RESTARTS_IN_PLACE, "agent-restarts-in-place", \
      "the holder crashed and too few voters stream") \
    X(AGENT_ASKS_MEMBERS, "agent-asks-members", "no quorum, and the members are asked") \
    X(AGENT_PAUSES, "agent-pauses", "a pause is taken in") \
    X(AGENT_UNDYING, "agent-undying", "killed processes of the holder do not end") \
    X(AGENT_CANNOT_WRITE, "agent-cannot-write", \
      "a primary that cannot write hands the role on") \
    X(AGENT_GUARD_DEAF, "agent-guard-deaf", "the guard does not answer for a ttl") \
    X(AGENT_FINDS_RUN_BY_HAND, "agent-finds-run-by-hand", \
      "a directory ran read-write and nobody had a right to it") \
    X(GUARD_THAWS, "guard-thaws", "frozen, and a grant of the same epoch comes in time") \
    X(GUARD_FROZEN_TOO_LONG, "guard-frozen-too-long", \
      "frozen or freezing for too long, and killed") \
    X(RAFT_TRUNCATE, "raft-truncate", "a follower cuts entries off that differ from the leader's") \
    X(RAFT_TRUNCATE_AT_COMMIT, "raft-truncate-at-commit", "... right behind what is committed") \
    X(RAFT_TRUNCATE_DURABLE, "raft-truncate-durable", "... that were durable") \
    X(RAFT_MEMBERS_TRUNCATED, "raft-members-truncated", "... a change of members among them") \
    X(RAFT_CHANGE_TOO_SOON, "raft-change-too-soon", \
      "members are to be changed by a leader that has committed nothing yet") \
    X(RAFT_OLD_TERM_NOT_COUNTED, "raft-old-term-not-counted", \
      "a majority holds an entry of an older term") \
    X(RAFT_REMOVED_LEADER_RESIGNS, "raft-removed-leader-resigns", \
      "a leader has committed its own removal") \
    X(RAFT_CHECK_QUORUM, "raft-check-quorum", "a leader that hears no majority steps down") \
    X(RAFT_UNREACHABLE, "raft-unreachable", "a link turns a peer away that was being streamed to") \
    X(RAFT_VOTE_OLD_LOG, "raft-vote-old-log", "no vote, as the candidate's log is older") \
    X(RAFT_OWN_VOTE_SLOW, "raft-own-vote-slow", "an election ends before our own vote is durable") \
    X(RAFT_VOTE_DENIED_BY_LEASE, "raft-vote-denied-by-lease", \
      "no vote, as a leader was just heard") \
    X(RAFT_STRANGER, "raft-stranger", "an answer of one that is no member any more") \
    X(RAFT_STALLED, "raft-stalled", "a node finds that it did not run for a while") \
    X(RAFT_TRANSFER_WAITS, "raft-transfer-waits", \
      "leadership is handed over as soon as the other has all") \
    X(RAFT_TRANSFER_TIMEOUT, "raft-transfer-timeout", "... which came to nothing") \
    X(RAFT_READ_WAITS_FOR_TERM, "raft-read-waits-for-term", \
      "a read waits for the first commit of a term") \
    X(RAFT_ROUNDS_FULL, "raft-rounds-full", "a read waits for the next round of heartbeats") \
    X(RAFT_READ_DROPPED, "raft-read-dropped", "a forwarded read is lost with the leader") \
    X(RAFT_READ_ASKED_AGAIN, "raft-read-asked-again", "a forwarded read is asked a second time") \
    X(RAFT_WRITE_REPLACED, "raft-write-replaced", "a write ends that a later one replaces") \
    X(RAFT_IMAGE_TAKEN, "raft-image-taken", "an image is about to replace state and log") \
    X(RAFT_IMAGE_FAILED, "raft-image-failed", "an image could not be sent") \
    X(RAFT_REPLICATE_BEHIND_IMAGE, "raft-replicate-behind-image", \
      "a peer goes on with the log behind an image") \
    X(RAFT_PROBE_TO_IMAGE, "raft-probe-to-image", "a peer lacks what the log has forgotten") \
    X(NODE_LOG_KEPT_FOR_IMAGE, "node-log-kept-for-image", \
      "the log is not compacted while an image is under way") \
    X(NODE_APPLY_FROM_LOG, "node-apply-from-log", \
      "entries are applied that memory no longer holds") \
    X(NODE_LOAD_BEHIND_IMAGE, "node-load-behind-image", \
      "a start finds an image whose log did not begin anew") \
    X(NODE_IMAGE_CALLED_OFF, "node-image-called-off", \
      "a receiver of an image finds its way back to the log") \
    X(NODE_IMAGE_GIVEN_UP, "node-image-given-up", "a receiver of an image is silent for too long") \
    X(NODE_IMAGE_FROM_START, "node-image-from-start", "a receiver of an image has begun anew") \
    X(LEASE_STOOD_STILL, "lease-stood-still", "a leader has slept and ends no lease for a while") \
    X(LEASE_FROM_CHECKPOINT, "lease-from-checkpoint", \
      "a new leader gives a lease what a checkpoint says is left") \
    X(LEASE_CHECKPOINT_TAKEN_BACK, "lease-checkpoint-taken-back", \
      "a renewal waits until the store gives the lease its full time again") \
    X(LEASE_CONFIRM_LOST, "lease-confirm-lost", \
      "leases are due at a node that turns out to lead no more") \
    X(LEASE_REVOKE_UNKNOWN, "lease-revoke-unknown", \
      "the end of a lease was proposed and nobody knows what came of it") \
    X(LEASE_RENEWED_WHILE_ENDING, "lease-renewed-while-ending", \
      "a lease is renewed while its end is in the log") \
    X(KV_FORWARDED_LOST, "kv-forwarded-lost", \
      "a forwarded write is of unknown outcome as its leader is gone") \
    X(KV_AUTH_CHANGED_BEFORE_APPLY, "kv-auth-changed-before-apply", \
      "users or roles changed between propose and apply") \
    X(KV_TOKEN_AHEAD, "kv-token-ahead", \
      "a token is shown to a node that has not applied its login") \
    X(WATCH_COMPACTED, "watch-compacted", "a watch of the past ends as that is compacted") \
    X(WATCH_COMPACTED_MEANWHILE, "watch-compacted-meanwhile", \
      "... while it was being read for others, too") \
    X(WATCH_FELL_BEHIND, "watch-fell-behind", "a watcher does not take what it is sent")
/* clang-format on */

enum base_mark {
#define BASE_MARK_ENUM(id, name, text) BASE_MARK_##id,
    BASE_MARKS(BASE_MARK_ENUM)
#undef BASE_MARK_ENUM
        BASE_MARK_COUNT
};

void base_mark_hit(enum base_mark mark);
/* How often since the start of the process; 0 in every other build. */
uint64_t base_mark_count(enum base_mark mark);
const char *base_mark_name(enum base_mark mark);

#ifdef QUORATE_CANARIES
#define MARK(id) base_mark_hit(BASE_MARK_##id)
#else
#define MARK(id) ((void)0)
#endif

#endif
