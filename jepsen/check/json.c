/* SPDX-License-Identifier: Apache-2.0 */
/* Writer and reader of the history format: flat JSON objects, arrays only in "parts". */
#include "jepsen/check/json.h"

#include <string.h>

/* --- writer --- */

static const char *const status_names[] = {"invoke", "ok", "fail", "info"};
static const char *const kind_names[] = {"get", "put", "del"};

static void put_key(struct buf *out, const struct chk_history *h, uint32_t key)
{
    buf_put_text(out, "\"");
    buf_put_text(out, h->keys[key].text);
    buf_put_text(out, "\"");
}

static void put_part(struct buf *out, const struct chk_history *h, const struct chk_part *part)
{
    buf_put_text(out, "[\"");
    buf_put_text(out, kind_names[part->kind]);
    buf_put_text(out, "\",");
    put_key(out, h, part->key);
    buf_put_text(out, ",");
    buf_put_int(out, part->value);
    buf_put_text(out, ",");
    buf_put_dec(out, part->revision);
    buf_put_text(out, "]");
}

static void put_number(struct buf *out, const char *name, int64_t value)
{
    buf_put_text(out, ",\"");
    buf_put_text(out, name);
    buf_put_text(out, "\":");
    buf_put_int(out, value);
}

void chk_json_write(struct buf *out, const struct chk_history *h, const struct chk_op *op)
{
    buf_put_text(out, "{\"process\":");
    buf_put_dec(out, op->process);
    buf_put_text(out, ",\"type\":\"");
    buf_put_text(out, status_names[op->status]);
    buf_put_text(out, "\"");
    put_number(out, "call", op->call_us);
    if (op->return_us != CHK_NO_RETURN) {
        put_number(out, "return", op->return_us);
    }
    if (op->revision != 0) {
        put_number(out, "rev", (int64_t)op->revision);
    }
    if (op->has_compare) {
        buf_put_text(out, ",\"if\":");
        put_key(out, h, op->compare_key);
        put_number(out, "is", op->compare_value);
        put_number(out, "applied", op->is_applied);
        if (op->has_seen) {
            put_number(out, "saw", op->compare_seen);
            put_number(out, "saw-rev", (int64_t)op->seen_revision);
        }
    }
    buf_put_text(out, ",\"parts\":[");
    for (size_t i = 0; i < op->parts_count; i++) {
        if (i > 0) {
            buf_put_text(out, ",");
        }
        put_part(out, h, &op->parts[i]);
    }
    buf_put_text(out, "]}\n");
}

/* --- reader --- */

struct reader {
    struct chk_history *h;
    struct slice s;
    const char *why;
    unsigned seen; /* bits of enum field */
    struct chk_op op;
};

enum field {
    FIELD_PROCESS,
    FIELD_TYPE,
    FIELD_CALL,
    FIELD_RETURN,
    FIELD_REV,
    FIELD_IF,
    FIELD_IS,
    FIELD_APPLIED,
    FIELD_SAW,
    FIELD_SAW_REV,
    FIELD_PARTS
};
static const char *const field_names[] = {"process", "type",    "call", "return",  "rev",  "if",
                                          "is",      "applied", "saw",  "saw-rev", "parts"};

static int bad(struct reader *r, const char *why)
{
    r->why = why;
    return BASE_E_PROTO;
}

static void skip_space(struct reader *r)
{
    while (r->s.len > 0 && (r->s.data[0] == ' ' || r->s.data[0] == '\t' || r->s.data[0] == '\r')) {
        r->s = slice_skip(r->s, 1);
    }
}

static bool take_char(struct reader *r, char c)
{
    skip_space(r);
    if (r->s.len == 0 || r->s.data[0] != (uint8_t)c) {
        return false;
    }
    r->s = slice_skip(r->s, 1);
    return true;
}

static int take_text(struct reader *r, struct slice *ret)
{
    if (!take_char(r, '"')) {
        return bad(r, "a text expected");
    }
    for (size_t i = 0; i < r->s.len; i++) {
        if (r->s.data[i] == '\\' || r->s.data[i] < 0x20) {
            return bad(r, "escapes and control characters are not part of this format");
        }
        if (r->s.data[i] == '"') {
            *ret = slice_from(r->s.data, i);
            r->s = slice_skip(r->s, i + 1);
            return 0;
        }
    }
    return bad(r, "text without end");
}

static int take_integer(struct reader *r, int64_t *ret)
{
    bool is_negative = take_char(r, '-');
    size_t len = 0;
    while (len < r->s.len && r->s.data[len] >= '0' && r->s.data[len] <= '9') {
        len++;
    }
    uint64_t value = 0;
    if (slice_to_u64(slice_from(r->s.data, len), &value) != 0 || value > (uint64_t)INT64_MAX) {
        return bad(r, "an integer expected");
    }
    r->s = slice_skip(r->s, len);
    *ret = is_negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

static int take_name_of(struct reader *r, const char *const *names, size_t count, size_t *ret)
{
    struct slice text;
    int rc = take_text(r, &text);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (slice_equal(text, slice_from_text(names[i]))) {
            *ret = i;
            return 0;
        }
    }
    return rc != 0 ? rc : bad(r, "unknown word");
}

static int take_key(struct reader *r, uint32_t *ret)
{
    struct slice text;
    int rc = take_text(r, &text);
    if (rc != 0) {
        return rc;
    }
    rc = chk_history_key(r->h, text, ret);
    if (rc != 0) {
        r->why = rc == BASE_E_NOSPACE ? "too many keys" : "key empty or too long";
    }
    return rc;
}

static int take_part(struct reader *r)
{
    struct chk_part part = {.kind = CHK_READ};
    size_t kind = 0;
    int64_t revision = 0;
    if (!take_char(r, '[')) {
        return bad(r, "[ expected");
    }
    int rc = take_name_of(r, kind_names, BASE_COUNT_OF(kind_names), &kind);
    if (rc == 0) {
        rc = take_char(r, ',') ? take_key(r, &part.key) : bad(r, ", expected");
    }
    if (rc == 0) {
        rc = take_char(r, ',') ? take_integer(r, &part.value) : bad(r, ", expected");
    }
    if (rc == 0) {
        rc = take_char(r, ',') ? take_integer(r, &revision) : bad(r, ", expected");
    }
    if (rc != 0) {
        return rc;
    }
    if (!take_char(r, ']') || revision < 0 || part.value < 0) {
        return bad(r, "a part is [kind, key, value, revision]");
    }
    if (r->op.parts_count == CHK_PARTS_MAX) {
        return bad(r, "too many parts");
    }
    part.kind = (enum chk_kind)kind;
    part.revision = (uint64_t)revision;
    r->op.parts[r->op.parts_count++] = part;
    return 0;
}

static int take_parts(struct reader *r)
{
    if (!take_char(r, '[')) {
        return bad(r, "[ expected");
    }
    if (take_char(r, ']')) {
        return 0;
    }
    do {
        int rc = take_part(r);
        if (rc != 0) {
            return rc;
        }
    } while (take_char(r, ','));
    return take_char(r, ']') ? 0 : bad(r, "] expected");
}

static int take_number_field(struct reader *r, enum field field)
{
    int64_t value = 0;
    int rc = take_integer(r, &value);
    if (rc != 0) {
        return rc;
    }
    if (value < 0 && field != FIELD_CALL && field != FIELD_RETURN) {
        return bad(r, "negative number");
    }
    if (field == FIELD_PROCESS) {
        r->op.process = (uint32_t)value;
    } else if (field == FIELD_CALL) {
        r->op.call_us = value;
    } else if (field == FIELD_RETURN) {
        r->op.return_us = value;
    } else if (field == FIELD_REV) {
        r->op.revision = (uint64_t)value;
    } else if (field == FIELD_IS) {
        r->op.compare_value = value;
    } else if (field == FIELD_SAW) {
        r->op.has_seen = true;
        r->op.compare_seen = value;
    } else if (field == FIELD_SAW_REV) {
        r->op.seen_revision = (uint64_t)value;
    } else {
        r->op.is_applied = value != 0;
    }
    return 0;
}

static int take_field(struct reader *r)
{
    size_t field = 0;
    int rc = take_name_of(r, field_names, BASE_COUNT_OF(field_names), &field);
    if (rc != 0) {
        return rc;
    }
    if ((r->seen >> field & 1) != 0) {
        return bad(r, "field twice");
    }
    r->seen |= 1u << field;
    if (!take_char(r, ':')) {
        return bad(r, ": expected");
    }
    if (field == FIELD_TYPE) {
        size_t status = 0;
        rc = take_name_of(r, status_names, BASE_COUNT_OF(status_names), &status);
        r->op.status = (enum chk_status)status;
        return rc;
    }
    if (field == FIELD_IF) {
        r->op.has_compare = true;
        return take_key(r, &r->op.compare_key);
    }
    return field == FIELD_PARTS ? take_parts(r) : take_number_field(r, (enum field)field);
}

static int check_fields(struct reader *r)
{
    const unsigned need =
        1u << FIELD_PROCESS | 1u << FIELD_TYPE | 1u << FIELD_CALL | 1u << FIELD_PARTS;
    bool has_return = (r->seen >> FIELD_RETURN & 1) != 0, is_over = r->op.status == CHK_DONE;
    if ((r->seen & need) != need) {
        return bad(r, "process, type, call and parts are needed");
    }
    if (is_over && (!has_return || r->op.return_us < r->op.call_us)) {
        return bad(r, "ok needs a return not before its call");
    }
    if (r->op.has_compare != ((r->seen >> FIELD_IS & 1) != 0)) {
        return bad(r, "if and is go together");
    }
    if (is_over && r->op.has_compare && (r->seen >> FIELD_APPLIED & 1) == 0) {
        return bad(r, "ok with a comparison needs applied");
    }
    if (r->op.parts_count == 0) {
        return bad(r, "an operation has parts");
    }
    if (r->op.status != CHK_DONE && r->op.status != CHK_FAILED) {
        r->op.return_us = CHK_NO_RETURN;
    }
    return 0;
}

/* The open invocation of a process; NULL when there is none. */
static struct chk_op *find_invoked(struct chk_history *h, uint32_t process)
{
    for (size_t i = h->count; i-- > 0;) {
        if (h->ops[i].process == process) {
            return h->ops[i].status == CHK_INVOKED ? &h->ops[i] : NULL;
        }
    }
    return NULL;
}

static int store_op(struct reader *r)
{
    struct chk_op *invoked = find_invoked(r->h, r->op.process);
    if (invoked == NULL) {
        int rc = chk_history_add(r->h, &r->op);
        r->why = rc != 0 ? "too many operations" : r->why;
        return rc;
    }
    if (r->op.status == CHK_INVOKED || invoked->call_us != r->op.call_us) {
        r->why = "the process has another operation under way";
        return BASE_E_STATE;
    }
    *invoked = r->op;
    return 0;
}

int chk_json_read_line(struct chk_history *h, struct slice line, const char **ret_why)
{
    struct reader r = {.h = h, .s = line, .why = "malformed"};
    r.op.return_us = CHK_NO_RETURN;
    r.op.is_applied = true;
    int rc = take_char(&r, '{') ? 0 : bad(&r, "{ expected");
    while (rc == 0) {
        rc = take_field(&r);
        if (rc == 0 && !take_char(&r, ',')) {
            break;
        }
    }
    if (rc == 0 && !take_char(&r, '}')) {
        rc = bad(&r, "} expected");
    }
    skip_space(&r);
    if (rc == 0 && r.s.len != 0) {
        rc = bad(&r, "text behind the object");
    }
    if (rc == 0) {
        rc = check_fields(&r);
    }
    if (rc == 0) {
        rc = store_op(&r);
    }
    if (rc != 0) {
        *ret_why = r.why;
    }
    return rc;
}

int chk_json_read(struct chk_history *h, struct slice text, size_t *ret_line, const char **ret_why)
{
    size_t number = 0;
    while (text.len > 0) {
        size_t len = 0;
        while (len < text.len && text.data[len] != '\n') {
            len++;
        }
        number++;
        struct slice line = slice_from(text.data, len);
        if (len > 0) {
            int rc = chk_json_read_line(h, line, ret_why);
            if (rc != 0) {
                *ret_line = number;
                return rc;
            }
        }
        text = slice_skip(text, len < text.len ? len + 1 : len);
    }
    return 0;
}
