/* SPDX-License-Identifier: Apache-2.0 */
/* What quorum nodes say to each other, as one plain struct.
 *
 * One flat message for all types: the table below says which fields a type uses; the others are 0.
 * `term` is always the sender's own current term, also in a pre-vote, which names the term it asks
 * for apart. Messages may be lost, doubled and reordered; none of them means anything in another
 * term than its own.
 */
#ifndef QUORATE_PROTO_MSG_RAFT_H
#define QUORATE_PROTO_MSG_RAFT_H

#include "base/slice.h"

#define MSG_RAFT_ENTRIES_MAX 256 /* entries in one message */

/* Numbers are never reused. */
enum msg_raft_type {
    MSG_RAFT_NONE = 0,
    MSG_RAFT_PREVOTE = 1,       /* proposed_term, index and log_term of the last entry */
    MSG_RAFT_PREVOTE_REPLY = 2, /* proposed_term as asked, is_rejected */
    MSG_RAFT_VOTE = 3,          /* index and log_term of the last entry; is_transfer */
    MSG_RAFT_VOTE_REPLY = 4,    /* is_rejected */
    MSG_RAFT_APPEND = 5,        /* index and log_term of the entry before, commit, entries */
    MSG_RAFT_APPEND_REPLY =
        6, /* taken: index durable, received verified; rejected: index as asked, hints */
    MSG_RAFT_HEARTBEAT = 7,       /* commit (never beyond what the receiver has durable), round */
    MSG_RAFT_HEARTBEAT_REPLY = 8, /* round as asked */
    MSG_RAFT_COMMIT = 9,          /* commit; no reply */
    MSG_RAFT_READ = 10,           /* round: id of the question */
    MSG_RAFT_READ_REPLY = 11,     /* round as asked, index to wait for */
    /* index and log_term of the state in the image; round: id of this transfer; offset; data;
     * is_last. Handled by the glue, the core looks at the term and at who leads. */
    MSG_RAFT_SNAPSHOT = 20,
    /* round and index as sent; offset: of the byte wanted next; is_rejected: give this transfer up.
     * After the last chunk it comes when the image is installed. */
    MSG_RAFT_SNAPSHOT_REPLY = 21,
    MSG_RAFT_TIMEOUT_NOW = 22, /* stand for election at once, without a pre-vote (T 3.10) */
    MSG_RAFT_TYPE_COUNT
};

enum msg_raft_entry_type {
    MSG_RAFT_ENTRY_DATA = 1,    /* of the state machine */
    MSG_RAFT_ENTRY_NOOP = 2,    /* first entry of a term, empty */
    MSG_RAFT_ENTRY_MEMBERS = 3, /* a whole configuration, raft/core/members.h */
};

struct msg_raft_entry {
    uint64_t term;
    enum msg_raft_entry_type type;
    struct slice body;
};

struct msg_raft {
    enum msg_raft_type type;
    bool is_rejected;
    bool is_transfer; /* VOTE: asked for by the leader, who knows that it is replaced */
    bool is_last;
    uint64_t cluster;
    uint64_t from;
    uint64_t to;
    uint64_t term;
    uint64_t proposed_term;
    uint64_t index;
    uint64_t log_term;
    uint64_t commit;
    uint64_t round;
    uint64_t received;
    uint64_t hint_index;
    uint64_t hint_term;
    uint64_t offset;
    struct slice data;
    uint32_t entry_count;
    const struct msg_raft_entry *entries; /* entry_count of them; the first has index + 1 */
};

#endif
