/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs of the log's store. `*_run` functions are called on its storage thread and touch their own
 * job only, and entries that are pinned; `*_done` on the loop thread. */
#include <string.h>

#include "base/assert.h"
#include "base/failpoint.h"
#include "raft/node_internal.h"

void node_submit_log(struct raft_node *node, struct store_job *job)
{
    node->ports.log.submit(node->ports.log.ctx, job);
}

void node_submit_store(struct raft_node *node, struct store_job *job)
{
    node->ports.store.submit(node->ports.store.ctx, job);
}

/* --- hard state --- */

static int state_run(struct store_job *job, struct store_txn *txn)
{
    const struct node_state_job *state = (struct node_state_job *)(void *)job;
    int rc = FAILPOINT(LOG_STATE);
    return rc != 0 ? rc : log_store_save_state(txn, state->term, state->vote);
}

bool node_is_done_well(struct raft_node *node, int status)
{
    if (status == 0) {
        return !node->core.is_halted;
    }
    node_fail(node, status);
    node_drain(node);
    return false;
}

static void state_done(struct store_job *job, int status)
{
    struct node_state_job *state = (struct node_state_job *)(void *)job;
    struct raft_node *node = state->node;
    state->is_busy = false;
    if (!node_is_done_well(node, status)) {
        return;
    }
    struct raft_event event = {.type = RAFT_EVENT_STATE_SAVED,
                               .now = node_now(node),
                               .term = state->term,
                               .vote = state->vote};
    if (state->is_wanted) {
        node_submit_state(node, state->wanted_term, state->wanted_vote);
    }
    node_step_sure(node, &event);
    node_drain(node);
}

void node_submit_state(struct raft_node *node, uint64_t term, uint64_t vote)
{
    struct node_state_job *state = &node->state;
    if (state->is_busy) {
        state->is_wanted = true;
        state->wanted_term = term;
        state->wanted_vote = vote;
        return;
    }
    state->is_busy = true;
    state->is_wanted = false;
    state->term = term;
    state->vote = vote;
    node_submit_log(node, &state->job);
}

/* --- writes --- */

static int write_run(struct store_job *job, struct store_txn *txn)
{
    const struct node_write_job *write = (struct node_write_job *)(void *)job;
    int failure = FAILPOINT(LOG_WRITE);
    if (failure != 0) {
        return failure;
    }
    for (uint64_t index = write->from; index <= write->to; index++) {
        const struct ring_record *record = write->records[index - write->from];
        int rc = log_store_put(txn, index, slice_from(record->value, record->value_len));
        if (rc != 0) {
            return rc;
        }
    }
    return log_store_remove(txn, write->to + 1, write->remove_to);
}

static void write_done(struct store_job *job, int status)
{
    struct node_write_job *write = (struct node_write_job *)(void *)job;
    struct raft_node *node = write->node;
    for (uint64_t index = write->from; index <= write->to; index++) {
        write->records[index - write->from]->pins--;
    }
    write->is_busy = false;
    status = status != 0 ? status : FAILPOINT(LOG_WRITTEN);
    if (!node_is_done_well(node, status)) {
        return;
    }
    struct raft_event event = {
        .type = RAFT_EVENT_PERSISTED, .now = node_now(node), .id = write->id};
    node_step_sure(node, &event);
    node_drain(node);
}

void node_submit_write(struct raft_node *node, const struct raft_effect *effect)
{
    struct node_write_job *write = NULL;
    for (size_t i = 0; i < RAFT_WRITES_MAX; i++) {
        if (!node->writes[i].is_busy) {
            write = &node->writes[i];
        }
    }
    BASE_ASSERT(write != NULL);
    BASE_ASSERT(effect->to - effect->from < NODE_BATCH_MAX);
    for (uint64_t index = effect->from; index <= effect->to; index++) {
        struct ring_record *record = entry_ring_find(&node->ring, index);
        BASE_ASSERT(record != NULL);
        record->pins++;
        write->records[index - effect->from] = record;
    }
    write->is_busy = true;
    write->id = effect->id;
    write->from = effect->from;
    write->to = effect->to;
    write->remove_to = node->stored_last;
    node->stored_last = effect->to;
    node_submit_log(node, &write->job);
}

/* --- entries for a peer far behind --- */

int node_read_entries(struct store_txn *txn, uint64_t from, uint32_t count,
                      struct node_stored_entry *list, struct buf *bodies, uint32_t *ret_count)
{
    uint32_t done = 0;
    buf_reset(bodies);
    while (done < count && bodies->len < RAFT_MESSAGE_BYTES) {
        struct msg_raft_entry entry;
        int rc = log_store_get(txn, from + done, &entry);
        if (rc == BASE_E_NOTFOUND) {
            break;
        }
        if (rc != 0) {
            return rc;
        }
        list[done++] = (struct node_stored_entry){
            .term = entry.term, .type = entry.type, .offset = bodies->len, .len = entry.body.len};
        buf_put(bodies, entry.body);
        if (bodies->is_full) {
            return BASE_E_CORRUPT; /* larger than anything that may be proposed */
        }
    }
    *ret_count = done;
    return 0;
}

static int fetch_run(struct store_job *job, struct store_txn *txn)
{
    struct node_fetch_job *fetch = (struct node_fetch_job *)(void *)job;
    const struct msg_raft *message = &fetch->message;
    /* Replaced meanwhile, forgotten, or not written yet: fewer will do. */
    return node_read_entries(txn, message->index + 1, message->entry_count, fetch->list,
                             &fetch->bodies, &fetch->count);
}

static void fetch_done(struct store_job *job, int status)
{
    struct node_fetch_job *fetch = (struct node_fetch_job *)(void *)job;
    struct raft_node *node = fetch->node;
    fetch->is_busy = false;
    if (!node_is_done_well(node, status) || fetch->count == 0 || node->core.role != RAFT_LEADER ||
        node->core.term != fetch->message.term) {
        return;
    }
    uint32_t count = 0;
    for (; count < fetch->count; count++) {
        const struct node_stored_entry *entry = &fetch->list[count];
        if (raft_core_log_term(&node->core, fetch->message.index + 1 + count) != entry->term) {
            break; /* not yet replaced in the store */
        }
        node->entries[count] = (struct msg_raft_entry){
            .term = entry->term,
            .type = entry->type,
            .body = slice_from(fetch->bodies.data + entry->offset, entry->len)};
    }
    fetch->message.entry_count = count;
    (void)node_send(node, &fetch->message, node->entries);
}

void node_submit_fetch(struct raft_node *node, const struct msg_raft *message)
{
    struct node_fetch_job *idle = NULL;
    for (size_t i = 0; i < NODE_FETCHES; i++) {
        struct node_fetch_job *fetch = &node->fetches[i];
        if (fetch->is_busy && fetch->message.to == message->to) {
            return;
        }
        idle = fetch->is_busy ? idle : fetch;
    }
    if (idle != NULL) { /* else the peer is asked again soon */
        idle->is_busy = true;
        idle->message = *message;
        node_submit_log(node, &idle->job);
    }
}

/* --- poke: a way back to the loop --- */

static int poke_run(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    (void)txn;
    return 0;
}

static void poke_done(struct store_job *job, int status)
{
    struct node_poke_job *poke = (struct node_poke_job *)(void *)job;
    poke->is_busy = false;
    if (node_is_done_well(poke->node, status)) {
        node_drain(poke->node);
    }
}

void node_submit_poke(struct raft_node *node)
{
    if (!node->poke.is_busy) {
        node->poke.is_busy = true;
        node_submit_store(node, &node->poke.job);
    }
}

void node_jobs_init(struct raft_node *node)
{
    node->state.node = node;
    node->state.job =
        (struct store_job){.run = state_run, .done = state_done, .wants_durable = true};
    for (size_t i = 0; i < RAFT_WRITES_MAX; i++) {
        node->writes[i].node = node;
        node->writes[i].job =
            (struct store_job){.run = write_run, .done = write_done, .wants_durable = true};
    }
    for (size_t i = 0; i < NODE_FETCHES; i++) {
        node->fetches[i].node = node;
        node->fetches[i].job =
            (struct store_job){.run = fetch_run, .done = fetch_done, .is_read_only = true};
    }
    node->poke.node = node;
    node->poke.job = (struct store_job){.run = poke_run, .done = poke_done, .is_read_only = true};
    node_apply_init(node);
    node_image_init(node);
}
