/* SPDX-License-Identifier: Apache-2.0 */
/* Making a private certificate authority and the certificates of Quorate's roles, with OpenSSL.
 *
 * Used by `kv cert`. Keys are EC P-256 and are written with mode 0600 before anything else is;
 * files are never overwritten. A role is bound to what it may do by a URI in the subject
 * alternative name; the format stands in proto/README.md and is read by proto/io/tls.c.
 */
#ifndef QUORATE_KV_CLI_CERT_MAKE_H
#define QUORATE_KV_CLI_CERT_MAKE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"

#define CERT_HOSTS_MAX 32
#define CERT_ERROR_MAX 512
#define CERT_DAYS_AUTHORITY 3650
#define CERT_DAYS_LEAF 825

enum cert_role {
    CERT_ROLE_NODE,
    CERT_ROLE_AGENT,
    CERT_ROLE_MEMBER,
    CERT_ROLE_ADMIN,
    CERT_ROLE_VIEWER,
    CERT_ROLE_COUNT
};

struct cert_spec {
    enum cert_role role;
    const char *directory;             /* where the authority is and where the new files go */
    const char *name;                  /* node, member, admin or viewer */
    const char *cluster;               /* agent and member only */
    const char *hosts[CERT_HOSTS_MAX]; /* names and addresses for the SAN */
    size_t hosts_count;
    int days; /* 0: CERT_DAYS_LEAF; negative: expired already, for tests */
};

/* What was written, or what a file holds. */
struct cert_info {
    char certificate_path[1024];
    char key_path[1024];
    char subject[256];
    char uri[512];
    char hosts[1024]; /* comma-separated */
    char not_before[64];
    char not_after[64];
    char serial[64];
    char issuer[256];
    long days_left;
};

/* Role by its name ("node", "agent", ...). False when there is none. */
bool cert_role_from_text(const char *text, enum cert_role *ret);

/* Writes DIRECTORY/ca.crt and DIRECTORY/ca.key (makes the directory, mode 0700).
 * error: one line for people. BASE_E_EXISTS, BASE_E_INVALID, BASE_E_IO. */
MUST_CHECK int cert_authority_make(const char *directory, const char *name, int days,
                                   struct cert_info *ret, char error[CERT_ERROR_MAX]);
/* Writes DIRECTORY/ROLE-[CLUSTER-]NAME.{crt,key}, signed by the authority in DIRECTORY. */
MUST_CHECK int cert_issue(const struct cert_spec *spec, struct cert_info *ret,
                          char error[CERT_ERROR_MAX]);
/* Was the certificate in `path` signed by the authority in `ca_path`? IO, INVALID (unreadable),
 * DENIED: it was not. */
MUST_CHECK int cert_check_signed(const char *path, const char *ca_path, char error[CERT_ERROR_MAX]);
/* Reads a PEM certificate. */
MUST_CHECK int cert_show(const char *path, struct cert_info *ret, char error[CERT_ERROR_MAX]);

#endif
