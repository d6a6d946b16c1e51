/* SPDX-License-Identifier: Apache-2.0 */
/* Several database clusters under one quorum. Members have one number all over the world; a cluster
 * is a range of them (struct db_setup).
 */
#ifndef QUORATE_TESTS_SIM_DATABASES_H
#define QUORATE_TESTS_SIM_DATABASES_H

#include "base/name.h"
#include "tests/sim/setup.h"

#define CLUSTER_MEMBERS_MAX 5

struct world;

/* Draws clusters, their members and settings; all else is drawn already. */
void databases_draw(uint64_t seed, struct setup *s);
unsigned cluster_of(const struct world *w, unsigned member);
const struct db_setup *database_of(const struct world *w, unsigned member);
const struct base_name *cluster_name(unsigned cluster); /* static */

#endif
