/* SPDX-License-Identifier: Apache-2.0 */
/* Steps that the stories of real members share: give an order that must succeed, start, wait until
 * a view says so. Each fails the test by itself. */
#ifndef QUORATE_TESTS_INTEGRATION_PG_STEPS_H
#define QUORATE_TESTS_INTEGRATION_PG_STEPS_H

#include "tests/integration/pg/member.h"

/* As the last view has it. */
bool is_primary(const struct member *m);
bool is_standby(const struct member *m);
bool is_stopped_seen(const struct member *m);
bool has_lost_its_receiver(const struct member *m);
bool has_two_streaming(const struct member *m);

/* Until it streams from the member of that name. */
void wait_following(struct member *m, const char *upstream);
/* Until so many views have come. */
void wait_views(const struct member *m, uint64_t count);
void order_ok(struct member *m, enum db_order_kind kind, const struct db_order *details);
void start_primary(struct member *m);
void start_standby(struct member *m);

#endif
