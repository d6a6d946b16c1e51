/* SPDX-License-Identifier: Apache-2.0 */
/* The sentences of the arbiter: what it decided, whom it refused and why. One table each for events
 * and refusals, so that the log, `kv db why`, the history and the documentation say the same words.
 * Pure.
 *
 * In a template {m} and {n} stand for member names, {a} {b} {c} for numbers, {A} for c and {B} for
 * b as WAL positions (X/X), {w} for the text of a refusal.
 */
#ifndef QUORATE_ARBITER_CORE_NOTE_H
#define QUORATE_ARBITER_CORE_NOTE_H

#include "base/slice.h"
#include "base/types.h"

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
    X(NOT_USABLE, "not-usable", "has no usable data directory") \
    X(LACKS_FLOOR, "lacks-floor", \
      "has not reached the position with which the present holder was chosen") \
    X(OTHER_HISTORY, "other-history", "is on another history") \
    X(BEHIND, "behind", "lacks what another voter has") \
    X(LAG, "lag", "lags more than the limit for asynchronous failover") \
    X(NOFAILOVER, "nofailover", "is tagged nofailover") \
    X(NOT_STREAMING, "not-streaming", "is not streaming from the holder") \
    X(TREE_ALIVE, "tree-alive", "still has a database process of its former life") \
    X(EPOCH_AHEAD, "epoch-ahead", "has seen an epoch above the record's")

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
    X(SWAP_VOID, "swap-void", \
      "a decision came too late: the record had moved on from epoch {a} revision {b}")

enum arb_note_kind {
#define ARB_NOTE_ENUM(id, name, text) ARB_NOTE_##id,
    ARB_NOTES(ARB_NOTE_ENUM)
#undef ARB_NOTE_ENUM
        ARB_NOTE_COUNT
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
/* Appends the sentence. */
void arb_note_put(const struct arb_note *note, struct buf *out);
/* Appends a WAL position as PostgreSQL writes it (16/B374D848). */
void arb_lsn_put(uint64_t lsn, struct buf *out);

#endif
