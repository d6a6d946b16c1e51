/* SPDX-License-Identifier: Apache-2.0 */
/* Range with all options of etcd v3: any revision, limit, filters, sorting, keys or count only.
 * Pure; used by kv/core alone. */
#ifndef QUORATE_KV_CORE_RANGE_H
#define QUORATE_KV_CORE_RANGE_H

#include "kv/core/view.h"
#include "proto/msg/kv.h"

/* Whether the revision asked for can be read by a request that found the store at view->base:
 * KV_OK, FUTURE_REVISION or COMPACTED, by the compact revision alone and not by what is still
 * there. */
MUST_CHECK int kv_range_revision_check(struct kv_view *view, const struct kv_range *range,
                                       enum kv_error *ret_error);

/* The checked range (kv/core/check.h). Fills in kvs, count, has_more and a header with the revision
 * alone. When the arena is too small view->is_cut is set. */
MUST_CHECK int kv_range_read(struct kv_view *view, const struct kv_range *range,
                             struct kv_range_response *ret);

#endif
