/* SPDX-License-Identifier: Apache-2.0 */
/* Alarms; see alarm.h. */
#include "kv/core/alarm.h"

#define META_ALARM "kv.alarm/"
#define PREFIX SLICE_LIT(META_ALARM)
#define ALARMS_MAX 64u /* told of at once; there are two per member */

static void alarm_encode(const struct kv_alarm_member *alarm, struct kv_bytes *ret)
{
    struct buf out = buf_over(ret->data, sizeof(ret->data));
    buf_put(&out, PREFIX);
    buf_put_u64_be(&out, alarm->member_id);
    buf_put_u32_be(&out, (uint32_t)alarm->alarm);
    ret->len = out.len;
}

struct listing {
    int32_t type; /* NONE: all */
    size_t count;
    struct kv_alarm_member items[ALARMS_MAX];
};

static int list_row(void *ctx, struct slice key, struct slice value)
{
    struct listing *listing = ctx;
    struct kv_alarm_member alarm;
    uint32_t type = 0;
    (void)value;
    if (!slice_has_prefix(key, PREFIX)) {
        return 1;
    }
    key = slice_skip(key, PREFIX.len);
    if (slice_take_u64_be(&key, &alarm.member_id) != 0 || slice_take_u32_be(&key, &type) != 0 ||
        key.len != 0) {
        return BASE_E_CORRUPT;
    }
    alarm.alarm = (int32_t)type;
    if ((listing->type == KV_ALARM_NONE || listing->type == alarm.alarm) &&
        listing->count < ALARMS_MAX) {
        listing->items[listing->count++] = alarm;
    }
    return 0;
}

static int list(struct store_txn *txn, int32_t type, struct listing *ret)
{
    ret->type = type;
    ret->count = 0;
    return store_scan(txn, STORE_META, PREFIX, list_row, ret);
}

int kv_alarms_get(struct store_txn *txn, struct kv_alarms *ret)
{
    struct listing listing;
    struct kv_alarms alarms = {false, false};
    int rc = list(txn, KV_ALARM_NONE, &listing);
    for (size_t i = 0; rc == 0 && i < listing.count; i++) {
        alarms.has_no_space |= listing.items[i].alarm == KV_ALARM_NOSPACE;
        alarms.is_corrupt |= listing.items[i].alarm == KV_ALARM_CORRUPT;
    }
    *ret = alarms;
    return rc;
}

static int respond(struct kv_view *view, const struct kv_alarm_member *items, size_t count,
                   struct kv_alarm_response *ret)
{
    *ret = (struct kv_alarm_response){.has_header = false}; /* as etcd: none */
    if (count == 0) {
        return 0;
    }
    ret->alarms.items = base_arena_take(&view->scratch->arena, count, sizeof(*items));
    if (ret->alarms.items == NULL) {
        view->is_cut = true;
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        ret->alarms.items[ret->alarms.count++] = items[i];
    }
    return 0;
}

int kv_alarm_apply(struct kv_view *view, const struct kv_alarm *alarm,
                   struct kv_alarm_response *ret)
{
    struct kv_alarm_member member = {alarm->member_id, alarm->alarm};
    struct kv_bytes at;
    if (alarm->action == KV_ALARM_GET) {
        struct listing listing;
        int rc = list(view->txn, alarm->alarm, &listing);
        return rc != 0 ? rc : respond(view, listing.items, listing.count, ret);
    }
    if (alarm->alarm == KV_ALARM_NONE) {
        return respond(view, NULL, 0, ret);
    }
    alarm_encode(&member, &at);
    if (alarm->action == KV_ALARM_ACTIVATE) {
        int rc = store_put(view->txn, STORE_META, kv_bytes_slice(&at), SLICE_EMPTY);
        return rc != 0 ? rc : respond(view, &member, 1, ret);
    }
    int rc = store_del(view->txn, STORE_META, kv_bytes_slice(&at));
    if (rc != 0 && rc != BASE_E_NOTFOUND) {
        return rc;
    }
    return respond(view, &member, rc == 0, ret);
}
