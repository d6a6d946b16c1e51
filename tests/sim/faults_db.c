/* SPDX-License-Identifier: Apache-2.0 */
/* Faults of database hosts. */
#include "tests/sim/faults_db.h"

void faults_db_strike(struct world *w, enum fault_kind kind)
{
    (void)w;
    (void)kind;
}

void faults_db_heal(struct world *w)
{
    (void)w;
}
