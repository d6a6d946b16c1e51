/* SPDX-License-Identifier: Apache-2.0 */
/* An arbiter's order; see agent.h. */
#include "proto/wire/agent.h"

#include "proto/wire/agent_internal.h"

struct order_parts {
    Quorate__Agent__Order order;
    struct wire_record_parts record;
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
    wire_put_record(&in->record, &parts->record);
    parts->attempt = wire_put_attempt(&in->attempt);
    parts->ended = wire_put_attempt(&in->ended);
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
        !wire_is_record_good(&order->record)) {
        return BASE_E_INVALID;
    }
    put_order(order, &parts);
    return wire_pack(&parts.order.base, out);
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
            !wire_get_text(from->host, &to->host) || !wire_get_u16(from->db_port, &to->db_port) ||
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
    wire_get_attempt(in->attempt, &out->attempt);
    wire_get_attempt(in->ended, &out->ended);
    return wire_get_record(in->record, &out->record) && wire_get_text(in->reason, &out->reason) &&
           wire_get_name(in->catch_up_from, true, &out->catch_up_from) &&
           wire_get_names(in->n_sync_names, in->sync_names, &out->sync_names) &&
           wire_get_u8(in->sync_count, MSG_MEMBERS_MAX, &out->sync_count) &&
           wire_get_u8(in->galera_weight, UINT8_MAX, &out->galera_weight) &&
           wire_mongodb_get_wish(in->mongodb, &out->mongodb) && get_members(in, out);
}

int wire_order_decode(struct slice bytes, struct msg_order *ret)
{
    struct wire_room arena;
    struct msg_order order = {0};
    const ProtobufCMessage *message =
        wire_unpack(&quorate__agent__order__descriptor, bytes, &arena);
    const Quorate__Agent__Order *in = (const Quorate__Agent__Order *)(const void *)message;
    if (in == NULL || !get_order(in, &order)) {
        return BASE_E_PROTO;
    }
    *ret = order;
    return 0;
}
