/* SPDX-License-Identifier: Apache-2.0 */
/* JSON of the quorum into plain structs; see facts.h. */
#include "agents/proxy/facts.h"

#include <jansson.h>
#include <string.h>

#include "base/lease_math.h"
#include "base/name.h"

static uint64_t number_of(const json_t *object, const char *key, uint64_t otherwise)
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) && json_integer_value(value) >= 0
               ? (uint64_t)json_integer_value(value)
               : otherwise;
}

static bool flag_of(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static struct slice text_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_string(value) ? slice_from(json_string_value(value), json_string_length(value))
                                 : SLICE_EMPTY;
}

static enum msg_record_state state_of(struct slice word)
{
    if (slice_equal(word, SLICE_LIT("bootstrap"))) {
        return MSG_RECORD_BOOTSTRAP;
    }
    return slice_equal(word, SLICE_LIT("switchover")) ? MSG_RECORD_SWITCHOVER : MSG_RECORD_RUNNING;
}

static void names_of(const json_t *object, const char *key, struct msg_names *ret)
{
    const json_t *list = json_object_get(object, key);
    size_t i = 0;
    const json_t *item = NULL;
    json_array_foreach(list, i, item)
    {
        struct slice text =
            json_is_string(item) ? slice_from_text(json_string_value(item)) : SLICE_EMPTY;
        if (ret->count < MSG_MEMBERS_MAX && base_name_from(text, &ret->names[ret->count]) == 0) {
            ret->count++;
        }
    }
}

static int read_record(const json_t *object, struct proxy_record *ret)
{
    struct proxy_record r = {.epoch = number_of(object, "epoch", 0),
                             .revision = number_of(object, "revision", 0),
                             .state = state_of(text_of(object, "state")),
                             .is_opened = flag_of(object, "is_opened"),
                             .is_paused = flag_of(object, "is_paused"),
                             .is_standby_cluster = flag_of(object, "is_standby_cluster")};
    uint64_t ttl_ms = number_of(object, "ttl_ms", LEASE_TTL_DEFAULT_MS);
    if (slice_equal(text_of(object, "engine"), SLICE_LIT("mongodb"))) {
        return BASE_E_UNSUPPORTED;
    }
    if (r.epoch == 0 || r.revision == 0 || ttl_ms == 0 || ttl_ms > LEASE_TTL_MAX_MS ||
        base_name_from(text_of(object, "holder"), &r.holder) != 0) {
        return BASE_E_PROTO;
    }
    r.ttl_ms = (uint32_t)ttl_ms;
    names_of(object, "drained", &r.drained);
    *ret = r;
    return 0;
}

static json_t *load(struct slice json)
{
    json_t *object =
        json.len > 0 ? json_loadb((const char *)json.data, json.len, JSON_REJECT_DUPLICATES, NULL)
                     : NULL;
    if (object != NULL && !json_is_object(object)) {
        json_decref(object);
        return NULL;
    }
    return object;
}

int proxy_record_parse(struct slice json, struct proxy_record *ret)
{
    json_t *object = load(json);
    int rc = object == NULL ? BASE_E_PROTO : read_record(object, ret);
    json_decref(object);
    return rc;
}

static uint16_t port_of(const json_t *object, const char *key)
{
    uint64_t port = number_of(object, key, 0);
    return port > UINT16_MAX ? 0 : (uint16_t)port;
}

int proxy_member_parse(struct slice name, struct slice json, struct proxy_seen *ret)
{
    struct proxy_seen seen;
    memset(&seen, 0, sizeof(seen));
    json_t *object = load(json);
    int rc = object == NULL ? BASE_E_PROTO : base_name_from(name, &seen.name);
    if (rc == 0) {
        seen.host = base_text_from(text_of(object, "host"));
        seen.db_port = port_of(object, "db_port");
        seen.http_port = port_of(object, "http_port");
        seen.is_noloadbalance = flag_of(object, "is_noloadbalance");
        if (base_name_from(text_of(object, "zone"), &seen.zone) != 0) {
            seen.zone = (struct base_name){{0}};
        }
        *ret = seen;
    }
    json_decref(object);
    return rc;
}
