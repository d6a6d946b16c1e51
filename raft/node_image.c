/* SPDX-License-Identifier: Apache-2.0 */
/* Installing an image, the node's part: the intent becomes durable in the log's store, the port
 * makes the image the state, the log begins anew behind it. After a crash in between, the start
 * finds the state ahead of the log, or the intent, and goes on from there (node_load.c). */
#include "base/assert.h"
#include "base/canary.h"
#include "base/failpoint.h"
#include "raft/node_internal.h"

static int intent_run(struct store_job *job, struct store_txn *txn)
{
    const struct node_image_job *image = (struct node_image_job *)(void *)job;
    int rc = FAILPOINT(IMAGE_INTENT);
    return rc != 0 || CANARY(IMAGE_WITHOUT_INTENT)
               ? rc
               : log_store_save_image(txn, image->index, image->term);
}

static void intent_done(struct store_job *job, int status)
{
    const struct node_image_job *image = (struct node_image_job *)(void *)job;
    if (node_is_done_well(image->node, status)) {
        node_snapshot_install(image->node, image->index, image->term);
    }
}

void node_image_continue(struct raft_node *node)
{
    struct node_image_job *image = &node->image;
    if (image->is_wanted && !node->apply.is_busy && !node->core.is_halted) {
        image->is_wanted = false;
        image->job =
            (struct store_job){.run = intent_run, .done = intent_done, .wants_durable = true};
        node_submit_log(node, &image->job);
    }
}

void node_image_wanted(struct raft_node *node, uint64_t index, uint64_t term)
{
    struct node_image_job *image = &node->image;
    image->is_wanted = true;
    image->index = index;
    image->term = term;
    node_image_continue(node);
}

static int reset_run(struct store_job *job, struct store_txn *txn)
{
    const struct node_image_job *image = (struct node_image_job *)(void *)job;
    int rc = FAILPOINT(IMAGE_RESET);
    return rc != 0 ? rc : log_store_reset(txn, image->index, image->term);
}

/* State and log are those of the image: memory follows. */
static void take_over(struct raft_node *node)
{
    const struct node_image_job *image = &node->image;
    entry_ring_restart(&node->ring, image->index + 1, node->core.log.last_index);
    node->stored_last = image->index;
    node->applied = image->index;
    node->applied_term = image->term;
    node->ring.applied = image->index;
    node_mark_reset(node, image->index);
    node->is_restored_due = true;
}

static void end_install(struct raft_node *node, int status)
{
    const struct node_image_job *image = &node->image;
    struct raft_event event = {.type = RAFT_EVENT_INSTALLED,
                               .now = node_now(node),
                               .index = image->index,
                               .term = image->term,
                               .configuration = &image->configuration,
                               .status = status};
    if (status == 0) {
        take_over(node);
    }
    node_step_sure(node, &event);
    node_snapshot_installed(node, image->index, status);
    node_drain(node);
}

static void reset_done(struct store_job *job, int status)
{
    struct raft_node *node = ((struct node_image_job *)(void *)job)->node;
    if (node_is_done_well(node, status)) {
        end_install(node, 0);
    }
}

void node_installed(struct raft_node *node, const struct snapshot_info *info, int status)
{
    struct node_image_job *image = &node->image;
    if (node->core.is_halted) {
        return;
    }
    BASE_ASSERT(node->core.is_installing);
    if (status != 0) {
        end_install(node, status);
        return;
    }
    if (info->index != image->index || info->term != image->term) {
        node_fail(node,
                  BASE_E_CORRUPT); /* not the image that was announced: nothing fits any more */
        node_drain(node);
        return;
    }
    image->configuration = info->configuration;
    image->job = (struct store_job){.run = reset_run, .done = reset_done, .wants_durable = true};
    node_submit_log(node, &image->job);
}

void node_image_init(struct raft_node *node)
{
    node->image.node = node;
}
