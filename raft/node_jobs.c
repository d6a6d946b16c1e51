/* SPDX-License-Identifier: Apache-2.0 */
/* Store jobs of the node. `*_run` functions are called on the storage thread and touch their own
 * job only (and, once, before the node is started, the core's log); `*_done` on the loop thread. */
#include <string.h>

#include "base/assert.h"
#include "raft/node_internal.h"

static void submit(struct raft_node *node, struct store_job *job)
{
    node->ports.store.submit(node->ports.store.ctx, job);
}

/* --- load --- */

static int load_entry(void *ctx, uint64_t index, const struct msg_raft_entry *entry)
{
    struct raft_log *log = ctx;
    if (log->run_count == 0) {
        if (index != 1) {
            return BASE_E_CORRUPT; /* nothing compacts the log yet */
        }
        raft_log_init(log, 0, 0);
    }
    if (entry->term < raft_log_last_term(log)) {
        return BASE_E_CORRUPT;
    }
    return raft_log_append(log, entry->term, entry->body.len, index);
}

static int load_run(struct store_job *job, struct store_txn *txn)
{
    struct node_load_job *load = (struct node_load_job *)(void *)job;
    struct raft_node *node = load->node;
    int rc = log_store_check_ids(txn, node->config.cluster_id, node->config.id);
    if (rc == 0) {
        rc = log_store_load_state(txn, &load->state);
    }
    if (rc == 0) {
        rc = log_store_walk(txn, load_entry, &node->core.log);
    }
    return rc;
}

static int begin(struct raft_node *node)
{
    const struct log_store_state *state = &node->load.state;
    struct raft_core_restored restored = {
        .term = state->term, .vote = state->vote, .applied = state->applied_index};
    int rc = raft_core_start(&node->core, &restored, node_now(node));
    if (rc == 0 && raft_core_log_term(&node->core, state->applied_index) != state->applied_term) {
        rc = BASE_E_CORRUPT;
    }
    node->stored_last = node->core.log.last_index;
    node->applied = state->applied_index;
    node->applied_term = state->applied_term;
    node->ring.first_live = node->core.log.last_index + 1;
    node->ring.durable = node->core.persisted;
    return rc;
}

static void load_done(struct store_job *job, int status)
{
    struct raft_node *node = ((struct node_load_job *)(void *)job)->node;
    if (status == 0) {
        status = begin(node);
    }
    node->is_started = status == 0;
    node->is_started_due = true;
    node->status = status;
    if (!node->is_started) {
        node->core.is_halted = true;
    }
    node_drain(node);
}

void node_submit_load(struct raft_node *node)
{
    submit(node, &node->load.job);
}

/* --- hard state --- */

static int state_run(struct store_job *job, struct store_txn *txn)
{
    const struct node_state_job *state = (struct node_state_job *)(void *)job;
    return log_store_save_state(txn, state->term, state->vote);
}

/* Common end of a durable job: a failed store stops the node. */
static bool is_done_well(struct raft_node *node, int status)
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
    if (!is_done_well(node, status)) {
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
    submit(node, &state->job);
}

/* --- writes --- */

static int write_run(struct store_job *job, struct store_txn *txn)
{
    const struct node_write_job *write = (struct node_write_job *)(void *)job;
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
    if (!is_done_well(node, status)) {
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
    submit(node, &write->job);
}

/* --- apply --- */

static int apply_entry(struct node_apply_job *apply, struct store_txn *txn, uint64_t index,
                       struct node_result *result)
{
    const struct raft_machine *machine = &apply->node->machine;
    struct msg_raft_entry entry;
    int rc = log_store_get(txn, index, &entry);
    if (rc != 0) {
        return rc == BASE_E_NOTFOUND ? BASE_E_CORRUPT : rc;
    }
    *result = (struct node_result){.term = entry.term,
                                   .is_data = entry.type == MSG_RAFT_ENTRY_DATA,
                                   .offset = apply->results.len};
    if (!result->is_data) {
        return 0;
    }
    if (entry.body.len > apply->node->config.entry_bytes_max) {
        return BASE_E_CORRUPT;
    }
    memcpy(apply->body, entry.body.data,
           entry.body.len); /* the next write moves what it points to */
    struct raft_applied applied = {
        .index = index, .term = entry.term, .data = slice_from(apply->body, entry.body.len)};
    struct buf out =
        buf_over(apply->results.data + apply->results.len, apply->results.cap - apply->results.len);
    rc = machine->apply(machine->ctx, txn, &applied, &out);
    result->len = out.len;
    apply->results.len += out.len;
    return rc;
}

static int apply_run(struct store_job *job, struct store_txn *txn)
{
    struct node_apply_job *apply = (struct node_apply_job *)(void *)job;
    uint64_t index = apply->from;
    buf_reset(&apply->results);
    for (;; index++) {
        int rc = apply_entry(apply, txn, index, &apply->list[index - apply->from]);
        if (rc != 0) {
            return rc;
        }
        bool has_room =
            apply->results.cap - apply->results.len >= apply->node->config.result_bytes_max;
        if (index == apply->to || !has_room) {
            break;
        }
    }
    apply->to = index;
    return log_store_save_applied(txn, index, apply->list[index - apply->from].term);
}

static void tell_applied(struct raft_node *node)
{
    const struct node_apply_job *apply = &node->apply;
    for (uint64_t index = apply->from; index <= apply->to; index++) {
        const struct node_result *result = &apply->list[index - apply->from];
        node->applied = index;
        node->applied_term = result->term;
        if (result->is_data) {
            uint64_t cookie = node_proposal_take(node, index, result->term);
            node->machine.applied(node->machine.ctx, index, result->term, cookie,
                                  slice_from(apply->results.data + result->offset, result->len));
        }
    }
}

static void apply_done(struct store_job *job, int status)
{
    struct node_apply_job *apply = (struct node_apply_job *)(void *)job;
    struct raft_node *node = apply->node;
    if (status != 0 || node->core.is_halted) {
        apply->is_busy = false;
        (void)is_done_well(node, status);
        return;
    }
    tell_applied(node);
    apply->is_busy = false;
    if (node->core.role == RAFT_LEADER && !node->was_own_term_applied &&
        node->applied >= node->core.term_start) {
        node->was_own_term_applied = true;
        node->is_role_due = true;
    }
    node_submit_apply(node);
    node_drain(node);
}

void node_submit_apply(struct raft_node *node)
{
    struct node_apply_job *apply = &node->apply;
    /* What no write has been handed in for is not in the store yet, or something older is. */
    uint64_t written = node->core.unwritten_from - 1;
    uint64_t upto = node->core.commit < written ? node->core.commit : written;
    if (apply->is_busy || node->core.is_halted || upto <= node->applied) {
        return;
    }
    apply->is_busy = true;
    apply->from = node->applied + 1;
    apply->to = upto - node->applied > NODE_BATCH_MAX ? node->applied + NODE_BATCH_MAX : upto;
    submit(node, &apply->job);
}

/* --- entries for a peer far behind --- */

static int fetch_run(struct store_job *job, struct store_txn *txn)
{
    struct node_fetch_job *fetch = (struct node_fetch_job *)(void *)job;
    const struct msg_raft *message = &fetch->message;
    buf_reset(&fetch->bodies);
    fetch->count = 0;
    while (fetch->count < message->entry_count && fetch->bodies.len < RAFT_MESSAGE_BYTES) {
        struct msg_raft_entry entry;
        int rc = log_store_get(txn, message->index + 1 + fetch->count, &entry);
        if (rc == BASE_E_NOTFOUND) {
            return 0; /* replaced meanwhile, or not written yet: fewer will do */
        }
        if (rc != 0) {
            return rc;
        }
        fetch->list[fetch->count++] = (struct node_stored_entry){.term = entry.term,
                                                                 .type = entry.type,
                                                                 .offset = fetch->bodies.len,
                                                                 .len = entry.body.len};
        buf_put(&fetch->bodies, entry.body);
        if (fetch->bodies.is_full) {
            return BASE_E_CORRUPT; /* larger than anything that may be proposed */
        }
    }
    return 0;
}

static void fetch_done(struct store_job *job, int status)
{
    struct node_fetch_job *fetch = (struct node_fetch_job *)(void *)job;
    struct raft_node *node = fetch->node;
    fetch->is_busy = false;
    if (!is_done_well(node, status) || fetch->count == 0 || node->core.role != RAFT_LEADER ||
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
    for (size_t i = 0; i < node->config.member_count; i++) {
        struct node_fetch_job *fetch = &node->fetches[i];
        if (node->members[i].id == message->to && !fetch->is_busy) {
            fetch->is_busy = true;
            fetch->message = *message;
            submit(node, &fetch->job);
        }
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
    if (is_done_well(poke->node, status)) {
        node_drain(poke->node);
    }
}

void node_submit_poke(struct raft_node *node)
{
    if (!node->poke.is_busy) {
        node->poke.is_busy = true;
        submit(node, &node->poke.job);
    }
}

void node_jobs_init(struct raft_node *node)
{
    node->load.node = node;
    node->load.job = (struct store_job){.run = load_run, .done = load_done, .wants_durable = true};
    node->state.node = node;
    node->state.job =
        (struct store_job){.run = state_run, .done = state_done, .wants_durable = true};
    for (size_t i = 0; i < RAFT_WRITES_MAX; i++) {
        node->writes[i].node = node;
        node->writes[i].job =
            (struct store_job){.run = write_run, .done = write_done, .wants_durable = true};
    }
    node->apply.node = node;
    node->apply.job = (struct store_job){.run = apply_run, .done = apply_done};
    for (size_t i = 0; i < RAFT_MEMBERS_MAX; i++) {
        node->fetches[i].node = node;
        node->fetches[i].job =
            (struct store_job){.run = fetch_run, .done = fetch_done, .is_read_only = true};
    }
    node->poke.node = node;
    node->poke.job = (struct store_job){.run = poke_run, .done = poke_done, .is_read_only = true};
}
