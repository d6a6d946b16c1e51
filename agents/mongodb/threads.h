/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions (session.h) on threads: one thread with one blocking connection for each, started when
 * it is first needed. Answers come back through io_wake in the loop thread.
 *
 * A command that is not answered within its limit is called back with TIMEOUT while its thread
 * still waits; one that waits MDB_HUNG_US is given up with its connection, and the next command has
 * another thread, as long as no more than MDB_GIVEN_UP_MAX hang. A thread that comes back after it
 * was given up ends by itself. Loop thread only.
 */
#ifndef QUORATE_AGENTS_MONGODB_THREADS_H
#define QUORATE_AGENTS_MONGODB_THREADS_H

#include "agents/mongodb/conn.h"
#include "proto/io/loop.h"

struct mdb_threads;

struct mdb_threads_options {
    struct io_loop *loop;
    struct mdb_conn_port conns; /* used by the threads; lives as long as the process */
    int64_t hung_us;            /* 0: MDB_HUNG_US; tests are less patient */
};

/* NOMEM, IO. */
MUST_CHECK int mdb_threads_new(const struct mdb_threads_options *options, struct mdb_threads **ret);
struct mdb_session_port mdb_threads_port(struct mdb_threads *threads);
/* Nothing is called back any more. Waits for the threads, except for those that are in a command:
 * they are given up. *ret_all_ended: none is left. NULL is fine. Returns NULL. */
struct mdb_threads *mdb_threads_free(struct mdb_threads *threads, bool *ret_all_ended);

#endif
