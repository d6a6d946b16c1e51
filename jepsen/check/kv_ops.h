/* SPDX-License-Identifier: Apache-2.0 */
/* Operations of a history as requests to the store, and what its answers say of them. For whoever
 * loads a store: simulated clients and those of real nodes ask and understand alike. Pure. */
#ifndef QUORATE_JEPSEN_CHECK_KV_OPS_H
#define QUORATE_JEPSEN_CHECK_KV_OPS_H

#include "jepsen/check/history.h"
#include "proto/msg/kv.h"

#define CHK_ASKING_BYTES 512

/* A request, and everything that it points to beside the history. */
struct chk_asking {
    struct kv_request request;
    struct kv_op ops[CHK_PARTS_MAX], else_op;
    struct kv_compare compare;
    uint8_t texts[CHK_ASKING_BYTES];
    size_t used;
};

/* One part alone is a range, put or delete; several, or a comparison, a transaction that reads the
 * compared key when it fails. is_stale: reads may be answered by any node. */
void chk_ask(const struct chk_history *history, const struct chk_op *op, bool is_stale,
             struct chk_asking *ret);

/* Takes what the answer says over into the operation; the header of the answer. */
const struct kv_header *chk_answered(const struct kv_response *response, struct chk_op *op);

/* Value and revision of the first pair; both 0: there is none. */
void chk_pair_seen(const struct kv_pairs *pairs, int64_t *ret_value, uint64_t *ret_revision);

#endif
