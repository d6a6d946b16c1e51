/* SPDX-License-Identifier: Apache-2.0 */
/* The data directory of a stopped member: looked at, made, recovered, prepared for a start. All of
 * it blocks: worker threads only. Changes are durable when the calls return. */
#ifndef QUORATE_AGENTS_GALERA_DIR_H
#define QUORATE_AGENTS_GALERA_DIR_H

#include "agents/core/db_types.h"
#include "agents/galera/grastate.h"
#include "agents/galera/settings.h"

struct gal_look {
    bool has_directory; /* a system table space that is not empty, and the system tables */
    bool is_transfer_broken;
    bool is_locked; /* a server has it open */
    struct msg_galera_position saved;
    bool is_safe_to_bootstrap;
    uint64_t data_bytes;
    uint64_t disk_free_bytes;
};
void gal_dir_look(const struct gal_settings *s, bool with_size, struct gal_look *ret);
/* True: neither a server's files nor anybody else's are there. */
bool gal_dir_is_empty(const struct gal_settings *s);

/* One job, in a worker. */
struct gal_job {
    const struct gal_settings *settings;
    struct db_order order;
    int cancel_fd;
    int lock_fd;
    struct base_mono deadline;
    struct msg_galera_position position; /* RECOVER: found */
    struct gal_damage damage;            /* RECOVER: what the server finds wrong with its data */
    struct base_text text;               /* why it failed */
    int status;
};
void gal_dir_run(struct gal_job *job);

#endif
