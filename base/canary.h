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
    X(ACK_IN_VOLATILE_TERM, "ack-in-volatile-term", \
      "an append is acknowledged in a term that is not durable") \
    X(CHANGE_BEFORE_OWN_TERM, "change-before-own-term", \
      "a leader changes members before an entry of its term is committed") \
    X(TWO_CHANGES_AT_ONCE, "two-changes-at-once", \
      "a leader changes members while the last change is not committed") \
    X(LEARNER_COUNTED, "learner-counted", \
      "what a learner holds counts towards the majority") \
    X(REMOVED_LEADER_COUNTED, "removed-leader-counted", \
      "a leader that is being removed counts itself") \
    X(COMMIT_BEYOND_MATCH, "commit-beyond-match", \
      "a follower is told a commit index beyond where the logs are known to agree") \
    X(STALE_READ_ROUND, "stale-read-round", \
      "an answer to an older heartbeat confirms the round of today") \
    X(VOTE_WITHOUT_COMPARISON, "vote-without-comparison", \
      "a vote is given without a look at the candidate's log") \
    X(TWO_VOTES_A_TERM, "two-votes-a-term", \
      "a vote is given though another one was in this term") \
    X(TRANSFER_TO_STALE_LOG, "transfer-to-stale-log", \
      "leadership is handed to a node that lacks the end of the log") \
    X(READ_BEFORE_OWN_TERM, "read-before-own-term", \
      "a new leader serves reads before an entry of its term is committed") \
    X(OLD_APPEND_REPLY_COUNTED, "old-append-reply-counted", \
      "an acknowledgement of an older term counts") \
    X(OLD_VOTE_COUNTED, "old-vote-counted", \
      "a vote of an older term counts") \
    X(REPLACED_WRITE_COUNTED, "replaced-write-counted", \
      "an entry counts as durable when the write of the one that it replaced ends") \
    X(APPLY_BEFORE_DURABLE, "apply-before-durable", \
      "an entry is applied before it is durable in the log of this node") \
    X(TRIM_BEFORE_DURABLE, "trim-before-durable", \
      "the log forgets what the state does not hold durably") \
    X(IMAGE_WITHOUT_INTENT, "image-without-intent", \
      "an image is installed without a note of it in the log's store") \
    X(READ_BEFORE_APPLY, "read-before-apply", \
      "a read does not wait until its index is applied") \
    X(KEYS_OUTLIVE_LEASE, "keys-outlive-lease", \
      "a lease ends and its keys stay") \
    X(RENEWED_WHILE_ENDING, "renewed-while-ending", \
      "a lease is renewed while its end is in the log") \
    X(RENEWED_WITHOUT_ROUND, "renewed-without-round", \
      "a leader renews leases without asking whether it still leads") \
    X(RENEWAL_KEEPS_CHECKPOINT, "renewal-keeps-checkpoint", \
      "a lease is renewed while the store says that little is left of it") \
    X(LOCK_WITHOUT_SECOND_LOOK, "lock-without-second-look", \
      "who waited for a lock is told that he has it without a look whether he is still in line") \
    X(LOCK_SKIPS_QUEUE, "lock-skips-queue", \
      "a lock is told when whoever came last before has gone, whoever else is there") \
    X(LEASE_SHORTENED, "lease-shortened", \
      "a new leader gives leases half of their time") \
    X(VERSION_FORGOTTEN, "version-forgotten", \
      "the version of a key begins anew with each put") \
    X(HALF_A_TRANSACTION, "half-a-transaction", \
      "a transaction ends behind its first change") \
    X(COMPACTED_READ_ANSWERED, "compacted-read-answered", \
      "a read below the compacted revision is answered") \
    X(PERMISSION_AT_PROPOSE, "permission-at-propose", \
      "what was allowed when it was proposed is done, whatever was changed since") \
    X(TOKEN_NOT_AWAITED, "token-not-awaited", \
      "a token that a node does not know yet is refused at once") \
    X(FULL_STORE_WRITES, "full-store-writes", \
      "a store that is full takes puts") \
    X(FULL_STORE_LOCKS, "full-store-locks", \
      "a store that is full refuses what would make room") \
    X(FAULT_DOES_NOTHING, "fault-does-nothing", \
      "of the harness: pauses of nodes are drawn and nothing pauses") \
    X(INVARIANT_ASLEEP, "invariant-asleep", \
      "of the harness: no commit of a leader is looked at") \
    X(WATCH_SPLITS_REVISION, "watch-splits-revision", \
      "changes of one revision reach a watcher as if they were several") \
    X(NO_QUORUM_ROUND, "no-quorum-round", "a grant is sent without a quorum round") \
    X(STALE_ROUND, "stale-round", "a round that began before the report came confirms it") \
    X(CANDIDACY_CLOCK, "candidacy-clock", \
      "a leader waits from the start of its candidacy, not from its election") \
    X(CACHED_CLOCK, "cached-clock", \
      "a grant is booked at the moment of the turn that it follows, not when it is sent") \
    X(DEADLINE_FROM_RECEIPT, "deadline-from-receipt", \
      "the deadline counts from the receipt of the grant") \
    X(POSITION_ONLY, "position-only", "positions are compared without their epoch") \
    X(GRANT_BEFORE_NOOP, "grant-before-noop", \
      "a new leader grants before the first entry of its term is applied") \
    X(VOTES_SURVIVE, "votes-survive", "votes of an attempt that is over count in the next") \
    X(TOO_FEW_VOTES, "too-few-votes", "one vote less than the rule asks for is enough") \
    X(HOLDER_REPORT_CUTS, "holder-report-cuts", \
      "a report of the holder ends the wait of a new leader") \
    X(HANDBACK_NOT_FINAL, "handback-not-final", \
      "a late grant revives an epoch that was handed back") \
    X(HANDBACK_ANY_EPOCH, "handback-any-epoch", \
      "a handback of an older epoch counts for the present one") \
    X(INSTANCE_IGNORED, "instance-ignored", \
      "another guard goes on in the epoch of its predecessor") \
    X(GUARD_UNHEARD, "guard-unheard", \
      "a command meant for a former guard goes to the one that was found in its place") \
    X(THAW_ANY_GRANT, "thaw-any-grant", "any grant thaws, also one whose deadline is over") \
    X(TAG_BEFORE_POSITION, "tag-before-position", \
      "tags choose among all voters, not among equals") \
    X(VOTE_BEFORE_STOP, "vote-before-stop", "a standby votes while it still receives") \
    X(PROMISE_FORGOTTEN, "promise-forgotten", "an agent forgets its promise when it restarts") \
    X(REPORT_NUMBER_REUSED, "report-number-reused", \
      "an answer to a former process of the agent is taken") \
    X(NO_MARGIN, "no-margin", "neither margin nor drift") \
    X(SYNC_SET_NO_WIDENING, "sync-set-no-widening", \
      "the database changes before the record is widened") \
    X(SYNC_ADD_DATABASE_FIRST, "sync-add-database-first", \
      "a member is added to the database before the record") \
    X(SYNC_LOWER_DATABASE_FIRST, "sync-lower-database-first", \
      "the count is lowered in the database before the record") \
    X(SYNC_REMOVE_RECORD_FIRST, "sync-remove-record-first", \
      "a member is removed from the record before the database") \
    X(SYNC_RAISE_RECORD_FIRST, "sync-raise-record-first", \
      "the count is raised in the record before the database") \
    X(SYNC_REMOVE_NO_BARRIER, "sync-remove-no-barrier", \
      "a member is removed without the position barrier") \
    X(SYNC_RAISE_NO_BARRIER, "sync-raise-no-barrier", \
      "the count is raised without the position barrier") \
    X(NARROW_WITHOUT_ECHO, "narrow-without-echo", \
      "the record is narrowed without the echo of the order") \
    X(STANDBY_BELOW_PRIMARY, "standby-below-primary", \
      "a standby starts with fewer connections than its control file asks for") \
    X(RAISE_BEFORE_STANDBYS, "raise-before-standbys", \
      "a primary starts with more connections than its standbys have") \
    X(REMOTE_NAMED_AS_MEMBER, "remote-named-as-member", \
      "a standby of another cluster calls itself as a member of this one may") \
    X(USER_LINES_FIRST, "user-lines-first", \
      "lines of users stand before our own in pg_hba.conf") \
    X(SYNC_WITHOUT_CHECKPOINT, "sync-without-checkpoint", \
      "commits count as waiting before the checkpointer has read that they must") \
    X(SYNC_BEFORE_CONFIRMED, "sync-before-confirmed", \
      "a member enters the set before its catch-up is confirmed") \
    X(REJOIN_WITHOUT_REWIND, "rejoin-without-rewind", "a former primary rejoins as it is") \
    X(OLD_EPOCH_ACCEPTED, "old-epoch-accepted", \
      "an agent and its guard take orders of a lower epoch") \
    X(START_BEFORE_NAMED, "start-before-named", \
      "a database that was just made is started before the record names it") \
    X(RUN_BY_HAND_OFFERED, "run-by-hand-offered", \
      "what ran read-write without a right counts as it is until there is an order") \
    X(GATE_OPENED_EARLY, "gate-opened-early", "a restarted primary lets clients in at once") \
    X(FLOOR_EPOCH_KEPT, "floor-epoch-kept", "a failover keeps the older floor epoch") \
    X(FLOOR_EPOCH_RAISED_BY_RETURN, "floor-epoch-raised-by-return", \
      "a return raises the floor epoch") \
    X(HANDOVER_WITHOUT_CHECKPOINT, "handover-without-checkpoint", \
      "a hand-over goes to a member without the shutdown checkpoint") \
    X(OPEN_ON_ANY_TIMELINE, "open-on-any-timeline", \
      "a winner opens on another timeline than the reserved one") \
    X(DECODER_TRUSTS_LENGTH, "decoder-trusts-length", \
      "the length of a field is believed, though the message is shorter") \
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
    X(AGENT_ACTS_IN_PAUSE, "agent-acts-in-pause", "an agent acts though the record says pause") \
    X(PAUSE_NOT_SAVED, "pause-not-saved", "a guard is disarmed before the pause is on disk") \
    X(RESUME_ACTS_FIRST, "resume-acts-first", \
      "after a pause a holder acts before its guard is armed again") \
    X(DISARM_OVERTAKEN, "disarm-overtaken", \
      "after a pause a guard counts as armed though it is about to be disarmed") \
    X(VOTER_CLONES_LESS, "voter-clones-less", \
      "a voter copies a standby, which may lack what the voter has acknowledged") \
    X(DEAD_FOR_EVER, "dead-for-ever", \
      "a holder once said to be dead stays so for the rest of its epoch, though it is granted on") \
    X(FAILSAFE_LIST_EMPTIED, "failsafe-list-emptied", \
      "the last of a failsafe list is removed, and anybody may be chosen") \
    X(FAILSAFE_BY_SOME, "failsafe-by-some", "a failsafe round counts that not all have granted") \
    X(FAILSAFE_FROM_RECEIPT, "failsafe-from-receipt", \
      "the deadline of a failsafe round counts from its last answer") \
    X(FAILSAFE_VOTES_EARLY, "failsafe-votes-early", \
      "a member votes though its failsafe grant has not run out") \
    X(FAILSAFE_FORGOTTEN, "failsafe-forgotten", \
      "a restarted agent does not wait for the failsafe grants of the one before") \
    X(FAILSAFE_AFTER_VOTE, "failsafe-after-vote", "a member grants failsafe after its vote") \
    X(FAILSAFE_OLD_EPOCH, "failsafe-old-epoch", \
      "a member grants failsafe for an epoch that is over") \
    X(TASK_TWICE, "task-twice", "a restarted agent does an operator's task again") \
    X(CASCADE_RING, "cascade-ring", "a standby receives from one that receives from it") \
    X(FULL_DISK_HOLDS_ON, "full-disk-holds-on", \
      "a primary that cannot write keeps the role though a standby is fit") \
    X(STANDBY_TELLS_OF_HOLDER, "standby-tells-of-holder", \
      "an asynchronous loss is bounded by a standby's position, the holder's not known") \
    X(UNKNOWN_POSITION_TELLS, "unknown-position-tells", \
      "a holder whose server does not answer counts as having told how far it is") \
    X(TTL_WITHOUT_ROOM, "ttl-without-room", \
      "a ttl is taken over that leaves a member's watchdog no room") \
    X(REFUSED_ARM_KEEPS_ROLE, "refused-arm-keeps-role", \
      "a holder whose guard refuses the lease keeps the role though another may have it") \
    X(UNDYING_KEEPS_ROLE, "undying-keeps-role", \
      "a holder whose killed processes do not end keeps the role") \
    X(RESTORED_RECORD_TRUSTED, "restored-record-trusted", \
      "records of a restored quorum are acted upon before an operator confirms them") \
    X(PAUSE_IGNORED, "pause-ignored", \
      "a failover is decided in a pause") \
    X(RESUME_FORGETS_PAUSE, "resume-forgets-pause", \
      "after a pause the lease of a holder that was not heard since ends like any other") \
    X(RESUME_WITHOUT_ECHO, "resume-without-echo", \
      "a report made before the holder heard of the resume counts as armed again") \
    X(TTL_LOWERED_AT_ONCE, "ttl-lowered-at-once", \
      "a shorter ttl counts before the leases of the longer one have run out") \
    X(GRANT_WHILE_FENCED, "grant-while-fenced", \
      "an epoch is granted after its fence was entered") \
    X(FENCE_BEFORE_ENTRY, "fence-before-entry", \
      "the fence command runs before its entry is applied") \
    X(FENCE_NOT_REQUIRED, "fence-not-required", \
      "a failover does not wait for the fence that is required") \
    X(FENCE_STANDS_FOR_LEASE, "fence-stands-for-lease", \
      "a fence ends the lease though it is not trusted") \
    X(FAILSAFE_ANY_CANDIDATE, "failsafe-any-candidate", \
      "a member takes over that the holder has not confirmed for failsafe") \
    X(DRAINED_CANDIDATE, "drained-candidate", \
      "a drained member takes over") \
    X(HOLD_OFF_FORGOTTEN, "hold-off-forgotten", \
      "the role goes from one to the other and back without end") \
    X(WINNER_RUN_BY_HAND, "winner-run-by-hand", \
      "a winner that somebody has run by hand since it was chosen is promoted as it is") \
    X(ARMED_BESIDE_A_STRANGER, "armed-beside-a-stranger", \
      "a winner is armed while a server runs there that its guard did not start") \
    X(SYNC_BY_ANY_ORDER, "sync-by-any-order", \
      "an agent that was started anew puts a set in force by an order that was made before") \
    X(VOTER_BY_AN_OLD_ORDER, "voter-by-an-old-order", \
      "who was made a voter since its last order copies somebody who may have less") \
    X(FOLLOWS_BEFORE_ITS_END, "follows-before-its-end", \
      "a standby that reads its own log still is pointed at the holder by what it has replayed") \
    X(RECEIVER_TAKEN_OUT_ALWAYS, "receiver-taken-out-always", \
      "whether the upstream has what is needed is not asked while a receiver comes and goes") \
    X(REPLAY_IS_ALL, "replay-is-all", \
      "a standby that was just started does not say that it has not read all it has") \
    X(UNTOLD_HAS_NOTHING, "untold-has-nothing", \
      "a confirmation passes over a member that is heard and does not say yet how far it is") \
    X(EPOCH_MET_AGAIN, "epoch-met-again", \
      "a confirmation takes the epoch next to the highest reported") \
    X(ADOPTED_AFTER_EPOCHS, "adopted-after-epochs", \
      "a database is adopted by itself although members have seen epochs") \
    X(LAG_LIMIT_IGNORED, "lag-limit-ignored", \
      "an asynchronous failover loses more than the limit") \
    X(TASK_WHILE_ANOTHER, "task-while-another", \
      "several members are restarted at one time") \
    X(REINIT_OF_HOLDER, "reinit-of-holder", \
      "the directory of the primary is thrown away by order") \
    X(EXPIRY_COUNTED_AS_CRASH, "expiry-counted-as-crash", \
      "a tree that ended because its lease was over counts as a crash of the database") \
    X(REINIT_OF_VOTER, "reinit-of-voter", \
      "a copy that commits may rest on is thrown away by order") \
    X(ARMED_BY_WORD, "armed-by-word", \
      "after a pause a report without a deadline counts as armed again") \
    X(TASK_ID_MET_AGAIN, "task-id-met-again", \
      "an order given after a restore can have the id of one that is done") \
    X(FENCED_HOLDS_ON, "fenced-holds-on", \
      "after a pause a holder waits for a grant of an epoch that is being fenced") \
    X(FAILSAFE_WHILE_FENCED, "failsafe-while-fenced", \
      "a holder extends an epoch that is being fenced by failsafe rounds") \
    X(ADOPTED_STANDBY_OFFERED, "adopted-standby-offered", \
      "a standby that is taken over while it runs offers its database as the cluster's") \
    X(ADOPTED_SPARED, "adopted-spared", \
      "a primary that was taken over is left read-write though the record names another one") \
    X(ADOPTED_PROMOTED, "adopted-promoted", \
      "the first record of a cluster taken over while it runs names a new timeline") \
    X(RELEASED_ARMED, "released-armed", "a guard lets go of an adopted root under a lease") \
    X(ADOPT_BY_NUMBER, "adopt-by-number", \
      "a guard adopts whatever process has the number now") \
    X(ADOPTED_ORPHANS_LEFT, "adopted-orphans-left", \
      "an adopted tree counts as gone while its orphans run") \
    X(WATCHDOG_FED_ALWAYS, "watchdog-fed-always", \
      "a watchdog is fed whatever the deadline is") \
    X(FENCE_BELIEVED, "fence-believed", \
      "a fence command that ended well is not asked again whether the host is off") \
    X(DOCUMENT_AHEAD, "document-ahead", \
      "a member gets a configuration that is not the record's yet") \
    X(DOCUMENT_OVER_ANOTHER, "document-over-another", \
      "a configuration is written over one that its writer has not read") \
    X(PRIMARY_BY_ROLE, "primary-by-role", \
      "/primary says yes to whoever holds the epoch, whatever its deadline") \
    X(HOOK_REFUSAL_IGNORED, "hook-refusal-ignored", \
      "a promotion goes on though its hook has refused it") \
    X(VIP_OUTLIVES_LEASE, "vip-outlives-lease", \
      "the virtual IP stays where it is when the deadline comes") \
    X(START_WITHOUT_POSITION, "start-without-position", \
      "a Galera member is started without the position that was recovered") \
    X(READER_AFTER_PAUSE, "reader-after-pause", \
      "/reader says yes after a pause, before a causal read has come through") \
    X(GRANT_CARRIED_OUT_TWICE, "grant-carried-out-twice", \
      "a restarted agent carries a bootstrap out again") \
    X(HANDBACK_WHILE_RUNNING, "handback-while-running", \
      "a guard that freezes takes a hand-back while the tree runs") \
    X(RELEASE_BEFORE_FENCE, "release-before-fence", \
      "a Galera writer gives its epoch back before it is fenced") \
    X(PROXY_KEEPS_DEPOSED, "proxy-keeps-deposed", \
      "connections to a deposed primary are left standing") \
    X(PROXY_RECORD_GOES_BACK, "proxy-record-goes-back", \
      "the proxy follows a record that is older than the one it knows") \
    X(PROXY_ROUTES_BY_OLD_ANSWER, "proxy-routes-by-old-answer", \
      "the proxy routes by what was confirmed longer ago than the lease lasts") \
    X(PROXY_ROUTES_UNOPENED, "proxy-routes-unopened", \
      "the proxy sends clients to a primary that has not opened yet") \
    X(WATCH_SKIPS_REVISION, "watch-skips-revision", \
      "a watcher that fell behind goes on one revision too late") \
    X(GALERA_SECOND_GRANT, "galera-second-grant", \
      "a bootstrap is granted while another one may still be carried out") \
    X(GALERA_CANDIDATE_BY_NAME, "galera-candidate-by-name", \
      "the first by name bootstraps, whatever the others have") \
    X(GALERA_STARTS_UNHEARD, "galera-starts-unheard", \
      "a Galera member that hears nothing any more is started, and waits, by an old word") \
    X(GALERA_LAST_COPY_CLONED, "galera-last-copy-cloned", \
      "a Galera member is cloned by order though nobody else has the data") \
    X(GALERA_WRITER_GIVES, "galera-writer-gives", \
      "the writer gives a state transfer though another member can") \
    X(GALERA_LAST_READER_GIVES, "galera-last-reader-gives", \
      "the last reader gives a state transfer where it shall be kept") \
    X(GALERA_WRITER_STAYS_CLOSED, "galera-writer-stays-closed", \
      "a writer that became read-only behind its promotion stays so") \
    X(GALERA_RENOUNCED_UNSAID, "galera-renounced-unsaid", \
      "a member that has promised to refuse its grant says nothing, and all wait for it") \
    X(GALERA_LIVE_GRANT_STARTED, "galera-live-grant-started", \
      "a bootstrap that was granted to a server that ran is carried out by a start of it") \
    X(GALERA_RESTART_JOINS_OTHER, "galera-restart-joins-other", \
      "a member that was told to restart joins with data of an earlier generation") \
    X(GALERA_STARTS_OUT_OF_TURN, "galera-starts-out-of-turn", \
      "a member that is ending is told to join, and starts a transfer beside another one") \
    X(GALERA_DAMAGE_WAITED_FOR, "galera-damage-waited-for", \
      "a member whose data its server cannot read is asked for its position for ever") \
    X(CLONE_OF_HAND_OPENED, "clone-of-hand-opened", \
      "a standby, or a standby cluster's holder, that somebody has opened by hand is copied") \
    X(RUN_BY_HAND_AT_REST, "run-by-hand-at-rest", \
      "the first looks at a server that somebody has started count as data at rest") \
    X(OLD_POSITION_BOUNDS, "old-position-bounds", \
      "an asynchronous loss is counted from what the holder told long before this leadership") \
    X(GRANT_OUTLIVES_GUARD, "grant-outlives-guard", \
      "a grant that waits for the disk is given to the guard that has come in its guard's place") \
    X(HOLDER_KEEPS_RECOVERING, "holder-keeps-recovering", \
      "what runs in recovery goes on though its member's next epoch waits for its end") \
    X(CONDEMNED_BY_AN_OLD_ORDER, "condemned-by-an-old-order", \
      "a directory is rewound or given up by the word of a time that is over") \
    X(GALERA_QUEUE_FORGOTTEN, "galera-queue-forgotten", \
      "what a node has received and not applied yet is not known as committed") \
    X(GALERA_BEFORE_UNSAID, "galera-before-unsaid", \
      "a recovery goes back before the last bootstrap without anybody's word") \
    X(GALERA_OLDER_UNSAID, "galera-older-unsaid", \
      "a recovery goes back to an older history though nobody has named the member") \
    X(MONGODB_FAILURE_COUNTED_AGAIN, "mongodb-failure-counted-again", \
      "an order that failed counts once more with each decision that came too late") \
    X(GALERA_GENERATION_IGNORED, "galera-generation-ignored", \
      "data of another generation count by their position") \
    X(GALERA_LATE_STAMP_TRUSTED, "galera-late-stamp-trusted", \
      "who was let in while its agent stood still has an older stamp, and its data do not count") \
    X(GALERA_SILENCE_IS_EVIDENCE, "galera-silence-is-evidence", \
      "a node that is silent counts as stopped") \
    X(FORMER_ROLE_FOLLOWED, "former-role-followed", \
      "a standby cluster's member follows from a line that its own cluster opened before") \
    X(MONGODB_FORCED_TWICE, "mongodb-forced-twice", \
      "the token of a forced reconfiguration is taken twice") \
    X(MONGODB_HOST_LEFT_OUT, "mongodb-host-left-out", \
      "a host without an agent is left out by force though nobody says that it is destroyed") \
    X(MONGODB_HUNG_IS_FENCED, "mongodb-hung-is-fenced", \
      "a mongod that runs and does not answer is left out by force as if it were down") \
    X(MONGODB_TOKEN_DERIVED, "mongodb-token-derived", \
      "the token of a forced reconfiguration follows from what everybody can know") \
    X(MONGODB_ORDER_WITHOUT_EPOCH, "mongodb-order-without-epoch", \
      "an order to a replica set is given in the epoch of the one before") \
    X(MONGODB_KILL_WITHOUT_OPT_IN, "mongodb-kill-without-opt-in", \
      "a gray primary is killed though nobody has opted in") \
    X(MONGODB_ACT_IN_MINORITY, "mongodb-act-in-minority", \
      "an order is given though no majority of the replica set is seen") \
    X(MONGODB_INITIATE_AGAIN, "mongodb-initiate-again", \
      "a replica set is initiated again when its members are empty") \
    X(MONGODB_DEGRADE_ON_ONE_OPINION, "mongodb-degrade-on-one-opinion", \
      "a vote is taken away because the primary alone does not hear a member") \
    X(MONGODB_VOTE_AND_PRIORITY_AT_ONCE, "mongodb-vote-and-priority-at-once", \
      "a member gets its vote and its priority in one change") \
    X(MONGODB_OLD_ORDER_TAKEN, "mongodb-old-order-taken", \
      "an agent carries out an order of an epoch below the highest it knows") \
    X(MONGODB_KILLS_UNASKED, "mongodb-kills-unasked", \
      "an agent kills a mongod though the record has no opt-in") \
    X(MONGODB_PRIMARY_ON_OLD_HELLO, "mongodb-primary-on-old-hello", \
      "/primary answers from a hello of any age, also from before a pause of the host") \
    X(MONGODB_DONE_BY_REPLY, "mongodb-done-by-reply", \
      "an order is done when the server says so, not when it is seen") \
    X(MONGODB_ACTS_ON_LOST_CONTROL, "mongodb-acts-on-lost-control", \
      "a primary is fenced because the control plane is lost, whatever its set says") \
    X(MONGODB_BARRED_STARTED, "mongodb-barred-started", \
      "a member that was left out by force is started again by a restarted agent") \
    X(MONGODB_POLICY_OF_NO_RECORD, "mongodb-policy-of-no-record", \
      "where no record is known, the strongest opt-in counts")
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
