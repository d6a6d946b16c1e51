/* SPDX-License-Identifier: Apache-2.0 */
/* A client's connection: TLS (recognised by its first byte), whole messages, one command at a time,
 * answers that are late, cut short or spoilt when a fault says so.
 *
 * Memory of a connection goes when libuv has closed both its handles; what the model still has at
 * work for it is forgotten by its tag.
 */
#include <openssl/err.h>
#include <stdio.h>

#include "tests/mongosim/command.h"

#define READ_SIZE 65536

struct conn {
    struct hub *hub;
    struct hub_node *node;
    struct conn *next;
    uv_tcp_t *stream;
    uv_timer_t delay; /* slow answers */
    int handles;      /* open ones */
    bool is_closing, is_started, is_tls_known, is_muted;
    SSL *ssl;
    BIO *from_net, *to_net;
    struct bytes in, held; /* plain text that came; an answer that is held back */
    bool is_busy;          /* `request` is at work, or its answer is held back */
    bool ends_after;       /* the connection ends with what is held back */
    struct wire_request request;
    struct cmd cmd;
    struct session session;
    int32_t last_reply;
};

static int32_t last_number;

struct session *conn_session(struct conn *conn)
{
    return &conn->session;
}

/* --- ends --- */

static void free_when_closed(uv_handle_t *handle)
{
    struct conn *conn = handle->data;
    conn->handles -= 1;
    if (conn->handles > 0) {
        return;
    }
    SSL_free(conn->ssl);
    bytes_free(&conn->in);
    bytes_free(&conn->held);
    free(conn->stream);
    free(conn);
}

static void forget_command(struct conn *conn)
{
    if (!conn->is_busy) {
        return;
    }
    if (conn->cmd.tag != 0) {
        mset_forget(conn->hub->set, conn->cmd.tag);
    }
    if (conn->is_started) {
        bson_destroy(&conn->cmd.reply);
        bson_destroy(&conn->cmd.upserted);
        wire_request_free(&conn->request);
        conn->is_started = false;
    }
    conn->is_busy = false;
}

static void conn_close(struct conn *conn)
{
    if (conn->is_closing) {
        return;
    }
    conn->is_closing = true;
    forget_command(conn);
    struct conn **at = &conn->hub->conns;
    while (*at != conn) {
        at = &(*at)->next;
    }
    *at = conn->next;
    uv_close((uv_handle_t *)conn->stream, free_when_closed);
    uv_close((uv_handle_t *)&conn->delay, free_when_closed);
}

void conn_close_all(struct hub_node *node)
{
    struct conn *next;
    for (struct conn *conn = node->hub->conns; conn != NULL; conn = next) {
        next = conn->next;
        if (conn->node == node) {
            conn_close(conn);
        }
    }
}

/* --- bytes out --- */

struct write {
    uv_write_t request;
    uint8_t data[];
};

static void written(uv_write_t *request, int status)
{
    (void)status;
    free(request);
}

static void write_raw(struct conn *conn, const void *data, size_t len)
{
    struct write *write = malloc(sizeof *write + len);
    if (write == NULL || conn->is_closing) {
        free(write);
        return;
    }
    memcpy(write->data, data, len);
    uv_buf_t buf = uv_buf_init((char *)write->data, (unsigned)len);
    if (uv_write(&write->request, (uv_stream_t *)conn->stream, &buf, 1, written) != 0) {
        free(write);
    }
}

static void flush_tls(struct conn *conn)
{
    uint8_t memory[16384];
    int n;
    while ((n = BIO_read(conn->to_net, memory, sizeof memory)) > 0) {
        write_raw(conn, memory, (size_t)n);
    }
}

static void write_plain(struct conn *conn, const uint8_t *data, size_t len)
{
    if (conn->ssl == NULL) {
        write_raw(conn, data, len);
        return;
    }
    if (len > 0) {
        SSL_write(conn->ssl, data, (int)len);
    }
    flush_tls(conn);
}

/* --- answers --- */

static void next_request(struct conn *conn);
static void run(struct conn *conn);

static bool spends(unsigned *count)
{
    if (*count == 0) {
        return false;
    }
    *count -= 1;
    return true;
}

static void scramble(struct bytes *out, size_t from)
{
    for (size_t i = from; i < out->len; i++) {
        out->data[i] = (uint8_t)(i * 37 + 11);
    }
}

/* Faults of the node at one whole answer. */
static void spoil(struct conn *conn, struct bytes *out)
{
    struct hub_faults *faults = &conn->node->faults;
    if (spends(&faults->half)) {
        out->len -= (out->len - WIRE_HEADER) / 2;
        conn->ends_after = true;
    } else if (spends(&faults->garbage)) {
        scramble(out, WIRE_HEADER + 9); /* behind the length of the document */
    } else if (spends(&faults->wild)) {
        scramble(out, WIRE_HEADER + 5);
    } else if (spends(&faults->huge)) {
        memcpy(out->data, "\xff\xff\xff\x7f", 4);
    }
}

static void send_held(struct conn *conn)
{
    write_plain(conn, conn->held.data, conn->held.len);
    conn->held.len = 0;
    if (conn->ends_after) {
        conn_close(conn);
        return;
    }
    if (conn->is_started) { /* a hello that goes on */
        run(conn);
        return;
    }
    conn->is_busy = false;
    next_request(conn);
}

static void delay_over(uv_timer_t *timer)
{
    send_held(timer->data);
}

/* The command has an answer in cmd.reply. */
static void answer(struct conn *conn)
{
    struct cmd *c = &conn->cmd;
    bool is_wanted = (conn->request.flags & WIRE_MORE_TO_COME) == 0;
    bool goes_on = c->is_exhaust && is_wanted;
    conn->hub->commands += 1;
    if (is_wanted) {
        int32_t to = conn->last_reply != 0 ? conn->last_reply : conn->request.id;
        int32_t id =
            wire_reply(&conn->request, to, &c->reply, goes_on ? WIRE_MORE_TO_COME : 0, &conn->held);
        conn->last_reply = goes_on ? id : 0;
        spoil(conn, &conn->held);
    }
    if (!goes_on) {
        bson_destroy(&c->reply);
        bson_destroy(&c->upserted);
        wire_request_free(&conn->request);
        conn->is_started = false;
    } else {
        bson_reinit(&c->reply);
    }
    if (conn->node->faults.slow_ms > 0) {
        uv_timer_start(&conn->delay, delay_over, conn->node->faults.slow_ms, 0);
    } else {
        send_held(conn);
    }
}

static void act(struct conn *conn, enum cmd_outcome outcome)
{
    if (outcome == CMD_REPLY) {
        answer(conn);
    } else if (outcome == CMD_CLOSE) {
        conn_close(conn);
    }
}

static bool is_hello(const struct conn *conn)
{
    return strcasecmp(conn->cmd.name, "hello") == 0 || strcasecmp(conn->cmd.name, "ismaster") == 0;
}

static void run(struct conn *conn)
{
    if (!is_hello(conn) && spends(&conn->node->faults.mute)) {
        conn->is_muted = true;
        return;
    }
    act(conn, cmd_run(&conn->cmd));
}

static void begin_request(struct conn *conn)
{
    struct cmd *c = &conn->cmd;
    bson_iter_t i;
    conn->is_busy = conn->is_started = true;
    *c = (struct cmd){.hub = conn->hub, .node = conn->node, .conn = conn};
    c->request = &conn->request;
    c->body = &conn->request.command;
    c->name = bson_iter_init(&i, c->body) && bson_iter_next(&i) ? bson_iter_key(&i) : "";
    bson_init(&c->reply);
    bson_init(&c->upserted);
    run(conn);
}

static void next_request(struct conn *conn)
{
    while (!conn->is_closing && !conn->is_busy && !conn->is_muted) {
        int64_t length = wire_length(conn->in.data, conn->in.len);
        const char *why = "a message of an impossible length";
        if (length == 0 || (length > 0 && (size_t)length > conn->in.len) ||
            mset_reach(conn->hub->set, conn->node->index) != MSET_ANSWERS) {
            return; /* a node that hangs lets it lie */
        }
        if (length < 0 || !wire_parse(conn->in.data, (size_t)length, &conn->request, &why)) {
            fprintf(stderr, "mongosim: %s: a client sent %s: connection ended\n", conn->node->host,
                    why);
            conn_close(conn);
            return;
        }
        bytes_consume(&conn->in, (size_t)length);
        if (conn->request.op == WIRE_OP_KILL_CURSORS) {
            wire_request_free(&conn->request);
            continue;
        }
        begin_request(conn);
    }
}

/* --- bytes in --- */

static void begin_tls(struct conn *conn)
{
    conn->ssl = SSL_new(conn->node->tls);
    conn->from_net = BIO_new(BIO_s_mem());
    conn->to_net = BIO_new(BIO_s_mem());
    if (conn->ssl == NULL || conn->from_net == NULL || conn->to_net == NULL) {
        abort();
    }
    SSL_set_bio(conn->ssl, conn->from_net, conn->to_net);
    SSL_set_accept_state(conn->ssl);
}

static void take_subject(struct conn *conn)
{
    X509 *cert = SSL_get_peer_certificate(conn->ssl);
    if (cert == NULL || conn->session.subject[0] != 0) {
        X509_free(cert);
        return;
    }
    BIO *text = BIO_new(BIO_s_mem());
    if (text != NULL &&
        X509_NAME_print_ex(text, X509_get_subject_name(cert), 0, XN_FLAG_RFC2253) >= 0) {
        int n = BIO_read(text, conn->session.subject, sizeof conn->session.subject - 1);
        conn->session.subject[n > 0 ? n : 0] = 0;
    }
    BIO_free(text);
    X509_free(cert);
}

static void read_tls(struct conn *conn, const uint8_t *data, size_t len)
{
    uint8_t memory[16384];
    int n;
    BIO_write(conn->from_net, data, (int)len);
    while ((n = SSL_read(conn->ssl, memory, sizeof memory)) > 0) {
        bytes_append(&conn->in, memory, (size_t)n);
    }
    int error = SSL_get_error(conn->ssl, n);
    flush_tls(conn);
    ERR_clear_error();
    if (error != SSL_ERROR_WANT_READ && error != SSL_ERROR_WANT_WRITE) {
        conn_close(conn);
        return;
    }
    if (SSL_is_init_finished(conn->ssl)) {
        take_subject(conn);
    }
}

/* The first byte tells TLS (a handshake's record) from a message's length. */
static bool choose_tls(struct conn *conn, uint8_t first)
{
    conn->is_tls_known = true;
    if (first == 0x16 && conn->node->tls != NULL) {
        begin_tls(conn);
        return true;
    }
    return first != 0x16 && !conn->node->is_tls_required;
}

static void came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
    struct conn *conn = stream->data;
    if (n < 0) {
        conn_close(conn);
    } else if (n > 0 && !conn->is_tls_known && !choose_tls(conn, (uint8_t)buf->base[0])) {
        conn_close(conn);
    } else if (n > 0) {
        if (conn->ssl != NULL) {
            read_tls(conn, (const uint8_t *)buf->base, (size_t)n);
        } else {
            bytes_append(&conn->in, buf->base, (size_t)n);
        }
        if (!conn->is_closing) {
            struct hub *hub = conn->hub;
            mset_advance(hub->set, mset_now(hub->set));
            next_request(conn);
            hub_pump(hub);
        }
    }
    free(buf->base);
}

static void memory_for(uv_handle_t *handle, size_t suggested, uv_buf_t *buf)
{
    (void)handle;
    (void)suggested;
    *buf = uv_buf_init(malloc(READ_SIZE), READ_SIZE);
}

void conn_start(struct hub_node *node, uv_tcp_t *stream)
{
    struct conn *conn = calloc(1, sizeof *conn);
    if (conn == NULL) {
        abort();
    }
    conn->hub = node->hub;
    conn->node = node;
    conn->stream = stream;
    conn->handles = 2;
    conn->session.number = ++last_number;
    conn->next = node->hub->conns;
    node->hub->conns = conn;
    stream->data = conn;
    uv_timer_init(node->hub->loop, &conn->delay);
    conn->delay.data = conn;
    uv_tcp_nodelay(stream, 1);
    if (mset_reach(node->hub->set, node->index) == MSET_REFUSES ||
        uv_read_start((uv_stream_t *)stream, memory_for, came) != 0) {
        conn_close(conn);
    }
}

/* --- what the model brings --- */

void conn_reply(struct hub *hub, const struct mset_reply *reply)
{
    for (struct conn *conn = hub->conns; conn != NULL; conn = conn->next) {
        if (conn->is_started && conn->cmd.tag == reply->tag) {
            conn->cmd.tag = 0;
            act(conn, cmd_finished(&conn->cmd, reply));
            return;
        }
    }
}

static bool is_waiting_hello(const struct conn *conn)
{
    return conn->is_started && conn->cmd.until != 0 && conn->held.len == 0;
}

void conn_wake_all(struct hub *hub)
{
    struct conn *next;
    for (struct conn *conn = hub->conns; conn != NULL; conn = next) {
        next = conn->next; /* one command may end its own connection, no other's */
        if (mset_reach(hub->set, conn->node->index) == MSET_ANSWERS) {
            if (is_waiting_hello(conn)) {
                run(conn);
            } else {
                next_request(conn);
            }
        }
    }
}

int64_t conn_next(const struct hub *hub)
{
    int64_t next = MSET_NEVER;
    for (const struct conn *conn = hub->conns; conn != NULL; conn = conn->next) {
        if (is_waiting_hello(conn) && conn->cmd.until < next) {
            next = conn->cmd.until;
        }
    }
    return next;
}
