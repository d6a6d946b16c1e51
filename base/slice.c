/* SPDX-License-Identifier: Apache-2.0 */
/* Slices and bounded writing. */
#include "base/slice.h"

#include <string.h>

struct slice slice_from_text(const char *text)
{
    return (struct slice){(const uint8_t *)text, text == NULL ? 0 : strlen(text)};
}

struct slice slice_from(const void *data, size_t len)
{
    return (struct slice){data, len};
}

int slice_compare(struct slice a, struct slice b)
{
    size_t common = a.len < b.len ? a.len : b.len;
    int order = common == 0 ? 0 : memcmp(a.data, b.data, common);
    if (order != 0) {
        return order;
    }
    return a.len < b.len ? -1 : a.len > b.len;
}

bool slice_equal(struct slice a, struct slice b)
{
    return a.len == b.len && slice_compare(a, b) == 0;
}

bool slice_has_prefix(struct slice s, struct slice prefix)
{
    return s.len >= prefix.len && slice_equal((struct slice){s.data, prefix.len}, prefix);
}

struct slice slice_skip(struct slice s, size_t n)
{
    if (n >= s.len) {
        return SLICE_EMPTY;
    }
    return (struct slice){s.data + n, s.len - n};
}

struct buf buf_over(void *memory, size_t cap)
{
    return (struct buf){.data = memory, .cap = cap};
}

struct slice buf_slice(const struct buf *b)
{
    return (struct slice){b->data, b->len};
}

void buf_reset(struct buf *b)
{
    b->len = 0;
    b->is_full = false;
}

void buf_put(struct buf *b, struct slice bytes)
{
    if (bytes.len > b->cap - b->len) {
        b->is_full = true;
        return;
    }
    if (bytes.len > 0) {
        memcpy(b->data + b->len, bytes.data, bytes.len);
        b->len += bytes.len;
    }
}

void buf_put_text(struct buf *b, const char *text)
{
    buf_put(b, slice_from_text(text));
}

void buf_put_u8(struct buf *b, uint8_t value)
{
    buf_put(b, (struct slice){&value, 1});
}

static void put_big_endian(struct buf *b, uint64_t value, size_t width)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < width; i++) {
        bytes[i] = (uint8_t)(value >> (8 * (width - 1 - i)));
    }
    buf_put(b, (struct slice){bytes, width});
}

static void put_little_endian(struct buf *b, uint64_t value, size_t width)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < width; i++) {
        bytes[i] = (uint8_t)(value >> (8 * i));
    }
    buf_put(b, (struct slice){bytes, width});
}

void buf_put_u32_be(struct buf *b, uint32_t value)
{
    put_big_endian(b, value, 4);
}

void buf_put_u64_be(struct buf *b, uint64_t value)
{
    put_big_endian(b, value, 8);
}

void buf_put_u32_le(struct buf *b, uint32_t value)
{
    put_little_endian(b, value, 4);
}

static void put_digits(struct buf *b, uint64_t value, unsigned base, unsigned width)
{
    uint8_t digits[64];
    size_t at = sizeof(digits);
    do {
        digits[--at] = (uint8_t) "0123456789abcdef"[value % base];
        value /= base;
    } while (value != 0);
    while (sizeof(digits) - at < width && at > 0) {
        digits[--at] = '0';
    }
    buf_put(b, (struct slice){digits + at, sizeof(digits) - at});
}

void buf_put_dec(struct buf *b, uint64_t value)
{
    put_digits(b, value, 10, 0);
}

void buf_put_int(struct buf *b, int64_t value)
{
    if (value < 0) {
        buf_put_u8(b, '-');
        put_digits(b, (uint64_t)0 - (uint64_t)value, 10, 0);
        return;
    }
    put_digits(b, (uint64_t)value, 10, 0);
}

void buf_put_hex(struct buf *b, uint64_t value, unsigned width)
{
    put_digits(b, value, 16, width);
}

bool buf_terminate(struct buf *b)
{
    if (b->len >= b->cap) {
        b->is_full = true;
        return false;
    }
    b->data[b->len] = 0;
    return true;
}

static int take_big_endian(struct slice *s, size_t width, uint64_t *ret)
{
    uint64_t value = 0;
    if (s->len < width) {
        return BASE_E_PROTO;
    }
    for (size_t i = 0; i < width; i++) {
        value = value << 8 | s->data[i];
    }
    *s = slice_skip(*s, width);
    *ret = value;
    return 0;
}

int slice_take_u8(struct slice *s, uint8_t *ret)
{
    uint64_t value = 0;
    int rc = take_big_endian(s, 1, &value);
    if (rc == 0) {
        *ret = (uint8_t)value;
    }
    return rc;
}

int slice_take_u32_be(struct slice *s, uint32_t *ret)
{
    uint64_t value = 0;
    int rc = take_big_endian(s, 4, &value);
    if (rc == 0) {
        *ret = (uint32_t)value;
    }
    return rc;
}

int slice_take_u64_be(struct slice *s, uint64_t *ret)
{
    return take_big_endian(s, 8, ret);
}

int slice_take_bytes(struct slice *s, size_t len, struct slice *ret)
{
    if (s->len < len) {
        return BASE_E_PROTO;
    }
    *ret = (struct slice){s->data, len};
    *s = slice_skip(*s, len);
    return 0;
}

int slice_to_u64(struct slice s, uint64_t *ret)
{
    uint64_t value = 0;
    if (s.len == 0) {
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < s.len; i++) {
        uint64_t digit = (uint64_t)s.data[i] - '0';
        if (digit > 9 || value > (UINT64_MAX - digit) / 10) {
            return BASE_E_INVALID;
        }
        value = value * 10 + digit;
    }
    *ret = value;
    return 0;
}
