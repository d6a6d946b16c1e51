/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks, JSON and metrics of one agent: a pure function of what it knows in memory.
 *
 * (method, path, query, snapshot) -> status, content type, body. Nothing is asked of the database,
 * of the disk or of a quorum node, so that an answer takes microseconds. The one rule that nothing
 * here may bend: /primary is 200 only while the deadline lies ahead and the database accepts
 * writes, both at the moment of the answer. Paths and figures are those of Patroni where they can
 * be; what differs and why stands in agents/http.c. Only GET, HEAD and OPTIONS; whatever changes
 * something goes through the arbiter.
 */
#ifndef QUORATE_AGENTS_HTTP_H
#define QUORATE_AGENTS_HTTP_H

#include "agents/core/agent.h"

#define AGT_HTTP_BODY_MAX 16384 /* room that every answer fits into */

/* What an answer is made from; pointers are borrowed. */
struct agt_http_snapshot {
    struct base_mono now;
    struct base_wall wall; /* for people; 0: unknown */
    const struct msg_report *report;
    const struct msg_order *order; /* NULL: none yet */
    const struct agt_disk *disk;
    const struct guard_status *guard; /* NULL: none yet */
    bool is_open;                     /* agt_is_open at `now` */
    bool is_answering;                /* the database answered its last probe */
    bool is_noloadbalance;
    int64_t order_age_us;  /* since the last order; -1: none yet */
    int64_t report_age_us; /* since the last report was sent; -1: none yet */
    uint64_t frames_bad;
};

struct agt_http_request {
    struct slice method; /* "GET" */
    struct slice path;   /* without the query */
    struct slice query;  /* behind '?', may be empty; not percent-decoded */
};

struct agt_http_answer {
    int status;
    const char *content_type; /* static; NULL: no body */
};

/* Fills *ret_snapshot; `report` is the caller's memory for it and must live as long. */
void agt_http_snapshot_make(const struct agt *agent, struct base_mono now,
                            struct msg_report *report, struct agt_http_snapshot *ret_snapshot);

/* The answer; its body is appended to `body` (empty before). A body that does not fit gives 500. */
struct agt_http_answer agt_http_answer(const struct agt_http_snapshot *snapshot,
                                       const struct agt_http_request *request, struct buf *body);

/* Bodies, for agents/http.c only. */
void agt_http_put_patroni(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_cluster(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_history(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_config(const struct agt_http_snapshot *s, struct buf *b);
void agt_http_put_metrics(const struct agt_http_snapshot *s, struct buf *b);
/* Member of the recorded voters, streaming. */
bool agt_http_is_voter(const struct agt_http_snapshot *s);
bool agt_http_is_running(const struct agt_http_snapshot *s);
bool agt_http_is_standby(const struct agt_http_snapshot *s);
/* Bytes that replay (or, with is_write, the disk) is behind the furthest position known here. */
uint64_t agt_http_lag(const struct agt_http_snapshot *s, bool is_write);

#endif
