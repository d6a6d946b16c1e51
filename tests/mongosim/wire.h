/* SPDX-License-Identifier: Apache-2.0 */
/* MongoDB's wire protocol, the server's side: messages in, messages out. Strict: what a client
 * sends must be valid to the last byte, so that mistakes of an agent show.
 *
 * Read: OP_MSG (sections of kind 0 and 1, a checksum is verified), OP_QUERY (on DB.$cmd a command,
 * else a find of old clients), OP_GET_MORE and OP_KILL_CURSORS. Written: OP_MSG, OP_REPLY.
 * Source: MongoDB manual, "Wire Protocol".
 */
#ifndef QUORATE_TESTS_MONGOSIM_WIRE_H
#define QUORATE_TESTS_MONGOSIM_WIRE_H

#include <bson/bson.h>
#include <stdbool.h>

#include "tests/mongosim/bytes.h"

#define WIRE_MESSAGE_MAX 48000000u /* maxMessageSizeBytes */
#define WIRE_DOCUMENT_MAX 16777216 /* maxBsonObjectSize */
#define WIRE_HEADER 16u
#define WIRE_NAME_MAX 120

enum wire_op {
    WIRE_OP_REPLY = 1,
    WIRE_OP_QUERY = 2004,
    WIRE_OP_GET_MORE = 2005,
    WIRE_OP_KILL_CURSORS = 2007,
    WIRE_OP_MSG = 2013,
};
#define WIRE_CHECKSUM 1u              /* OP_MSG: a CRC-32C follows */
#define WIRE_MORE_TO_COME 2u          /* OP_MSG: no answer wanted; in answers: more follow */
#define WIRE_EXHAUST_ALLOWED 0x10000u /* OP_MSG: the answer may have MORE_TO_COME */

struct wire_request {
    int32_t id;
    enum wire_op op;
    uint32_t flags;      /* OP_MSG */
    bool is_legacy_find; /* OP_QUERY on a collection, OP_GET_MORE: the answer is OP_REPLY of rows */
    char db[WIRE_NAME_MAX + 1];
    bson_t command; /* owned; sections of kind 1 are arrays in it; old finds are translated */
};

/* How long the message at `data` is; 0: not yet known, -1: no message of ours. */
int64_t wire_length(const uint8_t *data, size_t len);
/* Parses one whole message. False: `ret_why` says what is wrong, and the connection is to be
 * closed. On success free it with wire_request_free. */
bool wire_parse(const uint8_t *data, size_t len, struct wire_request *ret, const char **ret_why);
void wire_request_free(struct wire_request *request);
/* Appends the answer to `request`. `flags`: of OP_MSG. Returns the id of the message. */
int32_t wire_reply(const struct wire_request *request, int32_t response_to, const bson_t *body,
                   uint32_t flags, struct bytes *out);

#endif
