/* SPDX-License-Identifier: Apache-2.0 */
/* JSON to protobuf bytes; see json.h. An object's members are sorted into one row of values, one
 * per field, and then written field by field as etcd's reader would look at them: fields in order,
 * members of unions last. Lengths of nested messages are not known before, so each gets five bytes,
 * which every reader of protobuf understands. */
#include <stdio.h>
#include <string.h>

#include "base/assert.h"
#include "kv/api/json_scan.h"

#define FIELDS_MAX 16u
#define LENGTH_BYTES 5u

enum wire { WIRE_VARINT = 0, WIRE_BYTES = 2 };

/* One message being read. */
struct frame {
    const ProtobufCMessageDescriptor *type;
    struct slice values[FIELDS_MAX]; /* of its fields; data NULL: not given */
    unsigned next;                   /* fields, then union members: 2 * n_fields steps */
    struct slice items;              /* rest of the list at hand; data NULL: none */
    size_t length_at;                /* in out; SIZE_MAX: the outermost */
};

struct reader {
    struct io_bytes *out;
    struct json_error *error;
    size_t depth;
    struct frame frames[JSON_MESSAGES_MAX];
};

/* --- writing protobuf --- */

static int put_varint(struct io_bytes *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t len = 0;
    do {
        bytes[len++] = (uint8_t)((value & 0x7f) | 0x80);
        value >>= 7;
    } while (value != 0);
    bytes[len - 1] &= 0x7f;
    return io_bytes_append(out, slice_from(bytes, len));
}

static int put_key(struct io_bytes *out, const ProtobufCFieldDescriptor *field, enum wire wire)
{
    return put_varint(out, (uint64_t)field->id << 3 | wire);
}

/* Leaves room for a length; *ret_at is where. */
static int begin_length(struct io_bytes *out, size_t *ret_at)
{
    static const uint8_t room[LENGTH_BYTES];
    *ret_at = out->len;
    return io_bytes_append(out, slice_from(room, sizeof(room)));
}

static void end_length(const struct io_bytes *out, size_t at)
{
    size_t len = out->len - at - LENGTH_BYTES;
    for (size_t i = 0; i < LENGTH_BYTES; i++) {
        bool is_last = i + 1 == LENGTH_BYTES;
        out->data[at + i] = (uint8_t)((len & 0x7f) | (is_last ? 0 : 0x80));
        len >>= 7;
    }
}

/* --- what etcd would say --- */

/* The name of a field's type in Go, which its errors use. */
static const char *go_type(const ProtobufCFieldDescriptor *field, char *memory, size_t cap)
{
    const ProtobufCEnumDescriptor *enumeration = field->descriptor;
    size_t package = 0;
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_INT64:
        return "int64";
    case PROTOBUF_C_TYPE_UINT64:
        return "uint64";
    case PROTOBUF_C_TYPE_INT32:
        return "int32";
    case PROTOBUF_C_TYPE_UINT32:
        return "uint32";
    case PROTOBUF_C_TYPE_BOOL:
        return "bool";
    case PROTOBUF_C_TYPE_STRING:
        return "string";
    case PROTOBUF_C_TYPE_BYTES:
        return "[]uint8";
    case PROTOBUF_C_TYPE_ENUM:
        (void)snprintf(memory, cap, "%s", enumeration->name);
        package = strlen(enumeration->package_name);
        for (char *c = memory + (package < cap ? package + 1 : 0); *c != '\0'; c++) {
            *c = *c == '.' ? '_' : *c;
        }
        return memory;
    default:
        return "map[string]json.RawMessage";
    }
}

static int wrong_kind(const struct reader *r, const ProtobufCFieldDescriptor *field,
                      struct slice value, const char *type)
{
    char memory[128];
    json_fail(r->error, "json: cannot unmarshal %s into Go value of type %s",
              json_kind_name(json_kind_of(value)),
              type != NULL ? type : go_type(field, memory, sizeof(memory)));
    return BASE_E_INVALID;
}

static int wrong_number(const struct reader *r, struct slice value, const char *type)
{
    json_fail(r->error, "json: cannot unmarshal number %.*s into Go value of type %s",
              value.len < 200 ? (int)value.len : 200, (const char *)value.data, type);
    return BASE_E_INVALID;
}

/* --- scalars --- */

/* What fits; is_signed: INT64_MIN to INT64_MAX, else 0 to max. */
static bool parse_integer(struct slice text, bool is_signed, uint64_t max, uint64_t *ret)
{
    bool is_negative = text.len > 0 && text.data[0] == '-';
    uint64_t value = 0;
    if (is_negative && !is_signed) {
        return false;
    }
    if (slice_to_u64(is_negative ? slice_skip(text, 1) : text, &value) != 0 ||
        value > max + (is_negative ? 1 : 0)) {
        return false;
    }
    *ret = is_negative ? 0 - value : value;
    return true;
}

static bool integer_of(const ProtobufCFieldDescriptor *field, struct slice text, uint64_t *ret)
{
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_UINT64:
        return parse_integer(text, false, UINT64_MAX, ret);
    case PROTOBUF_C_TYPE_UINT32:
        return parse_integer(text, false, UINT32_MAX, ret);
    case PROTOBUF_C_TYPE_INT64:
        return parse_integer(text, true, INT64_MAX, ret);
    default:
        return parse_integer(text, true, INT32_MAX, ret);
    }
}

static int read_integer(const struct reader *r, const ProtobufCFieldDescriptor *field,
                        struct slice value)
{
    uint64_t number = 0;
    char memory[128];
    if (json_kind_of(value) == JSON_STRING) {
        int rc = json_scan_whole(json_inner(value), r->error, &value);
        if (rc != 0) {
            return rc;
        }
    }
    enum json_kind kind = json_kind_of(value);
    if (kind != JSON_NUMBER && kind != JSON_NULL) {
        return wrong_kind(r, field, value, NULL);
    }
    if (kind == JSON_NUMBER && !integer_of(field, value, &number)) {
        return wrong_number(r, value, go_type(field, memory, sizeof(memory)));
    }
    int rc = put_key(r->out, field, WIRE_VARINT);
    return rc != 0 ? rc : put_varint(r->out, number);
}

/* As Go's %q shows it. */
static void quote_go(struct slice text, char *out, size_t cap)
{
    size_t at = 0;
    while (text.len > 0 && at + 8 < cap) {
        size_t len = json_utf8(text);
        uint8_t c = text.data[0];
        if (c == '"' || c == '\\') {
            at += (size_t)snprintf(out + at, cap - at, "\\%c", c);
        } else if (len == 0 || c < ' ' || c == 0x7f) {
            at += (size_t)snprintf(out + at, cap - at, "\\x%02x", c);
        } else {
            memcpy(out + at, text.data, len);
            at += len;
        }
        text = slice_skip(text, len > 0 ? len : 1);
    }
    out[at] = '\0';
}

static int read_enum(const struct reader *r, const ProtobufCFieldDescriptor *field,
                     struct slice value)
{
    const ProtobufCEnumDescriptor *type = field->descriptor;
    char memory[128];
    char quoted[256];
    if (json_kind_of(value) != JSON_STRING) {
        return read_integer(r, field, value);
    }
    struct slice name = json_inner(value);
    for (unsigned i = 0; i < type->n_values; i++) {
        if (slice_equal(name, slice_from_text(type->values[i].name))) {
            int rc = put_key(r->out, field, WIRE_VARINT);
            return rc != 0 ? rc : put_varint(r->out, (uint64_t)(int64_t)type->values[i].value);
        }
    }
    quote_go(name, quoted, sizeof(quoted));
    json_fail(r->error, "unknown value \"%s\" for enum %s", quoted,
              go_type(field, memory, sizeof(memory)));
    return BASE_E_INVALID;
}

static int read_bool(const struct reader *r, const ProtobufCFieldDescriptor *field,
                     struct slice value)
{
    enum json_kind kind = json_kind_of(value);
    if (kind != JSON_BOOL && kind != JSON_NULL) {
        return wrong_kind(r, field, value, NULL);
    }
    int rc = put_key(r->out, field, WIRE_VARINT);
    return rc != 0 ? rc : put_varint(r->out, value.data[0] == 't');
}

/* --- base64, as Go's standard decoder: line ends are skipped, padding is wanted --- */

static int sextet(uint8_t c)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != 0 ? strchr(alphabet, c) : NULL;
    return at == NULL ? -1 : (int)(at - alphabet);
}

static size_t skip_line_ends(struct slice text, size_t at)
{
    while (at < text.len && (text.data[at] == '\n' || text.data[at] == '\r')) {
        at++;
    }
    return at;
}

/* One group of four from *at on into out; *ret_len bytes (less than 3: the last one). False: *at is
 * the offset of what is wrong. */
static bool take_group(struct slice text, size_t *at, uint8_t out[3], size_t *ret_len)
{
    uint32_t bits = 0;
    size_t i = *at;
    for (size_t k = 0; k < 4; k++) {
        i = skip_line_ends(text, i);
        if (i == text.len) {
            *at = i - k;
            *ret_len = 0;
            return k == 0;
        }
        int value = sextet(text.data[i++]);
        if (value >= 0) {
            bits |= (uint32_t)value << (18 - 6 * k);
            continue;
        }
        size_t wrong = i - 1;
        bool is_padding = text.data[i - 1] == '=' && k >= 2;
        if (is_padding && k == 2) {
            i = skip_line_ends(text, i);
            wrong = i;
            is_padding = i < text.len && text.data[i++] == '=';
        }
        size_t end = skip_line_ends(text, i);
        if (!is_padding || end < text.len) {
            *at = is_padding ? end : wrong;
            return false;
        }
        *ret_len = k - 1;
        i = end;
        break;
    }
    *at = i;
    for (size_t k = 0; k < 3; k++) {
        out[k] = (uint8_t)(bits >> (16 - 8 * k));
    }
    return true;
}

/* Decodes what stands in out from `from` on, in place. */
static int decode_base64(const struct reader *r, size_t from)
{
    struct slice text = slice_from(r->out->data + from, r->out->len - from);
    size_t at = 0;
    size_t len = 3;
    size_t to = from;
    while (at < text.len && len == 3) {
        uint8_t group[3] = {0};
        if (!take_group(text, &at, group, &len)) {
            json_fail(r->error, "illegal base64 data at input byte %zu", at);
            return BASE_E_INVALID;
        }
        memcpy(r->out->data + to, group, len);
        to += len;
    }
    r->out->len = to;
    return 0;
}

/* --- bytes and text --- */

/* A list of numbers is bytes, too. */
static int read_numbers(const struct reader *r, struct slice value)
{
    struct slice rest = value;
    struct slice item;
    while (json_next(&rest, NULL, &item)) {
        uint64_t number = 0;
        enum json_kind kind = json_kind_of(item);
        if (kind != JSON_NUMBER && kind != JSON_NULL) {
            return wrong_kind(r, NULL, item, "uint8");
        }
        if (kind == JSON_NUMBER && !parse_integer(item, false, UINT8_MAX, &number)) {
            return wrong_number(r, item, "uint8");
        }
        uint8_t byte = (uint8_t)number;
        int rc = io_bytes_append(r->out, slice_from(&byte, 1));
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

static int read_bytes(const struct reader *r, const ProtobufCFieldDescriptor *field,
                      struct slice value)
{
    bool is_text = field->type == PROTOBUF_C_TYPE_STRING;
    enum json_kind kind = json_kind_of(value);
    size_t begin = r->out->len;
    size_t at = 0;
    int rc = put_key(r->out, field, WIRE_BYTES);
    if (rc == 0) {
        rc = begin_length(r->out, &at);
    }
    if (rc != 0) {
        return rc;
    }
    if (kind == JSON_STRING) {
        rc = json_unescape(json_inner(value), r->out);
        if (rc == 0 && !is_text) {
            rc = decode_base64(r, at + LENGTH_BYTES);
        }
    } else if (kind == JSON_ARRAY && !is_text) {
        rc = read_numbers(r, value);
    } else if (kind != JSON_NULL) {
        rc = wrong_kind(r, field, value, NULL);
    }
    bool is_plain = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) == 0 &&
                    field->label != PROTOBUF_C_LABEL_REPEATED;
    if (r->out->len == at + LENGTH_BYTES && is_plain) {
        r->out->len = begin; /* nothing: left away, as every writer does */
        return rc;
    }
    end_length(r->out, at);
    return rc;
}

/* --- messages --- */

/* "create_revision" or "createRevision". */
static bool is_named(const ProtobufCFieldDescriptor *field, struct slice name)
{
    const char *c = field->name;
    if (slice_equal(name, slice_from_text(c))) {
        return true;
    }
    for (size_t i = 0; i < name.len; i++, c++) {
        char wanted = *c;
        if (*c == '_' && c[1] >= 'a' && c[1] <= 'z') {
            c++;
            wanted = (char)(*c - 'a' + 'A');
        } else if (*c == '_') {
            wanted = *++c;
        }
        if (wanted == '\0' || (char)name.data[i] != wanted) {
            return false;
        }
    }
    return *c == '\0';
}

static void sort_member(struct frame *frame, struct slice name, struct slice value)
{
    for (unsigned i = 0; i < frame->type->n_fields; i++) {
        if (is_named(&frame->type->fields[i], name)) {
            frame->values[i] = value;
            return;
        }
    }
}

static int sort_members(struct frame *frame, struct slice object)
{
    struct slice name;
    struct slice value;
    while (json_next(&object, &name, &value)) {
        struct io_bytes plain = {0};
        if (memchr(name.data, '\\', name.len) != NULL) {
            if (json_unescape(name, &plain) != 0) {
                return BASE_E_NOMEM;
            }
            name = slice_from(plain.data, plain.len);
        }
        sort_member(frame, name, value);
        io_bytes_free(&plain);
    }
    return 0;
}

/* Begins a message whose value is `object`; field NULL: the outermost. */
static int push(struct reader *r, const ProtobufCMessageDescriptor *type,
                const ProtobufCFieldDescriptor *field, struct slice object)
{
    enum json_kind kind = json_kind_of(object);
    if (r->depth == JSON_MESSAGES_MAX || type->n_fields > FIELDS_MAX) {
        json_fail(r->error, "exceeded max depth");
        return BASE_E_INVALID;
    }
    if (kind != JSON_OBJECT && kind != JSON_NULL) {
        return wrong_kind(r, NULL, object, "map[string]json.RawMessage");
    }
    struct frame *frame = &r->frames[r->depth];
    *frame = (struct frame){.type = type, .length_at = SIZE_MAX};
    int rc = kind == JSON_OBJECT ? sort_members(frame, object) : 0;
    if (rc == 0 && field != NULL) {
        rc = put_key(r->out, field, WIRE_BYTES);
        if (rc == 0) {
            rc = begin_length(r->out, &frame->length_at);
        }
    }
    r->depth++;
    return rc;
}

static int read_one(struct reader *r, const ProtobufCFieldDescriptor *field, struct slice value)
{
    switch ((int)field->type) {
    case PROTOBUF_C_TYPE_MESSAGE:
        return push(r, field->descriptor, field, value);
    case PROTOBUF_C_TYPE_ENUM:
        return read_enum(r, field, value);
    case PROTOBUF_C_TYPE_BOOL:
        return read_bool(r, field, value);
    case PROTOBUF_C_TYPE_STRING:
    case PROTOBUF_C_TYPE_BYTES:
        return read_bytes(r, field, value);
    default:
        return read_integer(r, field, value);
    }
}

static int begin_list(const struct reader *r, struct frame *frame,
                      const ProtobufCFieldDescriptor *field, struct slice value)
{
    char memory[128];
    enum json_kind kind = json_kind_of(value);
    if (kind == JSON_STRING && field->type == PROTOBUF_C_TYPE_ENUM) {
        json_fail(r->error, "invalid target \"slice\" for enum %s",
                  go_type(field, memory, sizeof(memory)));
        return BASE_E_INVALID;
    }
    if (kind == JSON_NULL) {
        frame->next++;
        return 0;
    }
    if (kind != JSON_ARRAY) {
        return wrong_kind(r, NULL, value, "[]json.RawMessage");
    }
    frame->items = value;
    return 0;
}

/* The next field of the message at hand, or the next item of its list. */
static int step(struct reader *r)
{
    struct frame *frame = &r->frames[r->depth - 1];
    unsigned count = frame->type->n_fields;
    struct slice item;
    if (frame->next == 2 * count) {
        r->depth--;
        if (frame->length_at != SIZE_MAX) {
            end_length(r->out, frame->length_at);
        }
        return 0;
    }
    const ProtobufCFieldDescriptor *field = &frame->type->fields[frame->next % count];
    struct slice value = frame->values[frame->next % count];
    bool is_union = (field->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
    if (frame->items.data != NULL) {
        if (json_next(&frame->items, NULL, &item)) {
            return read_one(r, field, item);
        }
        frame->items = SLICE_EMPTY;
        frame->next++;
        return 0;
    }
    if (value.data == NULL || is_union != (frame->next >= count)) {
        frame->next++;
        return 0;
    }
    if (field->label == PROTOBUF_C_LABEL_REPEATED) {
        return begin_list(r, frame, field, value);
    }
    frame->next++;
    bool is_absent = field->type == PROTOBUF_C_TYPE_MESSAGE && json_kind_of(value) == JSON_NULL;
    return is_absent ? 0 : read_one(r, field, value);
}

int json_read(const ProtobufCMessageDescriptor *type, struct slice *text, struct io_bytes *out,
              struct json_error *error)
{
    struct reader r = {.out = out, .error = error};
    struct slice value = json_skip_space(*text);
    size_t len = 0;
    if (value.len == 0) {
        return BASE_E_NOTFOUND;
    }
    int rc = json_scan(value, "unexpected EOF", error, &len);
    if (rc != 0) {
        return rc;
    }
    *text = slice_skip(value, len);
    rc = push(&r, type, NULL, slice_from(value.data, len));
    while (rc == 0 && r.depth > 0) {
        rc = step(&r);
    }
    return rc;
}
