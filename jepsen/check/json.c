/* SPDX-License-Identifier: Apache-2.0 */
/* Writer and reader of the history format: flat JSON objects, arrays only in "parts". */
#include "jepsen/check/json.h"

#include "jepsen/check/scan.h"

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
    struct chk_scan s;
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

static int take_key(struct reader *r, uint32_t *ret)
{
    struct slice text;
    int rc = chk_scan_text(&r->s, &text);
    if (rc != 0) {
        return rc;
    }
    rc = chk_history_key(r->h, text, ret);
    if (rc != 0) {
        r->s.why = rc == BASE_E_NOSPACE ? "too many keys" : "key empty or too long";
    }
    return rc;
}

static int take_part(void *ctx)
{
    struct reader *r = ctx;
    struct chk_part part = {.kind = CHK_READ};
    size_t kind = 0;
    int64_t revision = 0;
    if (!chk_scan_char(&r->s, '[')) {
        return chk_scan_bad(&r->s, "[ expected");
    }
    int rc = chk_scan_word(&r->s, kind_names, BASE_COUNT_OF(kind_names), &kind);
    if (rc == 0) {
        rc = chk_scan_char(&r->s, ',') ? take_key(r, &part.key) : chk_scan_bad(&r->s, ", expected");
    }
    if (rc == 0) {
        rc = chk_scan_char(&r->s, ',') ? chk_scan_integer(&r->s, &part.value)
                                       : chk_scan_bad(&r->s, ", expected");
    }
    if (rc == 0) {
        rc = chk_scan_char(&r->s, ',') ? chk_scan_integer(&r->s, &revision)
                                       : chk_scan_bad(&r->s, ", expected");
    }
    if (rc != 0) {
        return rc;
    }
    if (!chk_scan_char(&r->s, ']') || revision < 0 || part.value < 0) {
        return chk_scan_bad(&r->s, "a part is [kind, key, value, revision]");
    }
    if (r->op.parts_count == CHK_PARTS_MAX) {
        return chk_scan_bad(&r->s, "too many parts");
    }
    part.kind = (enum chk_kind)kind;
    part.revision = (uint64_t)revision;
    r->op.parts[r->op.parts_count++] = part;
    return 0;
}

static int take_number_field(struct reader *r, enum field field)
{
    int64_t value = 0;
    bool is_time = field == FIELD_CALL || field == FIELD_RETURN;
    int rc = is_time ? chk_scan_time(&r->s, &value) : chk_scan_integer(&r->s, &value);
    if (rc != 0) {
        return rc;
    }
    if (field == FIELD_PROCESS && value > UINT32_MAX) {
        return chk_scan_bad(&r->s, "process number too large");
    }
    if (value < 0 && field != FIELD_CALL && field != FIELD_RETURN) {
        return chk_scan_bad(&r->s, "negative number");
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
    int rc = chk_scan_word(&r->s, field_names, BASE_COUNT_OF(field_names), &field);
    if (rc != 0) {
        return rc;
    }
    if ((r->seen >> field & 1) != 0) {
        return chk_scan_bad(&r->s, "field twice");
    }
    r->seen |= 1u << field;
    if (!chk_scan_char(&r->s, ':')) {
        return chk_scan_bad(&r->s, ": expected");
    }
    if (field == FIELD_TYPE) {
        size_t status = 0;
        rc = chk_scan_word(&r->s, status_names, BASE_COUNT_OF(status_names), &status);
        r->op.status = (enum chk_status)status;
        return rc;
    }
    if (field == FIELD_IF) {
        r->op.has_compare = true;
        return take_key(r, &r->op.compare_key);
    }
    return field == FIELD_PARTS ? chk_scan_array(&r->s, take_part, r)
                                : take_number_field(r, (enum field)field);
}

static int check_fields(struct reader *r)
{
    const unsigned need =
        1u << FIELD_PROCESS | 1u << FIELD_TYPE | 1u << FIELD_CALL | 1u << FIELD_PARTS;
    bool has_return = (r->seen >> FIELD_RETURN & 1) != 0, is_over = r->op.status == CHK_DONE;
    if ((r->seen & need) != need) {
        return chk_scan_bad(&r->s, "process, type, call and parts are needed");
    }
    if (is_over && (!has_return || r->op.return_us < r->op.call_us)) {
        return chk_scan_bad(&r->s, "ok needs a return not before its call");
    }
    if (r->op.has_compare != ((r->seen >> FIELD_IS & 1) != 0)) {
        return chk_scan_bad(&r->s, "if and is go together");
    }
    if (is_over && r->op.has_compare && (r->seen >> FIELD_APPLIED & 1) == 0) {
        return chk_scan_bad(&r->s, "ok with a comparison needs applied");
    }
    if (r->op.parts_count == 0) {
        return chk_scan_bad(&r->s, "an operation has parts");
    }
    if (r->op.status != CHK_DONE && r->op.status != CHK_FAILED) {
        r->op.return_us = CHK_NO_RETURN;
    }
    return 0;
}

/* The open invocation of a process; NULL when there is none. */
static struct chk_op *find_invoked(struct chk_history *h, uint32_t process)
{
    for (size_t i = h->open > 0 ? h->count : 0; i-- > 0;) {
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
        r->h->open += rc == 0 && r->op.status == CHK_INVOKED;
        r->s.why = rc != 0 ? "too many operations" : r->s.why;
        return rc;
    }
    if (r->op.status == CHK_INVOKED || invoked->call_us != r->op.call_us) {
        r->s.why = "the process has another operation under way";
        return BASE_E_STATE;
    }
    *invoked = r->op;
    r->h->open--;
    return 0;
}

int chk_json_read_line(struct chk_history *h, struct slice line, const char **ret_why)
{
    struct reader r = {.h = h, .s = {line, "malformed"}};
    r.op.return_us = CHK_NO_RETURN;
    r.op.is_applied = true;
    int rc = chk_scan_char(&r.s, '{') ? 0 : chk_scan_bad(&r.s, "{ expected");
    while (rc == 0) {
        rc = take_field(&r);
        if (rc == 0 && !chk_scan_char(&r.s, ',')) {
            break;
        }
    }
    if (rc == 0 && !chk_scan_char(&r.s, '}')) {
        rc = chk_scan_bad(&r.s, "} expected");
    }
    if (rc == 0) {
        rc = chk_scan_end(&r.s);
    }
    if (rc == 0) {
        rc = check_fields(&r);
    }
    if (rc == 0) {
        rc = store_op(&r);
    }
    if (rc != 0) {
        *ret_why = r.s.why;
    }
    return rc;
}

int chk_json_read(struct chk_history *h, struct slice text, size_t *ret_line, const char **ret_why)
{
    size_t number = 0;
    for (struct slice line; chk_scan_line(&text, &line);) {
        number++;
        int rc = line.len > 0 ? chk_json_read_line(h, line, ret_why) : 0;
        if (rc != 0) {
            *ret_line = number;
            return rc;
        }
    }
    return 0;
}
