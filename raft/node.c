/* SPDX-License-Identifier: Apache-2.0 */
/* The node's public calls: each is one event for the core, its effects carried out, and what became
 * due told. */
#include "raft/node.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/canary.h"
#include "raft/node_internal.h"

#define ENTRY_BYTES_DEFAULT ((3u << 19) + (64u << 10))
#define ENTRY_BYTES_LIMIT (3u << 20) /* must fit into a frame with room to spare */
#define MEMORY_BYTES_DEFAULT (8u << 20)
#define MEMORY_USUAL_DEFAULT (512u << 10)
#define RESULT_BYTES_DEFAULT (2u << 20)
#define PROPOSALS_DEFAULT 4096u
#define READS_DEFAULT 4096u
#define MEMORY_RESERVE 4096u /* proposals leave this much for entries that open a term */
#define LOG_KEEP_ENTRIES_DEFAULT 5000u
#define LOG_KEEP_BYTES_DEFAULT (16u << 20)
#define UNDURABLE_MAX (ENTRY_RING_SLOTS / 2)

struct base_mono node_now(const struct raft_node *node)
{
    return node->ports.clock.now(node->ports.clock.ctx);
}

bool node_is_running(const struct raft_node *node)
{
    BASE_ASSERT(node->magic == NODE_MAGIC);
    return node->is_started && !node->core.is_halted;
}

static void set_default_u32(uint32_t *value, uint32_t usual)
{
    *value = *value == 0 ? usual : *value;
}

static void set_default_u64(uint64_t *value, uint64_t usual)
{
    *value = *value == 0 ? usual : *value;
}

static void set_default_size(size_t *value, size_t usual)
{
    *value = *value == 0 ? usual : *value;
}

static void fill_defaults(struct raft_node_config *config)
{
    set_default_u32(&config->heartbeat_ms, 50);
    set_default_u32(&config->election_min_ms, 250);
    set_default_u32(&config->election_max_ms, 500);
    set_default_u32(&config->proposals_max, PROPOSALS_DEFAULT);
    set_default_u32(&config->reads_max, READS_DEFAULT);
    set_default_u64(&config->log_keep_entries, LOG_KEEP_ENTRIES_DEFAULT);
    set_default_u64(&config->log_keep_bytes, LOG_KEEP_BYTES_DEFAULT);
    set_default_size(&config->entry_bytes_max, ENTRY_BYTES_DEFAULT);
    set_default_size(&config->memory_bytes_max, MEMORY_BYTES_DEFAULT);
    set_default_size(&config->memory_bytes_usual, MEMORY_USUAL_DEFAULT);
    set_default_size(&config->result_bytes_max, RESULT_BYTES_DEFAULT);
}

static bool are_limits_sound(const struct raft_node_config *config)
{
    return config->entry_bytes_max <= ENTRY_BYTES_LIMIT &&
           config->memory_bytes_max >= 4 * entry_ring_size_of(config->entry_bytes_max) &&
           config->proposals_max <= UNDURABLE_MAX && config->member_count <= RAFT_MEMBERS_MAX;
}

static int init_core(struct raft_node *node)
{
    struct raft_core_config config = {
        .cluster_id = node->config.cluster_id,
        .id = node->config.id,
        .configuration = &node->initial,
        .heartbeat_us = node->config.heartbeat_ms * BASE_US_PER_MS,
        .election_min_us = node->config.election_min_ms * BASE_US_PER_MS,
        .election_max_us = node->config.election_max_ms * BASE_US_PER_MS,
        .seed = node->config.seed,
    };
    return raft_core_init(&node->core, &config);
}

/* Memory that is freed with the node; NULL when there is none. */
static void *take(struct raft_node *node, size_t size)
{
    BASE_ASSERT(node->allocation_count < BASE_COUNT_OF(node->allocations));
    void *memory = calloc(1, size);
    node->allocations[node->allocation_count++] = memory;
    return memory;
}

static bool take_all(struct raft_node *node)
{
    const struct raft_node_config *config = &node->config;
    size_t frame_bytes = NET_FRAME_MAX;
    size_t arena_bytes = frame_bytes + NODE_BATCH_MAX * 256;
    size_t fetch_bytes = RAFT_MESSAGE_BYTES + config->entry_bytes_max;
    void *ring = take(node, config->memory_bytes_max);
    struct ring_record **slots = take(node, ENTRY_RING_SLOTS * sizeof(*slots));
    node->frame = buf_over(take(node, frame_bytes), frame_bytes);
    void *arena = take(node, arena_bytes);
    node->apply.bodies = buf_over(take(node, fetch_bytes), fetch_bytes);
    node->apply.results =
        buf_over(take(node, 2 * config->result_bytes_max), 2 * config->result_bytes_max);
    node->proposal_list = take(node, config->proposals_max * sizeof(*node->proposal_list));
    node->read_list = take(node, config->reads_max * sizeof(*node->read_list));
    for (size_t i = 0; i < NODE_FETCHES; i++) {
        node->fetches[i].bodies = buf_over(take(node, fetch_bytes), fetch_bytes);
    }
    for (size_t i = 0; i < node->allocation_count; i++) {
        if (node->allocations[i] == NULL) {
            return false;
        }
    }
    entry_ring_init(&node->ring, ring, config->memory_bytes_max, config->memory_bytes_usual, slots);
    wire_arena_init(&node->arena, arena, arena_bytes);
    node->proposals.cap = config->proposals_max;
    node->reads.cap = config->reads_max;
    return true;
}

int raft_node_create(const struct raft_node_config *config, const struct raft_node_ports *ports,
                     const struct raft_machine *machine, struct raft_node **ret)
{
    struct raft_node_config filled = *config;
    fill_defaults(&filled);
    if (!are_limits_sound(&filled)) {
        return BASE_E_INVALID;
    }
    struct raft_node *node = calloc(1, sizeof(*node));
    if (node == NULL) {
        return BASE_E_NOMEM;
    }
    node->magic = NODE_MAGIC;
    node->config = filled;
    node->initial.count = (uint32_t)config->member_count;
    if (config->member_count > 0) {
        memcpy(node->initial.members, config->members,
               config->member_count * sizeof(config->members[0]));
    }
    node->config.members = node->initial.members;
    node->ports = *ports;
    node->machine = *machine;
    int rc = init_core(node);
    if (rc == 0 && !take_all(node)) {
        rc = BASE_E_NOMEM;
    }
    if (rc != 0) {
        (void)raft_node_destroy(node);
        return rc;
    }
    node_jobs_init(node);
    *ret = node;
    return 0;
}

struct raft_node *raft_node_destroy(struct raft_node *node)
{
    if (node == NULL) {
        return NULL;
    }
    BASE_ASSERT(node->magic == NODE_MAGIC);
    node_snapshot_end(node);
    for (size_t i = 0; i < node->allocation_count; i++) {
        free(node->allocations[i]);
    }
    node->magic = 0;
    free(node);
    return NULL;
}

void raft_node_start(struct raft_node *node)
{
    BASE_ASSERT(node->magic == NODE_MAGIC);
    BASE_ASSERT(!node->is_start_asked);
    node->is_start_asked = true;
    node_submit_load(node);
}

struct base_mono raft_node_deadline(const struct raft_node *node)
{
    return node_is_running(node)
               ? base_mono_min(raft_core_deadline(&node->core), node_snapshot_deadline(node))
               : BASE_MONO_NEVER;
}

void raft_node_tick(struct raft_node *node)
{
    if (!node_is_running(node)) {
        return;
    }
    struct raft_event event = {.type = RAFT_EVENT_TICK, .now = node_now(node)};
    node_step_sure(node, &event);
    node_snapshot_tick(node);
    node_drain(node);
}

/* Without room for the entries the message still says that its sender leads; it will send them
 * again. */
static void drop_entries_without_room(struct raft_node *node, struct msg_raft *message)
{
    size_t total = 0;
    size_t largest = 0;
    for (uint32_t i = 0; i < message->entry_count; i++) {
        size_t size = entry_ring_size_of(message->entries[i].body.len);
        total += size;
        largest = size > largest ? size : largest;
    }
    uint64_t undurable = node->core.log.last_index - node->core.persisted + message->entry_count;
    if (undurable > UNDURABLE_MAX || !entry_ring_make_room(&node->ring, total, largest)) {
        message->entry_count = 0;
    }
}

static bool are_entries_usable(const struct raft_node *node, const struct msg_raft *message)
{
    for (uint32_t i = 0; i < message->entry_count; i++) {
        const struct msg_raft_entry *entry = &message->entries[i];
        struct raft_configuration configuration;
        if (entry->body.len > node->config.entry_bytes_max ||
            (entry->type == MSG_RAFT_ENTRY_MEMBERS &&
             raft_members_decode(entry->body, &configuration) != 0)) {
            return false;
        }
    }
    return true;
}

/* What the core leaves to the transfer of images. */
static void pass_on(struct raft_node *node, const struct msg_raft *message)
{
    bool is_known = raft_members_find(&node->core.configuration, message->from) != NULL;
    if (message->type == MSG_RAFT_SNAPSHOT_REPLY && is_known && node_is_running(node) &&
        node->core.role == RAFT_LEADER && message->term == node->core.term) {
        node_snapshot_reply(node, message);
    }
}

int raft_node_receive(struct raft_node *node, uint64_t from, struct slice payload)
{
    uint8_t kind = 0;
    struct msg_raft message;
    if (!node_is_running(node)) {
        return 0;
    }
    int rc = slice_take_u8(&payload, &kind);
    if (rc != 0 || kind != NET_FRAME_RAFT) {
        return BASE_E_PROTO;
    }
    rc = wire_raft_decode(payload, &node->arena, &message);
    if (rc != 0) {
        return rc;
    }
    if (message.from != from) {
        return BASE_E_DENIED;
    }
    if (!are_entries_usable(node, &message)) {
        return BASE_E_PROTO;
    }
    if (message.entry_count > 0) {
        drop_entries_without_room(node, &message);
    }
    struct raft_event event = {
        .type = RAFT_EVENT_MESSAGE, .now = node_now(node), .message = &message};
    node->message = &message;
    rc = node_step(node, &event);
    node->message = NULL;
    if (rc == 0) {
        pass_on(node, &message);
    }
    node_drain(node);
    return rc;
}

/* Whether one more entry may be proposed: bounded in count and bytes, also while a majority that
 * answers does not write. */
static bool has_room_for(struct raft_node *node, size_t size)
{
    return !node->are_proposals_lost && node->proposals.count < node->proposals.cap &&
           node->proposal_bytes + size <= node->config.memory_bytes_max &&
           node->core.log.last_index - node->core.persisted < UNDURABLE_MAX &&
           entry_ring_make_room(&node->ring, size + MEMORY_RESERVE, size);
}

int raft_node_propose(struct raft_node *node, struct slice data, uint64_t cookie,
                      uint64_t *ret_index, uint64_t *ret_term)
{
    if (!node_is_running(node)) {
        return BASE_E_STATE;
    }
    if (data.len == 0 || cookie == 0) {
        return BASE_E_INVALID;
    }
    if (data.len > node->config.entry_bytes_max) {
        return BASE_E_TOOBIG;
    }
    if (node->core.role != RAFT_LEADER) {
        return BASE_E_NOTLEADER;
    }
    size_t size = entry_ring_size_of(data.len);
    if (!has_room_for(node, size)) {
        return BASE_E_BUSY;
    }
    struct raft_event event = {
        .type = RAFT_EVENT_PROPOSE, .now = node_now(node), .bytes = data.len};
    node->proposal = data;
    int rc = node_step(node, &event);
    node->proposal = SLICE_EMPTY;
    if (rc != 0) {
        return rc;
    }
    node_proposal_add(node, node->core.log.last_index, cookie, size);
    if (ret_index != NULL) {
        *ret_index = node->core.log.last_index;
    }
    if (ret_term != NULL) {
        *ret_term = node->core.term;
    }
    node_drain_later(node);
    return 0;
}

static int ask_round(struct raft_node *node, uint64_t *ret_ticket)
{
    struct raft_event event = {.type = RAFT_EVENT_READ, .now = node_now(node)};
    int rc = node_step(node, &event);
    if (rc == 0) {
        *ret_ticket = node->effects.ticket;
    }
    return rc;
}

int raft_node_read(struct raft_node *node, uint64_t cookie)
{
    if (!node_is_running(node)) {
        return BASE_E_STATE;
    }
    if (node->reads.count == node->reads.cap) {
        return BASE_E_BUSY;
    }
    struct node_read read = {.cookie = cookie, .state = NODE_READ_ASKED};
    int rc = ask_round(node, &read.ticket);
    if (rc != 0) {
        return rc;
    }
    node->read_list[node_fifo_at(&node->reads, node->reads.count++)] = read;
    if (node->core.role == RAFT_LEADER && node->core.round_released >= read.ticket) {
        node_reads_ready(node, read.ticket, node->core.commit); /* a group of one */
    }
    node_drain_later(node);
    return 0;
}

int raft_node_confirm(struct raft_node *node, struct raft_confirm *confirm)
{
    if (!node_is_running(node)) {
        return BASE_E_STATE;
    }
    if (node->core.role != RAFT_LEADER) {
        return BASE_E_NOTLEADER;
    }
    int rc = ask_round(node, &confirm->ticket);
    if (rc != 0) {
        return rc;
    }
    confirm->term = node->core.term;
    node_confirm_add(node, confirm);
    node_confirms_ready(node, node->core.round_confirmed);
    node_drain_later(node);
    return 0;
}

void raft_node_status(const struct raft_node *node, struct raft_node_status *ret)
{
    BASE_ASSERT(node->magic == NODE_MAGIC);
    const struct raft_core *core = &node->core;
    if (!node->is_started) { /* the storage thread may be filling the log */
        *ret = (struct raft_node_status){
            .is_halted = core->is_halted, .first_index = 1, .elected_at = BASE_MONO_LONG_AGO};
        return;
    }
    bool is_leader = node_is_running(node) && core->role == RAFT_LEADER;
    *ret = (struct raft_node_status){
        .is_started = true,
        .is_halted = core->is_halted,
        .role = core->role,
        .term = core->term,
        .leader_id = core->leader,
        .first_index = core->log.first_index,
        .last_index = core->log.last_index,
        .persisted_index = core->persisted,
        .commit_index = core->commit,
        .applied_index = node->applied,
        .applied_term = node->applied_term,
        .has_applied_own_term = is_leader && node->applied >= core->term_start,
        .elected_at = is_leader ? node->elected_at : BASE_MONO_LONG_AGO,
    };
}

const struct raft_configuration *raft_node_configuration(const struct raft_node *node)
{
    return node->is_started ? &node->core.configuration : &node->initial;
}

bool raft_node_member_status(const struct raft_node *node, uint64_t id,
                             struct raft_member_status *ret)
{
    const struct raft_core *core = &node->core;
    for (size_t i = 0; node_is_running(node) && core->role == RAFT_LEADER && i < core->peer_count;
         i++) {
        const struct raft_peer *peer = &core->peers[i];
        if (peer->id == id) {
            bool is_self = id == node->config.id;
            *ret = (struct raft_member_status){
                .match_index = is_self ? core->persisted : peer->match,
                .heard_at = {is_self ? core->now_us : peer->heard_us},
                .is_snapshot_under_way = !is_self && peer->state == RAFT_PEER_SNAPSHOT};
            return true;
        }
    }
    return false;
}

uint64_t raft_node_cluster_id(const struct raft_node *node)
{
    return node->config.cluster_id;
}

int raft_node_transfer(struct raft_node *node, uint64_t to_id, uint64_t cookie)
{
    if (!node_is_running(node)) {
        return BASE_E_STATE;
    }
    if (node->transfer.cookie != 0) {
        return BASE_E_BUSY;
    }
    struct raft_event event = {.type = RAFT_EVENT_TRANSFER, .now = node_now(node), .peer = to_id};
    int rc = node_step(node, &event);
    if (rc == 0) {
        node->transfer.cookie = cookie;
        node_drain_later(node);
    }
    return rc;
}

int raft_node_change_members(struct raft_node *node, const struct raft_configuration *next,
                             uint64_t cookie)
{
    if (!node_is_running(node)) {
        return BASE_E_STATE;
    }
    if (cookie == 0) {
        return BASE_E_INVALID;
    }
    struct buf bytes = buf_over(node->members_bytes, sizeof(node->members_bytes));
    int rc = raft_members_encode(next, &bytes);
    if (rc != 0) {
        return rc;
    }
    size_t size = entry_ring_size_of(bytes.len);
    if (bytes.len > node->config.entry_bytes_max) {
        return BASE_E_TOOBIG;
    }
    bool is_changing = node->change.cookie != 0 && !CANARY(TWO_CHANGES_AT_ONCE);
    if (is_changing || !entry_ring_make_room(&node->ring, size + MEMORY_RESERVE, size)) {
        return BASE_E_BUSY;
    }
    struct raft_event event = {.type = RAFT_EVENT_CHANGE_MEMBERS,
                               .now = node_now(node),
                               .configuration = next,
                               .bytes = bytes.len};
    node->proposal = buf_slice(&bytes);
    node->change = (struct node_change){
        .cookie = cookie, .index = node->core.log.last_index + 1, .term = node->core.term};
    rc = node_step(node, &event);
    node->proposal = SLICE_EMPTY;
    if (rc != 0) {
        node->change = (struct node_change){0};
    }
    node_drain_later(node);
    return rc;
}

const struct raft_core *raft_node_core(const struct raft_node *node)
{
    return &node->core;
}
