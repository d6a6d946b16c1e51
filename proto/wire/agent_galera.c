/* SPDX-License-Identifier: Apache-2.0 */
/* Codec of what members of MariaDB Galera clusters and the arbiter say to each other, as parts of
 * the agent protocol (agent.c). Every enumeration, name, count and length from outside is checked.
 * Views are kept in the order of their names, none twice, so that equal views are equal bytes.
 */
#include "base/assert.h"
#include "proto/wire/agent_internal.h"

#include <string.h>

#define UUID_BYTES 16

static bool is_zero(const uint8_t uuid[static UUID_BYTES])
{
    static const uint8_t zero[UUID_BYTES];
    return memcmp(uuid, zero, UUID_BYTES) == 0;
}

static ProtobufCBinaryData put_uuid(const uint8_t uuid[static UUID_BYTES])
{
    union {
        const uint8_t *in;
        uint8_t *out;
    } cast = {.in = uuid}; /* is not written through when packing */
    return (ProtobufCBinaryData){.len = is_zero(uuid) ? 0 : UUID_BYTES, .data = cast.out};
}

static bool get_uuid(const ProtobufCBinaryData *in, uint8_t ret[static UUID_BYTES])
{
    if (in->len == UUID_BYTES) {
        memcpy(ret, in->data, UUID_BYTES);
    }
    return in->len == 0 || in->len == UUID_BYTES;
}

static void put_position(const struct msg_galera_position *in, Quorate__Agent__GaleraPosition *out)
{
    quorate__agent__galera_position__init(out);
    out->uuid = put_uuid(in->uuid);
    out->seqno = in->seqno;
}

static bool get_position(const Quorate__Agent__GaleraPosition *in, struct msg_galera_position *ret)
{
    if (in == NULL) {
        return true;
    }
    ret->seqno = in->seqno;
    return in->seqno >= -1 && get_uuid(&in->uuid, ret->uuid);
}

static void put_nodes(const struct msg_galera_node *in, uint8_t count,
                      struct wire_galera_view *parts)
{
    BASE_ASSERT(count <= MSG_GALERA_NODES_MAX);
    for (uint8_t i = 0; i < count; i++) {
        quorate__agent__galera_node__init(&parts->nodes[i]);
        parts->nodes[i].node = wire_put_text(in[i].node.text);
        parts->nodes[i].weight = in[i].weight;
        parts->pointers[i] = &parts->nodes[i];
    }
}

static bool get_nodes(size_t count, Quorate__Agent__GaleraNode *const *in,
                      struct msg_galera_node ret[static MSG_GALERA_NODES_MAX], uint8_t *ret_count)
{
    if (count > MSG_GALERA_NODES_MAX) {
        return false;
    }
    for (size_t i = 0; i < count; i++) {
        if (!wire_get_name(in[i]->node, false, &ret[i].node) ||
            !wire_get_u8(in[i]->weight, UINT8_MAX, &ret[i].weight) ||
            (i > 0 && base_name_compare(&ret[i - 1].node, &ret[i].node) >= 0)) {
            return false;
        }
    }
    *ret_count = (uint8_t)count;
    return true;
}

static void put_view(const struct msg_galera_view *in, struct wire_galera_view *parts)
{
    quorate__agent__galera_view__init(&parts->view);
    put_nodes(in->nodes, in->count, parts);
    parts->view.conf_id = in->conf_id;
    parts->view.n_nodes = in->count;
    parts->view.nodes = parts->pointers;
}

static bool get_view(const Quorate__Agent__GaleraView *in, struct msg_galera_view *ret)
{
    if (in == NULL) {
        return true;
    }
    ret->conf_id = in->conf_id;
    return get_nodes(in->n_nodes, in->nodes, ret->nodes, &ret->count);
}

/* --- record --- */

bool wire_galera_is_record_good(const struct msg_galera_record *record)
{
    return record->view.count <= MSG_GALERA_NODES_MAX &&
           record->weights.count <= MSG_GALERA_NODES_MAX;
}

static void put_grant(const struct msg_galera_grant *in, struct wire_galera_record *parts)
{
    Quorate__Agent__GaleraGrant *out = &parts->grant;
    quorate__agent__galera_grant__init(out);
    put_position(&in->base, &parts->base);
    out->generation = in->generation;
    out->after = in->after;
    out->node = wire_put_text(in->node.text);
    out->is_live = in->is_live;
    out->is_kept = in->is_kept;
    out->base_position = &parts->base;
    out->conf_id = in->conf_id;
    out->state = in->state;
}

static bool get_grant(const Quorate__Agent__GaleraGrant *in, struct msg_galera_grant *ret)
{
    if (in == NULL) {
        return true;
    }
    if (in->state > MSG_GALERA_GRANT_FAILED) {
        return false;
    }
    ret->generation = in->generation;
    ret->after = in->after;
    ret->is_live = in->is_live != 0;
    ret->is_kept = in->is_kept != 0;
    ret->conf_id = in->conf_id;
    ret->state = (enum msg_galera_grant_state)in->state;
    return wire_get_name(in->node, true, &ret->node) && get_position(in->base_position, &ret->base);
}

void wire_galera_put_record(const struct msg_galera_record *in, struct wire_galera_record *parts)
{
    Quorate__Agent__GaleraRecord *out = &parts->record;
    quorate__agent__galera_record__init(out);
    put_view(&in->view, &parts->view);
    put_nodes(in->weights.nodes, in->weights.count, &parts->weights);
    put_grant(&in->grant, parts);
    out->uuid = put_uuid(in->uuid);
    out->generation = in->generation;
    out->high_water = in->high_water;
    out->view = &parts->view.view;
    out->grant = &parts->grant;
    out->inhibit = in->inhibit;
    out->sst_joiner = wire_put_text(in->sst_joiner.text);
    out->sst_donor = wire_put_text(in->sst_donor.text);
    out->restarting = wire_put_text(in->restarting.text);
    out->arbitrator = wire_put_text(in->arbitrator.text);
    out->n_weights = in->weights.count;
    out->weights = parts->weights.pointers;
    out->is_fast_takeover = in->is_fast_takeover;
    out->recovery_wait_us = in->recovery_wait_us;
    out->is_reader_kept = in->is_reader_kept;
}

bool wire_galera_get_record(const Quorate__Agent__GaleraRecord *in, struct msg_galera_record *ret)
{
    *ret = (struct msg_galera_record){.generation = 0};
    if (in == NULL) {
        return true;
    }
    ret->generation = in->generation;
    ret->high_water = in->high_water;
    ret->inhibit = in->inhibit;
    ret->is_fast_takeover = in->is_fast_takeover != 0;
    ret->recovery_wait_us = in->recovery_wait_us;
    ret->is_reader_kept = in->is_reader_kept != 0;
    return in->high_water >= -1 && get_uuid(&in->uuid, ret->uuid) &&
           get_view(in->view, &ret->view) && get_grant(in->grant, &ret->grant) &&
           wire_get_name(in->sst_joiner, true, &ret->sst_joiner) &&
           wire_get_name(in->sst_donor, true, &ret->sst_donor) &&
           wire_get_name(in->restarting, true, &ret->restarting) &&
           wire_get_name(in->arbitrator, true, &ret->arbitrator) &&
           get_nodes(in->n_weights, in->weights, ret->weights.nodes, &ret->weights.count);
}

/* --- report --- */

static void put_report_state(const struct msg_galera_report *in, Quorate__Agent__GaleraReport *out)
{
    out->state = in->state;
    out->is_position_recovered = in->is_position_recovered;
    out->generation = in->generation;
    out->inhibited = in->inhibited;
    out->is_fenced = in->is_fenced;
    out->is_primary = in->is_primary;
    out->is_left = in->is_left;
    out->is_safe_to_bootstrap = in->is_safe_to_bootstrap;
    out->grant_generation = in->grant_generation;
    out->grant_status = in->grant_status;
}

static void put_report_flow(const struct msg_galera_report *in, Quorate__Agent__GaleraReport *out)
{
    out->is_read_only = in->is_read_only;
    out->is_rejecting = in->is_rejecting;
    out->is_desynced = in->is_desynced;
    out->is_flow_paused = in->is_flow_paused;
    out->is_causal = in->is_causal;
    out->size = in->size;
    out->weight = in->weight;
    out->recv_queue = in->recv_queue;
    out->stalled_ms = in->stalled_ms;
    out->data_bytes = in->data_bytes;
    out->is_sst_failed = in->is_sst_failed;
    out->is_unreadable = in->is_unreadable;
    out->donor = wire_put_text(in->donor.text);
    out->seed_members = in->seed_members;
}

void wire_galera_put_report(const struct msg_galera_report *in, struct wire_galera_report *parts)
{
    Quorate__Agent__GaleraReport *out = &parts->report;
    quorate__agent__galera_report__init(out);
    put_position(&in->position, &parts->position);
    put_view(&in->view, &parts->view);
    out->position = &parts->position;
    out->view = &parts->view.view;
    put_report_state(in, out);
    put_report_flow(in, out);
}

static void get_report_flags(const Quorate__Agent__GaleraReport *in, struct msg_galera_report *ret)
{
    ret->is_position_recovered = in->is_position_recovered != 0;
    ret->is_fenced = in->is_fenced != 0;
    ret->is_primary = in->is_primary != 0;
    ret->is_left = in->is_left != 0;
    ret->is_safe_to_bootstrap = in->is_safe_to_bootstrap != 0;
    ret->is_read_only = in->is_read_only != 0;
    ret->is_rejecting = in->is_rejecting != 0;
    ret->is_desynced = in->is_desynced != 0;
    ret->is_flow_paused = in->is_flow_paused != 0;
    ret->is_causal = in->is_causal != 0;
    ret->is_sst_failed = in->is_sst_failed != 0;
    ret->is_unreadable = in->is_unreadable != 0;
}

bool wire_galera_get_report(const Quorate__Agent__GaleraReport *in, struct msg_galera_report *ret)
{
    *ret = (struct msg_galera_report){.state = MSG_GALERA_UNKNOWN};
    if (in == NULL) {
        return true;
    }
    if (in->state > MSG_GALERA_STARTING) {
        return false;
    }
    ret->state = (enum msg_galera_state)in->state;
    ret->generation = in->generation;
    ret->inhibited = in->inhibited;
    ret->recv_queue = in->recv_queue;
    ret->stalled_ms = in->stalled_ms;
    ret->data_bytes = in->data_bytes;
    ret->grant_generation = in->grant_generation;
    ret->grant_status = in->grant_status;
    get_report_flags(in, ret);
    return get_position(in->position, &ret->position) && get_view(in->view, &ret->view) &&
           wire_get_u8(in->size, UINT8_MAX, &ret->size) &&
           wire_get_u8(in->weight, UINT8_MAX, &ret->weight) &&
           wire_get_u8(in->seed_members, UINT8_MAX, &ret->seed_members) &&
           wire_get_name(in->donor, true, &ret->donor);
}
