/* SPDX-License-Identifier: Apache-2.0 */
/* Records and members as the quorum keeps them (JSON, arbiter/record_json.h) into what the core
 * takes. No I/O. */
#ifndef QUORATE_AGENTS_PROXY_FACTS_H
#define QUORATE_AGENTS_PROXY_FACTS_H

#include "agents/proxy/core/core.h"

/* BASE_E_UNSUPPORTED: of an engine whose clients find the primary by themselves (MongoDB).
 * BASE_E_PROTO: not what the arbiter writes. Fields that are missing have their defaults, but for
 * epoch, revision and holder. *ret untouched on failure. */
MUST_CHECK int proxy_record_parse(struct slice json, struct proxy_record *ret);
/* `name` is the last part of the key. */
MUST_CHECK int proxy_member_parse(struct slice name, struct slice json, struct proxy_seen *ret);

#endif
