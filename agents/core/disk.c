/* SPDX-License-Identifier: Apache-2.0 */
/* The durable state: openings, lineages, and the file's format.
 *
 * Format: "QAG3", then big-endian fields in the order of agt_disk_encode, then the CRC-32C of all
 * before it. "QAG2" is the same without what was added since, and made_system only when it is not
 * 0; it is read, and written as long as nothing of the new is needed, so that the program before
 * can be put back. "QAG4", written by Galera members alone, is "QAG3" with their part behind it,
 * "QAG5" the same of MongoDB members.
 */
#include "agents/core/disk.h"

#include <string.h>

#include "base/assert.h"
#include "base/crc32c.h"

#define DISK_MAGIC SLICE_LIT("QAG3")
#define DISK_MAGIC_OLD SLICE_LIT("QAG2")
#define DISK_MAGIC_GALERA SLICE_LIT("QAG4")
#define DISK_MAGIC_MONGODB SLICE_LIT("QAG5")

static uint8_t place_of(const struct agt_disk *disk, uint64_t epoch)
{
    uint8_t at = 0;
    while (at < disk->openings_count && disk->openings[at].epoch < epoch) {
        at++;
    }
    return at;
}

static bool opening_equal(const struct agt_opening *a, const struct agt_opening *b)
{
    return a->epoch == b->epoch && a->timeline == b->timeline && a->parent == b->parent &&
           a->floor_lsn == b->floor_lsn && a->floor_epoch == b->floor_epoch &&
           a->is_own == b->is_own;
}

bool agt_disk_remember(struct agt_disk *disk, const struct agt_opening *opening)
{
    BASE_ASSERT(opening->epoch > 0);
    uint8_t at = place_of(disk, opening->epoch);
    struct agt_opening *list = disk->openings;
    if (at < disk->openings_count && list[at].epoch == opening->epoch) {
        bool is_same = opening_equal(&list[at], opening);
        list[at] = *opening;
        return !is_same;
    }
    if (disk->openings_count == AGT_OPENINGS_MAX) {
        if (at == 0) {
            return false; /* older than all that is kept */
        }
        memmove(&list[0], &list[1], sizeof(list[0]) * (AGT_OPENINGS_MAX - 1));
        disk->openings_count--;
        at--;
    }
    memmove(&list[at + 1], &list[at], sizeof(list[0]) * (size_t)(disk->openings_count - at));
    list[at] = *opening;
    disk->openings_count++;
    return true;
}

void agt_disk_forget(struct agt_disk *disk, uint64_t epoch)
{
    uint8_t first = place_of(disk, epoch);
    disk->openings_count = (uint8_t)(disk->openings_count - first);
    memmove(&disk->openings[0], &disk->openings[first],
            sizeof(disk->openings[0]) * disk->openings_count);
}

const struct agt_opening *agt_disk_opening(const struct agt_disk *disk, uint64_t epoch)
{
    uint8_t at = place_of(disk, epoch);
    if (at < disk->openings_count && disk->openings[at].epoch == epoch) {
        return &disk->openings[at];
    }
    return NULL;
}

uint64_t agt_disk_lineage(const struct agt_disk *disk, uint32_t timeline)
{
    if (disk->is_clone_needed || timeline == 0) {
        return 0;
    }
    const struct agt_opening *found = NULL;
    for (uint8_t i = disk->openings_count; i > 0; i--) {
        const struct agt_opening *o = &disk->openings[i - 1];
        if (o->timeline != timeline) {
            continue;
        }
        if (found != NULL && (found->parent != 0 || o->parent != 0)) {
            return 0;
        }
        found = found == NULL ? o : found;
    }
    return found == NULL ? 0 : found->epoch;
}

bool agt_disk_is_reserved_here(const struct agt_disk *disk, uint32_t timeline)
{
    for (uint8_t i = 0; i < disk->openings_count; i++) {
        if (disk->openings[i].timeline == timeline && disk->openings[i].is_own) {
            return true;
        }
    }
    return false;
}

static enum agt_prefix prefix_by_lsn(uint64_t lsn, uint64_t floor_lsn)
{
    if (lsn == 0) {
        return AGT_PREFIX_UNKNOWN;
    }
    return lsn <= floor_lsn ? AGT_PREFIX_YES : AGT_PREFIX_NO;
}

enum agt_prefix agt_disk_prefix(const struct agt_disk *disk, uint64_t epoch, uint64_t lineage,
                                uint64_t lsn)
{
    if (lineage == 0 || lineage > epoch) {
        return AGT_PREFIX_NO;
    }
    if (lineage == epoch) {
        return AGT_PREFIX_YES;
    }
    /* Down the holder's own line; each step is strictly lower, so this ends. */
    uint64_t at = epoch;
    for (int steps = 0; steps <= 2 * AGT_OPENINGS_MAX; steps++) {
        const struct agt_opening *opening = agt_disk_opening(disk, at);
        if (opening == NULL) {
            return AGT_PREFIX_UNKNOWN;
        }
        if (opening->floor_epoch != 0 && opening->floor_epoch < at) {
            if (lineage >= opening->floor_epoch) {
                return AGT_PREFIX_UNKNOWN; /* the same holder's line; where it was left is not told
                                            */
            }
            at = opening->floor_epoch;
            continue;
        }
        if (opening->parent < lineage || opening->parent >= at) {
            return AGT_PREFIX_NO; /* the line left before, or passed it by */
        }
        if (opening->parent == lineage) {
            return prefix_by_lsn(lsn, opening->floor_lsn);
        }
        at = opening->parent;
    }
    return AGT_PREFIX_UNKNOWN;
}

static bool later_equal(const struct agt_disk *a, const struct agt_disk *b)
{
    return a->is_paused == b->is_paused && a->failsafe_ttl_ms == b->failsafe_ttl_ms &&
           a->task_begun == b->task_begun && a->task_instance == b->task_instance &&
           a->task_starts == b->task_starts && a->task_done == b->task_done &&
           a->task_status == b->task_status;
}

bool agt_disk_equal(const struct agt_disk *a, const struct agt_disk *b)
{
    if (a->epoch_seen != b->epoch_seen || a->promised.term != b->promised.term ||
        a->promised.number != b->promised.number || a->role != b->role ||
        a->is_clone_needed != b->is_clone_needed || a->opened_epoch != b->opened_epoch ||
        a->opened_lsn != b->opened_lsn || a->opened_root_pid != b->opened_root_pid ||
        a->made_system != b->made_system || a->openings_count != b->openings_count ||
        !later_equal(a, b) || !agt_disk_galera_equal(&a->galera, &b->galera) ||
        !agt_disk_mongodb_equal(&a->mongodb, &b->mongodb)) {
        return false;
    }
    for (uint8_t i = 0; i < a->openings_count; i++) {
        if (!opening_equal(&a->openings[i], &b->openings[i])) {
            return false;
        }
    }
    return true;
}

static void put_later(const struct agt_disk *disk, struct buf *out)
{
    buf_put_u64_be(out, disk->made_system);
    buf_put_u8(out, disk->is_paused ? 1 : 0);
    buf_put_u32_be(out, disk->failsafe_ttl_ms);
    buf_put_u64_be(out, disk->task_begun);
    buf_put_u64_be(out, disk->task_instance);
    buf_put_u32_be(out, disk->task_starts);
    buf_put_u64_be(out, disk->task_done);
    buf_put_u32_be(out, (uint32_t)disk->task_status);
}

int agt_disk_encode(const struct agt_disk *disk, struct buf *out)
{
    static const struct agt_disk nothing;
    size_t start = out->len;
    bool has_galera = !agt_disk_galera_equal(&disk->galera, &nothing.galera);
    bool has_mongodb = !agt_disk_mongodb_equal(&disk->mongodb, &nothing.mongodb);
    bool is_old = !has_galera && !has_mongodb && later_equal(disk, &nothing);
    BASE_ASSERT(disk->openings_count <= AGT_OPENINGS_MAX);
    BASE_ASSERT(!has_galera || !has_mongodb);
    buf_put(out, has_galera    ? DISK_MAGIC_GALERA
                 : has_mongodb ? DISK_MAGIC_MONGODB
                 : is_old      ? DISK_MAGIC_OLD
                               : DISK_MAGIC);
    buf_put_u64_be(out, disk->epoch_seen);
    buf_put_u64_be(out, disk->promised.term);
    buf_put_u64_be(out, disk->promised.number);
    buf_put_u8(out, (uint8_t)disk->role);
    buf_put_u8(out, disk->is_clone_needed ? 1 : 0);
    buf_put_u64_be(out, disk->opened_epoch);
    buf_put_u64_be(out, disk->opened_lsn);
    buf_put_u32_be(out, (uint32_t)disk->opened_root_pid);
    buf_put_u8(out, disk->openings_count);
    for (uint8_t i = 0; i < disk->openings_count; i++) {
        buf_put_u64_be(out, disk->openings[i].epoch);
        buf_put_u32_be(out, disk->openings[i].timeline);
        buf_put_u64_be(out, disk->openings[i].parent);
        buf_put_u64_be(out, disk->openings[i].floor_lsn);
        buf_put_u64_be(out, disk->openings[i].floor_epoch);
        buf_put_u8(out, disk->openings[i].is_own ? 1 : 0);
    }
    if (!is_old) {
        put_later(disk, out);
    } else if (disk->made_system != 0) {
        buf_put_u64_be(out, disk->made_system);
    }
    if (has_galera) {
        agt_disk_galera_put(&disk->galera, out);
    } else if (has_mongodb) {
        agt_disk_mongodb_put(&disk->mongodb, out);
    }
    buf_put_u32_be(out, base_crc32c(0, slice_from(out->data + start, out->len - start)));
    return out->is_full ? BASE_E_TOOBIG : 0;
}

static int take_opening(struct slice *s, struct agt_opening *ret)
{
    struct agt_opening o = {0};
    uint8_t own = 0;
    int rc = slice_take_u64_be(s, &o.epoch);
    rc = rc == 0 ? slice_take_u32_be(s, &o.timeline) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &o.parent) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &o.floor_lsn) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &o.floor_epoch) : rc;
    rc = rc == 0 ? slice_take_u8(s, &own) : rc;
    rc = rc == 0 && own > 1 ? BASE_E_CORRUPT : rc;
    if (rc == 0) {
        o.is_own = own == 1;
        *ret = o;
    }
    return rc;
}

static int take_head(struct slice *s, struct agt_disk *d)
{
    uint8_t role = 0;
    uint8_t clone = 0;
    uint32_t pid = 0;
    int rc = slice_take_u64_be(s, &d->epoch_seen);
    rc = rc == 0 ? slice_take_u64_be(s, &d->promised.term) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d->promised.number) : rc;
    rc = rc == 0 ? slice_take_u8(s, &role) : rc;
    rc = rc == 0 ? slice_take_u8(s, &clone) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d->opened_epoch) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d->opened_lsn) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &pid) : rc;
    rc = rc == 0 ? slice_take_u8(s, &d->openings_count) : rc;
    if (rc != 0 || role > AGT_ROLE_VOTER || clone > 1 || d->openings_count > AGT_OPENINGS_MAX) {
        return BASE_E_CORRUPT;
    }
    d->role = (enum agt_role)role;
    d->is_clone_needed = clone == 1;
    d->opened_root_pid = (int32_t)pid;
    return 0;
}

static int take_later(struct slice *s, struct agt_disk *d)
{
    uint8_t paused = 0;
    uint32_t status = 0;
    int rc = slice_take_u64_be(s, &d->made_system);
    rc = rc == 0 ? slice_take_u8(s, &paused) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &d->failsafe_ttl_ms) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d->task_begun) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d->task_instance) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &d->task_starts) : rc;
    rc = rc == 0 ? slice_take_u64_be(s, &d->task_done) : rc;
    rc = rc == 0 ? slice_take_u32_be(s, &status) : rc;
    if (rc != 0 || paused > 1) {
        return BASE_E_CORRUPT;
    }
    d->is_paused = paused == 1;
    d->task_status = (int32_t)status;
    return 0;
}

int agt_disk_decode(struct slice bytes, struct agt_disk *ret)
{
    struct agt_disk d = {0};
    bool is_old = slice_has_prefix(bytes, DISK_MAGIC_OLD);
    bool has_galera = slice_has_prefix(bytes, DISK_MAGIC_GALERA);
    bool has_mongodb = slice_has_prefix(bytes, DISK_MAGIC_MONGODB);
    if (bytes.len < DISK_MAGIC.len + 4 ||
        (!is_old && !has_galera && !has_mongodb && !slice_has_prefix(bytes, DISK_MAGIC))) {
        return BASE_E_CORRUPT;
    }
    struct slice tail = slice_skip(bytes, bytes.len - 4);
    struct slice body = {bytes.data, bytes.len - 4};
    uint32_t crc = 0;
    if (slice_take_u32_be(&tail, &crc) != 0 || crc != base_crc32c(0, body)) {
        return BASE_E_CORRUPT;
    }
    body = slice_skip(body, DISK_MAGIC.len);
    if (take_head(&body, &d) != 0) {
        return BASE_E_CORRUPT;
    }
    for (uint8_t i = 0; i < d.openings_count; i++) {
        if (take_opening(&body, &d.openings[i]) != 0 ||
            (i > 0 && d.openings[i].epoch <= d.openings[i - 1].epoch)) {
            return BASE_E_CORRUPT;
        }
    }
    if (!is_old && take_later(&body, &d) != 0) {
        return BASE_E_CORRUPT;
    }
    if (has_galera && agt_disk_galera_take(&body, &d.galera) != 0) {
        return BASE_E_CORRUPT;
    }
    if (has_mongodb && agt_disk_mongodb_take(&body, &d.mongodb) != 0) {
        return BASE_E_CORRUPT;
    }
    bool has_made = is_old && body.len > 0;
    if (has_made && (slice_take_u64_be(&body, &d.made_system) != 0 || d.made_system == 0)) {
        return BASE_E_CORRUPT;
    }
    if (body.len != 0) {
        return BASE_E_CORRUPT;
    }
    *ret = d;
    return 0;
}
