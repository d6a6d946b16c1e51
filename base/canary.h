/* SPDX-License-Identifier: Apache-2.0 */
/* Planted bugs. CANARY(id) is false in every build but the `canary` variant, where the bug named by
 * base_canary_select is switched on. Each row leaves one safety rule out; a named checker must
 * catch it
 * (`make canaries`). The checkers cannot see which one is on.
 */
#ifndef QUORATE_BASE_CANARY_H
#define QUORATE_BASE_CANARY_H

#include "base/types.h"

/* clang-format off */
/*   id, name, what is left out */
#define BASE_CANARIES(X) \
    X(CONTINUE_AFTER_FAILED_SYNC, "continue-after-failed-sync", \
      "a batch counts as durable though its flush failed") \
    X(NOMETASYNC_WHILE_ACKING, "nometasync-while-acking", \
      "a commit of the state store is not flushed to its end") \
    X(SNAPSHOT_OMITS_TABLE, "snapshot-omits-table", \
      "images lack the table of leases") \
    X(VOTE_NOT_PERSISTED, "vote-not-persisted", \
      "a vote is sent before it is durable") \
    X(ACK_BEFORE_FLUSH, "ack-before-flush", \
      "an append is acknowledged before it is durable") \
    X(COMMIT_OLDER_TERM, "commit-older-term", \
      "an entry of an older term is committed by counting") \
    X(SKIP_LOG_MATCHING, "skip-log-matching", \
      "a follower appends behind an entry that differs from the leader's") \
    X(READ_INDEX_OVER_LEADER_CHANGE, "read-index-over-leader-change", \
      "a read index of a deposed leader is taken") \
    X(NO_PRE_VOTE, "no-pre-vote", \
      "a node stands for election without asking first") \
    X(QUORUM_OF_OLD_CONFIGURATION, "quorum-of-old-configuration", \
      "a majority of the configuration before is enough") \
    X(READ_WITHOUT_CONFIRMATION, "read-without-confirmation", \
      "a leader serves reads without a quorum round") \
    X(PROMOTE_WITHOUT_WAITING, "promote-without-waiting", \
      "a failover does not wait for the end of the lease") \
    X(CANDIDATE_BY_NAME, "candidate-by-name", \
      "the candidate is chosen by name, not by position") \
    X(AGENT_IGNORES_LEASE_END, "agent-ignores-lease-end", \
      "the holder goes on after its deadline") \
    X(NEW_LEADER_DOES_NOT_WAIT, "new-leader-does-not-wait", \
      "a new leader counts only grants that it sent itself") \
    X(GRANT_WHILE_CAS, "grant-while-cas", \
      "the old epoch is granted while its swap is in the log") \
    X(NO_FLOOR, "no-floor", \
      "a voter that lacks the floor counts") \
    X(HANDBACK_AT_EXIT, "handback-at-exit", \
      "the lease is handed back when only the root is gone") \
    X(SYNC_SET_NO_BARRIER, "sync-set-no-barrier", \
      "the record is narrowed without the position barrier") \
    X(RETRY_APPLIED_TWICE, "retry-applied-twice", \
      "a write whose leader is gone is sent again") \
    X(COMPARE_AT_PROPOSE, "compare-at-propose", \
      "compares are decided as the store stood when the request came") \
    X(EARLY_TOMBSTONE_DROP, "early-tombstone-drop", \
      "compaction drops a tombstone at the compact revision itself") \
    X(EXPIRE_ON_WAKING, "expire-on-waking", \
      "leases are expired without asking whether this node still leads") \
    X(RESTORED_RECORD_TRUSTED, "restored-record-trusted", \
      "records of a restored quorum are acted upon before an operator confirms them") \
    X(WATCH_SKIPS_REVISION, "watch-skips-revision", \
      "a watcher that fell behind goes on one revision too late")
/* clang-format on */

enum base_canary {
    BASE_CANARY_NONE = 0,
#define BASE_CANARY_ENUM(id, name, text) BASE_CANARY_##id,
    BASE_CANARIES(BASE_CANARY_ENUM)
#undef BASE_CANARY_ENUM
        BASE_CANARY_COUNT
};

/* Selects by name; false when there is no such bug or the build has none. NULL or "" selects none.
 */
bool base_canary_select(const char *name);
bool base_canary_is(enum base_canary id);
const char *base_canary_name(enum base_canary id);

#ifdef QUORATE_CANARIES
#define CANARY(id) base_canary_is(BASE_CANARY_##id)
#else
#define CANARY(id) false
#endif

#endif
