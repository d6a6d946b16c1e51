/* SPDX-License-Identifier: Apache-2.0 */
/* What a request must look like, whatever the store holds: the same answer when it is proposed and
 * when it is applied. Pure. */
#ifndef QUORATE_KV_CORE_CHECK_H
#define QUORATE_KV_CORE_CHECK_H

#include "proto/msg/kv.h"

/* A request of a client: keys given and not too long, sort options known, flags that fit,
 * operations within their number, no key changed twice in one transaction, nothing written under
 * KV_RESERVED_PREFIX; a TTL within its limit; a known alarm. Kinds that are checked elsewhere
 * (users and roles, members) pass; SWAP and unknown kinds are MALFORMED. */
enum kv_error kv_check_request(const struct kv_request *request);

/* The arbiter's swap: a name, an epoch and revision above the expected ones or the removal of a
 * row, all puts under KV_RESERVED_PREFIX, sizes within their limits. MALFORMED or
 * REQUEST_TOO_LARGE. */
enum kv_error kv_check_swap(const struct kv_swap *swap);
/* Takes the row away instead of changing it. */
bool kv_swap_is_removal(const struct kv_swap *swap);

/* Whether a checked request of a kind that may stand in the log changes nothing: RANGE, TXN with
 * ranges only, ALARM that only asks. */
bool kv_request_is_read(const struct kv_request *request);
/* Whether a reading request may be answered from local state alone: every range in it is
 * serializable. */
bool kv_request_is_serializable(const struct kv_request *request);
/* AUTH_ENABLE to ROLE_REVOKE, with AUTHENTICATE. */
bool kv_kind_changes_auth(uint32_t kind);
/* Whether it puts something, so that it needs room. */
bool kv_request_has_put(const struct kv_request *request);

#endif
