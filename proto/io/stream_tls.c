/* SPDX-License-Identifier: Apache-2.0 */
/* TLS of a stream: OpenSSL reads from the bytes at hand and writes into the stream's queue, so that
 * it never touches the socket; see stream_internal.h. */
#include <openssl/err.h>
#include <string.h>

#include "proto/io/revoke.h"
#include "proto/io/stream_internal.h"
#include "proto/io/tls.h"

static int bio_write(BIO *bio, const char *data, int len)
{
    struct io_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    return io_bytes_append(&stream->pending, slice_from(data, (size_t)len)) == 0 ? len : -1;
}

static int bio_read(BIO *bio, char *data, int len)
{
    struct io_stream *stream = BIO_get_data(bio);
    BIO_clear_retry_flags(bio);
    if (stream->in.len == 0) {
        BIO_set_retry_read(bio);
        return -1;
    }
    size_t taken = stream->in.len < (size_t)len ? stream->in.len : (size_t)len;
    memcpy(data, stream->in.data, taken);
    stream->in = slice_skip(stream->in, taken);
    return (int)taken;
}

static long bio_ctrl(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static const BIO_METHOD *bio_method(void)
{
    static BIO_METHOD *method; /* made once, kept as long as the process */
    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "stream");
        if (method != NULL) {
            (void)BIO_meth_set_write(method, bio_write);
            (void)BIO_meth_set_read(method, bio_read);
            (void)BIO_meth_set_ctrl(method, bio_ctrl);
        }
    }
    return method;
}

bool stream_tls_attach(struct io_stream *stream)
{
    BIO *bio = bio_method() != NULL ? BIO_new(bio_method()) : NULL;
    if (bio == NULL) {
        return false;
    }
    BIO_set_data(bio, stream);
    BIO_set_init(bio, 1);
    SSL_set_bio(stream->ssl, bio, bio);
    return true;
}

static void tls_failed(struct io_stream *stream, int result)
{
    struct io_why why;
    if (SSL_get_error(stream->ssl, result) == SSL_ERROR_ZERO_RETURN) {
        stream_fail(stream, BASE_E_CLOSED, "closed by %s", stream->peer);
        return;
    }
    io_tls_why(stream->ssl, &why);
    stream_flush(stream); /* the alert that tells the other side */
    stream_fail(stream, BASE_E_TLS, "%s (%s)", why.text, stream->peer);
}

void stream_tls_handshake(struct io_stream *stream)
{
    ERR_clear_error();
    int result = SSL_do_handshake(stream->ssl);
    if (result != 1 && SSL_get_error(stream->ssl, result) == SSL_ERROR_WANT_READ) {
        stream_flush_later(stream);
        return;
    }
    if (result != 1) {
        tls_failed(stream, result);
        return;
    }
    stream_flush_later(stream);
    stream->identity = io_tls_identity(stream->ssl);
    stream_opened(stream);
}

/* Looked up again whenever the list is newer. */
bool stream_tls_may_go_on(struct io_stream *stream)
{
    const struct io_revoked *list = stream->ssl == NULL ? NULL : io_revoked_of(stream->ssl);
    if (list == NULL || io_revoked_generation(list) == stream->revoked_seen) {
        return true;
    }
    stream->revoked_seen = io_revoked_generation(list);
    if (!io_revoked_has(list, SSL_get0_peer_certificate(stream->ssl))) {
        return true;
    }
    stream_fail(stream, BASE_E_TLS, "the certificate of %s has been revoked", stream->peer);
    return false;
}

/* Encrypted bytes have come: handshake, then plain bytes to the owner, until all are used. */
void stream_tls_received(struct io_stream *stream, struct slice bytes)
{
    stream->in = bytes;
    if (stream->state == STREAM_HANDSHAKE) {
        stream_tls_handshake(stream);
    }
    if (stream->state == STREAM_OPEN) {
        (void)stream_tls_may_go_on(stream);
    }
    while (stream->state == STREAM_OPEN || stream->state == STREAM_LINGERING) {
        ERR_clear_error();
        int got = SSL_read(stream->ssl, stream->loop->plain_buffer, (int)IO_PLAIN_BUFFER);
        if (got <= 0 && SSL_get_error(stream->ssl, got) == SSL_ERROR_WANT_READ) {
            break;
        }
        if (got <= 0) {
            tls_failed(stream, got);
            break;
        }
        if (stream->state == STREAM_OPEN) {
            stream->events->data(stream->ctx, stream,
                                 slice_from(stream->loop->plain_buffer, (size_t)got));
        }
    }
    stream->in = SLICE_EMPTY;
    if (stream->state != STREAM_CLOSING) {
        stream_flush_later(stream);
    }
}
