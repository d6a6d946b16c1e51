/* SPDX-License-Identifier: Apache-2.0 */
/* The record of a database cluster; see agent.h. */
#include "proto/wire/agent.h"

#include "proto/wire/agent_internal.h"

static void put_record_settings(const struct msg_record *in, Quorate__Agent__Record *out)
{
    out->ttl_ms = in->ttl_ms;
    out->ttl_longest_ms = in->ttl_longest_ms;
    out->heartbeat_ms = in->heartbeat_ms;
    out->freeze_max_ms = in->freeze_max_ms;
    out->sync_mode = in->sync_mode;
    out->sync_count = in->sync_count;
    out->is_sync_strict = in->is_sync_strict;
    out->maximum_lag_bytes = in->maximum_lag_bytes;
    out->restore_id = in->restore_id;
    out->on_crash = in->on_crash;
    out->start_timeout_ms = in->start_timeout_ms;
    out->failover_interval_ms = in->failover_interval_ms;
    out->is_failsafe = in->is_failsafe;
    out->fence_mode = in->fence_mode;
    out->is_fence_trusted = in->is_fence_trusted;
    out->is_standby_cluster = in->is_standby_cluster;
    out->role_epoch = in->role_epoch;
    out->config_revision = in->config_revision;
}

/* What operators asked for. */
static void put_record_wishes(const struct msg_record *in, struct wire_record_parts *parts)
{
    Quorate__Agent__Record *out = &parts->record;
    wire_put_names(&in->drained, parts->drained);
    wire_put_names(&in->failsafe_members, parts->failsafe_members);
    out->is_paused = in->is_paused;
    out->is_unarmed = in->is_unarmed;
    out->fencing_epoch = in->fencing_epoch;
    out->n_drained = in->drained.count;
    out->drained = parts->drained;
    out->switchover_at_wall_us = in->switchover_at_wall_us;
    out->switchover_to = wire_put_text(in->switchover_to.text);
    out->n_failsafe_members = in->failsafe_members.count;
    out->failsafe_members = parts->failsafe_members;
    for (size_t i = 0; i < in->tasks_count; i++) {
        Quorate__Agent__Task *task = &parts->tasks[i];
        quorate__agent__task__init(task);
        task->id = in->tasks[i].id;
        task->kind = in->tasks[i].kind;
        task->member = wire_put_text(in->tasks[i].member.text);
        task->is_pending_only = in->tasks[i].is_pending_only;
        task->at_wall_us = in->tasks[i].at_wall_us;
        parts->task_pointers[i] = task;
    }
    out->n_tasks = in->tasks_count;
    out->tasks = parts->task_pointers;
}

void wire_put_record(const struct msg_record *in, struct wire_record_parts *parts)
{
    Quorate__Agent__Record *out = &parts->record;
    quorate__agent__record__init(out);
    parts->floor = wire_put_position(&in->floor);
    wire_put_names(&in->voters, parts->voters);
    out->cluster = wire_put_text(in->cluster.text);
    out->epoch = in->epoch;
    out->revision = in->revision;
    out->system_id = in->system_id;
    out->state = in->state;
    out->holder = wire_put_text(in->holder.text);
    out->holder_instance = in->holder_instance;
    out->floor = &parts->floor;
    out->floor_epoch = in->floor_epoch;
    out->timeline = in->timeline;
    out->timeline_highest = in->timeline_highest;
    out->since_wall_us = in->since_wall_us;
    out->n_voters = in->voters.count;
    out->voters = parts->voters;
    out->votes_needed_r = in->votes_needed_r;
    out->is_opened = in->is_opened;
    out->target = wire_put_text(in->target.text);
    put_record_settings(in, out);
    put_record_wishes(in, parts);
    out->engine = in->engine;
    if (in->engine == MSG_ENGINE_GALERA) {
        wire_galera_put_record(&in->galera, &parts->galera);
        out->galera = &parts->galera.record;
    } else if (in->engine == MSG_ENGINE_MONGODB) {
        wire_mongodb_put_record(&in->mongodb, &parts->mongodb);
        out->mongodb = &parts->mongodb.record;
    }
}

static bool get_record_settings(const Quorate__Agent__Record *in, struct msg_record *out)
{
    if (in->sync_mode > MSG_SYNC_FIRST || in->on_crash > MSG_ON_CRASH_RESTART ||
        in->fence_mode > MSG_FENCE_REQUIRE) {
        return false;
    }
    out->on_crash = (enum msg_on_crash)in->on_crash;
    out->start_timeout_ms = in->start_timeout_ms;
    out->failover_interval_ms = in->failover_interval_ms;
    out->is_failsafe = in->is_failsafe != 0;
    out->fence_mode = (enum msg_fence_mode)in->fence_mode;
    out->is_fence_trusted = in->is_fence_trusted != 0;
    out->is_standby_cluster = in->is_standby_cluster != 0;
    out->role_epoch = in->role_epoch;
    out->config_revision = in->config_revision;
    out->ttl_ms = in->ttl_ms;
    out->ttl_longest_ms = in->ttl_longest_ms;
    out->heartbeat_ms = in->heartbeat_ms;
    out->freeze_max_ms = in->freeze_max_ms;
    out->sync_mode = (enum msg_sync_mode)in->sync_mode;
    out->is_sync_strict = in->is_sync_strict != 0;
    out->maximum_lag_bytes = in->maximum_lag_bytes;
    out->restore_id = in->restore_id;
    return wire_get_u8(in->sync_count, MSG_MEMBERS_MAX, &out->sync_count);
}

static bool get_tasks(const Quorate__Agent__Record *in, struct msg_record *out)
{
    if (in->n_tasks > MSG_TASKS_MAX) {
        return false;
    }
    for (size_t i = 0; i < in->n_tasks; i++) {
        const Quorate__Agent__Task *from = in->tasks[i];
        struct msg_task *to = &out->tasks[i];
        if (from->id == 0 || from->kind == MSG_TASK_NONE || from->kind > MSG_TASK_REINIT ||
            !wire_get_name(from->member, false, &to->member)) {
            return false;
        }
        to->id = from->id;
        to->kind = (enum msg_task_kind)from->kind;
        to->is_pending_only = from->is_pending_only != 0;
        to->at_wall_us = from->at_wall_us;
    }
    out->tasks_count = (uint8_t)in->n_tasks;
    return true;
}

static bool get_record_wishes(const Quorate__Agent__Record *in, struct msg_record *out)
{
    out->is_paused = in->is_paused != 0;
    out->is_unarmed = in->is_unarmed != 0;
    out->fencing_epoch = in->fencing_epoch;
    out->switchover_at_wall_us = in->switchover_at_wall_us;
    return wire_get_name(in->switchover_to, true, &out->switchover_to) &&
           wire_get_names(in->n_drained, in->drained, &out->drained) &&
           wire_get_names(in->n_failsafe_members, in->failsafe_members, &out->failsafe_members) &&
           get_tasks(in, out);
}

bool wire_get_record(const Quorate__Agent__Record *in, struct msg_record *out)
{
    *out = (struct msg_record){0};
    if (in == NULL) {
        return true;
    }
    if (in->state > MSG_RECORD_SWITCHOVER || in->engine > MSG_ENGINE_MONGODB) {
        return false;
    }
    out->engine = (enum msg_engine)in->engine;
    out->epoch = in->epoch;
    out->revision = in->revision;
    out->system_id = in->system_id;
    out->state = (enum msg_record_state)in->state;
    out->holder_instance = in->holder_instance;
    wire_get_position(in->floor, &out->floor);
    out->floor_epoch = in->floor_epoch;
    out->timeline = in->timeline;
    out->timeline_highest = in->timeline_highest;
    out->since_wall_us = in->since_wall_us;
    out->is_opened = in->is_opened != 0;
    return wire_get_name(in->cluster, true, &out->cluster) &&
           wire_get_name(in->holder, true, &out->holder) &&
           wire_get_name(in->target, true, &out->target) &&
           wire_get_names(in->n_voters, in->voters, &out->voters) &&
           wire_get_u8(in->votes_needed_r, MSG_MEMBERS_MAX, &out->votes_needed_r) &&
           get_record_settings(in, out) && get_record_wishes(in, out) &&
           wire_galera_get_record(in->engine == MSG_ENGINE_GALERA ? in->galera : NULL,
                                  &out->galera) &&
           wire_mongodb_get_record(in->engine == MSG_ENGINE_MONGODB ? in->mongodb : NULL,
                                   &out->mongodb);
}

bool wire_is_record_good(const struct msg_record *record)
{
    return record->voters.count <= MSG_MEMBERS_MAX && record->drained.count <= MSG_MEMBERS_MAX &&
           record->failsafe_members.count <= MSG_MEMBERS_MAX &&
           record->tasks_count <= MSG_TASKS_MAX && wire_galera_is_record_good(&record->galera) &&
           wire_mongodb_is_record_good(&record->mongodb);
}

int wire_record_encode(const struct msg_record *record, struct buf *out)
{
    struct wire_record_parts parts;
    if (!wire_is_record_good(record)) {
        return BASE_E_INVALID;
    }
    wire_put_record(record, &parts);
    return wire_pack(&parts.record.base, out);
}

int wire_record_decode(struct slice bytes, struct msg_record *ret)
{
    struct wire_room arena;
    struct msg_record record;
    ProtobufCMessage *message = wire_unpack(&quorate__agent__record__descriptor, bytes, &arena);
    if (message == NULL ||
        !wire_get_record((const Quorate__Agent__Record *)(const void *)message, &record)) {
        return BASE_E_PROTO;
    }
    *ret = record;
    return 0;
}
