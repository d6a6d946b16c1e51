/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of the section "postgresql"; see settings_pg.h. */
#include "arbiter/settings_pg.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int wrong(struct arb_settings_why *why, const char *key, const json_t *found,
                 const char *allowed)
{
    char *text = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    (void)snprintf(why->text, sizeof(why->text), "postgresql.%.96s: %.200s; allowed: %s", key,
                   text == NULL ? "?" : text, allowed);
    free(text);
    return BASE_E_INVALID;
}

static bool is_lines(const json_t *value)
{
    size_t i = 0;
    json_t *line = NULL;
    json_array_foreach(value, i, line)
    {
        if (!json_is_string(line) || strpbrk(json_string_value(line), "\r\n") != NULL) {
            return false;
        }
    }
    return json_is_array(value);
}

int arb_settings_postgresql(json_t *section, struct arb_settings_why *why)
{
    static const struct {
        const char *key;
        json_type type;
        const char *allowed;
    } keys[] = {
        {"parameters", JSON_OBJECT, "an object of parameters and values"},
        {"pg_hba", JSON_ARRAY, "an array of lines"},
        {"pg_ident", JSON_ARRAY, "an array of lines"},
        {"slots", JSON_OBJECT, "an object of slots"},
        {"member_slots_ttl", JSON_STRING, "a duration"},
        {"max_slot_wal_keep_size", JSON_STRING, "a size"},
        {"use_slots", JSON_TRUE, "true false"},
    };
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(section, key, value)
    {
        size_t i = 0;
        while (i < BASE_COUNT_OF(keys) && strcmp(keys[i].key, key) != 0) {
            i++;
        }
        if (i == BASE_COUNT_OF(keys)) {
            return wrong(why, key, value, "no such key");
        }
        bool is_good =
            keys[i].type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == keys[i].type;
        if (!is_good || (keys[i].type == JSON_ARRAY && !is_lines(value))) {
            return wrong(why, key, value, keys[i].allowed);
        }
    }
    return 0;
}
