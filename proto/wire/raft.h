/* SPDX-License-Identifier: Apache-2.0 */
/* Raft messages as bytes (protobuf) and back. Frames carry them behind the byte NET_FRAME_RAFT. */
#ifndef QUORATE_PROTO_WIRE_RAFT_H
#define QUORATE_PROTO_WIRE_RAFT_H

#include "proto/msg/raft.h"
#include "proto/wire/arena.h"

/* Appends the encoded message to `out`. Scratch memory comes from `arena`, which is reset first.
 * BASE_E_TOOBIG when out or arena is too small; out is then as it was. */
MUST_CHECK int wire_raft_encode(const struct msg_raft *msg, struct wire_arena *arena,
                                struct buf *out);

/* Reads one message. Entries and their bodies live in `arena`, which is reset first, until its next
 * reset. BASE_E_PROTO: not a message that a sound node could have sent: unknown type, too many
 * entries, an index beyond 2^62, terms that fall within the entries or exceed the sender's. *ret
 * untouched then. */
MUST_CHECK int wire_raft_decode(struct slice bytes, struct wire_arena *arena, struct msg_raft *ret);

#endif
