/* SPDX-License-Identifier: Apache-2.0 */
/* A list of header names and values in one buffer: HTTP headers to send, metadata of gRPC calls
 * received. */
#ifndef QUORATE_PROTO_IO_HEADERS_H
#define QUORATE_PROTO_IO_HEADERS_H

#include "proto/io/bytes.h"

#define IO_HEADERS_MAX ((size_t)32 << 10) /* bytes of a whole list */

struct io_headers {
    struct io_bytes bytes;
};

/* Copies. BASE_E_TOOBIG (list full, or a part above 65535 bytes), NOMEM. */
MUST_CHECK int io_headers_add(struct io_headers *headers, struct slice name, struct slice value);
/* First value with that name (exact bytes); empty slice when there is none. */
struct slice io_headers_get(const struct io_headers *headers, struct slice name);
/* Next pair behind *at (start with 0); false at the end. */
bool io_headers_next(const struct io_headers *headers, size_t *at, struct slice *ret_name,
                     struct slice *ret_value);
void io_headers_free(struct io_headers *headers);

#endif
