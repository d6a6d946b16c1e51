/* SPDX-License-Identifier: Apache-2.0 */
/* The standbys of a primary as its WAL senders tell of them, and which of them still say something.
 *
 * The server takes a standby for streaming until its own time limit (wal_sender_timeout). One that
 * is cut off is found out before: it says how far it is once a second, and the moment of its last
 * word changes. That moment is of the standby's clock; only that it changes counts, and when we saw
 * it change. The prober's thread alone.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_STANDBYS_H
#define QUORATE_AGENTS_POSTGRESQL_STANDBYS_H

#include "agents/core/db_types.h"
#include "agents/postgresql/sql.h"

/* Zeroed at first. */
struct pg_standby_words {
    struct {
        struct base_name member;
        uint64_t reply_us;
        struct base_mono changed;
    } list[MSG_MEMBERS_MAX];
};

/* What the second statement of a heartbeat asks for, sorted by name: name, state, flush_lsn, and
 * the moment of the last word in microseconds. */
#define PG_STANDBYS_COLUMNS \
    "application_name, state, flush_lsn," \
    " coalesce((extract(epoch FROM reply_time) * 1000000)::bigint, 0)"

/* For how long this standby has said nothing new. Notes what it says. */
int64_t pg_standby_silent_us(struct pg_standby_words *words, const struct base_name *member,
                             uint64_t reply_us, struct base_mono now);
/* `status_s`: how often standbys say something unasked (wal_receiver_status_interval); 0: never. */
void pg_standbys_fill(struct pg_standby_words *words, const PGresult *r, int64_t status_s,
                      struct db_view *view);

#endif
