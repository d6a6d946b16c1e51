/* SPDX-License-Identifier: Apache-2.0 */
/* Frames and hellos of links as bytes. No I/O, no allocation but for the reader's partial frame. */
#ifndef QUORATE_PROTO_IO_LINK_FRAME_H
#define QUORATE_PROTO_IO_LINK_FRAME_H

#include "proto/io/address.h"
#include "proto/io/bytes.h"
#include "proto/port_net.h"

#define LINK_HEADER 8
/* The protocol that we speak, and the oldest that we still speak with others: two of us understand
 * each other when each one's version is not below the other's oldest. 2: Galera's parts of reports,
 * records and orders. A build with QUORATE_PROTOCOL=1 stands in for the one before in tests. */
#ifndef QUORATE_PROTOCOL
#define QUORATE_PROTOCOL 2
#endif
#ifndef QUORATE_PROTOCOL_OLDEST
#define QUORATE_PROTOCOL_OLDEST 1
#endif
#define LINK_VERSION QUORATE_PROTOCOL
#define LINK_VERSION_OLDEST QUORATE_PROTOCOL_OLDEST
_Static_assert(LINK_VERSION_OLDEST <= LINK_VERSION, "a range of versions");
#define LINK_HELLO_MAX 1024 /* bytes of a frame before the hello was accepted */

/* First payload bytes that belong to the links; enum net_frame has the others. */
enum { LINK_FRAME_HELLO = 250, LINK_FRAME_PING = 251 };

struct link_hello {
    uint32_t version;
    enum net_role role;
    uint64_t node_id;
    struct base_name name;    /* node's; empty for agents */
    struct base_name cluster; /* agent's */
    struct base_name member;
    struct base_text token;
    uint32_t oldest; /* 1 to version; a hello without it: the version */
};

/* Header of a frame with this payload. */
void link_frame_header(struct slice payload, uint8_t ret[LINK_HEADER]);
void link_hello_put(const struct link_hello *hello, struct buf *b);
/* The whole payload of a hello frame. BASE_E_PROTO. */
MUST_CHECK int link_hello_read(struct slice payload, struct link_hello *ret);
/* Whether its protocol and ours understand each other; both sides come to the same answer. */
bool link_hello_fits(const struct link_hello *hello);

/* Takes a stream of bytes apart. `frame` is handed each whole payload that has passed its checksum
 * and returns false to stop (the connection is being closed). */
struct link_reader {
    struct io_bytes partial;
    uint32_t frame_max;
};
typedef bool link_frame_fn(void *ctx, struct slice payload);
/* 0, or BASE_E_PROTO with why (length or checksum), NOMEM. Bytes after an error are not looked at.
 */
MUST_CHECK int link_reader_feed(struct link_reader *reader, struct slice bytes,
                                link_frame_fn *frame, void *ctx, struct io_why *why);
void link_reader_free(struct link_reader *reader);

#endif
