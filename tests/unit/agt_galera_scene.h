/* SPDX-License-Identifier: Apache-2.0 */
/* The world of a Galera member's agent for unit tests of its core: a guard's status, a view and an
 * order, changed by hand; what the agent asks for is counted and kept. */
#ifndef QUORATE_TESTS_UNIT_AGT_GALERA_SCENE_H
#define QUORATE_TESTS_UNIT_AGT_GALERA_SCENE_H

#include "agents/core/agent.h"
#include "agents/core/internal.h"
#include "base/name.h"

#define MS BASE_US_PER_MS
#define SECOND BASE_US_PER_S
#define TTL (6 * SECOND)

struct agt_galera_world {
    struct agt a;
    struct agt_effects fx;
    struct base_mono now;
    struct guard_status guard;
    struct db_view view;
    struct msg_order order;
    bool is_disk_slow;
    /* of the last step */
    enum db_order_kind asked; /* NONE: nothing */
    struct db_order ask;
    unsigned starts, arms, releases, hand_backs, kills, terms, saves, cancels, reports;
    int64_t soft_us;
    uint64_t released;
};
extern struct agt_galera_world w;
extern const uint8_t uuid[16];

void feed(struct agt_event event);
void pass(int64_t us);
void tick(void);
/* A probe that began now. */
void look(void);
void causal_look(void);
void guard_says(void);
void order_comes(void);
void done(int status);
struct base_name name_of(const char *text);
void begin(void);
/* Another agent process over the same guard and server; it has looked at nothing yet. */
void agent_restarts(const struct agt_disk *disk);
/* Down, with data and a proven position. */
void begin_down(void);
void root_runs(void);
void root_ends(void);
void be_synced(void);
/* Running and synced, not the writer. */
void begin_synced(void);
/* Named and granted. */
void grant(uint64_t epoch);
/* Writer, open. */
void begin_writer(void);

#endif
