/* SPDX-License-Identifier: Apache-2.0 */
/* The proxy as a whole: configuration, clusters, signals. Called by main_proxy.c and by tests. */
#ifndef QUORATE_AGENTS_PROXY_PROXY_H
#define QUORATE_AGENTS_PROXY_PROXY_H

#include "agents/proxy/settings.h"

/* Runs until SIGTERM or SIGINT. Takes the configuration over (a reload replaces it). Exit status:
 * 0, or 1 with the reason on stderr. */
int proxy_run(struct io_config *config, const struct proxy_settings *settings);

#endif
