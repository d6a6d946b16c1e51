/* SPDX-License-Identifier: Apache-2.0 */
/* Several database clusters under one quorum. Members have one number all over the world; a cluster
 * is a range of them (struct db_setup).
 */
#ifndef QUORATE_TESTS_SIM_DATABASES_H
#define QUORATE_TESTS_SIM_DATABASES_H

#include "base/name.h"
#include "tests/sim/setup.h"

#define CLUSTER_MEMBERS_MAX 5
#define GALERA_TTL_MS 6000

struct world;

/* Draws clusters, their members and settings; all else is drawn already. */
void databases_draw(uint64_t seed, const struct setup_wish *wish, struct setup *s);
unsigned cluster_of(const struct world *w, unsigned member);
const struct db_setup *database_of(const struct world *w, unsigned member);
const struct base_name *cluster_name(unsigned cluster); /* static */
/* Of all engines: a Galera cluster or a MongoDB set, where there is one, is the last. */
unsigned databases_count(const struct world *w);
bool is_galera(const struct world *w, unsigned cluster);
bool is_mongodb(const struct world *w, unsigned cluster);

#endif
