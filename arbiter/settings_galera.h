/* SPDX-License-Identifier: Apache-2.0 */
/* The section "galera" of a configuration document: a document that has it is of a Galera cluster,
 * and then says nothing that is PostgreSQL's alone. Uses jansson; any thread, nothing is kept.
 */
#ifndef QUORATE_ARBITER_SETTINGS_GALERA_H
#define QUORATE_ARBITER_SETTINGS_GALERA_H

#include "arbiter/settings.h"

#include <jansson.h>

#define ARB_GALERA_SECTION "galera"

/* Reads document.galera, the ttl and the heartbeat that stand for none given, into `ret`, and
 * checks what a Galera cluster asks for. BASE_E_INVALID with what is wrong. */
MUST_CHECK int arb_settings_galera(json_t *document, struct arb_settings *ret,
                                   struct arb_settings_why *why);
/* A key that means something to PostgreSQL only. */
bool arb_settings_is_postgresql(const char *path);
/* What stands for a key that a Galera document does not have, as JSON; NULL: as the table says. */
const char *arb_settings_galera_standard(const char *path);
/* The section that says what `record` has; NULL without memory. */
json_t *arb_settings_galera_of(const struct msg_record *record);

#endif
