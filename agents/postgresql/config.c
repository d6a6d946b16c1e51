/* SPDX-License-Identifier: Apache-2.0 */
/* The document in force and what it says: see config.h. */
#include "agents/postgresql/config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "agents/postgresql/conf.h"
#include "base/canary.h"

#define FILE_NAME "cluster-config"
#define FILE_MAX (MSG_CONFIG_MAX + 64)
#define WAL_SENDERS_DEFAULT 16 /* conf.c writes it among its defaults */

/* --- the file: a line with the revision, then the text --- */

static int parse_file(struct slice content, uint64_t *ret_revision, struct slice *ret_text)
{
    const uint8_t *end = content.len > 0 ? memchr(content.data, '\n', content.len) : NULL;
    if (end == NULL) {
        return BASE_E_CORRUPT;
    }
    size_t len = (size_t)(end - content.data);
    int status = slice_to_u64(slice_from(content.data, len), ret_revision);
    *ret_text = slice_skip(content, len + 1);
    return status;
}

static void load(const struct pg_settings *settings)
{
    struct pg_config *config = settings->config;
    struct arb_settings_why why;
    struct pg_path path;
    struct slice text;
    uint64_t revision = 0;
    size_t len = 0;
    char *memory = malloc(FILE_MAX);
    if (memory != NULL && pg_path_join(settings->state_dir.text, FILE_NAME, &path) == 0 &&
        pg_file_read(path.text, memory, FILE_MAX, &len) == 0 &&
        parse_file(slice_from(memory, len), &revision, &text) == 0 &&
        pg_config_read(config, text, &why) == 0) {
        pg_config_swap(config, &revision);
    }
    free(memory);
}

int pg_config_save(const struct pg_settings *settings, uint64_t revision, struct slice text)
{
    struct pg_path path;
    char *memory = malloc(FILE_MAX);
    int status =
        memory == NULL ? BASE_E_NOMEM : pg_path_join(settings->state_dir.text, FILE_NAME, &path);
    if (status == 0) {
        struct buf b = buf_over(memory, FILE_MAX);
        buf_put_dec(&b, revision);
        buf_put_text(&b, "\n");
        buf_put(&b, text);
        status = b.is_full ? BASE_E_TOOBIG : pg_file_write(path.text, buf_slice(&b), 0600);
    }
    free(memory);
    return status;
}

/* --- life --- */

int pg_config_open(struct pg_settings *settings)
{
    struct pg_config *config = calloc(1, sizeof(*config));
    settings->config = config;
    if (config != NULL) {
        config->document = malloc(sizeof(*config->document));
        config->spare = malloc(sizeof(*config->spare));
    }
    if (config == NULL || config->document == NULL || config->spare == NULL) {
        pg_config_close(settings);
        return BASE_E_NOMEM;
    }
    arb_settings_pg_defaults(config->document);
    arb_settings_pg_defaults(config->spare);
    load(settings);
    return 0;
}

void pg_config_close(struct pg_settings *settings)
{
    if (settings->config != NULL) {
        free(settings->config->document);
        free(settings->config->spare);
        free(settings->config);
        settings->config = NULL;
    }
}

int pg_config_read(struct pg_config *config, struct slice text, struct arb_settings_why *why)
{
    return arb_settings_pg_read(text, config->spare, why);
}

void pg_config_swap(struct pg_config *config, uint64_t *revision)
{
    struct arb_settings_pg *document = config->document;
    uint64_t old = config->revision;
    config->document = config->spare;
    config->spare = document;
    config->revision = *revision;
    *revision = old;
}

/* --- values --- */

static bool is_name(struct slice name, const char *text)
{
    return strlen(text) == name.len && strncasecmp((const char *)name.data, text, name.len) == 0;
}

static const char *document_value(const struct pg_settings *settings, struct slice name)
{
    const struct arb_settings_pg *d = settings->config == NULL ? NULL : settings->config->document;
    for (uint32_t i = 0; d != NULL && i < d->parameters_count; i++) {
        if (is_name(name, d->parameters[i].name)) {
            return d->parameters[i].value;
        }
    }
    return NULL;
}

const char *pg_config_value(const struct pg_settings *settings, const char *name)
{
    return document_value(settings, slice_from_text(name));
}

/* Lines of the agent's file stand as NAME = 'VALUE'. */
static struct slice name_of_line(const char *line)
{
    return slice_from(line, strcspn(line, " ="));
}

static const char *own_line(const struct pg_settings *settings, const char *name)
{
    for (uint32_t i = settings->parameters_count; i > 0; i--) {
        const char *line = settings->parameters[i - 1].text;
        if (is_name(name_of_line(line), name)) {
            return line;
        }
    }
    return NULL;
}

int64_t pg_config_wanted(const struct pg_settings *settings, unsigned index)
{
    const struct arb_pg_ordered *o = arb_pg_ordered(index);
    const char *value = pg_config_value(settings, o->name);
    uint64_t number = 0;
    if (value == NULL) {
        const char *line = own_line(settings, o->name);
        const char *quote = line == NULL ? NULL : strchr(line, '\'');
        value = quote == NULL ? NULL : quote + 1;
    }
    if (value == NULL) {
        return strcmp(o->name, "max_wal_senders") == 0 ? WAL_SENDERS_DEFAULT : 0;
    }
    (void)!slice_to_u64(slice_from(value, strspn(value, "0123456789")), &number);
    return (int64_t)number;
}

bool pg_config_overrides(const struct pg_settings *settings, struct slice name)
{
    const struct arb_pg_parameter *p = arb_pg_parameter_find(name);
    bool is_common = p != NULL && (p->kind == ARB_PG_ORDERED || p->kind == ARB_PG_EQUAL);
    return is_common && document_value(settings, name) != NULL;
}

void pg_config_bound(struct pg_config *config, const struct pg_control *control, bool is_primary,
                     bool is_raise_held)
{
    memset(config->at_least, 0, sizeof(config->at_least));
    memset(config->at_most, 0, sizeof(config->at_most));
    for (unsigned i = 0; i < ARB_PG_ORDERED_COUNT; i++) {
        if (!is_primary && !CANARY(STANDBY_BELOW_PRIMARY)) {
            config->at_least[i] = control->ordered[i];
        } else if (is_primary && is_raise_held && !CANARY(RAISE_BEFORE_STANDBYS)) {
            config->at_most[i] = control->ordered[i];
        }
    }
}

/* --- quorate.conf --- */

static void put_value(struct buf *b, const char *name, const char *value)
{
    pg_conf_put(b, name, slice_from_text(value));
}

static void put_bounds(const struct pg_settings *settings, struct buf *b)
{
    const struct pg_config *config = settings->config;
    for (unsigned i = 0; i < ARB_PG_ORDERED_COUNT; i++) {
        int64_t wanted = pg_config_wanted(settings, i);
        int64_t value = wanted;
        value = value < config->at_least[i] ? config->at_least[i] : value;
        value = config->at_most[i] > 0 && value > config->at_most[i] ? config->at_most[i] : value;
        if (value != wanted) {
            buf_put_text(b, arb_pg_ordered(i)->name);
            buf_put_text(b, " = ");
            buf_put_int(b, value);
            buf_put_text(b, "\n");
        }
    }
}

/* Rows of the catalogue that a logical slot of a standby needs must stay upstream. */
static bool needs_feedback(const struct arb_settings_pg *d)
{
    for (uint32_t i = 0; d != NULL && i < d->slots_count; i++) {
        if (d->slots[i].is_logical) {
            return true;
        }
    }
    return false;
}

void pg_config_put(const struct pg_settings *settings, struct buf *b)
{
    const struct arb_settings_pg *d = settings->config == NULL ? NULL : settings->config->document;
    for (uint32_t i = 0; d != NULL && i < d->parameters_count; i++) {
        put_value(b, d->parameters[i].name, d->parameters[i].value);
    }
    if (d != NULL && d->max_slot_wal_keep_size[0] != '\0') {
        put_value(b, "max_slot_wal_keep_size", d->max_slot_wal_keep_size);
    }
    for (uint32_t i = 0; i < settings->parameters_count; i++) {
        const char *line = settings->parameters[i].text;
        if (!pg_config_overrides(settings, name_of_line(line))) {
            buf_put_text(b, line);
            buf_put_text(b, "\n");
        }
    }
    if (needs_feedback(d)) {
        put_value(b, "hot_standby_feedback", "on");
    }
    if (d != NULL) {
        put_bounds(settings, b);
    }
}
