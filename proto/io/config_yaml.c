/* SPDX-License-Identifier: Apache-2.0 */
/* The YAML file of a configuration, by libyaml's events. One mapping of sections and keys; scalars
 * are taken as text. Anchors, aliases, tags, duplicate and unknown keys are errors with the place
 * in the file. */
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "proto/io/config_internal.h"

#define DEPTH_MAX 6
#define PATH_MAX_BYTES 256
#define SEEN_MAX 512

struct reader {
    struct io_config *config;
    const char *path;
    yaml_parser_t parser;
    yaml_event_t event;
    bool has_event;
    size_t depth;
    size_t lengths[DEPTH_MAX];   /* of `prefix` at each depth */
    char prefix[PATH_MAX_BYTES]; /* "section." */
    size_t seen_count;
    char *seen[SEEN_MAX];
    struct io_why *why;
};

static void origin_of(const struct reader *r, yaml_mark_t mark,
                      char memory[static CONFIG_ORIGIN_MAX])
{
    (void)snprintf(memory, CONFIG_ORIGIN_MAX, "%s:%zu:%zu", r->path, mark.line + 1,
                   mark.column + 1);
}

__attribute__((format(printf, 2, 3))) static int fail_here(const struct reader *r,
                                                           const char *format, ...)
{
    char origin[CONFIG_ORIGIN_MAX];
    char text[IO_WHY_MAX];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    origin_of(r, r->event.start_mark, origin);
    io_why_set(r->why, "%s: %s", origin, text);
    return BASE_E_INVALID;
}

static bool is_decorated(const yaml_event_t *e)
{
    switch ((int)e->type) {
    case YAML_ALIAS_EVENT:
        return true;
    case YAML_SCALAR_EVENT:
        return e->data.scalar.anchor != NULL || e->data.scalar.tag != NULL;
    case YAML_SEQUENCE_START_EVENT:
        return e->data.sequence_start.anchor != NULL || e->data.sequence_start.tag != NULL;
    case YAML_MAPPING_START_EVENT:
        return e->data.mapping_start.anchor != NULL || e->data.mapping_start.tag != NULL;
    default:
        return false;
    }
}

static int next(struct reader *r)
{
    if (r->has_event) {
        yaml_event_delete(&r->event);
        r->has_event = false;
    }
    if (yaml_parser_parse(&r->parser, &r->event) == 0) {
        io_why_set(r->why, "%s:%zu:%zu: not YAML: %s", r->path, r->parser.problem_mark.line + 1,
                   r->parser.problem_mark.column + 1,
                   r->parser.problem == NULL ? "unreadable" : r->parser.problem);
        return BASE_E_INVALID;
    }
    r->has_event = true;
    return is_decorated(&r->event)
               ? fail_here(r, "anchors, aliases and tags are not understood here")
               : 0;
}

static const char *scalar(const struct reader *r)
{
    return (const char *)r->event.data.scalar.value;
}

static int remember(struct reader *r, const char *name)
{
    for (size_t i = 0; i < r->seen_count; i++) {
        if (strcmp(r->seen[i], name) == 0) {
            return fail_here(r, "key '%s' stands twice", name);
        }
    }
    if (r->seen_count == SEEN_MAX) {
        return fail_here(r, "more than %d keys", SEEN_MAX);
    }
    r->seen[r->seen_count] = strdup(name);
    return r->seen[r->seen_count++] == NULL ? BASE_E_NOMEM : 0;
}

static int add_item(struct reader *r, struct config_items *items, const char *name)
{
    char text[1024];
    if (r->event.type != YAML_SCALAR_EVENT) {
        return fail_here(r, "only plain values may stand in this list");
    }
    if (items->count == CONFIG_ITEMS_MAX) {
        return fail_here(r, "more than %d items", CONFIG_ITEMS_MAX);
    }
    int len = snprintf(text, sizeof(text), "%s%s%s", name, name[0] == '\0' ? "" : "=", scalar(r));
    if (len < 0 || (size_t)len >= sizeof(text) ||
        strlen(scalar(r)) != r->event.data.scalar.length) {
        return fail_here(r, "value is too long or has a NUL in it");
    }
    items->list[items->count] = strdup(text);
    return items->list[items->count++] == NULL ? BASE_E_NOMEM : 0;
}

/* Sequence, or mapping of scalars; the start event is the present one. */
static int read_items(struct reader *r, struct config_items *items, bool is_map)
{
    char name[256] = "";
    int rc = next(r);
    while (rc == 0 && r->event.type != YAML_SEQUENCE_END_EVENT &&
           r->event.type != YAML_MAPPING_END_EVENT) {
        if (is_map) {
            if (r->event.type != YAML_SCALAR_EVENT || strlen(scalar(r)) >= sizeof(name)) {
                return fail_here(r, "a name was expected");
            }
            (void)snprintf(name, sizeof(name), "%s", scalar(r));
            rc = next(r);
        }
        rc = rc != 0 ? rc : add_item(r, items, name);
        rc = rc != 0 ? rc : next(r);
    }
    return rc;
}

static int read_collection(struct reader *r, size_t key, const char *origin)
{
    struct config_items items = {0};
    enum io_config_type type = r->config->spec->keys[key].type;
    bool is_map = r->event.type == YAML_MAPPING_START_EVENT;
    if (type != (is_map ? IO_CONFIG_MAP : IO_CONFIG_LIST)) {
        return fail_here(r, "key '%s' takes one value, not a %s", r->config->spec->keys[key].name,
                         is_map ? "mapping" : "list");
    }
    int rc = read_items(r, &items, is_map);
    rc = rc != 0 ? rc : config_set_items(r->config, key, CONFIG_FROM_FILE, &items, origin, r->why);
    config_items_free(&items);
    return rc;
}

static bool is_section(const struct io_config_spec *spec, const char *name)
{
    size_t len = strlen(name);
    for (size_t i = 0; i < spec->keys_count; i++) {
        if (strncmp(spec->keys[i].name, name, len) == 0 && spec->keys[i].name[len] == '.') {
            return true;
        }
    }
    return false;
}

static int enter_section(struct reader *r, const char *name)
{
    if (r->depth + 1 == DEPTH_MAX) {
        return fail_here(r, "too many levels");
    }
    r->lengths[++r->depth] = (size_t)snprintf(r->prefix, sizeof(r->prefix), "%s.", name);
    return 0;
}

/* A value that can be no key's. What is broken further down comes first: a bracket that was left
 * open is not a wrong key. */
static int refuse_value(struct reader *r, const char *name, const char *origin)
{
    const struct io_config_spec *spec = r->config->spec;
    bool is_plain = r->event.type == YAML_SCALAR_EVENT;
    bool is_parent = is_section(spec, name);
    if (is_parent && is_plain && r->event.data.scalar.length == 0) {
        return 0; /* a section of comments alone, as in the sample file */
    }
    int rc = is_plain ? 0 : next(r);
    if (rc != 0) {
        return rc;
    }
    if (!is_parent) {
        config_unknown(spec, "key", name, origin, r->why);
    } else {
        io_why_set(r->why, "%s: '%s' is a section: keys below it were expected, found %s", origin,
                   name, is_plain ? "a value" : "a list");
    }
    return BASE_E_INVALID;
}

/* A key was read into `name`; the next event is its value. */
static int read_value(struct reader *r, const char *name, const char *origin)
{
    const struct io_config_spec *spec = r->config->spec;
    size_t key = config_find(spec, name);
    yaml_event_type_t type = r->event.type;
    if (key == SIZE_MAX && type == YAML_MAPPING_START_EVENT && is_section(spec, name)) {
        return enter_section(r, name);
    }
    if (key == SIZE_MAX) {
        return refuse_value(r, name, origin);
    }
    if (type != YAML_SCALAR_EVENT) {
        return read_collection(r, key, origin);
    }
    if (strlen(scalar(r)) != r->event.data.scalar.length) {
        return fail_here(r, "key '%s': value has a NUL in it", name);
    }
    return config_set_text(r->config, key, CONFIG_FROM_FILE, scalar(r), origin, r->why);
}

static int read_pair(struct reader *r)
{
    char name[PATH_MAX_BYTES];
    char origin[CONFIG_ORIGIN_MAX];
    if (r->event.type != YAML_SCALAR_EVENT) {
        return fail_here(r, "a key was expected");
    }
    int len =
        snprintf(name, sizeof(name), "%.*s%s", (int)r->lengths[r->depth], r->prefix, scalar(r));
    if (len < 0 || (size_t)len >= sizeof(name)) {
        return fail_here(r, "key is too long");
    }
    origin_of(r, r->event.start_mark, origin);
    int rc = remember(r, name);
    rc = rc != 0 ? rc : next(r);
    return rc != 0 ? rc : read_value(r, name, origin);
}

static int read_document(struct reader *r)
{
    int rc = next(r); /* stream start */
    rc = rc != 0 ? rc : next(r);
    if (rc != 0 || r->event.type == YAML_STREAM_END_EVENT) {
        return rc;
    }
    rc = next(r);
    if (rc == 0 && r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length == 0) {
        return 0; /* nothing but comments */
    }
    if (rc == 0 && r->event.type != YAML_MAPPING_START_EVENT) {
        return fail_here(r, "keys were expected: 'key: value'");
    }
    rc = rc != 0 ? rc : next(r);
    while (rc == 0) {
        if (r->event.type != YAML_MAPPING_END_EVENT) {
            rc = read_pair(r);
        } else if (r->depth > 0) {
            r->depth--;
        } else {
            break;
        }
        rc = rc != 0 ? rc : next(r);
    }
    rc = rc != 0 ? rc : next(r); /* document end */
    rc = rc != 0 ? rc : next(r);
    if (rc == 0 && r->event.type != YAML_STREAM_END_EVENT) {
        return fail_here(r, "a second document is not understood here");
    }
    return rc;
}

int config_read_file(struct io_config *config, const char *path, struct io_why *why)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        io_why_set(why, "cannot read %s: %s", path, strerror(errno));
        return errno == ENOENT ? BASE_E_NOTFOUND : BASE_E_INVALID;
    }
    struct reader *r = calloc(1, sizeof(*r));
    if (r == NULL || yaml_parser_initialize(&r->parser) == 0) {
        free(r);
        (void)fclose(file);
        return BASE_E_NOMEM;
    }
    r->config = config;
    r->path = path;
    r->why = why;
    yaml_parser_set_input_file(&r->parser, file);
    int rc = read_document(r);
    if (r->has_event) {
        yaml_event_delete(&r->event);
    }
    yaml_parser_delete(&r->parser);
    for (size_t i = 0; i < r->seen_count; i++) {
        free(r->seen[i]);
    }
    free(r);
    (void)fclose(file);
    return rc;
}
