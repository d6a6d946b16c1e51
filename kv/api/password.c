/* SPDX-License-Identifier: Apache-2.0 */
/* Hashes of passwords; see password.h. */
#include "kv/api/password.h"

#include <crypt.h>
#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

/* Compared with where there is nothing to compare with; no password has it. */
static const char nobody[] = "$2b$10$......................0123456789012345678901234567890";
_Static_assert(sizeof(nobody) == PASSWORD_HASH_BYTES + 1, "a hash as long as any");

bool password_is_fit(struct slice clear)
{
    return clear.len <= PASSWORD_MAX &&
           (clear.len == 0 || memchr(clear.data, 0, clear.len) == NULL);
}

/* crypt_rn with the clear text as NUL-terminated text; all that held it is wiped. */
static int run_crypt(struct slice clear, const char *setting, uint8_t ret[PASSWORD_HASH_BYTES])
{
    struct work {
        struct crypt_data data;
        char clear[PASSWORD_MAX + 1];
    };
    struct work *work = calloc(1, sizeof(*work));
    if (work == NULL) {
        return BASE_E_NOMEM;
    }
    if (clear.len > 0) {
        memcpy(work->clear, clear.data, clear.len);
    }
    const char *hash = crypt_rn(work->clear, setting, &work->data, (int)sizeof(work->data));
    bool is_good = hash != NULL && hash[0] == '$' && strlen(hash) == PASSWORD_HASH_BYTES;
    if (is_good) {
        memcpy(ret, hash, PASSWORD_HASH_BYTES);
    }
    explicit_bzero(work, sizeof(*work));
    free(work);
    return is_good ? 0 : BASE_E_INVALID;
}

int password_hash(struct slice clear, uint8_t ret[PASSWORD_HASH_BYTES])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!password_is_fit(clear)) {
        return BASE_E_INVALID;
    }
    if (crypt_gensalt_rn("$2b$", PASSWORD_COST, NULL, 0, setting, (int)sizeof(setting)) == NULL) {
        return BASE_E_IO;
    }
    return run_crypt(clear, setting, ret);
}

static bool is_digit(uint8_t byte)
{
    return byte >= '0' && byte <= '9';
}

static bool is_hash(struct slice hash)
{
    if (hash.len != PASSWORD_HASH_BYTES || memchr(hash.data, 0, hash.len) != NULL ||
        hash.data[0] != '$' || hash.data[1] != '2' || hash.data[3] != '$' || hash.data[6] != '$' ||
        !is_digit(hash.data[4]) || !is_digit(hash.data[5])) {
        return false;
    }
    unsigned cost = (unsigned)(hash.data[4] - '0') * 10u + (unsigned)(hash.data[5] - '0');
    return (hash.data[2] == 'a' || hash.data[2] == 'b' || hash.data[2] == 'y') && cost >= 4 &&
           cost <= PASSWORD_COST_MAX;
}

bool password_fits(struct slice clear, struct slice hash)
{
    char setting[PASSWORD_HASH_BYTES + 1];
    uint8_t made[PASSWORD_HASH_BYTES];
    bool is_known = is_hash(hash) && password_is_fit(clear);
    memcpy(setting, nobody, sizeof(setting));
    if (is_known) {
        memcpy(setting, hash.data, PASSWORD_HASH_BYTES);
    }
    int rc = run_crypt(password_is_fit(clear) ? clear : SLICE_EMPTY, setting, made);
    bool is_same = rc == 0 && CRYPTO_memcmp(made, setting, sizeof(made)) == 0;
    OPENSSL_cleanse(made, sizeof(made));
    return is_same && is_known;
}
