/* SPDX-License-Identifier: Apache-2.0 */
/* Addresses as people write them, and one-line error texts of the shells.
 *
 * An address is a host (IPv4, IPv6 or a name) and a port. Nothing here resolves names or opens
 * sockets, so all of it may be called from any thread. Who calls it: configuration, listeners,
 * links, the `kv` tool.
 */
#ifndef QUORATE_PROTO_IO_ADDRESS_H
#define QUORATE_PROTO_IO_ADDRESS_H

#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

/* Why something failed, as one line for a person: what happened, on what, what to do next.
 * Functions that take `struct io_why *why` accept NULL and write it only on failure. */
#define IO_WHY_MAX 511
struct io_why {
    char text[IO_WHY_MAX + 1];
};
/* printf into why (cut to fit, control bytes become '?'); nothing when why is NULL. */
void io_why_set(struct io_why *why, const char *format, ...) __attribute__((format(printf, 2, 3)));

enum io_scheme { IO_SCHEME_NONE, IO_SCHEME_HTTP, IO_SCHEME_HTTPS };

struct io_address {
    char host[BASE_TEXT_MAX + 1]; /* without brackets; "" means every address (listeners only) */
    uint16_t port;
    enum io_scheme scheme; /* as written in front, else NONE */
};

/* Parses [http://|https://]HOST[:PORT][/], HOST an IPv4 address, [IPv6] (bare IPv6 only without
 * port), a name, "*" or empty (every address). default_port 0: a port is required. BASE_E_INVALID
 * with why. */
MUST_CHECK int io_address_parse(struct slice text, uint16_t default_port, struct io_address *ret,
                                struct io_why *why);
/* "host:port", brackets around IPv6; cut to cap. Returns `memory`. */
const char *io_address_text(const struct io_address *address, char *memory, size_t cap);
#define IO_ADDRESS_TEXT_MAX (BASE_TEXT_MAX + 10)
/* True for 127.0.0.0/8, ::1, ::ffff:127.0.0.0/104 and the name "localhost": the only addresses that
 * may be served without TLS. */
bool io_address_is_loopback(const struct io_address *address);
/* True when host is an IPv4 or IPv6 address rather than a name. */
bool io_address_is_numeric(const struct io_address *address);

#endif
