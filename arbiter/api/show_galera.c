/* SPDX-License-Identifier: Apache-2.0 */
/* What is shown of a Galera cluster beside what every engine has. */
#include "arbiter/api/show_galera.h"

#include <stdio.h>
#include <string.h>

#include "arbiter/record_json.h"
#include "base/slice.h"

/* protobuf-c has no const texts in its structs; it only reads them when packing. */
static char *text_of(const char *literal)
{
    union {
        const char *in;
        char *out;
    } u = {.in = literal};
    return u.out;
}

void arb_show_galera_member(struct arb_show_galera_member *shown, struct msg_report *report,
                            Quorate__V1__DatabaseMember *member)
{
    struct msg_galera_report *r = &report->galera;
    Quorate__V1__DatabaseGaleraMember *m = &shown->message;
    quorate__v1__database_galera_member__init(m);
    arb_galera_uuid_text(r->position.uuid, shown->uuid);
    m->state = text_of(arb_galera_state_name(r->state));
    m->uuid = shown->uuid;
    m->seqno = r->position.seqno;
    m->is_position_recovered = r->is_position_recovered;
    m->generation = r->generation;
    m->inhibited = r->inhibited;
    m->is_primary = r->is_primary;
    m->conf_id = r->view.conf_id;
    m->size = r->size;
    m->weight = r->weight;
    m->recv_queue = r->recv_queue;
    m->is_flow_paused = r->is_flow_paused;
    m->stalled_ms = r->stalled_ms;
    m->donor = r->donor.text;
    m->is_read_only = r->is_read_only;
    m->is_rejecting = r->is_rejecting;
    m->is_desynced = r->is_desynced;
    m->is_causal = r->is_causal;
    m->data_bytes = r->data_bytes;
    m->is_safe_to_bootstrap = r->is_safe_to_bootstrap;
    m->is_fenced = r->is_fenced;
    member->galera = m;
}

void arb_show_galera(struct arb_show_galera *shown, struct msg_galera_record *r,
                     Quorate__V1__DatabaseCluster *cluster)
{
    Quorate__V1__DatabaseGalera *m = &shown->message;
    quorate__v1__database_galera__init(m);
    arb_galera_uuid_text(r->uuid, shown->uuid);
    m->uuid = shown->uuid;
    m->generation = r->generation;
    m->high_water = r->high_water;
    m->conf_id = r->view.conf_id;
    m->inhibit = r->inhibit;
    m->grant_generation = r->grant.generation;
    m->grant_node = r->grant.node.text;
    m->grant_state = text_of(arb_galera_grant_name(r->grant.state));
    m->grant_is_live = r->grant.is_live;
    m->grant_seqno = r->grant.base.seqno;
    m->sst_joiner = r->sst_joiner.text;
    m->sst_donor = r->sst_donor.text;
    m->restarting = r->restarting.text;
    m->arbitrator = r->arbitrator.text;
    m->is_fast_takeover = r->is_fast_takeover;
    m->recovery_wait_us = r->recovery_wait_us;
    m->is_reader_kept = r->is_reader_kept;
    for (uint8_t i = 0; i < r->view.count; i++) {
        quorate__v1__database_galera_node__init(&shown->nodes[i]);
        shown->nodes[i].name = r->view.nodes[i].node.text;
        shown->nodes[i].weight = r->view.nodes[i].weight;
        shown->node_list[i] = &shown->nodes[i];
    }
    m->n_view = r->view.count;
    m->view = shown->node_list;
    cluster->galera = m;
}
