/* SPDX-License-Identifier: Apache-2.0 */
/* SQL clients: each writes one increasing value after the other to whoever says it is primary, now
 * and then to anybody, straight at the database as a client with a standing connection would. What
 * was acknowledged is the truth's to keep.
 */
#ifndef QUORATE_TESTS_SIM_SQL_LOAD_H
#define QUORATE_TESTS_SIM_SQL_LOAD_H

#include "tests/sim/pg.h"

#define SQL_FRAME_WRITE 220
#define SQL_FRAME_ANSWER 221

enum sql_outcome { SQL_ACKNOWLEDGED, SQL_REFUSED, SQL_UNKNOWN };

/* Between a client and a database. */
struct sql_frame {
    uint8_t type;
    uint8_t outcome;
    uint64_t request;
    uint64_t value;
};

void sql_load_open(struct world *w);
void sql_load_close(struct world *w);
/* A client's write reaches a database. */
void sql_arrive(struct pg *pg, unsigned from, struct slice payload);
/* The database's answer. */
void sql_answer(struct world *w, unsigned member, unsigned client, uint64_t request,
                enum sql_outcome outcome);

#endif
