/* SPDX-License-Identifier: Apache-2.0 */
/* The scanner of the history formats; see scan.h. */
#include "jepsen/check/scan.h"

#include <string.h>

int chk_scan_bad(struct chk_scan *s, const char *why)
{
    s->why = why;
    return BASE_E_PROTO;
}

static void skip_space(struct chk_scan *s)
{
    while (s->left.len > 0 &&
           (s->left.data[0] == ' ' || s->left.data[0] == '\t' || s->left.data[0] == '\r')) {
        s->left = slice_skip(s->left, 1);
    }
}

bool chk_scan_char(struct chk_scan *s, char c)
{
    skip_space(s);
    if (s->left.len == 0 || s->left.data[0] != (uint8_t)c) {
        return false;
    }
    s->left = slice_skip(s->left, 1);
    return true;
}

int chk_scan_need(struct chk_scan *s, char c)
{
    if (chk_scan_char(s, c)) {
        return 0;
    }
    switch (c) {
    case '{':
        return chk_scan_bad(s, "{ expected");
    case '}':
        return chk_scan_bad(s, "} expected");
    case '[':
        return chk_scan_bad(s, "[ expected");
    case ']':
        return chk_scan_bad(s, "] expected");
    case ':':
        return chk_scan_bad(s, ": expected");
    default:
        return chk_scan_bad(s, ", expected");
    }
}

int chk_scan_array(struct chk_scan *s, int (*take)(void *ctx), void *ctx)
{
    int rc = chk_scan_need(s, '[');
    if (rc != 0 || chk_scan_char(s, ']')) {
        return rc;
    }
    do {
        rc = take(ctx);
    } while (rc == 0 && chk_scan_char(s, ','));
    return rc == 0 ? chk_scan_need(s, ']') : rc;
}

int chk_scan_text(struct chk_scan *s, struct slice *ret)
{
    if (!chk_scan_char(s, '"')) {
        return chk_scan_bad(s, "a text expected");
    }
    for (size_t i = 0; i < s->left.len; i++) {
        if (s->left.data[i] == '\\' || s->left.data[i] < 0x20) {
            return chk_scan_bad(s, "escapes and control characters are not part of this format");
        }
        if (s->left.data[i] == '"') {
            *ret = slice_from(s->left.data, i);
            s->left = slice_skip(s->left, i + 1);
            return 0;
        }
    }
    return chk_scan_bad(s, "text without end");
}

int chk_scan_integer(struct chk_scan *s, int64_t *ret)
{
    bool is_negative = chk_scan_char(s, '-');
    if (!is_negative) {
        skip_space(s);
    }
    size_t len = 0;
    while (len < s->left.len && s->left.data[len] >= '0' && s->left.data[len] <= '9') {
        len++;
    }
    uint64_t value = 0;
    if (slice_to_u64(slice_from(s->left.data, len), &value) != 0 || value > (uint64_t)INT64_MAX) {
        return chk_scan_bad(s, "an integer expected");
    }
    s->left = slice_skip(s->left, len);
    *ret = is_negative ? -(int64_t)value : (int64_t)value;
    return 0;
}

int chk_scan_time(struct chk_scan *s, int64_t *ret)
{
    int64_t us = 0;
    int rc = chk_scan_integer(s, &us);
    if (rc == 0 && (us > CHK_TIME_MAX || us < -CHK_TIME_MAX)) {
        rc = chk_scan_bad(s, "a time beyond a thousand years");
    }
    *ret = rc == 0 ? us : *ret;
    return rc;
}

int chk_scan_word(struct chk_scan *s, const char *const *names, size_t count, size_t *ret)
{
    struct slice text;
    int rc = chk_scan_text(s, &text);
    for (size_t i = 0; rc == 0 && i < count; i++) {
        if (slice_equal(text, slice_from_text(names[i]))) {
            *ret = i;
            return 0;
        }
    }
    return rc != 0 ? rc : chk_scan_bad(s, "unknown word");
}

bool chk_scan_bare(struct chk_scan *s, const char *word)
{
    skip_space(s);
    if (!slice_has_prefix(s->left, slice_from_text(word))) {
        return false;
    }
    s->left = slice_skip(s->left, strlen(word));
    return true;
}

int chk_scan_skip(struct chk_scan *s)
{
    struct slice text;
    int64_t number = 0;
    skip_space(s);
    if (s->left.len > 0 && s->left.data[0] == '"') {
        return chk_scan_text(s, &text);
    }
    bool is_bare =
        chk_scan_bare(s, "null") || chk_scan_bare(s, "true") || chk_scan_bare(s, "false");
    return is_bare ? 0 : chk_scan_integer(s, &number);
}

int chk_scan_end(struct chk_scan *s)
{
    skip_space(s);
    return s->left.len == 0 ? 0 : chk_scan_bad(s, "text behind the object");
}

bool chk_scan_line(struct slice *text, struct slice *ret_line)
{
    if (text->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->data, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->data);
    *ret_line = slice_from(text->data, len);
    *text = slice_skip(*text, end == NULL ? len : len + 1);
    return true;
}
