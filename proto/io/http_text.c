/* SPDX-License-Identifier: Apache-2.0 */
/* Query strings and percent-encoding of URLs (RFC 3986). Pure. */
#include <string.h>

#include "proto/io/http1.h"

bool io_http_query_get(struct slice query, const char *name, struct slice *ret)
{
    struct slice wanted = slice_from_text(name);
    while (query.len > 0) {
        const uint8_t *end = memchr(query.data, '&', query.len);
        struct slice part = query;
        part.len = end != NULL ? (size_t)(end - query.data) : query.len;
        query = slice_skip(query, part.len + 1);
        bool is_exact = slice_equal(part, wanted);
        if (is_exact || (slice_has_prefix(part, wanted) && part.data[wanted.len] == '=')) {
            *ret = is_exact ? SLICE_EMPTY : slice_skip(part, wanted.len + 1);
            return true;
        }
    }
    return false;
}

static int digit(uint8_t c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    if (c >= 'a' && c <= 'f') {
        return c - 'a' + 10;
    }
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int io_http_decode(struct slice text, bool is_query, struct buf *b)
{
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '%') {
            if (text.len - i < 3 || digit(text.data[i + 1]) < 0 || digit(text.data[i + 2]) < 0) {
                return BASE_E_INVALID;
            }
            c = (uint8_t)(digit(text.data[i + 1]) * 16 + digit(text.data[i + 2]));
            i += 2;
        } else if (c == '+' && is_query) {
            c = ' ';
        }
        buf_put_u8(b, c);
    }
    return b->is_full ? BASE_E_TOOBIG : 0;
}
