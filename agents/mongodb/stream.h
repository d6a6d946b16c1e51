/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of libmongoc's around its own one, which hands on whole answers alone that message.h has
 * found sound. conn.c's, with its thread. */
#ifndef QUORATE_AGENTS_MONGODB_STREAM_H
#define QUORATE_AGENTS_MONGODB_STREAM_H

#include <mongoc/mongoc.h>

#include "base/error.h"

/* Answers of this client are looked at from now on; *is_spoilt becomes true when one was refused,
 * and outlives the client. `timeout_ms`: how long the rest of an answer may take. */
struct mdb_stream_options {
    mongoc_client_t *client;
    int32_t timeout_ms;
    bool is_spoilt;
};
/* `options` outlives the client. */
void mdb_stream_watch(struct mdb_stream_options *options);

#endif
