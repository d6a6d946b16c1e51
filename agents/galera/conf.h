/* SPDX-License-Identifier: Apache-2.0 */
/* The file that mariadbd is started with: the user's own settings first, ours behind them.
 *
 * Written anew before each start: read-only from birth, the position that the start is proven to
 * have, and an empty address for the one start that a grant allows to form a component. Pure.
 */
#ifndef QUORATE_AGENTS_GALERA_CONF_H
#define QUORATE_AGENTS_GALERA_CONF_H

#include "agents/core/galera_types.h"
#include "agents/galera/settings.h"
#include "base/slice.h"

/* DENIED: a setting that is ours alone. INVALID: not a name, or a value with a line break. TOOBIG.
 */
MUST_CHECK int gal_conf_add_parameter(struct gal_settings *s, const char *name, const char *value);

/* mode 0: for tools (no start); no position, no address. */
void gal_conf_put(const struct gal_settings *s, const struct db_galera_order *start, struct buf *b);

/* SQL that makes the accounts, one statement a line; passwords as given, or a placeholder where
 * there are none. */
void gal_accounts_put(const struct gal_settings *s, bool has_passwords, struct buf *b);

#endif
