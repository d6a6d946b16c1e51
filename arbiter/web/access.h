/* SPDX-License-Identifier: Apache-2.0 */
/* Who may look at the status page and the metrics of a quorum node.
 *
 * Over TLS: who shows a certificate of role viewer or admin; who knows a name and password of
 * status_password_file (HTTP basic); or everybody, with status_public. Without TLS, which is
 * possible on loopback only: everybody on this host, but no page of another site that a browser
 * was told to find here (the Host header must be an address or localhost). Wrong passwords are
 * counted, and for some seconds none is looked at any more. Loop thread. */
#ifndef QUORATE_ARBITER_WEB_ACCESS_H
#define QUORATE_ARBITER_WEB_ACCESS_H

#include <sys/stat.h>

#include "base/error.h"
#include "base/types.h"
#include "proto/io/http1.h"

#define WEB_PASSWORDS_MAX 16
#define WEB_WRONG_MAX 10 /* wrong passwords in WEB_WRONG_US */
#define WEB_WRONG_US (10 * BASE_US_PER_S)
#define WEB_DIGEST_BYTES 32
#define WEB_LOOK_US (5 * BASE_US_PER_S) /* between two looks whether the file has changed */

struct web_access {
    bool is_public;
    size_t count;
    uint8_t digests[WEB_PASSWORDS_MAX][WEB_DIGEST_BYTES]; /* SHA-256 of "name:password" */
    struct base_mono wrong_since;
    unsigned wrong;
    struct stat seen; /* of the file, as it was read last, or refused */
    struct base_mono looked_at;
};

enum web_verdict { WEB_MAY, WEB_MAY_NOT, WEB_ASK, WEB_SLOW_DOWN, WEB_WRONG_HOST };

/* Lines name:password; empty ones and those that begin with # are passed over. INVALID, IO,
 * DENIED (others may read the file) with why; then the passwords stay as they were. */
MUST_CHECK int web_access_read(struct web_access *access, const char *file, struct io_why *why);
/* Reads the file again when it has changed since and WEB_LOOK_US have passed; logs (mod=web). True:
 * other passwords are in force now. */
bool web_access_refresh(struct web_access *access, const char *file, struct base_mono now);
enum web_verdict web_access_look(struct web_access *access, const struct io_http_exchange *exchange,
                                 const struct io_http_request *request, struct base_mono now);
/* Answers a verdict that is not WEB_MAY. */
void web_access_refuse(struct io_http_exchange *exchange, enum web_verdict verdict);

/* For web_access_look and its test. */
bool web_access_is_host(struct slice host);
bool web_access_is_known(const struct web_access *access, struct slice credentials);

#endif
