/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text of what a MongoDB replica set has beside all others, in the object that `out` is
 * within: a member "mongodb" where nothing else is said. */
#ifndef QUORATE_ARBITER_RECORD_MONGODB_H
#define QUORATE_ARBITER_RECORD_MONGODB_H

#include "arbiter/core/arb.h"
#include "base/slice.h"
#include "proto/msg/agent.h"

void arb_json_mongodb_record(struct buf *out, const struct msg_mongodb_record *record);
void arb_json_mongodb_member(struct buf *out, const struct msg_mongodb_report *report);
/* Members "reason" and "order" of a decision MONGODB_ORDER. */
void arb_json_mongodb_decision(struct buf *out, const struct arb_decision *decision);

#endif
