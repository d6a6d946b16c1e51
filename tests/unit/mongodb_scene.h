/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB replica set of up to five for unit tests of the arbiter's core, over arb_scene.h:
 * members mg1 ... mg5 whose reports come from one small picture of the set, and who do what they
 * are ordered. The test changes the picture and lets time pass. Swaps are applied at once.
 */
#ifndef QUORATE_TESTS_UNIT_MONGODB_SCENE_H
#define QUORATE_TESTS_UNIT_MONGODB_SCENE_H

#include "tests/unit/arb_scene.h"

#define MON_MEMBERS 5

struct mon_member {
    bool exists;    /* it has an agent */
    bool is_silent; /* ... that is not heard */
    bool is_down;   /* no mongod */
    bool has_data, is_arbiter, is_adopted;
    bool is_wiped; /* its agent has forgotten that it was barred */
    bool is_of_other_set;
    uint16_t priority;
    struct base_name zone;
    /* in the configuration */
    bool is_in;
    uint8_t votes;
    uint16_t priority_x10;
    enum msg_mongodb_state state; /* instead of SECONDARY; UNKNOWN: that */
    uint32_t lag_ms, canary_ms, rollbacks;
    uint64_t ts; /* applied */
    uint64_t barred_epoch;
    uint64_t epoch_seen; /* by its agent, of a record that may be lost */
    /* its part in orders */
    uint64_t order_epoch;
    uint8_t order_phase;
    int32_t order_status;
    bool is_order_done;
    uint32_t dead_ms; /* to the others, when it is down */
};

struct mon_set {
    struct mon_member m[MON_MEMBERS + 1]; /* by number, 1 ... */
    unsigned primary;                     /* 0: none */
    uint64_t term;
    struct msg_mongodb_version config;
    bool has_set_id;
    bool disobeys; /* orders are heard and nothing is done */
    unsigned seed_members;
    enum msg_mongodb_default_concern concern;
    uint32_t commit_age_ms;
    uint64_t committed_ts;
    unsigned orders; /* carried out */
};
extern struct mon_set mon;

const char *mon_name(unsigned n);
/* No record, no data: `data` data members and `arbiters`; this node leads. */
void mon_blank(unsigned data, unsigned arbiters);
/* A set of that many, which runs and was taken in; mg1 is its primary. */
void mon_running(unsigned data, unsigned arbiters);
void mon_speak(unsigned n);
/* Everybody speaks once and does what is ordered. */
void mon_round(void);
/* Rounds of a second. */
void mon_pass(unsigned seconds);
/* The set chooses again among those who are up, with a majority. */
void mon_elect(void);
const struct msg_mongodb_order *mon_order(void);
enum msg_mongodb_set_state mon_state(void);
/* An order of that kind is open; none is. */
bool mon_is_open(enum msg_mongodb_order_kind kind);
bool mon_is_idle(void);
/* An operator asks; about a member, or about none (NULL). */
void mon_request(struct arb_request r);
struct arb_request mon_about(enum arb_request_kind kind, const char *member);

/* A running set of three data members. */
int mon_setup(void **state);
#define MON_TEST(name) cmocka_unit_test_setup_teardown(name, mon_setup, teardown)

#endif
