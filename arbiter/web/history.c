/* SPDX-License-Identifier: Apache-2.0 */
/* Reading histories; see history.h. */
#include "arbiter/web/history.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/name.h"
#include "proto/io/loop.h"
#include "proto/wire/kv.h"

#define ARENA_BYTES (64u * 1024u)
#define KEY_MAX 128
#define READ_US (2 * BASE_US_PER_S)
#define AGAIN_US (500 * BASE_US_PER_MS) /* an entry is written shortly after its record */

struct kept {
    struct base_name name; /* empty: free */
    uint64_t epoch, revision;
    struct base_mono read_at;
    bool is_read_again; /* once more, AGAIN_US after the record's last change */
    size_t count;
    json_t *entries[WEB_HISTORY_MAX];
};

struct web_history {
    const struct arb_driver *driver;
    struct kv_service *service;
    struct kept kept[ARB_CLUSTERS_MAX];
    /* The read under way, if any. */
    bool is_reading;
    size_t slot;
    uint64_t epoch, revision;
    char from[KEY_MAX], to[KEY_MAX];
    struct kv_request request;
    struct kv_call call;
};

int web_history_new(const struct arb_driver *driver, struct kv_service *service,
                    struct web_history **ret)
{
    struct web_history *history = calloc(1, sizeof(*history));
    if (history == NULL) {
        return BASE_E_NOMEM;
    }
    history->driver = driver;
    history->service = service;
    *ret = history;
    return 0;
}

static void kept_clear(struct kept *kept)
{
    for (size_t i = 0; i < kept->count; i++) {
        json_decref(kept->entries[i]);
    }
    kept->count = 0;
}

struct web_history *web_history_free(struct web_history *history)
{
    for (size_t i = 0; history != NULL && i < ARB_CLUSTERS_MAX; i++) {
        kept_clear(&history->kept[i]);
    }
    free(history);
    return NULL;
}

/* --- reading --- */

static void take(struct kept *kept, const struct kv_pairs *pairs)
{
    kept_clear(kept);
    for (size_t i = 0; i < pairs->count && kept->count < WEB_HISTORY_MAX; i++) {
        struct slice value = pairs->items[i].value;
        json_t *entry = json_loadb((const char *)value.data, value.len, 0, NULL);
        if (json_is_object(entry)) {
            kept->entries[kept->count++] = entry;
        } else {
            json_decref(entry);
        }
    }
}

static void read_done(struct kv_call *call, enum kv_error error, struct slice bytes)
{
    struct web_history *history = call->user;
    struct kept *kept = &history->kept[history->slot];
    void *memory = error == KV_OK ? malloc(ARENA_BYTES) : NULL;
    struct kv_response response;
    history->is_reading = false;
    if (memory != NULL) {
        struct base_arena arena = base_arena_over(memory, ARENA_BYTES);
        if (kv_wire_decode_response(KV_KIND_RANGE, bytes, &arena, &response) == 0) {
            take(kept, &response.range.kvs);
        }
    }
    free(memory);
    kept->is_read_again = kept->epoch == history->epoch && kept->revision == history->revision;
    kept->epoch = history->epoch;
    kept->revision = history->revision;
    kept->read_at = io_now();
}

static void read_begin(struct web_history *history, size_t slot, const struct arb_cluster *cluster)
{
    struct kv_range *range = &history->request.range;
    (void)snprintf(history->from, sizeof(history->from), "/quorate/v1/clusters/%s/history/",
                   cluster->name.text);
    (void)snprintf(history->to, sizeof(history->to), "/quorate/v1/clusters/%s/history0",
                   cluster->name.text);
    history->request = (struct kv_request){.kind = KV_KIND_RANGE};
    range->key = slice_from_text(history->from);
    range->range_end = slice_from_text(history->to);
    range->sort_order = KV_SORT_DESCEND;
    range->sort_target = KV_SORT_CREATE;
    range->limit = WEB_HISTORY_MAX;
    range->is_serializable = true; /* what this node has, also without a quorum */
    history->call = (struct kv_call){
        .request = &history->request,
        .deadline = base_mono_add_us(io_now(), READ_US),
        .user = history,
        .asker.auth_revision = KV_ASKER_INTERNAL, /* who may look was decided before */
        .done = read_done,
    };
    history->slot = slot;
    history->epoch = cluster->record.epoch;
    history->revision = cluster->record.revision;
    history->is_reading = kv_service_submit(history->service, &history->call) == KV_OK;
}

/* --- what is out of date --- */

static struct kept *find(struct web_history *history, const struct base_name *name)
{
    struct kept *free_one = NULL;
    for (size_t i = 0; i < ARB_CLUSTERS_MAX; i++) {
        if (base_name_equal(&history->kept[i].name, name)) {
            return &history->kept[i];
        }
        if (free_one == NULL && history->kept[i].name.text[0] == '\0') {
            free_one = &history->kept[i];
        }
    }
    if (free_one != NULL) {
        *free_one = (struct kept){.name = *name};
    }
    return free_one;
}

static bool is_stale(const struct kept *kept, const struct arb_cluster *cluster)
{
    bool is_changed =
        kept->epoch != cluster->record.epoch || kept->revision != cluster->record.revision;
    return is_changed || (!kept->is_read_again && kept->epoch != 0 &&
                          base_mono_diff_us(io_now(), kept->read_at) > AGAIN_US);
}

/* A place is given back when its cluster is gone, so that names that come later find one. */
static void forget_gone(struct web_history *history)
{
    for (size_t i = 0; i < ARB_CLUSTERS_MAX; i++) {
        struct kept *kept = &history->kept[i];
        if (kept->name.text[0] != '\0' && arb_driver_find(history->driver, &kept->name) == NULL) {
            kept_clear(kept);
            *kept = (struct kept){.epoch = 0};
        }
    }
}

void web_history_refresh(struct web_history *history)
{
    const struct arb_cluster *cluster = NULL;
    if (history->is_reading) {
        return;
    }
    forget_gone(history);
    for (size_t i = 0; (cluster = arb_driver_cluster(history->driver, i)) != NULL; i++) {
        struct kept *kept = find(history, &cluster->name);
        if (kept != NULL && is_stale(kept, cluster)) {
            read_begin(history, (size_t)(kept - history->kept), cluster);
            return; /* one at a time; the next one at the next call */
        }
    }
}

bool web_history_of(const struct web_history *history, const struct base_name *cluster,
                    json_t *const **ret, size_t *ret_count)
{
    for (size_t i = 0; i < ARB_CLUSTERS_MAX; i++) {
        const struct kept *kept = &history->kept[i];
        if (base_name_equal(&kept->name, cluster) && kept->read_at.us != 0) {
            *ret = kept->entries;
            *ret_count = kept->count;
            return true;
        }
    }
    return false;
}
