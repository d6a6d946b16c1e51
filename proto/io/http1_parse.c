/* SPDX-License-Identifier: Apache-2.0 */
/* Request heads and chunked bodies of HTTP/1.1. Sections cited are of RFC 9112 and RFC 9110. */
#include "proto/io/http1_parse.h"

#include <string.h>

#define CHUNK_LINE_MAX 256

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool equals_lower(struct slice text, struct slice lower_name)
{
    if (text.len != lower_name.len) {
        return false;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (lower(text.data[i]) != lower_name.data[i]) {
            return false;
        }
    }
    return true;
}

size_t http1_head_end(struct slice text)
{
    static const uint8_t end[] = {'\r', '\n', '\r', '\n'};
    const uint8_t *found =
        text.len >= sizeof(end) ? memmem(text.data, text.len, end, sizeof(end)) : NULL;
    return found != NULL ? (size_t)(found - text.data) + sizeof(end) : 0;
}

/* Token characters of RFC 9110 5.6.2. */
static bool is_token(struct slice text)
{
    static const char others[] = "!#$%&'*+-.^_`|~";
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        bool is_alnum = (lower(c) >= 'a' && lower(c) <= 'z') || (c >= '0' && c <= '9');
        if (!is_alnum && (c == 0 || strchr(others, c) == NULL)) {
            return false;
        }
    }
    return text.len > 0;
}

/* Takes the next line off *text, without its CRLF. */
static bool take_line(struct slice *text, struct slice *ret)
{
    static const uint8_t end[] = {'\r', '\n'};
    const uint8_t *found = text->len >= 2 ? memmem(text->data, text->len, end, 2) : NULL;
    if (found == NULL) {
        return false;
    }
    *ret = slice_from(text->data, (size_t)(found - text->data));
    *text = slice_skip(*text, ret->len + 2);
    return true;
}

static struct slice trim(struct slice text)
{
    while (text.len > 0 && (text.data[0] == ' ' || text.data[0] == '\t')) {
        text = slice_skip(text, 1);
    }
    while (text.len > 0 && (text.data[text.len - 1] == ' ' || text.data[text.len - 1] == '\t')) {
        text.len--;
    }
    return text;
}

static bool split(struct slice text, uint8_t at, struct slice *ret_left, struct slice *ret_right)
{
    const uint8_t *found = text.len > 0 ? memchr(text.data, at, text.len) : NULL;
    if (found == NULL) {
        return false;
    }
    *ret_left = slice_from(text.data, (size_t)(found - text.data));
    *ret_right = slice_skip(text, ret_left->len + 1);
    return true;
}

static bool is_visible(struct slice text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.data[i] <= ' ' || text.data[i] == 0x7f) {
            return false;
        }
    }
    return text.len > 0;
}

/* "GET /path?query HTTP/1.1" (section 3). An absolute target loses its scheme and authority. */
static int parse_request_line(struct slice line, struct http1_head *head)
{
    struct slice rest;
    struct slice target;
    struct slice version;
    if (!split(line, ' ', &head->method, &rest) || !split(rest, ' ', &target, &version) ||
        !is_token(head->method) || !is_visible(target)) {
        return 400;
    }
    if (slice_equal(version, SLICE_LIT("HTTP/1.0"))) {
        head->is_http_10 = true;
    } else if (!slice_equal(version, SLICE_LIT("HTTP/1.1"))) {
        return slice_has_prefix(version, SLICE_LIT("HTTP/")) ? 505 : 400;
    }
    if (slice_has_prefix(target, SLICE_LIT("http://"))) {
        struct slice authority;
        struct slice path;
        target = slice_skip(target, 7);
        target = split(target, '/', &authority, &path) ? slice_skip(target, authority.len)
                                                       : SLICE_LIT("/");
    }
    if (target.data[0] != '/' && !slice_equal(target, SLICE_LIT("*"))) {
        return 400;
    }
    if (!split(target, '?', &head->path, &head->query)) {
        head->path = target;
        head->query = SLICE_EMPTY;
    }
    return 0;
}

/* True when a comma-separated list has the word. */
static bool list_has(struct slice list, struct slice word)
{
    struct slice part;
    while (split(list, ',', &part, &list)) {
        if (equals_lower(trim(part), word)) {
            return true;
        }
    }
    return equals_lower(trim(list), word);
}

struct body_facts {
    bool has_length, has_encoding;
};

static int parse_field(struct slice name, struct slice value, struct body_facts *facts,
                       struct http1_head *head)
{
    if (equals_lower(name, SLICE_LIT("content-length"))) {
        if (facts->has_length || value.len > 18 ||
            slice_to_u64(value, &head->content_length) != 0) {
            return 400;
        }
        facts->has_length = true;
    } else if (equals_lower(name, SLICE_LIT("transfer-encoding"))) {
        if (facts->has_encoding || !equals_lower(value, SLICE_LIT("chunked"))) {
            return 501;
        }
        facts->has_encoding = true;
        head->is_chunked = true;
    } else if (equals_lower(name, SLICE_LIT("connection"))) {
        if (list_has(value, SLICE_LIT("close"))) {
            head->keeps_alive = false;
        } else if (list_has(value, SLICE_LIT("keep-alive"))) {
            head->keeps_alive = true;
        }
    } else if (equals_lower(name, SLICE_LIT("expect"))) {
        head->wants_continue = equals_lower(value, SLICE_LIT("100-continue"));
    }
    return 0;
}

static bool is_field_value(struct slice value)
{
    for (size_t i = 0; i < value.len; i++) {
        uint8_t c = value.data[i];
        if ((c < ' ' && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return true;
}

int http1_head_parse(struct slice head, struct http1_head *ret)
{
    struct http1_head parsed = {.is_chunked = false};
    struct body_facts facts = {false, false};
    struct slice line = SLICE_EMPTY;
    if (head.len < 4 || !take_line(&head, &line)) {
        return 400;
    }
    int status = parse_request_line(line, &parsed);
    parsed.keeps_alive = !parsed.is_http_10;
    parsed.fields = slice_from(head.data, head.len - 2); /* without the empty line */
    for (struct slice rest = parsed.fields; status == 0 && rest.len > 0;) {
        struct slice name;
        struct slice value;
        if (!take_line(&rest, &line) || !split(line, ':', &name, &value) || !is_token(name) ||
            !is_field_value(value)) {
            return 400;
        }
        status = parse_field(name, trim(value), &facts, &parsed);
    }
    if (status == 0 && facts.has_length && facts.has_encoding) {
        return 400; /* request smuggling: section 6.3 */
    }
    if (status == 0) {
        *ret = parsed;
    }
    return status;
}

struct slice http1_field(struct slice fields, struct slice name)
{
    struct slice line;
    struct slice have;
    struct slice value;
    while (take_line(&fields, &line)) {
        if (split(line, ':', &have, &value) && equals_lower(have, name)) {
            return trim(value);
        }
    }
    return SLICE_EMPTY;
}

static int hex_digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Size line of a chunk, extensions ignored (section 7.1). */
static int chunk_size(struct slice line, size_t *ret)
{
    size_t size = 0;
    size_t digits = 0;
    while (digits < line.len && hex_digit(line.data[digits]) >= 0) {
        if (digits == 8) {
            return BASE_E_PROTO;
        }
        size = size * 16 + (size_t)hex_digit(line.data[digits]);
        digits++;
    }
    if (digits == 0 ||
        (digits < line.len && line.data[digits] != ';' && line.data[digits] != ' ')) {
        return BASE_E_PROTO;
    }
    *ret = size;
    return 0;
}

/* Trailer fields after the last chunk, thrown away; 1 when the empty line has come. */
static int skip_trailers(struct slice *text)
{
    struct slice line;
    while (take_line(text, &line)) {
        if (line.len == 0) {
            return 1;
        }
    }
    return 0;
}

/* One chunk at the front of *rest: 1 taken, 0 not all there, 2 it was the last one, or an error. */
static int take_chunk(struct slice *rest, struct buf *body)
{
    struct slice text = *rest;
    struct slice line = SLICE_EMPTY;
    size_t size = 0;
    bool has_line = take_line(&text, &line);
    if (line.len > CHUNK_LINE_MAX || (!has_line && text.len > CHUNK_LINE_MAX + 1)) {
        return BASE_E_PROTO; /* the same however the bytes were cut: a CR may still lack its LF */
    }
    if (!has_line) {
        return 0;
    }
    int status = chunk_size(line, &size);
    if (status != 0) {
        return status;
    }
    if (size == 0) {
        if (skip_trailers(&text) == 0) {
            return 0;
        }
        *rest = text;
        return 2;
    }
    if (text.len < size + 2) {
        return 0;
    }
    if (text.data[size] != '\r' || text.data[size + 1] != '\n') {
        return BASE_E_PROTO;
    }
    buf_put(body, slice_from(text.data, size));
    *rest = slice_skip(text, size + 2);
    return 1;
}

int http1_chunked(struct slice text, size_t *at, struct buf *body)
{
    struct slice rest = slice_skip(text, *at);
    int status = 1;
    while (status == 1) {
        status = take_chunk(&rest, body);
        *at = text.len - rest.len;
    }
    return status == 2 ? 1 : status;
}
