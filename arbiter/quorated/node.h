/* SPDX-License-Identifier: Apache-2.0 */
/* A whole quorum node: made from settings, run until a signal or a failure. Called by main only. */
#ifndef QUORATE_ARBITER_QUORATED_NODE_H
#define QUORATE_ARBITER_QUORATED_NODE_H

#include "arbiter/quorated/settings.h"

/* Opens, runs and closes. Returns the exit status: 0 after SIGTERM or SIGINT; 1 when it could not
 * start or had to stop, after one clear line on stderr. */
int quorated_run(const struct quorated_settings *settings);

#endif
