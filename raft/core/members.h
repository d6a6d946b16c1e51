/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations: soundness, one step from one to the next, and their bytes.
 *
 * The bytes are the body of a MEMBERS entry, part of the row "raft.members" and of an image:
 * version u8 (1), count u8, then each member: id u64, flags u8 (1: learner), name, peer URL, count
 * of client URLs u8, client URLs; numbers big-endian, texts as length u8 and bytes. The log index
 * is not among them: it is that of the entry.
 */
#ifndef QUORATE_RAFT_CORE_MEMBERS_H
#define QUORATE_RAFT_CORE_MEMBERS_H

#include "base/error.h"
#include "base/slice.h"
#include "raft/core/types.h"

#define RAFT_MEMBERS_VERSION 1u
/* No encoded configuration is longer. */
#define RAFT_MEMBERS_BYTES_MAX \
    (2u + RAFT_MEMBERS_MAX * (11u + BASE_NAME_MAX + (1u + RAFT_CLIENT_URLS_MAX) * (1u + 255u)))

/* 1 to RAFT_MEMBERS_MAX members, one voter at least, ids unique, not 0 and below 2^63, texts
 * terminated. */
bool raft_members_are_sound(const struct raft_configuration *configuration);
/* Any majority of `from` and any of `to` have a member in common, and nothing else than one member
 * comes, goes or changes its part (T 4.1). Names and addresses may change freely. Both sound. */
bool raft_members_is_step(const struct raft_configuration *from,
                          const struct raft_configuration *to);
/* The member with this id, or NULL. */
const struct raft_member *raft_members_find(const struct raft_configuration *configuration,
                                            uint64_t id);
size_t raft_members_voters(const struct raft_configuration *configuration);

/* Appends the bytes of a sound configuration. BASE_E_INVALID: not sound; BASE_E_TOOBIG. */
MUST_CHECK int raft_members_encode(const struct raft_configuration *configuration, struct buf *out);
/* Reads exactly these bytes; `index` of the result is 0. Unused bytes of names and texts are zero.
 * BASE_E_PROTO: malformed or not sound; BASE_E_UNSUPPORTED: a later version. */
MUST_CHECK int raft_members_decode(struct slice bytes, struct raft_configuration *ret);

#endif
