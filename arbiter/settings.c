/* SPDX-License-Identifier: Apache-2.0 */
/* Reading and writing the configuration document; see settings.h. */
#include "arbiter/settings.h"

#include "arbiter/settings_galera.h"
#include "arbiter/settings_mongodb.h"
#include "arbiter/settings_pg.h"
#include "arbiter/settings_section.h"
#include "base/lease_math.h"

#include <inttypes.h>
#include <jansson.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 4
#define TEXT_VALUE_MAX 1024 /* bytes of a command or name in the document */

enum kind {
    KIND_DURATION, /* "2s": number and unit us ms s m h d */
    KIND_WORD,     /* one of `words`; its index is stored, plus `min` */
    KIND_NUMBER,
    KIND_BOOL,
    KIND_TEXT, /* checked here, read by whoever needs it */
    KIND_OWN,  /* checked and read by the engine's file */
};

struct field {
    struct arb_setting shown;
    enum kind kind;
    size_t offset, size; /* in struct arb_settings; size 0: not kept here */
    int64_t min, max;    /* milliseconds for durations, bytes for texts */
    int64_t standard;
    const char *words[WORDS_MAX];
};

#define AT(member) offsetof(struct arb_settings, member), sizeof(((struct arb_settings *)0)->member)
#define RECORD(member) AT(record.member)
#define NOWHERE 0, 0

static const struct field fields[] = {
    {{"ttl", "600ms to 1m, at least four heartbeats", "\"2s\"",
      "how long the right to write lasts without being renewed"},
     KIND_DURATION,
     RECORD(ttl_ms),
     LEASE_TTL_MIN_MS,
     LEASE_TTL_MAX_MS,
     LEASE_TTL_DEFAULT_MS,
     {0}},
    {{"heartbeat", "20ms to 15s", "\"250ms\"", "how often each agent reports"},
     KIND_DURATION,
     RECORD(heartbeat_ms),
     20,
     15000,
     LEASE_HEARTBEAT_DEFAULT_MS,
     {0}},
    {{"freeze_max", "0s to 1m", "\"3s\"", "a frozen primary is killed after this"},
     KIND_DURATION,
     RECORD(freeze_max_ms),
     0,
     60000,
     LEASE_FREEZE_MAX_DEFAULT_MS,
     {0}},
    {{"sync", "on first off", "\"on\"",
      "commits wait for any sync_count standbys, for the first ones by priority, or for none"},
     KIND_WORD,
     RECORD(sync_mode),
     0,
     0,
     MSG_SYNC_ON,
     {"on", "off", "first"}},
    {{"sync_count", "1 to 15", "1", "for how many standbys a commit waits"},
     KIND_NUMBER,
     RECORD(sync_count),
     1,
     MSG_MEMBERS_MAX - 1,
     1,
     {0}},
    {{"strict", "true false", "false", "commits wait rather than go on without a standby"},
     KIND_BOOL,
     RECORD(is_sync_strict),
     0,
     1,
     0,
     {0}},
    {{"maximum_lag_on_failover", "0 to 1099511627776", "1048576",
      "bytes that a failover may lose with sync off"},
     KIND_NUMBER,
     RECORD(maximum_lag_bytes),
     0,
     INT64_C(1) << 40,
     1 << 20,
     {0}},
    {{"on_crash", "auto failover restart", "",
      "what follows a crash; without it what the member's own file says"},
     KIND_WORD,
     RECORD(on_crash),
     1,
     0,
     MSG_ON_CRASH_OWN,
     {"auto", "failover", "restart"}},
    {{"primary_start_timeout", "1s to 1h", "",
      "how long a restart in place may take; without it what the member's own file says"},
     KIND_DURATION,
     RECORD(start_timeout_ms),
     1000,
     3600000,
     0,
     {0}},
    {{"failover_interval", "0s to 1h", "\"60s\"", "least time between two automatic failovers"},
     KIND_DURATION,
     RECORD(failover_interval_ms),
     0,
     3600000,
     60000,
     {0}},
    {{"failsafe", "true false", "false",
      "without a quorum the primary goes on while every member agrees"},
     KIND_BOOL,
     RECORD(is_failsafe),
     0,
     1,
     0,
     {0}},
    {{"fence.mode", "off try require", "\"off\"", "an external command that powers a host off"},
     KIND_WORD,
     RECORD(fence_mode),
     0,
     0,
     MSG_FENCE_OFF,
     {"off", "try", "require"}},
    {{"fence.command", "a program's name, in quorum.fence_dir of each quorum node", "",
      "run as `command off`, then `command status`"},
     KIND_TEXT,
     AT(fence_command),
     1,
     ARB_FENCE_COMMAND_MAX,
     0,
     {0}},
    {{"fence.timeout", "1s to 5m", "\"10s\"", "how long one run of it may take"},
     KIND_DURATION,
     AT(fence_timeout_ms),
     1000,
     300000,
     ARB_FENCE_TIMEOUT_DEFAULT_MS,
     {0}},
    {{"fence.trust", "true false", "false", "a fence that succeeded ends the lease at once"},
     KIND_BOOL,
     RECORD(is_fence_trusted),
     0,
     1,
     0,
     {0}},
    {{"standby_cluster.host", "host names or addresses, by comma", "",
      "where the primary of another cluster is that this one follows"},
     KIND_TEXT,
     NOWHERE,
     1,
     BASE_TEXT_MAX,
     0,
     {0}},
    {{"standby_cluster.port", "1 to 65535", "5432", ""}, KIND_NUMBER, NOWHERE, 1, 65535, 5432, {0}},
    {{"standby_cluster.primary_slot_name", "a slot's name", "", ""},
     KIND_TEXT,
     NOWHERE,
     1,
     BASE_NAME_MAX,
     0,
     {0}},
    {{"standby_cluster.restore_command", "a command", "", ""},
     KIND_TEXT,
     NOWHERE,
     1,
     TEXT_VALUE_MAX,
     0,
     {0}},
    {{"galera.fast_takeover", "true false", "false",
      "a writer that a Primary view has evicted is replaced before its lease has run out"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"galera.recovery_wait", "never, or 1s to 7d", "\"never\"",
      "how long a recovery waits for an operator when nobody has all that was committed"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"galera.keep_reader", "true false", "false",
      "a member that needs everything waits while giving it would take the last reader beside the "
      "writer"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"galera.arbitrator", "a node's name", "", "the garbd that votes in this cluster"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"galera.weights", "members' names with 0 to 127 each", "",
      "pc.weight of members; who is not named has 1"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"mongodb.cut_off", "report stepdown kill", "\"report\"",
      "what becomes of a primary that its own status shows cut off from the majority"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"mongodb.gray", "report stepdown kill", "\"report\"",
      "what becomes of a primary whose canary writes do not come through"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"mongodb.degrade", "alarm auto", "\"alarm\"",
      "two data members and an arbiter: auto takes the vote of one that is dead for two minutes"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"mongodb.resync", "off auto", "\"off\"",
      "auto empties members that are too stale to catch up, one at a time"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"mongodb.steering", "off on", "\"off\"",
      "on moves the primary into mongodb.zone, once in ten minutes at most"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"mongodb.zone", "a zone's name", "", "where the primary shall be"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
    {{"mongodb.election_timeout", "1s to 5m", "", "electionTimeoutMillis of the replica set"},
     KIND_OWN,
     NOWHERE,
     0,
     0,
     0,
     {0}},
};

/* Sections besides; objects with keys of the table, but for the last. */
static const char *const sections[] = {"fence", "standby_cluster", ARB_GALERA_SECTION,
                                       ARB_MONGODB_SECTION, "postgresql"};
#define PG_SECTION "postgresql"

/* Engines whose document has a section of its own, which says the engine; without one it is
 * PostgreSQL's. */
static const struct engine_section {
    enum msg_engine engine;
    const char *section;
    const char *(*standard)(const char *path);
    json_t *(*of)(const struct msg_record *record);
} engine_sections[] = {
    {MSG_ENGINE_GALERA, ARB_GALERA_SECTION, arb_settings_galera_standard, arb_settings_galera_of},
    {MSG_ENGINE_MONGODB, ARB_MONGODB_SECTION, arb_settings_mongodb_standard,
     arb_settings_mongodb_of},
};

static const struct engine_section *section_of(const json_t *document)
{
    for (size_t i = 0; i < BASE_COUNT_OF(engine_sections); i++) {
        if (json_object_get(document, engine_sections[i].section) != NULL) {
            return &engine_sections[i];
        }
    }
    return NULL;
}

static const struct engine_section *section_for(enum msg_engine engine)
{
    for (size_t i = 0; i < BASE_COUNT_OF(engine_sections); i++) {
        if (engine_sections[i].engine == engine) {
            return &engine_sections[i];
        }
    }
    return NULL;
}

const struct arb_setting *arb_setting_at(size_t index)
{
    return index < BASE_COUNT_OF(fields) ? &fields[index].shown : NULL;
}

/* --- values --- */

static bool is_in(const struct field *f, int64_t value)
{
    return value >= f->min && value <= f->max;
}

static bool read_word(const struct field *f, const json_t *value, int64_t *ret)
{
    for (size_t i = 0; i < WORDS_MAX && f->words[i] != NULL; i++) {
        if (json_is_string(value) && strcmp(json_string_value(value), f->words[i]) == 0) {
            *ret = (int64_t)i + f->min;
            return true;
        }
    }
    return false;
}

static bool read_text(const struct field *f, const json_t *value)
{
    const char *text = json_string_value(value);
    if (text == NULL || !is_in(f, (int64_t)strlen(text))) {
        return false;
    }
    for (const char *c = text; *c != '\0'; c++) {
        if ((unsigned char)*c < ' ') {
            return false;
        }
    }
    /* Nothing outside the node's own directory, however the document came about. */
    bool is_program = f->offset == offsetof(struct arb_settings, fence_command) && f->size != 0;
    return !is_program || (strchr(text, '/') == NULL && text[0] != '.' && text[0] != '-');
}

/* The value of a field as a number; false when it is not allowed. */
static bool read_value(const struct field *f, const json_t *value, int64_t *ret)
{
    switch (f->kind) {
    case KIND_DURATION:
        return json_is_string(value) && arb_settings_duration(json_string_value(value), ret) &&
               is_in(f, *ret);
    case KIND_WORD:
        return read_word(f, value, ret);
    case KIND_NUMBER:
        *ret = json_integer_value(value);
        return json_is_integer(value) && is_in(f, *ret);
    case KIND_BOOL:
        *ret = json_is_true(value);
        return json_is_boolean(value);
    case KIND_OWN:
        return true;
    case KIND_TEXT:
        break;
    }
    return read_text(f, value);
}

static void keep(const struct field *f, int64_t number, const json_t *value,
                 struct arb_settings *ret)
{
    uint8_t *to = (uint8_t *)ret + f->offset;
    uint8_t u8 = (uint8_t)number;
    uint32_t u32 = (uint32_t)number;
    uint64_t u64 = (uint64_t)number;
    if (f->size == 0) {
        return;
    }
    if (f->kind == KIND_TEXT) {
        const char *text = value == NULL ? "" : json_string_value(value);
        (void)snprintf((char *)to, f->size, "%s", text);
    } else if (f->kind == KIND_BOOL) {
        bool is_set = number != 0;
        memcpy(to, &is_set, sizeof(is_set));
    } else if (f->size == sizeof(u8)) {
        memcpy(to, &u8, sizeof(u8));
    } else if (f->size == sizeof(u32)) {
        memcpy(to, &u32, sizeof(u32));
    } else {
        memcpy(to, &u64, sizeof(u64));
    }
}

/* --- the document --- */

static json_t *find(json_t *document, const char *path)
{
    const char *dot = strchr(path, '.');
    char section[32];
    if (dot == NULL) {
        return json_object_get(document, path);
    }
    (void)snprintf(section, sizeof(section), "%.*s", (int)(dot - path), path);
    return json_object_get(json_object_get(document, section), dot + 1);
}

static bool is_section(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT_OF(sections); i++) {
        if (strcmp(sections[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool is_known(const char *path)
{
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        if (strcmp(fields[i].shown.path, path) == 0) {
            return true;
        }
    }
    return false;
}

static int check_keys(json_t *object, const char *prefix, struct arb_settings_why *why)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach(object, key, value)
    {
        char path[128];
        (void)snprintf(path, sizeof(path), "%s%.96s", prefix, key);
        bool is_object = prefix[0] == '\0' && is_section(key);
        if (is_object && !json_is_object(value)) {
            return arb_settings_wrong(why, path, value, "an object");
        }
        if (!is_object && !is_known(path)) {
            (void)snprintf(why->text, sizeof(why->text),
                           "%s: there is no such key; kv db config show --effective lists them",
                           path);
            return BASE_E_INVALID;
        }
    }
    return 0;
}

static int check_sections(json_t *document, struct arb_settings_why *why)
{
    int rc = check_keys(document, "", why);
    for (size_t i = 0; i + 1 < BASE_COUNT_OF(sections) && rc == 0; i++) {
        char prefix[32];
        (void)snprintf(prefix, sizeof(prefix), "%s.", sections[i]);
        rc = check_keys(json_object_get(document, sections[i]), prefix, why);
    }
    json_t *pg = json_object_get(document, PG_SECTION);
    return rc != 0 || pg == NULL ? rc : arb_settings_postgresql(pg, why);
}

/* Values that are each allowed, but not together. */
static int check_together(json_t *document, const struct arb_settings *s,
                          struct arb_settings_why *why)
{
    const struct msg_record *r = &s->record;
    const json_t *standby = json_object_get(document, "standby_cluster");
    if (r->heartbeat_ms > r->ttl_ms / LEASE_HEARTBEATS_PER_TTL_MIN) {
        (void)snprintf(why->text, sizeof(why->text),
                       "heartbeat: %" PRIu32 "ms with a ttl of %" PRIu32
                       "ms; allowed: at most a quarter of the ttl",
                       r->heartbeat_ms, r->ttl_ms);
        return BASE_E_INVALID;
    }
    if (r->fence_mode != MSG_FENCE_OFF && s->fence_command[0] == '\0') {
        return arb_settings_wrong(why, "fence.command", NULL,
                                  "a program, since fence.mode is not off");
    }
    if (r->is_fence_trusted && r->fence_mode == MSG_FENCE_OFF) {
        return arb_settings_wrong(why, "fence.trust", json_true(),
                                  "only with fence.mode try or require");
    }
    if (r->sync_mode == MSG_SYNC_ASYNC && r->is_sync_strict) {
        return arb_settings_wrong(why, "strict", json_true(), "only with sync on or first");
    }
    if (standby != NULL && json_object_get(standby, "host") == NULL &&
        json_object_get(standby, "restore_command") == NULL) {
        return arb_settings_wrong(why, "standby_cluster", standby,
                                  "with a host or a restore_command");
    }
    return 0;
}

static int read_fields(json_t *document, struct arb_settings *s, struct arb_settings_why *why)
{
    for (size_t i = 0; i < BASE_COUNT_OF(fields); i++) {
        const struct field *f = &fields[i];
        json_t *value = find(document, f->shown.path);
        int64_t number = f->standard;
        if (value != NULL && !read_value(f, value, &number)) {
            return arb_settings_wrong(why, f->shown.path, value, f->shown.allowed);
        }
        keep(f, number, value, s);
    }
    s->record.is_standby_cluster = json_object_get(document, "standby_cluster") != NULL;
    int rc = arb_settings_galera(document, s, why);
    return rc != 0 ? rc : arb_settings_mongodb(document, s, why);
}

/* Parsed and checked; NULL and *ret_error else. */
static json_t *load(struct slice text, struct arb_settings *ret, struct arb_settings_why *why,
                    int *ret_error)
{
    json_error_t error;
    struct arb_settings s;
    memset(&s, 0, sizeof(s));
    if (text.len > MSG_CONFIG_MAX) {
        (void)snprintf(why->text, sizeof(why->text), "%zu bytes; allowed: at most %u", text.len,
                       MSG_CONFIG_MAX);
        *ret_error = BASE_E_TOOBIG;
        return NULL;
    }
    json_t *document =
        json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    *ret_error = BASE_E_INVALID;
    if (!json_is_object(document)) {
        (void)snprintf(why->text, sizeof(why->text),
                       "not a JSON object: line %d, column %d: %.160s", error.line, error.column,
                       document == NULL ? error.text : "another value");
        json_decref(document);
        return NULL;
    }
    int rc = check_sections(document, why);
    rc = rc != 0 ? rc : read_fields(document, &s, why);
    rc = rc != 0 ? rc : check_together(document, &s, why);
    *ret_error = rc;
    if (rc != 0) {
        json_decref(document);
        return NULL;
    }
    if (ret != NULL) {
        *ret = s;
    }
    return document;
}

int arb_settings_read(struct slice text, struct arb_settings *ret, struct arb_settings_why *why)
{
    int rc = 0;
    json_t *document = load(text, ret, why, &rc);
    json_decref(document);
    return rc;
}

/* --- writing --- */

static void put_field(json_t *to, const struct field *f, json_t *document, bool has_defaults)
{
    json_t *value = find(document, f->shown.path);
    const char *dot = strchr(f->shown.path, '.');
    char section[32] = "";
    const struct engine_section *own = section_of(document);
    const char *standard = f->shown.standard;
    if (own != NULL && own->standard(f->shown.path) != NULL) {
        standard = own->standard(f->shown.path);
    }
    if (own != NULL && (arb_settings_is_postgresql(f->shown.path) ||
                        (own->engine == MSG_ENGINE_MONGODB &&
                         strncmp(f->shown.path, "fence.", strlen("fence.")) == 0))) {
        return;
    }
    if (value == NULL && has_defaults && standard[0] != '\0') {
        value = json_loads(standard, JSON_DECODE_ANY, NULL);
    } else {
        value = json_incref(value);
    }
    if (value == NULL) {
        return;
    }
    if (dot == NULL) {
        (void)json_object_set_new(to, f->shown.path, value);
        return;
    }
    (void)snprintf(section, sizeof(section), "%.*s", (int)(dot - f->shown.path), f->shown.path);
    bool is_optional = strcmp(section, "standby_cluster") == 0 ||
                       strcmp(section, ARB_GALERA_SECTION) == 0 ||
                       strcmp(section, ARB_MONGODB_SECTION) == 0;
    if (json_object_get(to, section) == NULL &&
        (!is_optional || json_object_get(document, section) != NULL)) {
        (void)json_object_set_new(to, section, json_object());
    }
    if (json_object_get(to, section) != NULL) {
        (void)json_object_set_new(json_object_get(to, section), dot + 1, value);
    } else {
        json_decref(value);
    }
}

int arb_settings_write(struct slice text, bool has_defaults, struct buf *out,
                       struct arb_settings_why *why)
{
    int rc = 0;
    json_t *document = load(text, NULL, why, &rc);
    json_t *to = document == NULL ? NULL : json_object();
    const struct engine_section *own = document == NULL ? NULL : section_of(document);
    if (to != NULL && own != NULL) { /* it says the engine */
        (void)json_object_set_new(to, own->section, json_object());
    }
    for (size_t i = 0; i < BASE_COUNT_OF(fields) && to != NULL; i++) {
        put_field(to, &fields[i], document, has_defaults);
    }
    json_t *pg = document == NULL ? NULL : json_object_get(document, PG_SECTION);
    if (to != NULL && pg != NULL) {
        (void)json_object_set(to, PG_SECTION, pg);
    }
    char *written = to == NULL ? NULL : json_dumps(to, JSON_COMPACT);
    if (rc == 0 && written == NULL) {
        rc = BASE_E_NOMEM;
    } else if (rc == 0) {
        buf_put_text(out, written);
        rc = out->is_full ? BASE_E_NOSPACE : 0;
    }
    free(written);
    json_decref(to);
    json_decref(document);
    return rc;
}

/* --- from a record --- */

static int64_t number_of(const struct field *f, const struct msg_record *record)
{
    const uint8_t *from = (const uint8_t *)record + f->offset;
    uint8_t u8 = 0;
    uint32_t u32 = 0;
    uint64_t u64 = 0;
    if (f->size == sizeof(u8)) { /* also bool */
        memcpy(&u8, from, sizeof(u8));
        return u8;
    }
    if (f->size == sizeof(u32)) {
        memcpy(&u32, from, sizeof(u32));
        return u32;
    }
    memcpy(&u64, from, sizeof(u64));
    return (int64_t)u64;
}

static json_t *value_of(const struct field *f, int64_t number)
{
    char text[32];
    switch (f->kind) {
    case KIND_DURATION:
        (void)snprintf(text, sizeof(text), "%" PRId64 "ms", number);
        return json_string(text);
    case KIND_WORD:
        return number >= f->min && number - f->min < WORDS_MAX
                   ? json_string(f->words[number - f->min])
                   : NULL;
    case KIND_NUMBER:
        return json_integer(number);
    case KIND_BOOL:
        return json_boolean(number != 0);
    case KIND_OWN:
    case KIND_TEXT:
        break;
    }
    return NULL;
}

int arb_settings_of(const struct msg_record *record, struct buf *out)
{
    json_t *document = json_object();
    const struct engine_section *own = section_for(record->engine);
    if (document != NULL && own != NULL) {
        (void)json_object_set_new(document, own->section, own->of(record));
    }
    for (size_t i = 0; i < BASE_COUNT_OF(fields) && document != NULL; i++) {
        const struct field *f = &fields[i];
        bool is_kept = f->size != 0 && f->offset < sizeof(*record) && f->kind != KIND_TEXT;
        bool is_flat = strchr(f->shown.path, '.') == NULL; /* no seed has a fence */
        bool is_theirs = own == NULL || !arb_settings_is_postgresql(f->shown.path);
        if (is_kept && is_flat && is_theirs && number_of(f, record) != f->standard) {
            (void)json_object_set_new(document, f->shown.path, value_of(f, number_of(f, record)));
        }
    }
    char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if (text == NULL) {
        return BASE_E_NOMEM;
    }
    buf_put_text(out, text);
    free(text);
    return out->is_full ? BASE_E_NOSPACE : 0;
}
