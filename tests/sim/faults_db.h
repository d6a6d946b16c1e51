/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of database hosts: processes, replication, power. The strikes are declared in faults.h. */
#ifndef QUORATE_TESTS_SIM_FAULTS_DB_H
#define QUORATE_TESTS_SIM_FAULTS_DB_H

#include "tests/sim/faults.h"

/* All faults of database hosts are over. */
void faults_db_heal(struct world *w);
struct pg;
void faults_pg_heal(struct pg *pg); /* those that still wait for their moment */

#endif
