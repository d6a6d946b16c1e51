/* SPDX-License-Identifier: Apache-2.0 */
/* Request heads and chunked bodies of HTTP/1.1 (RFC 9112) as bytes. Pure: no I/O, no allocation.
 *
 * Strict where leniency is dangerous: no folded lines, no space before a colon, one way only to
 * tell the length of a body. Slices point into the text that was given.
 */
#ifndef QUORATE_PROTO_IO_HTTP1_PARSE_H
#define QUORATE_PROTO_IO_HTTP1_PARSE_H

#include "base/slice.h"

struct http1_head {
    struct slice method, path, query;
    struct slice fields; /* header lines, each with its CRLF */
    bool is_http_10;
    bool keeps_alive;
    bool is_chunked;
    bool wants_continue;
    uint64_t content_length;
};

/* Length of the head at the front of text, its empty line included; 0: not complete yet. */
size_t http1_head_end(struct slice text);
/* head: as found by http1_head_end. 0, or the HTTP status to refuse it with (400, 501, 505). */
MUST_CHECK int http1_head_parse(struct slice head, struct http1_head *ret);
/* Value of a field; name in lower case; empty when there is none. */
struct slice http1_field(struct slice fields, struct slice name);

/* Decodes a chunked body. text begins with the body; *at is how much of it was taken by earlier
 * calls (start with 0) and moves behind each whole chunk, whose bytes are appended to `body` (room
 * for the rest of text is enough). 1 when the body is complete, 0 when more is needed,
 * BASE_E_PROTO. */
MUST_CHECK int http1_chunked(struct slice text, size_t *at, struct buf *body);

#endif
