/* SPDX-License-Identifier: Apache-2.0 */
/* The keys of the life cycle: how a database is made, cloned, adopted, and where its files lie. */
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "agents/postgresql/engine.h"
#include "agents/postgresql/roles.h"

#define RATE_KB_MIN 32

static int fail(const struct io_config *config, size_t key, struct io_why *why, const char *what,
                const char *text)
{
    io_config_why(config, key, why, "'%s': %s", what, text);
    return BASE_E_INVALID;
}

/* "name=value" in two; false when one of them does not fit or is empty. */
static bool split(const char *item, char *name, size_t name_cap, char *value, size_t value_cap)
{
    const char *equals = strchr(item, '=');
    size_t len = equals == NULL ? 0 : (size_t)(equals - item);
    if (len == 0 || len >= name_cap || strlen(equals + 1) >= value_cap) {
        return false;
    }
    memcpy(name, item, len);
    name[len] = '\0';
    (void)snprintf(value, value_cap, "%s", equals + 1);
    return true;
}

static bool is_one_line(const char *text)
{
    return strpbrk(text, "\n\r") == NULL;
}

/* --- bootstrap --- */

static int read_initdb(const struct io_config *config, struct pg_bootstrap *b, struct io_why *why)
{
    static const char *const known[] = {"lc-collate",      "lc-ctype",   "lc-messages",
                                        "lc-monetary",     "lc-numeric", "lc-time",
                                        "locale-provider", "icu-locale", "text-search-config"};
    size_t count = 0;
    const char *const *list = io_config_list(config, PG_KEY_BOOT_INITDB, &count);
    for (size_t i = 0; i < count; i++) {
        char name[32];
        char value[128];
        bool is_known = false;
        if (!split(list[i], name, sizeof(name), value, sizeof(value)) || !is_one_line(value) ||
            b->initdb_count == PG_INITDB_MAX) {
            return fail(config, PG_KEY_BOOT_INITDB, why, list[i], "not an option with a value");
        }
        for (size_t k = 0; k < BASE_COUNT_OF(known); k++) {
            is_known = is_known || strcmp(known[k], name) == 0;
        }
        if (!is_known) {
            return fail(config, PG_KEY_BOOT_INITDB, why, name,
                        "allowed: lc-collate, lc-ctype, lc-messages, lc-monetary, lc-numeric, "
                        "lc-time, locale-provider, icu-locale, text-search-config");
        }
        (void)snprintf(b->initdb[b->initdb_count].text, sizeof(b->initdb[0].text), "--%s=%s", name,
                       value);
        b->initdb_count++;
    }
    return 0;
}

static bool are_role_options(const char *options)
{
    char copy[PG_LINE_MAX];
    char *rest = copy;
    (void)snprintf(copy, sizeof(copy), "%s", options);
    for (char *word = strsep(&rest, " ,"); word != NULL; word = strsep(&rest, " ,")) {
        if (word[0] != '\0' && !pg_roles_is_option(word)) {
            return false;
        }
    }
    return true;
}

static int read_users(const struct io_config *config, struct pg_bootstrap *b, struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, PG_KEY_BOOT_USERS, &count);
    for (size_t i = 0; i < count; i++) {
        char name[64];
        char options[PG_LINE_MAX];
        if (!split(list[i], name, sizeof(name), options, sizeof(options)) ||
            b->users_count == PG_USERS_MAX ||
            strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != strlen(name) ||
            strncmp(name, "pg_", 3) == 0 || strncmp(name, "quorate_", 8) == 0) {
            return fail(config, PG_KEY_BOOT_USERS, why, list[i],
                        "a role's name has a-z, 0-9 and _, and begins with neither pg_ nor "
                        "quorate_; at most 16 of them");
        }
        if (!are_role_options(options)) {
            return fail(config, PG_KEY_BOOT_USERS, why, options,
                        "allowed: superuser, createdb, createrole, replication, bypassrls, "
                        "noinherit, nologin");
        }
        for (char *c = options; *c != '\0'; c++) {
            *c = *c == ',' ? ' ' : *c;
        }
        (void)snprintf(b->users[b->users_count].text, sizeof(b->users[0].text), "%s", name);
        (void)snprintf(b->user_options[b->users_count].text, sizeof(b->user_options[0].text), "%s",
                       options);
        b->users_count++;
    }
    return 0;
}

static int read_bootstrap(const struct io_config *config, struct pg_bootstrap *b,
                          struct io_why *why)
{
    const char *encoding = io_config_text(config, PG_KEY_BOOT_ENCODING);
    const char *locale = io_config_text(config, PG_KEY_BOOT_LOCALE);
    const char *hook = io_config_text(config, PG_KEY_BOOT_POST_INIT);
    const char *passwords = io_config_text(config, PG_KEY_PASSWORDS);
    if (strlen(encoding) >= sizeof(b->encoding)) {
        return fail(config, PG_KEY_BOOT_ENCODING, why, encoding, "is too long");
    }
    if (strlen(locale) >= sizeof(b->locale)) {
        return fail(config, PG_KEY_BOOT_LOCALE, why, locale, "is too long");
    }
    if (strlen(hook) >= sizeof(b->post_init.text)) {
        return fail(config, PG_KEY_BOOT_POST_INIT, why, "the command", "is too long");
    }
    (void)snprintf(b->encoding, sizeof(b->encoding), "%s", encoding);
    (void)snprintf(b->locale, sizeof(b->locale), "%s", locale);
    (void)snprintf(b->post_init.text, sizeof(b->post_init.text), "%s", hook);
    b->has_no_checksums = !io_config_bool(config, PG_KEY_BOOT_CHECKSUMS);
    b->post_init_limit_us = io_config_int(config, PG_KEY_BOOT_POST_INIT_TIMEOUT);
    int rc = pg_path_suffix(passwords, "", &b->password_file);
    rc = rc != 0 ? rc : read_initdb(config, b, why);
    return rc != 0 ? rc : read_users(config, b, why);
}

/* --- clone --- */

static int read_clone(const struct io_config *config, struct pg_clone *c, struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, PG_KEY_CLONE_METHODS, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t n = c->methods_count;
        if (n == PG_CLONE_METHODS_MAX ||
            !split(list[i], c->names[n].text, sizeof(c->names[n].text), c->methods[n].text,
                   sizeof(c->methods[n].text)) ||
            c->methods[n].text[0] == '\0') {
            return fail(config, PG_KEY_CLONE_METHODS, why, list[i],
                        "a name and a command of at most 1023 bytes; at most 8 of them");
        }
        c->methods_count++;
    }
    int64_t rate_kb = io_config_int(config, PG_KEY_CLONE_RATE) / 1024;
    if (io_config_int(config, PG_KEY_CLONE_RATE) != 0 && rate_kb < RATE_KB_MIN) {
        return fail(config, PG_KEY_CLONE_RATE, why, "the rate", "allowed: 0, or 32KiB to 1GiB");
    }
    c->rate_kb = (uint32_t)rate_kb;
    c->method_limit_us = io_config_int(config, PG_KEY_CLONE_TIMEOUT);
    c->is_spread = strcmp(io_config_text(config, PG_KEY_CLONE_CHECKPOINT), "spread") == 0;
    return 0;
}

static int read_tablespaces(const struct io_config *config, struct pg_tablespaces *t,
                            struct io_why *why)
{
    size_t count = 0;
    const char *const *list = io_config_list(config, PG_KEY_TABLESPACES, &count);
    for (size_t i = 0; i < count; i++) {
        uint32_t n = t->count;
        if (n == PG_TABLESPACES_MAX ||
            !split(list[i], t->from[n].text, sizeof(t->from[n].text), t->to[n].text,
                   sizeof(t->to[n].text)) ||
            t->from[n].text[0] != '/' || t->to[n].text[0] != '/' ||
            strchr(t->to[n].text, '=') != NULL) {
            return fail(config, PG_KEY_TABLESPACES, why, list[i],
                        "two absolute paths without '=', at most 16 pairs");
        }
        t->count++;
    }
    return 0;
}

/* --- all of it --- */

int pg_engine_life(const struct io_config *config, struct pg_settings *s, struct io_why *why)
{
    const char *config_dir = io_config_text(config, PG_KEY_CONFIG_DIR);
    const char *user = io_config_text(config, PG_KEY_REMOTE_USER);
    if (config_dir[0] != '\0' && config_dir[0] != '/') {
        return fail(config, PG_KEY_CONFIG_DIR, why, config_dir, "the path must begin with '/'");
    }
    if (strcmp(config_dir, s->data_dir.text) == 0) {
        return fail(config, PG_KEY_CONFIG_DIR, why, config_dir,
                    "is the data directory itself: leave it out");
    }
    if (strlen(user) >= sizeof(s->remote_user)) {
        return fail(config, PG_KEY_REMOTE_USER, why, user, "is too long");
    }
    (void)snprintf(s->remote_user, sizeof(s->remote_user), "%s", user);
    s->advertise_port = (uint16_t)io_config_int(config, PG_KEY_ADVERTISE_PORT);
    int rc = pg_path_suffix(config_dir, "", &s->config_dir);
    rc = rc != 0 ? rc : read_bootstrap(config, &s->bootstrap, why);
    rc = rc != 0 ? rc : read_clone(config, &s->clone, why);
    return rc != 0 ? rc : read_tablespaces(config, &s->tablespaces, why);
}
