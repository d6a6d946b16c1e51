/* SPDX-License-Identifier: Apache-2.0 */
/* The inside of a quorum node, shared by node.c (its life: stores, who it is, time), node_open.c
 * (how its parts are made) and node_events.c (what the parts tell each other). Nobody else includes
 * it. Loop thread. */
#ifndef QUORATE_ARBITER_QUORATED_NODE_INTERNAL_H
#define QUORATE_ARBITER_QUORATED_NODE_INTERNAL_H

#include "arbiter/api/databases.h"
#include "arbiter/api/patroni.h"
#include "arbiter/driver.h"
#include "arbiter/notify/notify.h"
#include "arbiter/quorated/audit.h"
#include "arbiter/quorated/clients.h"
#include "arbiter/quorated/join.h"
#include "arbiter/quorated/machine.h"
#include "arbiter/quorated/members.h"
#include "arbiter/quorated/pages.h"
#include "arbiter/quorated/stores.h"
#include "kv/api/api.h"
#include "proto/io/daemon.h"

/* In the order in which the parts are made. */
struct quorated_fences;

struct quorated {
    const struct quorated_settings *settings;
    int exit_status;
    bool is_stopping;
    bool is_reload_wanted; /* of the arbiter's records */
    uint64_t life;
    struct io_loop *loop;
    struct quorated_stores stores;
    struct quorated_ids ids; /* of this node, as stored, as learned, or as the settings have them */
    struct quorated_join *join;
    struct io_tls *tls;     /* both directions of the links */
    struct io_tls *api_tls; /* public port: certificate optional, HTTP/2 offered */
    struct io_links *links;
    struct kv_service *service;
    struct quorated_machine machine;
    struct quorated_members membership;
    struct raft_node *node;
    struct arb_driver *arbiter;
    struct arb_api *databases;
    struct arb_patroni patroni;
    struct quorated_fences *fences;
    struct api *api;
    struct quorated_clients clients;
    struct quorated_audit audit;
    struct quorated_pages pages;
    struct web *web;
    struct notify *notify; /* NULL: nobody is told */
    struct io_server *server;
    struct io_server *metrics;
    struct raft_member members[RAFT_MEMBERS_MAX]; /* of a new quorum */
    struct io_timer raft_timer;
    struct io_timer service_timer;
    struct io_timer arbiter_timer;
    uv_prepare_t before_sleep;
};

/* node.c: ends the loop; the first reason decides the exit status. */
void quorated_stop(struct quorated *q, int exit_status);
/* Says on stderr why a start fails. Returns -1. */
int quorated_fail(const char *what, const struct io_why *why);

/* node_open.c. Each says on stderr why not and returns -1, or returns 0; what was made before is
 * taken down by node.c. */
MUST_CHECK int quorated_open_tls(struct quorated *q);
/* Everything that needs to know who this node is: q->ids. Raft is still to be started. */
MUST_CHECK int quorated_open_parts(struct quorated *q);

/* node_events.c: fill in who is told what. */
extern const struct io_link_events quorated_link_events; /* ctx: struct quorated */
void quorated_hear_service(struct quorated *q, struct kv_service_options *options);
void quorated_hear_raft(struct quorated *q); /* into machine and membership */
void quorated_hear_arbiter(struct quorated *q, struct arb_driver_options *options);
/* What carries the arbiter's fences out. */
MUST_CHECK int quorated_open_fences(struct quorated *q);

#endif
