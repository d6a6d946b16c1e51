/* SPDX-License-Identifier: Apache-2.0 */
/* JSON text of what a MongoDB replica set's record, members and history have beside all others. A
 * token that is out is not written: it is told to the operator who has asked for it, and to nobody
 * else. */
#include "arbiter/record_mongodb.h"

#include "arbiter/core/note.h"
#include "arbiter/json_put.h"
#include "arbiter/record_json.h"
#include "base/name.h"

static void put_id(struct buf *out, const char *key, const uint8_t id[static 12])
{
    uint8_t memory[24];
    char text[25];
    struct buf b = buf_over(memory, sizeof(memory));
    bool is_none = true;
    for (size_t i = 0; i < 12; i++) {
        is_none = is_none && id[i] == 0;
        buf_put_hex(&b, id[i], 2);
    }
    for (size_t i = 0; i < b.len; i++) {
        text[i] = (char)memory[i];
    }
    text[is_none ? 0 : b.len] = '\0';
    arb_put_word(out, key, text);
}

static void put_version(struct buf *out, const char *key, const struct msg_mongodb_version *v)
{
    arb_put_key(out, key);
    buf_put_u8(out, '{');
    arb_put_number(out, "term", v->term);
    arb_put_number(out, "version", v->version);
    buf_put_u8(out, '}');
}

static void put_names(struct buf *out, const char *key, const struct msg_names *names)
{
    arb_put_key(out, key);
    buf_put_u8(out, '[');
    for (uint8_t i = 0; i < names->count; i++) {
        buf_put_text(out, i == 0 ? "" : ",");
        arb_json_text(out, slice_from_text(names->names[i].text));
    }
    buf_put_u8(out, ']');
}

static void put_hosts(struct buf *out, const char *key, const struct msg_mongodb_hosts *hosts)
{
    arb_put_key(out, key);
    buf_put_u8(out, '[');
    for (uint8_t i = 0; i < hosts->count; i++) {
        buf_put_text(out, i == 0 ? "" : ",");
        arb_json_text(out, slice_from_text(hosts->list[i].text));
    }
    buf_put_u8(out, ']');
}

static void put_order(struct buf *out, const struct msg_mongodb_order *o)
{
    static const char *const states[] = {"idle", "open", "done", "failed"};
    arb_put_key(out, "order");
    buf_put_u8(out, '{');
    arb_put_number(out, "epoch", o->epoch);
    arb_put_word(out, "kind", arb_mongodb_order_word(o->kind));
    arb_put_word(out, "state", states[o->state <= MSG_MONGODB_ORDER_FAILED ? o->state : 0]);
    arb_put_word(out, "phase", arb_mongodb_phase_word(o->phase));
    arb_put_word(out, "member", o->member.text);
    arb_put_word(out, "subject", o->subject.text);
    arb_put_word(out, "host", o->subject_host.text);
    arb_put_number(out, "votes", o->votes);
    arb_put_number(out, "priority_x10", o->priority_x10);
    arb_put_number(out, "expected_term", o->expected_term);
    put_version(out, "expected_config", &o->expected_config);
    arb_put_number(out, "limit_ms", o->limit_ms);
    arb_put_signed(out, "status", o->status);
    arb_put_signed(out, "code", o->code);
    buf_put_u8(out, '}');
}

static void put_force(struct buf *out, const struct msg_mongodb_force *f)
{
    arb_put_key(out, "force");
    buf_put_u8(out, '{');
    arb_put_bool(out, "is_token_out", f->token != 0);
    arb_put_number(out, "given_epoch", f->given_epoch);
    put_version(out, "config", &f->config);
    put_names(out, "survivors", &f->survivors);
    put_names(out, "lost", &f->lost);
    put_hosts(out, "lost_hosts", &f->strangers);
    arb_put_word(out, "freshest", f->freshest.text);
    arb_put_number(out, "done_epoch", f->done_epoch);
    buf_put_u8(out, '}');
}

static void put_places(struct buf *out, const struct msg_mongodb_record *r)
{
    arb_put_key(out, "places");
    buf_put_u8(out, '{');
    for (uint8_t i = 0; i < r->places_count; i++) {
        arb_put_word(out, r->places[i].member.text, r->places[i].host.text);
    }
    buf_put_u8(out, '}');
}

void arb_json_mongodb_record(struct buf *out, const struct msg_mongodb_record *r)
{
    arb_put_key(out, "mongodb");
    buf_put_u8(out, '{');
    arb_put_word(out, "set_name", r->set_name.text);
    put_id(out, "set_id", r->set_id);
    arb_put_bool(out, "is_initiated", r->is_initiated);
    arb_put_word(out, "primary", r->primary.text);
    arb_put_number(out, "term", r->primary_term);
    put_version(out, "config", &r->config);
    put_order(out, &r->order);
    put_force(out, &r->force);
    put_names(out, "degraded", &r->degraded);
    put_names(out, "barred", &r->barred);
    put_hosts(out, "barred_hosts", &r->barred_hosts);
    arb_put_number(out, "barred_epoch", r->barred_epoch);
    put_names(out, "leaving", &r->leaving);
    arb_put_signed(out, "moved_wall_us", r->moved_wall_us);
    put_places(out, r);
    buf_put_u8(out, '}');
}

void arb_json_mongodb_member(struct buf *out, const struct msg_mongodb_report *r)
{
    arb_put_key(out, "mongodb");
    buf_put_u8(out, '{');
    arb_put_word(out, "state", arb_mongodb_state_word(r->state));
    arb_put_word(out, "host", r->self.text);
    arb_put_number(out, "term", r->term);
    arb_put_bool(out, "is_writable", r->is_writable);
    put_version(out, "config", &r->config);
    buf_put_u8(out, '}');
}

/* "switchover to mg2, because: an operator asked for it" */
static void put_reason(struct buf *out, const struct arb_decision *d)
{
    uint8_t memory[256];
    struct buf b = buf_over(memory, sizeof(memory));
    buf_put_text(&b, arb_mongodb_order_word(d->order));
    if (!base_name_is_empty(&d->order_subject)) {
        buf_put_text(&b, d->order == MSG_MONGODB_ORDER_SWITCHOVER ? " to " : " of ");
        buf_put(&b, base_name_slice(&d->order_subject));
    }
    if (d->cause != ARB_CAUSE_NONE) {
        buf_put_text(&b, ", because: ");
        buf_put_text(&b, arb_mongodb_cause_text(d->cause));
    }
    arb_put_key(out, "reason");
    arb_json_text(out, buf_slice(&b));
}

void arb_json_mongodb_decision(struct buf *out, const struct arb_decision *d)
{
    put_reason(out, d);
    arb_put_key(out, "order");
    buf_put_u8(out, '{');
    arb_put_word(out, "kind", arb_mongodb_order_word(d->order));
    arb_put_word(out, "member", d->order_member.text);
    arb_put_word(out, "subject", d->order_subject.text);
    arb_put_word(out, "because", arb_mongodb_cause_text(d->cause));
    buf_put_u8(out, '}');
}
