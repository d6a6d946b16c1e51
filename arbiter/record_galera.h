/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text of what a Galera cluster has beside all others: a member "galera" of the object that
 * `out` is within. */
#ifndef QUORATE_ARBITER_RECORD_GALERA_H
#define QUORATE_ARBITER_RECORD_GALERA_H

#include "base/slice.h"
#include "proto/msg/agent.h"

void arb_json_galera_record(struct buf *out, const struct msg_galera_record *record);
void arb_json_galera_member(struct buf *out, const struct msg_galera_report *report);

#endif
