/* SPDX-License-Identifier: Apache-2.0 */
/* Transactions: compares of all levels first, then a check of the chosen operations, then the
 * operations in order. Nothing is written before all that can be refused has been decided. Pure;
 * used by kv/core alone. */
#ifndef QUORATE_KV_CORE_TXN_H
#define QUORATE_KV_CORE_TXN_H

#include "kv/core/view.h"
#include "proto/msg/kv.h"

/* A checked transaction (kv/core/check.h). *ret_error not KV_OK: nothing was changed, *ret is
 * untouched. */
MUST_CHECK int kv_txn_run(struct kv_view *view, const struct kv_txn *txn, enum kv_error *ret_error,
                          struct kv_txn_response *ret);

#endif
