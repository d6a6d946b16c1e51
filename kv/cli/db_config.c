/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration document as the commands handle it: reading, writing, setting one key. What is
 * allowed in it the quorum says. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/cli/db.h"

#define KEY_MAX 256

int db_config_get(struct cli *cli, char *name, uint64_t *ret_revision, json_t **ret)
{
    Quorate__V1__DatabaseConfigRequest request;
    ProtobufCMessage *message = NULL;
    quorate__v1__database_config_request__init(&request);
    request.cluster = name;
    int rc = cli_call(cli, "/quorate.v1.Databases/Config", &request.base,
                      &quorate__v1__database_config_response__descriptor, &message);
    if (rc != 0) {
        return rc;
    }
    const Quorate__V1__DatabaseConfigResponse *answer =
        (const Quorate__V1__DatabaseConfigResponse *)(const void *)message;
    json_t *document = json_loads(answer->json, 0, NULL);
    *ret_revision = answer->revision;
    protobuf_c_message_free_unpacked(message, NULL);
    if (document == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "the configuration of %s cannot be read", name);
    }
    *ret = document;
    return 0;
}

int db_config_put(struct cli *cli, char *name, uint64_t expect, json_t *document,
                  uint64_t *ret_revision)
{
    Quorate__V1__DatabaseConfigureRequest request;
    char *text = json_dumps(document, JSON_COMPACT);
    if (text == NULL) {
        return cli_fail(IO_EXIT_INTERNAL, "out of memory");
    }
    quorate__v1__database_configure_request__init(&request);
    request.cluster = name;
    request.expect = expect;
    request.json = text;
    int rc = db_order(cli, "Configure", &request.base, true, ret_revision);
    free(text);
    return rc;
}

/* --- one key --- */

/* Names below these may have dots of their own. */
static const char *const open_sections[] = {"postgresql.parameters."};

static json_t *parse_value(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY | JSON_REJECT_DUPLICATES, NULL);
    return value != NULL ? value : json_string(text);
}

/* Takes the first word off "a.b.c"; the rest, or NULL when it was the last. */
static char *next_word(char *path)
{
    char *dot = strchr(path, '.');
    if (dot == NULL) {
        return NULL;
    }
    *dot = '\0';
    return dot + 1;
}

static bool is_open(const char *path)
{
    for (size_t i = 0; i < BASE_COUNT_OF(open_sections); i++) {
        if (strncmp(path, open_sections[i], strlen(open_sections[i])) == 0) {
            return true;
        }
    }
    return false;
}

static json_t *descend(json_t *object, const char *word)
{
    json_t *below = json_object_get(object, word);
    if (below == NULL) {
        below = json_object();
        (void)json_object_set_new(object, word, below);
    }
    return below;
}

int db_config_assign(json_t *document, const char *assignment)
{
    char path[KEY_MAX];
    const char *equals = strchr(assignment, '=');
    if (equals == NULL || equals == assignment || (size_t)(equals - assignment) >= sizeof(path)) {
        return cli_fail(IO_EXIT_USAGE, "'%s'; allowed: KEY=VALUE, KEY=null takes KEY away",
                        assignment);
    }
    (void)snprintf(path, sizeof(path), "%.*s", (int)(equals - assignment), assignment);
    json_t *at = document;
    char *word = path;
    size_t steps = is_open(path) ? 2 : SIZE_MAX;
    for (char *rest = next_word(word); rest != NULL; rest = steps > 0 ? next_word(word) : NULL) {
        at = descend(at, word);
        word = rest;
        steps--;
        if (!json_is_object(at)) {
            return cli_fail(IO_EXIT_USAGE, "'%s' goes below something that is no object",
                            assignment);
        }
    }
    json_t *value = parse_value(equals + 1);
    if (json_is_null(value)) {
        (void)json_object_del(at, word);
        json_decref(value);
    } else if (json_object_set_new(at, word, value) != 0) {
        return cli_fail(IO_EXIT_USAGE, "'%s' is not valid UTF-8", assignment);
    }
    return 0;
}
