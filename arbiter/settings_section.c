/* SPDX-License-Identifier: Apache-2.0 */
/* What the sections of the configuration document share; see settings_section.h. */
#include "arbiter/settings_section.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/lease_math.h"

int arb_settings_wrong(struct arb_settings_why *why, const char *path, const json_t *found,
                       const char *allowed)
{
    char *text = found == NULL ? NULL : json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    (void)snprintf(why->text, sizeof(why->text), "%.140s: %.200s; allowed: %s", path,
                   text == NULL ? "?" : text, allowed);
    free(text);
    return BASE_E_INVALID;
}

bool arb_settings_duration(const char *text, int64_t *ret_ms)
{
    static const struct {
        const char *unit;
        int64_t us;
    } units[] = {{"us", 1},
                 {"ms", 1000},
                 {"s", 1000000},
                 {"m", 60000000},
                 {"min", 60000000},
                 {"h", INT64_C(3600000000)},
                 {"d", INT64_C(86400000000)}};
    char *end = NULL;
    if (text[0] < '0' || text[0] > '9') {
        return false;
    }
    double number = strtod(text, &end);
    for (size_t i = 0; i < BASE_COUNT_OF(units); i++) {
        if (strcmp(end, units[i].unit) == 0) {
            double us = number * (double)units[i].us;
            *ret_ms = us > 1e15 ? INT64_MAX : (int64_t)(us / 1000.0 + 0.5);
            return true;
        }
    }
    return strcmp(text, "0") == 0 ? (*ret_ms = 0, true) : false;
}

int arb_settings_section(const json_t *document, const char *name,
                         const struct arb_settings_key *keys, size_t count, struct msg_record *ret,
                         struct arb_settings_why *why)
{
    const json_t *section = json_object_get(document, name);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(section, keys[i].key);
        if (value != NULL && !keys[i].read(value, ret)) {
            char path[64];
            (void)snprintf(path, sizeof(path), "%.30s.%.30s", name, keys[i].key);
            return arb_settings_wrong(why, path, value, keys[i].allowed);
        }
    }
    return 0;
}

void arb_settings_times(const json_t *document, uint32_t ttl_ms, uint32_t heartbeat_ms,
                        struct msg_record *ret)
{
    if (json_object_get(document, "ttl") == NULL) {
        ret->ttl_ms = ttl_ms;
    }
    if (json_object_get(document, "heartbeat") == NULL) {
        uint32_t most = ret->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN;
        ret->heartbeat_ms = most < heartbeat_ms ? most : heartbeat_ms;
    }
}
