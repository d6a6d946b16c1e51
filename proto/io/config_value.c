/* SPDX-License-Identifier: Apache-2.0 */
/* Values of a configuration: parsing and checking by type, in words that say what is allowed. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/name.h"
#include "proto/io/config_internal.h"
#include "proto/io/table.h"

struct unit {
    const char *name;
    int64_t factor;
};

static const struct unit duration_units[] = {
    {"us", 1}, {"ms", 1000}, {"s", 1000000}, {"m", 60000000}, {"h", INT64_C(3600000000)}};
static const struct unit size_units[] = {{"GiB", INT64_C(1) << 30},
                                         {"MiB", INT64_C(1) << 20},
                                         {"KiB", INT64_C(1) << 10},
                                         {"kiB", INT64_C(1) << 10},
                                         {"GB", 1000000000},
                                         {"MB", 1000000},
                                         {"kB", 1000},
                                         {"B", 1}};

/* Digits in front of *text, and moves it behind them. */
static bool take_digits(struct slice *text, int64_t *ret)
{
    size_t len = 0;
    uint64_t value = 0;
    while (len < text->len && text->data[len] >= '0' && text->data[len] <= '9') {
        len++;
    }
    if (slice_to_u64(slice_from(text->data, len), &value) != 0 || value > INT64_MAX / 2) {
        return false;
    }
    *text = slice_skip(*text, len);
    *ret = (int64_t)value;
    return true;
}

static const struct unit *take_unit(struct slice *text, const struct unit *units, size_t count)
{
    size_t len = 0;
    while (len < text->len && (text->data[len] < '0' || text->data[len] > '9')) {
        len++;
    }
    for (size_t i = 0; i < count; i++) {
        if (slice_equal(slice_from(text->data, len), slice_from_text(units[i].name))) {
            *text = slice_skip(*text, len);
            return &units[i];
        }
    }
    return NULL;
}

int io_parse_duration(struct slice text, int64_t *ret_us)
{
    int64_t sum = 0;
    if (slice_equal(text, SLICE_LIT("0"))) {
        *ret_us = 0;
        return 0;
    }
    if (text.len == 0) {
        return BASE_E_INVALID;
    }
    while (text.len > 0) {
        int64_t number = 0;
        const struct unit *unit = NULL;
        if (!take_digits(&text, &number)) {
            return BASE_E_INVALID;
        }
        unit = take_unit(&text, duration_units, BASE_COUNT_OF(duration_units));
        if (unit == NULL || number > (INT64_MAX - sum) / unit->factor) {
            return BASE_E_INVALID;
        }
        sum += number * unit->factor;
    }
    *ret_us = sum;
    return 0;
}

int io_parse_size(struct slice text, int64_t *ret_bytes)
{
    int64_t number = 0;
    if (!take_digits(&text, &number)) {
        return BASE_E_INVALID;
    }
    if (text.len > 0) {
        const struct unit *unit = take_unit(&text, size_units, BASE_COUNT_OF(size_units));
        if (unit == NULL || text.len > 0 || number > INT64_MAX / unit->factor) {
            return BASE_E_INVALID;
        }
        number *= unit->factor;
    }
    *ret_bytes = number;
    return 0;
}

const char *io_duration_text(int64_t us, char *memory, size_t cap)
{
    if (us >= 3600 * BASE_US_PER_S && us % (3600 * BASE_US_PER_S) == 0) {
        (void)snprintf(memory, cap, "%" PRId64 "h", us / (3600 * BASE_US_PER_S));
    } else if (us >= BASE_US_PER_S && us % BASE_US_PER_S == 0) {
        (void)snprintf(memory, cap, "%" PRId64 "s", us / BASE_US_PER_S);
    } else if (us % BASE_US_PER_MS == 0) {
        (void)snprintf(memory, cap, "%" PRId64 "ms", us / BASE_US_PER_MS);
    } else {
        (void)snprintf(memory, cap, "%" PRId64 "us", us);
    }
    return memory;
}

const char *io_size_text(int64_t bytes, char *memory, size_t cap)
{
    for (size_t i = 0; i < 3; i++) {
        if (bytes >= size_units[i].factor && bytes % size_units[i].factor == 0) {
            (void)snprintf(memory, cap, "%" PRId64 "%s", bytes / size_units[i].factor,
                           size_units[i].name);
            return memory;
        }
    }
    (void)snprintf(memory, cap, "%" PRId64, bytes);
    return memory;
}

size_t config_find(const struct io_config_spec *spec, const char *name)
{
    for (size_t i = 0; i < spec->keys_count; i++) {
        if (strcmp(spec->keys[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

void config_unknown(const struct io_config_spec *spec, const char *what, const char *name,
                    const char *origin, struct io_why *why)
{
    const char *names[CONFIG_ITEMS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < spec->keys_count && count < CONFIG_ITEMS_MAX; i++) {
        names[count++] = spec->keys[i].name;
    }
    const char *nearest = io_nearest(name, names, count);
    if (nearest == NULL) {
        io_why_set(why, "%s: unknown %s '%s'; --sample-config prints all", origin, what, name);
    } else {
        io_why_set(why, "%s: unknown %s '%s'; did you mean '%s'?", origin, what, name, nearest);
    }
}

void config_items_free(struct config_items *items)
{
    for (size_t i = 0; i < items->count; i++) {
        free(items->list[i]);
    }
    items->count = 0;
}

int config_items_split(const char *text, struct config_items *ret)
{
    ret->count = 0;
    while (*text != '\0') {
        size_t len = strcspn(text, ",");
        if (ret->count == CONFIG_ITEMS_MAX) {
            config_items_free(ret);
            return BASE_E_TOOBIG;
        }
        if (len > 0) {
            ret->list[ret->count] = strndup(text, len);
            if (ret->list[ret->count++] == NULL) {
                return BASE_E_NOMEM;
            }
        }
        text += len + (text[len] == ',' ? 1 : 0);
    }
    return 0;
}

static bool is_choice(const char *choices, const char *text)
{
    size_t len = strlen(text);
    while (*choices != '\0') {
        size_t n = strcspn(choices, "|");
        if (n == len && strncmp(choices, text, n) == 0) {
            return true;
        }
        choices += n + (choices[n] == '|' ? 1 : 0);
    }
    return false;
}

static bool parse_bool(const char *text, int64_t *ret)
{
    static const char *const words[] = {"no", "yes", "false", "true", "off", "on"};
    for (size_t i = 0; i < BASE_COUNT_OF(words); i++) {
        if (strcasecmp(text, words[i]) == 0) {
            *ret = (int64_t)(i % 2);
            return true;
        }
    }
    return false;
}

/* Number of an INT, DURATION, SIZE or BOOL; what the words for "it is none" are goes into
 * *ret_kind. */
static bool parse_number(const struct io_config_key *key, const char *text, int64_t *ret,
                         const char **ret_kind)
{
    char *end = NULL;
    switch ((int)key->type) {
    case IO_CONFIG_DURATION:
        *ret_kind = "a duration like 250ms, 2s or 1h30m";
        return io_parse_duration(slice_from_text(text), ret) == 0;
    case IO_CONFIG_SIZE:
        *ret_kind = "a size like 64kB or 512MiB";
        return io_parse_size(slice_from_text(text), ret) == 0;
    case IO_CONFIG_BOOL:
        *ret_kind = "yes or no";
        return parse_bool(text, ret);
    default:
        *ret_kind = "a whole number";
        errno = 0;
        *ret = strtoll(text, &end, 10);
        return errno == 0 && end != text && *end == '\0';
    }
}

static const char *limit_text(const struct io_config_key *key, int64_t value, char *memory,
                              size_t cap)
{
    switch ((int)key->type) {
    case IO_CONFIG_DURATION:
        return io_duration_text(value, memory, cap);
    case IO_CONFIG_SIZE:
        return io_size_text(value, memory, cap);
    default:
        (void)snprintf(memory, cap, "%" PRId64, value);
        return memory;
    }
}

static int check_number(const struct io_config_key *key, const char *text, const char *origin,
                        int64_t *ret, struct io_why *why)
{
    const char *kind = "";
    char low[48];
    char high[48];
    int64_t number = 0;
    if (!parse_number(key, text, &number, &kind)) {
        io_why_set(why, "%s: key '%s': value '%s' is not %s", origin, key->name, text, kind);
        return BASE_E_INVALID;
    }
    bool is_open = key->min == 0 && key->max == 0;
    if (key->type != IO_CONFIG_BOOL && (number < key->min || (!is_open && number > key->max))) {
        io_why_set(why, "%s: key '%s': value '%s' is out of range; allowed: %s%s%s", origin,
                   key->name, text, limit_text(key, key->min, low, sizeof(low)),
                   is_open ? " or more" : " to ",
                   is_open ? "" : limit_text(key, key->max, high, sizeof(high)));
        return BASE_E_INVALID;
    }
    *ret = number;
    return 0;
}

static int check_text(const struct io_config_key *key, const char *text, const char *origin,
                      struct io_why *why)
{
    struct base_name name;
    if (key->type == IO_CONFIG_NAME && text[0] != '\0' && base_name_from_text(text, &name) != 0) {
        io_why_set(why,
                   "%s: key '%s': value '%s' is not a name; allowed: 1 to 63 of a-z 0-9 - _, a "
                   "letter or digit first",
                   origin, key->name, text);
        return BASE_E_INVALID;
    }
    if (key->choices != NULL && !is_choice(key->choices, text)) {
        io_why_set(why, "%s: key '%s': value '%s'; allowed: %s", origin, key->name, text,
                   key->choices);
        return BASE_E_INVALID;
    }
    return 0;
}

static bool is_listed(enum io_config_type type)
{
    return type == IO_CONFIG_LIST || type == IO_CONFIG_MAP;
}

static void value_clear(struct config_value *value)
{
    for (size_t i = 0; i < value->items_count; i++) {
        free(value->items[i]);
    }
    free(value->items);
    free(value->text);
    free(value->origin);
    *value = (struct config_value){0};
}

void config_values_free(struct io_config *config)
{
    for (size_t i = 0; config->values != NULL && i < config->spec->keys_count; i++) {
        value_clear(&config->values[i]);
    }
    free(config->values);
}

/* Takes the place of the value before; false without memory. */
static bool value_take(struct config_value *value, enum config_source source, const char *text,
                       const char *origin, int64_t number)
{
    value_clear(value);
    value->source = source;
    value->text = strdup(text);
    value->origin = strdup(origin);
    value->number = number;
    return value->text != NULL && value->origin != NULL;
}

int config_set_text(struct io_config *config, size_t key, enum config_source source,
                    const char *text, const char *origin, struct io_why *why)
{
    const struct io_config_key *row = &config->spec->keys[key];
    struct config_value *value = &config->values[key];
    int64_t number = 0;
    int rc = 0;
    if (is_listed(row->type)) {
        struct config_items items = {0};
        rc = config_items_split(text, &items);
        rc = rc != 0 ? rc : config_set_items(config, key, source, &items, origin, why);
        config_items_free(&items);
        return rc;
    }
    if (row->type == IO_CONFIG_TEXT || row->type == IO_CONFIG_NAME) {
        rc = check_text(row, text, origin, why);
    } else {
        rc = check_number(row, text, origin, &number, why);
    }
    if (rc != 0 || source < value->source) {
        return rc;
    }
    return value_take(value, source, text, origin, number) ? 0 : BASE_E_NOMEM;
}

int config_set_items(struct io_config *config, size_t key, enum config_source source,
                     const struct config_items *items, const char *origin, struct io_why *why)
{
    const struct io_config_key *row = &config->spec->keys[key];
    struct config_value *value = &config->values[key];
    for (size_t i = 0; i < items->count && row->type == IO_CONFIG_MAP; i++) {
        if (strchr(items->list[i], '=') == NULL) {
            io_why_set(why, "%s: key '%s': '%s' is not name=value", origin, row->name,
                       items->list[i]);
            return BASE_E_INVALID;
        }
    }
    if (source < value->source) {
        return 0;
    }
    char **copies = calloc(items->count + 1, sizeof(*copies));
    if (copies == NULL || !value_take(value, source, "", origin, 0)) {
        free(copies);
        return BASE_E_NOMEM;
    }
    value->items = copies;
    for (size_t i = 0; i < items->count; i++) {
        copies[i] = strdup(items->list[i]);
        value->items_count += copies[i] != NULL;
    }
    return value->items_count == items->count ? 0 : BASE_E_NOMEM;
}
