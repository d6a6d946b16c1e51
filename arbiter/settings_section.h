/* SPDX-License-Identifier: Apache-2.0 */
/* For the sections of the configuration document that an engine reads: a row a key, one sentence
 * for whatever is wrong. Any thread, nothing is kept. */
#ifndef QUORATE_ARBITER_SETTINGS_SECTION_H
#define QUORATE_ARBITER_SETTINGS_SECTION_H

#include <jansson.h>

#include "arbiter/settings.h"

/* BASE_E_INVALID, with "PATH: FOUND; allowed: ALLOWED". `found` may be NULL. */
int arb_settings_wrong(struct arb_settings_why *why, const char *path, const json_t *found,
                       const char *allowed);

struct arb_settings_key {
    const char *key;
    const char *allowed;
    bool (*read)(const json_t *value, struct msg_record *ret); /* false: not what is allowed */
};

/* Reads those keys that the section `name` of the document has. BASE_E_INVALID with why. */
MUST_CHECK int arb_settings_section(const json_t *document, const char *name,
                                    const struct arb_settings_key *keys, size_t count,
                                    struct msg_record *ret, struct arb_settings_why *why);

/* What an engine has for ttl and heartbeat where the document says none. */
void arb_settings_times(const json_t *document, uint32_t ttl_ms, uint32_t heartbeat_ms,
                        struct msg_record *ret);

#endif
