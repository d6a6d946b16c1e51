/* SPDX-License-Identifier: Apache-2.0 */
/* A key-value service and a transport made of paper, for tests of what lies between them (kv/api):
 * requests are kept until the test answers them, and one client remembers what it was told.
 * Included by those tests only. */
#ifndef QUORATE_TESTS_UNIT_KV_PAPER_H
#define QUORATE_TESTS_UNIT_KV_PAPER_H

#include <stdio.h>
#include <string.h>

#include "kv/api/rpc.h"
#include "tests/support/cm.h"

/* --- the service --- */

static struct {
    struct kv_call *calls[512];
    unsigned count;
    enum kv_error refuse;
    struct base_mono now;
} paper;

enum kv_error kv_service_submit(struct kv_service *service, struct kv_call *call)
{
    (void)service;
    if (paper.refuse != KV_OK) {
        return paper.refuse;
    }
    assert_true(paper.count < BASE_COUNT_OF(paper.calls));
    paper.calls[paper.count++] = call;
    return KV_OK;
}

void kv_service_header(const struct kv_service *service, struct kv_header *ret)
{
    (void)service;
    *ret = (struct kv_header){.cluster_id = 1, .member_id = 2, .revision = 3, .raft_term = 4};
}

struct base_mono io_now(void)
{
    return paper.now;
}

/* Answers the oldest request. */
static inline void answer(enum kv_error error, struct slice response)
{
    assert_true(paper.count > 0);
    struct kv_call *call = paper.calls[0];
    paper.count--;
    memmove(paper.calls, paper.calls + 1, paper.count * sizeof(paper.calls[0]));
    call->done(call, error, response);
}

/* --- the transport --- */

static struct {
    struct rpc_call *call;
    bool is_ended;
    enum io_grpc_status status;
    char text[200];
    uint8_t message[64];
    size_t message_len;
    unsigned sent;
    bool is_full;
} client;

static void client_bind(struct rpc_call *call)
{
    client.call = call;
}

static void client_finish(struct rpc_call *call, enum io_grpc_status status, const char *text)
{
    (void)call;
    assert_false(client.is_ended);
    client.is_ended = true;
    client.status = status;
    (void)snprintf(client.text, sizeof(client.text), "%s", text != NULL ? text : "");
}

static void client_reply(struct rpc_call *call, enum io_grpc_status status, const char *text,
                         struct slice message)
{
    client_finish(call, status, text);
    assert_true(message.len <= sizeof(client.message));
    client.message_len = message.len;
    if (message.len > 0) {
        memcpy(client.message, message.data, message.len);
    }
}

static int client_send(struct rpc_call *call, struct slice message)
{
    (void)call;
    (void)message;
    if (client.is_full) {
        return BASE_E_BUSY;
    }
    client.sent++;
    return 0;
}

static size_t client_queued(const struct rpc_call *call)
{
    (void)call;
    return 0;
}

static const struct rpc_transport transport = {client_reply, client_send, client_queued,
                                               client_finish, client_bind};

static inline struct rpc_open open_as(enum net_role role)
{
    static struct io_identity who;
    who = (struct io_identity){.net.role = role};
    memset(&client, 0, sizeof(client));
    return (struct rpc_open){.transport = &transport, .who = &who, .deadline = BASE_MONO_NEVER};
}

static inline void expect_error(enum kv_error error)
{
    assert_true(client.is_ended);
    assert_int_equal(client.status, kv_error_grpc(error));
    assert_string_equal(client.text, kv_error_text(error));
}

#endif
