/* SPDX-License-Identifier: Apache-2.0 */
/* Sessions on libmariadb's non-blocking calls. Loop thread only.
 *
 * Each such call runs on a small stack of its own which the library switches to, so this file alone
 * is built without sanitizers. Over the local Unix socket and without TLS, since a handshake of TLS
 * would block the loop. https://mariadb.com/kb/en/using-the-non-blocking-library/
 */
#ifndef QUORATE_AGENTS_GALERA_MYSQL_H
#define QUORATE_AGENTS_GALERA_MYSQL_H

#include "agents/galera/session.h"
#include "agents/galera/settings.h"
#include "proto/io/loop.h"

struct gal_mysql;

/* NOMEM. `settings` outlives it. */
MUST_CHECK int gal_mysql_new(struct io_loop *loop, const struct gal_settings *settings,
                             struct gal_mysql **ret);
struct gal_session_port gal_mysql_port(struct gal_mysql *mysql);
/* Cuts all; nothing is called back any more. NULL is fine. Returns NULL. */
struct gal_mysql *gal_mysql_free(struct gal_mysql *mysql);

/* One statement on a connection of its own, waited for at most 5 s: before any loop runs, from one
 * thread. `done` is called before it returns. */
void gal_mysql_ask(const struct gal_settings *settings, enum gal_session session,
                   const char *statement, gal_reply_fn *done, void *ctx);

#endif
