/* SPDX-License-Identifier: Apache-2.0 */
/* Between the files of the proxy's shell: proxy.c (wiring), route.c (connections and the core),
 * backend.c (members: addresses, questions), listen.c, status.c. Nobody else includes this. */
#ifndef QUORATE_AGENTS_PROXY_PROXY_INTERNAL_H
#define QUORATE_AGENTS_PROXY_PROXY_INTERNAL_H

#include <netinet/in.h>

#include "agents/proxy/ask.h"
#include "agents/proxy/conn.h"
#include "agents/proxy/metrics_table.h"
#include "agents/proxy/proxy.h"
#include "agents/proxy/quorum.h"
#include "proto/io/server.h"

#define PROXY_ADDRESSES_MAX 4

struct proxy;
struct proxy_cluster;

union proxy_address {
    struct sockaddr any;
    struct sockaddr_in four;
    struct sockaddr_in6 six;
};

struct proxy_resolve; /* backend.c: a name that a worker looks up */

/* A member, with the number that the core gives it. */
struct proxy_backend {
    struct proxy_cluster *cluster;
    uint8_t number;
    struct conn *open; /* list */
    struct base_text host;
    uint16_t port;
    uint8_t addresses_count;
    union proxy_address addresses[PROXY_ADDRESSES_MAX];
    struct proxy_resolve *resolve;
    struct base_mono resolved_at;
    struct ask *ask;
    struct base_mono ask_at, asked_at;
    int64_t revision; /* of the store, when it was last told */
};

/* X(field, "metric", "help"): counted since the start, per cluster and port. */
#define PROXY_COUNTER_FIELD(field, ...) uint64_t field;
struct proxy_counters {
    PROXY_COUNTERS(PROXY_COUNTER_FIELD)
};

struct proxy_cluster {
    struct proxy *proxy;
    size_t number;
    struct base_name name;
    struct proxy_core core;
    struct proxy_backend backends[PROXY_MEMBERS_MAX];
    struct conn *held_first, *held_last;
    struct conn *connecting;
    uint32_t held_count[PROXY_PORTS];
    bool is_pump_due;
    struct base_mono pump_at;
    struct base_mono attempts_end; /* not later: the first attempt that is late */
    int64_t longest_hold_us;
    struct io_timer timer;
    struct proxy_counters counters[PROXY_PORTS];
    struct listening *listening[PROXY_PORTS];
};

struct proxy {
    struct io_loop *loop;
    struct io_config *config;
    struct proxy_settings settings;
    struct io_tls *tls;
    struct io_workers *workers;
    struct conns *conns;
    struct quorum *quorum;
    struct io_server *http;
    struct io_timer stop;
    struct base_mono started;
    bool is_stopping;
    int exit_status;
    size_t clusters_count;
    struct proxy_cluster *clusters[PROXY_CLUSTERS_MAX];
};

/* --- route.c --- */
extern const struct conns_events proxy_conns_events; /* ctx: struct proxy */
/* A client has come. */
void proxy_accepted(struct proxy_cluster *cluster, enum proxy_port port, int fd);
/* One event into the core, with all that follows but waking those who wait. */
void proxy_tell(struct proxy_cluster *cluster, struct proxy_event *event);
/* Those who wait ask again if something has changed, and the timer is set. Last thing that every
 * event from outside does. */
void proxy_settle(struct proxy_cluster *cluster);
/* Timer of a cluster. */
void proxy_cluster_tick(void *cluster);
void proxy_drop_all(struct proxy_cluster *cluster);

/* --- backend.c --- */
/* The core's view of a member has changed: address, question, or it is gone. */
void proxy_backend_follow(struct proxy_backend *backend);
/* Its address may be another one by now. */
void proxy_backend_resolve_again(struct proxy_backend *backend);
/* Something looks wrong there: its agent is asked soon. */
void proxy_backend_doubt(struct proxy_backend *backend);
/* Asks its agent when it is time; ask_at is when it is time again. */
void proxy_backend_ask(struct proxy_backend *backend, struct base_mono now);
void proxy_backend_close(struct proxy_backend *backend);

/* --- listen.c --- */
struct listening;
MUST_CHECK int listening_open(struct proxy_cluster *cluster, enum proxy_port port,
                              const struct io_address *address, struct listening **ret,
                              struct io_why *why);
struct listening *listening_close(struct listening *listening);

/* --- status.c --- */
extern const struct io_http_handler proxy_status_handler; /* ctx is filled in by proxy.c */
uint32_t proxy_connections(const struct proxy_cluster *cluster, enum proxy_port port);

#endif
