/* SPDX-License-Identifier: Apache-2.0 */
/* Failsafe (safety.md section 9): a holder without a quorum asks every member of the record.
 *
 * Messages between agents, and what either side remembers. The holder's deadline counts from the
 * sending of a round that all members have granted; a member that granted votes and promotes only
 * when its last grant has run out by its own clock, and from its vote on grants no more. A member
 * that restarted waits out the longest ttl it may have granted. Pure.
 */
#ifndef QUORATE_AGENTS_CORE_FAILSAFE_H
#define QUORATE_AGENTS_CORE_FAILSAFE_H

#include "base/slice.h"
#include "proto/msg/agent.h"

#define AGT_FAILSAFE_ROUNDS 4
#define AGT_FAILSAFE_BYTES_MAX 384 /* of either message */

/* Holder to member. */
struct agt_failsafe_ask {
    struct base_name cluster;
    struct base_name holder;
    uint64_t session; /* of the holder's agent */
    uint64_t round;   /* 1, 2, 3 ... within the session */
    uint64_t epoch;
    uint32_t ttl_ms;
    struct msg_position position; /* for the bound of an asynchronous loss */
};

/* Member to holder. */
struct agt_failsafe_answer {
    struct base_name member;
    uint64_t session; /* as asked */
    uint64_t round;
    bool is_granted;
};

/* Where a member is asked. */
struct agt_failsafe_peer {
    struct base_name member;
    struct base_text host;
    uint16_t http_port;
};

struct agt_failsafe {
    /* holder */
    struct msg_names members; /* whom a round asks; reported */
    uint8_t peers_count;
    struct agt_failsafe_peer peers[MSG_MEMBERS_MAX]; /* their addresses, as last known */
    uint64_t round;
    struct base_mono asked_at;
    struct agt_failsafe_round {
        uint64_t number;
        struct base_mono sent;
        uint64_t epoch;
        uint32_t ttl_ms;
        struct msg_names missing; /* have not granted yet */
    } rounds[AGT_FAILSAFE_ROUNDS];
    bool is_in_force; /* the right was last extended by a round */
    /* member */
    struct base_mono bound_until; /* own clock; its last grant has run out then */
    bool is_bound;                /* as of the step under way */
    uint64_t closed_epoch;        /* asked to vote against it: granted no more */
    uint64_t position_epoch;
    struct msg_position position; /* of the holder, as it told in that epoch */
};

/* Bytes <-> struct, with a magic and a checksum. Encode: BASE_E_TOOBIG. Decode: BASE_E_PROTO; *ret
 * untouched then. */
MUST_CHECK int agt_failsafe_ask_encode(const struct agt_failsafe_ask *ask, struct buf *out);
MUST_CHECK int agt_failsafe_ask_decode(struct slice bytes, struct agt_failsafe_ask *ret);
MUST_CHECK int agt_failsafe_answer_encode(const struct agt_failsafe_answer *answer,
                                          struct buf *out);
MUST_CHECK int agt_failsafe_answer_decode(struct slice bytes, struct agt_failsafe_answer *ret);

#endif
