/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML file as a flat list of leaves: see flat.h. libyaml resolves anchors; a file that names
 * itself again and again ends at the bounds of depth and count. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <yaml.h>

#include "kv/cli/flat.h"

#define DEPTH_MAX 16

struct walk {
    yaml_document_t document;
    struct flat_file *file;
    const char *name;
    struct io_why *why;
};

static int too_much(const struct walk *w, const yaml_node_t *node, const char *what)
{
    io_why_set(w->why, "%s:%zu: %s", w->name, node->start_mark.line + 1, what);
    return BASE_E_TOOBIG;
}

static int add_leaf(const struct walk *w, const yaml_node_t *node, const char *path)
{
    struct flat_file *file = w->file;
    size_t len = node->data.scalar.length;
    if (file->count == FLAT_LEAVES_MAX || len > FLAT_VALUE_MAX) {
        return too_much(w, node, "more than can be read");
    }
    struct flat_leaf *leaf = &file->leaves[file->count];
    leaf->value = calloc(1, len + 1);
    if (leaf->value == NULL) {
        return BASE_E_NOMEM;
    }
    memcpy(leaf->value, node->data.scalar.value, len);
    (void)snprintf(leaf->path, sizeof(leaf->path), "%s", path);
    leaf->line = node->start_mark.line + 1;
    file->count++;
    return 0;
}

static bool is_plain_null(const yaml_node_t *node)
{
    const char *text = (const char *)node->data.scalar.value;
    return node->data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
           (text[0] == '\0' || strcmp(text, "null") == 0 || strcmp(text, "~") == 0);
}

static int walk_node(struct walk *w, int index, const char *path, unsigned depth);

static int walk_pair(struct walk *w, const yaml_node_pair_t *pair, const char *path, unsigned depth)
{
    const yaml_node_t *key = yaml_document_get_node(&w->document, pair->key);
    char below[FLAT_PATH_MAX];
    if (key == NULL || key->type != YAML_SCALAR_NODE) {
        return key == NULL ? BASE_E_INVALID : too_much(w, key, "a key that is no text");
    }
    const char *name = (const char *)key->data.scalar.value;
    bool is_merge = strcmp(name, "<<") == 0;
    int len = is_merge
                  ? snprintf(below, sizeof(below), "%s", path)
                  : snprintf(below, sizeof(below), "%s%s%s", path,
                             path[0] == '\0' || path[strlen(path) - 1] == '.' ? "" : ".", name);
    if (len < 0 || (size_t)len >= sizeof(below)) {
        return too_much(w, key, "names are too long");
    }
    return walk_node(w, pair->value, below, depth + 1);
}

/* Bounded by DEPTH_MAX. */
static int walk_node(struct walk *w, int index, const char *path, unsigned depth)
{
    const yaml_node_t *node = yaml_document_get_node(&w->document, index);
    int rc = 0;
    if (node == NULL) {
        return BASE_E_INVALID;
    }
    if (depth > DEPTH_MAX) {
        return too_much(w, node, "too deep");
    }
    switch (node->type) {
    case YAML_SCALAR_NODE:
        return is_plain_null(node) ? 0 : add_leaf(w, node, path);
    case YAML_SEQUENCE_NODE:
        for (const yaml_node_item_t *i = node->data.sequence.items.start;
             i < node->data.sequence.items.top && rc == 0; i++) {
            rc = walk_node(w, *i, path, depth + 1);
        }
        return rc;
    case YAML_MAPPING_NODE:
        for (const yaml_node_pair_t *p = node->data.mapping.pairs.start;
             p < node->data.mapping.pairs.top && rc == 0; p++) {
            rc = walk_pair(w, p, path, depth);
        }
        return rc;
    case YAML_NO_NODE:
        break;
    }
    return 0;
}

static int load(struct walk *w, FILE *in, const char *prefix)
{
    yaml_parser_t parser;
    int rc = 0;
    if (yaml_parser_initialize(&parser) == 0) {
        return BASE_E_NOMEM;
    }
    yaml_parser_set_input_file(&parser, in);
    if (yaml_parser_load(&parser, &w->document) == 0) {
        io_why_set(w->why, "%s:%zu:%zu: %s", w->name, parser.problem_mark.line + 1,
                   parser.problem_mark.column + 1,
                   parser.problem == NULL ? "not YAML" : parser.problem);
        rc = BASE_E_INVALID;
    } else {
        const yaml_node_t *root = yaml_document_get_root_node(&w->document);
        if (root == NULL || root->type != YAML_MAPPING_NODE) {
            io_why_set(w->why, "%s: holds no settings (a mapping of keys)", w->name);
            rc = BASE_E_INVALID;
        }
        rc = rc != 0 ? rc : walk_node(w, 1, prefix, 0);
        yaml_document_delete(&w->document);
    }
    yaml_parser_delete(&parser);
    return rc;
}

int flat_read(const char *path, const char *prefix, struct flat_file *file, struct io_why *why)
{
    struct walk w = {.file = file, .name = path, .why = why};
    FILE *in = fopen(path, "re");
    if (in == NULL) {
        io_why_set(why, "%s: %s", path, strerror(errno));
        return BASE_E_NOTFOUND;
    }
    if (file->leaves == NULL) {
        file->leaves = calloc(FLAT_LEAVES_MAX, sizeof(*file->leaves));
    }
    int rc = file->leaves == NULL ? BASE_E_NOMEM : load(&w, in, prefix);
    if (rc == BASE_E_NOMEM) {
        io_why_set(why, "out of memory");
    }
    (void)fclose(in);
    return rc;
}

static void wipe(char *value)
{
    explicit_bzero(value, strlen(value)); /* passwords */
    free(value);
}

void flat_drop(struct flat_file *file, const char *prefix)
{
    size_t kept = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (strncmp(file->leaves[i].path, prefix, strlen(prefix)) == 0) {
            wipe(file->leaves[i].value);
        } else {
            file->leaves[kept++] = file->leaves[i];
        }
    }
    file->count = kept;
}

void flat_free(struct flat_file *file)
{
    for (size_t i = 0; i < file->count; i++) {
        wipe(file->leaves[i].value);
    }
    free(file->leaves);
    *file = (struct flat_file){0};
}

const char *flat_value(const struct flat_file *file, const char *path)
{
    for (size_t i = file->count; i > 0; i--) {
        if (strcmp(file->leaves[i - 1].path, path) == 0) {
            return file->leaves[i - 1].value;
        }
    }
    return NULL;
}
