/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera cluster of three for unit tests of the arbiter's core, over arb_scene.h: members gn1,
 * gn2, gn3 as they would report; the test changes what they are and lets them speak. Swaps are
 * applied at once. */
#ifndef QUORATE_TESTS_UNIT_GALERA_SCENE_H
#define QUORATE_TESTS_UNIT_GALERA_SCENE_H

#include "tests/unit/arb_scene.h"

#define GAL_MEMBERS 3

struct gal_node_scene {
    bool is_silent;
    uint64_t instance_more;   /* its guard is another one */
    struct msg_report report; /* identity and numbers are filled when it speaks */
};

extern struct gal_node_scene gal_nodes[GAL_MEMBERS + 1]; /* by number, 1 ... */
extern uint8_t gal_seed_members;                         /* that their files name */

/* "gn1" ... */
const char *gal_name(unsigned n);
/* No record, members without data, this node leads. */
int gal_setup_blank(void **state);
/* Generation 1, gn1 is the writer of epoch 1, all are Synced. */
int gal_setup(void **state);
void gal_speak(unsigned n);
/* All who are not silent, each with a confirmation for the holder. */
void gal_all(void);
/* Lets time pass, everybody speaks every half second. */
void gal_pass(int64_t us);

void gal_is_synced(unsigned n, uint64_t conf_id, unsigned members);
void gal_is_down(unsigned n, int64_t seqno);
void gal_is_nonprim(unsigned n);
/* It does what it was told last: inhibits, recovers, joins, bootstraps. */
void gal_obey(unsigned n);
void gal_obey_all(void);
enum msg_galera_goal gal_goal(unsigned n);
/* The holder is fenced and hands back. */
void gal_hands_back(unsigned n);

#define GAL_TEST(name) cmocka_unit_test_setup_teardown(name, gal_setup, teardown)
#define GAL_BLANK_TEST(name) cmocka_unit_test_setup_teardown(name, gal_setup_blank, teardown)

/* What people ask; `member` NULL: nobody is named. The answer stands in `w`. */
void gal_ask(enum arb_request_kind kind, const char *member, bool is_forced);
void gal_order_task(enum msg_task_kind kind, const char *member);
bool gal_is_waiting_for(enum arb_note_kind kind);
const struct msg_galera_record *gal_record(void);
bool gal_is_granted_to(const char *member);
/* gn1 and gn2 in a view of their own; what gn3 is stays as it was. */
void gal_two_are_synced(void);
/* A cluster of gn1 and gn2, Synced. */
void gal_be_two(void);
/* gn1 and gn2 alone, bootstrapped at 50; what gn3 has is of before. */
void gal_two_go_on_in_generation_2(void);

#endif
