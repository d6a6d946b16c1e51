/* SPDX-License-Identifier: Apache-2.0 */
/* Some Raft cores with disks and a network, for drive_raft.c: what one step of a core does to them,
 * told in words. Each node has a clock of its own; a message is sent in one step and delivered in a
 * later one; what a node writes is durable when its disk is told so. */
#ifndef QUORATE_TESTS_GOLDEN_RAFT_BENCH_H
#define QUORATE_TESTS_GOLDEN_RAFT_BENCH_H

#include "raft/core/core.h"
#include "tests/golden/golden.h"

#define ULL(x) ((unsigned long long)(x))
#define NODES RAFT_MEMBERS_MAX
#define ENTRIES_MAX 64
#define PACKET_ENTRIES 16
#define PACKETS_MAX 512
#define OPS_MAX 32
#define CONFIGS_MAX 32
#define STEPS_MAX 20000
#define CLUSTER 9

struct entry {
    uint64_t term;
    enum msg_raft_entry_type type;
    size_t config; /* MEMBERS: position in configs */
};

enum op_kind { OP_SAVE, OP_WRITE, OP_INSTALL };

/* Something that is not durable yet. */
struct op {
    enum op_kind kind;
    uint64_t term, vote, id, from, to;
    struct entry entries[ENTRIES_MAX]; /* of from.. */
};

struct image {
    uint64_t index, term, sender;
    size_t config;
};

struct node {
    bool is_made, is_up, is_stuck, has_reads;
    struct raft_core core;
    int64_t now_us;
    struct entry entries[ENTRIES_MAX]; /* in memory, by index */
    struct entry disk[ENTRIES_MAX];
    uint64_t disk_last, disk_term, disk_vote;
    bool has_image;
    struct image image, coming; /* durable; being taken in */
    size_t founding;
    uint32_t op_count;
    struct op ops[OPS_MAX];
};

/* What is told: roles, commits and the like; also writes and messages; also idle heartbeats. */
enum telling { TELL_OUTCOMES, TELL_WORK, TELL_ALL };

struct packet {
    struct msg_raft m;
    struct entry entries[PACKET_ENTRIES];
};

extern struct node nodes[NODES + 1];
extern struct packet packets[PACKETS_MAX];
extern size_t packet_count;
extern bool is_cut[NODES + 1][NODES + 1];
extern enum telling telling;
extern struct raft_configuration configs[CONFIGS_MAX];
extern size_t config_count;

extern const char *const role_text[];

/* Hands the event to the node's core, carries the effects out and tells them. `packet`: of a
 * message, else NULL. */
void bench_step(uint64_t id, struct raft_event event, const struct packet *packet);
/* The oldest thing becomes durable. False: nothing waits. */
bool bench_disk_one(uint64_t id);
void bench_deliver(struct packet packet);
struct packet bench_take(size_t at);
/* Delivers and writes until nothing is left. */
void bench_settle(void);
void bench_reset(void);

#endif
