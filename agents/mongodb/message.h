/* SPDX-License-Identifier: Apache-2.0 */
/* Is this a message of MongoDB's wire protocol, with documents that lie inside of it?
 * libmongoc 1.23 believes the lengths in an answer and reads beyond its end; so each answer is
 * looked at before it gets it. Pure.
 * https://www.mongodb.com/docs/manual/reference/mongodb-wire-protocol/
 */
#ifndef QUORATE_AGENTS_MONGODB_MESSAGE_H
#define QUORATE_AGENTS_MONGODB_MESSAGE_H

#include "base/slice.h"

#define MDB_MESSAGE_HEAD 16
#define MDB_MESSAGE_MAX (1024 * 1024) /* no answer to what we ask comes near it */

/* Length of the whole message by its head; PROTO: no head of an answer, or too long. */
MUST_CHECK int mdb_message_len(const uint8_t head[static MDB_MESSAGE_HEAD], size_t *ret_len);
/* The whole message, head included: OP_MSG or OP_REPLY, whose parts fill it exactly. PROTO. */
MUST_CHECK int mdb_message_check(struct slice message);

#endif
