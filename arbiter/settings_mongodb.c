/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes the section "mongodb"; see settings_mongodb.h. Each key has one row: its words,
 * or its own reader.
 */
#include "arbiter/settings_mongodb.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/settings_galera.h"
#include "arbiter/settings_section.h"
#include "base/name.h"

#define SECTION ARB_MONGODB_SECTION
#define TTL_DEFAULT_MS 5000
#define HEARTBEAT_DEFAULT_MS 1000
#define TIMEOUT_MIN_MS 1000
#define TIMEOUT_MAX_MS 300000

/* Words of a key, in the order of its enumeration. */
static bool read_word(const json_t *value, const char *const words[3], unsigned *ret)
{
    const char *text = json_string_value(value);
    for (unsigned i = 0; text != NULL && i < 3 && words[i] != NULL; i++) {
        if (strcmp(words[i], text) == 0) {
            *ret = i;
            return true;
        }
    }
    return false;
}

static const char *const steps[3] = {"report", "stepdown", "kill"};
static const char *const degrade[3] = {"alarm", "auto"};
static const char *const resync[3] = {"off", "auto"};
static const char *const steering[3] = {"off", "on"};

static bool read_cut_off(const json_t *value, struct msg_record *ret)
{
    unsigned at = 0;
    bool is_good = read_word(value, steps, &at);
    ret->mongodb.policy.cut_off = (enum msg_mongodb_cut_off)at;
    return is_good;
}

static bool read_gray(const json_t *value, struct msg_record *ret)
{
    unsigned at = 0;
    bool is_good = read_word(value, steps, &at);
    ret->mongodb.policy.gray = (enum msg_mongodb_gray)at;
    return is_good;
}

static bool read_degrade(const json_t *value, struct msg_record *ret)
{
    unsigned at = 0;
    bool is_good = read_word(value, degrade, &at);
    ret->mongodb.policy.is_degrade_auto = at == 1;
    return is_good;
}

static bool read_resync(const json_t *value, struct msg_record *ret)
{
    unsigned at = 0;
    bool is_good = read_word(value, resync, &at);
    ret->mongodb.policy.is_resync_auto = at == 1;
    return is_good;
}

static bool read_steering(const json_t *value, struct msg_record *ret)
{
    unsigned at = 0;
    bool is_good = read_word(value, steering, &at);
    ret->mongodb.policy.is_steered = at == 1;
    return is_good;
}

static bool read_zone(const json_t *value, struct msg_record *ret)
{
    const char *text = json_string_value(value);
    return text != NULL && base_name_from_text(text, &ret->mongodb.policy.zone) == 0;
}

static bool read_timeout(const json_t *value, struct msg_record *ret)
{
    int64_t ms = 0;
    const char *text = json_string_value(value);
    bool is_good = text != NULL && arb_settings_duration(text, &ms) && ms >= TIMEOUT_MIN_MS &&
                   ms <= TIMEOUT_MAX_MS;
    ret->mongodb.policy.election_timeout_ms = is_good ? (uint32_t)ms : 0;
    return is_good;
}

static const struct arb_settings_key keys[] = {
    {"cut_off", "report stepdown kill", read_cut_off},
    {"gray", "report stepdown kill", read_gray},
    {"degrade", "alarm auto", read_degrade},
    {"resync", "off auto", read_resync},
    {"steering", "off on", read_steering},
    {"zone", "a zone's name", read_zone},
    {"election_timeout", "1s to 5m", read_timeout},
};

/* What is PostgreSQL's or Galera's, and fences: nobody holds a right that one could end. */
static int check_keys(json_t *document, struct arb_settings_why *why)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(document, key, value)
    {
        if (arb_settings_is_postgresql(key) || strcmp(key, ARB_GALERA_SECTION) == 0 ||
            strcmp(key, "fence") == 0) {
            (void)snprintf(why->text, sizeof(why->text),
                           "%.60s: means nothing to a MongoDB replica set (the document has a "
                           "section \"" SECTION "\")",
                           key);
            return BASE_E_INVALID;
        }
    }
    return 0;
}

const char *arb_settings_mongodb_standard(const char *path)
{
    if (strcmp(path, "ttl") == 0) {
        return "\"5s\"";
    }
    return strcmp(path, "heartbeat") == 0 ? "\"1s\"" : NULL;
}

int arb_settings_mongodb(json_t *document, struct arb_settings *ret, struct arb_settings_why *why)
{
    struct msg_record *r = &ret->record;
    if (json_object_get(document, SECTION) == NULL) {
        return 0;
    }
    r->engine = MSG_ENGINE_MONGODB;
    r->sync_mode = MSG_SYNC_ASYNC;
    arb_settings_times(document, TTL_DEFAULT_MS, HEARTBEAT_DEFAULT_MS, r);
    int rc = check_keys(document, why);
    return rc != 0 ? rc
                   : arb_settings_section(document, SECTION, keys, BASE_COUNT_OF(keys), r, why);
}

static void put(json_t *section, const char *key, const char *word, bool is_standard)
{
    if (!is_standard) {
        (void)json_object_set_new(section, key, json_string(word));
    }
}

json_t *arb_settings_mongodb_of(const struct msg_record *record)
{
    const struct msg_mongodb_policy *p = &record->mongodb.policy;
    json_t *section = json_object();
    char text[32];
    if (section == NULL) {
        return NULL;
    }
    put(section, "cut_off", steps[p->cut_off], p->cut_off == MSG_MONGODB_CUT_OFF_REPORT);
    put(section, "gray", steps[p->gray], p->gray == MSG_MONGODB_GRAY_REPORT);
    put(section, "degrade", degrade[1], !p->is_degrade_auto);
    put(section, "resync", resync[1], !p->is_resync_auto);
    put(section, "steering", steering[1], !p->is_steered);
    put(section, "zone", p->zone.text, base_name_is_empty(&p->zone));
    (void)snprintf(text, sizeof(text), "%" PRIu32 "ms", p->election_timeout_ms);
    put(section, "election_timeout", text, p->election_timeout_ms == 0);
    return section;
}
