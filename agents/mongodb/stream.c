/* SPDX-License-Identifier: Apache-2.0 */
/* See stream.h. The inner stream connects, does TLS and keeps the limits; here a whole answer is
 * read, looked at, and then handed out as it is asked for. */
#include "agents/mongodb/stream.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "agents/mongodb/message.h"

#define STREAM_TYPE 0x71 /* none of libmongoc's own */
#define POLL_MAX 4

/* What libmongoc itself connects with; exported, and in none of its public headers. */
mongoc_stream_t *mongoc_client_default_stream_initiator(const mongoc_uri_t *uri,
                                                        const mongoc_host_list_t *host,
                                                        void *user_data, bson_error_t *error);

struct stream {
    mongoc_stream_t base;
    mongoc_stream_t *inner;
    struct mdb_stream_options *options;
    uint8_t *memory; /* the answer; NULL: none */
    size_t len, taken;
};

static struct stream *of(mongoc_stream_t *base)
{
    return (struct stream *)(void *)base;
}

static void drop_answer(struct stream *s)
{
    free(s->memory);
    s->memory = NULL;
    s->len = s->taken = 0;
}

static void stream_destroy(mongoc_stream_t *base)
{
    struct stream *s = of(base);
    mongoc_stream_destroy(s->inner);
    drop_answer(s);
    free(s);
}

static void stream_failed(mongoc_stream_t *base)
{
    struct stream *s = of(base);
    mongoc_stream_failed(s->inner);
    drop_answer(s);
    free(s);
}

static int stream_close(mongoc_stream_t *base)
{
    return mongoc_stream_close(of(base)->inner);
}

static int stream_flush(mongoc_stream_t *base)
{
    return mongoc_stream_flush(of(base)->inner);
}

static ssize_t stream_writev(mongoc_stream_t *base, mongoc_iovec_t *iov, size_t count,
                             int32_t timeout_ms)
{
    return mongoc_stream_writev(of(base)->inner, iov, count, timeout_ms);
}

static int refuse(struct stream *s)
{
    s->options->is_spoilt = true;
    drop_answer(s);
    errno = EPROTO;
    return -1;
}

static bool read_all(struct stream *s, uint8_t *to, size_t len, int32_t timeout_ms)
{
    return mongoc_stream_read(s->inner, to, len, len, timeout_ms) == (ssize_t)len;
}

/* Blocks as long as it may; the thread has nothing else to do. */
static int read_answer(struct stream *s, int32_t timeout_ms)
{
    uint8_t head[MDB_MESSAGE_HEAD];
    size_t len = 0;
    int32_t limit_ms = timeout_ms > 0 ? timeout_ms : s->options->timeout_ms;
    if (!read_all(s, head, sizeof(head), limit_ms)) {
        return -1;
    }
    if (mdb_message_len(head, &len) != 0) {
        return refuse(s);
    }
    s->memory = malloc(len);
    if (s->memory == NULL) {
        return refuse(s);
    }
    memcpy(s->memory, head, sizeof(head));
    s->len = len;
    if (!read_all(s, s->memory + sizeof(head), len - sizeof(head), limit_ms)) {
        drop_answer(s);
        return -1;
    }
    return mdb_message_check(slice_from(s->memory, len)) == 0 ? 0 : refuse(s);
}

static ssize_t stream_readv(mongoc_stream_t *base, mongoc_iovec_t *iov, size_t count,
                            size_t min_bytes, int32_t timeout_ms)
{
    struct stream *s = of(base);
    ssize_t done = 0;
    (void)min_bytes; /* an answer is whole, and more than one is never asked for */
    if (s->memory == NULL && read_answer(s, timeout_ms) != 0) {
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        size_t left = s->len - s->taken;
        size_t n = iov[i].iov_len < left ? iov[i].iov_len : left;
        memcpy(iov[i].iov_base, s->memory + s->taken, n);
        s->taken += n;
        done += (ssize_t)n;
    }
    if (s->taken == s->len) {
        drop_answer(s);
    }
    return done;
}

static int stream_setsockopt(mongoc_stream_t *base, int level, int name, void *value,
                             mongoc_socklen_t len)
{
    return mongoc_stream_setsockopt(of(base)->inner, level, name, value, len);
}

static mongoc_stream_t *stream_inner(mongoc_stream_t *base)
{
    return of(base)->inner;
}

static bool stream_check_closed(mongoc_stream_t *base)
{
    return of(base)->memory == NULL && mongoc_stream_check_closed(of(base)->inner);
}

static bool stream_timed_out(mongoc_stream_t *base)
{
    return mongoc_stream_timed_out(of(base)->inner);
}

static bool stream_should_retry(mongoc_stream_t *base)
{
    return mongoc_stream_should_retry(of(base)->inner);
}

/* What is here already is readable, whatever the socket says. A client of ours has one stream. */
static ssize_t stream_poll(mongoc_stream_poll_t *streams, size_t count, int32_t timeout_ms)
{
    mongoc_stream_poll_t inner[POLL_MAX];
    ssize_t ready = 0;
    if (count > POLL_MAX) {
        errno = EINVAL;
        return -1;
    }
    for (size_t i = 0; i < count; i++) {
        bool is_here = of(streams[i].stream)->memory != NULL && (streams[i].events & POLLIN) != 0;
        streams[i].revents = is_here ? POLLIN : 0;
        ready += is_here;
        inner[i] = (mongoc_stream_poll_t){.stream = of(streams[i].stream)->inner,
                                          .events = streams[i].events};
    }
    if (ready > 0) {
        return ready;
    }
    ready = mongoc_stream_poll(inner, count, timeout_ms);
    for (size_t i = 0; i < count && ready >= 0; i++) {
        streams[i].revents = inner[i].revents;
    }
    return ready;
}

static mongoc_stream_t *connect_stream(const mongoc_uri_t *uri, const mongoc_host_list_t *host,
                                       void *user_data, bson_error_t *error)
{
    struct mdb_stream_options *options = user_data;
    mongoc_stream_t *inner =
        mongoc_client_default_stream_initiator(uri, host, options->client, error);
    struct stream *s = inner == NULL ? NULL : calloc(1, sizeof(*s));
    if (s == NULL) {
        if (inner != NULL) {
            mongoc_stream_destroy(inner);
        }
        return NULL;
    }
    s->inner = inner;
    s->options = options;
    s->base = (mongoc_stream_t){.type = STREAM_TYPE,
                                .destroy = stream_destroy,
                                .close = stream_close,
                                .flush = stream_flush,
                                .writev = stream_writev,
                                .readv = stream_readv,
                                .setsockopt = stream_setsockopt,
                                .get_base_stream = stream_inner,
                                .check_closed = stream_check_closed,
                                .poll = stream_poll,
                                .failed = stream_failed,
                                .timed_out = stream_timed_out,
                                .should_retry = stream_should_retry};
    return &s->base;
}

void mdb_stream_watch(struct mdb_stream_options *options)
{
    mongoc_client_set_stream_initiator(options->client, connect_stream, options);
}
