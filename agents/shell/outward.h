/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent shows to the outside besides its reports: the HTTP port, hooks, the virtual IP.
 *
 * None of it decides anything, and none of it may hold the driver up. It looks at the agent after
 * each round of the loop, and stands between the driver and the engine for two orders
 * (agents/hooks/port.h) and for the configuration document, of which the HTTP port shows a copy.
 * Loop thread.
 */
#ifndef QUORATE_AGENTS_SHELL_OUTWARD_H
#define QUORATE_AGENTS_SHELL_OUTWARD_H

#include "agents/hooks/port.h"
#include "agents/shell/agent_config.h"
#include "agents/shell/health.h"
#include "agents/vip/vip.h"
#include "proto/io/server.h"

struct outward {
    const struct agent_settings *settings;
    struct agt_driver *driver;
    struct agent_health health;
    struct io_tls *tls; /* of the HTTP port; NULL: plain only */
    struct io_server *http;
    struct hooks hooks;
    struct vip vip;
    struct db_port engine; /* with the hooks around it */
};

/* Reads http.tls, hooks.* and vip.*; INVALID with why. */
MUST_CHECK int outward_settings_read(const struct io_config *config, struct agent_settings *ret,
                                     struct io_why *why);

/* Hooks and virtual IP; before the driver exists, whose memory `driver` is. NOMEM, IO with why. */
MUST_CHECK int outward_open(struct outward *outward, struct io_loop *loop,
                            const struct agent_settings *settings, struct agt_driver *driver,
                            struct io_why *why);
/* The engine as the driver is to see it. */
struct db_port outward_port(struct outward *outward, struct db_port engine);
/* The HTTP port; when the driver is there. Errors as io_tls_new and io_server_new. */
MUST_CHECK int outward_listen(struct outward *outward, struct io_loop *loop, struct io_why *why);
/* A completion of the engine; true when it comes to the driver later. */
bool outward_take_done(struct outward *outward, const struct db_done *done);
void outward_look(struct outward *outward);
void outward_woke(struct outward *outward, int64_t late_us);
/* The virtual IP is gone when this returns. */
void outward_close(struct outward *outward);

#endif
