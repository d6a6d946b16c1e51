/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of the arbiter: what it decided, whom it refused and why. One table each for events
 * and refusals, so that the log, `kv db why`, the history and the documentation say the same words.
 * Pure.
 *
 * In a template {m} and {n} stand for member names, {a} {b} {c} for numbers, {A} for c and {B} for
 * b as WAL positions (X/X), {w} for the text of a refusal, {k} for c as the kind of an order to a
 * member, {e} for b as an error of such an order; {o} for c as the kind of an order to a replica
 * set, {p} for b as its phase.
 */
#ifndef QUORATE_ARBITER_CORE_NOTE_H
#define QUORATE_ARBITER_CORE_NOTE_H

#include "base/slice.h"
#include "base/types.h"
#include "proto/msg/mongodb.h"

/*   id              name               sentence about a member */
#define ARB_REFUSALS(X) \
    X(NONE, "fit", "is fit") \
    X(HOLDER, "holder", "is the holder that is to be replaced") \
    X(SILENT, "silent", "has not been heard of") \
    X(OTHER_SYSTEM, "other-system", "has a data directory of another system identifier") \
    X(DOUBLED, "doubled-name", "has the name of another process that is alive") \
    X(NO_GUARD, "no-guard", "has no guard process yet") \
    X(NO_ROOM, "no-room", "is one member more than a cluster can have") \
    X(NOT_VOTER, "not-voter", "is not in the recorded synchronous set") \
    X(NO_VOTE, "no-vote", "has not reported its final position yet") \
    X(NOT_USABLE, "not-usable", \
      "has no database to go on with: its line in kv db status says why") \
    X(LACKS_FLOOR, "lacks-floor", \
      "has not reached the position with which the present holder was chosen") \
    X(OTHER_HISTORY, "other-history", "is on another history") \
    X(BEHIND, "behind", "lacks what another voter has") \
    X(LAG, "lag", "lags more than the limit for asynchronous failover") \
    X(NOFAILOVER, "nofailover", "is tagged nofailover") \
    X(NOT_STREAMING, "not-streaming", "is not streaming from the holder") \
    X(TREE_ALIVE, "tree-alive", "still has a database process of its former life") \
    X(EPOCH_AHEAD, "epoch-ahead", "has seen an epoch above the record's") \
    X(DRAINED, "drained", "is drained") \
    X(WRITE_FAILING, "write-failing", "cannot write: its disk is full or hangs") \
    X(GUARD_PAUSED, "guard-paused", "has not taken in that the pause is over") \
    X(NOT_CONFIRMED, "not-confirmed", \
      "is not yet among those whom the holder asks when it is cut off (failsafe)") \
    X(NOT_PREFERRED, "not-preferred", \
      "is as good, by priority, zone and name another comes first") \
    X(NOBODY_FIT, "nobody-fit", "has no other member that could take over") \
    X(NOT_OPEN, "not-open", "is not open for writes: nothing can be handed over") \
    X(LATE, "late", "could not be asked in the minute after the time that was set") \
    X(IS_HOLDER, "is-holder", "is the primary by now") \
    X(NOTHING_PENDING, "nothing-pending", "has nothing that waits for a restart") \
    X(RESTART_PENDING, "restart-pending", "must be restarted first") \
    X(CATCHING_UP, "catching-up", "still fetches what it lacks") \
    X(IS_VOTER, "is-voter", "is in the recorded synchronous set, and leaves it first") \
    X(LAST_VOTER, "last-voter", \
      "is the one that commits must wait for (strict): another one must stream first") \
    X(NOT_SYNCED, "not-synced", "is not Synced in the Primary component") \
    X(DONOR, "donor", "serves as donor, or is desynced") \
    X(STALLED, "stalled", "is stalled: views change, or flow control holds the cluster") \
    X(OTHER_GENERATION, "other-generation", "belongs to another generation of the data") \
    X(REJECTING, "rejecting", "still rejects all queries after a fence") \
    X(NO_PRIORITY, "no-priority", "has priority 0") \
    X(LAST_COPY, "last-copy", \
      "would leave too little weight: a crash meanwhile would stop the cluster") \
    X(NO_POSITION, "no-position", "has not told the position of its data yet") \
    X(NOT_STOPPED, "not-stopped", "is not seen stopped yet") \
    X(JOINING, "joining", "takes a transfer, or is about to") \
    X(SETTLING, "settling", "was restarted, and is watched for a while") \
    X(NO_SPACE, "no-space", "has too little free disk for a transfer of everything") \
    /* of MongoDB members */ \
    X(LAYOUT_THREE_ONE, "layout-three-one", \
      "would stand in a layout of three data members and an arbiter: four voters survive one " \
      "failure like three, and majority writes then need all three; have 3+0, 2+1, 4+1 or 5+0") \
    X(LAYOUT_EVEN, "layout-even", \
      "would make the number of voters even, which survives no more failures; add or leave out " \
      "one more") \
    X(LAYOUT_ARBITERS, "layout-arbiters", "would be a second arbiter: one at most") \
    X(LAYOUT_SAME_HOST, "layout-same-host", \
      "is an arbiter on the host of a data member: both fail together") \
    X(LAYOUT_NO_PRIMARY, "layout-no-primary", \
      "is in a layout in which no data member with a vote has a priority above 0") \
    X(LAYOUT_VOTERS, "layout-voters", \
      "would be one voter more than the seven that MongoDB allows") \
    X(LAYOUT_TOO_FEW, "layout-too-few", \
      "cannot leave: fewer than three voters would be left; --force accepts that") \
    X(LAYOUT_ONE_ZONE, "layout-one-zone", "is in one zone with all other voters") \
    X(NOT_SECONDARY, "not-secondary", "is not a healthy SECONDARY") \
    X(LAGGING, "lagging", "is more than a second behind") \
    X(NO_VOTES, "no-votes", "has no vote, or priority 0, or is hidden") \
    X(IS_ARBITER, "is-arbiter", "is an arbiter: it has no data") \
    X(THIN, "thin", "would move the primary while a voter is missing") \
    X(TOO_YOUNG, "too-young", "has not been healthy for five minutes") \
    X(MOVED_LATELY, "moved-lately", \
      "was chosen, but the primary was moved in the last ten minutes") \
    X(NO_SET_PRIMARY, "no-set-primary", "is not seen as the one writable primary by a majority") \
    X(OLD_EVIDENCE, "old-evidence", "was last looked at too long ago") \
    X(ONE_OPINION, "one-opinion", "is alone with that: no second member says so") \
    X(BARRED, "barred", "was left out by a forced reconfiguration: kv db reinit empties it") \
    X(NO_OTHER_COPY, "no-other-copy", \
      "has the only good copy, or none with an oplog long enough for a new sync is left") \
    X(STILL_NEEDED, "still-needed", "is needed for the majority") \
    X(NOT_FENCED, "not-fenced", \
      "may still run: its agent must say that mongod is down, or name it with --destroyed") \
    X(HAS_MAJORITY, "has-majority", \
      "belongs to a majority that is alive: nothing has to be forced") \
    X(TOKEN_VOID, "token-void", \
      "is not what the token was given for: epoch, configuration or survivors have changed; ask " \
      "for a new plan") \
    X(NO_CONFIG, "no-config", "does not know the configuration of the replica set") \
    X(WATCHED, "watched", "is watched alone: its mongod was not started by an agent") \
    X(HAS_DATA, "has-data", "has data already") \
    X(OTHER_SET, "other-set", "names another replica set than the others, or is in another one") \
    X(NO_OPT_IN, "no-opt-in", "is killed only where mongodb.gray is kill")

enum arb_refusal {
#define ARB_REFUSAL_ENUM(id, name, text) ARB_REFUSE_##id,
    ARB_REFUSALS(ARB_REFUSAL_ENUM)
#undef ARB_REFUSAL_ENUM
        ARB_REFUSAL_COUNT
};

/*   id                  name                 sentence */
#define ARB_NOTES(X) \
    X(LEADS, "leads", "this node decides now (term {a})") \
    X(MEMBER_NEW, "member-new", "{m} was heard of for the first time") \
    X(MEMBER_BACK, "member-back", "{m} is heard again with a new process") \
    X(MEMBER_REFUSED, "member-refused", "{m} is refused: it {w}") \
    X(BLOCKED, "blocked", "nothing is granted: {m} has seen epoch {a}, above the record's {b}") \
    X(BOOTSTRAP, "bootstrap", "{m} makes the database (epoch {a})") \
    X(BOOTSTRAP_WAITS, "bootstrap-waits", \
      "{m} holds a database (system identifier {a}) without a record; kv db confirm lets it go " \
      "on") \
    X(FOUND_WAITS, "found-waits", \
      "the quorum was restored and has no record of this cluster: no database is made; " \
      "run kv db confirm {m}") \
    X(CREATED, "created", "{m} has made the database, system identifier {a}") \
    X(OPENED, "opened", \
      "{m} is open for writes in epoch {a}, {b} ms after the decision was applied") \
    X(HANDED_BACK, "handed-back", "{m} handed epoch {a} back") \
    X(HANDED_BACK_CLEAN, "handed-back-clean", \
      "{m} handed epoch {a} back after an orderly stop at {B}") \
    X(LEASE_OVER, "lease-over", \
      "the lease of {m} in epoch {a} is over, it was last heard {b} ms ago") \
    X(ATTEMPT, "attempt", "failover attempt {b} in term {a}: {c} voters needed") \
    X(ATTEMPT_ENDED, "attempt-ended", "attempt {b} is over: {m} is granted epoch {a} again") \
    X(VOTE, "vote", "{m} voted with {A}, history of epoch {b}") \
    X(WAITS_FOR_VOTES, "waits-for-votes", "failover waits: {a} of {b} votes, {m} {w}") \
    X(WAITS_NO_SYNC, "waits-no-sync", \
      "failover waits for {m}: no standby is known to have everything") \
    X(WAITS_UNFIT, "waits-unfit", \
      "failover waits: only {m} is known to have everything, and it {w}; kv db failover {n} " \
      "says what " \
      "another member would lose, --force takes it") \
    X(WAITS_CANDIDATE, "waits-candidate", "failover waits: {m} is ahead of all others but {w}") \
    X(WAITS_POSITION, "waits-position", \
      "failover waits: no position of this epoch is known, an operator must choose") \
    X(WAITS_LAG, "waits-lag", \
      "failover waits: {m} is the most advanced and lacks {a} bytes of what " \
      "is known, more than the " \
      "limit of {b}; an operator may force it") \
    X(FAILOVER, "failover", "{n} takes over from {m} in epoch {a}, with {A}") \
    X(HANDOVER, "handover", \
      "{n} takes over from {m} in epoch {a} after an orderly stop, with {A}") \
    X(RETURN, "return", "{m} returns with its own directory in epoch {a}") \
    X(FORCED, "forced", \
      "{n} takes over from {m} in epoch {a} by an operator's force; up to {b} bytes may be lost") \
    X(UNCONFIRMED, "unconfirmed", \
      "unconfirmed after a restore of the quorum: nothing is granted or changed; " \
      "run kv db confirm {m}") \
    X(CONFIRMED, "confirmed", \
      "an operator confirmed: {n} goes on in epoch {a}, with {A}; " \
      "the record had {m} in epoch {b}") \
    X(ADOPTED, "adopted", \
      "an operator confirmed: {n} goes on in epoch {a}, with {A}; the quorum had no record") \
    X(FOUNDING, "founding", "an operator confirmed that there is no database of this cluster yet") \
    X(SWITCHOVER, "switchover", "{m} is asked to hand over to {n}") \
    X(SWITCHOVER_ENDED, "switchover-ended", "the switchover is given up: {n} {w}; {m} goes on") \
    X(SYNC_WIDEN, "sync-widen", "record widened: {a} voters, at least {b} have every commit") \
    X(SYNC_NARROW, "sync-narrow", "record narrowed: {a} voters, at least {b} have every commit") \
    X(SYNC_DATABASE, "sync-database", "{m} is to wait for {b} of {a} standbys") \
    X(FAILOVER_LOSS, "failover-loss", \
      "{n} takes over from {m} in epoch {a}, with {A}; up to {b} bytes and what was written " \
      "after " \
      "the last report may be lost") \
    X(HELD_OFF, "held-off", \
      "{m} goes on in place: the last failover was {a} s ago, less than failover_interval " \
      "({b} s), or " \
      "the third in an hour") \
    X(CATCH_UP, "catch-up", "{n} is to take over and fetches from {m} what it lacks; {m} {w}") \
    X(SETTINGS, "settings", "configuration {a} is in force") \
    X(SETTINGS_REFUSED, "settings-refused", \
      "configuration {a} is not taken over: ttl must be 600 to 60000 ms (Galera: from 5000), " \
      "heartbeat a quarter of it at most, sync_count 15 at most, the section of the engine its " \
      "own") \
    X(SETTINGS_NO_ROOM, "settings-no-room", \
      "configuration {a} is not taken over: the watchdog of {m} has no room in a ttl below " \
      "{b} ms") \
    X(SETTINGS_WAIT, "settings-wait", \
      "of configuration {a} only fence and failover_interval are in force until " \
      "there is a primary") \
    X(SETTINGS_TIMES, "settings-times", \
      "of configuration {a} fence and the lease's times are in force; the rest waits until {n} " \
      "can begin to follow another primary, or end it") \
    X(TTL_SETTLED, "ttl-settled", "no lease of more than {a} ms runs any more") \
    X(FOLLOWS_ELSEWHERE, "follows-elsewhere", \
      "{m} leads a standby cluster from epoch {a} on: it follows the primary elsewhere") \
    X(FOLLOWS_NOBODY, "follows-nobody", \
      "{m} follows the primary elsewhere no more and opens in epoch {a}") \
    X(PAUSED, "paused", \
      "paused by an operator: nothing is promoted, fenced or restarted until kv db resume {m}") \
    X(RESUMED, "resumed", "resumed by an operator") \
    X(WAITS_ARMED, "waits-armed", \
      "nobody takes over from {m} before it has reported its guard armed again since the " \
      "pause; if " \
      "its host is dead for good, kv db confirm {n} --dead {m}") \
    X(ARMED, "armed", "{m} has armed its guard again in epoch {a}: its lease has an end") \
    X(DEAD, "dead", "an operator confirmed that {m} is dead") \
    X(FENCING, "fencing", "{m} is to be fenced: epoch {a} is granted no more") \
    X(FENCED, "fenced", "{m} is fenced") \
    X(FENCE_FAILED, "fence-failed", "fencing {m} failed, it is tried again in {a} s") \
    X(WAITS_FENCE, "waits-fence", \
      "failover waits: {m} must be fenced first (fence mode require); kv db confirm {n} " \
      "--dead {m} " \
      "stands for it") \
    X(TASK, "task", "{k} of {m} is ordered ({a})") \
    X(TASK_BEGUN, "task-begun", "{k} of {m} begins ({a})") \
    X(TASK_DONE, "task-done", "{k} of {m} is done ({a})") \
    X(TASK_FAILED, "task-failed", "{k} of {m} failed: {e} ({a})") \
    X(TASK_DROPPED, "task-dropped", "{k} of {m} is dropped ({a}): {m} {w}") \
    X(TASK_WAITS, "task-waits", "{k} of {m} waits ({a}): {n} {w}") \
    X(CANCELED, "canceled", "an operator canceled {a} orders to members") \
    X(SCHEDULED, "scheduled", "a switchover is planned") \
    X(SCHEDULE_CANCELED, "schedule-canceled", "the planned switchover is canceled by an operator") \
    X(SCHEDULE_DROPPED, "schedule-dropped", "the planned switchover is dropped: {n} {w}") \
    X(SWITCHOVER_CANCELED, "switchover-canceled", \
      "the switchover to {n} is canceled by an operator; {m} goes on") \
    X(DRAINED, "drained", "{m} is drained: it takes no role and no commit waits for it") \
    X(UNDRAINED, "undrained", "{m} is drained no more") \
    X(DRAIN_WAITS, "drain-waits", "{m} is drained and stays primary: it {w}") \
    X(REMOVED, "removed", "{m} is removed") \
    X(FAILSAFE, "failsafe", "{m} would ask {a} members when it is cut off from the quorum") \
    X(SWAP_VOID, "swap-void", \
      "a decision came too late: the record had moved on from epoch {a} revision {b}") \
    /* of Galera clusters */ \
    X(GALERA_FOUND_WAITS, "galera-found-waits", \
      "the cluster is founded when {a} members are heard and have no data; {b} are") \
    X(GALERA_DATA_WAITS, "galera-data-waits", \
      "{m} has data of a Galera cluster without a record; kv db confirm {n} lets them go on") \
    X(GALERA_FOUNDS, "galera-founds", "{m} founds the cluster (epoch {a}, generation {b})") \
    X(GALERA_TAKEN_IN, "galera-taken-in", \
      "a running cluster is taken in: {b} nodes, {m} is its first writer (epoch {a})") \
    X(GALERA_VIEW, "galera-view", "Primary view {a}: {b} nodes of weight {c}") \
    X(GALERA_OUT, "galera-out", "no member that is heard is in the Primary component") \
    X(GALERA_HELD, "galera-held", \
      "recovery: no member starts or bootstraps below generation {a}, each tells its position") \
    X(GALERA_WAITS, "galera-waits", "recovery waits: {m} {w}") \
    X(GALERA_NOT_ALONE, "galera-not-alone", \
      "recovery waits for {m}: it {w}, and what is silent may be the Primary component; where " \
      "its machine is dead for good, kv db confirm {n} --dead {m}") \
    X(GALERA_MISSING, "galera-missing", \
      "recovery waits for {m}: it {w} and may have more than the others; kv db confirm {n} " \
      "--override {m} says what going on without it costs") \
    X(GALERA_DAMAGED, "galera-damaged", \
      "recovery waits for {m}: its server cannot read its data, and they may have more than the " \
      "others; kv db confirm {n} --override {m} says what going on without them costs") \
    X(GALERA_LOSS, "galera-loss", \
      "recovery waits: {m} has most, and {c} transactions less than were known committed; kv db " \
      "confirm {n} --force accepts that") \
    X(GALERA_BEFORE, "galera-before", \
      "recovery waits: nobody who is heard has what was written since the last bootstrap; {m} " \
      "has most, {c} transactions less than were known committed; kv db confirm {n} --force " \
      "accepts that") \
    X(GALERA_OLDER, "galera-older", \
      "recovery waits: nobody who is heard has what was written since the last bootstrap, nor " \
      "all that it began with; the newest data are {m}'s, {c} transactions less than were known " \
      "committed; kv db confirm {n} --primary {m} --force goes on from there") \
    X(GALERA_NO_SOURCE, "galera-no-source", \
      "recovery waits: nobody who is heard has data to start from") \
    X(GALERA_TWO_HISTORIES, "galera-two-histories", \
      "recovery waits: {m} knows another history than the others; look at the data of both, then " \
      "kv db confirm {n} --primary MEMBER --force: the others become copies of that one") \
    X(GALERA_GRANT_LIVE, "galera-grant-live", \
      "{m} forms the Primary component again from where it runs: generation {a}, seqno {b}") \
    X(GALERA_GRANT_COLD, "galera-grant-cold", \
      "{m} bootstraps generation {a} from seqno {b}; {c} transactions are lost") \
    X(GALERA_GRANTED, "galera-granted", "{m} carries the bootstrap of generation {a} out") \
    X(GALERA_GRANT_SILENT, "galera-grant-silent", \
      "recovery waits for {m}: it was granted the bootstrap of generation {a} and is silent; " \
      "where its machine is dead for good, kv db confirm {n} --dead {m}") \
    X(GALERA_FORMED, "galera-formed", "{m} is the Primary component of generation {a}, seqno {b}") \
    X(GALERA_FAILED, "galera-failed", "the bootstrap of generation {a} on {m} failed: {e}") \
    X(GALERA_FAILED_WAITS, "galera-failed-waits", \
      "the bootstrap of generation {a} on {m} failed, and nobody else is tried by itself; see " \
      "its log, then kv db confirm {n}") \
    X(GALERA_KEPT, "galera-kept", "the Primary component of {m} goes on as generation {a}") \
    X(GALERA_WRITER, "galera-writer", \
      "{n} is the writer after {m} from epoch {a} on, seqno {b}; what was being committed is in " \
      "doubt") \
    X(GALERA_HANDED_OVER, "galera-handed-over", \
      "{n} is the writer after {m} from epoch {a} on, after an orderly handover, seqno {b}") \
    X(GALERA_WRITER_AGAIN, "galera-writer-again", "{n} is the writer again, in epoch {a}") \
    X(GALERA_NO_WRITER, "galera-no-writer", "there is no writer: {m} {w}") \
    X(GALERA_SECOND, "galera-second", \
      "the writer waits until a second member is Synced, {a} s at most") \
    X(GALERA_JOINER, "galera-joiner", "{m} may join") \
    X(GALERA_NO_SPACE, "galera-no-space", \
      "{m} waits to join: a transfer of everything needs {a} MB of disk, and it has {b} MB; free " \
      "some there") \
    X(GALERA_KEEPS_READER, "galera-keeps-reader", \
      "{m} waits to join: it needs everything, and to give it would take the last reader beside " \
      "the writer (galera.keep_reader); kv db reinit {n} {m} lets it") \
    X(GALERA_JOINED, "galera-joined", "{m} is in the Primary component") \
    X(GALERA_JOIN_FAILED, "galera-join-failed", \
      "{m} did not get into the Primary component; it is tried again in {a} s") \
    X(GALERA_ROGUE, "galera-rogue", \
      "{m} is in a Primary component that nobody granted, and is fenced: stop its database, keep " \
      "its data aside if they matter, then kv db reinit {n} {m}") \
    X(GALERA_OVERRIDE, "galera-override", "an operator goes on without what {m} may have") \
    /* of MongoDB replica sets */ \
    X(MONGODB_FOUND_WAITS, "mongodb-found-waits", \
      "the replica set is initiated when {a} members are heard and have no data; {b} are") \
    X(MONGODB_LOGIN_WAITS, "mongodb-login-waits", \
      "{m} refuses the login of its agent, so that nothing more is known of the set: make the " \
      "users that quorate-agent-mongodb --print-roles prints") \
    X(MONGODB_DATA_WAITS, "mongodb-data-waits", \
      "{m} has data of a replica set of which there is no record: nothing is ordered; kv db " \
      "confirm {n} takes the set in as it is") \
    X(MONGODB_DOWN_WAITS, "mongodb-down-waits", \
      "there is no record of this set, {m} has data and is down, and nobody who is heard runs in " \
      "it: kv db confirm {n} --force starts the members that are down") \
    X(MONGODB_LAYOUT, "mongodb-layout", "the layout is refused: {m} {w}") \
    X(MONGODB_FOUNDS, "mongodb-founds", "{m} initiates the replica set (epoch {a})") \
    X(MONGODB_TAKEN_IN, "mongodb-taken-in", \
      "a running replica set is taken in as it is: {b} members, {m} is its primary (epoch {a})") \
    X(MONGODB_STARTED, "mongodb-started", \
      "an operator confirmed without a record: {m} and all others that are down are started, but " \
      "for who was left out by force (epoch {a})") \
    X(MONGODB_PRIMARY, "mongodb-primary", \
      "{m} is primary in term {a}, elected by the replica set") \
    X(MONGODB_NO_PRIMARY, "mongodb-no-primary", \
      "no member takes writes, though a majority is seen: the replica set elects") \
    X(MONGODB_CATCHES_UP, "mongodb-catches-up", \
      "{m} is elected and takes no writes yet: it fetches what the former primary wrote; kv db " \
      "cancel {n} --catch-up gives up what no majority has of that") \
    X(MONGODB_NO_QUORUM, "mongodb-no-quorum", \
      "{a} of {b} voters are alive by every report, {c} are needed: bring one back, or kv db " \
      "force-reconfigure {m} shows what going on without the others costs") \
    X(MONGODB_UNKNOWN, "mongodb-unknown", \
      "too little is heard of the replica set to say anything: {m} {w}") \
    X(MONGODB_DUAL_CLAIM, "mongodb-dual-claim", \
      "{m} and {n} both claim to take writes: term {a} is the real one, the other is about to " \
      "step down") \
    X(MONGODB_STALLED, "mongodb-stalled", \
      "{m} commits nothing by majority since {a} s: majority writes hang; bring the missing data " \
      "member back, or mongodb.degrade auto takes its vote away") \
    X(MONGODB_THIN, "mongodb-thin", "{a} of {b} voters are alive: one more failure stops writes") \
    X(MONGODB_DEGRADED, "mongodb-degraded", "{m} has no vote now: majority means fewer copies") \
    X(MONGODB_CONFIG, "mongodb-config", "configuration {a}.{b} of the replica set: {c} voters") \
    X(MONGODB_ROLLBACK, "mongodb-rollback", \
      "{m} rolls back writes that the others lack: look for its rollback files, those writes are " \
      "not in the set any more") \
    X(MONGODB_WEAK, "mongodb-weak", \
      "the default write concern is w:1: writes of the last seconds are lost in a failover; " \
      "setDefaultRWConcern majority ends that") \
    X(MONGODB_ORDER, "mongodb-order", "order {a}: {o} at {m}, about {n}") \
    X(MONGODB_PHASE, "mongodb-phase", "order {a}: {o} from {m} to {n} goes on with {p}") \
    X(MONGODB_ORDER_DONE, "mongodb-order-done", "order {a}: {o} at {m} is done, as read") \
    X(MONGODB_ORDER_FAILED, "mongodb-order-failed", "order {a}: {o} at {m} failed: {e}") \
    X(MONGODB_ORDER_WAITS, "mongodb-order-waits", \
      "{o} at {m} is ordered (order {a}); its end is waited for") \
    X(MONGODB_BACK_OFF, "mongodb-back-off", \
      "the last order failed ({b}): the next one waits, {a} s at most") \
    X(MONGODB_TASK_OFF, "mongodb-task-off", \
      "what was asked of {m} did not end in time ({a} tries): it is tried again within {b} s, " \
      "all else goes on; kv db cancel takes it back") \
    X(MONGODB_DRAIN_OFF, "mongodb-drain-off", \
      "{m} is drained and its hand-over failed ({a} tries): it is tried again within {b} s, all " \
      "else goes on") \
    X(MONGODB_WAITS, "mongodb-waits", "nothing is ordered: {m} {w}") \
    X(MONGODB_STEERED, "mongodb-steered", \
      "{n} is to be primary instead of {m}: zone and priority") \
    X(MONGODB_STEER_WAITS, "mongodb-steer-waits", \
      "the primary stays where it is for now: {m} {w}") \
    X(MONGODB_DRIFT, "mongodb-drift", \
      "the configuration of {m} is not what its file says: priority or votes differ") \
    X(MONGODB_DRIFT_HELD, "mongodb-drift-held", \
      "the priority of {m} was corrected three times and changed by somebody else: it is left as " \
      "it is until the file and the set agree") \
    X(MONGODB_GRAY, "mongodb-gray", \
      "{m} is primary and its canary writes do not come through since {a} s") \
    X(MONGODB_STALE, "mongodb-stale", \
      "{m} is too stale to catch up: it must sync anew; kv db reinit {n} {m}") \
    X(MONGODB_DEGRADES, "mongodb-degrades", \
      "{m} is dead for {a} s by the primary and by its agent: its vote is taken away, majority " \
      "is one copy from now on") \
    X(MONGODB_RESTORES, "mongodb-restores", \
      "{m} is back and has caught up: it gets its vote again") \
    X(MONGODB_RESTORED, "mongodb-restored", "{m} has its vote and its priority again") \
    X(MONGODB_TOKEN, "mongodb-token", \
      "an operator has asked what forcing costs: {m} would lead {a} survivors, {b} are left out") \
    X(MONGODB_TOKEN_OVER, "mongodb-token-over", \
      "the plan of a forced reconfiguration is void: it was not carried out, members start again") \
    X(MONGODB_FORCED, "mongodb-forced", \
      "an operator forces: {m} goes on with {a} survivors, {b} members are barred until they are " \
      "wiped (epoch {c})") \
    X(MONGODB_UNBARRED, "mongodb-unbarred", "{m} is wiped and barred no more") \
    X(MONGODB_LOST_DATA, "mongodb-lost-data", \
      "{m} was a member and is empty: it is never initiated, the primary takes it in again") \
    X(MONGODB_RESYNC, "mongodb-resync", "{m} is emptied and syncs anew")

/* Words for people, by the enumerations of proto/msg/mongodb.h, in their order. */
#define ARB_MONGODB_ORDERS(X) \
    X(NONE, "nothing") \
    X(INITIATE, "initiate") \
    X(ADD, "add") \
    X(VOTE, "vote") \
    X(PRIORITY, "priority") \
    X(UNVOTE, "unvote") \
    X(REMOVE, "remove") \
    X(SWITCHOVER, "switchover") \
    X(STEP_DOWN, "step-down") \
    X(KILL, "kill") \
    X(RESYNC, "resync") \
    X(RESTART, "restart") \
    X(CONCERN, "write-concern") \
    X(ABORT_CATCHUP, "abort-catchup") \
    X(FORCE, "force") \
    X(TIMEOUTS, "timeouts")
/* Why an order was given: id, words that follow "because: ". */
#define ARB_MONGODB_CAUSES(X) \
    X(NONE, "") \
    X(ASKED, "an operator asked for it") \
    X(PLANNED, "an operator had planned it for this time") \
    X(DRAINED, "an operator drains the primary") \
    X(RESTARTED, "an operator asked for a restart of the primary, which hands over first") \
    X(FORCED, "the majority is lost, and an operator forces it with a token") \
    X(FOUNDED, "all members are heard and none has data") \
    X(LAYOUT, "the members' files say so") \
    X(LEAVES, "an operator removes the member") \
    X(CONCERN, "the layout would alter the implicit default write concern") \
    X(DRIFT, "somebody has changed what the member's file says") \
    X(DEAD, "the member is dead by the primary and by its agent, and mongodb.degrade is auto") \
    X(BACK, "the member is back and has caught up") \
    X(GRAY, "the primary's canary writes do not come through, and mongodb.gray allows it") \
    X(STALE, "the member is too stale to catch up, and mongodb.resync is auto") \
    X(STEERED, "the primary belongs elsewhere by zone and priority, and mongodb.steering is on") \
    X(SETTINGS, "the settings say so")
#define ARB_MONGODB_PHASES(X) \
    X(ONLY, "") \
    X(FREEZE, "freeze") \
    X(STEP_DOWN, "step-down") \
    X(STEP_UP, "step-up") \
    X(UNFREEZE, "unfreeze")
#define ARB_MONGODB_SETS(X) \
    X(UNKNOWN, "unknown") \
    X(UNINITIATED, "uninitiated") \
    X(INITIATING, "initiating") \
    X(HEALTHY, "healthy") \
    X(DEGRADED, "degraded") \
    X(THIN, "thin") \
    X(COMMIT_STALLED, "commit-stalled") \
    X(PSA_DEGRADED, "psa-degraded") \
    X(NO_PRIMARY, "no-primary") \
    X(NO_QUORUM, "no-quorum") \
    X(DUAL_CLAIM, "dual-claim") \
    X(DRIFT, "drift") \
    X(HOLD, "hold")
#define ARB_MONGODB_STATES(X) \
    X(UNKNOWN, "unknown") \
    X(ABSENT, "absent") \
    X(DOWN, "down") \
    X(STARTING, "starting") \
    X(SYNCING, "syncing") \
    X(SECONDARY, "secondary") \
    X(LAGGING, "lagging") \
    X(STALE, "stale") \
    X(RECOVERING, "recovering") \
    X(ROLLING_BACK, "rolling-back") \
    X(DRAINING, "draining") \
    X(PRIMARY, "primary") \
    X(GRAY, "gray") \
    X(ARBITER, "arbiter") \
    X(MAINTENANCE, "maintenance") \
    X(HUNG, "hung") \
    X(HELD, "held")

enum arb_note_kind {
#define ARB_NOTE_ENUM(id, name, text) ARB_NOTE_##id,
    ARB_NOTES(ARB_NOTE_ENUM)
#undef ARB_NOTE_ENUM
        ARB_NOTE_COUNT
};

enum arb_mongodb_cause {
#define ARB_CAUSE_ENUM(id, text) ARB_CAUSE_##id,
    ARB_MONGODB_CAUSES(ARB_CAUSE_ENUM)
#undef ARB_CAUSE_ENUM
};

struct arb_note {
    enum arb_note_kind kind;
    struct base_mono at;
    struct base_name member;
    struct base_name other;
    uint64_t a, b, c;
    enum arb_refusal why;
};

/* Stable short names, static. */
const char *arb_note_name(enum arb_note_kind kind);
const char *arb_refusal_name(enum arb_refusal why);
const char *arb_refusal_text(enum arb_refusal why);
const char *arb_mongodb_order_word(enum msg_mongodb_order_kind kind);
const char *arb_mongodb_cause_text(enum arb_mongodb_cause cause);
const char *arb_mongodb_phase_word(uint8_t phase);
const char *arb_mongodb_set_word(enum msg_mongodb_set_state state);
const char *arb_mongodb_state_word(enum msg_mongodb_state state);
/* Appends the sentence. */
void arb_note_put(const struct arb_note *note, struct buf *out);
/* Appends a WAL position as PostgreSQL writes it (16/B374D848). */
void arb_lsn_put(uint64_t lsn, struct buf *out);

#endif
