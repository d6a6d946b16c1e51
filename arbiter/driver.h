/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter on a quorum node: glue between the agents' links, Raft, the key-value service and
 * arbiter/core.
 *
 * Runs on every quorum node: all take reports in and follow the records, the Raft leader decides,
 * grants and answers. It carries out the core's effects in their order, in the same turn, and reads
 * the clock for each order just before it is sent. Everything is allocated at open: `clusters_max`
 * clusters, more are refused. Loop thread only. It never logs; what a person should hear comes
 * through `noted`.
 */
#ifndef QUORATE_ARBITER_DRIVER_H
#define QUORATE_ARBITER_DRIVER_H

#include "arbiter/core/arb.h"
#include "arbiter/record_json.h"
#include "arbiter/settings.h"
#include "kv/service.h"
#include "proto/port_clock.h"
#include "proto/port_net.h"
#include "raft/node.h"

#define ARB_CLUSTERS_MAX 64
#define ARB_STORY_MAX 64 /* sentences kept per cluster */

struct arb_driver;

/* A host to be powered off: `command off`, then `command status` must say that it is. */
struct arb_fence_job {
    struct base_name cluster, member;
    struct base_text host;                   /* as the member reported it; may be empty */
    uint64_t epoch;                          /* that is fenced */
    char command[ARB_FENCE_COMMAND_MAX + 1]; /* "": none is set */
    uint32_t timeout_ms;                     /* of each run */
};

struct arb_driver_options {
    struct raft_node *node; /* or NULL and arb_driver_set_node before the first call */
    struct kv_service *service;
    struct net_port net; /* links of agents */
    struct clock_port clock;
    uint32_t clusters_max; /* 0: ARB_CLUSTERS_MAX */
    void *user;
    /* A sentence about a cluster; valid during the call. On the leader, and of handbacks on all
     * nodes. May be NULL. */
    void (*noted)(void *user, const struct base_name *cluster, const struct arb_note *note);
    /* Begins a fence; arb_driver_fenced follows exactly once, never from inside this call. On the
     * leader. May be NULL: every fence fails. */
    void (*fence)(void *user, const struct arb_fence_job *job);
};

/* BASE_E_NOMEM, BASE_E_INVALID. */
MUST_CHECK int arb_driver_open(const struct arb_driver_options *options, struct arb_driver **ret);
/* The service must be closed before (its calls are over then). NULL is fine. Returns NULL. */
struct arb_driver *arb_driver_close(struct arb_driver *driver);
void arb_driver_set_node(struct arb_driver *driver, struct raft_node *node);

/* A frame NET_FRAME_REPORT (type byte first) from the agent that the link proved to be `from`. What
 * is malformed or speaks for somebody else is dropped: BASE_E_PROTO, BASE_E_DENIED; BASE_E_TOOBIG
 * when there are too many clusters. */
int arb_driver_receive(struct arb_driver *driver, uint64_t link, const struct net_identity *from,
                       struct slice payload);
/* kv_service_options.restore_known: the store's restore id, told before its records. A record with
 * another one is unconfirmed. 0 until then. */
void arb_driver_set_restore(struct arb_driver *driver, uint64_t restore_id);
/* kv_service_options.swapped: applied swaps and loaded records. */
void arb_driver_swapped(struct arb_driver *driver, const struct kv_swapped *swapped);
/* What is remembered of the records may not be what the store holds: before they are read at a
 * start, and from the moment when an image takes the place of the store. Until they are told anew
 * this node grants and decides nothing, even if it is elected meanwhile: the old holder of an
 * epoch that has passed must not get a lease from a record that is behind. */
void arb_driver_records_stale(struct arb_driver *driver);
/* arb_driver_swapped has told all of them. As after opening. */
void arb_driver_records_told(struct arb_driver *driver);
/* kv_service_options.role_changed. */
void arb_driver_role_changed(struct arb_driver *driver);
/* When arb_driver_tick wants to be called next; changes with every call into the driver. */
struct base_mono arb_driver_deadline(const struct arb_driver *driver);
void arb_driver_tick(struct arb_driver *driver);

/* An operator's order. 0: decided and proposed, or under way; else why not, with one sentence for
 * people. */
int arb_driver_request(struct arb_driver *driver, const struct base_name *cluster,
                       const struct arb_request *request, struct base_text *ret_text);

/* How a fence ended: `is_off` when the command ended well and the second query said so. */
void arb_driver_fenced(struct arb_driver *driver, const struct base_name *cluster, uint64_t epoch,
                       bool is_off);

/* Writes the cluster's configuration document in place of revision `expect` (0: there is none),
 * also for a cluster that has no record yet. 0: checked and in the log, as *ret_revision. Else why
 * not: BASE_E_INVALID, BASE_E_TOOBIG, BASE_E_CONFLICT when another one stands, BASE_E_NOTLEADER,
 * BASE_E_BUSY. */
MUST_CHECK int arb_driver_configure(struct arb_driver *driver, const struct base_name *cluster,
                                    uint64_t expect, struct slice text, uint64_t *ret_revision,
                                    struct arb_settings_why *why);
/* The document that stands; false when there is none. Valid until the next call. */
bool arb_driver_document(const struct arb_driver *driver, const struct base_name *cluster,
                         uint64_t *ret_revision, struct slice *ret_text);
/* Who is known to belong to the cluster. Returns how many. */
size_t arb_driver_seen(const struct arb_driver *driver, const struct arb_cluster *cluster,
                       struct arb_seen ret[MSG_MEMBERS_MAX]);

/* For showing: clusters in order of their making, NULL beyond the last one. Valid until the next
 * call. */
const struct arb_cluster *arb_driver_cluster(const struct arb_driver *driver, size_t index);
const struct arb_cluster *arb_driver_find(const struct arb_driver *driver,
                                          const struct base_name *cluster);
/* The last sentences about a cluster, oldest first. */
size_t arb_driver_story(const struct arb_driver *driver, const struct arb_cluster *cluster,
                        struct arb_note ret[ARB_STORY_MAX]);
bool arb_driver_is_leader(const struct arb_driver *driver);

#endif
