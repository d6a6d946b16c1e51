/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of MongoDB sets: what really happened in the model and in the log, against what the
 * agents send to their mongods and what their health checks say. */
#ifndef QUORATE_TESTS_SIM_TRUTH_MONGO_H
#define QUORATE_TESTS_SIM_TRUTH_MONGO_H

#include "proto/msg/agent.h"
#include "tests/mongosim/set.h"
#include "tests/sim/world.h"

#define INVARIANT_MONGODB_FORCED "one-forced-configuration"
#define INVARIANT_MONGODB_EPOCH "order-of-its-epoch"
#define INVARIANT_MONGODB_KILL "no-kill-without-opt-in"
#define INVARIANT_MONGODB_MINORITY "nothing-in-a-minority"
#define INVARIANT_MONGODB_TOUCHED "healthy-set-is-let-be"
#define INVARIANT_MONGODB_FROZEN "freeze-is-bounded"
#define INVARIANT_MONGODB_INITIATE "initiated-once"
#define INVARIANT_MONGODB_LOST "no-lost-majority-write"
#define INVARIANT_MONGODB_ONE_ORDER "one-order-at-a-time"
#define INVARIANT_MONGODB_PRIMARY "primary-by-its-own-hello"
#define INVARIANT_MONGODB_STEPS "vote-before-priority"
#define INVARIANT_MONGODB_DEAD "dead-by-two-opinions"
#define INVARIANT_MONGODB_DONE "done-is-done"
#define INVARIANT_MONGODB_BARRED "barred-stays-down"
#define INVARIANT_MONGODB_TERM "one-primary-a-term"

struct db_order;
struct member;
struct truth_mongo;

void truth_mongo_open(struct world *w);
void truth_mongo_close(struct world *w);

/* The model: something has happened at a member; a moment has passed. */
void truth_mongo_event(struct world *w, unsigned member, enum mset_event_kind kind, uint64_t a,
                       uint64_t b);
void truth_mongo_look(struct world *w);
/* mongod starts there; its directory is moved aside by its agent; a fault spoils a directory. */
void truth_mongo_starts(struct world *w, unsigned member);
void truth_mongo_wiped(struct world *w, unsigned member);
void truth_mongo_spoiled(struct world *w);
/* Some node leads a term. */
void truth_mongo_elected(struct world *w);
/* The agent sends a command; it has mongod signalled or killed. */
void truth_mongo_sent(struct world *w, unsigned member, const struct db_order *order,
                      const struct mset_command *command);
void truth_mongo_ends(struct world *w, const struct member *m);
/* A member reports, to somebody who hears it; the record changes. */
void truth_mongo_report(struct world *w, const struct member *m, const struct msg_report *report);
void truth_mongo_heard(struct world *w, unsigned member);
void truth_mongo_record(struct world *w, const struct msg_record *old,
                        const struct msg_record *new);
/* A person is given a plan, and has named those as destroyed. */
void truth_mongo_planned(struct world *w, const struct msg_names *destroyed);
/* A health check says 200 for /primary, just now. */
void truth_mongo_primary_said(struct world *w, unsigned member);
/* Somebody was told that a write is safe. */
void truth_mongo_acked(struct world *w, unsigned member);
/* At the end: writable, all members in, no order open. */
void truth_mongo_end(struct world *w);

#endif
