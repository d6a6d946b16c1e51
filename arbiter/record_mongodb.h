/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text of what a MongoDB replica set has beside all others: a member "mongodb" of the object
 * that `out` is within. */
#ifndef QUORATE_ARBITER_RECORD_MONGODB_H
#define QUORATE_ARBITER_RECORD_MONGODB_H

#include "base/slice.h"
#include "proto/msg/agent.h"

void arb_json_mongodb_record(struct buf *out, const struct msg_mongodb_record *record);
void arb_json_mongodb_member(struct buf *out, const struct msg_mongodb_report *report);

#endif
