/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking gRPC client. Non-blocking sockets under poll with one absolute deadline per call;
 * nghttp2 moves frames through memory; TLS directly over the socket. One call at a time. */
#include "proto/io/grpc_client.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/assert.h"
#include "proto/io/bytes.h"
#include "proto/io/h2_internal.h"

#define WINDOW (16 << 20)
#define ANSWER_MAX ((size_t)64 << 20)
#define DEFAULT_PORT 2379
#define CONNECT_SHARE_US \
    (2 * BASE_US_PER_S) /* at most so long for one endpoint while others are left */

struct endpoint {
    struct io_address address;
    bool is_tls;
    char text[IO_ADDRESS_TEXT_MAX];
};

/* What has come of the call under way. */
struct answer {
    int32_t stream_id;
    int http_status;
    int grpc_status; /* -1: none yet */
    bool is_closed;
    uint32_t error_code;
    struct io_bytes message, body;
};

struct io_grpc_client {
    struct endpoint endpoints[IO_GRPC_ENDPOINTS_MAX];
    size_t endpoints_count;
    size_t pinned;  /* SIZE_MAX: all */
    size_t current; /* connected to */
    struct io_tls *tls;
    char *token;
    int fd; /* -1: not connected */
    SSL *ssl;
    nghttp2_session *session;
    struct slice request; /* framed; what is left to send */
    struct answer answer;
    struct base_mono deadline;
};

/* --- making clients
 * ------------------------------------------------------------------------------------- */

static int parse_endpoint(struct slice text, bool has_ca, struct endpoint *ret, struct io_why *why)
{
    int status = io_address_parse(text, DEFAULT_PORT, &ret->address, why);
    if (status != 0) {
        return status;
    }
    if (ret->address.host[0] == '\0') {
        memcpy(ret->address.host, "127.0.0.1", 10);
    }
    ret->is_tls =
        ret->address.scheme == IO_SCHEME_HTTPS || (ret->address.scheme == IO_SCHEME_NONE && has_ca);
    (void)io_address_text(&ret->address, ret->text, sizeof(ret->text));
    return 0;
}

static int parse_endpoints(struct io_grpc_client *client, const char *text, bool has_ca,
                           struct io_why *why)
{
    struct slice rest = slice_from_text(text);
    while (rest.len > 0) {
        const uint8_t *comma = memchr(rest.data, ',', rest.len);
        struct slice part = rest;
        part.len = comma != NULL ? (size_t)(comma - rest.data) : rest.len;
        rest = slice_skip(rest, part.len + 1);
        if (client->endpoints_count == IO_GRPC_ENDPOINTS_MAX) {
            io_why_set(why, "more than %d endpoints", IO_GRPC_ENDPOINTS_MAX);
            return BASE_E_INVALID;
        }
        int status = parse_endpoint(part, has_ca, &client->endpoints[client->endpoints_count], why);
        if (status != 0) {
            return status;
        }
        client->endpoints_count++;
    }
    if (client->endpoints_count == 0) {
        io_why_set(why, "no endpoints given");
        return BASE_E_INVALID;
    }
    return 0;
}

static int make_tls(struct io_grpc_client *client, const struct io_grpc_client_options *options,
                    struct io_why *why)
{
    bool needs_tls = false;
    for (size_t i = 0; i < client->endpoints_count; i++) {
        needs_tls = needs_tls || client->endpoints[i].is_tls;
    }
    if (!needs_tls) {
        return 0;
    }
    const struct io_tls_options tls = {.cert_file = options->cert_file,
                                       .key_file = options->key_file,
                                       .ca_file = options->ca_file,
                                       .verify = IO_TLS_VERIFY_REQUIRED,
                                       .has_http2 = true};
    return io_tls_new(&tls, &client->tls, why);
}

int io_grpc_client_new(const struct io_grpc_client_options *options, struct io_grpc_client **ret,
                       struct io_why *why)
{
    bool has_ca = options->ca_file != NULL && options->ca_file[0] != '\0';
    struct io_grpc_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return BASE_E_NOMEM;
    }
    (void)signal(SIGPIPE, SIG_IGN); /* a lost connection is an error code, not the end */
    client->fd = -1;
    client->pinned = SIZE_MAX;
    if (options->token != NULL) {
        client->token = strdup(options->token);
    }
    int status = parse_endpoints(client, options->endpoints, has_ca, why);
    if (status == 0) {
        status = make_tls(client, options, why);
    }
    if (status != 0) {
        (void)io_grpc_client_free(client);
        return status;
    }
    *ret = client;
    return 0;
}

static void disconnect(struct io_grpc_client *client)
{
    nghttp2_session_del(client->session);
    client->session = NULL;
    SSL_free(client->ssl);
    client->ssl = NULL;
    if (client->fd >= 0) {
        (void)close(client->fd);
    }
    client->fd = -1;
}

struct io_grpc_client *io_grpc_client_free(struct io_grpc_client *client)
{
    if (client != NULL) {
        disconnect(client);
        (void)io_tls_free(client->tls);
        free(client->token);
        io_bytes_free(&client->answer.message);
        io_bytes_free(&client->answer.body);
        free(client);
    }
    return NULL;
}

size_t io_grpc_client_endpoints(const struct io_grpc_client *client)
{
    return client->endpoints_count;
}

void io_grpc_client_pin(struct io_grpc_client *client, size_t n)
{
    BASE_ASSERT(n == SIZE_MAX || n < client->endpoints_count);
    client->pinned = n;
    disconnect(client);
}

const char *io_grpc_client_endpoint(const struct io_grpc_client *client, size_t n)
{
    BASE_ASSERT(n < client->endpoints_count);
    return client->endpoints[n].text;
}

/* --- bytes under a deadline
 * ----------------------------------------------------------------------------- */

static int wait_for(int fd, short events, struct base_mono deadline)
{
    for (;;) {
        int64_t left_us = base_mono_diff_us(deadline, io_now());
        if (left_us <= 0) {
            return BASE_E_TIMEOUT;
        }
        struct pollfd poll_fd = {.fd = fd, .events = events};
        int64_t left_ms = left_us / BASE_US_PER_MS + 1;
        int got = poll(&poll_fd, 1, left_ms > 60000 ? 60000 : (int)left_ms);
        if (got > 0) {
            return 0;
        }
        if (got < 0 && errno != EINTR) {
            return BASE_E_IO;
        }
    }
}

static int lost(struct io_grpc_client *client, struct io_why *why)
{
    io_why_set(why, "connection with %s lost: %s", client->endpoints[client->current].text,
               errno != 0 ? strerror(errno) : "closed by the other side");
    return BASE_E_CLOSED;
}

/* What an SSL call wants before it can go on; an error when it has failed for good. */
static int wait_tls(struct io_grpc_client *client, int result, struct io_why *why)
{
    int error = SSL_get_error(client->ssl, result);
    if (error == SSL_ERROR_WANT_READ) {
        return wait_for(client->fd, POLLIN, client->deadline);
    }
    if (error == SSL_ERROR_WANT_WRITE) {
        return wait_for(client->fd, POLLOUT, client->deadline);
    }
    if (error == SSL_ERROR_ZERO_RETURN || (error == SSL_ERROR_SYSCALL && ERR_peek_error() == 0)) {
        return lost(client, why);
    }
    io_tls_why(client->ssl, why);
    return BASE_E_TLS;
}

static int send_bytes(struct io_grpc_client *client, const uint8_t *data, size_t len,
                      struct io_why *why)
{
    int status = 0;
    while (len > 0 && status == 0) {
        ssize_t sent;
        errno = 0;
        if (client->ssl != NULL) {
            ERR_clear_error();
            sent = SSL_write(client->ssl, data, len > INT32_MAX ? INT32_MAX : (int)len);
            status = sent > 0 ? 0 : wait_tls(client, (int)sent, why);
        } else {
            sent = send(client->fd, data, len, MSG_NOSIGNAL);
            if (sent < 0 && errno == EAGAIN) {
                status = wait_for(client->fd, POLLOUT, client->deadline);
            } else if (sent < 0 && errno != EINTR) {
                return lost(client, why);
            }
        }
        if (sent > 0) {
            data += sent;
            len -= (size_t)sent;
        }
    }
    return status;
}

/* At least one byte. */
static int receive_bytes(struct io_grpc_client *client, uint8_t *data, size_t cap, size_t *ret_len,
                         struct io_why *why)
{
    int status = 0;
    while (status == 0) {
        ssize_t got;
        errno = 0;
        if (client->ssl != NULL) {
            ERR_clear_error();
            got = SSL_read(client->ssl, data, (int)cap);
            status = got > 0 ? 0 : wait_tls(client, (int)got, why);
        } else {
            got = recv(client->fd, data, cap, 0);
            if (got < 0 && errno == EAGAIN) {
                status = wait_for(client->fd, POLLIN, client->deadline);
            } else if (got == 0 || (got < 0 && errno != EINTR)) {
                return lost(client, why);
            }
        }
        if (got > 0) {
            *ret_len = (size_t)got;
            return 0;
        }
    }
    return status;
}

/* --- connecting
 * ----------------------------------------------------------------------------------------- */

static int connect_address(const struct addrinfo *address, struct base_mono deadline, int *ret_fd)
{
    int one = 1;
    int error = 0;
    socklen_t len = sizeof(error);
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        return -errno;
    }
    if (connect(fd, address->ai_addr, address->ai_addrlen) != 0) {
        error = errno;
        if (error == EINPROGRESS) {
            error = ETIMEDOUT;
            if (wait_for(fd, POLLOUT, deadline) == 0 &&
                getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) != 0) {
                error = errno;
            }
        }
    }
    if (error != 0) {
        (void)close(fd);
        return -error;
    }
    (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
    *ret_fd = fd;
    return 0;
}

static int open_socket(struct io_grpc_client *client, const struct endpoint *endpoint,
                       struct base_mono deadline, struct io_why *why)
{
    char port[8];
    struct addrinfo *list = NULL;
    const struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV};
    (void)snprintf(port, sizeof(port), "%u", (unsigned)endpoint->address.port);
    int status = getaddrinfo(endpoint->address.host, port, &hints, &list);
    if (status != 0) {
        io_why_set(why, "cannot resolve %s: %s", endpoint->address.host, gai_strerror(status));
        return BASE_E_UNREACHABLE;
    }
    status = -EHOSTUNREACH;
    for (const struct addrinfo *a = list; a != NULL && status != 0; a = a->ai_next) {
        status = connect_address(a, deadline, &client->fd);
    }
    freeaddrinfo(list);
    if (status != 0) {
        io_why_set(why, "cannot connect to %s: %s", endpoint->text, strerror(-status));
        return BASE_E_UNREACHABLE;
    }
    return 0;
}

static int open_tls(struct io_grpc_client *client, const struct endpoint *endpoint,
                    struct io_why *why)
{
    int status = 0;
    int result = 0;
    client->ssl = io_tls_connect_ssl(client->tls, endpoint->address.host, true);
    if (client->ssl == NULL || SSL_set_fd(client->ssl, client->fd) != 1) {
        io_why_set(why, "out of memory");
        return BASE_E_NOMEM;
    }
    while (status == 0 && result != 1) {
        ERR_clear_error();
        errno = 0;
        result = SSL_do_handshake(client->ssl);
        status = result == 1 ? 0 : wait_tls(client, result, why);
    }
    if (status == BASE_E_TIMEOUT) {
        io_why_set(why, "no TLS handshake from %s in time", endpoint->text);
    }
    return status;
}

static int open_session(struct io_grpc_client *client);

static int connect_endpoint(struct io_grpc_client *client, size_t n, struct base_mono deadline,
                            struct io_why *why)
{
    const struct endpoint *endpoint = &client->endpoints[n];
    disconnect(client);
    client->current = n;
    client->deadline = deadline;
    int status = open_socket(client, endpoint, deadline, why);
    if (status == 0 && endpoint->is_tls) {
        status = open_tls(client, endpoint, why);
    }
    if (status == 0) {
        status = open_session(client);
    }
    if (status != 0) {
        disconnect(client);
    }
    return status;
}

/* Tries the endpoints in order; why is the last one's. A TLS failure outlives "refused" of others.
 */
static int connect_any(struct io_grpc_client *client, struct base_mono deadline, struct io_why *why)
{
    int worst = BASE_E_UNREACHABLE;
    for (size_t i = 0; i < client->endpoints_count; i++) {
        size_t n = client->pinned != SIZE_MAX ? client->pinned : i;
        bool is_last = client->pinned != SIZE_MAX || i + 1 == client->endpoints_count;
        struct base_mono share = base_mono_add_us(io_now(), CONNECT_SHARE_US);
        struct io_why now_why = {""};
        int status = connect_endpoint(
            client, n, is_last ? deadline : base_mono_min(share, deadline), &now_why);
        client->deadline = deadline;
        if (status == 0) {
            return 0;
        }
        if (worst != BASE_E_TLS || status == BASE_E_TLS) {
            worst = status == BASE_E_TLS ? BASE_E_TLS : BASE_E_UNREACHABLE;
            io_why_set(why, "%s", now_why.text);
        }
        if (is_last) {
            break;
        }
    }
    return worst;
}

/* --- HTTP/2
 * --------------------------------------------------------------------------------------------- */

static int status_number(struct slice value)
{
    uint64_t number = 0;
    return slice_to_u64(value, &number) == 0 && number < 1000 ? (int)number : -1;
}

static void decode_message(struct slice value, struct io_bytes *out)
{
    if (io_bytes_reserve(out, value.len + 1) != 0) {
        return;
    }
    struct buf b = buf_over(out->data, out->cap);
    if (io_http_decode(value, false, &b) != 0) {
        buf_reset(&b);
        buf_put(&b, value); /* not encoded as it should be: better than nothing */
    }
    out->len = b.len;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_len, const uint8_t *value, size_t value_len, uint8_t flags,
                     void *user)
{
    struct io_grpc_client *client = user;
    struct slice key = slice_from(name, name_len);
    struct slice text = slice_from(value, value_len);
    (void)session;
    (void)flags;
    if (frame->hd.stream_id != client->answer.stream_id) {
        return 0;
    }
    if (slice_equal(key, SLICE_LIT(":status"))) {
        client->answer.http_status = status_number(text);
    } else if (slice_equal(key, SLICE_LIT("grpc-status"))) {
        client->answer.grpc_status = status_number(text);
    } else if (slice_equal(key, SLICE_LIT("grpc-message"))) {
        decode_message(text, &client->answer.message);
    }
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t len, void *user)
{
    struct io_grpc_client *client = user;
    (void)session;
    (void)flags;
    if (stream_id != client->answer.stream_id) {
        return 0;
    }
    if (client->answer.body.len + len > ANSWER_MAX) {
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    return io_bytes_append(&client->answer.body, slice_from(data, len)) == 0
               ? 0
               : NGHTTP2_ERR_CALLBACK_FAILURE;
}

static int on_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
    struct io_grpc_client *client = user;
    (void)session;
    if (stream_id == client->answer.stream_id) {
        client->answer.is_closed = true;
        client->answer.error_code = error_code;
    }
    return 0;
}

static ssize_t read_request(nghttp2_session *session, int32_t stream_id, uint8_t *data, size_t len,
                            uint32_t *flags, nghttp2_data_source *source, void *user)
{
    struct io_grpc_client *client = user;
    size_t taken = client->request.len < len ? client->request.len : len;
    (void)session;
    (void)stream_id;
    (void)source;
    memcpy(data, client->request.data, taken);
    client->request = slice_skip(client->request, taken);
    if (client->request.len == 0) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)taken;
}

static int open_session(struct io_grpc_client *client)
{
    nghttp2_session_callbacks *callbacks = NULL;
    const nghttp2_settings_entry settings[] = {{NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
                                               {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, WINDOW}};
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return BASE_E_NOMEM;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
    int status = nghttp2_session_client_new(&client->session, callbacks, client);
    nghttp2_session_callbacks_del(callbacks);
    if (status != 0) {
        return BASE_E_NOMEM;
    }
    (void)nghttp2_submit_settings(client->session, NGHTTP2_FLAG_NONE, settings,
                                  BASE_COUNT_OF(settings));
    (void)nghttp2_session_set_local_window_size(client->session, NGHTTP2_FLAG_NONE, 0, WINDOW);
    return 0;
}

static int flush_session(struct io_grpc_client *client, struct io_why *why)
{
    const uint8_t *data = NULL;
    int status = 0;
    while (status == 0) {
        ssize_t len = nghttp2_session_mem_send(client->session, &data);
        if (len < 0) {
            io_why_set(why, "%s", nghttp2_strerror((int)len));
            return BASE_E_PROTO;
        }
        if (len == 0) {
            return 0;
        }
        status = send_bytes(client, data, (size_t)len, why);
    }
    return status;
}

static int pump_once(struct io_grpc_client *client, struct io_why *why)
{
    uint8_t received[16384];
    size_t len = 0;
    int status = flush_session(client, why);
    if (status == 0) {
        status = receive_bytes(client, received, sizeof(received), &len, why);
    }
    if (status != 0) {
        return status;
    }
    ssize_t used = nghttp2_session_mem_recv(client->session, received, len);
    if (used < 0) {
        io_why_set(why, "%s does not speak HTTP/2 as it should: %s",
                   client->endpoints[client->current].text, nghttp2_strerror((int)used));
        return BASE_E_PROTO;
    }
    return 0;
}

static int submit(struct io_grpc_client *client, const char *path, uint32_t timeout_ms)
{
    const struct endpoint *endpoint = &client->endpoints[client->current];
    char timeout[16];
    nghttp2_nv fields[9];
    size_t count = 0;
    nghttp2_data_provider provider = {.read_callback = read_request};
    (void)snprintf(timeout, sizeof(timeout), "%um", timeout_ms > 99999999 ? 99999999 : timeout_ms);
    fields[count++] = h2_field(SLICE_LIT(":method"), SLICE_LIT("POST"));
    fields[count++] =
        h2_field(SLICE_LIT(":scheme"), endpoint->is_tls ? SLICE_LIT("https") : SLICE_LIT("http"));
    fields[count++] = h2_field(SLICE_LIT(":path"), slice_from_text(path));
    fields[count++] = h2_field(SLICE_LIT(":authority"), slice_from_text(endpoint->text));
    fields[count++] = h2_field(SLICE_LIT("te"), SLICE_LIT("trailers"));
    fields[count++] = h2_field(SLICE_LIT("content-type"), SLICE_LIT("application/grpc"));
    fields[count++] = h2_field(SLICE_LIT("user-agent"), SLICE_LIT("quorate/" QUORATE_VERSION));
    fields[count++] = h2_field(SLICE_LIT("grpc-timeout"), slice_from_text(timeout));
    if (client->token != NULL) {
        fields[count++] = h2_field(SLICE_LIT("token"), slice_from_text(client->token));
    }
    int32_t id = nghttp2_submit_request(client->session, NULL, fields, count, &provider, NULL);
    if (id < 0) {
        return BASE_E_CLOSED;
    }
    client->answer.stream_id = id;
    return 0;
}

/* A kept connection may have been closed by the server meanwhile. */
static bool is_alive(struct io_grpc_client *client)
{
    uint8_t byte;
    if (client->fd < 0 || nghttp2_session_check_request_allowed(client->session) == 0) {
        return false;
    }
    if (client->ssl != NULL && SSL_pending(client->ssl) > 0) {
        return true;
    }
    ssize_t got = recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got > 0 || (got < 0 && errno == EAGAIN);
}

/* --- answers
 * -------------------------------------------------------------------------------------------- */

static int http_to_grpc(int http_status)
{
    switch (http_status) {
    case 400:
        return IO_GRPC_INTERNAL;
    case 401:
        return IO_GRPC_UNAUTHENTICATED;
    case 403:
        return IO_GRPC_PERMISSION_DENIED;
    case 404:
        return IO_GRPC_UNIMPLEMENTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return IO_GRPC_UNAVAILABLE;
    default:
        return IO_GRPC_UNKNOWN;
    }
}

/* The response message out of its frame; false when it is not exactly one. */
static bool unwrap(const struct answer *answer, struct slice *ret)
{
    struct slice body = slice_from(answer->body.data, answer->body.len);
    uint8_t flag = 0;
    uint32_t len = 0;
    if (slice_take_u8(&body, &flag) != 0 || slice_take_u32_be(&body, &len) != 0 || flag != 0 ||
        body.len != len) {
        return false;
    }
    *ret = body;
    return true;
}

static int read_answer(struct io_grpc_client *client, struct io_grpc_answer *ret,
                       struct io_why *why)
{
    const struct answer *answer = &client->answer;
    struct io_grpc_answer out = {.status = IO_GRPC_OK};
    struct slice body = SLICE_EMPTY;
    int status = answer->grpc_status;
    const char *endpoint = client->endpoints[client->current].text;
    if (status < 0 && answer->http_status > 0) {
        status = http_to_grpc(answer->http_status);
        io_why_set(&out.message, "%s answered HTTP status %d", endpoint, answer->http_status);
    }
    if (status < 0) {
        io_why_set(why, "%s gave up the call without a status (HTTP/2 error %u)", endpoint,
                   answer->error_code);
        return BASE_E_CLOSED;
    }
    if (status == 0 && !unwrap(answer, &body)) {
        io_why_set(why, "%s answered OK without a whole message", endpoint);
        return BASE_E_PROTO;
    }
    if (body.len > 0) {
        out.data = malloc(body.len);
        if (out.data == NULL) {
            return BASE_E_NOMEM;
        }
        memcpy(out.data, body.data, body.len);
        out.len = body.len;
    }
    out.status = status > IO_GRPC_UNAUTHENTICATED ? IO_GRPC_UNKNOWN : (enum io_grpc_status)status;
    if (answer->message.len > 0) {
        io_why_set(&out.message, "%.*s", (int)answer->message.len,
                   (const char *)answer->message.data);
    }
    memcpy(out.endpoint, endpoint, sizeof(out.endpoint));
    *ret = out;
    return 0;
}

static int exchange(struct io_grpc_client *client, const char *path, uint32_t timeout_ms,
                    struct io_why *why)
{
    io_bytes_free(&client->answer.message);
    io_bytes_free(&client->answer.body);
    client->answer = (struct answer){.grpc_status = -1};
    int status = submit(client, path, timeout_ms);
    while (status == 0 && !client->answer.is_closed) {
        status = pump_once(client, why);
    }
    if (status == BASE_E_TIMEOUT) {
        io_why_set(why, "no answer from %s within %u ms; the outcome is unknown",
                   client->endpoints[client->current].text, timeout_ms);
    }
    return status;
}

int io_grpc_call(struct io_grpc_client *client, const char *path, struct slice request,
                 uint32_t timeout_ms, struct io_grpc_answer *ret, struct io_why *why)
{
    struct io_bytes framed = {0};
    uint8_t prefix[GRPC_PREFIX];
    struct buf b = buf_over(prefix, sizeof(prefix));
    int status = 0;
    client->deadline = base_mono_add_us(io_now(), timeout_ms * BASE_US_PER_MS);
    if (!is_alive(client)) {
        status = connect_any(client, client->deadline, why);
    }
    buf_put_u8(&b, 0);
    buf_put_u32_be(&b, (uint32_t)request.len);
    if (status == 0 &&
        (io_bytes_append(&framed, buf_slice(&b)) != 0 || io_bytes_append(&framed, request) != 0)) {
        status = BASE_E_NOMEM;
    }
    if (status == 0) {
        client->request = slice_from(framed.data, framed.len);
        status = exchange(client, path, timeout_ms, why);
        client->request = SLICE_EMPTY;
    }
    io_bytes_free(&framed);
    if (status == 0) {
        status = read_answer(client, ret, why);
    }
    if (status != 0) {
        disconnect(client);
    }
    return status;
}

void io_grpc_answer_free(struct io_grpc_answer *answer)
{
    free(answer->data);
    answer->data = NULL;
    answer->len = 0;
}
