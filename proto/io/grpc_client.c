/* SPDX-License-Identifier: Apache-2.0 */
/* The blocking gRPC client: HTTP/2 and unary calls. nghttp2 moves frames through memory; one call
 * or stream at a time, under one absolute deadline. */
#include "proto/io/grpc_client_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/io/h2_internal.h"

#define WINDOW (16 << 20)

/* --- HTTP/2 --- */

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
    if (client->answer.body.len + len > GRPC_ANSWER_MAX) {
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
    if (taken == 0 && client->is_stream && !client->is_half_closed) {
        return NGHTTP2_ERR_DEFERRED;
    }
    if (taken > 0) {
        memcpy(data, client->request.data, taken);
    }
    client->request = slice_skip(client->request, taken);
    if (client->request.len == 0 && (!client->is_stream || client->is_half_closed)) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    }
    return (ssize_t)taken;
}

int grpc_session_new(const struct grpc_session_calls *calls, void *ctx, int32_t window,
                     nghttp2_session **ret)
{
    nghttp2_session_callbacks *callbacks = NULL;
    const nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, (uint32_t)window}};
    if (nghttp2_session_callbacks_new(&callbacks) != 0) {
        return BASE_E_NOMEM;
    }
    nghttp2_session_callbacks_set_on_header_callback(callbacks, calls->header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, calls->data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, calls->closed);
    int status = nghttp2_session_client_new(ret, callbacks, ctx);
    nghttp2_session_callbacks_del(callbacks);
    if (status != 0) {
        return BASE_E_NOMEM;
    }
    (void)nghttp2_submit_settings(*ret, NGHTTP2_FLAG_NONE, settings, BASE_COUNT_OF(settings));
    (void)nghttp2_session_set_local_window_size(*ret, NGHTTP2_FLAG_NONE, 0, window);
    return 0;
}

int grpc_session_open(struct io_grpc_client *client)
{
    static const struct grpc_session_calls calls = {on_header, on_data, on_close};
    return grpc_session_new(&calls, client, WINDOW, &client->session);
}

int grpc_flush(struct io_grpc_client *client, struct io_why *why)
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
        status = grpc_send_bytes(client, data, (size_t)len, why);
    }
    return status;
}

int grpc_pump(struct io_grpc_client *client, struct io_why *why)
{
    uint8_t received[16384];
    size_t len = 0;
    int status = grpc_flush(client, why);
    if (status == 0) {
        status = grpc_receive_bytes(client, received, sizeof(received), &len, why);
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

int grpc_submit(struct io_grpc_client *client, const char *path, uint32_t timeout_ms)
{
    const struct grpc_endpoint *endpoint = &client->endpoints[client->current];
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
    if (timeout_ms != 0) {
        fields[count++] = h2_field(SLICE_LIT("grpc-timeout"), slice_from_text(timeout));
    }
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

/* --- answers --- */

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
static bool unwrap(const struct grpc_partial *answer, struct slice *ret)
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

int grpc_status(const struct io_grpc_client *client, struct io_grpc_answer *ret, struct io_why *why)
{
    const struct grpc_partial *answer = &client->answer;
    struct io_grpc_answer out = {.status = IO_GRPC_OK};
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
    out.status = status > IO_GRPC_UNAUTHENTICATED ? IO_GRPC_UNKNOWN : (enum io_grpc_status)status;
    if (answer->message.len > 0) {
        io_why_set(&out.message, "%.*s", (int)answer->message.len,
                   (const char *)answer->message.data);
    }
    memcpy(out.endpoint, endpoint, sizeof(out.endpoint));
    *ret = out;
    return 0;
}

static int read_answer(struct io_grpc_client *client, struct io_grpc_answer *ret,
                       struct io_why *why)
{
    struct io_grpc_answer out;
    struct slice body = SLICE_EMPTY;
    int status = grpc_status(client, &out, why);
    if (status != 0) {
        return status;
    }
    if (out.status == IO_GRPC_OK && !unwrap(&client->answer, &body)) {
        io_why_set(why, "%s answered OK without a whole message", out.endpoint);
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
    *ret = out;
    return 0;
}

void grpc_partial_reset(struct io_grpc_client *client)
{
    io_bytes_free(&client->answer.message);
    io_bytes_free(&client->answer.body);
    client->answer = (struct grpc_partial){.grpc_status = -1};
}

static int exchange(struct io_grpc_client *client, const char *path, uint32_t timeout_ms,
                    struct io_why *why)
{
    grpc_partial_reset(client);
    int status = grpc_submit(client, path, timeout_ms);
    while (status == 0 && !client->answer.is_closed) {
        status = grpc_pump(client, why);
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
    io_grpc_stream_close(client);
    client->deadline = base_mono_add_us(io_now(), timeout_ms * BASE_US_PER_MS);
    if (!grpc_is_alive(client)) {
        status = grpc_connect(client, client->deadline, why);
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
        grpc_disconnect(client);
    }
    return status;
}

void io_grpc_answer_free(struct io_grpc_answer *answer)
{
    free(answer->data);
    answer->data = NULL;
    answer->len = 0;
}
