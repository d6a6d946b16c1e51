/* SPDX-License-Identifier: Apache-2.0 */
/* See draw.h. */
#include "tests/crash/draw.h"

#include <string.h>

#include "kv/core/alarm.h"

#define KEYS 60u

/* Users and roles that come and go, and the quota's alarm. Some are refused: that is an outcome
 * too, the same on every node. */
static struct kv_request draw_rarely(struct base_rand *rand, struct buf *name)
{
    struct kv_request request = {.kind = KV_KIND_NONE};
    name->len = 0;
    buf_put_text(name, "u");
    buf_put_dec(name, base_rand_between(rand, 1, 5));
    switch (base_rand_between(rand, 0, 6)) {
    case 0:
    case 1:
        request.kind = KV_KIND_USER_ADD;
        request.user_add.name = buf_slice(name);
        request.user_add.hashed_password = SLICE_LIT("a hash");
        break;
    case 2:
        request.kind = KV_KIND_USER_DELETE;
        request.name.name = buf_slice(name);
        break;
    case 3:
    case 4:
        request.kind = KV_KIND_ROLE_ADD;
        request.name.name = buf_slice(name);
        break;
    case 5:
        request.kind = KV_KIND_USER_GRANT;
        request.user_role.user = buf_slice(name);
        request.user_role.role = buf_slice(name);
        break;
    default:
        request.kind = KV_KIND_ALARM;
        request.alarm.action =
            base_rand_between(rand, 0, 1) == 0 ? KV_ALARM_ACTIVATE : KV_ALARM_DEACTIVATE;
        request.alarm.member_id = 1;
        request.alarm.alarm = KV_ALARM_NOSPACE;
        break;
    }
    return request;
}

struct kv_request draw_request(struct base_rand *rand, uint64_t id, uint64_t applied,
                               uint8_t *memory)
{
    struct kv_request request = {.kind = KV_KIND_PUT};
    uint64_t what = base_rand_between(rand, 0, 30);
    struct buf key = buf_over(memory, 32);
    buf_put_text(&key, "key/");
    buf_put_dec(&key, base_rand_between(rand, 1, KEYS));
    size_t len =
        (size_t)base_rand_between(rand, 0, base_rand_between(rand, 0, 5) == 0 ? 6000 : 300);
    memset(memory + 32, (int)base_rand_between(rand, 0, 255), len);
    request.put.key = buf_slice(&key);
    request.put.value = slice_from(memory + 32, len);
    if (what == 0) {
        request = (struct kv_request){.kind = KV_KIND_COMPACT};
        request.compact.revision = (int64_t)applied * 3 / 4;
    } else if (what == 1) {
        request = (struct kv_request){.kind = KV_KIND_LEASE_GRANT};
        request.lease_grant.ttl = 60;
        request.lease_grant.id = (int64_t)id;
    } else if (what == 2) {
        request = draw_rarely(rand, &key);
    } else if (what < 6) {
        request = (struct kv_request){.kind = KV_KIND_DELETE};
        request.delete_range.key = buf_slice(&key);
    }
    return request;
}
