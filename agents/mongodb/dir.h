/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory, and what else of the host's files we look at. All of it blocks: worker
 * threads only. Changes are durable when the calls return. */
#ifndef QUORATE_AGENTS_MONGODB_DIR_H
#define QUORATE_AGENTS_MONGODB_DIR_H

#include "agents/core/db_types.h"
#include "agents/mongodb/settings.h"

#define MDB_KEPT ".quorate-old" /* suffix of the one older copy that a wipe keeps */

struct mdb_look {
    bool has_data; /* a mongod ran here */
    bool is_held;  /* by a mongod that lives, by its lock file or, watched, its pid file */
    uint32_t rollback_files;
    uint64_t data_bytes; /* on the disk, of the data directory's files; a lower bound where there
                            are very many */
    uint64_t disk_free_bytes;
    int64_t certificate_end_us; /* of the server's certificate, wall clock; 0: none, not known */
};
void mdb_dir_look(const struct mdb_settings *s, struct mdb_look *ret);
/* True: neither a mongod's files nor anybody else's are there. */
bool mdb_dir_is_empty(const struct mdb_settings *s);

/* The data are moved aside, in place of an older copy, and an empty directory is left. Stopped
 * only: STATE. *ret_text: one line, what was done or why not. */
MUST_CHECK int mdb_dir_wipe(const struct mdb_settings *s, struct base_text *ret_text);

/* mongod.conf, and the files that hold certificate and key together; before each start of the
 * agent. 0, or BASE_E_* with a line. */
MUST_CHECK int mdb_dir_prepare(const struct mdb_settings *s, struct base_text *ret_text);

#endif
