/* SPDX-License-Identifier: Apache-2.0 */
/* Mutual TLS: contexts that follow their files, and who a certificate says the other side is.
 *
 * A certificate names its holder in a SAN URI: quorate://node/NAME, quorate://agent/CLUSTER/MEMBER,
 * quorate://member/CLUSTER/MEMBER, quorate://admin/NAME, quorate://viewer/NAME (proto/README.md).
 * TLS 1.2 with ECDHE and AEAD suites, or TLS 1.3. A struct io_tls is used by one loop thread;
 * connections keep the context that they were made with when the files change. Never falls back to
 * plain text, never logs keys.
 */
#ifndef QUORATE_PROTO_IO_TLS_H
#define QUORATE_PROTO_IO_TLS_H

#include "proto/io/address.h"
#include "proto/io/loop.h"
#include "proto/port_net.h"

struct io_identity {
    struct net_identity net; /* node_id is filled in by the link table only */
    struct base_name
        name; /* NAME of node, admin, viewer; MEMBER of agent, member; empty when NONE */
    struct base_text common_name; /* CN of the subject: the etcd user */
    bool has_certificate;         /* a certificate was shown and verified */
};

enum io_tls_verify {
    IO_TLS_VERIFY_NONE,     /* servers: do not ask clients for a certificate */
    IO_TLS_VERIFY_OPTIONAL, /* ask; one that is shown must be good */
    IO_TLS_VERIFY_REQUIRED, /* both ends must show one */
};

struct io_tls_options {
    const char *cert_file; /* PEM, chain; may be NULL for clients that show none */
    const char *key_file;
    const char *ca_file;      /* PEM; needed unless a server verifies nobody */
    const char *revoked_file; /* list of certificates that are revoked (revoke.h); NULL, "": none */
    enum io_tls_verify verify;
    bool has_http2; /* servers choose ALPN h2, then http/1.1 */
};

struct io_tls;

/* Reads the files. Strings are copied. INVALID, TLS, IO with why ("certificate FILE has expired
 * (2026-...)", "key FILE does not belong to certificate FILE", "cannot read FILE: No such file or
 * directory"). */
MUST_CHECK int io_tls_new(const struct io_tls_options *options, struct io_tls **ret,
                          struct io_why *why);
/* NULL is fine. Returns NULL. Connections that use it live on. */
struct io_tls *io_tls_free(struct io_tls *tls);
/* Reads the files again when one has changed since (size, inode, mtime). 1 when new ones are in
 * force, 0 when nothing changed; an error leaves the old ones in force. Call it every few seconds:
 * see io_tls_watch. */
MUST_CHECK int io_tls_reload(struct io_tls *tls, struct io_why *why);
/* Calls io_tls_reload every 5 s and logs (mod=tls). */
void io_tls_watch(struct io_tls *tls, struct io_loop *loop);
/* Whom our own certificate names, for start-up checks ("this is an agent's certificate, not a
 * node's"). */
struct io_identity io_tls_own_identity(const struct io_tls *tls);
/* When our own certificate ends, wall clock in microseconds; 0 without one. */
int64_t io_tls_own_end_us(const struct io_tls *tls);

/* Parses one SAN URI; BASE_E_INVALID when it is not one of ours. */
MUST_CHECK int io_identity_from_uri(struct slice uri, struct io_identity *ret);
/* "node n1", "agent pg-main/pg1", "nobody"; returns memory. */
const char *io_identity_text(const struct io_identity *identity, char *memory, size_t cap);
#define IO_IDENTITY_TEXT_MAX 160
const char *io_role_name(enum net_role role);

/* --- for stream.c and the blocking client --- */
struct ssl_st;
struct ssl_ctx_st;
/* A new SSL of the server's or the client's context. verify_host: name or address that the
 * certificate must carry, NULL for links (identity is checked instead). NULL on no memory. */
struct ssl_st *io_tls_accept_ssl(struct io_tls *tls);
struct ssl_st *io_tls_connect_ssl(struct io_tls *tls, const char *verify_host, bool wants_http2);
/* Identity of a finished handshake's other side. */
struct io_identity io_tls_identity(const struct ssl_st *ssl);
/* One line for the failed handshake of ssl; drains OpenSSL's error queue. */
void io_tls_why(const struct ssl_st *ssl, struct io_why *why);

#endif
