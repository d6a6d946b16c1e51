/* SPDX-License-Identifier: Apache-2.0 */
/* Growing byte buffers of the shells: queues of connections, request bodies. Not for cores or glue.
 *
 * Memory doubles as needed and is given back by io_bytes_free; an empty buffer owns none. The
 * callers bound the length; a failed allocation leaves the buffer as it was.
 */
#ifndef QUORATE_PROTO_IO_BYTES_H
#define QUORATE_PROTO_IO_BYTES_H

#include "base/slice.h"

struct io_bytes {
    uint8_t *data;
    size_t len;
    size_t cap;
};

/* Room for `more` bytes behind len. BASE_E_NOMEM. */
MUST_CHECK int io_bytes_reserve(struct io_bytes *bytes, size_t more);
MUST_CHECK int io_bytes_append(struct io_bytes *bytes, struct slice piece);
void io_bytes_free(struct io_bytes *bytes);

#endif
