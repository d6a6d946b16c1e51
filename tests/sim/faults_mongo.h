/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of MongoDB sets. */
#ifndef QUORATE_TESTS_SIM_FAULTS_MONGO_H
#define QUORATE_TESTS_SIM_FAULTS_MONGO_H

#include "tests/sim/world.h"

/* Hangs a primary's disk where the setup says so: also of one that is cut off, in half of them. */
void faults_mongo_open(struct world *w);
/* All of them are over. */
void faults_mongo_heal(struct world *w);

#endif
