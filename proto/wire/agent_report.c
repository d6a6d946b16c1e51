/* SPDX-License-Identifier: Apache-2.0 */
/* An agent's report; see agent.h. */
#include "proto/wire/agent.h"

#include "proto/wire/agent_internal.h"

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
    parts->position = wire_put_position(&in->position);
    parts->promised = wire_put_attempt(&in->promised);
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
    parts->failsafe_position = wire_put_position(&in->failsafe_position);
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
    out->ttl_least_ms = in->ttl_least_ms;
    out->is_end_unread = in->is_end_unread;
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
    return wire_pack(&parts.report.base, out);
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
           wire_get_name(in->member, false, &out->member) && wire_get_text(in->host, &out->host) &&
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
    wire_get_position(in->position, &out->position);
    out->timeline_highest = in->timeline_highest;
    out->replay_lsn = in->replay_lsn;
    out->is_open = in->is_open != 0;
    out->is_receiving = in->is_receiving != 0;
    out->is_rejoin_needed = in->is_rejoin_needed != 0;
    out->opened_lsn = in->opened_lsn;
    wire_get_attempt(in->promised, &out->promised);
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
           wire_get_text(in->note, &out->note);
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
    out->ttl_least_ms = in->ttl_least_ms;
    out->is_end_unread = in->is_end_unread != 0;
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
    wire_get_position(in->failsafe_position, &out->failsafe_position);
    return wire_get_name(in->zone, true, &out->zone) &&
           wire_get_name(in->replicatefrom, true, &out->replicatefrom) &&
           wire_get_name(in->upstream, true, &out->upstream) &&
           wire_get_text(in->pending_restart, &out->pending_restart) &&
           wire_get_names(in->n_failsafe_members, in->failsafe_members, &out->failsafe_members) &&
           wire_galera_get_report(in->engine == MSG_ENGINE_GALERA ? in->galera : NULL,
                                  &out->galera) &&
           wire_mongodb_get_report(in->engine == MSG_ENGINE_MONGODB ? in->mongodb : NULL,
                                   &out->mongodb);
}

int wire_report_decode(struct slice bytes, struct msg_report *ret)
{
    struct wire_room arena;
    struct msg_report report = {0};
    const ProtobufCMessage *message =
        wire_unpack(&quorate__agent__report__descriptor, bytes, &arena);
    const Quorate__Agent__Report *in = (const Quorate__Agent__Report *)(const void *)message;
    if (in == NULL || !get_report_identity(in, &report) || !get_report_database(in, &report) ||
        !get_report_comfort(in, &report) || !get_report_member(in, &report)) {
        return BASE_E_PROTO;
    }
    get_report_right(in, &report);
    *ret = report;
    return 0;
}
