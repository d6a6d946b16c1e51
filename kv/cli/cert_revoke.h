/* SPDX-License-Identifier: Apache-2.0 */
/* Taking certificates back: the list that `kv cert revoke` writes and quorated's tls.revoked reads.
 * Blocking; for the command line only. */
#ifndef QUORATE_KV_CLI_CERT_REVOKE_H
#define QUORATE_KV_CLI_CERT_REVOKE_H

#include "kv/cli/cert_make.h"

#define CERT_LIST_NAME "revoked.pem"
#define CERT_DAYS_LIST 3650

/* Adds the certificate in FILE to DIRECTORY/revoked.pem (made when it is not there), signed with
 * DIRECTORY/ca.key; the new list takes the old one's place at once. BASE_E_EXISTS: it stands there
 * already; IO, INVALID, DENIED: of another authority. */
MUST_CHECK int cert_revoke(const char *directory, const char *file, struct cert_info *ret,
                           char error[CERT_ERROR_MAX]);

#endif
