/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of database hosts: processes, replication, power; and helpers that both fault files share.
 */
#ifndef QUORATE_TESTS_SIM_FAULTS_DB_H
#define QUORATE_TESTS_SIM_FAULTS_DB_H

#include "tests/sim/faults.h"

void faults_db_strike(struct world *w, enum fault_kind kind);
void faults_db_heal(struct world *w);
/* Counts and tells; faults.c. */
void fault_bit(struct world *w, enum fault_kind kind, unsigned who, unsigned other, int64_t for_us);
void fault_cut_both(struct world *w, unsigned a, unsigned b, int64_t for_us, bool is_held);

#endif
