/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of hosts with MariaDB Galera; the strikes are declared in faults.h. */
#ifndef QUORATE_TESTS_SIM_FAULTS_GAL_H
#define QUORATE_TESTS_SIM_FAULTS_GAL_H

#include "tests/sim/faults.h"

/* Its server is killed, by a fault or a person; false: it does not run. */
bool galera_kill_server(struct world *w, unsigned member);
/* All of them are over. */
void faults_gal_heal(struct world *w);

#endif
