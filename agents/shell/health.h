/* SPDX-License-Identifier: Apache-2.0 */
/* agents/http.h behind a socket: each request is answered at once from the driver's memory. Loop
 * thread. */
#ifndef QUORATE_AGENTS_SHELL_HEALTH_H
#define QUORATE_AGENTS_SHELL_HEALTH_H

#include "agents/driver.h"
#include "agents/http.h"
#include "proto/io/http1.h"

#define AGENT_HEALTH_BODY_MAX (32u * 1024u)

struct agent_health {
    const struct agt_driver *driver;
};

void agent_health_init(struct agent_health *health, const struct agt_driver *driver);
struct io_http_handler agent_health_handler(struct agent_health *health);

#endif
