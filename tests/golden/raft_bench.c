/* SPDX-License-Identifier: Apache-2.0 */
/* See raft_bench.h: carries out effects, and puts them and messages into words. */
#include "tests/golden/raft_bench.h"

#include <stdio.h>
#include <string.h>

#include "raft/core/members.h"

struct node nodes[NODES + 1];
struct packet packets[PACKETS_MAX];
size_t packet_count;
bool is_cut[NODES + 1][NODES + 1];
enum telling telling; /* tells outcomes only */
struct raft_configuration configs[CONFIGS_MAX];
size_t config_count;
static struct raft_effects fx;

/* --- words --- */

const char *const role_text[] = {"follower", "pre-candidate", "candidate", "leader"};
static const char *const entry_text[] = {"", "data", "noop", "members"};

static const char *members_text(const struct raft_configuration *c)
{
    static char text[128];
    size_t len = 0;
    text[0] = '\0';
    for (uint32_t i = 0; i < c->count; i++) {
        len +=
            (size_t)snprintf(text + len, sizeof(text) - len, "%s%llu%s", i == 0 ? "" : " ",
                             ULL(c->members[i].id), c->members[i].is_learner ? " (learner)" : "");
    }
    return text;
}

static void say_message(const struct msg_raft *m, bool is_lost)
{
    char text[160] = "";
    size_t cap = sizeof(text);
    const char *no = m->is_rejected ? "no" : "yes";
    switch (m->type) {
    case MSG_RAFT_PREVOTE:
        (void)snprintf(text, cap, "prevote for term %llu? log %llu/%llu", ULL(m->proposed_term),
                       ULL(m->index), ULL(m->log_term));
        break;
    case MSG_RAFT_PREVOTE_REPLY:
        (void)snprintf(text, cap, "prevote %s for term %llu", no, ULL(m->proposed_term));
        break;
    case MSG_RAFT_VOTE:
        (void)snprintf(text, cap, "vote? log %llu/%llu%s", ULL(m->index), ULL(m->log_term),
                       m->is_transfer ? " (transfer)" : "");
        break;
    case MSG_RAFT_VOTE_REPLY:
        (void)snprintf(text, cap, "vote %s", no);
        break;
    case MSG_RAFT_APPEND:
        (void)snprintf(text, cap, "append %u behind %llu/%llu, commit %llu", m->entry_count,
                       ULL(m->index), ULL(m->log_term), ULL(m->commit));
        break;
    case MSG_RAFT_APPEND_REPLY:
        if (m->is_rejected) {
            (void)snprintf(text, cap, "append no at %llu, try %llu/%llu", ULL(m->index),
                           ULL(m->hint_index), ULL(m->hint_term));
        } else {
            (void)snprintf(text, cap, "append yes, durable %llu, received %llu", ULL(m->index),
                           ULL(m->received));
        }
        break;
    case MSG_RAFT_HEARTBEAT:
        (void)snprintf(text, cap, "heartbeat %llu, commit %llu", ULL(m->round), ULL(m->commit));
        break;
    case MSG_RAFT_HEARTBEAT_REPLY:
        (void)snprintf(text, cap, "heartbeat reply %llu", ULL(m->round));
        break;
    case MSG_RAFT_COMMIT:
        (void)snprintf(text, cap, "commit %llu", ULL(m->commit));
        break;
    case MSG_RAFT_READ:
        (void)snprintf(text, cap, "read? %llu", ULL(m->round));
        break;
    case MSG_RAFT_READ_REPLY:
        (void)snprintf(text, cap, "read %llu at %llu", ULL(m->round), ULL(m->index));
        break;
    case MSG_RAFT_TIMEOUT_NOW:
        (void)snprintf(text, cap, "stand now");
        break;
    case MSG_RAFT_SNAPSHOT:
    case MSG_RAFT_SNAPSHOT_REPLY:
        (void)snprintf(text, cap, "image");
        break;
    case MSG_RAFT_NONE:
    case MSG_RAFT_TYPE_COUNT:
        break;
    }
    bool is_beat =
        m->round == 0 && (m->type == MSG_RAFT_HEARTBEAT || m->type == MSG_RAFT_HEARTBEAT_REPLY);
    if (telling == TELL_ALL || (telling == TELL_WORK && !is_beat)) {
        golden_say("%llu > %llu [term %llu] %s%s", ULL(m->from), ULL(m->to), ULL(m->term), text,
                   is_lost ? " - lost" : "");
    }
}

/* --- effects --- */

static struct op *op_add(struct node *n, enum op_kind kind)
{
    if (n->op_count == OPS_MAX) {
        golden_wrong("more than %d writes wait", OPS_MAX);
    }
    struct op *op = &n->ops[n->op_count++];
    *op = (struct op){.kind = kind};
    return op;
}

static void take_entries(struct node *n, const struct raft_effect *e, const struct packet *packet)
{
    for (uint32_t i = e->skip; i < packet->m.entry_count; i++) {
        n->entries[e->index + i - e->skip] = packet->entries[i];
    }
    if (telling != TELL_OUTCOMES) {
        golden_say("%llu: takes %llu to %llu", ULL(n->core.config.id), ULL(e->index),
                   ULL(e->index + packet->m.entry_count - e->skip - 1));
    }
}

static void do_write(struct node *n, const struct raft_effect *e)
{
    struct op *op = op_add(n, OP_WRITE);
    if (e->to >= ENTRIES_MAX) {
        golden_wrong("more than %d entries", ENTRIES_MAX);
    }
    op->id = e->id;
    op->from = e->from;
    op->to = e->to;
    for (uint64_t i = e->from; i <= e->to; i++) {
        op->entries[i] = n->entries[i];
    }
    if (telling != TELL_OUTCOMES) {
        golden_say("%llu: writes %llu to %llu", ULL(n->core.config.id), ULL(e->from), ULL(e->to));
    }
}

static void do_send(struct node *n, const struct raft_effect *e)
{
    struct packet *p = &packets[packet_count];
    bool is_lost = is_cut[e->message.from][e->message.to] || !nodes[e->message.to].is_up;
    say_message(&e->message, is_lost);
    if (is_lost) {
        return;
    }
    if (packet_count == PACKETS_MAX || e->message.entry_count > PACKET_ENTRIES) {
        golden_wrong("too much in flight");
    }
    p->m = e->message;
    for (uint32_t i = 0; i < e->message.entry_count; i++) {
        p->entries[i] = n->entries[e->message.index + 1 + i];
    }
    packet_count++;
}

static void do_entry(struct node *n, const struct raft_effect *e, size_t config)
{
    if (e->index >= ENTRIES_MAX) {
        golden_wrong("more than %d entries", ENTRIES_MAX);
    }
    n->entries[e->index] = (struct entry){e->term, e->entry_type, config};
    if (telling != TELL_OUTCOMES) {
        golden_say("%llu: entry %llu, term %llu, %s", ULL(n->core.config.id), ULL(e->index),
                   ULL(e->term), entry_text[e->entry_type]);
    }
}

static void do_install(struct node *n, const struct raft_effect *e)
{
    struct op *op = op_add(n, OP_INSTALL);
    op->from = e->index;
    op->term = e->term;
    golden_say("%llu: installs the image up to %llu/%llu", ULL(n->core.config.id), ULL(e->index),
               ULL(e->term));
}

static void do_effect(struct node *n, const struct raft_effect *e, const struct packet *packet)
{
    unsigned long long id = ULL(n->core.config.id);
    struct op *op;
    switch (e->type) {
    case RAFT_EFFECT_SAVE_STATE:
        op = op_add(n, OP_SAVE);
        op->term = e->term;
        op->vote = e->vote;
        if (telling != TELL_OUTCOMES) {
            golden_say("%llu: saves term %llu, vote %llu", id, ULL(e->term), ULL(e->vote));
        }
        break;
    case RAFT_EFFECT_ENTRY:
        do_entry(n, e, config_count - 1);
        break;
    case RAFT_EFFECT_ENTRIES:
        take_entries(n, e, packet);
        break;
    case RAFT_EFFECT_WRITE:
        do_write(n, e);
        break;
    case RAFT_EFFECT_SEND:
        do_send(n, e);
        break;
    case RAFT_EFFECT_COMMIT:
        golden_say("%llu: commits up to %llu", id, ULL(e->index));
        break;
    case RAFT_EFFECT_CONFIRMED:
        golden_say("%llu: still led when %llu was asked", id, ULL(e->id));
        break;
    case RAFT_EFFECT_READ_READY:
        golden_say("%llu: read %llu may be served at %llu", id, ULL(e->id), ULL(e->index));
        break;
    case RAFT_EFFECT_READ_LOST:
        if (n->has_reads) {
            golden_say("%llu: reads are lost", id);
        }
        n->has_reads = false;
        break;
    case RAFT_EFFECT_ROLE:
        golden_say("%llu: %s in term %llu, leader %llu", id, role_text[n->core.role],
                   ULL(n->core.term), ULL(n->core.leader));
        break;
    case RAFT_EFFECT_MEMBERS:
        golden_say("%llu: members %s", id, members_text(&n->core.configuration));
        break;
    case RAFT_EFFECT_TRIM:
        golden_say("%llu: forgets the log up to %llu", id, ULL(e->index));
        break;
    case RAFT_EFFECT_TRANSFER_ENDED:
        golden_say("%llu: transfer ended: %s", id,
                   e->status == 0 ? "done" : base_error_name(e->status));
        break;
    case RAFT_EFFECT_SNAPSHOT:
        golden_say("%llu: %llu needs an image", id, ULL(e->id));
        break;
    case RAFT_EFFECT_CHUNK:
        golden_say("%llu: takes the image in", id);
        break;
    case RAFT_EFFECT_INSTALL:
        do_install(n, e);
        break;
    case RAFT_EFFECT_DISCARD:
        golden_say("%llu: does not want the image", id);
        break;
    case RAFT_EFFECT_HALT:
        golden_say("%llu: halts: %s", id, base_error_name(e->status));
        n->is_up = false;
        break;
    }
}

void bench_step(uint64_t id, struct raft_event event, const struct packet *packet)
{
    struct node *n = &nodes[id];
    if (!n->is_up) {
        golden_wrong("node %llu is not up", ULL(id));
    }
    event.now.us = n->now_us;
    int rc = raft_core_step(&n->core, &event, &fx);
    const char *broken = raft_core_check(&n->core);
    if (broken != NULL) {
        golden_wrong("node %llu: %s", ULL(id), broken);
    }
    if (rc != 0) {
        golden_say("%llu: refused: %s", ULL(id), base_error_name(rc));
    }
    struct raft_effects done = fx;
    for (uint32_t i = 0; i < done.count; i++) {
        do_effect(n, &done.list[i], packet);
    }
    if (event.type == RAFT_EVENT_READ && rc == 0) {
        golden_say("%llu: read %llu asked", ULL(id), ULL(done.ticket));
        n->has_reads = true;
    }
}

/* --- disk and network --- */

static void finish_install(uint64_t id, const struct op *op)
{
    struct node *n = &nodes[id];
    n->has_image = true;
    n->image = n->coming;
    n->disk_last = op->from;
    bench_step(id,
               (struct raft_event){.type = RAFT_EVENT_INSTALLED,
                                   .index = op->from,
                                   .term = op->term,
                                   .configuration = &configs[n->image.config]},
               NULL);
    uint64_t sender = n->image.sender;
    if (nodes[sender].is_up) {
        bench_step(
            sender,
            (struct raft_event){.type = RAFT_EVENT_SNAPSHOT_ENDED, .peer = id, .index = op->from},
            NULL);
    }
}

bool bench_disk_one(uint64_t id)
{
    struct node *n = &nodes[id];
    if (n->op_count == 0 || !n->is_up) {
        return false;
    }
    static struct op op;
    op = n->ops[0];
    n->op_count--;
    memmove(n->ops, n->ops + 1, n->op_count * sizeof(op));
    if (op.kind == OP_SAVE) {
        n->disk_term = op.term;
        n->disk_vote = op.vote;
        bench_step(
            id,
            (struct raft_event){.type = RAFT_EVENT_STATE_SAVED, .term = op.term, .vote = op.vote},
            NULL);
    } else if (op.kind == OP_WRITE) {
        for (uint64_t i = op.from; i <= op.to; i++) {
            n->disk[i] = op.entries[i];
        }
        n->disk_last = op.to;
        bench_step(id, (struct raft_event){.type = RAFT_EVENT_PERSISTED, .id = op.id}, NULL);
    } else {
        finish_install(id, &op);
    }
    return true;
}

void bench_deliver(struct packet p)
{
    static uint8_t memory[PACKET_ENTRIES][RAFT_MEMBERS_BYTES_MAX];
    static struct msg_raft_entry entries[PACKET_ENTRIES];
    if (!nodes[p.m.to].is_up) {
        return;
    }
    for (uint32_t i = 0; i < p.m.entry_count; i++) {
        struct buf b = buf_over(memory[i], sizeof(memory[i]));
        if (p.entries[i].type == MSG_RAFT_ENTRY_MEMBERS &&
            raft_members_encode(&configs[p.entries[i].config], &b) != 0) {
            golden_wrong("an unsound configuration");
        }
        entries[i] = (struct msg_raft_entry){p.entries[i].term, p.entries[i].type, buf_slice(&b)};
    }
    p.m.entries = entries;
    bench_step(p.m.to, (struct raft_event){.type = RAFT_EVENT_MESSAGE, .message = &p.m}, &p);
}

struct packet bench_take(size_t at)
{
    struct packet p = packets[at];
    packet_count--;
    memmove(&packets[at], &packets[at + 1], (packet_count - at) * sizeof(p));
    return p;
}

void bench_settle(void)
{
    for (int i = 0; i < STEPS_MAX; i++) {
        bool has_done = false;
        for (uint64_t id = 1; id <= NODES; id++) {
            has_done |= !nodes[id].is_stuck && bench_disk_one(id);
        }
        if (packet_count > 0) {
            bench_deliver(bench_take(0));
        } else if (!has_done) {
            return;
        }
    }
    golden_wrong("does not settle");
}

void bench_reset(void)
{
    memset(nodes, 0, sizeof(nodes));
    memset(is_cut, 0, sizeof(is_cut));
    packet_count = config_count = 0;
    telling = TELL_WORK;
}
