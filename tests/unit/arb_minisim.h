/* SPDX-License-Identifier: Apache-2.0 */
/* The small world of arb_minisim_test: what it is made of, and what its two halves call of each
 * other. arb_minisim_member.c plays guard, agent and database of a member; the test plays quorum
 * nodes, network and faults and judges. Time goes in steps of STEP_US; every clock has its own
 * origin and rate.
 */
#ifndef QUORATE_TESTS_UNIT_ARB_MINISIM_H
#define QUORATE_TESTS_UNIT_ARB_MINISIM_H

#include "arbiter/core/internal.h"
#include "base/rand.h"

#define NODES 3
#define MEMBERS 4
#define STEP_US (5 * BASE_US_PER_MS)
#define TTL_MS 600
#define BEAT_US (100 * BASE_US_PER_MS)
#define FREEZE_MAX_US (1500 * BASE_US_PER_MS)
#define LOG_MAX 4096
#define FRAMES_MAX 1024
#define SYSTEM UINT64_C(77)

struct entry {
    uint64_t lineage;
    uint32_t id;
};

enum db { DB_STOPPED, DB_STANDBY, DB_PROMOTING, DB_PRIMARY, DB_FROZEN, DB_DOWN, DB_CLONING };

struct member {
    struct base_name name;
    bool is_up;
    int64_t off_until, offset, rate_ppm, cut_until[NODES], line_cut_until;
    uint64_t instance, session, number, epoch_seen, held, handed_back, order_term, order_number;
    int64_t sent[64], deadline, beat_at, frozen_at, busy_until, restart_at;
    enum db db;
    bool is_clean, is_open, is_receiving, has_order, wants_handback;
    bool is_paused; /* its guard is disarmed, until a grant comes after the resume */
    uint64_t clean_lsn;
    struct msg_order order;
    struct msg_attempt promised;
    int64_t vote_at;
    struct entry log[LOG_MAX];
    uint32_t len, opened;
    /* sync: what is in force, and what is being put in force */
    bool is_sync_known, is_sync_changing, has_barrier, is_barrier_passed;
    struct arb_set sync, sync_next;
    int64_t sync_at;
    uint32_t barrier;
    bool is_urgent;
    int64_t streamed[MEMBERS];
};

enum frame_kind { FRAME_REPORT, FRAME_ORDER, FRAME_CONFIRM, FRAME_RECORD, FRAME_LOST };

struct frame {
    bool is_used;
    enum frame_kind kind;
    int64_t due;
    unsigned node, member;
    uint64_t term, ticket;
    bool is_own, is_won;
    struct msg_report report;
    struct msg_order order;
    struct msg_record record;
};

struct node {
    struct arb_cluster c;
    int64_t offset, rate_ppm, wake, record_due;
    bool thinks_leader;
    uint64_t term;
};

struct minisim {
    struct base_rand rand;
    int64_t t;
    struct node nodes[NODES];
    struct member members[MEMBERS];
    struct frame frames[FRAMES_MAX];
    unsigned leader;
    uint64_t term;
    int64_t ready_at;
    bool is_ready;
    struct msg_record record; /* committed */
    bool has_pending;
    struct msg_record pending;
    struct arb_decision pending_decision;
    enum arb_decision_kind pending_kind;
    uint64_t pending_epoch, pending_revision, pending_term;
    int64_t pending_at;
    struct entry acked[LOG_MAX];
    uint32_t acked_len, ids, failovers, acks, returns, handovers;
    uint64_t acked_epoch;
    char bad[160];
    uint32_t pauses, settings;
    bool has_seed_faults;
};

extern struct minisim s;

void violate(const char *what, uint64_t a, uint64_t b);
uint64_t between(uint64_t low, uint64_t high);
bool chance(uint32_t ppm);
struct base_mono clock_of(int64_t offset, int64_t rate_ppm);
struct base_mono member_now(const struct member *m);
struct frame *frame_new(enum frame_kind kind, int64_t delay);
int64_t delay(void);

bool is_writable(const struct member *m);
uint64_t lineage_of(const struct member *m);
void kill_tree(struct member *m);
void order_take(struct member *m, const struct msg_order *o);
bool streams(const struct member *p, unsigned i);
void forget_root(struct member *m);
void member_step(struct member *m, unsigned self);
void member_report(struct member *m, unsigned self);

#endif
