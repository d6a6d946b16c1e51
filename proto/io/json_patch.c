/* SPDX-License-Identifier: Apache-2.0 */
/* See json_patch.h. */
#include "proto/io/json_patch.h"

static void merge_flat(json_t *to, json_t *patch, void (*below)(json_t *to, json_t *patch))
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(patch, key, value)
    {
        json_t *have = json_object_get(to, key);
        if (json_is_null(value)) {
            (void)json_object_del(to, key);
        } else if (below != NULL && json_is_object(value) && json_is_object(have)) {
            below(have, value);
        } else {
            (void)json_object_set(to, key, value);
        }
    }
}

static void merge_leaves(json_t *to, json_t *patch)
{
    merge_flat(to, patch, NULL);
}

static void merge_section(json_t *to, json_t *patch)
{
    merge_flat(to, patch, merge_leaves);
}

void io_json_patch(json_t *to, json_t *patch)
{
    merge_flat(to, patch, merge_section);
}
