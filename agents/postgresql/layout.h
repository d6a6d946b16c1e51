/* SPDX-License-Identifier: Apache-2.0 */
/* Where the user's configuration lies, and what differs between the server's versions.
 *
 * With `config_dir` set (Debian: /etc/postgresql/15/main) the user's files stay as they are, so
 * that they can be given back: postgresql.conf of the data directory is ours, includes the user's
 * one first and quorate.conf last, and pg_hba.conf and pg_ident.conf of the data directory are the
 * ones the server reads. Helpers (single-user server, pg_rewind) then need no further options. Pure
 * but for pg_layout_check; any thread.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_LAYOUT_H
#define QUORATE_AGENTS_POSTGRESQL_LAYOUT_H

#include "agents/postgresql/settings.h"

#define PG_VERSION_MIN 13u
#define PG_VERSION_MAX 16u
#define PG_LAYOUT_LINE_MAX (PG_PATH_MAX * 2 + 64)

/* Major version of the programs; 15 when it was not looked at. */
uint32_t pg_layout_version(const struct pg_settings *settings);
/* From the output of `postgres --version`. BASE_E_INVALID: not such a line; BASE_E_UNSUPPORTED: of
 * a version that we do not know (ret is set). */
MUST_CHECK int pg_layout_version_parse(const char *output, uint32_t *ret_major);

/* Settings for the end of quorate.conf: the files of the split layout, and those that the version
 * needs besides. */
void pg_layout_put(const struct pg_settings *settings, struct buf *b);
/* First line of the data directory's postgresql.conf with its newline; "" when the user's own file
 * is there. TOOBIG. */
MUST_CHECK int pg_layout_include(const struct pg_settings *settings, char *memory, size_t cap);
/* Is this such a line, of whatever member? A clone brings one along. */
bool pg_layout_is_include(struct slice line);
/* The user's pg_hba.conf or pg_ident.conf (`name`) outside of the data directory, whose lines stand
 * behind ours when nothing else was configured. NOTFOUND: there is none. */
MUST_CHECK int pg_layout_user_file(const struct pg_settings *settings, const char *name,
                                   struct pg_path *ret);

/* Where a tablespace of the source at `location` lies here (tablespaces of the settings; the same
 * place when none fits). TOOBIG. */
MUST_CHECK int pg_layout_tablespace(const struct pg_settings *settings, const char *location,
                                    struct pg_path *ret);

#endif
