/* SPDX-License-Identifier: Apache-2.0 */
/* The one change of a configuration: the document that replSetGetConfig answered, with that change
 * and the next version, as a replSetReconfig command. Everything else of it stays byte for byte,
 * also what we do not know. Pure but for libbson's memory.
 *
 * https://www.mongodb.com/docs/manual/reference/command/replSetReconfig/
 */
#ifndef QUORATE_AGENTS_MONGODB_CHANGE_H
#define QUORATE_AGENTS_MONGODB_CHANGE_H

#include "agents/core/mongodb_types.h"
#include "base/slice.h"

/* CONFLICT: the configuration is not order->expected_config ({0,0}: any). NOTFOUND: the host, or a
 * survivor, is not in it. EXISTS: it is in it with other properties. PROTO, TOOBIG, NOMEM. */
MUST_CHECK int mdb_change_put(struct slice config, const struct db_mongodb_order *order,
                              uint32_t max_ms, struct buf *b);

/* Is the change in force in this configuration? */
bool mdb_change_is_done(const struct db_mongodb_config *config,
                        const struct db_mongodb_order *order);

#endif
