/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of passwords: bcrypt of libxcrypt, as etcd's users have them. Slow on purpose (some 50
 * ms): for worker threads only. Safe in any thread. */
#ifndef QUORATE_KV_API_PASSWORD_H
#define QUORATE_KV_API_PASSWORD_H

#include "base/error.h"
#include "base/slice.h"

#define PASSWORD_MAX 500u /* bytes; bcrypt itself looks at the first 72 */
#define PASSWORD_HASH_BYTES 60u
#define PASSWORD_COST 10u     /* of new hashes: 2^10 rounds, etcd's default */
#define PASSWORD_COST_MAX 14u /* of hashes that are compared with; higher ones fit nothing */

/* Whether it can be hashed: not too long, no NUL in it. */
bool password_is_fit(struct slice clear);
/* A new hash with a salt of its own. BASE_E_INVALID, BASE_E_NOMEM, BASE_E_IO (no random numbers).
 */
MUST_CHECK int password_hash(struct slice clear, uint8_t ret[PASSWORD_HASH_BYTES]);
/* Whether the password belongs to the hash. With an empty or unusable hash the answer is no and
 * takes as long. */
bool password_fits(struct slice clear, struct slice hash);
#endif
