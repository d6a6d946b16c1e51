/* SPDX-License-Identifier: Apache-2.0 */
/* The section "mongodb" of a configuration document: a document that has it is of a MongoDB replica
 * set, and then says nothing that is another engine's alone. Uses jansson; any thread, nothing is
 * kept.
 */
#ifndef QUORATE_ARBITER_SETTINGS_MONGODB_H
#define QUORATE_ARBITER_SETTINGS_MONGODB_H

#include "arbiter/settings.h"

#include <jansson.h>

#define ARB_MONGODB_SECTION "mongodb"

/* Reads document.mongodb, the ttl and the heartbeat that stand for none given, into `ret`, and
 * checks what a replica set asks for. BASE_E_INVALID with what is wrong. */
MUST_CHECK int arb_settings_mongodb(json_t *document, struct arb_settings *ret,
                                    struct arb_settings_why *why);
/* What stands for a key that a MongoDB document does not have, as JSON; NULL: as the table says. */
const char *arb_settings_mongodb_standard(const char *path);
/* The section that says what `record` has; NULL without memory. */
json_t *arb_settings_mongodb_of(const struct msg_record *record);

#endif
