/* SPDX-License-Identifier: Apache-2.0 */
/* Streams of the blocking gRPC client; see grpc_client.h. Messages are taken out of the body as
 * they become whole; what was taken is moved away when it is more than what is left. */
#include "proto/io/grpc_client_internal.h"

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"

#define PREFIX_BYTES 5

int io_grpc_stream_open(struct io_grpc_client *client, const char *path, uint32_t connect_ms,
                        struct io_why *why)
{
    int status = 0;
    client->deadline = base_mono_add_us(io_now(), connect_ms * BASE_US_PER_MS);
    if (!grpc_is_alive(client)) {
        status = grpc_connect(client, client->deadline, why);
    }
    if (status != 0) {
        return status;
    }
    grpc_partial_reset(client);
    io_bytes_free(&client->out);
    client->request = SLICE_EMPTY;
    client->is_stream = true;
    client->is_half_closed = false;
    status = grpc_submit(client, path, 0);
    if (status == 0) {
        status = grpc_flush(client, why);
    }
    if (status != 0) {
        io_grpc_stream_close(client);
    }
    return status;
}

/* Lets nghttp2 ask for more and sends it. What the window holds back goes out with later pumps. */
static int push(struct io_grpc_client *client, uint32_t timeout_ms, struct io_why *why)
{
    client->deadline = base_mono_add_us(io_now(), timeout_ms * BASE_US_PER_MS);
    (void)nghttp2_session_resume_data(client->session, client->answer.stream_id);
    int status = grpc_flush(client, why);
    while (status == 0 && client->request.len > 0 && !client->answer.is_closed) {
        status = grpc_pump(client, why);
    }
    return status;
}

int io_grpc_stream_send(struct io_grpc_client *client, struct slice message, uint32_t timeout_ms,
                        struct io_why *why)
{
    uint8_t prefix[PREFIX_BYTES];
    struct buf b = buf_over(prefix, sizeof(prefix));
    BASE_ASSERT(client->is_stream && client->request.len == 0);
    if (client->session == NULL || client->answer.is_closed) {
        io_why_set(why, "the stream is over");
        return BASE_E_CLOSED;
    }
    client->out.len = 0;
    buf_put_u8(&b, 0);
    buf_put_u32_be(&b, (uint32_t)message.len);
    if (io_bytes_append(&client->out, buf_slice(&b)) != 0 ||
        io_bytes_append(&client->out, message) != 0) {
        return BASE_E_NOMEM;
    }
    client->request = slice_from(client->out.data, client->out.len);
    return push(client, timeout_ms, why);
}

int io_grpc_stream_half_close(struct io_grpc_client *client, uint32_t timeout_ms,
                              struct io_why *why)
{
    BASE_ASSERT(client->is_stream);
    client->is_half_closed = true;
    return client->session == NULL ? BASE_E_CLOSED : push(client, timeout_ms, why);
}

/* Takes a whole message off the front of the body. */
static bool take_message(struct grpc_partial *answer, struct io_grpc_answer *ret, int *ret_status)
{
    struct slice body = slice_from(answer->body.data, answer->body.len);
    uint8_t flag = 0;
    uint32_t len = 0;
    *ret_status = 0;
    if (slice_take_u8(&body, &flag) != 0 || slice_take_u32_be(&body, &len) != 0) {
        return false;
    }
    if (flag != 0 || len > GRPC_ANSWER_MAX) {
        *ret_status = BASE_E_PROTO;
        return false;
    }
    if (body.len < len) {
        return false;
    }
    ret->data = malloc((size_t)len + 1);
    if (ret->data == NULL) {
        *ret_status = BASE_E_NOMEM;
        return false;
    }
    if (len > 0) {
        memcpy(ret->data, body.data, len);
    }
    ret->len = len;
    answer->body.len -= PREFIX_BYTES + len;
    memmove(answer->body.data, answer->body.data + PREFIX_BYTES + len, answer->body.len);
    return true;
}

int io_grpc_stream_next(struct io_grpc_client *client, uint32_t timeout_ms,
                        struct io_grpc_answer *ret, bool *ret_is_end, struct io_why *why)
{
    int status = 0;
    BASE_ASSERT(client->is_stream);
    *ret = (struct io_grpc_answer){.status = IO_GRPC_OK};
    *ret_is_end = false;
    memcpy(ret->endpoint, client->endpoints[client->current].text, sizeof(ret->endpoint));
    client->deadline = base_mono_add_us(io_now(), timeout_ms * BASE_US_PER_MS);
    while (status == 0 && !take_message(&client->answer, ret, &status) && status == 0) {
        if (client->answer.is_closed) {
            *ret_is_end = true;
            return grpc_status(client, ret, why);
        }
        if (client->session == NULL) {
            io_why_set(why, "the stream is over");
            return BASE_E_CLOSED;
        }
        status = grpc_pump(client, why);
    }
    if (status != 0 && status != BASE_E_TIMEOUT) {
        io_grpc_stream_close(client);
    }
    return status;
}

void io_grpc_stream_close(struct io_grpc_client *client)
{
    if (client->is_stream) {
        client->is_stream = false;
        client->request = SLICE_EMPTY;
        io_bytes_free(&client->out);
        grpc_disconnect(client);
    }
}
