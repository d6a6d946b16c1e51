/* SPDX-License-Identifier: Apache-2.0 */
/* See compare.h. */
#include "tests/differential/compare.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Members whose value differs between two clusters, whatever message they stand in. Whether they
 * are there at all is compared. */
static const char *const masked[] = {
    "cluster_id", "member_id",  "raft_term",        "leader", "raftIndex",   "raftTerm", "hash",
    "token",      "clientURLs", "raftAppliedIndex", "dbSize", "dbSizeInUse", "memberID",
};

static bool is_in_list(const char *list, const char *name)
{
    size_t len = strlen(name);
    while (list != NULL && *list != '\0') {
        if (strncmp(list, name, len) == 0 && (list[len] == ',' || list[len] == '\0')) {
            return true;
        }
        list = strchr(list, ',');
        list = list == NULL ? NULL : list + 1;
    }
    return false;
}

static bool is_masked(const char *name, bool is_member, const char *more)
{
    for (size_t i = 0; i < sizeof(masked) / sizeof(masked[0]); i++) {
        if (strcmp(masked[i], name) == 0) {
            return true;
        }
    }
    return (is_member && (strcmp(name, "ID") == 0 || strcmp(name, "peerURLs") == 0 ||
                          strcmp(name, "name") == 0)) ||
           is_in_list(more, name);
}

static void mask_value(json_t *value, const char *more);

static void mask_object(json_t *object, const char *more)
{
    const char *name = NULL;
    json_t *value = NULL;
    void *next = NULL;
    bool is_member = json_object_get(object, "peerURLs") != NULL ||
                     json_object_get(object, "clientURLs") != NULL;
    json_object_foreach_safe(object, next, name, value)
    {
        if (is_masked(name, is_member, more)) {
            (void)json_object_set_new(object, name, json_string("*"));
        } else {
            mask_value(value, more);
        }
    }
}

static void mask_value(json_t *value, const char *more)
{
    size_t i = 0;
    json_t *item = NULL;
    if (json_is_object(value)) {
        mask_object(value, more);
    } else if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            mask_value(item, more);
        }
    }
}

char *compare_normalize(const char *body, size_t len, const char *mask)
{
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    const char *end = body + len;
    for (const char *line = body; line < end;) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        size_t line_len = (size_t)((eol == NULL ? end : eol) - line);
        json_t *value = json_loadb(line, line_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        if (value == NULL) {
            (void)fprintf(out, "%.*s\n", (int)line_len, line);
        } else {
            mask_value(value, mask);
            (void)json_dumpf(value, out, JSON_SORT_KEYS | JSON_ENCODE_ANY | JSON_COMPACT);
            (void)fputc('\n', out);
            json_decref(value);
        }
        line += line_len + 1;
    }
    (void)fclose(out);
    return text;
}

/* --- essence --- */

static const char *const essential[] = {
    "code",         "grpc_code",       "succeeded",        "key",      "value", "version",
    "mod_revision", "create_revision", "compact_revision", "revision", "count", "deleted",
    "more",
};

static void put_essence(json_t *value, const char *path, FILE *out)
{
    const char *name = NULL;
    json_t *item = NULL;
    size_t i = 0;
    if (json_is_array(value)) {
        json_array_foreach(value, i, item)
        {
            put_essence(item, path, out);
        }
        return;
    }
    if (!json_is_object(value)) {
        for (i = 0; i < sizeof(essential) / sizeof(essential[0]); i++) {
            if (strcmp(essential[i], path) == 0) {
                (void)fprintf(out, "%s=", path);
                (void)json_dumpf(value, out, JSON_ENCODE_ANY);
                (void)fputc('\n', out);
            }
        }
        return;
    }
    for (i = 0; i < sizeof(essential) / sizeof(essential[0]); i++) {
        item = json_object_get(value, essential[i]);
        if (item != NULL) {
            put_essence(item, essential[i], out);
        }
    }
    json_object_foreach(value, name, item)
    {
        if (json_is_object(item) || json_is_array(item)) {
            (void)fprintf(out, "%s\n", name);
            put_essence(item, name, out);
        }
    }
}

char *compare_essence(const char *body, size_t len)
{
    char *text = NULL;
    size_t text_len = 0;
    FILE *out = open_memstream(&text, &text_len);
    const char *end = body + len;
    for (const char *line = body; line < end;) {
        const char *eol = memchr(line, '\n', (size_t)(end - line));
        size_t line_len = (size_t)((eol == NULL ? end : eol) - line);
        json_t *value = json_loadb(line, line_len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        put_essence(value, "", out);
        json_decref(value);
        line += line_len + 1;
    }
    (void)fclose(out);
    return text;
}
