/* SPDX-License-Identifier: Apache-2.0 */
/* The MongoDB member's part of the durable state: big-endian fields in the order of the struct,
 * its flags in one byte at the end. */
#include "agents/core/disk.h"

enum { FLAG_WIPED = 1, FLAG_HELD = 2, FLAG_ROLLBACK_KNOWN = 4, FLAGS_ALL = 7 };

bool agt_disk_mongodb_equal(const struct agt_mongodb_disk *a, const struct agt_mongodb_disk *b)
{
    return a->order_epoch == b->order_epoch && a->order_phase == b->order_phase &&
           a->order_instance == b->order_instance && a->order_starts == b->order_starts &&
           a->is_wiped == b->is_wiped && a->done_epoch == b->done_epoch &&
           a->done_phase == b->done_phase && a->done_status == b->done_status &&
           a->done_code == b->done_code && a->barred_epoch == b->barred_epoch &&
           a->is_held == b->is_held && a->rollbacks == b->rollbacks &&
           a->rollback_files == b->rollback_files && a->is_rollback_known == b->is_rollback_known;
}

void agt_disk_mongodb_put(const struct agt_mongodb_disk *disk, struct buf *out)
{
    int flags = (disk->is_wiped ? FLAG_WIPED : 0) | (disk->is_held ? FLAG_HELD : 0) |
                (disk->is_rollback_known ? FLAG_ROLLBACK_KNOWN : 0);
    buf_put_u64_be(out, disk->order_epoch);
    buf_put_u8(out, disk->order_phase);
    buf_put_u64_be(out, disk->order_instance);
    buf_put_u32_be(out, disk->order_starts);
    buf_put_u64_be(out, disk->done_epoch);
    buf_put_u8(out, disk->done_phase);
    buf_put_u32_be(out, (uint32_t)disk->done_status);
    buf_put_u32_be(out, (uint32_t)disk->done_code);
    buf_put_u64_be(out, disk->barred_epoch);
    buf_put_u32_be(out, disk->rollbacks);
    buf_put_u32_be(out, disk->rollback_files);
    buf_put_u8(out, (uint8_t)flags);
}

int agt_disk_mongodb_take(struct slice *s, struct agt_mongodb_disk *ret)
{
    struct agt_mongodb_disk d = {0};
    uint32_t status = 0;
    uint32_t code = 0;
    uint8_t flags = 0;
    int rc = slice_take_u64_be(s, &d.order_epoch);
    rc = rc == 0 ? slice_take_u8(s, &d.order_phase) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d.order_instance) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &d.order_starts) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d.done_epoch) : rc;
    rc = rc == 0 ? slice_take_u8(s, &d.done_phase) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &status) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &code) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d.barred_epoch) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &d.rollbacks) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &d.rollback_files) : rc;
    rc = rc == 0 ? slice_take_u8(s, &flags) : rc;
    if (rc != 0 || (flags & ~FLAGS_ALL) != 0) {
        return BASE_E_CORRUPT;
    }
    d.done_status = (int32_t)status;
    d.done_code = (int32_t)code;
    d.is_wiped = (flags & FLAG_WIPED) != 0;
    d.is_held = (flags & FLAG_HELD) != 0;
    d.is_rollback_known = (flags & FLAG_ROLLBACK_KNOWN) != 0;
    *ret = d;
    return 0;
}
