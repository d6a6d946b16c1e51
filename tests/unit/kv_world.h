/* SPDX-License-Identifier: Apache-2.0 */
/* Three quorum nodes in one process for tests of the key-value service: real Raft nodes over stores
 * in memory, a clock of their own, and a net that loses nothing but what a test cuts. */
#ifndef QUORATE_TESTS_UNIT_KV_WORLD_H
#define QUORATE_TESTS_UNIT_KV_WORLD_H

#include "base/arena.h"
#include "base/rand.h"
#include "kv/core/apply.h"
#include "kv/service.h"
#include "raft/node.h"
#include "raft/store_mem.h"

#define NODES 3u
#define PACKETS_MAX 4096u
#define CALLS 64u

struct packet {
    size_t from;
    size_t to;
    size_t len;
    uint8_t *data;
};

struct world;
struct host {
    struct world *world;
    uint64_t id;
    uint64_t life;
    struct store_mem *log;
    struct store_mem *store;
    struct raft_node *node;
    struct kv_service *service;
    bool is_disk_hanging;
    bool is_store_hanging; /* the state store alone: what is committed is not applied */
    bool is_cut;           /* from the other nodes */
    int swaps_won;
    int swaps_void;
    int loaded;
    int load_status;
    int halted;
    int64_t revised;
    int64_t compacted;
    int restored;
    bool is_paused;               /* neither runs nor hears, but what is sent to it waits */
    int64_t compaction_revisions; /* options of the next boot */
    int64_t compaction_period_us;
    uint64_t quota_bytes;
    uint32_t request_bytes_max;
    uint64_t log_keep_entries;
    bool is_deaf_to_kv; /* frames of the service to it are lost */
    /* told of changes of users and roles; may be NULL */
    void (*auth_changed)(void *ctx, const struct kv_auth_event *event);
    void *auth_ctx;
    struct kv_swapped last_swap;
    uint8_t blob[64];
};

struct world {
    int64_t now_ms;
    struct base_rand rand;
    struct host hosts[NODES];
    struct packet packets[PACKETS_MAX];
    size_t packet_count;
};

/* A call with room for its request and its answer. */
struct ask {
    struct kv_call call;
    struct kv_request request;
    bool is_done;
    enum kv_error error;
    size_t len;
    struct kv_response response;
    struct base_arena arena;
    uint8_t bytes[4096];
    uint8_t memory[8192];
    char value[32];
};

struct base_mono now_of(const struct world *world);
void boot(struct host *host);
void crash(struct host *host);
void step(struct world *world);
struct host *leader_of(struct world *world);
struct host *wait_leader(struct world *world);
struct host *follower_of(struct world *world);
int setup(void **state);
int teardown(void **state);
enum kv_error ask_send(struct host *host, struct ask *ask, struct kv_request request);
/* The same for somebody whom the walker has allowed it under that auth revision. */
enum kv_error ask_send_as(struct host *host, struct ask *ask, struct kv_request request,
                          struct slice user, uint64_t auth_revision);
void ask_wait(struct world *world, struct ask *ask);
enum kv_error ask_now(struct host *host, struct ask *ask, struct kv_request request);
struct kv_request put_of(const char *key, const char *value);
struct kv_request get_of(const char *key);
/* An entry as some node would propose it, on the leader: what raft_node_propose says. */
int propose_command(struct host *host, const struct kv_command *command);
void assert_equal_states(struct world *world);
void on_loaded(void *user, int status);

#endif
