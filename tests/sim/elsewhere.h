/* SPDX-License-Identifier: Apache-2.0 */
/* The primary elsewhere that a standby cluster follows: a copy of one of our clusters, made when an
 * administrator hands the service over to another site. It goes on by itself, writes, and fails
 * over there now and then; it asks nobody here, and the timelines that it takes are its own. */
#ifndef QUORATE_TESTS_SIM_ELSEWHERE_H
#define QUORATE_TESTS_SIM_ELSEWHERE_H

#include "tests/sim/pg.h"

void elsewhere_open(struct world *w);
void elsewhere_close(struct world *w);
/* The other site takes the service over from what the primary of that cluster has on disk now.
 * False: there is no primary. */
bool elsewhere_take(struct world *w, unsigned cluster);
/* What it has; NULL: there is none. */
const struct pg_directory *elsewhere_dir(const struct world *w, unsigned cluster);

#endif
