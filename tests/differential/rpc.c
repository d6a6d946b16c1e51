/* SPDX-License-Identifier: Apache-2.0 */
/* See rpc.h. */
#include "tests/differential/rpc.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kv/api/json.h"
#include "proto/io/grpc_client.h"
#include "tests/differential/methods.h"

static bool to_bytes(const struct diff_method *method, const char *body, struct io_bytes *bytes)
{
    struct slice text = slice_from_text(body);
    struct json_error error;
    int rc = json_read(method->request, &text, bytes, &error);
    if (rc == BASE_E_NOTFOUND) {
        return true; /* an empty body is an empty message */
    }
    return rc == 0 && (text.len == 0 || text.len == strspn((const char *)text.data, " \n"));
}

bool rpc_knows(const char *path, const char *body)
{
    const struct diff_method *method = diff_method_find(path);
    struct io_bytes bytes = {0};
    bool is_known = method != NULL && !method->is_stream && to_bytes(method, body, &bytes);
    io_bytes_free(&bytes);
    return is_known;
}

static void put(struct io_bytes *out, struct slice piece)
{
    if (io_bytes_append(out, piece) != 0) {
        (void)fprintf(stderr, "etcddiff: out of memory\n");
        exit(2);
    }
}

static void put_answer(const struct diff_method *method, const struct io_grpc_answer *answer,
                       struct io_bytes *out)
{
    char text[32];
    if (answer->status == IO_GRPC_OK) {
        if (json_write(method->response, slice_from(answer->data, answer->len), out) != 0) {
            put(out, SLICE_LIT("not the response's message"));
        }
        return;
    }
    (void)snprintf(text, sizeof(text), "{\"code\":%d,\"message\":", (int)answer->status);
    put(out, slice_from_text(text));
    if (json_write_text(slice_from_text(answer->message.text), out) != 0) {
        put(out, SLICE_LIT("\"\""));
    }
    put(out, SLICE_LIT("}"));
}

/* One connection for each server, kept; a token needs one of its own. */
static struct io_grpc_client *client_for(const struct http_request *request)
{
    char endpoint[300];
    struct io_why why;
    struct io_grpc_client *client = NULL;
    (void)snprintf(endpoint, sizeof(endpoint), "http://%s", request->host_port);
    const struct io_grpc_client_options options = {.endpoints = endpoint, .token = request->token};
    if (io_grpc_client_new(&options, &client, &why) != 0) {
        (void)fprintf(stderr, "etcddiff: %s: %s\n", endpoint, why.text);
        exit(2);
    }
    return client;
}

void rpc_ask(const struct http_request *request, struct http_answer *ret)
{
    const struct diff_method *method = diff_method_find(request->path);
    struct io_bytes bytes = {0};
    struct io_bytes out = {0};
    struct io_grpc_answer answer;
    struct io_why why;
    (void)to_bytes(method, request->body, &bytes);
    struct io_grpc_client *client = client_for(request);
    int rc = io_grpc_call(client, method->grpc, slice_from(bytes.data, bytes.len),
                          (uint32_t)request->wait_ms, &answer, &why);
    ret->status = -1;
    if (rc == 0) {
        ret->status = (int)answer.status;
        put_answer(method, &answer, &out);
        io_grpc_answer_free(&answer);
    } else {
        put(&out, slice_from_text(why.text));
    }
    ret->body_len = out.len;
    ret->body = calloc(1, out.len + 1);
    memcpy(ret->body, out.data == NULL ? (const uint8_t *)"" : out.data, out.len);
    io_bytes_free(&bytes);
    io_bytes_free(&out);
    (void)io_grpc_client_free(client);
}
