/* SPDX-License-Identifier: Apache-2.0 */
/* Asking the other members in a failsafe round; see failsafe.h. */
#include "agents/shell/failsafe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/assert.h"
#include "base/name.h"
#include "proto/io/log.h"
#include "proto/io/stream.h"

#define ANSWER_BYTES_MAX 2048
#define SILENCE_US BASE_US_PER_S /* without an answer: the connection is given up */

/* One member. The newest request waits while an older one is under way. */
struct peer {
    struct failsafe_client *client; /* NULL: freed, only its connection is still to end */
    struct agt_failsafe_peer who;
    struct io_stream *stream;
    bool is_open;
    bool is_waiting; /* for the answer to what was sent at sent_at */
    struct base_mono sent_at;
    bool has_request;
    size_t request_len;
    uint8_t request[AGT_FAILSAFE_BYTES_MAX];
    size_t answer_len;
    char answer[ANSWER_BYTES_MAX];
};

struct failsafe_client {
    struct io_loop *loop;
    struct failsafe_client_options options;
    struct peer *peers[MSG_MEMBERS_MAX];
};

static void request_send(struct peer *p)
{
    char head[512];
    if (!p->is_open || p->is_waiting || !p->has_request) {
        return;
    }
    int len = snprintf(head, sizeof(head),
                       "POST " FAILSAFE_PATH " HTTP/1.1\r\nHost: %.255s\r\n"
                       "Content-Type: application/octet-stream\r\nContent-Length: %zu\r\n\r\n",
                       p->who.host.text, p->request_len);
    const struct slice pieces[] = {slice_from(head, (size_t)len),
                                   slice_from(p->request, p->request_len)};
    if (io_stream_writev(p->stream, pieces, BASE_COUNT_OF(pieces)) == 0) {
        p->has_request = false;
        p->is_waiting = true;
        p->sent_at = io_now();
        p->answer_len = 0;
    }
}

/* Who answers is who was asked: by its certificate, or, without TLS, by its loopback address. */
static bool is_peer(const struct peer *p)
{
    if (p->client->options.tls == NULL) {
        return io_stream_is_loopback(p->stream);
    }
    const struct io_identity *id = io_stream_identity(p->stream);
    return id->net.role == NET_ROLE_AGENT &&
           base_name_equal(&id->net.cluster, &p->client->options.cluster) &&
           base_name_equal(&id->net.member, &p->who.member);
}

static void peer_opened(void *ctx, struct io_stream *stream)
{
    struct peer *p = ctx;
    if (p->client == NULL) {
        return;
    }
    if (!is_peer(p)) {
        IO_LOG_WARN("failsafe", "peer_is_another", io_name("member", &p->who.member),
                    io_text("next", "not asked; its certificate must be that agent's"));
        io_stream_abort(stream, "another agent answers there");
        return;
    }
    p->is_open = true;
    request_send(p);
}

/* The value of a header in head; NULL when it is not there. */
static const char *header_of(const char *head, const char *name)
{
    size_t len = strlen(name);
    for (const char *line = strstr(head, "\r\n"); line != NULL; line = strstr(line, "\r\n")) {
        line += 2;
        if (strncasecmp(line, name, len) == 0 && line[len] == ':') {
            return line + len + 1;
        }
    }
    return NULL;
}

/* True when a whole answer has come, and was handed on when it is a good one. False: more is to
 * come. */
static bool answer_take(struct peer *p, bool *ret_is_bad)
{
    p->answer[p->answer_len] = '\0';
    char *end = strstr(p->answer, "\r\n\r\n");
    if (end == NULL) {
        return false;
    }
    const char *text = header_of(p->answer, "Content-Length");
    long body_len = text == NULL ? -1 : strtol(text, NULL, 10);
    size_t head_len = (size_t)(end - p->answer) + 4;
    if (body_len < 0 || body_len > AGT_FAILSAFE_BYTES_MAX * 2 ||
        head_len + (size_t)body_len >= sizeof(p->answer)) {
        *ret_is_bad = true;
        return false;
    }
    if (p->answer_len < head_len + (size_t)body_len) {
        return false;
    }
    if (strncmp(p->answer, "HTTP/1.1 200", 12) == 0) {
        p->client->options.answered(p->client->options.ctx, &p->who.member,
                                    slice_from(p->answer + head_len, (size_t)body_len));
    }
    return true;
}

static void peer_data(void *ctx, struct io_stream *stream, struct slice bytes)
{
    struct peer *p = ctx;
    bool is_bad = !p->is_waiting || bytes.len >= sizeof(p->answer) - p->answer_len;
    if (p->client == NULL) {
        return;
    }
    if (!is_bad) {
        memcpy(p->answer + p->answer_len, bytes.data, bytes.len);
        p->answer_len += bytes.len;
        if (answer_take(p, &is_bad)) {
            p->is_waiting = false;
            request_send(p);
        }
    }
    if (is_bad) {
        io_stream_abort(stream, "not an answer to a failsafe request");
    }
}

static void peer_closed(void *ctx, struct io_stream *stream, int status, const char *why)
{
    struct peer *p = ctx;
    (void)stream;
    (void)status;
    if (p->client == NULL) {
        free(p);
        return;
    }
    IO_LOG_INFO("failsafe", "peer_closed", io_name("member", &p->who.member), io_text("why", why));
    p->stream = NULL;
    p->is_open = false;
    p->is_waiting = false;
}

static const struct io_stream_events events = {
    .opened = peer_opened, .data = peer_data, .closed = peer_closed};

static void connect_to(struct peer *p)
{
    struct io_address address = {.port = p->who.http_port};
    const struct io_stream_options options = {.tls = p->client->options.tls,
                                              .user_timeout_ms = 2000,
                                              .connect_timeout_ms = 1000,
                                              .events = &events,
                                              .ctx = p};
    (void)snprintf(address.host, sizeof(address.host), "%s", p->who.host.text);
    if (p->client->options.tls == NULL && !io_address_is_loopback(&address)) {
        return; /* nobody can be believed there */
    }
    if (io_stream_connect(p->client->loop, &address, &options, &p->stream) != 0) {
        p->stream = NULL;
    }
}

static struct peer *peer_of(struct failsafe_client *client, const struct agt_failsafe_peer *who)
{
    size_t i = 0;
    while (i < MSG_MEMBERS_MAX && client->peers[i] != NULL &&
           !base_name_equal(&client->peers[i]->who.member, &who->member)) {
        i++;
    }
    if (i == MSG_MEMBERS_MAX) {
        return NULL;
    }
    if (client->peers[i] == NULL) {
        client->peers[i] = calloc(1, sizeof(*client->peers[i]));
        if (client->peers[i] == NULL) {
            return NULL;
        }
        client->peers[i]->client = client;
        client->peers[i]->who = *who;
    }
    return client->peers[i];
}

static bool is_moved(const struct peer *p, const struct agt_failsafe_peer *who)
{
    return p->who.http_port != who->http_port ||
           memcmp(&p->who.host, &who->host, sizeof(who->host)) != 0;
}

static void ask_one(struct failsafe_client *client, const struct agt_failsafe_peer *who,
                    struct slice request)
{
    struct peer *p = peer_of(client, who);
    if (p == NULL) {
        return;
    }
    bool is_silent = p->is_waiting && base_mono_diff_us(io_now(), p->sent_at) > SILENCE_US;
    if (p->stream != NULL && (is_silent || is_moved(p, who))) {
        p->is_open = false;
        io_stream_abort(p->stream, is_silent ? "no answer in time" : "it has another address now");
    }
    p->who = *who;
    memcpy(p->request, request.data, request.len);
    p->request_len = request.len;
    p->has_request = true;
    if (p->stream == NULL) {
        connect_to(p);
    } else {
        request_send(p);
    }
}

static void port_ask(void *ctx, const struct agt_failsafe_peer *peers, uint8_t count,
                     struct slice request)
{
    struct failsafe_client *client = ctx;
    BASE_ASSERT(request.len <= AGT_FAILSAFE_BYTES_MAX);
    for (uint8_t i = 0; i < count; i++) {
        ask_one(client, &peers[i], request);
    }
}

int failsafe_client_new(struct io_loop *loop, const struct failsafe_client_options *options,
                        struct failsafe_client **ret)
{
    struct failsafe_client *client = calloc(1, sizeof(*client));
    if (client == NULL) {
        return BASE_E_NOMEM;
    }
    client->loop = loop;
    client->options = *options;
    *ret = client;
    return 0;
}

struct failsafe_port failsafe_client_port(struct failsafe_client *client)
{
    return (struct failsafe_port){.ctx = client, .ask = port_ask};
}

struct failsafe_client *failsafe_client_free(struct failsafe_client *client)
{
    for (size_t i = 0; client != NULL && i < MSG_MEMBERS_MAX; i++) {
        struct peer *p = client->peers[i];
        if (p != NULL && p->stream != NULL) {
            p->client = NULL; /* freed when its connection has ended */
            io_stream_abort(p->stream, "the agent ends");
        } else {
            free(p);
        }
    }
    free(client);
    return NULL;
}
