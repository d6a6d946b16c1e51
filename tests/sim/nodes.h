/* SPDX-License-Identifier: Apache-2.0 */
/* Quorum nodes: raft/node.c, kv/service.c and arbiter/driver.c, unchanged, over simulated disk,
 * network and clock.
 *
 * This file is their shell and plays the part of main_quorated.c and kv/api: it wakes them, hands
 * frames in, takes requests of clients as bytes and answers in bytes. It listens to what is applied
 * and said, for the invariants.
 */
#ifndef QUORATE_TESTS_SIM_NODES_H
#define QUORATE_TESTS_SIM_NODES_H

#include "arbiter/driver.h"
#include "kv/service.h"
#include "raft/node.h"
#include "tests/sim/disk.h"
#include "tests/sim/world.h"

#define SIM_CLUSTER_ID UINT64_C(0x51)
/* First byte of a client's frame and of the answer; outside of enum net_frame. */
#define FRAME_REQUEST 200   /* id u64, kind u8, request */
#define FRAME_ANSWER 201    /* id u64, error u8, response */
#define FRAME_DATABASES 202 /* id u64, request of the arbiter's API; answered by FRAME_ANSWER */

void nodes_open(struct world *w);
void nodes_close(struct world *w);
void node_start(struct world *w, unsigned node);
/* Dies at once: kill -9 or power loss. */
void node_crash(struct world *w, unsigned node, unsigned why);
struct process *node_process(struct world *w, unsigned node);
struct disk *node_log(struct world *w, unsigned node);
struct disk *node_state(struct world *w, unsigned node);
/* Id of the node in this place; 0: none. And the place of an id, or NODES_MAX. */
uint64_t node_id(struct world *w, unsigned node);
unsigned node_of(struct world *w, uint64_t id);
/* What stands in that place is gone for good, with its disks; `id` (0: nobody) has it from now on,
 * with empty disks, and learns from the others who belongs to the quorum. The process must be down.
 */
void node_replace(struct world *w, unsigned node, uint64_t id);
/* Peer URL of a place, as a text that stays. */
const char *node_url(unsigned node);
struct kv_watch_hub;
struct kv_watch_hub *node_hub(struct world *w, unsigned node); /* NULL when down */
int64_t node_revision(struct world *w, unsigned node);
/* A request of an operator to the node in that place; KV_OK: done will be called. */
enum kv_error node_ask(struct world *w, unsigned node, struct kv_call *call);
/* The same of somebody in particular: call->asker. And who knows him; NULL when down. */
enum kv_error node_ask_as(struct world *w, unsigned node, struct kv_call *call);
struct kv_auth;
struct kv_auth *node_auth(struct world *w, unsigned node);
/* When it began to remember logins. */
int64_t node_tokens_since(struct world *w, unsigned node);
struct raft_node *node_raft(struct world *w, unsigned node); /* NULL when down */
/* An operator asks the leader for a switchover to anybody; BASE_E_* when refused. */
int nodes_switchover(struct world *w, unsigned cluster);
/* Any order of an operator about the databases, to the leader. */
/* Whether a member has reported to the node that leads now. */
bool nodes_has_heard(struct world *w, unsigned cluster, const struct base_name *member);
/* What the node that leads says a cluster waits for; false: it waits for nothing, or nobody leads.
 */
bool nodes_waits(struct world *w, unsigned cluster, struct arb_note *ret);
/* Writes a document of settings over the one that stands; BASE_E_*. */
int nodes_configure(struct world *w, unsigned cluster, struct slice text);
/* The leader has a document: what was written may have gone with the leader it was written to. */
bool nodes_is_configured(struct world *w, unsigned cluster);
/* The leader's wall clock; false: there is none. */
bool nodes_wall(struct world *w, int64_t *ret_us);
int nodes_request(struct world *w, unsigned cluster, const struct arb_request *request);
/* The id of the quorum that nodes are started with from now on. */
void nodes_set_cluster(struct world *w, uint64_t cluster);
/* Index of a node that thinks it leads in the highest term; -1 when there is none. */
int nodes_leader(struct world *w);

#endif
