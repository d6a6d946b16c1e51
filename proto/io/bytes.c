/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte buffers. See bytes.h. */
#include "proto/io/bytes.h"

#include <stdlib.h>
#include <string.h>

#define SMALLEST 512

int io_bytes_reserve(struct io_bytes *bytes, size_t more)
{
    if (more <= bytes->cap - bytes->len) {
        return 0;
    }
    size_t cap = bytes->cap > 0 ? bytes->cap : SMALLEST;
    while (cap - bytes->len < more) {
        if (cap > SIZE_MAX / 4) {
            return BASE_E_NOMEM;
        }
        cap *= 2;
    }
    uint8_t *data = realloc(bytes->data, cap);
    if (data == NULL) {
        return BASE_E_NOMEM;
    }
    bytes->data = data;
    bytes->cap = cap;
    return 0;
}

int io_bytes_append(struct io_bytes *bytes, struct slice piece)
{
    int status = io_bytes_reserve(bytes, piece.len);
    if (status != 0 || piece.len == 0) {
        return status;
    }
    memcpy(bytes->data + bytes->len, piece.data, piece.len);
    bytes->len += piece.len;
    return 0;
}

void io_bytes_free(struct io_bytes *bytes)
{
    free(bytes->data);
    *bytes = (struct io_bytes){0};
}
