/* SPDX-License-Identifier: Apache-2.0 */
/* Who wants to hear of a key. Watchers of the same interval share a group. Groups lie in one hash
 * table; those of one key are found there, the others also stand in a tree of intervals that gives
 * all that hold a key in O(log n) each. Both are keyed by the hub's seed: nobody can choose keys
 * that fall on one heap or make the tree deep. */
#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "kv/watch_internal.h"

#define TABLE_FIRST 64u
#define DEPTH_MAX 256u /* of the tree; 65536 groups stand some 40 deep */

/* --- hashing --- */

static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

uint64_t index_hash(uint64_t seed, struct slice bytes)
{
    uint64_t h = mix(seed ^ bytes.len);
    while (bytes.len > 0) {
        uint64_t word = 0;
        size_t step = bytes.len < sizeof(word) ? bytes.len : sizeof(word);
        memcpy(&word, bytes.data, step);
        h = mix(h ^ word) + UINT64_C(0x9e3779b97f4a7c15);
        bytes = slice_skip(bytes, step);
    }
    return h;
}

static uint32_t hash_keys(const struct kv_watch_hub *hub, struct kv_interval keys)
{
    uint64_t h = index_hash(hub->options.seed, keys.key);
    return (uint32_t)(keys.end.len == 0 ? h : index_hash(h, keys.end));
}

static uint32_t hash_id(const struct kv_watch_hub *hub, const struct kv_watch_stream *stream,
                        int64_t id)
{
    return (uint32_t)mix(mix(hub->options.seed ^ stream->number) ^ (uint64_t)id);
}

/* --- tables --- */

/* Twice the heads; `move` rehangs all entries. Without memory the old ones must do. */
static bool table_ready(struct table *table,
                        void (*move)(const struct kv_watch_hub *hub, void *head, struct table *to),
                        const struct kv_watch_hub *hub)
{
    if (table->count < table->size) {
        return true;
    }
    struct table larger = {.size = table->size == 0 ? TABLE_FIRST : table->size * 2};
    larger.heads = calloc(larger.size, sizeof(*larger.heads));
    if (larger.heads == NULL) {
        return table->size > 0;
    }
    for (uint32_t i = 0; i < table->size; i++) {
        move(hub, table->heads[i], &larger);
    }
    larger.count = table->count;
    free(table->heads);
    *table = larger;
    return true;
}

static void move_groups(const struct kv_watch_hub *hub, void *head, struct table *to)
{
    (void)hub;
    for (struct group *group = head; group != NULL;) {
        struct group *next = group->chain;
        void **at = &to->heads[group->hash & (to->size - 1)];
        group->chain = *at;
        *at = group;
        group = next;
    }
}

static void move_ids(const struct kv_watch_hub *hub, void *head, struct table *to)
{
    for (struct watcher *watcher = head; watcher != NULL;) {
        struct watcher *next = watcher->chain;
        void **at = &to->heads[hash_id(hub, watcher->stream, watcher->id) & (to->size - 1)];
        watcher->chain = *at;
        *at = watcher;
        watcher = next;
    }
}

/* --- ids --- */

struct watcher *index_id_find(const struct kv_watch_hub *hub, const struct kv_watch_stream *stream,
                              int64_t id)
{
    if (hub->ids.size == 0) {
        return NULL;
    }
    struct watcher *watcher = hub->ids.heads[hash_id(hub, stream, id) & (hub->ids.size - 1)];
    while (watcher != NULL && (watcher->stream != stream || watcher->id != id)) {
        watcher = watcher->chain;
    }
    return watcher;
}

bool index_id_add(struct kv_watch_hub *hub, struct watcher *watcher)
{
    if (!table_ready(&hub->ids, move_ids, hub)) {
        return false;
    }
    void **at = &hub->ids.heads[hash_id(hub, watcher->stream, watcher->id) & (hub->ids.size - 1)];
    watcher->chain = *at;
    *at = watcher;
    hub->ids.count++;
    return true;
}

void index_id_remove(struct kv_watch_hub *hub, struct watcher *watcher)
{
    void **head = &hub->ids.heads[hash_id(hub, watcher->stream, watcher->id) & (hub->ids.size - 1)];
    struct watcher *at = *head;
    if (at == watcher) {
        *head = watcher->chain;
    } else {
        while (at->chain != watcher) {
            at = at->chain;
        }
        at->chain = watcher->chain;
    }
    hub->ids.count--;
}

/* --- the tree of intervals --- */

struct kv_interval group_keys(const struct group *group)
{
    return (struct kv_interval){slice_from(group->bytes, group->key_len),
                                slice_from(group->bytes + group->key_len, group->end_len)};
}

static bool is_endless(struct slice end)
{
    return end.len == 1 && end.data[0] == 0;
}

/* Whether interval a ends above interval b. */
static bool ends_above(const struct range *a, const struct range *b)
{
    struct slice end_a = group_keys(a->group).end;
    struct slice end_b = group_keys(b->group).end;
    if (is_endless(end_a) || is_endless(end_b)) {
        return !is_endless(end_b);
    }
    return slice_compare(end_a, end_b) > 0;
}

static int compare_keys(struct kv_interval a, struct kv_interval b)
{
    int order = slice_compare(a.key, b.key);
    return order != 0 ? order : slice_compare(a.end, b.end);
}

static void renew_highest(struct range *node)
{
    node->highest = node;
    if (node->left != NULL && ends_above(node->left->highest, node->highest)) {
        node->highest = node->left->highest;
    }
    if (node->right != NULL && ends_above(node->right->highest, node->highest)) {
        node->highest = node->right->highest;
    }
}

static bool is_above(const struct range *a, const struct range *b)
{
    return a->group->hash >= b->group->hash;
}

/* The path from the root to where `keys` stands or would stand. */
struct path {
    struct range **links[DEPTH_MAX];
    size_t count;
};

static void path_renew(const struct path *path)
{
    for (size_t i = path->count; i > 0; i--) {
        if (*path->links[i - 1] != NULL) {
            renew_highest(*path->links[i - 1]);
        }
    }
}

static void path_push(struct path *path, struct range **link)
{
    BASE_ASSERT(path->count < DEPTH_MAX);
    path->links[path->count++] = link;
}

/* Splits a tree at `keys` (which it does not hold) into what is below and what is above. */
static void split(struct range *tree, struct kv_interval keys, struct range **ret_low,
                  struct range **ret_high)
{
    struct path low = {.count = 0};
    struct path high = {.count = 0};
    while (tree != NULL) {
        if (compare_keys(group_keys(tree->group), keys) < 0) {
            *ret_low = tree;
            path_push(&low, ret_low);
            ret_low = &tree->right;
            tree = tree->right;
        } else {
            *ret_high = tree;
            path_push(&high, ret_high);
            ret_high = &tree->left;
            tree = tree->left;
        }
    }
    *ret_low = NULL;
    *ret_high = NULL;
    path_renew(&low);
    path_renew(&high);
}

/* Joins two trees, all of `low` being below all of `high`. */
static void join(struct range *low, struct range *high, struct range **ret)
{
    struct path path = {.count = 0};
    while (low != NULL && high != NULL) {
        path_push(&path, ret);
        if (is_above(low, high)) {
            *ret = low;
            ret = &low->right;
            low = low->right;
        } else {
            *ret = high;
            ret = &high->left;
            high = high->left;
        }
    }
    *ret = low != NULL ? low : high;
    path_renew(&path);
}

static void tree_add(struct kv_watch_hub *hub, struct range *node)
{
    struct path path = {.count = 0};
    struct range **link = &hub->ranges;
    struct kv_interval keys = group_keys(node->group);
    while (*link != NULL && is_above(*link, node)) {
        struct range *at = *link;
        path_push(&path, link);
        link = compare_keys(group_keys(at->group), keys) < 0 ? &at->right : &at->left;
    }
    split(*link, keys, &node->left, &node->right);
    *link = node;
    renew_highest(node);
    path_renew(&path);
}

static void tree_remove(struct kv_watch_hub *hub, const struct group *group)
{
    struct path path = {.count = 0};
    struct range **link = &hub->ranges;
    struct kv_interval keys = group_keys(group);
    while ((*link)->group != group) {
        struct range *at = *link;
        path_push(&path, link);
        link = compare_keys(group_keys(at->group), keys) < 0 ? &at->right : &at->left;
    }
    struct range *gone = *link;
    join(gone->left, gone->right, link);
    path_renew(&path);
    free(gone);
}

static bool may_hold(const struct range *tree, struct slice key)
{
    if (tree == NULL) {
        return false;
    }
    struct slice end = group_keys(tree->highest->group).end;
    return is_endless(end) || slice_compare(end, key) > 0;
}

static int tree_each(struct kv_watch_hub *hub, struct slice key, index_found_fn *found, void *ctx)
{
    struct range *stack[DEPTH_MAX + 2];
    size_t count = 0;
    stack[count++] = hub->ranges;
    while (count > 0) {
        struct range *node = stack[--count];
        if (!may_hold(node, key)) {
            continue;
        }
        BASE_ASSERT(count + 2 <= BASE_COUNT_OF(stack));
        struct kv_interval keys = group_keys(node->group);
        if (slice_compare(keys.key, key) <= 0) {
            stack[count++] = node->right;
            if (kv_interval_has(keys, key)) {
                int rc = found(hub, node->group, ctx);
                if (rc != 0) {
                    return rc;
                }
            }
        }
        stack[count++] = node->left;
    }
    return 0;
}

/* --- groups --- */

static struct group *group_find(const struct kv_watch_hub *hub, struct kv_interval keys)
{
    uint32_t hash = hash_keys(hub, keys);
    struct group *group =
        hub->groups.size == 0 ? NULL : hub->groups.heads[hash & (hub->groups.size - 1)];
    while (group != NULL && (group->hash != hash || compare_keys(group_keys(group), keys) != 0)) {
        group = group->chain;
    }
    return group;
}

static struct group *group_make(const struct kv_watch_hub *hub, struct kv_interval keys)
{
    struct group *group = malloc(sizeof(*group) + keys.key.len + keys.end.len);
    if (group == NULL) {
        return NULL;
    }
    *group = (struct group){.hash = hash_keys(hub, keys),
                            .match_first = NOTHING,
                            .match_last = NOTHING,
                            .key_len = (uint16_t)keys.key.len,
                            .end_len = (uint16_t)keys.end.len};
    struct buf bytes = buf_over(group->bytes, keys.key.len + keys.end.len);
    buf_put(&bytes, keys.key);
    buf_put(&bytes, keys.end);
    return group;
}

struct group *index_join(struct kv_watch_hub *hub, struct kv_interval keys)
{
    struct group *group = group_find(hub, keys);
    if (group != NULL || !table_ready(&hub->groups, move_groups, hub)) {
        return group;
    }
    struct range *node = keys.end.len == 0 ? NULL : calloc(1, sizeof(*node));
    group = keys.end.len > 0 && node == NULL ? NULL : group_make(hub, keys);
    if (group == NULL) {
        free(node);
        return NULL;
    }
    void **at = &hub->groups.heads[group->hash & (hub->groups.size - 1)];
    group->chain = *at;
    *at = group;
    hub->groups.count++;
    if (node != NULL) {
        node->group = group;
        tree_add(hub, node);
    }
    return group;
}

void index_leave(struct kv_watch_hub *hub, struct group *group)
{
    if (group->first != NULL) {
        return;
    }
    BASE_ASSERT(group->match_first == NOTHING);
    if (group->end_len > 0) {
        tree_remove(hub, group);
    }
    void **head = &hub->groups.heads[group->hash & (hub->groups.size - 1)];
    struct group *at = *head;
    if (at == group) {
        *head = group->chain;
    } else {
        while (at->chain != group) {
            at = at->chain;
        }
        at->chain = group->chain;
    }
    hub->groups.count--;
    free(group);
}

int index_each(struct kv_watch_hub *hub, struct slice key, index_found_fn *found, void *ctx)
{
    struct group *group = group_find(hub, (struct kv_interval){key, SLICE_EMPTY});
    int rc = group == NULL ? 0 : found(hub, group, ctx);
    return rc != 0 ? rc : tree_each(hub, key, found, ctx);
}

void index_free(struct kv_watch_hub *hub)
{
    BASE_ASSERT(hub->groups.count == 0 && hub->ids.count == 0 && hub->ranges == NULL);
    free(hub->groups.heads);
    free(hub->ids.heads);
}
