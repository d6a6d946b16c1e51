/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the section "galera"; see settings_galera.h. Each key has one reader, named in one table.
 */
#include "arbiter/settings_galera.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/settings_section.h"
#include "base/name.h"

#define SECTION ARB_GALERA_SECTION
#define TTL_MIN_MS 5000
#define TTL_DEFAULT_MS 6000
#define HEARTBEAT_DEFAULT_MS 500
#define WAIT_MAX_MS (INT64_C(7) * 86400000)
#define WEIGHT_MAX 127 /* of two nodes one may be doubled for a restart */

static bool read_fast_takeover(const json_t *value, struct msg_record *ret)
{
    ret->galera.is_fast_takeover = json_is_true(value);
    return json_is_boolean(value);
}

static bool read_keep_reader(const json_t *value, struct msg_record *ret)
{
    ret->galera.is_reader_kept = json_is_true(value);
    return json_is_boolean(value);
}

static bool read_recovery_wait(const json_t *value, struct msg_record *ret)
{
    int64_t ms = -1;
    const char *text = json_string_value(value);
    if (text == NULL) {
        return false;
    }
    bool is_never = strcmp(text, "never") == 0;
    bool is_good =
        is_never || (arb_settings_duration(text, &ms) && ms >= 1000 && ms <= WAIT_MAX_MS);
    ret->galera.recovery_wait_us = is_never ? -1 : ms * BASE_US_PER_MS;
    return is_good;
}

static bool read_arbitrator(const json_t *value, struct msg_record *ret)
{
    const char *text = json_string_value(value);
    return text != NULL && base_name_from_text(text, &ret->galera.arbitrator) == 0;
}

static int compare_nodes(const void *a, const void *b)
{
    const struct msg_galera_node *left = a;
    const struct msg_galera_node *right = b;
    return base_name_compare(&left->node, &right->node);
}

static bool read_weights(const json_t *value, struct msg_record *ret)
{
    const char *key = NULL;
    json_t *weight = NULL;
    union {
        const json_t *in;
        json_t *out;
    } object = {.in = value}; /* iterated, not changed */
    ret->galera.weights.count = 0;
    if (!json_is_object(value) || json_object_size(value) > MSG_GALERA_NODES_MAX) {
        return false;
    }
    json_object_foreach(object.out, key, weight)
    {
        struct msg_galera_node *node = &ret->galera.weights.nodes[ret->galera.weights.count++];
        if (base_name_from_text(key, &node->node) != 0 || !json_is_integer(weight) ||
            json_integer_value(weight) < 0 || json_integer_value(weight) > WEIGHT_MAX) {
            return false;
        }
        node->weight = (uint8_t)json_integer_value(weight);
    }
    qsort(ret->galera.weights.nodes, ret->galera.weights.count,
          sizeof(ret->galera.weights.nodes[0]), compare_nodes);
    return true;
}

static const struct arb_settings_key keys[] = {
    {"fast_takeover", "true false", read_fast_takeover},
    {"recovery_wait", "never, or 1s to 7d", read_recovery_wait},
    {"keep_reader", "true false", read_keep_reader},
    {"arbitrator", "a node's name", read_arbitrator},
    {"weights", "members' names with 0 to 127 each", read_weights},
};

/* --- what is PostgreSQL's --- */

static const char *const postgresql_only[] = {"sync",
                                              "sync_count",
                                              "strict",
                                              "maximum_lag_on_failover",
                                              "freeze_max",
                                              "on_crash",
                                              "primary_start_timeout",
                                              "failover_interval",
                                              "failsafe",
                                              "standby_cluster",
                                              "postgresql"};

bool arb_settings_is_postgresql(const char *path)
{
    for (size_t i = 0; i < BASE_COUNT_OF(postgresql_only); i++) {
        size_t len = strlen(postgresql_only[i]);
        if (strncmp(path, postgresql_only[i], len) == 0 &&
            (path[len] == '\0' || path[len] == '.')) {
            return true;
        }
    }
    return false;
}

static int check_keys(json_t *document, struct arb_settings_why *why)
{
    for (size_t i = 0; i < BASE_COUNT_OF(postgresql_only); i++) {
        if (json_object_get(document, postgresql_only[i]) != NULL) {
            (void)snprintf(why->text, sizeof(why->text),
                           "%s: means nothing to a Galera cluster (the document has a section "
                           "\"" SECTION "\")",
                           postgresql_only[i]);
            return BASE_E_INVALID;
        }
    }
    return 0;
}

/* --- the whole --- */

const char *arb_settings_galera_standard(const char *path)
{
    if (strcmp(path, "ttl") == 0) {
        return "\"6s\"";
    }
    return strcmp(path, "heartbeat") == 0 ? "\"500ms\"" : NULL;
}

int arb_settings_galera(json_t *document, struct arb_settings *ret, struct arb_settings_why *why)
{
    struct msg_record *r = &ret->record;
    json_t *ttl = json_object_get(document, "ttl");
    if (json_object_get(document, SECTION) == NULL) {
        return 0;
    }
    r->engine = MSG_ENGINE_GALERA;
    r->sync_mode = MSG_SYNC_ASYNC;
    r->galera.high_water = -1;
    r->galera.recovery_wait_us = -1;
    arb_settings_times(document, TTL_DEFAULT_MS, HEARTBEAT_DEFAULT_MS, r);
    if (r->ttl_ms < TTL_MIN_MS) {
        return arb_settings_wrong(why, "ttl", ttl,
                                  "5s to 1m for Galera (evs.suspect_timeout and 3 s)");
    }
    int rc = check_keys(document, why);
    return rc != 0 ? rc
                   : arb_settings_section(document, SECTION, keys, BASE_COUNT_OF(keys), r, why);
}

json_t *arb_settings_galera_of(const struct msg_record *record)
{
    const struct msg_galera_record *g = &record->galera;
    json_t *section = json_object();
    if (section == NULL) {
        return NULL;
    }
    if (g->is_fast_takeover) {
        (void)json_object_set_new(section, "fast_takeover", json_true());
    }
    if (g->is_reader_kept) {
        (void)json_object_set_new(section, "keep_reader", json_true());
    }
    if (g->recovery_wait_us >= 0) {
        char text[32];
        (void)snprintf(text, sizeof(text), "%" PRId64 "ms", g->recovery_wait_us / BASE_US_PER_MS);
        (void)json_object_set_new(section, "recovery_wait", json_string(text));
    }
    if (!base_name_is_empty(&g->arbitrator)) {
        (void)json_object_set_new(section, "arbitrator", json_string(g->arbitrator.text));
    }
    for (uint8_t i = 0; i < g->weights.count; i++) {
        json_t *weights = json_object_get(section, "weights");
        if (weights == NULL) {
            (void)json_object_set_new(section, "weights", json_object());
            weights = json_object_get(section, "weights");
        }
        (void)json_object_set_new(weights, g->weights.nodes[i].node.text,
                                  json_integer(g->weights.nodes[i].weight));
    }
    return section;
}
