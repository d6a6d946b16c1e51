/* SPDX-License-Identifier: Apache-2.0 */
/* What the invariants of MongoDB sets remember; for truth_mongo*.c alone. */
#ifndef QUORATE_TESTS_SIM_TRUTH_MONGO_INNER_H
#define QUORATE_TESTS_SIM_TRUTH_MONGO_INNER_H

#include "proto/msg/agent.h"
#include "tests/mongosim/set.h"
#include "tests/sim/truth_mongo.h"

#define ORDERS_MAX 512
#define POLICY_US (60 * SECOND) /* a former opt-in may still be the last that an agent knows */
#define SICK_US (30 * SECOND)   /* so long ago a set was not healthy: what is done about it */
#define HELLO_US (3200 * MS)    /* 3 s, by a clock that may drift */
#define FREEZE_MAX_US (60 * SECOND + 600 * MS)
#define DEAD_US (110 * SECOND)    /* 120 s by clocks that may drift, and by what was heard last */
#define EVIDENCE_US (4 * SECOND)  /* two heartbeats: what was sent waits for who stands still */
#define MINORITY_US (12 * SECOND) /* a heartbeat's limit, and what was on its way */
#define PLAN_US (12 * SECOND)     /* evidence of 5 s, and what was on its way */
#define LATE_US (5 * SECOND)      /* an order's limit, and what was on its way */

/* An order as the log has it. */
struct ordered {
    struct msg_mongodb_order order;
    uint64_t token;
    int64_t given_us, at_us; /* its phase was given then */
    bool was_forced_sent;
};

struct truth_mongo {
    struct ordered orders[ORDERS_MAX]; /* by epoch % ORDERS_MAX */
    struct msg_mongodb_record record;  /* the newest */
    uint64_t epoch;
    int64_t kill_policy_us, stepdown_policy_us; /* the log had such an opt-in then; -1 never */
    int64_t writable_us[MEMBERS_MAX];           /* it was, then, in ... */
    uint64_t writable_term[MEMBERS_MAX];
    uint64_t said_term;
    int said_by;                    /* who has said 200 for that term */
    int64_t sick_us[MEMBERS_MAX];   /* then it was cut off, or its disk did nothing; -1 never */
    int64_t heard_us[MEMBERS_MAX];  /* some node has heard its agent, and it ran */
    int64_t linked_us[MEMBERS_MAX]; /* it ran, and the primary and it heard each other */
    int64_t ran_us[MEMBERS_MAX];    /* it ran, then */
    int64_t majority_us; /* then a majority of voters could hear each other, those included that
                            had stood still for less than evidence may be old */
    int64_t acked_us;
    int64_t elected_us;        /* a node became leader: it waits a whole limit of the order anew */
    bool is_held[MEMBERS_MAX]; /* left out by force, and not wiped since */
    int64_t planned_us;        /* a person was given a plan of a forced reconfiguration ... */
    int64_t fenced_us[MEMBERS_MAX]; /* ... and it was down, or was named, then */
    int64_t down_us[MEMBERS_MAX];   /* then it did not run */
    bool is_spoiled;                /* a directory forgot its vote */
    uint64_t lost;
};

static inline struct truth_mongo *truth_of(const struct world *w)
{
    return w->truth_mongo;
}

/* --- truth_mongo.c --- */
const char *truth_mongo_name(const struct world *w, unsigned member);
/* The newest configuration that any member has; false: none has one. */
bool truth_mongo_config(struct world *w, struct mset_config *ret);
/* A member in it; NULL: not in it. */
const struct mset_member *truth_mongo_in(struct world *w, const struct mset_config *c,
                                         const struct base_name *name);

#endif
