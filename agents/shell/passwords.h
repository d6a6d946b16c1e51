/* SPDX-License-Identifier: Apache-2.0 */
/* A file of passwords: lines ROLE:PASSWORD, empty ones, and comments behind '#'. What was read is
 * nowhere else in memory afterwards. Blocks; at start only. */
#ifndef QUORATE_AGENTS_SHELL_PASSWORDS_H
#define QUORATE_AGENTS_SHELL_PASSWORDS_H

#include "base/error.h"
#include "base/types.h"

#define AGENT_PASSWORD_MIN 8
#define AGENT_PASSWORD_MAX 128 /* bytes of a role's memory, NUL included */

struct agent_password {
    const char *role;
    char *memory; /* AGENT_PASSWORD_MAX bytes; NULL: checked and not kept */
    bool is_needed;
};

struct agent_passwords {
    const char *path;
    const struct agent_password *roles;
    size_t count;
    bool (*is_other)(const char *role); /* further roles, checked and not kept; NULL: none */
    const char *letters;                /* that passwords may have; NULL: any */
    const char *needs;                  /* for people: "lines check:PASSWORD and ..." */
};

/* The file must be ours and closed to others. NOTFOUND, DENIED, INVALID, TOOBIG, IO with why. */
MUST_CHECK int agent_passwords_read(const struct agent_passwords *file, struct base_text *ret_why);

#endif
