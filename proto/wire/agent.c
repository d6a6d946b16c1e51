/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of the agent protocol and of the record, over protobuf-c with memory from the stack.
 *
 * Used by agents/driver.c and arbiter/driver.c. What comes from outside is checked field by field
 * while it is copied into plain structs; the first wrong field makes the whole message
 * BASE_E_PROTO. Never trusts a length, a count or an enumeration, and never calls malloc: a message
 * that needs more than its arena is refused.
 */
#include "proto/wire/agent.h"

#include "base/assert.h"
#include "base/name.h"
#include "proto/wire/agent_internal.h"
#include "proto/wire/arena.h"

/* Enough for a full order: record, 16 members and two name sets, with room for unknown fields. */
#define ARENA_BYTES 65536

struct arena {
    struct wire_arena bump;
    uint8_t memory[ARENA_BYTES];
};

/* --- names, texts, sets --- */

static bool get_text(const char *text, struct base_text *ret)
{
    struct slice s = slice_from_text(text);
    if (s.len > BASE_TEXT_MAX) {
        return false;
    }
    *ret = base_text_from(s);
    return true;
}

bool wire_get_names(size_t count, char *const *texts, struct msg_names *ret)
{
    if (count > MSG_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!wire_get_name(texts[i], false, &ret->names[i])) {
            return false;
        }
        if (i > 0 && base_name_compare(&ret->names[i - 1], &ret->names[i]) >= 0) {
            return false;
        }
    }
    ret->count = (uint8_t)count;
    return true;
}

void wire_put_names(const struct msg_names *names, char *pointers[MSG_MEMBERS_MAX])
{
    BASE_ASSERT(names->count <= MSG_MEMBERS_MAX);
    for (size_t i = 0; i < names->count; i++) {
        pointers[i] = wire_put_text(names->names[i].text);
    }
}

static int pack(const ProtobufCMessage *message, struct buf *out)
{
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size > WIRE_AGENT_BYTES_MAX || size > out->cap - out->len) {
        return BASE_E_TOOBIG;
    }
    out->len += protobuf_c_message_pack(message, out->data + out->len);
    return 0;
}

static ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *type, struct slice bytes,
                                struct arena *arena)
{
    wire_arena_init(&arena->bump, arena->memory, sizeof(arena->memory));
    if (bytes.len > WIRE_AGENT_BYTES_MAX) {
        return NULL;
    }
    return protobuf_c_message_unpack(type, wire_arena_allocator(&arena->bump), bytes.len,
                                     bytes.data);
}

/* --- parts --- */

static Quorate__Agent__Position put_position(const struct msg_position *in)
{
    Quorate__Agent__Position out = QUORATE__AGENT__POSITION__INIT;
    out.lineage = in->lineage;
    out.timeline = in->timeline;
    out.lsn = in->lsn;
    return out;
}

static void get_position(const Quorate__Agent__Position *in, struct msg_position *ret)
{
    if (in != NULL) {
        *ret = (struct msg_position){in->lineage, in->timeline, in->lsn};
    }
}

static Quorate__Agent__Attempt put_attempt(const struct msg_attempt *in)
{
    Quorate__Agent__Attempt out = QUORATE__AGENT__ATTEMPT__INIT;
    out.term = in->term;
    out.number = in->number;
    return out;
}

static void get_attempt(const Quorate__Agent__Attempt *in, struct msg_attempt *ret)
{
    if (in != NULL) {
        *ret = (struct msg_attempt){in->term, in->number};
    }
}

/* --- record --- */

/* A packed record points into these and into the struct that it was made from. */
struct record_parts {
    Quorate__Agent__Record record;
    Quorate__Agent__Position floor;
    char *voters[MSG_MEMBERS_MAX];
    char *drained[MSG_MEMBERS_MAX];
    char *failsafe_members[MSG_MEMBERS_MAX];
    Quorate__Agent__Task tasks[MSG_TASKS_MAX];
    Quorate__Agent__Task *task_pointers[MSG_TASKS_MAX];
    struct wire_galera_record galera;
    struct wire_mongodb_record mongodb;
};

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
static void put_record_wishes(const struct msg_record *in, struct record_parts *parts)
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

static void put_record(const struct msg_record *in, struct record_parts *parts)
{
    Quorate__Agent__Record *out = &parts->record;
    quorate__agent__record__init(out);
    parts->floor = put_position(&in->floor);
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

static bool get_record(const Quorate__Agent__Record *in, struct msg_record *out)
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
    get_position(in->floor, &out->floor);
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

static bool are_record_counts_good(const struct msg_record *record)
{
    return record->voters.count <= MSG_MEMBERS_MAX && record->drained.count <= MSG_MEMBERS_MAX &&
           record->failsafe_members.count <= MSG_MEMBERS_MAX &&
           record->tasks_count <= MSG_TASKS_MAX && wire_galera_is_record_good(&record->galera) &&
           wire_mongodb_is_record_good(&record->mongodb);
}

int wire_record_encode(const struct msg_record *record, struct buf *out)
{
    struct record_parts parts;
    if (!are_record_counts_good(record)) {
        return BASE_E_INVALID;
    }
    put_record(record, &parts);
    return pack(&parts.record.base, out);
}

int wire_record_decode(struct slice bytes, struct msg_record *ret)
{
    struct arena arena;
    struct msg_record record;
    ProtobufCMessage *message = unpack(&quorate__agent__record__descriptor, bytes, &arena);
    if (message == NULL ||
        !get_record((const Quorate__Agent__Record *)(const void *)message, &record)) {
        return BASE_E_PROTO;
    }
    *ret = record;
    return 0;
}

/* --- report --- */

struct report_parts {
    Quorate__Agent__Report report;
    Quorate__Agent__Position position;
    Quorate__Agent__Position failsafe_position;
    Quorate__Agent__Attempt promised;
    char *sync_names[MSG_MEMBERS_MAX];
    char *failsafe_members[MSG_MEMBERS_MAX];
    Quorate__Agent__Standby standbys[MSG_MEMBERS_MAX];
    Quorate__Agent__Standby *standby_pointers[MSG_MEMBERS_MAX];
    struct wire_galera_report galera;
    struct wire_mongodb_report mongodb;
};

static void put_standbys(const struct msg_report *in, struct report_parts *parts)
{
    for (size_t i = 0; i < in->standbys_count; i++) {
        Quorate__Agent__Standby *out = &parts->standbys[i];
        quorate__agent__standby__init(out);
        out->member = wire_put_text(in->standbys[i].member.text);
        out->flush_lsn = in->standbys[i].flush_lsn;
        out->is_streaming = in->standbys[i].is_streaming;
        out->is_confirmed = in->standbys[i].is_confirmed;
        parts->standby_pointers[i] = out;
    }
    parts->report.n_standbys = in->standbys_count;
    parts->report.standbys = parts->standby_pointers;
}

static void put_report_right(const struct msg_report *in, Quorate__Agent__Report *out)
{
    out->epoch_seen = in->epoch_seen;
    out->epoch_held = in->epoch_held;
    out->epoch_handed_back = in->epoch_handed_back;
    out->is_handback_clean = in->is_handback_clean;
    out->handback_lsn = in->handback_lsn;
    out->lease_left_us = in->lease_left_us;
    out->is_tree_gone = in->is_tree_gone;
}

static void put_report_database(const struct msg_report *in, struct report_parts *parts)
{
    Quorate__Agent__Report *out = &parts->report;
    parts->position = put_position(&in->position);
    parts->promised = put_attempt(&in->promised);
    wire_put_names(&in->sync_names, parts->sync_names);
    out->db_state = in->db_state;
    out->system_id = in->system_id;
    out->position = &parts->position;
    out->timeline_highest = in->timeline_highest;
    out->replay_lsn = in->replay_lsn;
    out->is_open = in->is_open;
    out->is_receiving = in->is_receiving;
    out->is_rejoin_needed = in->is_rejoin_needed;
    out->opened_lsn = in->opened_lsn;
    out->promised = &parts->promised;
    out->is_vote_valid = in->is_vote_valid;
    out->is_sync_known = in->is_sync_known;
    out->n_sync_names = in->sync_names.count;
    out->sync_names = parts->sync_names;
    out->sync_count = in->sync_count;
    out->is_sync_barrier_passed = in->is_sync_barrier_passed;
    put_standbys(in, parts);
}

static void put_report_comfort(const struct msg_report *in, Quorate__Agent__Report *out)
{
    out->is_nofailover = in->is_nofailover;
    out->is_nosync = in->is_nosync;
    out->priority = in->priority;
    out->pause_worst_us = in->pause_worst_us;
    out->note = wire_put_text(in->note.text);
    out->has_seed = in->has_seed;
    out->seed_ttl_ms = in->seed_ttl_ms;
    out->seed_heartbeat_ms = in->seed_heartbeat_ms;
    out->seed_freeze_max_ms = in->seed_freeze_max_ms;
    out->seed_sync_mode = in->seed_sync_mode;
    out->seed_sync_strict = in->seed_sync_strict;
    out->seed_sync_count = in->seed_sync_count;
    out->seed_adopt = in->seed_adopt;
}

static void put_report_member(const struct msg_report *in, struct report_parts *parts)
{
    Quorate__Agent__Report *out = &parts->report;
    wire_put_names(&in->failsafe_members, parts->failsafe_members);
    parts->failsafe_position = put_position(&in->failsafe_position);
    out->failsafe_position = &parts->failsafe_position;
    out->is_noloadbalance = in->is_noloadbalance;
    out->is_clonefrom = in->is_clonefrom;
    out->zone = wire_put_text(in->zone.text);
    out->replicatefrom = wire_put_text(in->replicatefrom.text);
    out->upstream = wire_put_text(in->upstream.text);
    out->config_revision = in->config_revision;
    out->is_restart_pending = in->is_restart_pending;
    out->is_paused = in->is_paused;
    out->is_adopted = in->is_adopted;
    out->is_write_failing = in->is_write_failing;
    out->is_watchdog_fed = in->is_watchdog_fed;
    out->is_failsafe = in->is_failsafe;
    out->db_version = in->db_version;
    out->connections = in->connections;
    out->connections_max = in->connections_max;
    out->disk_free_bytes = in->disk_free_bytes;
    out->task_id = in->task_id;
    out->task_status = in->task_status;
    out->work_done_bytes = in->work_done_bytes;
    out->work_total_bytes = in->work_total_bytes;
    out->seed_failover_interval_ms = in->seed_failover_interval_ms;
    out->pending_restart = wire_put_text(in->pending_restart.text);
    out->n_failsafe_members = in->failsafe_members.count;
    out->failsafe_members = parts->failsafe_members;
    out->engine = in->engine;
    if (in->engine == MSG_ENGINE_GALERA) {
        wire_galera_put_report(&in->galera, &parts->galera);
        out->galera = &parts->galera.report;
    } else if (in->engine == MSG_ENGINE_MONGODB) {
        wire_mongodb_put_report(&in->mongodb, &parts->mongodb);
        out->mongodb = &parts->mongodb.report;
    }
}

int wire_report_encode(const struct msg_report *report, struct buf *out)
{
    struct report_parts parts;
    if (report->sync_names.count > MSG_MEMBERS_MAX || report->standbys_count > MSG_MEMBERS_MAX ||
        report->failsafe_members.count > MSG_MEMBERS_MAX ||
        report->galera.view.count > MSG_GALERA_NODES_MAX ||
        report->mongodb.peers_count > MSG_MONGODB_PEERS_MAX) {
        return BASE_E_INVALID;
    }
    quorate__agent__report__init(&parts.report);
    parts.report.cluster = wire_put_text(report->cluster.text);
    parts.report.member = wire_put_text(report->member.text);
    parts.report.instance = report->instance;
    parts.report.session = report->session;
    parts.report.number = report->number;
    parts.report.order_term = report->order_term;
    parts.report.order_number = report->order_number;
    parts.report.host = wire_put_text(report->host.text);
    parts.report.db_port = report->db_port;
    parts.report.http_port = report->http_port;
    put_report_right(report, &parts.report);
    put_report_database(report, &parts);
    put_report_comfort(report, &parts.report);
    put_report_member(report, &parts);
    return pack(&parts.report.base, out);
}

static bool get_standbys(const Quorate__Agent__Report *in, struct msg_report *out)
{
    if (in->n_standbys > MSG_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < in->n_standbys; i++) {
        const Quorate__Agent__Standby *from = in->standbys[i];
        struct msg_standby *to = &out->standbys[i];
        if (!wire_get_name(from->member, false, &to->member)) {
            return false;
        }
        to->flush_lsn = from->flush_lsn;
        to->is_streaming = from->is_streaming != 0;
        to->is_confirmed = from->is_confirmed != 0;
    }
    out->standbys_count = (uint8_t)in->n_standbys;
    return true;
}

static bool get_report_identity(const Quorate__Agent__Report *in, struct msg_report *out)
{
    out->instance = in->instance;
    out->session = in->session;
    out->number = in->number;
    out->order_term = in->order_term;
    out->order_number = in->order_number;
    return wire_get_name(in->cluster, false, &out->cluster) &&
           wire_get_name(in->member, false, &out->member) && get_text(in->host, &out->host) &&
           wire_get_u16(in->db_port, &out->db_port) && wire_get_u16(in->http_port, &out->http_port);
}

static void get_report_right(const Quorate__Agent__Report *in, struct msg_report *out)
{
    out->epoch_seen = in->epoch_seen;
    out->epoch_held = in->epoch_held;
    out->epoch_handed_back = in->epoch_handed_back;
    out->is_handback_clean = in->is_handback_clean != 0;
    out->handback_lsn = in->handback_lsn;
    out->lease_left_us = in->lease_left_us;
    out->is_tree_gone = in->is_tree_gone != 0;
}

static bool get_report_database(const Quorate__Agent__Report *in, struct msg_report *out)
{
    if (in->db_state > MSG_DB_FAILED) {
        return false;
    }
    out->db_state = (enum msg_db_state)in->db_state;
    out->system_id = in->system_id;
    get_position(in->position, &out->position);
    out->timeline_highest = in->timeline_highest;
    out->replay_lsn = in->replay_lsn;
    out->is_open = in->is_open != 0;
    out->is_receiving = in->is_receiving != 0;
    out->is_rejoin_needed = in->is_rejoin_needed != 0;
    out->opened_lsn = in->opened_lsn;
    get_attempt(in->promised, &out->promised);
    out->is_vote_valid = in->is_vote_valid != 0;
    out->is_sync_known = in->is_sync_known != 0;
    out->is_sync_barrier_passed = in->is_sync_barrier_passed != 0;
    return wire_get_names(in->n_sync_names, in->sync_names, &out->sync_names) &&
           wire_get_u8(in->sync_count, MSG_MEMBERS_MAX, &out->sync_count) && get_standbys(in, out);
}

static bool get_report_comfort(const Quorate__Agent__Report *in, struct msg_report *out)
{
    if (in->seed_sync_mode > MSG_SYNC_FIRST || in->engine > MSG_ENGINE_MONGODB) {
        return false;
    }
    out->engine = (enum msg_engine)in->engine;
    out->is_nofailover = in->is_nofailover != 0;
    out->is_nosync = in->is_nosync != 0;
    out->pause_worst_us = in->pause_worst_us;
    out->has_seed = in->has_seed != 0;
    out->seed_ttl_ms = in->seed_ttl_ms;
    out->seed_heartbeat_ms = in->seed_heartbeat_ms;
    out->seed_freeze_max_ms = in->seed_freeze_max_ms;
    out->seed_sync_mode = (enum msg_sync_mode)in->seed_sync_mode;
    out->seed_sync_strict = in->seed_sync_strict != 0;
    out->seed_adopt = in->seed_adopt != 0;
    return wire_get_u8(in->priority, UINT8_MAX, &out->priority) &&
           wire_get_u8(in->seed_sync_count, MSG_MEMBERS_MAX, &out->seed_sync_count) &&
           get_text(in->note, &out->note);
}

static bool get_report_member(const Quorate__Agent__Report *in, struct msg_report *out)
{
    out->is_noloadbalance = in->is_noloadbalance != 0;
    out->is_clonefrom = in->is_clonefrom != 0;
    out->config_revision = in->config_revision;
    out->is_restart_pending = in->is_restart_pending != 0;
    out->is_paused = in->is_paused != 0;
    out->is_adopted = in->is_adopted != 0;
    out->is_write_failing = in->is_write_failing != 0;
    out->is_watchdog_fed = in->is_watchdog_fed != 0;
    out->is_failsafe = in->is_failsafe != 0;
    out->db_version = in->db_version;
    out->connections = in->connections;
    out->connections_max = in->connections_max;
    out->disk_free_bytes = in->disk_free_bytes;
    out->task_id = in->task_id;
    out->task_status = in->task_status;
    out->work_done_bytes = in->work_done_bytes;
    out->work_total_bytes = in->work_total_bytes;
    out->seed_failover_interval_ms = in->seed_failover_interval_ms;
    get_position(in->failsafe_position, &out->failsafe_position);
    return wire_get_name(in->zone, true, &out->zone) &&
           wire_get_name(in->replicatefrom, true, &out->replicatefrom) &&
           wire_get_name(in->upstream, true, &out->upstream) &&
           get_text(in->pending_restart, &out->pending_restart) &&
           wire_get_names(in->n_failsafe_members, in->failsafe_members, &out->failsafe_members) &&
           wire_galera_get_report(in->engine == MSG_ENGINE_GALERA ? in->galera : NULL,
                                  &out->galera) &&
           wire_mongodb_get_report(in->engine == MSG_ENGINE_MONGODB ? in->mongodb : NULL,
                                   &out->mongodb);
}

int wire_report_decode(struct slice bytes, struct msg_report *ret)
{
    struct arena arena;
    struct msg_report report = {0};
    const ProtobufCMessage *message = unpack(&quorate__agent__report__descriptor, bytes, &arena);
    const Quorate__Agent__Report *in = (const Quorate__Agent__Report *)(const void *)message;
    if (in == NULL || !get_report_identity(in, &report) || !get_report_database(in, &report) ||
        !get_report_comfort(in, &report) || !get_report_member(in, &report)) {
        return BASE_E_PROTO;
    }
    get_report_right(in, &report);
    *ret = report;
    return 0;
}

/* --- order --- */

struct order_parts {
    Quorate__Agent__Order order;
    struct record_parts record;
    Quorate__Agent__Attempt attempt;
    Quorate__Agent__Attempt ended;
    char *sync_names[MSG_MEMBERS_MAX];
    Quorate__Agent__MongodbWish mongodb;
    Quorate__Agent__Member members[MSG_MEMBERS_MAX];
    Quorate__Agent__Member *member_pointers[MSG_MEMBERS_MAX];
};

static void put_member_report(const struct msg_member *in, Quorate__Agent__Member *out)
{
    out->is_heard = in->is_heard;
    out->timeline = in->timeline;
    out->lsn = in->lsn;
    out->replay_lsn = in->replay_lsn;
    out->is_receiving = in->is_receiving;
    out->upstream = wire_put_text(in->upstream.text);
    out->is_nofailover = in->is_nofailover;
    out->is_nosync = in->is_nosync;
    out->is_noloadbalance = in->is_noloadbalance;
    out->priority = in->priority;
    out->is_restart_pending = in->is_restart_pending;
    out->config_revision = in->config_revision;
    out->galera_state = in->galera_state;
    out->mongodb_state = in->mongodb_state;
}

static void put_members(const struct msg_order *in, struct order_parts *parts)
{
    for (size_t i = 0; i < in->members_count; i++) {
        Quorate__Agent__Member *out = &parts->members[i];
        quorate__agent__member__init(out);
        out->member = wire_put_text(in->members[i].member.text);
        out->host = wire_put_text(in->members[i].host.text);
        out->db_port = in->members[i].db_port;
        out->http_port = in->members[i].http_port;
        out->db_state = in->members[i].db_state;
        out->is_open = in->members[i].is_open;
        out->is_clonefrom = in->members[i].is_clonefrom;
        put_member_report(&in->members[i], out);
        parts->member_pointers[i] = out;
    }
    parts->order.n_members = in->members_count;
    parts->order.members = parts->member_pointers;
}

static void put_order(const struct msg_order *in, struct order_parts *parts)
{
    Quorate__Agent__Order *out = &parts->order;
    quorate__agent__order__init(out);
    put_record(&in->record, &parts->record);
    parts->attempt = put_attempt(&in->attempt);
    parts->ended = put_attempt(&in->ended);
    wire_put_names(&in->sync_names, parts->sync_names);
    out->session = in->session;
    out->number = in->number;
    out->term = in->term;
    out->record = &parts->record.record;
    out->goal = in->goal;
    out->reason = wire_put_text(in->reason.text);
    out->is_granted = in->is_granted;
    out->granted_epoch = in->granted_epoch;
    out->ttl_us = in->ttl_us;
    out->attempt = &parts->attempt;
    out->has_sync = in->has_sync;
    out->n_sync_names = in->sync_names.count;
    out->sync_names = parts->sync_names;
    out->sync_count = in->sync_count;
    out->ended = &parts->ended;
    out->catch_up_from = wire_put_text(in->catch_up_from.text);
    out->galera_goal = in->galera_goal;
    out->galera_weight = in->galera_weight;
    /* Also without a record: an empty member is told to run before its set is initiated. */
    if (in->record.engine == MSG_ENGINE_MONGODB || in->mongodb.goal != MSG_MONGODB_GOAL_KEEP) {
        wire_mongodb_put_wish(&in->mongodb, &parts->mongodb);
        out->mongodb = &parts->mongodb;
    }
    put_members(in, parts);
}

int wire_order_encode(const struct msg_order *order, struct buf *out)
{
    struct order_parts parts;
    if (order->sync_names.count > MSG_MEMBERS_MAX || order->members_count > MSG_MEMBERS_MAX ||
        !are_record_counts_good(&order->record)) {
        return BASE_E_INVALID;
    }
    put_order(order, &parts);
    return pack(&parts.order.base, out);
}

static bool get_member_report(const Quorate__Agent__Member *in, struct msg_member *out)
{
    out->is_heard = in->is_heard != 0;
    out->timeline = in->timeline;
    out->lsn = in->lsn;
    out->replay_lsn = in->replay_lsn;
    out->is_receiving = in->is_receiving != 0;
    out->is_nofailover = in->is_nofailover != 0;
    out->is_nosync = in->is_nosync != 0;
    out->is_noloadbalance = in->is_noloadbalance != 0;
    out->is_restart_pending = in->is_restart_pending != 0;
    out->config_revision = in->config_revision;
    if (in->galera_state > MSG_GALERA_STARTING || in->mongodb_state >= MSG_MONGODB_STATE_COUNT) {
        return false;
    }
    out->galera_state = (enum msg_galera_state)in->galera_state;
    out->mongodb_state = (enum msg_mongodb_state)in->mongodb_state;
    return wire_get_name(in->upstream, true, &out->upstream) &&
           wire_get_u8(in->priority, UINT8_MAX, &out->priority);
}

static bool get_members(const Quorate__Agent__Order *in, struct msg_order *out)
{
    if (in->n_members > MSG_MEMBERS_MAX) {
        return false;
    }
    for (size_t i = 0; i < in->n_members; i++) {
        const Quorate__Agent__Member *from = in->members[i];
        struct msg_member *to = &out->members[i];
        if (from->db_state > MSG_DB_FAILED || !wire_get_name(from->member, false, &to->member) ||
            !get_text(from->host, &to->host) || !wire_get_u16(from->db_port, &to->db_port) ||
            !wire_get_u16(from->http_port, &to->http_port) || !get_member_report(from, to)) {
            return false;
        }
        to->db_state = (enum msg_db_state)from->db_state;
        to->is_open = from->is_open != 0;
        to->is_clonefrom = from->is_clonefrom != 0;
    }
    out->members_count = (uint8_t)in->n_members;
    return true;
}

static bool get_order(const Quorate__Agent__Order *in, struct msg_order *out)
{
    if (in->goal > MSG_GOAL_REFUSED || in->galera_goal > MSG_GALERA_GOAL_RESTART) {
        return false;
    }
    out->galera_goal = (enum msg_galera_goal)in->galera_goal;
    out->session = in->session;
    out->number = in->number;
    out->term = in->term;
    out->goal = (enum msg_goal)in->goal;
    out->is_granted = in->is_granted != 0;
    out->granted_epoch = in->granted_epoch;
    out->ttl_us = in->ttl_us;
    out->has_sync = in->has_sync != 0;
    get_attempt(in->attempt, &out->attempt);
    get_attempt(in->ended, &out->ended);
    return get_record(in->record, &out->record) && get_text(in->reason, &out->reason) &&
           wire_get_name(in->catch_up_from, true, &out->catch_up_from) &&
           wire_get_names(in->n_sync_names, in->sync_names, &out->sync_names) &&
           wire_get_u8(in->sync_count, MSG_MEMBERS_MAX, &out->sync_count) &&
           wire_get_u8(in->galera_weight, UINT8_MAX, &out->galera_weight) &&
           wire_mongodb_get_wish(in->mongodb, &out->mongodb) && get_members(in, out);
}

int wire_order_decode(struct slice bytes, struct msg_order *ret)
{
    struct arena arena;
    struct msg_order order = {0};
    const ProtobufCMessage *message = unpack(&quorate__agent__order__descriptor, bytes, &arena);
    const Quorate__Agent__Order *in = (const Quorate__Agent__Order *)(const void *)message;
    if (in == NULL || !get_order(in, &order)) {
        return BASE_E_PROTO;
    }
    *ret = order;
    return 0;
}

/* --- configuration document --- */

int wire_config_encode(const struct msg_config *config, struct buf *out)
{
    Quorate__Agent__Config message;
    quorate__agent__config__init(&message);
    if (config->text.len > MSG_CONFIG_MAX) {
        return BASE_E_INVALID;
    }
    message.cluster = wire_put_text(config->cluster.text);
    message.term = config->term;
    message.revision = config->revision;
    union {
        const uint8_t *in;
        uint8_t *out;
    } cast = {.in = config->text.data};
    message.text = (ProtobufCBinaryData){.len = config->text.len, .data = cast.out};
    return pack(&message.base, out);
}

int wire_config_decode(struct slice bytes, uint8_t text[static MSG_CONFIG_MAX],
                       struct msg_config *ret)
{
    struct arena arena;
    struct msg_config config = {.text = SLICE_EMPTY};
    const ProtobufCMessage *message = unpack(&quorate__agent__config__descriptor, bytes, &arena);
    const Quorate__Agent__Config *in = (const Quorate__Agent__Config *)(const void *)message;
    if (in == NULL || in->text.len > MSG_CONFIG_MAX || in->revision == 0 ||
        !wire_get_name(in->cluster, false, &config.cluster)) {
        return BASE_E_PROTO;
    }
    struct buf copy = buf_over(text, MSG_CONFIG_MAX);
    buf_put(&copy, slice_from(in->text.data, in->text.len));
    config.term = in->term;
    config.revision = in->revision;
    config.text = buf_slice(&copy);
    *ret = config;
    return 0;
}
