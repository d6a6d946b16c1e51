/* SPDX-License-Identifier: Apache-2.0 */
/* A scanner for JSON with the error texts of Go's, which etcd's clients get to see; see
 * json_scan.h. */
#include "kv/api/json_scan.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct scanner {
    struct slice text;
    size_t at;
    size_t depth;
    bool is_object[JSON_DEPTH_MAX];
    const char *eof;
    struct json_error *error;
};

void json_fail(struct json_error *error, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(error->text, sizeof(error->text), format, arguments);
    va_end(arguments);
}

/* A character as Go quotes it; bytes above 0x7f stand for themselves in Latin-1. */
static void quote_char(uint8_t c, char out[16])
{
    static const char plain[] = "\a\b\f\n\r\t\v\\";
    static const char letters[] = "abfnrtv\\";
    const char *special = c != 0 ? strchr(plain, c) : NULL;
    uint8_t bytes[4];
    if (special != NULL) {
        (void)snprintf(out, 16, "'\\%c'", letters[special - plain]);
    } else if (c == '\'') {
        (void)snprintf(out, 16, "'\\''");
    } else if (c < ' ' || c == 0x7f) {
        (void)snprintf(out, 16, "'\\x%02x'", c);
    } else if (c < 0x80) {
        (void)snprintf(out, 16, "'%c'", c);
    } else if (c <= 0xa0 || c == 0xad) {
        (void)snprintf(out, 16, "'\\u%04x'", c);
    } else {
        size_t len = json_put_utf8(c, bytes);
        (void)snprintf(out, 16, "'%.*s'", (int)len, (const char *)bytes);
    }
}

/* "" for `what`: the text has ended. */
static int refuse(const struct scanner *s, const char *what)
{
    char quoted[16];
    if (s->at >= s->text.len) {
        json_fail(s->error, "%s", s->eof);
        return BASE_E_INVALID;
    }
    quote_char(s->text.data[s->at], quoted);
    json_fail(s->error, "invalid character %s %s", quoted, what);
    return BASE_E_INVALID;
}

/* The byte at hand, or -1 at the end. */
static int peek(const struct scanner *s)
{
    return s->at < s->text.len ? s->text.data[s->at] : -1;
}

static bool is_space(int c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(int c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static int scan_escape(struct scanner *s)
{
    int c = peek(s);
    if (c < 0 || strchr("bfnrt\\/\"u", c) == NULL || c == 0) {
        return refuse(s, "in string escape code");
    }
    s->at++;
    for (int i = 0; c == 'u' && i < 4; i++, s->at++) {
        if (!is_hex(peek(s))) {
            return refuse(s, "in \\u hexadecimal character escape");
        }
    }
    return 0;
}

static int scan_string(struct scanner *s)
{
    s->at++;
    for (;;) {
        int c = peek(s);
        if (c < ' ') {
            return refuse(s, "in string literal");
        }
        s->at++;
        if (c == '"') {
            return 0;
        }
        if (c == '\\') {
            int rc = scan_escape(s);
            if (rc != 0) {
                return rc;
            }
        }
    }
}

static int scan_digits(struct scanner *s, const char *what)
{
    if (!is_digit(peek(s))) {
        return refuse(s, what);
    }
    while (is_digit(peek(s))) {
        s->at++;
    }
    return 0;
}

static int scan_number(struct scanner *s)
{
    int rc = 0;
    if (peek(s) == '-') {
        s->at++;
    }
    if (peek(s) == '0') {
        s->at++;
    } else {
        rc = scan_digits(s, "in numeric literal");
    }
    if (rc == 0 && peek(s) == '.') {
        s->at++;
        rc = scan_digits(s, "after decimal point in numeric literal");
    }
    if (rc == 0 && (peek(s) == 'e' || peek(s) == 'E')) {
        s->at++;
        if (peek(s) == '+' || peek(s) == '-') {
            s->at++;
        }
        rc = scan_digits(s, "in exponent of numeric literal");
    }
    return rc;
}

static int scan_literal(struct scanner *s, const char *word)
{
    char what[48];
    for (const char *c = word; *c != '\0'; c++, s->at++) {
        if (peek(s) != *c) {
            (void)snprintf(what, sizeof(what), "in literal %s (expecting '%c')", word, *c);
            return refuse(s, what);
        }
    }
    return 0;
}

enum want { WANT_VALUE, WANT_VALUE_OR_END, WANT_NAME, WANT_NAME_OR_END, WANT_COLON, WANT_AFTER };

static int scan_push(struct scanner *s, bool is_object)
{
    if (s->depth == JSON_DEPTH_MAX) {
        json_fail(s->error, "exceeded max depth");
        return BASE_E_INVALID;
    }
    s->is_object[s->depth++] = is_object;
    s->at++;
    return 0;
}

static void scan_pop(struct scanner *s, enum want *want)
{
    s->depth--;
    s->at++;
    *want = WANT_AFTER;
}

static int scan_value(struct scanner *s, enum want *want)
{
    int c = peek(s);
    enum want before = *want;
    *want = WANT_AFTER;
    switch (c) {
    case '{':
        *want = WANT_NAME_OR_END;
        return scan_push(s, true);
    case '[':
        *want = WANT_VALUE_OR_END;
        return scan_push(s, false);
    case ']':
        if (before == WANT_VALUE_OR_END) {
            scan_pop(s, want);
            return 0;
        }
        break;
    case '"':
        return scan_string(s);
    case 't':
        return scan_literal(s, "true");
    case 'f':
        return scan_literal(s, "false");
    case 'n':
        return scan_literal(s, "null");
    default:
        if (c == '-' || is_digit(c)) {
            return scan_number(s);
        }
        break;
    }
    return refuse(s, "looking for beginning of value");
}

static int scan_name(struct scanner *s, enum want *want)
{
    if (peek(s) == '}' && *want == WANT_NAME_OR_END) {
        scan_pop(s, want);
        return 0;
    }
    if (peek(s) != '"') {
        return refuse(s, "looking for beginning of object key string");
    }
    *want = WANT_COLON;
    return scan_string(s);
}

static int scan_after(struct scanner *s, enum want *want)
{
    bool is_object = s->is_object[s->depth - 1];
    int c = peek(s);
    if (c == ',') {
        s->at++;
        *want = is_object ? WANT_NAME : WANT_VALUE;
        return 0;
    }
    if (c == (is_object ? '}' : ']')) {
        scan_pop(s, want);
        return 0;
    }
    return refuse(s, is_object ? "after object key:value pair" : "after array element");
}

static int scan_step(struct scanner *s, enum want *want)
{
    while (is_space(peek(s))) {
        s->at++;
    }
    switch (*want) {
    case WANT_VALUE:
    case WANT_VALUE_OR_END:
        return scan_value(s, want);
    case WANT_NAME:
    case WANT_NAME_OR_END:
        return scan_name(s, want);
    case WANT_COLON:
        if (peek(s) != ':') {
            return refuse(s, "after object key");
        }
        s->at++;
        *want = WANT_VALUE;
        return 0;
    case WANT_AFTER:
        break;
    }
    return scan_after(s, want);
}

int json_scan(struct slice text, const char *eof, struct json_error *error, size_t *ret_len)
{
    struct scanner s = {.text = text, .eof = eof, .error = error};
    enum want want = WANT_VALUE;
    do {
        int rc = scan_step(&s, &want);
        if (rc != 0) {
            return rc;
        }
    } while (s.depth > 0 || want != WANT_AFTER);
    *ret_len = s.at;
    return 0;
}

struct slice json_skip_space(struct slice text)
{
    while (text.len > 0 && is_space(text.data[0])) {
        text = slice_skip(text, 1);
    }
    return text;
}

int json_scan_whole(struct slice text, struct json_error *error, struct slice *ret)
{
    struct scanner s = {.eof = "unexpected end of JSON input", .error = error};
    text = json_skip_space(text);
    size_t len = 0;
    int rc = json_scan(text, s.eof, error, &len);
    if (rc != 0) {
        return rc;
    }
    s.text = json_skip_space(slice_skip(text, len));
    *ret = slice_from(text.data, len);
    return s.text.len == 0 ? 0 : refuse(&s, "after top-level value");
}

/* --- of values that were scanned --- */

enum json_kind json_kind_of(struct slice value)
{
    switch (value.data[0]) {
    case '{':
        return JSON_OBJECT;
    case '[':
        return JSON_ARRAY;
    case '"':
        return JSON_STRING;
    case 't':
    case 'f':
        return JSON_BOOL;
    case 'n':
        return JSON_NULL;
    default:
        return JSON_NUMBER;
    }
}

const char *json_kind_name(enum json_kind kind)
{
    static const char *const names[] = {"object", "array", "string", "number", "bool", "null"};
    return names[kind];
}

struct slice json_inner(struct slice string)
{
    return slice_from(string.data + 1, string.len - 2);
}

/* Length of the string at the front of text, quotes included. */
static size_t string_len(struct slice text)
{
    size_t at = 1;
    while (text.data[at] != '"') {
        at += text.data[at] == '\\' ? 2 : 1;
    }
    return at + 1;
}

static size_t value_len(struct slice text)
{
    size_t at = 0;
    size_t depth = 0;
    do {
        uint8_t c = text.data[at];
        if (c == '"') {
            at += string_len(slice_skip(text, at));
            continue;
        }
        depth += c == '{' || c == '[';
        depth -= c == '}' || c == ']';
        at++;
    } while (depth > 0);
    if (strchr("{[\"", text.data[0]) != NULL) {
        return at;
    }
    while (at < text.len && !is_space(text.data[at]) && text.data[at] != ',' &&
           text.data[at] != '}' && text.data[at] != ']') {
        at++; /* a number or a word */
    }
    return at;
}

bool json_next(struct slice *rest, struct slice *ret_name, struct slice *ret_value)
{
    struct slice text = json_skip_space(slice_skip(*rest, 1)); /* behind '{', '[' or ',' */
    if (text.len == 0 || text.data[0] == '}' || text.data[0] == ']') {
        return false;
    }
    if (ret_name != NULL) {
        size_t len = string_len(text);
        *ret_name = slice_from(text.data + 1, len - 2);
        text = json_skip_space(slice_skip(text, len));
        text = json_skip_space(slice_skip(text, 1)); /* the colon */
    }
    size_t len = value_len(text);
    *ret_value = slice_from(text.data, len);
    *rest = json_skip_space(slice_skip(text, len));
    return true;
}

/* --- text --- */

size_t json_utf8(struct slice text)
{
    static const struct {
        uint8_t mask, lead, len;
        uint32_t least;
    } forms[] = {{0x80, 0x00, 1, 0},
                 {0xe0, 0xc0, 2, 0x80},
                 {0xf0, 0xe0, 3, 0x800},
                 {0xf8, 0xf0, 4, 0x10000}};
    for (size_t i = 0; text.len > 0 && i < BASE_COUNT_OF(forms); i++) {
        if ((text.data[0] & forms[i].mask) != forms[i].lead || forms[i].len > text.len) {
            continue;
        }
        uint32_t code = text.data[0] & (uint8_t)~forms[i].mask;
        for (size_t k = 1; k < forms[i].len; k++) {
            if ((text.data[k] & 0xc0) != 0x80) {
                return 0;
            }
            code = code << 6 | (text.data[k] & 0x3f);
        }
        bool is_surrogate = code >= 0xd800 && code < 0xe000;
        return code < forms[i].least || is_surrogate || code > 0x10ffff ? 0 : forms[i].len;
    }
    return 0;
}

size_t json_put_utf8(uint32_t code, uint8_t out[4])
{
    if (code < 0x80) {
        out[0] = (uint8_t)code;
        return 1;
    }
    if (code < 0x800) {
        out[0] = (uint8_t)(0xc0 | code >> 6);
        out[1] = (uint8_t)(0x80 | (code & 0x3f));
        return 2;
    }
    if (code < 0x10000) {
        out[0] = (uint8_t)(0xe0 | code >> 12);
        out[1] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
        out[2] = (uint8_t)(0x80 | (code & 0x3f));
        return 3;
    }
    out[0] = (uint8_t)(0xf0 | code >> 18);
    out[1] = (uint8_t)(0x80 | (code >> 12 & 0x3f));
    out[2] = (uint8_t)(0x80 | (code >> 6 & 0x3f));
    out[3] = (uint8_t)(0x80 | (code & 0x3f));
    return 4;
}

/* The four digits behind "\u"; `text` begins with the backslash. UINT32_MAX: it does not. */
static uint32_t hex4(struct slice text)
{
    uint32_t code = 0;
    if (text.len < 6 || text.data[0] != '\\' || text.data[1] != 'u') {
        return UINT32_MAX;
    }
    for (size_t i = 2; i < 6; i++) {
        uint8_t c = text.data[i];
        code = code << 4 | (uint32_t)(c <= '9' ? c - '0' : (c | 0x20) - 'a' + 10);
    }
    return code;
}

/* Takes an escape off the front of *text. */
static uint32_t take_escape(struct slice *text)
{
    static const char letters[] = "bfnrt";
    static const char codes[] = "\b\f\n\r\t";
    uint32_t code = hex4(*text);
    if (code == UINT32_MAX) {
        const char *letter = strchr(letters, text->data[1]);
        code = letter != NULL ? (uint8_t)codes[letter - letters] : text->data[1];
        *text = slice_skip(*text, 2);
        return code;
    }
    *text = slice_skip(*text, 6);
    if (code < 0xd800 || code >= 0xe000) {
        return code;
    }
    uint32_t low = code < 0xdc00 ? hex4(*text) : UINT32_MAX;
    if (low < 0xdc00 || low >= 0xe000) {
        return 0xfffd; /* half of a pair */
    }
    *text = slice_skip(*text, 6);
    return 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
}

int json_unescape(struct slice inner, struct io_bytes *out)
{
    int rc = io_bytes_reserve(out, inner.len + 4);
    while (inner.len > 0 && rc == 0) {
        size_t run = 0;
        while (run < inner.len && inner.data[run] != '\\' && inner.data[run] < 0x80) {
            run++;
        }
        if (run > 0) {
            rc = io_bytes_append(out, slice_from(inner.data, run));
            inner = slice_skip(inner, run);
            continue;
        }
        uint8_t bytes[4];
        size_t len = json_utf8(inner);
        if (inner.data[0] == '\\') {
            len = json_put_utf8(take_escape(&inner), bytes);
        } else if (len > 0) {
            memcpy(bytes, inner.data, len);
            inner = slice_skip(inner, len);
        } else {
            len = json_put_utf8(0xfffd, bytes);
            inner = slice_skip(inner, 1);
        }
        rc = io_bytes_append(out, slice_from(bytes, len));
    }
    return rc;
}
