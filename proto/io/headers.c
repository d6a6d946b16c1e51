/* SPDX-License-Identifier: Apache-2.0 */
/* Lists of headers: u16 length of name, u16 length of value, name, value, and so on. */
#include "proto/io/headers.h"

#include <string.h>

int io_headers_add(struct io_headers *headers, struct slice name, struct slice value)
{
    struct io_bytes *bytes = &headers->bytes;
    if (name.len > UINT16_MAX || value.len > UINT16_MAX ||
        bytes->len + name.len + value.len + 4 > IO_HEADERS_MAX) {
        return BASE_E_TOOBIG;
    }
    int status = io_bytes_reserve(bytes, name.len + value.len + 4);
    if (status != 0) {
        return status;
    }
    const uint16_t lengths[2] = {(uint16_t)name.len, (uint16_t)value.len};
    memcpy(bytes->data + bytes->len, lengths, sizeof(lengths));
    bytes->len += sizeof(lengths);
    status = io_bytes_append(bytes, name);
    return status != 0 ? status : io_bytes_append(bytes, value);
}

bool io_headers_next(const struct io_headers *headers, size_t *at, struct slice *ret_name,
                     struct slice *ret_value)
{
    uint16_t lengths[2];
    if (*at >= headers->bytes.len) {
        return false;
    }
    const uint8_t *data = headers->bytes.data + *at;
    memcpy(lengths, data, sizeof(lengths));
    *ret_name = slice_from(data + sizeof(lengths), lengths[0]);
    *ret_value = slice_from(data + sizeof(lengths) + lengths[0], lengths[1]);
    *at += sizeof(lengths) + lengths[0] + lengths[1];
    return true;
}

struct slice io_headers_get(const struct io_headers *headers, struct slice name)
{
    struct slice have;
    struct slice value;
    for (size_t at = 0; io_headers_next(headers, &at, &have, &value);) {
        if (slice_equal(have, name)) {
            return value;
        }
    }
    return SLICE_EMPTY;
}

void io_headers_free(struct io_headers *headers)
{
    io_bytes_free(&headers->bytes);
}
