/* SPDX-License-Identifier: Apache-2.0 */
/* How values of Patroni's become ours: the takers of the table, and the agent's file in YAML. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/name.h"
#include "kv/cli/patroni.h"

#define SECRET_MIN 8
#define SECRET_MAX 127

void patroni_put(json_t *object, const char *path, json_t *value)
{
    char word[FLAT_PATH_MAX];
    const char *dot = strchr(path, '.');
    while (dot != NULL) {
        (void)snprintf(word, sizeof(word), "%.*s", (int)(dot - path), path);
        json_t *below = json_object_get(object, word);
        if (below == NULL) {
            below = json_object();
            (void)json_object_set_new(object, word, below);
        }
        object = below;
        path = dot + 1;
        dot = strchr(path, '.');
    }
    (void)json_object_set_new(object, path, value);
}

/* The object at a path, made where it is missing; the last word is left out. */
static json_t *section_of(json_t *object, const char *path, bool is_list)
{
    json_t *found = object;
    char word[FLAT_PATH_MAX];
    for (const char *at = path; *at != '\0' && json_is_object(found);) {
        size_t len = strcspn(at, ".");
        (void)snprintf(word, sizeof(word), "%.*s", (int)len, at);
        at += len + (at[len] == '.' ? 1 : 0);
        json_t *below = json_object_get(found, word);
        if (below == NULL) {
            below = is_list && *at == '\0' ? json_array() : json_object();
            (void)json_object_set_new(found, word, below);
        }
        found = below;
    }
    return found;
}

void patroni_name_of(const char *text, char *ret, size_t cap)
{
    size_t len = 0;
    for (; *text != '\0' && len + 1 < cap && len < BASE_NAME_MAX; text++) {
        char c = *text >= 'A' && *text <= 'Z' ? (char)(*text - 'A' + 'a') : *text;
        bool is_letter = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (is_letter || len > 0) {
            ret[len++] = is_letter || c == '_' ? c : '-';
        }
    }
    ret[len] = '\0';
}

static bool is_true(const char *text)
{
    return strcasecmp(text, "true") == 0 || strcasecmp(text, "on") == 0 ||
           strcasecmp(text, "yes") == 0;
}

static bool is_false(const char *text)
{
    return strcasecmp(text, "false") == 0 || strcasecmp(text, "off") == 0 ||
           strcasecmp(text, "no") == 0;
}

static bool is_number(const char *text, int64_t *ret)
{
    uint64_t number = 0;
    if (slice_to_u64(slice_from_text(text), &number) != 0 || number > INT32_MAX) {
        return false;
    }
    *ret = (int64_t)number;
    return true;
}

static bool is_line(const char *text)
{
    return strpbrk(text, "\r\n") == NULL;
}

/* The last word of a path below "parameters.", which may have dots of its own. */
static const char *parameter_name(const char *path)
{
    static const char mark[] = "parameters.";
    const char *at = strstr(path, mark);
    const char *dot = strrchr(path, '.');
    return at != NULL ? at + sizeof(mark) - 1 : dot == NULL ? path : dot + 1;
}

static bool is_parameter(const char *name)
{
    size_t len = strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789.");
    return len > 0 && name[len] == '\0' && (name[0] < '0' || name[0] > '9') && name[0] != '.' &&
           len < 64 && strncasecmp(name, "quorate.", 8) != 0;
}

/* "HOST:PORT", "[HOST]:PORT", "HOST": the part in front, and the port or 0. */
static bool split_port(const char *text, char *host, size_t cap, int64_t *ret_port)
{
    const char *colon = strrchr(text, ':');
    size_t len = colon == NULL ? strlen(text) : (size_t)(colon - text);
    *ret_port = 0;
    if (colon != NULL && (!is_number(colon + 1, ret_port) || *ret_port == 0 || *ret_port > 65535)) {
        return false;
    }
    if (len > 2 && text[0] == '[' && text[len - 1] == ']') {
        text++;
        len -= 2;
    }
    if (len == 0 || len >= cap) {
        return false;
    }
    (void)snprintf(host, cap, "%.*s", (int)len, text);
    return true;
}

/* --- the agent's file --- */

PATRONI_TAKER(text)
{
    if (!is_line(leaf->value)) {
        return false;
    }
    patroni_put(import->agent, row->ours, json_string(leaf->value));
    return true;
}

PATRONI_TAKER(name)
{
    char name[BASE_NAME_MAX + 1];
    patroni_name_of(leaf->value, name, sizeof(name));
    patroni_put(import->agent, row->ours, json_string(name));
    return name[0] != '\0';
}

PATRONI_TAKER(list)
{
    if (!is_line(leaf->value)) {
        return false;
    }
    (void)json_array_append_new(section_of(import->agent, row->ours, true),
                                json_string(leaf->value));
    return true;
}

PATRONI_TAKER(parameter)
{
    const char *name = parameter_name(leaf->path);
    (void)row;
    if (!is_parameter(name) || !is_line(leaf->value)) {
        return false;
    }
    (void)json_object_set_new(section_of(import->agent, "postgresql.parameters", false), name,
                              json_string(leaf->value));
    return true;
}

PATRONI_TAKER(listen)
{
    char host[FLAT_PATH_MAX];
    int64_t port = 0;
    if (!split_port(leaf->value, host, sizeof(host), &port)) {
        return false;
    }
    patroni_put(import->agent, row->ours, json_string(host));
    patroni_put(import->agent, "postgresql.port", json_integer(port == 0 ? 5432 : port));
    return true;
}

PATRONI_TAKER(connect)
{
    char host[FLAT_PATH_MAX];
    char listen[FLAT_PATH_MAX];
    const char *other = flat_value(import->file, "postgresql.listen");
    int64_t port = 0;
    int64_t own = 5432;
    if (!split_port(leaf->value, host, sizeof(host), &port)) {
        return false;
    }
    if (other != NULL && (!split_port(other, listen, sizeof(listen), &own) || own == 0)) {
        own = 5432;
    }
    patroni_put(import->agent, row->ours, json_string(host));
    if ((port == 0 ? 5432 : port) != own) {
        patroni_put(import->agent, "postgresql.advertise_port",
                    json_integer(port == 0 ? 5432 : port));
    }
    return true;
}

PATRONI_TAKER(http)
{
    char host[FLAT_PATH_MAX];
    char text[FLAT_PATH_MAX + 16];
    int64_t port = 0;
    if (!split_port(leaf->value, host, sizeof(host), &port)) {
        return false;
    }
    bool is_any = strcmp(host, "*") == 0;
    bool is_v6 = strchr(host, ':') != NULL;
    (void)snprintf(text, sizeof(text), "%s%s%s:%" PRId64, is_v6 ? "[" : "",
                   is_any ? "0.0.0.0" : host, is_v6 ? "]" : "", port == 0 ? 8008 : port);
    patroni_put(import->agent, row->ours, json_string(text));
    return true;
}

/* Two words of Patroni's for one of ours. */
static bool take_word(json_t *agent, const char *ours, const char *value,
                      const char *const words[][2], size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(value, words[i][0]) == 0) {
            patroni_put(agent, ours, json_string(words[i][1]));
            return true;
        }
    }
    return false;
}

PATRONI_TAKER(level)
{
    static const char *const words[][2] = {
        {"debug", "debug"}, {"info", "info"},      {"warning", "warn"}, {"warn", "warn"},
        {"error", "error"}, {"critical", "error"}, {"fatal", "error"}};
    return take_word(import->agent, row->ours, leaf->value, words, BASE_COUNT_OF(words));
}

PATRONI_TAKER(watchdog)
{
    static const char *const words[][2] = {
        {"off", "off"}, {"false", "off"}, {"automatic", "try"}, {"required", "require"}};
    return take_word(import->agent, row->ours, leaf->value, words, BASE_COUNT_OF(words));
}

PATRONI_TAKER(priority)
{
    int64_t number = 0;
    if (!is_number(leaf->value, &number)) {
        return false;
    }
    if (number == 0) {
        patroni_put(import->agent, "tags.nofailover", json_string("yes"));
    }
    patroni_put(import->agent, row->ours, json_integer(number > 100 ? 100 : number));
    return true;
}

PATRONI_TAKER(socket)
{
    char first[FLAT_PATH_MAX];
    (void)snprintf(first, sizeof(first), "%.*s", (int)strcspn(leaf->value, ", "), leaf->value);
    if (first[0] != '/') {
        return false;
    }
    patroni_put(import->agent, row->ours, json_string(first));
    return true;
}

PATRONI_TAKER(secret)
{
    size_t len = strlen(leaf->value);
    for (size_t i = 0; i < len; i++) {
        if (leaf->value[i] <= ' ' || leaf->value[i] > '~') {
            return false;
        }
    }
    if (len < SECRET_MIN || len > SECRET_MAX) {
        return false;
    }
    (void)json_object_set_new(import->secrets, row->ours, json_string(leaf->value));
    return true;
}

PATRONI_TAKER(superuser)
{
    (void)import;
    return strcmp(leaf->value, row->ours) == 0;
}

/* --- the document --- */

PATRONI_TAKER(doc_bool)
{
    if (!is_true(leaf->value) && !is_false(leaf->value)) {
        return false;
    }
    patroni_put(import->document, row->ours, json_boolean(is_true(leaf->value)));
    return true;
}

PATRONI_TAKER(doc_number)
{
    int64_t number = 0;
    if (!is_number(leaf->value, &number)) {
        return false;
    }
    patroni_put(import->document, row->ours, json_integer(number));
    return true;
}

PATRONI_TAKER(doc_text)
{
    if (!is_line(leaf->value)) {
        return false;
    }
    patroni_put(import->document, row->ours, json_string(leaf->value));
    return true;
}

PATRONI_TAKER(doc_seconds)
{
    char text[32];
    int64_t number = 0;
    if (!is_number(leaf->value, &number)) {
        return false;
    }
    (void)snprintf(text, sizeof(text), "%" PRId64 "s", number);
    patroni_put(import->document, row->ours, json_string(text));
    return true;
}

/* 0: a crash is followed by a failover, not by a restart. */
PATRONI_TAKER(doc_start_timeout)
{
    if (strcmp(leaf->value, "0") == 0) {
        patroni_put(import->document, "on_crash", json_string("failover"));
        return true;
    }
    return patroni_take_doc_seconds(import, row, leaf);
}

PATRONI_TAKER(doc_line)
{
    if (!is_line(leaf->value)) {
        return false;
    }
    (void)json_array_append_new(section_of(import->document, row->ours, true),
                                json_string(leaf->value));
    return true;
}

PATRONI_TAKER(doc_parameter)
{
    const char *name = parameter_name(leaf->path);
    (void)row;
    if (!is_parameter(name) || !is_line(leaf->value)) {
        return false;
    }
    (void)json_object_set_new(section_of(import->document, "postgresql.parameters", false), name,
                              json_string(leaf->value));
    return true;
}

PATRONI_TAKER(doc_slot)
{
    const char *key = strrchr(leaf->path, '.') + 1;
    char slot[FLAT_PATH_MAX];
    const char *name = strstr(leaf->path, "slots.") + strlen("slots.");
    (void)snprintf(slot, sizeof(slot), "%.*s", (int)(key - 1 - name), name);
    bool is_known =
        strcmp(key, "type") == 0 || strcmp(key, "database") == 0 || strcmp(key, "plugin") == 0;
    if (!is_known || strncmp(slot, "quorate_", 8) == 0) {
        return false;
    }
    json_t *slots = section_of(import->document, row->ours, false);
    json_t *found = json_object_get(slots, slot);
    if (found == NULL) {
        found = json_object();
        (void)json_object_set_new(slots, slot, found);
    }
    (void)json_object_set_new(found, key, json_string(leaf->value));
    return true;
}

PATRONI_TAKER(doc_sync)
{
    bool is_on = is_true(leaf->value) || strcasecmp(leaf->value, "quorum") == 0;
    if (!is_on && !is_false(leaf->value)) {
        return false;
    }
    patroni_put(import->document, row->ours, json_string(is_on ? "on" : "off"));
    return true;
}

/* --- writing --- */

/* Quoted as in JSON, which every reader of YAML takes. */
static void print_value(const json_t *value, FILE *out)
{
    char *text = json_dumps(value, JSON_ENCODE_ANY);
    (void)fputs(text == NULL ? "\"\"" : text, out);
    free(text);
}

static void print_level(const json_t *object, unsigned depth, FILE *out)
{
    const char *key = NULL;
    json_t *value = NULL;
    json_object_foreach((json_t *)(uintptr_t)object, key, value)
    {
        (void)fprintf(out, "%*s%s:", (int)(2 * depth), "", key);
        if (json_is_object(value) && depth < 3) {
            (void)fputc('\n', out);
            print_level(value, depth + 1, out);
        } else if (json_is_array(value)) {
            size_t i = 0;
            json_t *item = NULL;
            (void)fputc('\n', out);
            json_array_foreach(value, i, item)
            {
                (void)fprintf(out, "%*s- ", (int)(2 * depth + 2), "");
                print_value(item, out);
                (void)fputc('\n', out);
            }
        } else {
            (void)fputc(' ', out);
            print_value(value, out);
            (void)fputc('\n', out);
        }
    }
}

void patroni_print_agent(const json_t *agent, FILE *out)
{
    print_level(agent, 0, out);
}
