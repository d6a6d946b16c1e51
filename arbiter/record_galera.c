/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text of what a Galera cluster's record, members and history have beside all others, and the
 * words for it. */
#include "arbiter/record_galera.h"

#include "arbiter/json_put.h"
#include "arbiter/record_json.h"
#include "base/assert.h"
#include "base/name.h"

#include <string.h>

const char *arb_galera_state_name(enum msg_galera_state state)
{
    static const char *const names[] = {"unknown", "down",         "needs-sst", "waiting",
                                        "joining", "synced",       "donor",     "stalled",
                                        "nonprim", "inconsistent", "suspect",   "starting"};
    BASE_ASSERT((size_t)state < BASE_COUNT_OF(names));
    return names[state];
}

const char *arb_galera_grant_name(enum msg_galera_grant_state state)
{
    static const char *const names[] = {"none", "given", "done", "failed"};
    BASE_ASSERT((size_t)state < BASE_COUNT_OF(names));
    return names[state];
}

void arb_galera_uuid_text(const uint8_t uuid[static 16], char ret_text[static 37])
{
    static const uint8_t none[16];
    uint8_t memory[40];
    struct buf b = buf_over(memory, sizeof(memory));
    if (memcmp(uuid, none, sizeof(none)) != 0) {
        for (size_t i = 0; i < 16; i++) {
            buf_put_text(&b, i == 4 || i == 6 || i == 8 || i == 10 ? "-" : "");
            buf_put_hex(&b, uuid[i], 2);
        }
    }
    memcpy(ret_text, memory, b.len);
    ret_text[b.len] = '\0';
}

static void put_uuid(struct buf *out, const uint8_t uuid[static 16])
{
    char text[37];
    arb_galera_uuid_text(uuid, text);
    arb_put_word(out, "uuid", text);
}

static void put_position(struct buf *out, const char *key, const struct msg_galera_position *p)
{
    arb_put_key(out, key);
    buf_put_u8(out, '{');
    put_uuid(out, p->uuid);
    arb_put_signed(out, "seqno", p->seqno);
    buf_put_u8(out, '}');
}

static void put_nodes(struct buf *out, const char *key, uint8_t count,
                      const struct msg_galera_node *nodes)
{
    arb_put_key(out, key);
    buf_put_u8(out, '{');
    for (uint8_t i = 0; i < count; i++) {
        arb_put_number(out, nodes[i].node.text, nodes[i].weight);
    }
    buf_put_u8(out, '}');
}

static void put_grant(struct buf *out, const struct msg_galera_grant *grant)
{
    arb_put_key(out, "grant");
    buf_put_u8(out, '{');
    arb_put_number(out, "generation", grant->generation);
    arb_put_number(out, "after", grant->after);
    arb_put_word(out, "node", grant->node.text);
    arb_put_bool(out, "is_live", grant->is_live);
    arb_put_bool(out, "is_kept", grant->is_kept);
    put_position(out, "base", &grant->base);
    arb_put_number(out, "conf_id", grant->conf_id);
    arb_put_word(out, "state", arb_galera_grant_name(grant->state));
    buf_put_u8(out, '}');
}

void arb_json_galera_record(struct buf *out, const struct msg_galera_record *r)
{
    arb_put_key(out, "galera");
    buf_put_u8(out, '{');
    put_uuid(out, r->uuid);
    arb_put_number(out, "generation", r->generation);
    arb_put_signed(out, "high_water", r->high_water);
    arb_put_number(out, "conf_id", r->view.conf_id);
    put_nodes(out, "view", r->view.count, r->view.nodes);
    put_grant(out, &r->grant);
    arb_put_number(out, "inhibit", r->inhibit);
    arb_put_word(out, "sst_joiner", r->sst_joiner.text);
    arb_put_word(out, "sst_donor", r->sst_donor.text);
    arb_put_word(out, "restarting", r->restarting.text);
    arb_put_word(out, "arbitrator", r->arbitrator.text);
    put_nodes(out, "weights", r->weights.count, r->weights.nodes);
    arb_put_bool(out, "is_fast_takeover", r->is_fast_takeover);
    arb_put_signed(out, "recovery_wait_us", r->recovery_wait_us);
    arb_put_bool(out, "is_reader_kept", r->is_reader_kept);
    buf_put_u8(out, '}');
}

void arb_json_galera_member(struct buf *out, const struct msg_galera_report *r)
{
    arb_put_key(out, "galera");
    buf_put_u8(out, '{');
    arb_put_word(out, "state", arb_galera_state_name(r->state));
    arb_put_number(out, "generation", r->generation);
    arb_put_bool(out, "is_primary", r->is_primary);
    arb_put_number(out, "conf_id", r->view.conf_id);
    buf_put_u8(out, '}');
}
