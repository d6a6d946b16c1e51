/* SPDX-License-Identifier: Apache-2.0 */
/* Delivers one event: to a program of this node's own, to a webhook over HTTPS, or to both.
 *
 * The program lies in one directory of this node and is named in its configuration; it gets the
 * event in its environment (QUORATE_ID, QUORATE_EVENT, QUORATE_CLUSTER, QUORATE_TEXT, QUORATE_JSON)
 * and has it when it exits with 0. The webhook gets the same JSON by POST, with the id in the
 * header Idempotency-Key and the secret of a file as a bearer token, and has it when it answers
 * 2xx. Loop thread. */
#ifndef QUORATE_ARBITER_NOTIFY_DELIVER_H
#define QUORATE_ARBITER_NOTIFY_DELIVER_H

#include "base/error.h"
#include "proto/io/address.h"
#include "proto/io/loop.h"

#define DELIVER_PROGRAM_US (30 * BASE_US_PER_S)
#define DELIVER_POST_US (10 * BASE_US_PER_S)

/* Texts live as long as the configuration; "" where there is none. */
struct deliver_settings {
    const char *dir, *command;
    const char *url;        /* https://HOST[:PORT]/PATH; http on loopback only */
    const char *token_file; /* one line, mode 0600; read again for each event */
    const char *ca_file;    /* authorities of the webhook; "": Debian's */
};

/* What is delivered; valid during deliver_start. */
struct deliver_event {
    const char *id, *event, *cluster, *text, *json;
};

struct deliver;

bool deliver_is_wanted(const struct deliver_settings *settings);
struct deliver_options {
    struct io_loop *loop;
    struct deliver_settings settings;
    void *ctx;
    /* Once for each deliver_start, never from inside it. */
    void (*done)(void *ctx, bool is_good, const char *why);
};

/* INVALID, DENIED, IO, TLS, NOMEM with why. */
MUST_CHECK int deliver_new(const struct deliver_options *options, struct deliver **ret,
                           struct io_why *why);
/* One at a time. */
void deliver_start(struct deliver *deliver, const struct deliver_event *event);
/* Nobody is told of what is under way. NULL is fine. Returns NULL. */
struct deliver *deliver_free(struct deliver *deliver);

#endif
