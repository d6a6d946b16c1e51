/* SPDX-License-Identifier: Apache-2.0 */
/* Our roles and the user's first ones, made in a stopped directory by the single-user server, so
 * that no password is ever on a command line and nobody can connect meanwhile. Blocking. */
#ifndef QUORATE_AGENTS_POSTGRESQL_ROLES_H
#define QUORATE_AGENTS_POSTGRESQL_ROLES_H

#include "agents/postgresql/settings.h"

#define PG_ROLES_BYTES_MAX 16384u

/* What makes the roles, one statement a line; those that are there are changed. With `has_users`
 * also the users of the bootstrap, `passwords` being the text of the password file. Secret. */
void pg_roles_put(const struct pg_settings *settings, bool has_users, const char *passwords,
                  struct buf *b);

/* An option of CREATE ROLE that bootstrap.users may name ("createdb"). */
bool pg_roles_is_option(const char *word);

struct pg_roles_run {
    const struct pg_settings *settings;
    const char *dir;
    const char *config_file; /* NULL: postgresql.conf of the directory */
    bool has_users;
    struct base_mono deadline;
    int cancel_fd;
    int lock_fd;
};
/* Runs the statements in `dir`. STATE: the server or a statement failed, text in ret_why; NOTFOUND,
 * TOOBIG: the password file. */
MUST_CHECK int pg_roles_make(const struct pg_roles_run *run, struct base_text *ret_why);

#endif
