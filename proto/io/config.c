/* SPDX-License-Identifier: Apache-2.0 */
/* Configuration of a daemon from flags, environment and file; see config.h. */
#include "proto/io/config.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/name.h"
#include "proto/io/config_internal.h"
#include "proto/io/daemon.h"
#include "proto/io/table.h"

#define NAME_BYTES 256

/* --- flags --- */

struct flag {
    char name[NAME_BYTES]; /* without dashes */
    const char *value;     /* NULL: none given with '=' */
};

static const char *const plain_flags[] = {"help", "version", "check-config", "print-config",
                                          "sample-config"};

static bool is_plain_flag(const char *name)
{
    for (size_t i = 0; i < BASE_COUNT_OF(plain_flags); i++) {
        if (strcmp(plain_flags[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static bool parse_flag(const char *argument, struct flag *ret)
{
    if (strncmp(argument, "--", 2) != 0) {
        return false;
    }
    size_t len = strcspn(argument + 2, "=");
    if (len == 0 || len >= sizeof(ret->name)) {
        return false;
    }
    memcpy(ret->name, argument + 2, len);
    ret->name[len] = '\0';
    ret->value = argument[2 + len] == '=' ? argument + 3 + len : NULL;
    return true;
}

static const struct io_config_alias *find_alias(const struct io_config_spec *spec, const char *flag)
{
    for (size_t i = 0; i < spec->aliases_count; i++) {
        if (strcmp(spec->aliases[i].flag, flag) == 0) {
            return &spec->aliases[i];
        }
    }
    return NULL;
}

static const char *absent_reason(const struct io_config_spec *spec, const char *flag)
{
    for (size_t i = 0; i < spec->absent_count; i++) {
        if (strcmp(spec->absent[i].flag, flag) == 0) {
            return spec->absent[i].why;
        }
    }
    return NULL;
}

/* The nearest of keys, other names and the plain flags. */
static void unknown_flag(const struct io_config_spec *spec, const char *name, struct io_why *why)
{
    const char *names[CONFIG_ITEMS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(plain_flags); i++) {
        names[count++] = plain_flags[i];
    }
    for (size_t i = 0; i < spec->keys_count && count < CONFIG_ITEMS_MAX; i++) {
        names[count++] = spec->keys[i].name;
    }
    for (size_t i = 0; i < spec->aliases_count && count < CONFIG_ITEMS_MAX; i++) {
        names[count++] = spec->aliases[i].flag;
    }
    const char *nearest = io_nearest(name, names, count);
    if (nearest == NULL) {
        io_why_set(why, "unknown flag --%s; --help lists all", name);
    } else {
        io_why_set(why, "unknown flag --%s; did you mean --%s?", name, nearest);
    }
}

/* Two names of one key with two values from the same source: nobody could tell which one counts. */
static bool is_contradiction(const struct io_config *config, size_t key, enum config_source source,
                             const char *text, const char *origin)
{
    const struct config_value *before = &config->values[key];
    enum io_config_type type = config->spec->keys[key].type;
    bool is_text = type == IO_CONFIG_TEXT || type == IO_CONFIG_NAME || type == IO_CONFIG_LIST ||
                   type == IO_CONFIG_MAP;
    return is_text && before->source == source && strcmp(before->origin, origin) != 0 &&
           strcmp(before->text, text) != 0;
}

/* Sets a key by a name that may be an alias; a bare number gets the alias's suffix. */
static int set_named(struct io_config *config, size_t key, const struct io_config_alias *alias,
                     enum config_source source, const char *value, const char *origin,
                     struct io_why *why)
{
    char text[4096];
    bool is_bare = alias != NULL && alias->suffix != NULL && value[0] != '\0' &&
                   strspn(value, "0123456789") == strlen(value);
    int len = snprintf(text, sizeof(text), "%s%s", value, is_bare ? alias->suffix : "");
    if (len < 0 || (size_t)len >= sizeof(text)) {
        io_why_set(why, "%s: value is too long", origin);
        return BASE_E_INVALID;
    }
    if (is_contradiction(config, key, source, text, origin)) {
        const struct config_value *before = &config->values[key];
        io_why_set(why, "%s: key '%s' has another value by %s; give one of them", origin,
                   config->spec->keys[key].name, before->origin);
        return BASE_E_INVALID;
    }
    return config_set_text(config, key, source, text, origin, why);
}

static int read_flag(struct io_config *config, const struct flag *flag, int *at, struct io_why *why)
{
    const struct io_config_spec *spec = config->spec;
    const struct io_config_alias *alias = find_alias(spec, flag->name);
    size_t key = config_find(spec, alias == NULL ? flag->name : alias->key);
    char origin[NAME_BYTES + 8];
    (void)snprintf(origin, sizeof(origin), "--%s", flag->name);
    if (key == SIZE_MAX) {
        const char *reason = absent_reason(spec, flag->name);
        if (reason != NULL) {
            io_why_set(why, "%s: not supported: %s", origin, reason);
        } else {
            unknown_flag(spec, flag->name, why);
        }
        return BASE_E_INVALID;
    }
    const char *value = flag->value;
    if (value == NULL && spec->keys[key].type == IO_CONFIG_BOOL) {
        value = "yes";
    } else if (value == NULL && *at + 1 < config->argc) {
        value = config->argv[++*at];
    } else if (value == NULL) {
        io_why_set(why, "%s: needs a value", origin);
        return BASE_E_INVALID;
    }
    return set_named(config, key, alias, CONFIG_FROM_FLAG, value, origin, why);
}

static int read_flags(struct io_config *config, const char **ret_file, struct io_why *why)
{
    int rc = 0;
    for (int i = 1; i < config->argc && rc == 0; i++) {
        struct flag flag;
        if (!parse_flag(config->argv[i], &flag)) {
            io_why_set(why, "'%s' is not a flag; see --help", config->argv[i]);
            return BASE_E_INVALID;
        }
        if (is_plain_flag(flag.name)) {
            continue;
        }
        if (strcmp(flag.name, "config") != 0) {
            rc = read_flag(config, &flag, &i, why);
            continue;
        }
        *ret_file = flag.value != NULL     ? flag.value
                    : i + 1 < config->argc ? config->argv[++i]
                                           : NULL;
        if (*ret_file == NULL) {
            io_why_set(why, "--config: needs a file");
            return BASE_E_INVALID;
        }
    }
    return rc;
}

/* --- environment --- */

static void env_name(const char *prefix, const char *name, char memory[static NAME_BYTES])
{
    (void)snprintf(memory, NAME_BYTES, "%s%s", prefix, name);
    for (char *c = memory; *c != '\0'; c++) {
        *c = *c == '.' || *c == '-' ? '_' : (char)toupper((unsigned char)*c);
    }
}

static int read_env(struct io_config *config, size_t key, const struct io_config_alias *alias,
                    const char *name, struct io_why *why)
{
    char origin[NAME_BYTES + 16];
    const char *value = getenv(name);
    if (value == NULL) {
        return 0;
    }
    (void)snprintf(origin, sizeof(origin), "environment %s", name);
    return set_named(config, key, alias, CONFIG_FROM_ENV, value, origin, why);
}

static int read_environment(struct io_config *config, struct io_why *why)
{
    const struct io_config_spec *spec = config->spec;
    char name[NAME_BYTES];
    int rc = 0;
    for (size_t i = 0; i < spec->aliases_count && rc == 0; i++) {
        size_t key = config_find(spec, spec->aliases[i].key);
        env_name("ETCD_", spec->aliases[i].flag, name);
        rc = key == SIZE_MAX ? 0 : read_env(config, key, &spec->aliases[i], name, why);
    }
    for (size_t i = 0; i < spec->absent_count && rc == 0; i++) {
        env_name("ETCD_", spec->absent[i].flag, name);
        if (getenv(name) != NULL) {
            io_why_set(why, "environment %s: not supported: %s", name, spec->absent[i].why);
            rc = BASE_E_INVALID;
        }
    }
    for (size_t i = 0; i < spec->keys_count && rc == 0; i++) {
        env_name("QUORATE_", spec->keys[i].name, name);
        rc = read_env(config, i, NULL, name, why);
    }
    return rc;
}

/* --- reading --- */

static int set_defaults(struct io_config *config, struct io_why *why)
{
    for (size_t i = 0; i < config->spec->keys_count; i++) {
        const struct io_config_key *key = &config->spec->keys[i];
        bool is_number = key->type == IO_CONFIG_INT || key->type == IO_CONFIG_DURATION ||
                         key->type == IO_CONFIG_SIZE || key->type == IO_CONFIG_BOOL;
        if (key->default_text == NULL) {
            config->values[i].text = strdup(is_number ? "0" : "");
            config->values[i].origin = strdup("default");
            continue;
        }
        int rc = config_set_text(config, i, CONFIG_DEFAULT, key->default_text, "default", why);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int check_required(const struct io_config *config, struct io_why *why)
{
    for (size_t i = 0; i < config->spec->keys_count; i++) {
        const struct io_config_key *key = &config->spec->keys[i];
        if ((key->flags & IO_CONFIG_REQUIRED) != 0 && config->values[i].source == CONFIG_DEFAULT) {
            bool has_file = config->file[0] != '\0';
            io_why_set(why, "%s%skey '%s' is not set: %s%s", config->file, has_file ? ": " : "",
                       key->name, key->help,
                       has_file ? "" : "; no file was read, give one with --config FILE");
            return BASE_E_INVALID;
        }
    }
    return 0;
}

static int read_sources(struct io_config *config, struct io_why *why)
{
    const char *file = NULL;
    int rc = set_defaults(config, why);
    rc = rc != 0 ? rc : read_flags(config, &file, why);
    rc = rc != 0 ? rc : read_environment(config, why);
    bool is_asked = file != NULL;
    if (file == NULL && config->spec->default_file != NULL &&
        access(config->spec->default_file, F_OK) == 0) {
        file = config->spec->default_file;
    }
    if (rc == 0 && file != NULL) {
        free(config->file);
        config->file = strdup(file);
        rc = config->file == NULL ? BASE_E_NOMEM : config_read_file(config, file, why);
        if (rc == BASE_E_NOTFOUND && !is_asked) {
            rc = 0;
        }
    }
    return rc != 0 ? rc : check_required(config, why);
}

static struct io_config *config_new(const struct io_config_spec *spec, int argc, char *const *argv)
{
    struct io_config *config = calloc(1, sizeof(*config));
    if (config == NULL) {
        return NULL;
    }
    config->spec = spec;
    config->values = calloc(spec->keys_count, sizeof(*config->values));
    config->argv = calloc((size_t)argc + 1, sizeof(*config->argv));
    config->file = strdup("");
    bool is_good = config->values != NULL && config->argv != NULL && config->file != NULL;
    for (int i = 0; is_good && i < argc; i++) {
        config->argv[i] = strdup(argv[i]);
        is_good = config->argv[i] != NULL;
        config->argc = i + 1;
    }
    return is_good ? config : io_config_free(config);
}

int io_config_read(const struct io_config_spec *spec, int argc, char *const *argv,
                   struct io_config **ret, struct io_why *why)
{
    struct io_config *config = config_new(spec, argc, argv);
    int rc = config == NULL ? BASE_E_NOMEM : read_sources(config, why);
    if (rc == BASE_E_NOMEM) {
        io_why_set(why, "out of memory");
    }
    if (rc != 0) {
        (void)io_config_free(config);
        return rc;
    }
    *ret = config;
    return 0;
}

int io_config_reload(const struct io_config *old, struct io_config **ret, struct io_why *why)
{
    return io_config_read(old->spec, old->argc, old->argv, ret, why);
}

struct io_config *io_config_free(struct io_config *config)
{
    if (config == NULL) {
        return NULL;
    }
    config_values_free(config);
    for (int i = 0; i < config->argc; i++) {
        free(config->argv[i]);
    }
    free(config->argv);
    free(config->file);
    free(config);
    return NULL;
}

bool io_config_differs(const struct io_config *a, const struct io_config *b, size_t key)
{
    const struct config_value *x = &a->values[key];
    const struct config_value *y = &b->values[key];
    if (strcmp(x->text, y->text) != 0 || x->items_count != y->items_count) {
        return true;
    }
    for (size_t i = 0; i < x->items_count; i++) {
        if (strcmp(x->items[i], y->items[i]) != 0) {
            return true;
        }
    }
    return false;
}

/* --- values --- */

const char *io_config_text(const struct io_config *config, size_t key)
{
    return config->values[key].text;
}

int64_t io_config_int(const struct io_config *config, size_t key)
{
    return config->values[key].number;
}

bool io_config_bool(const struct io_config *config, size_t key)
{
    return config->values[key].number != 0;
}

struct base_name io_config_name(const struct io_config *config, size_t key)
{
    struct base_name name = {{0}};
    if (base_name_from_text(config->values[key].text, &name) != 0) {
        return (struct base_name){{0}};
    }
    return name;
}

const char *const *io_config_list(const struct io_config *config, size_t key, size_t *ret_count)
{
    *ret_count = config->values[key].items_count;
    return (const char *const *)config->values[key].items;
}

const char *io_config_map_get(const struct io_config *config, size_t key, const char *name)
{
    const struct config_value *value = &config->values[key];
    size_t len = strlen(name);
    for (size_t i = 0; i < value->items_count; i++) {
        if (strncmp(value->items[i], name, len) == 0 && value->items[i][len] == '=') {
            return value->items[i] + len + 1;
        }
    }
    return NULL;
}

bool io_config_is_set(const struct io_config *config, size_t key)
{
    return config->values[key].source != CONFIG_DEFAULT;
}

const char *io_config_origin(const struct io_config *config, size_t key)
{
    return config->values[key].origin;
}

const char *io_config_file(const struct io_config *config)
{
    return config->file;
}

void io_config_why(const struct io_config *config, size_t key, struct io_why *why,
                   const char *format, ...)
{
    char text[IO_WHY_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    bool is_default = config->values[key].source == CONFIG_DEFAULT;
    const char *origin = is_default ? config->file : config->values[key].origin;
    io_why_set(why, "%s%skey '%s': %s", origin, origin[0] == '\0' ? "" : ": ",
               config->spec->keys[key].name, text);
}
