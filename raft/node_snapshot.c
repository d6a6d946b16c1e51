/* SPDX-License-Identifier: Apache-2.0 */
/* Images of the state on their way between nodes: see node_snapshot.h for who does what. Ends of
 * jobs step the core; what is called from inside a step only begins jobs and sends. */
#include "base/assert.h"
#include "base/failpoint.h"
#include "base/mark.h"
#include "raft/node_internal.h"

#define SEND_AGAIN_US (500 * BASE_US_PER_MS) /* nothing moved for so long: from where it stands */
#define GIVE_UP_US (20 * BASE_US_PER_S)      /* nothing heard for so long: the next peer's turn */
#define SILENT_US (2 * BASE_US_PER_S)        /* a peer that says nothing at all is gone */
#define KEEP_US (2 * BASE_US_PER_S)          /* so long the log, after the image was sent */
#define RELEASE_US (30 * BASE_US_PER_S)      /* an image that nobody needs is kept so long */
#define FORGET_US (30 * BASE_US_PER_S)       /* receiver: a sender that says nothing any more */
#define TRY_AGAIN_US (100 * BASE_US_PER_MS)
#define RATE_DEFAULT (UINT64_C(32) << 20)

static int64_t now_us(const struct raft_node *node)
{
    return node_now(node).us;
}

static uint64_t chunk_max(const struct raft_node *node)
{
    uint64_t bytes = node->config.snapshot_chunk_bytes;
    return bytes == 0 || bytes > SNAPSHOT_CHUNK_MAX ? SNAPSHOT_CHUNK_MAX : bytes;
}

static uint64_t rate(const struct raft_node *node)
{
    uint64_t bytes = node->config.snapshot_bytes_per_s;
    return bytes == 0 ? RATE_DEFAULT : bytes;
}

static struct msg_raft message_to(const struct raft_node *node, uint64_t to,
                                  enum msg_raft_type type)
{
    return (struct msg_raft){.type = type,
                             .cluster = node->config.cluster_id,
                             .from = node->config.id,
                             .to = to,
                             .term = node->core.term};
}

static void drop_waiting(struct raft_node *node, uint64_t peer)
{
    struct snapshot_sender *out = &node->snapshot.out;
    size_t kept = 0;
    for (size_t i = 0; i < out->waiting_count; i++) {
        if (out->waiting[i] != peer) {
            out->waiting[kept++] = out->waiting[i];
        }
    }
    out->waiting_count = kept;
}

/* --- sender: the image --- */

static void sender_pump(struct raft_node *node);

static void release(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    if (out->state == SNAPSHOT_MAKING || out->reading != 0) {
        out->is_release_wanted = true;
        return;
    }
    out->is_release_wanted = false;
    if (out->state == SNAPSHOT_READY) {
        const struct snapshot_port *port = &node->ports.snapshot;
        out->state = SNAPSHOT_NONE;
        port->export_end(port->ctx);
    }
}

/* Whether a peer that has this image finds what follows it in the log. */
static bool is_fresh(const struct raft_node *node, const struct snapshot_sender *out)
{
    return out->info.index + 1 >= node->core.log.first_index;
}

static void tell_ended(struct raft_node *node, uint64_t peer, uint64_t index, int status)
{
    struct raft_event event = {.type = RAFT_EVENT_SNAPSHOT_ENDED,
                               .now = node_now(node),
                               .peer = peer,
                               .index = index,
                               .status = status};
    node_step_sure(node, &event);
}

static void made(struct snapshot_job *job, int status)
{
    struct raft_node *node = job->user;
    struct snapshot_sender *out = &node->snapshot.out;
    out->state = status == 0 ? SNAPSHOT_READY : SNAPSHOT_NONE;
    out->info = job->info;
    out->idle_us = now_us(node);
    if (out->is_release_wanted) {
        release(node);
    }
    if (status != 0) {
        out->try_us = now_us(node) + TRY_AGAIN_US;
        if (out->waiting_count > 0) {
            uint64_t peer = out->waiting[0];
            drop_waiting(node, peer);
            tell_ended(node, peer, 0, status);
        }
    }
    sender_pump(node);
    node_drain(node);
}

static void make(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    const struct snapshot_port *port = &node->ports.snapshot;
    out->make.user = node;
    out->make.done = made;
    if (FAILPOINT(SNAPSHOT_MAKE) == 0 && port->export_begin(port->ctx, &out->make) == 0) {
        out->state = SNAPSHOT_MAKING;
        out->making_from = node->core.log.first_index - 1;
    } else {
        out->try_us = now_us(node) + TRY_AGAIN_US;
    }
}

/* --- sender: chunks --- */

static const struct raft_peer *peer_of(const struct raft_node *node, uint64_t id)
{
    for (size_t i = 0; node->core.role == RAFT_LEADER && i < RAFT_MEMBERS_MAX; i++) {
        if (node->core.peers[i].id == id) {
            return &node->core.peers[i];
        }
    }
    return NULL;
}

static bool is_still_wanted(const struct raft_node *node, uint64_t id)
{
    const struct raft_peer *peer = peer_of(node, id);
    return peer != NULL && peer->state == RAFT_PEER_SNAPSHOT;
}

/* Not even answers to heartbeats: the log must not wait for it. */
static bool is_silent(const struct raft_node *node, uint64_t id)
{
    const struct raft_peer *peer = peer_of(node, id);
    return peer == NULL || now_us(node) - peer->heard_us > SILENT_US;
}

static void end_transfer(struct raft_node *node, int status, bool is_told)
{
    struct snapshot_sender *out = &node->snapshot.out;
    uint64_t peer = out->peer;
    out->peer = 0;
    out->idle_us = now_us(node);
    if (is_told) {
        tell_ended(node, peer, out->info.index, status);
    }
}

static void count_credit(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    int64_t now = now_us(node);
    int64_t passed = now - out->credit_at_us;
    uint64_t most = SNAPSHOT_WINDOW * chunk_max(node);
    passed = passed < 0 ? 0 : passed > BASE_US_PER_S ? BASE_US_PER_S : passed;
    out->credit += (uint64_t)passed * rate(node) / (uint64_t)BASE_US_PER_S;
    out->credit = out->credit > most ? most : out->credit;
    out->credit_at_us = now;
}

static void send_chunk(struct raft_node *node, uint64_t offset, struct slice data)
{
    struct snapshot_sender *out = &node->snapshot.out;
    struct msg_raft message = message_to(node, out->peer, MSG_RAFT_SNAPSHOT);
    message.index = out->info.index;
    message.log_term = out->info.term;
    message.round = out->transfer;
    message.offset = offset;
    message.data = data;
    message.is_last = offset + data.len >= out->info.bytes;
    if (FAILPOINT(SNAPSHOT_SEND) == 0 && node_send(node, &message, NULL)) {
        out->sent = offset + data.len;
        out->credit -= data.len < out->credit ? data.len : out->credit;
    } else { /* link down or full */
        out->try_us = now_us(node) + TRY_AGAIN_US;
    }
}

static void chunk_read(struct snapshot_job *job, int status)
{
    struct raft_node *node = job->user;
    struct snapshot_sender *out = &node->snapshot.out;
    bool is_ours = out->peer != 0 && out->reading == out->transfer;
    status = status != 0 ? status : FAILPOINT(SNAPSHOT_READ);
    uint64_t offset = out->reading_at;
    out->reading = 0;
    if (out->is_release_wanted) {
        release(node);
    }
    if (is_ours && (status != 0 || (job->data.len == 0 && out->info.bytes > offset))) {
        end_transfer(node, status != 0 ? status : BASE_E_CORRUPT, true);
        release(node);                           /* and a new one for who needs it */
    } else if (is_ours && offset == out->sent) { /* else it was set back meanwhile */
        struct slice data = job->data;
        data.len = data.len > chunk_max(node) ? chunk_max(node) : data.len;
        send_chunk(node, offset, data);
    }
    sender_pump(node);
    node_drain(node);
}

static void read_next(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    const struct snapshot_port *port = &node->ports.snapshot;
    bool is_full = out->sent - out->acked >= SNAPSHOT_WINDOW * chunk_max(node);
    bool is_poor = out->credit < chunk_max(node);
    if (out->reading != 0 || is_full || is_poor || out->sent >= out->info.bytes ||
        out->try_us > now_us(node)) {
        return;
    }
    out->read.user = node;
    out->read.done = chunk_read;
    out->reading_at = out->sent;
    out->reading = out->transfer;
    int rc = port->export_read(port->ctx, &out->read, out->sent);
    if (rc != 0) {
        out->reading = 0;
        out->try_us = now_us(node) + TRY_AGAIN_US;
    }
}

static void begin_transfer(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    int64_t now = now_us(node);
    out->peer = out->waiting[0];
    drop_waiting(node, out->peer);
    /* Of this life alone: a receiver must not take a chunk of another image for one of this. */
    out->transfer = out->transfer == 0 ? (node->config.seed >> 16 << 16) + 1 : out->transfer + 1;
    out->sent = out->acked = 0;
    out->moved_us = out->heard_us = now;
}

static void sender_pump(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    if (!node_is_running(node) || out->is_release_wanted) {
        return;
    }
    while (out->waiting_count > 0 && !is_still_wanted(node, out->waiting[0])) {
        drop_waiting(node, out->waiting[0]);
    }
    if (out->peer == 0 && out->waiting_count > 0) {
        if (out->state == SNAPSHOT_READY && !is_fresh(node, out)) {
            release(node);
        }
        if (out->state == SNAPSHOT_READY) {
            begin_transfer(node);
        } else if (out->state == SNAPSHOT_NONE && out->try_us <= now_us(node)) {
            make(node);
        }
    }
    if (out->peer != 0) {
        count_credit(node);
        read_next(node);
    }
}

void node_snapshot_wanted(struct raft_node *node, uint64_t peer)
{
    struct snapshot_sender *out = &node->snapshot.out;
    if (out->peer == peer) { /* it was set back by the core: begin anew */
        out->peer = 0;
    }
    drop_waiting(node, peer);
    BASE_ASSERT(out->waiting_count < RAFT_MEMBERS_MAX);
    out->waiting[out->waiting_count++] = peer;
    sender_pump(node);
}

void node_snapshot_reply(struct raft_node *node, const struct msg_raft *message)
{
    struct snapshot_sender *out = &node->snapshot.out;
    if (out->peer == 0 || message->from != out->peer || message->round != out->transfer) {
        return;
    }
    out->heard_us = now_us(node);
    if (message->is_rejected || message->offset >= out->info.bytes) {
        end_transfer(node, message->is_rejected ? BASE_E_CANCELED : 0, true);
    } else if (message->offset > out->acked) {
        out->acked = message->offset;
        out->sent = out->sent < out->acked ? out->acked : out->sent;
        out->moved_us = out->heard_us;
    } else if (message->offset < out->acked) { /* it began anew */
        MARK(NODE_IMAGE_FROM_START);
        out->acked = out->sent = message->offset;
        out->moved_us = out->heard_us;
    }
    sender_pump(node);
}

static void sender_tick(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    int64_t now = now_us(node);
    if (out->peer != 0 && !is_still_wanted(node, out->peer)) {
        MARK(NODE_IMAGE_CALLED_OFF);
        end_transfer(node, 0, false); /* it has found its way back to the log */
    } else if (out->peer != 0 && (now - out->heard_us > GIVE_UP_US || is_silent(node, out->peer))) {
        MARK(NODE_IMAGE_GIVEN_UP);
        end_transfer(node, BASE_E_TIMEOUT, true);
    } else if (out->peer != 0 && now - out->moved_us > SEND_AGAIN_US) {
        out->sent = out->acked;
        out->moved_us = now;
    }
    if (out->state == SNAPSHOT_READY && out->peer == 0 && out->waiting_count == 0 &&
        now - out->idle_us >= RELEASE_US) {
        release(node);
    }
    sender_pump(node);
}

/* --- receiver --- */

static void reply(struct raft_node *node, const struct snapshot_receiver *in, uint64_t offset,
                  bool is_rejected)
{
    struct msg_raft message = message_to(node, in->from, MSG_RAFT_SNAPSHOT_REPLY);
    message.round = in->transfer;
    message.index = in->index;
    message.offset = offset;
    message.is_rejected = is_rejected;
    (void)node_send(node, &message, NULL); /* lost: the sender sends again and is told again */
}

static void discard(struct raft_node *node)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    const struct snapshot_port *port = &node->ports.snapshot;
    if (in->is_known && !in->is_installing) {
        in->is_known = false;
        port->import_discard(port->ctx);
    }
}

/* The image cannot be used: the sender shall give it up. */
static void refuse(struct raft_node *node)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    reply(node, in, in->written, true);
    discard(node);
}

static void begun(struct snapshot_job *job, int status)
{
    struct raft_node *node = job->user;
    struct snapshot_receiver *in = &node->snapshot.in;
    in->is_beginning = false;
    if (status != 0 && in->is_known && !in->is_installing) {
        refuse(node);
    }
}

static void piece_written(struct snapshot_job *job, int status)
{
    struct snapshot_piece *piece = job->user;
    struct raft_node *node = piece->node;
    struct snapshot_receiver *in = &node->snapshot.in;
    piece->is_busy = false;
    status = status != 0 ? status : FAILPOINT(SNAPSHOT_WRITTEN);
    if (!in->is_known || in->is_installing || in->life != piece->life || !node_is_running(node)) {
        return;
    }
    if (status != 0) {
        refuse(node);
        return;
    }
    in->written = piece->end;
    if (!piece->is_last) {
        reply(node, in, in->written, false);
        return;
    }
    struct raft_event event = {.type = RAFT_EVENT_SNAPSHOT_RECEIVED,
                               .now = node_now(node),
                               .index = in->index,
                               .term = in->term};
    node_step_sure(node, &event);
    in->is_installing = in->is_known; /* else the core did not want it */
    node_drain(node);
}

static struct snapshot_piece *piece_free(struct snapshot_receiver *in)
{
    for (size_t i = 0; i < SNAPSHOT_WINDOW; i++) {
        if (!in->pieces[i].is_busy) {
            return &in->pieces[i];
        }
    }
    return NULL;
}

/* A transfer that we have not seen yet, from its first byte on. */
static bool open_transfer(struct raft_node *node, const struct msg_raft *message)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    const struct snapshot_port *port = &node->ports.snapshot;
    if (message->offset != 0 || in->is_beginning) {
        return false;
    }
    discard(node);
    in->begin.user = node;
    in->begin.done = begun;
    if (FAILPOINT(SNAPSHOT_BEGIN) != 0 || port->import_begin(port->ctx, &in->begin) != 0) {
        return false;
    }
    in->is_beginning = true;
    in->is_known = true;
    in->is_end_taken = false;
    in->life++;
    in->from = message->from;
    in->transfer = message->round;
    in->index = message->index;
    in->term = message->log_term;
    in->taken = in->written = 0;
    return true;
}

static void take_piece(struct raft_node *node, const struct msg_raft *message)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    const struct snapshot_port *port = &node->ports.snapshot;
    struct snapshot_piece *piece = piece_free(in);
    if (piece == NULL || message->data.len == 0 || message->data.len > SNAPSHOT_CHUNK_MAX) {
        return; /* the sender sends it again */
    }
    *piece = (struct snapshot_piece){.node = node,
                                     .is_last = message->is_last,
                                     .life = in->life,
                                     .end = message->offset + message->data.len};
    piece->job.user = piece;
    piece->job.done = piece_written;
    if (port->import_write(port->ctx, &piece->job, message->data) == 0) {
        piece->is_busy = true;
        in->taken = piece->end;
        in->is_end_taken = message->is_last;
    }
}

/* A transfer that is none of ours: a sender that speaks of what we have, or of a piece out of the
 * middle of what we never began. */
static void answer_stranger(struct raft_node *node, const struct msg_raft *message, uint64_t offset)
{
    const struct snapshot_receiver asked = {
        .from = message->from, .transfer = message->round, .index = message->index};
    reply(node, &asked, offset, false);
}

void node_snapshot_chunk(struct raft_node *node, const struct msg_raft *message)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    if (message->index <= node->core.commit && !in->is_installing) {
        answer_stranger(node, message, UINT64_MAX); /* it has arrived, or is not needed */
        return;
    }
    bool is_same = in->is_known && in->from == message->from && in->transfer == message->round &&
                   in->index == message->index;
    if (in->is_installing) {
        if (is_same) {
            reply(node, in, 0, false); /* patience */
        }
        return;
    }
    if (!is_same && !open_transfer(node, message)) {
        answer_stranger(node, message, 0);
        return;
    }
    in->heard_us = now_us(node);
    if (message->offset == in->taken && !in->is_end_taken) {
        take_piece(node, message);
    } else {
        reply(node, in, in->written, false); /* doubled, or something before it is missing */
    }
}

void node_snapshot_discard(struct raft_node *node)
{
    discard(node);
}

/* --- receiver: installing --- */

static void import_ended(struct snapshot_job *job, int status)
{
    struct raft_node *node = job->user;
    /* The image is the state: nothing of the log in memory fits it until the log has begun anew. */
    int broken = 0;
    if (status == 0) {
        broken = FAILPOINT(SNAPSHOT_INSTALLED);
    }
    if (broken != 0 && node_is_running(node)) {
        node_fail(node, broken);
        node_drain(node);
    } else if (node_is_running(node)) {
        node_installed(node, &job->info, status);
    }
}

void node_snapshot_install(struct raft_node *node, uint64_t index, uint64_t term)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    const struct snapshot_port *port = &node->ports.snapshot;
    BASE_ASSERT(in->is_known && in->index == index && in->term == term);
    in->install.user = node;
    in->install.done = import_ended;
    in->is_installing = true;
    int rc = FAILPOINT(SNAPSHOT_INSTALL);
    rc = rc != 0 ? rc : port->import_install(port->ctx, &in->install);
    if (rc != 0) { /* it takes one image at a time, and this is the one */
        node_installed(node, &in->install.info, rc);
    }
}

void node_snapshot_installed(struct raft_node *node, uint64_t index, int status)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    (void)index;
    in->is_installing = false;
    in->is_known = false;
    reply(node, in, status == 0 ? UINT64_MAX : 0, status != 0);
}

/* --- both --- */

void node_snapshot_role_changed(struct raft_node *node)
{
    struct snapshot_sender *out = &node->snapshot.out;
    if (node->core.role != RAFT_LEADER) {
        out->waiting_count = 0;
        out->peer = 0;
        release(node);
    } else if (out->peer != 0 && !is_still_wanted(node, out->peer)) {
        out->peer = 0; /* it is no member any more */
        out->idle_us = now_us(node);
    }
    if (node->snapshot.in.is_known && node->snapshot.in.from != node->core.leader) {
        discard(node);
    }
}

void node_snapshot_end(struct raft_node *node)
{
    node->snapshot.out.waiting_count = 0;
    node->snapshot.out.peer = 0;
    node->snapshot.in.is_known = false;
}

/* From the moment when it is begun until a little after it was sent: who got it must find what
 * follows it in the log, though entries come faster than it is made and sent. An image that is left
 * over holds nothing up. */
uint64_t node_snapshot_keeps(const struct raft_node *node)
{
    const struct snapshot_sender *out = &node->snapshot.out;
    switch (out->state) {
    case SNAPSHOT_MAKING:
        return out->making_from;
    case SNAPSHOT_READY:
        if (out->peer != 0 || out->waiting_count > 0 || now_us(node) - out->idle_us < KEEP_US) {
            return out->info.index;
        }
        break;
    case SNAPSHOT_NONE:
        break;
    }
    return UINT64_MAX;
}

void node_snapshot_tick(struct raft_node *node)
{
    struct snapshot_receiver *in = &node->snapshot.in;
    if (!node_is_running(node)) {
        return;
    }
    if (in->is_known && !in->is_installing && now_us(node) - in->heard_us > FORGET_US) {
        discard(node);
    }
    sender_tick(node);
    node_drain(node);
}

static int64_t least(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

struct base_mono node_snapshot_deadline(const struct raft_node *node)
{
    const struct snapshot_sender *out = &node->snapshot.out;
    const struct snapshot_receiver *in = &node->snapshot.in;
    int64_t at = INT64_MAX;
    if (out->peer != 0) {
        at = least(at, out->moved_us + SEND_AGAIN_US + 1);
        at = least(at, out->heard_us + GIVE_UP_US + 1);
        bool is_sending = out->sent < out->info.bytes && out->reading == 0 &&
                          out->sent - out->acked < SNAPSHOT_WINDOW * chunk_max(node);
        uint64_t lacks = out->credit < chunk_max(node) ? chunk_max(node) - out->credit : 0;
        int64_t rich_us =
            out->credit_at_us + (int64_t)(lacks * (uint64_t)BASE_US_PER_S / rate(node)) + 1;
        if (is_sending) {
            at = least(at, rich_us > out->try_us ? rich_us : out->try_us);
        }
    } else if (out->waiting_count > 0 && out->state == SNAPSHOT_NONE) {
        at = least(at, out->try_us);
    } else if (out->state == SNAPSHOT_READY && out->reading == 0) {
        at = least(at, out->idle_us + RELEASE_US); /* else when the read that hangs is done */
    }
    if (in->is_known && !in->is_installing) {
        at = least(at, in->heard_us + FORGET_US + 1);
    }
    return (struct base_mono){at};
}
