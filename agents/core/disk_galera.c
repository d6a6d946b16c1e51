/* SPDX-License-Identifier: Apache-2.0 */
/* The Galera member's part of the durable state: big-endian fields in the order of the struct. */
#include <string.h>

#include "agents/core/disk.h"
#include "base/name.h"

bool agt_galera_view_equal(const struct msg_galera_view *a, const struct msg_galera_view *b)
{
    if (a->conf_id != b->conf_id || a->count != b->count) {
        return false;
    }
    for (uint8_t i = 0; i < a->count; i++) {
        if (!base_name_equal(&a->nodes[i].node, &b->nodes[i].node) ||
            a->nodes[i].weight != b->nodes[i].weight) {
            return false;
        }
    }
    return true;
}

bool agt_disk_galera_equal(const struct agt_galera_disk *a, const struct agt_galera_disk *b)
{
    return a->generation == b->generation && memcmp(a->uuid, b->uuid, sizeof(a->uuid)) == 0 &&
           a->inhibit == b->inhibit && a->grant_begun == b->grant_begun &&
           a->grant_instance == b->grant_instance && a->grant_starts == b->grant_starts &&
           a->grant_done == b->grant_done && a->grant_status == b->grant_status &&
           a->is_left == b->is_left && agt_galera_view_equal(&a->view, &b->view);
}

void agt_disk_galera_put(const struct agt_galera_disk *disk, struct buf *out)
{
    buf_put_u64_be(out, disk->generation);
    buf_put(out, slice_from(disk->uuid, sizeof(disk->uuid)));
    buf_put_u64_be(out, disk->inhibit);
    buf_put_u64_be(out, disk->grant_begun);
    buf_put_u64_be(out, disk->grant_instance);
    buf_put_u32_be(out, disk->grant_starts);
    buf_put_u64_be(out, disk->grant_done);
    buf_put_u32_be(out, (uint32_t)disk->grant_status);
    buf_put_u8(out, disk->is_left ? 1 : 0);
    buf_put_u64_be(out, disk->view.conf_id);
    buf_put_u8(out, disk->view.count);
    for (uint8_t i = 0; i < disk->view.count; i++) {
        struct slice name = base_name_slice(&disk->view.nodes[i].node);
        buf_put_u8(out, (uint8_t)name.len);
        buf_put(out, name);
        buf_put_u8(out, disk->view.nodes[i].weight);
    }
}

static int take_view(struct slice *s, struct msg_galera_view *ret)
{
    struct msg_galera_view view = {0};
    int rc = slice_take_u64_be(s, &view.conf_id);
    rc = rc == 0 ? slice_take_u8(s, &view.count) : rc;
    if (rc != 0 || view.count > MSG_GALERA_NODES_MAX) {
        return BASE_E_CORRUPT;
    }
    for (uint8_t i = 0; i < view.count; i++) {
        struct slice name = SLICE_EMPTY;
        uint8_t len = 0;
        rc = slice_take_u8(s, &len);
        rc = rc == 0 ? slice_take_bytes(s, len, &name) : rc;
        rc = rc == 0 ? base_name_from(name, &view.nodes[i].node) : rc;
        rc = rc == 0 ? slice_take_u8(s, &view.nodes[i].weight) : rc;
        if (rc != 0) {
            return BASE_E_CORRUPT;
        }
    }
    *ret = view;
    return 0;
}

int agt_disk_galera_take(struct slice *s, struct agt_galera_disk *ret)
{
    struct agt_galera_disk d = {0};
    struct slice uuid = SLICE_EMPTY;
    uint32_t status = 0;
    uint8_t left = 0;
    int rc = slice_take_u64_be(s, &d.generation);
    rc = rc == 0 ? slice_take_bytes(s, sizeof(d.uuid), &uuid) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d.inhibit) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d.grant_begun) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d.grant_instance) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &d.grant_starts) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d.grant_done) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &status) : rc;
    rc = rc == 0 ? slice_take_u8(s, &left) : rc;
    rc = rc == 0 ? take_view(s, &d.view) : rc;
    if (rc != 0 || left > 1) {
        return BASE_E_CORRUPT;
    }
    d.is_left = left == 1;
    memcpy(d.uuid, uuid.data, sizeof(d.uuid));
    d.grant_status = (int32_t)status;
    *ret = d;
    return 0;
}
