/* SPDX-License-Identifier: Apache-2.0 */
/* From whose data a Galera cluster may start when nobody is the Primary component: pure functions,
 * a part of gal_decide (galera_rules.h). */
#ifndef QUORATE_ARBITER_CORE_GALERA_SOURCE_H
#define QUORATE_ARBITER_CORE_GALERA_SOURCE_H

#include "arbiter/core/galera_rules.h"

/* The last report is of now. */
bool gal_is_heard(const struct gal_member *m);

/* Its data and its views are of the history in force, or of the bootstrap that it was granted. */
bool gal_is_current(const struct gal_situation *s, const struct gal_member *m);

/* A position of the cluster's own uuid, of any generation. */
bool gal_is_ours(const struct gal_situation *s, const struct msg_galera_report *r);

/* Its server runs outside of every Primary component. */
bool gal_is_out(const struct gal_member *m);

/* Whose data count best, and of which time they are: who has data of the history in force goes
 * before who has a prefix of what the last bootstrap began with, and anybody else comes last.
 * GAL_NOBODY: nobody. Whoever runs counts with what it has received. */
uint8_t gal_source(const struct gal_situation *s, enum gal_age *ret_age);

/* It may have data of that time or later that it has not told of; one that has not looked yet knows
 * no generation either, and the stamp of one that was in the last view may be from before it. */
bool gal_is_unproven(const struct gal_situation *s, const struct gal_member *m, enum gal_age age,
                     bool is_in_view);

/* Another member's data are of the history in force, and of another uuid than those before it in
 * the list. NULL: of none. */
const struct gal_member *gal_other_uuid(const struct gal_situation *s);

#endif
