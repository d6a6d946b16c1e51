/* SPDX-License-Identifier: Apache-2.0 */
/* The list of certificates that an authority has taken back (a CRL in PEM, as `kv cert revoke`
 * writes it), shared by a TLS context and its connections: a handshake with one of them fails, and
 * a connection that stands is cut when the list has come to name its other side. A list that is
 * old still holds: it never makes a certificate invalid that it does not name. Loop thread. */
#ifndef QUORATE_PROTO_IO_REVOKE_H
#define QUORATE_PROTO_IO_REVOKE_H

#include "base/error.h"
#include "proto/io/address.h"

struct io_revoked;
struct ssl_st;
struct x509_st;

/* Empty; NULL without memory. One reference is the caller's. */
struct io_revoked *io_revoked_new(void);
/* Gives a reference back. NULL is fine. Returns NULL. */
struct io_revoked *io_revoked_drop(struct io_revoked *revoked);
/* Reads FILE, signed by one of the authorities in CA_FILE; what stood before is forgotten. IO,
 * INVALID, DENIED (of another authority) with why; the former list stays then. */
MUST_CHECK int io_revoked_load(struct io_revoked *revoked, const char *file, const char *ca_file,
                               struct io_why *why);
bool io_revoked_has(const struct io_revoked *revoked, const struct x509_st *certificate);
/* The connection refers to the list from now on, as long as it lives. */
void io_revoked_attach(struct io_revoked *revoked, struct ssl_st *ssl);
/* NULL: none. */
const struct io_revoked *io_revoked_of(const struct ssl_st *ssl);
/* Goes up with each load. */
uint64_t io_revoked_generation(const struct io_revoked *revoked);

#endif
