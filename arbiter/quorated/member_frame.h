/* SPDX-License-Identifier: Apache-2.0 */
/* Frames NET_FRAME_MEMBER: what nodes say to each other about who belongs to the quorum, outside of
 * the log. Type byte, kind u8, then the fields; numbers big-endian, texts as length u8 and bytes.
 *
 * WHO is asked by a node that has no id yet. HERE answers it, and is sent to every node that
 * connects without being a member: the newest configuration, and whether it is committed. PUBLISH
 * is sent to the leader by a member whose name or client URLs stand otherwise in the configuration.
 * Who the sender is was proven by its certificate; nothing here is believed beyond that.
 */
#ifndef QUORATE_ARBITER_QUORATED_MEMBER_FRAME_H
#define QUORATE_ARBITER_QUORATED_MEMBER_FRAME_H

#include "base/slice.h"
#include "raft/core/types.h"

enum member_frame_kind { MEMBER_WHO = 1, MEMBER_HERE = 2, MEMBER_PUBLISH = 3 };

#define MEMBER_FRAME_MAX (16u << 10)

struct member_frame {
    enum member_frame_kind kind;
    struct base_name name;     /* WHO, PUBLISH */
    struct base_text peer_url; /* WHO */
    uint64_t cluster_id;       /* HERE */
    bool is_committed;         /* HERE */
    bool has_log;              /* HERE: something was committed here already */
    /* HERE: members whom the sender has never heard under their ids. Empty unless it still is in
     * the life in which it began with an empty directory: nobody remembers more. */
    uint8_t unheard_count;
    uint64_t unheard[RAFT_MEMBERS_MAX];
    uint8_t client_url_count; /* PUBLISH */
    struct base_text client_urls[RAFT_CLIENT_URLS_MAX];
    struct raft_configuration configuration; /* HERE, with its index */
};

/* Appends it, type byte first. BASE_E_TOOBIG, BASE_E_INVALID. */
MUST_CHECK int member_frame_put(const struct member_frame *frame, struct buf *out);
/* The whole payload. BASE_E_PROTO, BASE_E_UNSUPPORTED. */
MUST_CHECK int member_frame_read(struct slice payload, struct member_frame *ret);

#endif
