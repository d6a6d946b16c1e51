/* SPDX-License-Identifier: Apache-2.0 */
/* A database that was there before us. Its directory gets our roles and files while it is stopped,
 * when the operator asked for that (cluster.adopt), before anything is reported of it. At start
 * only, before any thread runs; blocks. */
#ifndef QUORATE_AGENTS_POSTGRESQL_ADOPT_H
#define QUORATE_AGENTS_POSTGRESQL_ADOPT_H

#include "agents/postgresql/settings.h"

/* The directory holds a database that neither INIT nor CLONE nor an adoption of ours has made. */
bool pg_adopt_is_wanted(const struct pg_settings *settings);
/* Prepares the stopped directory: crash recovery if it needs one, roles, files. UNSUPPORTED: it is
 * of another version than the programs; STATE: the server refused; text in ret_why. It may be
 * called again after a failure. */
MUST_CHECK int pg_adopt_stopped(const struct pg_settings *settings, struct base_text *ret_why);

/* A server that runs in the directory. */
struct pg_adoptee {
    int32_t pid;
    bool is_ours; /* carries our mark: it was started by a guard */
    uint16_t port;
    bool is_ready;
    struct pg_path socket_dir; /* "": none */
};
/* The postmaster named in postmaster.pid, when that process lives, stands in the directory, is a
 * postgres and runs as our own user. NOTFOUND: no server; DENIED: another user's; CORRUPT: the file
 * cannot be read as the server writes it. */
MUST_CHECK int pg_adopt_find(const struct pg_settings *settings, struct pg_adoptee *ret);
/* Takes the running server `found` over, without a restart: checks port, socket directory and
 * version, writes our files (what it has of upstream and synchronous standbys stays in force), lets
 * it read them, and makes our roles if it is a primary. It may be called again. STATE, UNSUPPORTED,
 * DENIED, TIMEOUT with a reason. The guard is to be started with the pid afterwards. */
MUST_CHECK int pg_adopt_running(const struct pg_settings *settings, const struct pg_adoptee *found,
                                struct base_text *ret_why);
/* The directory is of the programs' version. UNSUPPORTED. */
MUST_CHECK int pg_adopt_check_version(const struct pg_settings *settings,
                                      struct base_text *ret_why);
/* The text of postmaster.pid, pure. CORRUPT. */
MUST_CHECK int pg_adopt_parse(const char *text, struct pg_adoptee *ret);

#endif
