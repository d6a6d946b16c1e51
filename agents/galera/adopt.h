/* SPDX-License-Identifier: Apache-2.0 */
/* Taking over a node that runs (cluster.adopt: running): found by the lock that it holds on its
 * data, asked whether it is the one that the configuration tells of, and left as it is; the guard
 * watches it from then on. At start only, before any loop; blocks. */
#ifndef QUORATE_AGENTS_GALERA_ADOPT_H
#define QUORATE_AGENTS_GALERA_ADOPT_H

#include "agents/galera/session.h"
#include "agents/galera/settings.h"

/* One statement on a connection of its own; `done` is called before it returns. */
typedef void gal_ask_fn(const struct gal_settings *settings, enum gal_session session,
                        const char *statement, gal_reply_fn *done, void *ctx);

/* The process that has the data directory open. NOTFOUND: none; DENIED: another user's than ours;
 * UNSUPPORTED: it is not the program of galera.server, or does not stand in the directory. proc(5),
 * fcntl(2). */
MUST_CHECK int gal_adopt_find(const struct gal_settings *settings, int32_t *ret_pid);

/* The running server is the member that the configuration describes, and our accounts are there;
 * nothing in it is changed. What our next start of it would do otherwise than its own has done is
 * refused. DENIED, STATE, CLOSED, TIMEOUT with what to do. */
MUST_CHECK int gal_adopt_check(const struct gal_settings *settings, gal_ask_fn *ask,
                               struct base_text *ret_why);

#endif
