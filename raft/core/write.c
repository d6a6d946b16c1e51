/* SPDX-License-Identifier: Apache-2.0 */
/* Own disk: which entries are being written, which are durable, and the commit index. A few writes
 * are in flight at a time; what comes meanwhile shares the next one. */
#include "base/assert.h"
#include "base/canary.h"
#include "base/mark.h"
#include "raft/core/internal.h"

uint64_t raft_settled(const struct raft_core *core)
{
    return core->commit < core->persisted ? core->commit : core->persisted;
}

void raft_start_writes(struct raft_core *core, struct raft_effects *effects)
{
    while (!core->is_installing && core->write_count < RAFT_WRITES_MAX &&
           core->unwritten_from <= core->log.last_index) {
        raft_save_state(core, effects); /* first: then both are durable with one flush */
        struct raft_write *write = &core->writes[core->write_count++];
        uint64_t to = core->unwritten_from + MSG_RAFT_ENTRIES_MAX - 1;
        write->id = core->next_write_id++;
        write->from = core->unwritten_from;
        write->to = to < core->log.last_index ? to : core->log.last_index;
        core->unwritten_from = write->to + 1;
        struct raft_effect *effect = raft_effect_add(effects, RAFT_EFFECT_WRITE);
        effect->id = write->id;
        effect->from = write->from;
        effect->to = write->to;
    }
}

/* The log agrees with the disk up to where the write reached, or to where a later one replaces
 * something. */
static uint64_t durable_after(const struct raft_core *core, uint64_t reached)
{
    for (uint32_t i = 0; i < core->write_count; i++) {
        if (core->writes[i].from <= reached && !CANARY(REPLACED_WRITE_COUNTED)) {
            MARK(RAFT_WRITE_REPLACED);
            reached = core->writes[i].from - 1;
        }
    }
    if (core->unwritten_from <= reached) {
        reached = core->unwritten_from - 1;
    }
    return reached;
}

void raft_on_persisted(struct raft_core *core, struct raft_effects *effects, uint64_t write_id)
{
    BASE_ASSERT(core->write_count > 0);
    BASE_ASSERT(core->writes[0].id == write_id); /* in order, each once */
    uint64_t reached = core->writes[0].to;
    core->write_count--;
    for (uint32_t i = 0; i < core->write_count; i++) {
        core->writes[i] = core->writes[i + 1];
    }
    reached = durable_after(core, reached);
    if (reached > core->persisted) {
        core->persisted = reached;
    }
    raft_start_writes(core, effects);
    if (core->role == RAFT_LEADER) {
        raft_advance_commit(core, effects);
    } else {
        raft_acknowledge(core, effects);
    }
}

void raft_set_commit(struct raft_core *core, struct raft_effects *effects, uint64_t commit)
{
    if (commit > core->log.last_index) {
        commit = core->log.last_index;
    }
    if (commit > core->commit && !core->is_installing) {
        core->commit = commit;
        raft_effect_add(effects, RAFT_EFFECT_COMMIT)->index = commit;
    }
}
