/* SPDX-License-Identifier: Apache-2.0 */
/* See generate.h. */
#include "tests/differential/generate.h"

#include <stdio.h>
#include <string.h>

#include "tests/differential/methods.h"

#define BODY_MAX 1024
#define DEPTH_MAX 3

struct maker {
    void (*emit)(void *ctx, const char *line);
    void *ctx;
    const struct diff_method *method;
    unsigned number; /* within the method */
};

/* A request with one key, so that the field tried is not hidden behind "key is not provided". */
static const char *const keys[] = {"", "\"key\":\"$(gen)\","};

static bool is_message(const ProtobufCFieldDescriptor *field)
{
    return field->type == PROTOBUF_C_TYPE_MESSAGE;
}

/* What makes etcd 3.4.23 panic or drop the connection: nothing to compare with. */
static bool is_fatal_for_etcd(const ProtobufCFieldDescriptor *field, const char *value)
{
    bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
    return (strcmp(field->name, "sort_target") == 0 && strcmp(value, "17") == 0) ||
           (is_list && is_message(field) && strcmp(value, "null") == 0);
}

static void emit(struct maker *m, const char *prefix, const char *field, const char *value,
                 const char *suffix)
{
    char line[BODY_MAX];
    if (snprintf(line, sizeof(line), "generated%s/%s/%u wait=1500 %s {%s\"%s\":%s%s}",
                 strchr(m->method->gateway + 1, '/'), field, m->number++, m->method->gateway,
                 prefix, field, value, suffix) < (int)sizeof(line)) {
        m->emit(m->ctx, line);
    }
}

static const char *const int_values[] = {
    "\"0\"", "1", "\"-1\"", "\"9223372036854775807\"", "\"x\"", "\"9223372036854775808\""};
static const char *const uint_values[] = {"\"0\"", "1", "\"-1\"", "\"18446744073709551615\""};
static const char *const bool_values[] = {"true", "false", "\"true\""};
static const char *const bytes_values[] = {"\"\"", "\"$(gen)\"", "\"$(\\x00)\"",
                                           "\"$(\\xff\\xff)\"", "7"};
static const char *const text_values[] = {"\"\"", "\"gen\"", "\"a/b c\"", "7"};
static const char *const enum_values[] = {"0", "1", "2", "17", "\"NONSENSE\""};
static const char *const message_values[] = {"{}", "null", "[]", "\"text\""};

struct values {
    const char *const *list;
    size_t count;
};
#define VALUES(list) ((struct values){list, sizeof(list) / sizeof((list)[0])})

static struct values values_of(const ProtobufCFieldDescriptor *field)
{
    switch ((unsigned)field->type) {
    case PROTOBUF_C_TYPE_INT64:
    case PROTOBUF_C_TYPE_INT32:
        return VALUES(int_values);
    case PROTOBUF_C_TYPE_UINT64:
    case PROTOBUF_C_TYPE_UINT32:
        return VALUES(uint_values);
    case PROTOBUF_C_TYPE_BOOL:
        return VALUES(bool_values);
    case PROTOBUF_C_TYPE_BYTES:
        return VALUES(bytes_values);
    case PROTOBUF_C_TYPE_STRING:
        return VALUES(text_values);
    case PROTOBUF_C_TYPE_ENUM:
        return VALUES(enum_values);
    default:
        return VALUES(message_values);
    }
}

/* prefix and suffix: what stands around the fields of this message. */
static void make(struct maker *m, const ProtobufCMessageDescriptor *message, const char *prefix,
                 const char *suffix, unsigned depth)
{
    bool has_key = protobuf_c_message_descriptor_get_field_by_name(message, "key") != NULL;
    for (unsigned i = 0; i < message->n_fields; i++) {
        const ProtobufCFieldDescriptor *field = &message->fields[i];
        bool is_list = field->label == PROTOBUF_C_LABEL_REPEATED;
        const char *key = keys[has_key && strcmp(field->name, "key") != 0];
        char before[BODY_MAX];
        char after[BODY_MAX];
        struct values values = values_of(field);
        if (snprintf(before, sizeof(before), "%s%s", prefix, key) >= BODY_MAX) {
            continue;
        }
        for (size_t v = 0; v < values.count; v++) {
            char value[128];
            bool is_null_item = is_list && is_message(field) && strcmp(values.list[v], "null") == 0;
            if (is_null_item || is_fatal_for_etcd(field, values.list[v])) {
                continue;
            }
            (void)snprintf(value, sizeof(value), "%s%s%s", is_list ? "[" : "", values.list[v],
                           is_list ? "]" : "");
            emit(m, before, field->name, value, suffix);
        }
        if (is_message(field) && depth + 1 < DEPTH_MAX) {
            int len = snprintf(before, sizeof(before), "%s%s\"%s\":%s{", prefix, key, field->name,
                               is_list ? "[" : "");
            int tail = snprintf(after, sizeof(after), "}%s%s", is_list ? "]" : "", suffix);
            if (len < BODY_MAX && tail < BODY_MAX) {
                make(m, field->descriptor, before, after, depth + 1);
            }
        }
    }
}

void generate_cases(void (*emit_line)(void *ctx, const char *line), void *ctx)
{
    unsigned count = 0;
    const struct diff_method *methods = diff_methods(&count);
    for (unsigned i = 0; i < count; i++) {
        if (methods[i].is_generated) {
            struct maker maker = {.emit = emit_line, .ctx = ctx, .method = &methods[i]};
            make(&maker, methods[i].request, "", "", 0);
        }
    }
}
