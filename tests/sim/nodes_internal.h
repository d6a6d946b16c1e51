/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the simulated quorum nodes share (nodes*.c, node_*.c): a node's parts, and its
 * place in the world. */
#ifndef QUORATE_TESTS_SIM_NODES_INTERNAL_H
#define QUORATE_TESTS_SIM_NODES_INTERNAL_H

#include "arbiter/driver.h"
#include "kv/auth.h"
#include "kv/service.h"
#include "kv/watch.h"
#include "tests/sim/nodes.h"

#define CALLS_MAX 128

/* A client's request on its way through the service. */
struct api_call {
    struct kv_call call; /* first: the cast back relies on it */
    struct node *node;
    bool is_used;
    unsigned client;
    uint64_t id;
    struct kv_request request;
    uint8_t bytes[2048];
    _Alignas(16) uint8_t arena[8192];
};

struct node {
    struct world *world;
    unsigned index;
    struct process process;
    struct host_clock clock;
    struct base_rand rand;
    struct disk *log;
    struct disk *state;
    uint64_t id; /* 0: nobody has this place */
    bool is_founder;
    struct raft_node *raft;
    struct kv_service *service;
    struct arb_driver *driver;
    struct kv_watch_hub *hub;
    struct kv_auth *auth;
    int64_t tokens_since_us; /* what was known of logins before is gone */
    struct raft_machine inner;
    int64_t wake_at_us;
    uint64_t wake_number;
    bool is_started;
    bool is_dying;
    bool is_reload_wanted; /* of the arbiter's records */
    struct api_call calls[CALLS_MAX];
};

struct nodes {
    struct node list[NODES_MAX];
    struct raft_member members[NODES_MAX];
    uint64_t cluster_id;
};

/* The node of that place, whether somebody has it or not. */
struct node *nodes_get(struct world *w, unsigned node);

/* --- nodes.c --- */
/* After anything was handed to the node: the moment at which it wants to be called may have
 * changed. */
void node_rearm(struct node *n);

/* --- node_calls.c --- */
/* A frame of a client, without its type: answered to the same address. */
void node_request(struct node *n, unsigned client, struct slice frame);

/* --- node_fence.c --- */
/* Port of the arbiter's driver: somebody runs the fence command; `user` is the node. */
void node_fence(void *user, const struct arb_fence_job *job);

#endif
