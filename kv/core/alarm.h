/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms: what is wrong with the cluster until somebody says that it is not any more. Rows
 * "kv.alarm/" + member + alarm of STORE_META, so that they are the same on all nodes. What an alarm
 * forbids is decided when a request is proposed. Pure.
 */
#ifndef QUORATE_KV_CORE_ALARM_H
#define QUORATE_KV_CORE_ALARM_H

#include "kv/core/view.h"

enum kv_alarm_action { KV_ALARM_GET = 0, KV_ALARM_ACTIVATE = 1, KV_ALARM_DEACTIVATE = 2 };
enum kv_alarm_type { KV_ALARM_NONE = 0, KV_ALARM_NOSPACE = 1, KV_ALARM_CORRUPT = 2 };

struct kv_alarms {
    bool has_no_space;
    bool is_corrupt;
};
MUST_CHECK int kv_alarms_get(struct store_txn *txn, struct kv_alarms *ret);

/* Any of the three actions; a get changes nothing. */
MUST_CHECK int kv_alarm_apply(struct kv_view *view, const struct kv_alarm *alarm,
                              struct kv_alarm_response *ret);

#endif
