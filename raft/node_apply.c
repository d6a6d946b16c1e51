/* SPDX-License-Identifier: Apache-2.0 */
/* The state store: applying what is committed and durable in the log here, knowing how much of that
 * is durable in its turn, and letting the log forget it. */
#include "base/assert.h"
#include "base/canary.h"
#include "base/failpoint.h"
#include "base/mark.h"
#include "raft/node_internal.h"

/* --- apply --- */

static struct slice body_of(const struct node_apply_job *apply, uint32_t i,
                            struct node_result *result)
{
    if (apply->is_fetched) {
        const struct node_stored_entry *entry = &apply->stored[i];
        *result = (struct node_result){.type = entry->type, .term = entry->term};
        return slice_from(apply->bodies.data + entry->offset, entry->len);
    }
    const struct ring_record *record = apply->records[i];
    *result =
        (struct node_result){.type = (enum msg_raft_entry_type)record->type, .term = record->term};
    return entry_ring_body(record);
}

static int apply_members(struct node_apply_job *apply, struct store_txn *txn, uint64_t index,
                         struct slice body)
{
    if (raft_members_decode(body, &apply->configuration) != 0) {
        return BASE_E_CORRUPT;
    }
    apply->configuration.index = index;
    int failure = FAILPOINT(APPLY_MEMBERS);
    return failure != 0 ? failure : log_store_save_members(txn, &apply->configuration);
}

static int apply_entry(struct node_apply_job *apply, struct store_txn *txn, uint64_t index,
                       struct node_result *result)
{
    const struct raft_machine *machine = &apply->node->machine;
    struct slice body = body_of(apply, (uint32_t)(index - apply->from), result);
    result->offset = apply->results.len;
    if (result->type == MSG_RAFT_ENTRY_MEMBERS) {
        return apply_members(apply, txn, index, body);
    }
    if (result->type != MSG_RAFT_ENTRY_DATA) {
        return 0;
    }
    int failure = FAILPOINT(APPLY_ENTRY);
    if (failure != 0) {
        return failure;
    }
    struct raft_applied applied = {.index = index, .term = result->term, .data = body};
    struct buf out =
        buf_over(apply->results.data + apply->results.len, apply->results.cap - apply->results.len);
    int rc = machine->apply(machine->ctx, txn, &applied, &out);
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
    int failure = FAILPOINT(APPLY_END);
    return failure != 0 ? failure
                        : log_store_save_applied(txn, index, apply->list[index - apply->from].term);
}

static void tell_one(struct raft_node *node, uint64_t index, const struct node_result *result)
{
    const struct node_apply_job *apply = &node->apply;
    node->applied = index;
    node->applied_term = result->term;
    if (result->type == MSG_RAFT_ENTRY_DATA) {
        uint64_t cookie = node_proposal_take(node, index, result->term);
        node->machine.applied(node->machine.ctx, index, result->term, cookie,
                              slice_from(apply->results.data + result->offset, result->len));
    } else if (result->type == MSG_RAFT_ENTRY_MEMBERS && node->change.index == index &&
               node->change.term == result->term) {
        node_change_end(&node->change, 0);
    }
}

/* Lets go of the entries; those beyond `to` are applied by the next job. */
static void unpin(struct node_apply_job *apply)
{
    for (uint64_t index = apply->from; !apply->is_fetched && index <= apply->pinned_to; index++) {
        apply->records[index - apply->from]->pins--;
    }
}

static uint64_t bytes_of(const struct node_apply_job *apply)
{
    uint64_t bytes = 0;
    for (uint64_t i = 0; i <= apply->to - apply->from; i++) {
        bytes += apply->is_fetched ? apply->stored[i].len : apply->records[i]->value_len;
    }
    return bytes;
}

static void ask_mark(struct raft_node *node);

static void apply_done(struct store_job *job, int status)
{
    struct node_apply_job *apply = (struct node_apply_job *)(void *)job;
    struct raft_node *node = apply->node;
    uint64_t bytes = status == 0 ? bytes_of(apply) : 0;
    unpin(apply);
    if (status != 0 || node->core.is_halted) {
        apply->is_busy = false;
        (void)node_is_done_well(node, status);
        return;
    }
    for (uint64_t index = apply->from; index <= apply->to; index++) {
        tell_one(node, index, &apply->list[index - apply->from]);
    }
    node->applied_bytes += bytes;
    node->ring.applied = node->applied;
    apply->is_busy = false;
    if (node->core.role == RAFT_LEADER && !node->was_own_term_applied &&
        node->applied >= node->core.term_start) {
        node->was_own_term_applied = true;
        node->is_role_due = true;
    }
    ask_mark(node);
    node_image_continue(node);
    node_submit_apply(node);
    node_drain(node);
}

/* --- entries that memory no longer holds --- */

static int apply_fetch_run(struct store_job *job, struct store_txn *txn)
{
    struct node_apply_job *apply =
        (struct node_apply_job *)(void *)((uint8_t *)job - offsetof(struct node_apply_job, fetch));
    uint32_t count = 0;
    int rc = node_read_entries(txn, apply->from, (uint32_t)(apply->to - apply->from + 1),
                               apply->stored, &apply->bodies, &count);
    apply->to = apply->from + count - 1;
    return rc == 0 && count == 0 ? BASE_E_CORRUPT : rc;
}

static void apply_fetch_done(struct store_job *job, int status)
{
    struct node_apply_job *apply =
        (struct node_apply_job *)(void *)((uint8_t *)job - offsetof(struct node_apply_job, fetch));
    struct raft_node *node = apply->node;
    if (!node_is_done_well(node, status) || node->core.is_installing) {
        apply->is_busy = false;
        node_image_continue(node);
        return;
    }
    node_submit_store(node, &apply->job);
}

void node_submit_apply(struct raft_node *node)
{
    struct node_apply_job *apply = &node->apply;
    bool is_durable = node->core.commit < node->core.persisted || CANARY(APPLY_BEFORE_DURABLE);
    uint64_t upto = is_durable ? node->core.commit : node->core.persisted;
    if (apply->is_busy || node->core.is_halted || node->core.is_installing ||
        upto <= node->applied) {
        return;
    }
    apply->is_busy = true;
    apply->from = node->applied + 1;
    apply->to = upto - node->applied > NODE_BATCH_MAX ? node->applied + NODE_BATCH_MAX : upto;
    apply->is_fetched = entry_ring_find(&node->ring, apply->from) == NULL;
    if (apply->is_fetched) {
        MARK(NODE_APPLY_FROM_LOG);
        node_submit_log(node, &apply->fetch);
        return;
    }
    for (uint64_t index = apply->from; index <= apply->to; index++) {
        struct ring_record *record = entry_ring_find(&node->ring, index);
        if (record == NULL) {
            apply->to = index - 1;
            break;
        }
        record->pins++;
        apply->records[index - apply->from] = record;
    }
    apply->pinned_to = apply->to;
    node_submit_store(node, &apply->job);
}

/* --- what is applied durably, and forgetting the log --- */

static uint64_t less(uint64_t value, uint64_t by)
{
    return value > by ? value - by : 0;
}

static uint64_t forgettable(const struct raft_node *node)
{
    const struct node_mark_job *mark = &node->mark;
    const struct node_mark *now = &mark->done[(mark->count - 1) % NODE_MARKS];
    if (node->core.log.run_count > RAFT_RUNS_MAX / 2) {
        return mark->durable; /* rather too few entries than too many terms */
    }
    uint64_t index = less(mark->durable, node->config.log_keep_entries);
    for (uint32_t i = 0; i < NODE_MARKS && i < mark->count; i++) {
        const struct node_mark *past = &mark->done[i];
        if (now->bytes - past->bytes >= node->config.log_keep_bytes && past->index > index) {
            index = past->index;
        }
    }
    return index;
}

static void compact(struct raft_node *node)
{
    uint64_t index = forgettable(node);
    uint64_t keeps = node_snapshot_keeps(node);
    if (index >= keeps) {
        MARK(NODE_LOG_KEPT_FOR_IMAGE);
    }
    index = index < keeps ? index : keeps;
    if (index >= node->core.log.first_index) {
        struct raft_event event = {
            .type = RAFT_EVENT_COMPACT, .now = node_now(node), .index = index};
        node_step_sure(node, &event);
    }
}

static void push_mark(struct node_mark_job *mark, struct node_mark done)
{
    mark->durable = done.index;
    mark->done[mark->count++ % NODE_MARKS] = done;
}

void node_mark_reset(struct raft_node *node, uint64_t index)
{
    node->mark.count = 0;
    push_mark(&node->mark, (struct node_mark){.index = index, .bytes = node->applied_bytes});
}

static int mark_run(struct store_job *job, struct store_txn *txn)
{
    (void)job;
    (void)txn;
    return 0; /* what was applied before it is in the same commit, or in one before */
}

static void mark_done(struct store_job *job, int status)
{
    struct node_mark_job *mark = (struct node_mark_job *)(void *)job;
    struct raft_node *node = mark->node;
    mark->is_busy = false;
    if (!node_is_done_well(node, status)) {
        return;
    }
    if (mark->asked.index > mark->durable) { /* else an image came meanwhile */
        push_mark(mark, mark->asked);
        compact(node);
    }
    ask_mark(node);
    node_drain(node);
}

static void ask_mark(struct raft_node *node)
{
    struct node_mark_job *mark = &node->mark;
    const struct node_mark *last = &mark->done[(mark->count - 1) % NODE_MARKS];
    uint64_t entries = node->applied - mark->durable;
    bool is_due = entries > node->config.log_keep_entries / 2 ||
                  node->applied_bytes - last->bytes > node->config.log_keep_bytes / 2 ||
                  node->core.log.run_count > RAFT_RUNS_MAX / 2;
    if (is_due && entries > 0 && !mark->is_busy && !node->core.is_installing) {
        mark->is_busy = true;
        mark->asked = (struct node_mark){.index = node->applied, .bytes = node->applied_bytes};
        node_submit_store(node, &mark->job);
    }
}

static int trim_run(struct store_job *job, struct store_txn *txn)
{
    return log_store_trim(txn, ((struct node_trim_job *)(void *)job)->index);
}

static void trim_done(struct store_job *job, int status)
{
    struct node_trim_job *trim = (struct node_trim_job *)(void *)job;
    trim->is_busy = false;
    if (node_is_done_well(trim->node, status) && trim->wanted > trim->index) {
        node_submit_trim(trim->node, trim->wanted);
    }
}

void node_submit_trim(struct raft_node *node, uint64_t index)
{
    struct node_trim_job *trim = &node->trim;
    trim->wanted = index;
    if (!trim->is_busy) {
        trim->is_busy = true;
        trim->index = index;
        node_submit_log(node, &trim->job);
    }
}

void node_apply_init(struct raft_node *node)
{
    node->apply.node = node;
    node->apply.job = (struct store_job){.run = apply_run, .done = apply_done};
    node->apply.fetch =
        (struct store_job){.run = apply_fetch_run, .done = apply_fetch_done, .is_read_only = true};
    node->mark.node = node;
    node->mark.job = (struct store_job){
        .run = mark_run, .done = mark_done, .wants_durable = !CANARY(TRIM_BEFORE_DURABLE)};
    node->trim.node = node;
    node->trim.job = (struct store_job){.run = trim_run, .done = trim_done};
    node_mark_reset(node, 0);
}
