/* SPDX-License-Identifier: Apache-2.0 */
/* The cluster's configuration document as this member has it: offered by the leader, checked, in
 * force.
 *
 * The one in force is kept in state_dir/cluster-config, so that a restarted agent writes the same
 * files. A document comes into force only when everything in it was taken: the syntax by our
 * reader, names and values by the server's own program, pg_hba.conf by the running server; else the
 * old one stays, and why is told. Worker thread, but for the offer (db_port.configure), which is
 * handed over under the port's lock.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_CONFIG_H
#define QUORATE_AGENTS_POSTGRESQL_CONFIG_H

#include "agents/postgresql/control.h"
#include "arbiter/pg_parameters.h"
#include "arbiter/settings_pg.h"

struct pg_config {
    /* in force */
    uint64_t revision; /* 0: no document yet */
    struct arb_settings_pg *document;
    /* Bounds of the ordered parameters for the server that runs or is about to start; 0: none. A
     * standby starts with at least what the primary runs with (its own control file says it), a
     * primary whose standbys are not ready with at most what it had. */
    int64_t at_least[ARB_PG_ORDERED_COUNT];
    int64_t at_most[ARB_PG_ORDERED_COUNT];
    struct arb_settings_pg *spare; /* where the next one is read into */
    /* under the port's lock */
    uint64_t offered_revision; /* 0: none */
    size_t offered_len;
    char offered[MSG_CONFIG_MAX];
};

/* Allocates settings->config and reads what was in force before; a file that cannot be read counts
 * as none. NOMEM. */
MUST_CHECK int pg_config_open(struct pg_settings *settings);
void pg_config_close(struct pg_settings *settings);

/* Reads `text` into config->spare. INVALID with the reason. */
MUST_CHECK int pg_config_read(struct pg_config *config, struct slice text,
                              struct arb_settings_why *why);
/* The spare one is the one in force and the other way round; twice is not at all. */
void pg_config_swap(struct pg_config *config, uint64_t *revision);
/* Makes what is in force survive a restart of the agent. */
MUST_CHECK int pg_config_save(const struct pg_settings *settings, uint64_t revision,
                              struct slice text);

/* What document, the agent's file or our defaults want for an ordered parameter; 0: nobody says. */
int64_t pg_config_wanted(const struct pg_settings *settings, unsigned index);
/* The document's value; NULL: it says nothing. Any case. */
const char *pg_config_value(const struct pg_settings *settings, const char *name);
/* True when the member's own value of that name does not count: the document has one for all. */
bool pg_config_overrides(const struct pg_settings *settings, struct slice name);
/* Bounds for a start in that role. */
void pg_config_bound(struct pg_config *config, const struct pg_control *control, bool is_primary,
                     bool is_raise_held);
/* Parameters for quorate.conf: the document's, the member's own, and the bounds. */
void pg_config_put(const struct pg_settings *settings, struct buf *b);

#endif
