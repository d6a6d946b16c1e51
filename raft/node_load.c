/* SPDX-License-Identifier: Apache-2.0 */
/* Start: three jobs in turn bring ids, hard state, what is applied, and the log from the two
 * stores. They fill the core's log and configuration on the storage threads, while nobody looks at
 * them. */
#include "base/assert.h"
#include "base/mark.h"
#include "raft/node_internal.h"

static void submit_next(struct node_load_job *load, bool is_log,
                        int (*run)(struct store_job *, struct store_txn *),
                        void (*done)(struct store_job *, int))
{
    load->job = (struct store_job){.run = run, .done = done, .wants_durable = true};
    if (is_log) {
        node_submit_log(load->node, &load->job);
    } else {
        node_submit_store(load->node, &load->job);
    }
}

static void end_load(struct raft_node *node, int status)
{
    node->is_started = status == 0;
    node->is_started_due = true;
    node->status = status;
    if (!node->is_started) {
        node->core.is_halted = true;
    }
    node_drain(node);
}

/* --- the log --- */

static int load_first(struct node_load_job *load, uint64_t index,
                      const struct msg_raft_entry *entry)
{
    struct raft_log *log = &load->node->core.log;
    uint64_t applied = load->state.applied_index;
    if (index > applied + 1) {
        return BASE_E_CORRUPT; /* entries are missing between the state and the log */
    }
    if (index == applied + 1) {
        raft_log_init(log, applied, load->state.applied_term);
    } else if (index > 1) {
        raft_log_init(log, index, entry->term); /* its own predecessor is forgotten */
    }
    return 0;
}

static int load_entry(void *ctx, uint64_t index, const struct msg_raft_entry *entry)
{
    struct node_load_job *load = ctx;
    struct raft_core *core = &load->node->core;
    int rc = load->rows++ == 0 ? load_first(load, index, entry) : 0;
    if (rc != 0 || index <= core->log.last_index) {
        return rc;
    }
    if (entry->term < raft_log_last_term(&core->log)) {
        return BASE_E_CORRUPT;
    }
    uint64_t applied = load->state.applied_index;
    rc = raft_log_append(&core->log, entry->term, entry->body.len, applied);
    if (rc == 0 && entry->type == MSG_RAFT_ENTRY_MEMBERS) {
        struct raft_configuration configuration;
        if (raft_members_decode(entry->body, &configuration) != 0) {
            return BASE_E_CORRUPT;
        }
        configuration.index = index;
        raft_core_load_members(core, &configuration, false);
    }
    return rc;
}

/* An image was installed, and the node stopped before the log began anew behind it, or before it
 * got its first entry there, when the next image may be announced already. Each was announced in
 * the log's store first. A state that is ahead of the log without that means that the end of the
 * log, which this node has acknowledged, is lost. */
static int is_log_behind_image(const struct node_load_job *load, bool *ret)
{
    const struct raft_core *core = &load->node->core;
    uint64_t applied = load->state.applied_index;
    uint64_t applied_term = load->state.applied_term;
    bool is_announced = (applied == load->image_index && applied_term == load->image_term) ||
                        (applied == load->reset_index && applied_term == load->reset_term);
    bool is_ahead = applied > core->log.last_index;
    bool is_other =
        applied >= core->log.first_index && raft_core_log_term(core, applied) != applied_term;
    *ret = is_announced && (is_ahead || is_other);
    return is_ahead && !is_announced ? BASE_E_CORRUPT : 0;
}

static int log_run(struct store_job *job, struct store_txn *txn)
{
    struct node_load_job *load = (struct node_load_job *)(void *)job;
    struct raft_core *core = &load->node->core;
    bool is_behind = false;
    int rc = log_store_walk(txn, load_entry, load);
    if (rc == 0) {
        rc = is_log_behind_image(load, &is_behind);
    }
    if (rc == 0 && is_behind) {
        MARK(NODE_LOAD_BEHIND_IMAGE);
        load->is_reset = load->rows > 0;
        raft_log_init(&core->log, load->state.applied_index, load->state.applied_term);
        raft_core_load_members(core, &load->base, true);
        rc = log_store_reset(txn, load->state.applied_index, load->state.applied_term);
    }
    return rc;
}

static int begin(struct raft_node *node)
{
    const struct node_load_job *load = &node->load;
    const struct log_store_state *state = &load->state;
    struct raft_core_restored restored = {
        .term = load->term, .vote = load->vote, .applied = state->applied_index};
    int rc = raft_core_start(&node->core, &restored, node_now(node));
    if (rc == 0 && raft_core_log_term(&node->core, state->applied_index) != state->applied_term) {
        rc = BASE_E_CORRUPT;
    }
    node->stored_last = node->core.log.last_index;
    node->applied = state->applied_index;
    node->applied_term = state->applied_term;
    node->ring.first_live = node->core.log.last_index + 1;
    node->ring.durable = node->core.persisted;
    node->ring.applied = node->applied;
    node_mark_reset(node, node->applied);
    node->is_restored_due = rc == 0 && load->is_reset;
    return rc;
}

static void log_done(struct store_job *job, int status)
{
    struct raft_node *node = ((struct node_load_job *)(void *)job)->node;
    end_load(node, status == 0 ? begin(node) : status);
}

/* --- what is applied --- */

static int store_run(struct store_job *job, struct store_txn *txn)
{
    struct node_load_job *load = (struct node_load_job *)(void *)job;
    struct raft_node *node = load->node;
    bool has_ids = false;
    int rc = log_store_has_ids(txn, &has_ids);
    if (rc == 0) {
        rc = log_store_check_ids(txn, node->config.cluster_id, node->config.id);
    }
    if (rc == 0) {
        rc = log_store_load_state(txn, &load->state);
    }
    if (rc == 0 && has_ids && load->is_log_new) {
        rc = BASE_E_CORRUPT; /* the log's ids are durable first: it was lost, and with it our vote,
                                also where nothing was applied yet */
    }
    if (rc != 0) {
        return rc;
    }
    rc = log_store_load_members(txn, &load->base);
    if (rc == BASE_E_NOTFOUND) {
        load->base = node->initial;
        rc = load->base.count == 0 ? 0 : log_store_save_members(txn, &load->base);
    }
    return rc;
}

static void store_done(struct store_job *job, int status)
{
    struct node_load_job *load = (struct node_load_job *)(void *)job;
    if (status == 0 && load->base.index > load->state.applied_index) {
        status = BASE_E_CORRUPT;
    }
    if (status != 0) {
        end_load(load->node, status);
        return;
    }
    raft_core_load_members(&load->node->core, &load->base, true);
    submit_next(load, true, log_run, log_done);
}

/* --- ids and hard state --- */

static int ids_run(struct store_job *job, struct store_txn *txn)
{
    struct node_load_job *load = (struct node_load_job *)(void *)job;
    struct raft_node *node = load->node;
    struct log_store_state state;
    bool has_ids = false;
    int rc = log_store_has_ids(txn, &has_ids);
    load->is_log_new = !has_ids;
    if (rc == 0) {
        rc = log_store_check_ids(txn, node->config.cluster_id, node->config.id);
    }
    if (rc == 0) {
        rc = log_store_load_state(txn, &state);
    }
    if (rc == 0) {
        load->term = state.term;
        load->vote = state.vote;
        rc = log_store_load_image(txn, &load->image_index, &load->image_term);
    }
    if (rc == 0) {
        rc = log_store_load_reset(txn, &load->reset_index, &load->reset_term);
    }
    return rc;
}

static void ids_done(struct store_job *job, int status)
{
    struct node_load_job *load = (struct node_load_job *)(void *)job;
    if (status != 0) {
        end_load(load->node, status);
        return;
    }
    submit_next(load, false, store_run, store_done);
}

void node_submit_load(struct raft_node *node)
{
    node->load.node = node;
    submit_next(&node->load, true, ids_run, ids_done);
}
