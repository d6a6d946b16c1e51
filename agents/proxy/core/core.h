/* SPDX-License-Identifier: Apache-2.0 */
/* Where a client's connection goes: the proxy's decisions, pure.
 *
 * One struct proxy_core per database cluster. Events come in (the record, proofs that it still
 * stands, members, answers of agents, fates of connections), each with the time; effects go out:
 * whose connections are cut, and that waiting ones should ask again. proxy_choose answers for one
 * connection. What holds:
 *   - the primary port leads to the record's holder, only when it has opened in that epoch or its
 *     agent says that it is about to (promoted in that epoch, under its lease: commits wait there
 *     until they are safe), and never by an answer that was asked for longer ago than the lease
 *     lasts;
 *   - a record never goes back: not to a lower epoch, not to a lower revision;
 *   - when an epoch ends, every connection to its holder is cut in the same step;
 *   - whatever cannot be routed waits, bounded by the caller, and is told why.
 * Nothing here opens a socket, reads a clock or allocates.
 */
#ifndef QUORATE_AGENTS_PROXY_CORE_CORE_H
#define QUORATE_AGENTS_PROXY_CORE_CORE_H

#include "base/slice.h"
#include "proto/msg/agent.h"

#define PROXY_MEMBERS_MAX MSG_MEMBERS_MAX
#define PROXY_NOBODY UINT8_MAX

enum proxy_port { PROXY_PRIMARY = 0, PROXY_REPLICAS = 1 };
#define PROXY_PORTS 2

/* What agents are asked: may connections of that port come here? and: promoted in this epoch? */
enum proxy_question {
    PROXY_ASKS_PRIMARY = PROXY_PRIMARY,
    PROXY_ASKS_REPLICA = PROXY_REPLICAS,
    PROXY_ASKS_PROMOTED = 2,
};
#define PROXY_QUESTIONS 3

/* X(ID, "word", "sentence"): why a connection waits or was refused. */
#define PROXY_REASONS(X) \
    X(NONE, "none", "it does not wait") \
    X(NO_RECORD, "no-record", "the cluster's record has not been read from the quorum yet") \
    X(STALE, "stale", \
      "no quorum node has confirmed the record within the lease, and no agent says that it is " \
      "primary") \
    X(RESTORED, "restored", "the quorum shows an older record than before: kv db confirm ends it") \
    X(NOT_OPEN, "not-open", "the new primary has not opened for writes yet") \
    X(SWITCHOVER, "switchover", "a switchover is under way") \
    X(STANDBY_CLUSTER, "standby-cluster", "this cluster follows another one and has no primary") \
    X(NO_ADDRESS, "no-address", "the quorum does not tell the primary's address") \
    X(NOT_SERVING, "not-serving", "the primary's agent says that it does not accept writes now") \
    X(UNREACHABLE, "unreachable", "the database does not take the connection") \
    X(NO_REPLICA, "no-replica", "no replica is fit: down, behind the limit, drained or not asked") \
    X(TOO_MANY, "too-many", "connections.max is reached") \
    X(TOO_MANY_HELD, "too-many-held", "hold.connections is reached")

#define PROXY_REASON_ENUM(id, ...) PROXY_REASON_##id,
enum proxy_reason { PROXY_REASONS(PROXY_REASON_ENUM) PROXY_REASON_COUNT };
const char *proxy_reason_name(enum proxy_reason reason);
const char *proxy_reason_text(enum proxy_reason reason);

/* What the proxy needs of a record. */
struct proxy_record {
    uint64_t epoch;
    uint64_t revision;
    enum msg_record_state state;
    struct base_name holder;
    bool is_opened;
    bool is_paused;
    bool is_standby_cluster;
    struct msg_names drained;
    uint32_t ttl_ms;
};

/* A member as the quorum lists it. */
struct proxy_seen {
    struct base_name name;
    struct base_text host;
    uint16_t db_port;
    uint16_t http_port;
    struct base_name zone;
    bool is_noloadbalance;
};

enum proxy_answer {
    PROXY_ANSWER_NONE = 0, /* not asked, or no agent there (refused): its host lives */
    PROXY_ANSWER_YES = 1,
    PROXY_ANSWER_NO = 2,
    PROXY_ANSWER_SILENT = 3, /* nothing came in time */
};

/* An agent's latest word on a question. */
struct proxy_word {
    enum proxy_answer answer;
    struct base_mono asked_at;
};

struct proxy_member {
    bool is_used;   /* the slot */
    bool is_listed; /* false: the quorum lists it no more, its connections are not gone yet */
    struct proxy_seen seen;
    struct proxy_word words[PROXY_QUESTIONS];
    bool has_answered;             /* ever */
    bool is_dead;                  /* answered once, and is silent for too long */
    struct base_mono silent_since; /* first question without any answer; NEVER: none */
    /* connecting */
    uint32_t failures;         /* in a row */
    struct base_mono retry_at; /* after a failure */
    bool is_scouting;          /* one connection tries whether it works again */
    uint32_t connections[PROXY_PORTS];
};

struct proxy_options {
    bool has_agents;           /* they are asked; false: the record alone decides */
    bool waits_for_open;       /* being promoted is not enough */
    bool is_primary_for_reads; /* replicas port: the primary when no replica is fit */
    struct base_name zone;     /* ours; empty: none */
    int64_t
        switchover_hold_us; /* waited so long in a switchover: to the old primary if it is open */
};

struct proxy_core {
    struct proxy_options options;
    bool has_record;
    bool is_restored; /* the quorum went back in time */
    struct proxy_record record;
    struct base_mono learned_at; /* of the record */
    struct base_mono epoch_at;   /* of its epoch */
    struct base_mono proof_at;   /* sending time of the latest question that it answers */
    uint8_t rotation;
    struct proxy_member members[PROXY_MEMBERS_MAX];
};

enum proxy_event_kind {
    PROXY_EVENT_TICK,
    PROXY_EVENT_RECORD,    /* pushed: newer than anything known, or it is dropped */
    PROXY_EVENT_PROOF,     /* answer of a linearizable read, asked at `asked_at`; with the record */
    PROXY_EVENT_NO_RECORD, /* such an answer: there is none (removed) */
    PROXY_EVENT_MEMBER,
    PROXY_EVENT_MEMBER_GONE, /* name in seen.name */
    PROXY_EVENT_WORD,        /* an agent has spoken, or kept silent */
    PROXY_EVENT_CONNECTING,
    PROXY_EVENT_CONNECTED,
    PROXY_EVENT_CONNECT_FAILED,
    PROXY_EVENT_CONNECT_DROPPED, /* given up for another reason than the member's */
    PROXY_EVENT_CLOSED,          /* one that was connected */
};

struct proxy_event {
    enum proxy_event_kind kind;
    struct base_mono now;
    struct base_mono asked_at;         /* PROOF, NO_RECORD, WORD */
    const struct proxy_record *record; /* RECORD, PROOF */
    const struct proxy_seen *seen;     /* MEMBER, MEMBER_GONE */
    uint8_t member;                    /* WORD and what follows */
    enum proxy_port port;              /* CONNECTING and what follows */
    enum proxy_question question;      /* WORD */
    enum proxy_answer answer;          /* WORD */
};

struct proxy_effects {
    uint16_t cut;       /* bit per member: all its connections, now */
    bool is_changed;    /* waiting connections should ask again */
    bool is_new_record; /* for a log line */
};

struct proxy_choice {
    uint8_t member;            /* PROXY_NOBODY: wait */
    enum proxy_reason reason;  /* of a wait */
    struct base_mono again_at; /* of a wait: when it ends by time alone; NEVER: by an event */
};

void proxy_core_init(struct proxy_core *core, const struct proxy_options *options);
/* Other settings from now on; what is known stays. */
void proxy_core_set(struct proxy_core *core, const struct proxy_options *options);
void proxy_step(struct proxy_core *core, const struct proxy_event *event,
                struct proxy_effects *ret);
/* For a connection that has waited for waited_us. Whoever follows the choice tells CONNECTING. */
void proxy_choose(struct proxy_core *core, enum proxy_port port, int64_t waited_us,
                  struct base_mono now, struct proxy_choice *ret);
/* Index of a member, PROXY_NOBODY when unknown. */
uint8_t proxy_member_find(const struct proxy_core *core, const struct base_name *name);
uint8_t proxy_holder(const struct proxy_core *core);
/* How old an answer may be: the lease of the record, or the default one before it is known. */
int64_t proxy_age_max_us(const struct proxy_core *core);
bool proxy_is_fresh(const struct proxy_core *core, struct base_mono now);
/* After how many microseconds the agent should be asked again because something hangs on its word;
 * 0: nothing does. */
int64_t proxy_word_urgency_us(const struct proxy_core *core, uint8_t member, struct base_mono now);
bool proxy_is_drained(const struct proxy_core *core, uint8_t member);

/* --- refusal.c: what a client hears before it is turned away --- */

enum proxy_language { PROXY_SPEAKS_NOTHING, PROXY_SPEAKS_POSTGRESQL, PROXY_SPEAKS_MYSQL };
/* The server's own form of an error, with the reason's sentence; nothing for SPEAKS_NOTHING.
 * `said`: the client's first bytes, as far as they have come. */
void proxy_refusal_put(enum proxy_language language, struct slice said, enum proxy_reason reason,
                       struct buf *out);
/* A header of the PROXY protocol, version 2 (haproxy.org, proxy-protocol.txt, section 2.2), for a
 * connection of address family 4 or 6 (16 bytes of address each, an IPv4 one in the first four). */
struct proxy_ends {
    unsigned family; /* 4, 6; else LOCAL without addresses */
    uint8_t from[16], to[16];
    uint16_t from_port, to_port;
};
#define PROXY_HEADER_MAX 52
void proxy_header_put(const struct proxy_ends *ends, struct buf *out);

#endif
