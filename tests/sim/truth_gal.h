/* SPDX-License-Identifier: Apache-2.0 */
/* Invariants of MariaDB Galera clusters: what really happened in the modelled group, against the
 * record, the leases and the word of the agents' health checks. */
#ifndef QUORATE_TESTS_SIM_TRUTH_GAL_H
#define QUORATE_TESTS_SIM_TRUTH_GAL_H

#include "proto/msg/agent.h"
#include "tests/sim/world.h"

#define INVARIANT_GALERA_COMPONENT "one-component"
#define INVARIANT_GALERA_GRANT "one-grant-a-generation"
#define INVARIANT_GALERA_BOOTSTRAP "bootstrap-by-grant"
#define INVARIANT_GALERA_HIGHEST "highest-position-bootstraps"
#define INVARIANT_GALERA_LOST "no-lost-row"
#define INVARIANT_GALERA_WRITER "writer-under-lease"
#define INVARIANT_GALERA_ROUTED "one-writer-endpoint"
#define INVARIANT_GALERA_STALE "reader-is-fresh"
#define INVARIANT_GALERA_SAME_ROWS "same-rows-everywhere"
#define INVARIANT_GALERA_NIL "history-has-a-name"
#define INVARIANT_GALERA_POSITION "starts-with-its-position"

struct db_order;
struct wsrep;
struct truth_gal;

void truth_gal_open(struct world *w);
void truth_gal_close(struct world *w);

/* The group: a component begins by somebody's word, with these places; a member is in a Primary
 * one; a transfer has ended; a row is replicated; its client was told. */
void truth_gal_bootstrap(struct world *w, const struct wsrep *g, uint32_t lineage,
                         uint32_t members);
void truth_gal_component(struct world *w, const struct wsrep *g);
void truth_gal_transferred(struct world *w, const struct wsrep *g, const struct wsrep *donor,
                           bool is_all);
void truth_gal_commit(struct world *w, const struct wsrep *g, uint32_t row);
void truth_gal_ack(struct world *w, const struct wsrep *g, uint32_t row);
/* Something of it may have changed: what it answers, to whom. */
void truth_gal_note(struct world *w, const struct wsrep *g);
/* A health check says 200 to a balancer, just now. */
void truth_gal_writer_said(struct world *w, unsigned member);
void truth_gal_reader_said(struct world *w, unsigned member);
/* The agent gives its server an order. */
void truth_gal_ordered(struct world *w, const struct wsrep *g, const struct db_order *order);
struct member;
/* A member reports: what it has promised to refuse. */
void truth_gal_report(struct world *w, const struct member *m, const struct msg_report *report);
/* The record changes; an operator has confirmed what a recovery may lose. */
void truth_gal_record(struct world *w, const struct msg_record *old, const struct msg_record *new);
void truth_gal_confirmed(struct world *w);
/* At the end: one component of all, a writer, one content. */
void truth_gal_end(struct world *w);

#endif
