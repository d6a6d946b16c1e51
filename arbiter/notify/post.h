/* SPDX-License-Identifier: Apache-2.0 */
/* One HTTP POST to a fixed address, over TLS with the name verified. Loop thread. */
#ifndef QUORATE_ARBITER_NOTIFY_POST_H
#define QUORATE_ARBITER_NOTIFY_POST_H

#include "proto/io/stream.h"

#define POST_PATH_MAX 512
#define POST_TOKEN_MAX 512

/* Where to. */
struct post_target {
    struct io_address address;
    char path[POST_PATH_MAX];
    char token[POST_TOKEN_MAX]; /* "": none */
    struct io_tls *tls;         /* NULL: plain, on loopback */
};

struct post;

/* Splits URL into address and path. INVALID; DENIED: not https and not loopback. */
MUST_CHECK int post_target_parse(const char *url, struct post_target *ret, struct io_why *why);
/* What is sent, and who is told. Texts are read during post_start. */
struct post_options {
    struct io_loop *loop;
    const struct post_target *target; /* lives as long as the post */
    const char *id;                   /* Idempotency-Key */
    struct slice body;                /* JSON */
    int64_t timeout_us;
    void *ctx;
    /* Once, never from inside post_start; the handle is dead then. */
    void (*done)(void *ctx, bool is_good, const char *why);
};

/* NOMEM: nothing was begun. */
MUST_CHECK int post_start(const struct post_options *options, struct post **ret);
/* Nobody is told. NULL is fine. Returns NULL. */
struct post *post_cancel(struct post *post);

#endif
