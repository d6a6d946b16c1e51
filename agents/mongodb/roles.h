/* SPDX-License-Identifier: Apache-2.0 */
/* The roles and users that the agent needs and no more, as JavaScript for mongosh, made from the
 * table of commands. Pure. https://www.mongodb.com/docs/manual/reference/privilege-actions/ */
#ifndef QUORATE_AGENTS_MONGODB_ROLES_H
#define QUORATE_AGENTS_MONGODB_ROLES_H

#include "agents/mongodb/settings.h"
#include "base/slice.h"

/* Passwords never appear: mongosh asks for them. `subject`: of the agent's certificate, for x.509;
 * "": a placeholder. */
void mdb_roles_put(const struct mdb_settings *s, const char *subject, struct buf *b);

#endif
