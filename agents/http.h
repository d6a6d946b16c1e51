/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks, JSON and metrics of one agent: a pure function of what it knows in memory.
 *
 * (method, path, query, snapshot) -> status, content type, body. Nothing is asked of the database,
 * of the disk or of a quorum node, so that an answer takes microseconds. The one rule that nothing
 * here may bend: /primary is 200 only while the deadline lies ahead (in a pause it has no end) and
 * the database accepts writes, both at the moment of the answer. Paths and figures are those of
 * Patroni where they can be; agents/http.md lists them, and what differs and why. Whatever changes
 * something is never done here: it is the arbiter's, and who asks must be known to the arbiter.
 */
#ifndef QUORATE_AGENTS_HTTP_H
#define QUORATE_AGENTS_HTTP_H

#include "agents/core/agent.h"
#include "agents/http_seen.h"

#define AGT_HTTP_LOCATION_MAX 512
#define AGT_HTTP_BODY_MAX 49152 /* room that every answer fits into */

/* Of a Galera member, at `now`; zeros of others. */
struct agt_http_galera {
    bool is_galera;
    bool is_writer;          /* agt_galera_is_writer */
    bool is_reader;          /* agt_galera_is_reader, a donor as the member's file says */
    bool is_reader_plain;    /* ... never a donor */
    bool is_reader_donor;    /* ... also a donor */
    bool is_fresh;           /* what is known of the server is at most 2 s old */
    const char *state;       /* static */
    int64_t evidence_age_us; /* -1: nothing is known */
    int64_t causal_age_us;   /* of the last read with wsrep_sync_wait; -1: none */
};

/* Of a MongoDB member, at `now`; zeros of others. */
struct agt_http_mongodb {
    bool is_mongodb;
    bool is_primary;   /* agt_mongodb_is_primary */
    bool is_secondary; /* agt_mongodb_is_secondary, however far behind */
    bool is_arbiter;
    bool is_fresh;        /* it has answered within 3 s */
    bool is_control_lost; /* no word of the arbiter for more than 5 s */
    bool is_held;
    const char *state;       /* static */
    int64_t evidence_age_us; /* -1: nothing is known */
    int64_t certificate_end_us;
    uint32_t commands_failed;
    int32_t code;
};

/* What an answer is made from; pointers are borrowed. */
struct agt_http_snapshot {
    struct base_mono now;
    struct base_wall wall; /* for people; 0: unknown */
    const struct msg_report *report;
    const struct msg_order *order; /* NULL: none yet */
    const struct agt_disk *disk;
    const struct guard_status *guard; /* NULL: none yet */
    const struct agt_http_seen *seen; /* NULL: nothing beyond the agent's own memory */
    const struct agt_config *config;  /* of the member; NULL: no tags but those of the report */
    bool is_open;                     /* agt_is_open at `now` */
    bool has_right;                   /* agt_has_right at `now` */
    bool is_answering;                /* the database answered its last probe */
    bool is_gated;                    /* clients are kept out after a crash */
    int64_t order_age_us;             /* since the last order; -1: none yet */
    int64_t report_age_us;            /* since the last report was sent; -1: none yet */
    uint64_t frames_bad;
    int64_t lease_least_us;     /* agt.lease_least_us */
    int64_t certificate_end_us; /* of the agent's own, wall clock; 0: no TLS */
    struct agt_http_galera galera;
    struct agt_http_mongodb mongodb;
    const char *leader_api; /* "https://q1:2379": where the leader takes orders; NULL: not known */
};

struct agt_http_request {
    struct slice method; /* "GET" */
    struct slice path;   /* without the query */
    struct slice query;  /* behind '?', may be empty; not percent-decoded */
    bool is_identified;  /* over TLS, with a certificate that our authority signed */
    bool is_admin;       /* ... of role admin */
};

struct agt_http_answer {
    int status;
    const char *content_type; /* static; NULL: no body */
    const char *allow;        /* static: methods of this path, for the Allow header; may be NULL */
    const char *control;      /* static: header X-Quorate-Control; NULL: none */
    char location[AGT_HTTP_LOCATION_MAX]; /* with 307; else empty */
};

/* Fills *ret_snapshot; `report` is the caller's memory for it and must live as long. */
void agt_http_snapshot_make(const struct agt *agent, struct base_mono now,
                            struct msg_report *report, struct agt_http_snapshot *ret_snapshot);

/* The answer; its body is appended to `body` (empty before). A body that does not fit gives 500. */
struct agt_http_answer agt_http_answer(const struct agt_http_snapshot *snapshot,
                                       const struct agt_http_request *request, struct buf *body);

/* The table of paths as Markdown rows, for the documentation and the test that compares the two. */
void agt_http_put_table(struct buf *b);
/* The same of a Galera member, without the control calls. */
void agt_http_put_galera_table(struct buf *b);
void agt_http_put_mongodb_table(struct buf *b); /* of a MongoDB member */

/* --- tables of paths, one per engine: http.c, http_galera.c --------------------------------- */

typedef void agt_http_body_fn(const struct agt_http_snapshot *s, struct buf *b);
typedef bool agt_http_check_fn(const struct agt_http_snapshot *s, struct slice query);
#define AGT_HTTP_PATH_NAMES_MAX 4
struct agt_http_path {
    const char *names[AGT_HTTP_PATH_NAMES_MAX];
    agt_http_check_fn *check;
    agt_http_body_fn *body; /* NULL: none */
    const char *content_type;
    int status_no; /* for no */
    const char *help;
};
const struct agt_http_path *agt_http_galera_paths(size_t *ret_count);
void agt_http_galera_fill(const struct agt *agent, struct base_mono now,
                          struct agt_http_galera *ret);
const struct agt_http_path *agt_http_mongodb_paths(size_t *ret_count);
void agt_http_mongodb_fill(const struct agt *agent, struct base_mono now,
                           struct agt_http_mongodb *ret);

/* --- http_check.c: what the paths ask ------------------------------------------------------- */

agt_http_check_fn agt_http_check_primary, agt_http_check_standby_leader, agt_http_check_leader,
    agt_http_check_replica, agt_http_check_read_only, agt_http_check_sync, agt_http_check_quorum,
    agt_http_check_read_only_sync, agt_http_check_read_only_quorum, agt_http_check_async,
    agt_http_check_health, agt_http_check_liveness, agt_http_check_readiness,
    agt_http_check_failsafe, agt_http_check_promoted, agt_http_check_always;

/* In the set that commits wait for, streaming. */
bool agt_http_is_voter(const struct agt_http_snapshot *s);
bool agt_http_is_running(const struct agt_http_snapshot *s);
bool agt_http_is_standby(const struct agt_http_snapshot *s);
/* Tagged so, or drained by an operator. */
bool agt_http_is_noloadbalance(const struct agt_http_snapshot *s);
/* The member's tags by the names that Patroni's users know; texts are borrowed from the report,
 * empty: not set. Its priority is not among them: a number, `failover_priority`. */
struct agt_http_tags {
    struct {
        const char *name;
        bool is_set;
    } flags[4];
    struct {
        const char *name;
        const char *text;
    } texts[2];
};
struct agt_http_tags agt_http_tags(const struct agt_http_snapshot *s);
bool agt_http_is_drained(const struct agt_http_snapshot *s);
bool agt_http_is_paused(const struct agt_http_snapshot *s);
/* Bytes that replay (or, with is_write, the disk) is behind the furthest position known here. */
uint64_t agt_http_lag(const struct agt_http_snapshot *s, bool is_write);
/* Value of `name` in a query; false: not there. */
bool agt_http_query_get(struct slice query, struct slice name, struct slice *ret);
/* A member of the order by name; NULL: not known. */
const struct msg_member *agt_http_member(const struct agt_http_snapshot *s,
                                         const struct base_name *name);

/* --- http_body.c, http_metrics.c: bodies ----------------------------------------------------- */

void agt_http_put_patroni(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_cluster(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_history(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_config(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_failsafe(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_galera(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_mongodb(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_metrics(const struct agt_http_snapshot *s, struct buf *b);

#endif
