/* SPDX-License-Identifier: Apache-2.0 */
/* A scene for unit tests of the arbiter's core: one cluster "main" on a leader of term 5, record of
 * epoch 3 with holder pg1 and voters pg2 and pg3. The test sends reports and lets time pass; swaps
 * are applied at once unless holds_swap is set, and the last order made for each member is kept.
 */
#ifndef QUORATE_TESTS_UNIT_ARB_SCENE_H
#define QUORATE_TESTS_UNIT_ARB_SCENE_H

#include "tests/support/cm.h"

#include "arbiter/core/internal.h"
#include "base/canary.h"
#include "base/name.h"

#define S BASE_US_PER_S
#define MS BASE_US_PER_MS
#define SYSTEM UINT64_C(7001)

struct arb_scene {
    struct arb_cluster c;
    struct arb_effects fx;
    struct base_mono now;
    int64_t wall_ahead_us; /* of `now` */
    uint64_t number[16];
    struct msg_order order[16]; /* last one made for each member */
    bool has_order[16];
    bool holds_swap;                      /* do not apply swaps by themselves */
    bool said[ARB_NOTE_COUNT];            /* since the last event of the test, its swaps included */
    struct arb_note note[ARB_NOTE_COUNT]; /* the last one of each kind */
    enum arb_decision_kind swap_kind;
    int answer;
    void (*told)(void); /* called after each step, orders made, its swap not yet applied */
};

extern struct arb_scene w;

uint64_t id_of(const char *member);

struct base_name name_of(const char *text);
void run(struct arb_event event);
void wait_us(int64_t us);
void tick(void);
struct msg_report report_of(const char *member);
struct msg_report primary_of(const char *member);
void send(struct msg_report r);
void confirm(void);
struct msg_names names(const char *a, const char *b);
struct msg_record base_record(void);
void load(struct msg_record record);
void lead(uint64_t term);
int setup(void **state);
int teardown(void **state);
void all_speak(void);
struct msg_report handback_of(const char *member);
struct msg_report vote_of(const char *member, uint64_t lineage, uint64_t lsn);
bool is_holder(const char *member);
bool was_said(enum arb_note_kind kind);

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
