/* SPDX-License-Identifier: Apache-2.0 */
/* Changes to the key-value state: one put, one delete of an interval. Checked before; a failure
 * here is the store's and fatal. Pure; used by kv/core alone. */
#ifndef QUORATE_KV_CORE_MVCC_H
#define QUORATE_KV_CORE_MVCC_H

#include "kv/core/view.h"
#include "proto/msg/kv.h"

/* What the store must hold for a put to be possible: KEY_NOT_FOUND for a flag that keeps something
 * of a key that is not there, LEASE_NOT_FOUND. */
MUST_CHECK int kv_put_precheck(struct kv_view *view, const struct kv_put *put,
                               enum kv_error *ret_error);
MUST_CHECK int kv_put_apply(struct kv_view *view, const struct kv_put *put,
                            struct kv_put_response *ret);
MUST_CHECK int kv_delete_apply(struct kv_view *view, const struct kv_delete *delete_range,
                               struct kv_delete_response *ret);
/* Stores the revision when the request has changed anything. The last step of every request. */
MUST_CHECK int kv_view_close(struct kv_view *view);

#endif
