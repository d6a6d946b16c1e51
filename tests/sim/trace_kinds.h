/* SPDX-License-Identifier: Apache-2.0 */
/* The table of steps: what a run tells of itself. A step has four numbers; the text says how they
 * read. `{q0}`: number 0 as a quorum node's place, `{m}` database host, `{a}` address, `{f}` type
 * of frame, `{k}` kind of fault, `{u}` for how long, `{s}` bits of hosts, `{w}` `{o}` whom
 * a fault meets and who else, `{x}` in hexadecimal,
 * `{n}` as it is, `{i}` signed, `{e}` of an error; `{0?none|one|two}`: the word for its value.
 * QUIET steps are told with --trace only; the others when a run fails: ALWAYS, or when a rule about
 * the STORE, its LEASES or the DATABASES was broken. `{c}` a command to a mongod, `{d}` an order to
 * a MongoDB set, `{t}` what became of a mongod. */
#ifndef QUORATE_TESTS_SIM_TRACE_KINDS_H
#define QUORATE_TESTS_SIM_TRACE_KINDS_H

enum trace_loudness {
    TRACE_QUIET = 0,
    TRACE_STORE = 1,
    TRACE_DATABASES = 2,
    TRACE_ALWAYS = 4,
    TRACE_LEASES = 8
};

/* clang-format off */
/*   id, loudness, text */
#define TRACE_KINDS(X) \
    X(START, ALWAYS, "{n0} quorum nodes, {n1} database hosts in {n2} clusters, {n3} s") \
    X(SEND, QUIET, "{a0} sends {f2} to {a1}, {n3} bytes") \
    X(ARRIVE, QUIET, "{f2} of {a0} arrives at {a1}, {n3} bytes") \
    X(LOSE, QUIET, \
      "{f2} of {a0} to {a1} is lost: {3?nobody listens|the link is cut|the connection " \
      "was reset|the network dropped it}") \
    X(FAULT, ALWAYS, "FAULT {k0}: {w1}{o2}{u3}") \
    X(HEAL, ALWAYS, "all faults are over") \
    X(NODE_UP, ALWAYS, "{q0} starts, life {n1}") \
    X(NODE_DOWN, ALWAYS, \
      "{q0} goes down: {1?|a fault|its disk failed|power was lost behind its vote|it " \
      "was removed|the quorum is lost}") \
    X(ROLE, ALWAYS, \
      "{q0} is {1?a follower|asking whether it could win|a candidate|the leader} in " \
      "term {n2}, committed up to {n3}") \
    X(VOTE, ALWAYS, "{q0} votes for {q1} in term {n2}") \
    X(APPLY, QUIET, "{q0} applies entry {n1} of term {n2}, hash {x3}") \
    X(SYNC, QUIET, "{q0}'s {2?log|state} is synced, {n1} jobs") \
    X(IMAGE, ALWAYS, "{q0} installs an image up to entry {n1}") \
    X(CHANGE, ALWAYS, "{q0} has a configuration of {n2} members, {n3} voters, from entry {n1}") \
    X(KV_CALL, STORE, "client {n0} asks {q3}: operation {n1} on key k{n2}") \
    X(KV_END, STORE, \
      "client {n0} hears of operation {n1}: {2?nothing|done|failed|outcome unknown}, " \
      "revision {n3}") \
    X(LOCK, LEASES, \
      "locker {n0}, with lease {n3}, {2?asks for|is told that it has|is refused|gives up|gives " \
      "back|hears that it gave back} {1?the lock|the election}") \
    X(EPOCH, DATABASES, "epoch {n0} is {m1}'s, voters {s3}, revision {n2}") \
    X(RECORD, DATABASES, \
      "epoch {n0} changes: voters {s2}, {n3} must hold a commit, revision {n1}") \
    X(REPORT, QUIET, \
      "{m0} reports, number {n1}, holds epoch {n2}, database {3?unknown|empty|being " \
      "made|stopped|starting|standby|promoting|primary|stopping|frozen|failed}") \
    X(BALLOT, DATABASES, \
      "{m0} votes in attempt {n3}: its history is of epoch {n1}, up to position {n2}") \
    X(AGENT_UP, DATABASES, "the agent of {m0} starts, session {n1}") \
    X(AGENT_DOWN, DATABASES, \
      "the agent of {m0} goes down: {1?|a fault|the host lost power|it had given up}") \
    X(GUARD, DATABASES, \
      "the guard of {m0}: the database is {1?gone|running|being frozen|frozen|being " \
      "killed|without its root}, armed for epoch {n2}") \
    X(ARMED, QUIET, \
      "the guard of {m0}: database {1?gone|running|being frozen|frozen|being " \
      "killed|without its root}, armed for epoch {n2}, {i3} us left") \
    X(ORDER, QUIET, \
      "{m0} is told to {1?nothing|init|clone|rewind|prepare a standby|prepare a " \
      "primary|follow|detach|promote|set sync|barrier|checkpoint|send clients " \
      "away|cancel}, order {n2}, timeline {n3}") \
    X(ORDER_END, QUIET, \
      "{m0} has ended order {n2} ({1?nothing|init|clone|rewind|prepare a " \
      "standby|prepare a primary|follow|detach|promote|set " \
      "sync|barrier|checkpoint|send clients away|cancel}): {e3}") \
    X(DB_STATE, DATABASES, \
      "the database of {m0} is {1?down|starting|a standby|promoting|a " \
      "primary|stopping}, {n2} records, timeline {n3}") \
    X(DB_SYNC, DATABASES, "the database of {m0} waits for {n2} of {s1}, from record {n3} on") \
    X(OPEN, DATABASES, \
      "{m0} CAN ACKNOWLEDGE from now on: epoch {n1}, {n2} records, timeline {n3}") \
    X(SHUT, DATABASES, \
      "{m0} can acknowledge no more: epoch {n1}, it is {2?down|starting|a " \
      "standby|promoting|a primary|stopping}") \
    X(ACK, DATABASES, "{m0} tells a client that value {n2} is safe, epoch {n1}, record {n3}") \
    X(SQL_CALL, QUIET, "SQL client {n0} writes value {n2} at {m1}") \
    X(SQL_END, QUIET, \
      "SQL client {n0} hears of value {n2} from {m1}: {3?acknowledged|refused|outcome " \
      "unknown}") \
    X(LEASE, LEASES, \
      "lease {n0} {1?|is granted|ends, its time is over|ends, a client has asked for that}{u2}") \
    X(PROMISE, LEASES, "a client hears that lease {n0} goes on{u1}") \
    X(WATCH, QUIET, \
      "watching client {n0}: {1?asks place|watch made,|watch cancelled,|hears,} {n2}, " \
      "{i3}") \
    X(MARK, QUIET, "note {n0}: {i1} {i2} {i3}") \
    X(GALERA_VIEW, DATABASES, \
      "{s0} are {1?a non-Primary|a PRIMARY} component now, view {n2}, lineage {n3}") \
    X(GALERA_STATE, DATABASES, \
      "the server of {m0} is {1?down|loading|waiting for a component|open|stopping}, state {x2}, " \
      "position {i3}") \
    X(GALERA_BOOTSTRAP, DATABASES, "{m0} BOOTSTRAPS lineage {n1} with {s2}{3?| by hand|}") \
    X(GALERA_TRANSFER, DATABASES, \
      "{m0} has {2?what it lacked|everything} from {m1}, position {n3}") \
    X(GALERA_RECORD, DATABASES, \
      "the record of the Galera cluster: generation {n0}, grant of {n1} is " \
      "{2?none|given|done|failed}, high water {i3}") \
    X(GALERA_ORDER, QUIET, "{m0} is given order {n1}, number {n2}, position {i3}") \
    X(MONGODB, DATABASES, \
      "{m0} {1?|is ELECTED|takes writes|steps down|has a new configuration|rolls back|begins its " \
      "initial sync|has its initial sync|is stale|ends|is}{t2}") \
    X(MONGODB_RECORD, DATABASES, \
      "epoch {n0} of the MongoDB set: the order {d1}{2?|, first to freeze the others,|, now to " \
      "step down,|, now to step up,|, now to unfreeze the others,} is " \
      "{3?idle|open|done|failed}") \
    X(MONGODB_ORDER, QUIET, "{m0} is given order {n1}, number {n2}, change {n3}") \
    X(MONGODB_SENT, DATABASES, "{m0}: its agent sends {c1} for epoch {n2}") \
    X(MONGODB_END, DATABASES, "{m0} has ended {c1}: {e2}, code {n3}") \
    X(MONGODB_KILL, DATABASES, "{m0}: its agent ends mongod")
/* clang-format on */

enum trace_kind {
#define TRACE_ENUM(id, loud, text) TRACE_##id,
    TRACE_KINDS(TRACE_ENUM)
#undef TRACE_ENUM
        TRACE_KIND_COUNT
};

#endif
