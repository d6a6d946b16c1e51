/* SPDX-License-Identifier: Apache-2.0 */
/* A member for tests: the PostgreSQL port with a guard that only forks and signals, everything in
 * one directory. Nothing is fenced here; that is the guard's own test. */
#ifndef QUORATE_TESTS_INTEGRATION_PG_MEMBER_H
#define QUORATE_TESTS_INTEGRATION_PG_MEMBER_H

#include <sys/types.h>

#include "agents/postgresql/db.h"
#include "agents/postgresql/sql.h"

#define TEST_MEMBERS_MAX 4

struct member {
    struct pg_settings settings;
    struct pg_db *db;
    int wake_fd;
    pid_t pid;
    struct guard_status guard;
    struct db_view view;
    uint64_t views;
    struct db_done done;
    bool has_done;
    uint64_t ids;
    bool loses_signals; /* the guard does not hear us */
};

/* Makes directories below `base` and opens the port on a free TCP port. */
void member_open(struct member *m, const char *base, const char *name);
/* Kills what runs, closes. */
void member_close(struct member *m);
/* Forks the server; the caller waits for a view. */
void member_start(struct member *m);
/* Signal to the server, then until it is gone. SIGKILL takes the whole group. */
void member_stop(struct member *m, int signal_number);
/* Another agent process: the port is closed and opened again under the running server. */
void member_reopen(struct member *m);

/* Serves all members until the deadline or until `until` says so. */
bool members_run(bool (*until)(const struct member *m), const struct member *m, int64_t limit_us);
/* Gives an order and waits for its completion. */
struct db_done member_order(struct member *m, enum db_order_kind kind,
                            const struct db_order *details);
void member_send(struct member *m, enum db_order_kind kind, const struct db_order *details);
bool member_wait_done(struct member *m, int64_t limit_us);
/* Order with an upstream. */
struct db_order order_upstream(const struct member *upstream);
struct db_order order_sync(const char *a, const char *b, uint8_t count);

/* One statement as superuser over the socket; fails the test on an error. First field as text. */
const char *member_sql(struct member *m, const char *text);

#endif
