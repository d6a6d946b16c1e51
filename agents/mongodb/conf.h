/* SPDX-License-Identifier: Apache-2.0 */
/* The file that mongod is started with: the user's own options and ours, as nested YAML. Pure.
 * https://www.mongodb.com/docs/manual/reference/configuration-options/
 */
#ifndef QUORATE_AGENTS_MONGODB_CONF_H
#define QUORATE_AGENTS_MONGODB_CONF_H

#include "agents/mongodb/settings.h"
#include "base/slice.h"

/* An option of the user's, "section.name". DENIED: it is ours; INVALID: not a name, or a value with
 * a line break; TOOBIG. agent_key_parameters' `add`; `settings` is a struct mdb_settings. */
MUST_CHECK int mdb_conf_add_option(void *settings, const char *name, const char *value);

void mdb_conf_put(const struct mdb_settings *s, struct buf *b);

#endif
