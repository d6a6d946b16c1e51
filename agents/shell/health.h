/* SPDX-License-Identifier: Apache-2.0 */
/* agents/http.h behind a socket: each request is answered at once from the driver's memory, and
 * what its answers need besides is gathered here. Also the port where members ask each other in
 * failsafe mode (agents/core, section 9 of the safety rules). Loop thread. */
#ifndef QUORATE_AGENTS_SHELL_HEALTH_H
#define QUORATE_AGENTS_SHELL_HEALTH_H

#include "agents/driver.h"
#include "agents/http.h"
#include "proto/io/http1.h"

#define AGENT_HEALTH_REQUEST_MAX ((size_t)64 << 10) /* bytes of a request's body */

struct io_config;
struct io_tls;

struct agent_health {
    struct agt_driver *driver;
    const struct io_config *config; /* has quorum.api */
    struct io_tls *const *tls;      /* of the port, once it is there; NULL behind it: plain */
    bool is_insecure;               /* without TLS, on loopback: members ask each other in plain */
    struct agt_http_seen seen;
    int32_t root_pid; /* whose start is in `seen` */
};

/* What lives as long as the process: large, keep it out of the stack. */
void agent_health_init(struct agent_health *health, struct agt_driver *driver, bool is_insecure);
struct io_http_handler agent_health_handler(struct agent_health *health);
/* After each round of the loop: what changed goes into `seen`. */
void agent_health_look(struct agent_health *health);
/* A timer of the driver fired that much late. */
void agent_health_woke(struct agent_health *health, int64_t late_us);
/* The cluster's configuration document has come. */
void agent_health_config(struct agent_health *health, uint64_t revision, struct slice text);

#endif
