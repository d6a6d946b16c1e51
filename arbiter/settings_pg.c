/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the section "postgresql"; see settings_pg.h. Each key has one reader, named in one table:
 * what it takes and what it says of a wrong value stand together. */
#include "arbiter/settings_pg.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arbiter/pg_parameters.h"
#include "arbiter/settings_section.h"

#define SECTION "postgresql"
#define SLOT_NAME_MAX 63
#define OWN_SLOTS "quorate_" /* names of members' slots begin so */

struct reading {
    struct arb_settings_pg *to;
    struct arb_settings_why *why;
};

static int wrong(const struct reading *r, const char *path, const json_t *found,
                 const char *allowed)
{
    char whole[160 + sizeof(SECTION)];
    (void)snprintf(whole, sizeof(whole), SECTION ".%s", path);
    return arb_settings_wrong(r->why, whole, found, allowed);
}

/* A copy that lives as long as the result; NULL: no room. */
static const char *keep_text(struct arb_settings_pg *to, const char *text)
{
    size_t len = strlen(text) + 1;
    if (len > sizeof(to->text) - to->text_len) {
        return NULL;
    }
    char *at = to->text + to->text_len;
    memcpy(at, text, len);
    to->text_len += len;
    return at;
}

/* A value that can stand in one line of a configuration file. */
static bool is_line(const json_t *value)
{
    return json_is_string(value) && strpbrk(json_string_value(value), "\r\n") == NULL &&
           json_string_length(value) <= ARB_PG_VALUE_MAX &&
           strlen(json_string_value(value)) == json_string_length(value);
}

/* --- parameters --- */

static bool value_text(const json_t *value, char *memory, size_t cap)
{
    if (is_line(value)) {
        (void)snprintf(memory, cap, "%s", json_string_value(value));
    } else if (json_is_integer(value)) {
        (void)snprintf(memory, cap, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    } else if (json_is_real(value)) {
        (void)snprintf(memory, cap, "%.15g", json_real_value(value));
    } else if (json_is_boolean(value)) {
        (void)snprintf(memory, cap, "%s", json_is_true(value) ? "on" : "off");
    } else {
        return false;
    }
    return true;
}

static bool is_word_of(const char *words, const char *text)
{
    size_t len = strlen(text);
    for (const char *at = words; at != NULL; at = strchr(at, '|')) {
        at += *at == '|' ? 1 : 0;
        if (len > 0 && strncmp(at, text, len) == 0 && (at[len] == '|' || at[len] == '\0')) {
            return true;
        }
    }
    return false;
}

static bool is_number_between(const char *text, int64_t min, int64_t max)
{
    uint64_t number = 0;
    return slice_to_u64(slice_from_text(text), &number) == 0 && number <= INT64_MAX &&
           (int64_t)number >= min && (int64_t)number <= max;
}

/* What we have a word to say about. */
static int parameter_check(const struct reading *r, const char *path, const json_t *found,
                           const struct arb_pg_parameter *known, const char *value)
{
    char allowed[96];
    if (known == NULL) {
        return 0;
    }
    if (known->kind == ARB_PG_OURS) {
        (void)snprintf(r->why->text, sizeof(r->why->text), SECTION ".%.120s: not allowed here: %s",
                       path, known->why);
        return BASE_E_INVALID;
    }
    if (known->words != NULL && !is_word_of(known->words, value)) {
        return wrong(r, path, found, known->words);
    }
    if (known->max > 0 && !is_number_between(value, known->min, known->max)) {
        (void)snprintf(allowed, sizeof(allowed), "a number from %" PRId64 " to %" PRId64,
                       known->min, known->max);
        return wrong(r, path, found, allowed);
    }
    return 0;
}

static bool is_same_name(const char *a, const char *b)
{
    for (; *a != '\0' || *b != '\0'; a++, b++) {
        bool is_alike = *a == *b || ((*a | 0x20) == (*b | 0x20) && (*a | 0x20) >= 'a');
        if (!is_alike) {
            return false;
        }
    }
    return true;
}

static int read_parameter(const struct reading *r, const char *name, const json_t *found)
{
    struct arb_settings_pg *to = r->to;
    char path[160];
    char value[ARB_PG_VALUE_MAX + 1];
    (void)snprintf(path, sizeof(path), "parameters.%.120s", name);
    if (!arb_pg_is_name(slice_from_text(name))) {
        return wrong(r, path, found, "a parameter's name: letters, digits, _ and .");
    }
    if (strncmp(name, "quorate.", 8) == 0) {
        return wrong(r, path, found, "not this: names that begin with quorate. are ours");
    }
    if (!value_text(found, value, sizeof(value))) {
        return wrong(r, path, found, "a text of one line, a number, true or false");
    }
    int status =
        parameter_check(r, path, found, arb_pg_parameter_find(slice_from_text(name)), value);
    for (uint32_t i = 0; status == 0 && i < to->parameters_count; i++) {
        if (is_same_name(to->parameters[i].name, name)) {
            status = wrong(r, path, found, "a parameter once");
        }
    }
    if (status != 0) {
        return status;
    }
    const char *kept_name = keep_text(to, name);
    const char *kept_value = keep_text(to, value);
    if (kept_value == NULL || kept_name == NULL || to->parameters_count == ARB_PG_PARAMETERS_MAX) {
        return wrong(r, path, found, "fewer or shorter parameters");
    }
    to->parameters[to->parameters_count].name = kept_name;
    to->parameters[to->parameters_count++].value = kept_value;
    return 0;
}

static int read_parameters(const struct reading *r, const char *key, json_t *found)
{
    const char *name = NULL;
    json_t *value = NULL;
    if (!json_is_object(found)) {
        return wrong(r, key, found, "an object {\"NAME\": VALUE}");
    }
    json_object_foreach(found, name, value)
    {
        int status = read_parameter(r, name, value);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

/* --- pg_hba, pg_ident --- */

static int read_lines(const struct reading *r, const char *key, const json_t *found,
                      struct arb_pg_lines *ret, const char *(*fault_of)(const char *line))
{
    size_t i = 0;
    json_t *line = NULL;
    char path[64];
    ret->is_given = true;
    ret->is_kept = json_is_string(found) && strcmp(json_string_value(found), "keep") == 0;
    if (ret->is_kept) {
        return 0;
    }
    if (!json_is_array(found)) {
        return wrong(r, key, found, "a list of lines, or \"keep\"");
    }
    json_array_foreach(found, i, line)
    {
        (void)snprintf(path, sizeof(path), "%s[%zu]", key, i);
        if (!is_line(line)) {
            return wrong(r, path, line, "a text of one line");
        }
        const char *fault = fault_of(json_string_value(line));
        if (fault != NULL) {
            return wrong(r, path, line, fault);
        }
        const char *kept = keep_text(r->to, json_string_value(line));
        if (kept == NULL || ret->count == ARB_PG_LINES_MAX) {
            return wrong(r, path, line, "fewer lines");
        }
        ret->lines[ret->count++] = kept;
    }
    return 0;
}

static int read_hba(const struct reading *r, const char *key, json_t *found)
{
    return read_lines(r, key, found, &r->to->hba, arb_pg_hba_fault);
}

static int read_ident(const struct reading *r, const char *key, json_t *found)
{
    return read_lines(r, key, found, &r->to->ident, arb_pg_ident_fault);
}

/* --- slots --- */

/* The server's rule for names, and for what we put into a statement. */
static bool is_slot_word(const char *text)
{
    size_t len = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789_");
    return len > 0 && len <= SLOT_NAME_MAX && text[len] == '\0';
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text == NULL ? "" : text;
}

static bool has_only(const json_t *object, const char *const *keys)
{
    size_t known = 0;
    for (; *keys != NULL; keys++) {
        const json_t *value = json_object_get(object, *keys);
        known += json_is_string(value) ? 1 : 0;
    }
    return json_is_object(object) && known == json_object_size(object);
}

static int read_slot(const struct reading *r, const char *name, const json_t *found)
{
    static const char *const keys[] = {"type", "database", "plugin", NULL};
    struct arb_settings_pg *to = r->to;
    struct arb_pg_slot slot;
    char path[96];
    const char *type = text_of(found, "type");
    (void)snprintf(path, sizeof(path), "slots.%.80s", name);
    if (!is_slot_word(name) || strncmp(name, OWN_SLOTS, sizeof(OWN_SLOTS) - 1) == 0) {
        return wrong(r, path, found, "a name of a-z 0-9 _ that does not begin with " OWN_SLOTS);
    }
    slot.is_logical = strcmp(type, "logical") == 0;
    bool is_physical = strcmp(type, "physical") == 0;
    bool is_good = has_only(found, keys) &&
                   (is_physical ? json_object_size(found) == 1
                                : slot.is_logical && is_slot_word(text_of(found, "plugin")) &&
                                      is_line(json_object_get(found, "database")) &&
                                      text_of(found, "database")[0] != '\0');
    if (!is_good) {
        return wrong(r, path, found,
                     "{\"type\": \"physical\"} or {\"type\": \"logical\", \"database\": D, "
                     "\"plugin\": P}");
    }
    slot.name = keep_text(to, name);
    slot.database = keep_text(to, text_of(found, "database"));
    slot.plugin = keep_text(to, text_of(found, "plugin"));
    if (slot.name == NULL || slot.database == NULL || slot.plugin == NULL ||
        to->slots_count == ARB_PG_SLOTS_MAX) {
        return wrong(r, path, found, "fewer slots");
    }
    to->slots[to->slots_count++] = slot;
    return 0;
}

static int read_slots(const struct reading *r, const char *key, json_t *found)
{
    const char *name = NULL;
    json_t *value = NULL;
    if (!json_is_object(found)) {
        return wrong(r, key, found, "an object {\"NAME\": {\"type\": ...}}");
    }
    json_object_foreach(found, name, value)
    {
        int status = read_slot(r, name, value);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

static int read_slots_ttl(const struct reading *r, const char *key, json_t *found)
{
    int64_t ms = 0;
    if (!json_is_string(found) || !arb_settings_duration(json_string_value(found), &ms) ||
        ms < 60000 || ms > INT64_C(30) * 86400000) {
        return wrong(r, key, found, "1m to 30d");
    }
    r->to->member_slots_ttl_ms = ms;
    return 0;
}

static int read_keep_size(const struct reading *r, const char *key, json_t *found)
{
    static const char *const units[] = {"MB", "GB", "TB"};
    const char *text = json_string_value(found);
    bool is_good = text != NULL && strcmp(text, "-1") == 0;
    size_t digits = text == NULL ? 0 : strspn(text, "0123456789");
    for (size_t i = 0; i < BASE_COUNT_OF(units); i++) {
        is_good = is_good || (digits > 0 && digits < 8 && text[0] != '0' &&
                              strcmp(text + digits, units[i]) == 0);
    }
    if (!is_good) {
        return wrong(r, key, found, "a size as \"512MB\" or \"4GB\", or \"-1\" for no limit");
    }
    r->to->max_slot_wal_keep_size = keep_text(r->to, text);
    return r->to->max_slot_wal_keep_size == NULL ? wrong(r, key, found, "a shorter document") : 0;
}

static int read_use_slots(const struct reading *r, const char *key, json_t *found)
{
    if (!json_is_boolean(found)) {
        return wrong(r, key, found, "true or false");
    }
    r->to->use_slots = json_is_true(found);
    return 0;
}

/* --- the section --- */

static int read_section(const struct reading *r, json_t *section)
{
    static const struct {
        const char *key;
        int (*read)(const struct reading *r, const char *key, json_t *found);
    } readers[] = {
        {"parameters", read_parameters},
        {"pg_hba", read_hba},
        {"pg_ident", read_ident},
        {"slots", read_slots},
        {"member_slots_ttl", read_slots_ttl},
        {"max_slot_wal_keep_size", read_keep_size},
        {"use_slots", read_use_slots},
    };
    const char *key = NULL;
    json_t *value = NULL;
    if (!json_is_object(section)) {
        return wrong(r, "*", section, "an object");
    }
    json_object_foreach(section, key, value)
    {
        size_t i = 0;
        while (i < BASE_COUNT_OF(readers) && strcmp(readers[i].key, key) != 0) {
            i++;
        }
        int status = i == BASE_COUNT_OF(readers)
                         ? wrong(r, key, value,
                                 "no such key; there are parameters, pg_hba, pg_ident, slots, "
                                 "member_slots_ttl, max_slot_wal_keep_size, use_slots")
                         : readers[i].read(r, readers[i].key, value);
        if (status != 0) {
            return status;
        }
    }
    return 0;
}

void arb_settings_pg_defaults(struct arb_settings_pg *ret)
{
    memset(ret, 0, sizeof(*ret));
    ret->member_slots_ttl_ms = ARB_PG_MEMBER_SLOTS_TTL_DEFAULT_MS;
    ret->use_slots = true;
    ret->max_slot_wal_keep_size = "";
    ret->standby_host = "";
    ret->standby_slot = "";
    ret->standby_restore = "";
}

int arb_settings_postgresql(json_t *section, struct arb_settings_why *why)
{
    struct arb_settings_pg *scratch = malloc(sizeof(*scratch));
    if (scratch == NULL) {
        return BASE_E_NOMEM;
    }
    const struct reading r = {.to = scratch, .why = why};
    arb_settings_pg_defaults(scratch);
    int status = read_section(&r, section);
    free(scratch);
    return status;
}

/* Its shape has been checked with the rest of the document. */
static int read_standby(struct arb_settings_pg *to, const json_t *section)
{
    json_int_t port = json_integer_value(json_object_get(section, "port"));
    to->standby_host = keep_text(to, text_of(section, "host"));
    to->standby_slot = keep_text(to, text_of(section, "primary_slot_name"));
    to->standby_restore = keep_text(to, text_of(section, "restore_command"));
    to->standby_port = (uint16_t)(port > 0 && port <= UINT16_MAX ? port : 5432);
    bool is_whole =
        to->standby_host != NULL && to->standby_slot != NULL && to->standby_restore != NULL;
    return is_whole ? 0 : BASE_E_TOOBIG;
}

int arb_settings_pg_read(struct slice text, struct arb_settings_pg *ret,
                         struct arb_settings_why *why)
{
    json_error_t error;
    const struct reading r = {.to = ret, .why = why};
    arb_settings_pg_defaults(ret);
    json_t *root = json_loadb((const char *)text.data, text.len, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL) {
        (void)snprintf(why->text, sizeof(why->text), "line %d: %.200s", error.line, error.text);
        return BASE_E_INVALID;
    }
    json_t *section = json_object_get(root, SECTION);
    int status = section == NULL ? 0 : read_section(&r, section);
    if (status == 0) {
        status = read_standby(ret, json_object_get(root, "standby_cluster"));
    }
    json_decref(root);
    return status;
}
