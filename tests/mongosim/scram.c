/* SPDX-License-Identifier: Apache-2.0 */
/* SCRAM (scram.h) with OpenSSL's primitives. Salts are made from the name, so that what a client
 * keeps of them stays right over restarts; this is a test server.
 */
#include "tests/mongosim/scram.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define ITERATIONS 4096 /* the least that drivers accept */
#define HASH_MAX 32

static const EVP_MD *hash_of(enum scram_kind kind)
{
    return kind == SCRAM_SHA_1 ? EVP_sha1() : EVP_sha256();
}

static size_t hash_size(enum scram_kind kind)
{
    return kind == SCRAM_SHA_1 ? 20 : 32;
}

static void to_base64(const uint8_t *data, size_t len, char *ret)
{
    EVP_EncodeBlock((unsigned char *)ret, data, (int)len);
}

/* Bytes decoded; 0 when it is not base64, or not of this length. */
static size_t from_base64(const char *text, uint8_t *ret, size_t cap)
{
    size_t len = strlen(text);
    if (len == 0 || len % 4 != 0 || len / 4 * 3 > cap + 2 || len > 128) {
        return 0;
    }
    uint8_t raw[96];
    if (EVP_DecodeBlock(raw, (const unsigned char *)text, (int)len) < 0) {
        return 0;
    }
    size_t size = len / 4 * 3 - (text[len - 1] == '=') - (text[len - 2] == '=');
    if (size > cap) {
        return 0;
    }
    memcpy(ret, raw, size);
    return size;
}

/* The value of "k=" in a message; empty when it is missing or too long. */
static void value_of(const char *message, char key, char *ret, size_t cap)
{
    ret[0] = 0;
    for (const char *at = message; at != NULL && *at != 0;) {
        const char *comma = strchr(at, ',');
        size_t len = comma != NULL ? (size_t)(comma - at) : strlen(at);
        if (len >= 2 && at[0] == key && at[1] == '=' && len - 2 < cap) {
            memcpy(ret, at + 2, len - 2);
            ret[len - 2] = 0;
            return;
        }
        at = comma != NULL ? comma + 1 : NULL;
    }
}

static void salt_of(const struct scram *scram, uint8_t ret[28])
{
    uint8_t sum[HASH_MAX];
    unsigned len;
    EVP_Digest(scram->user, strlen(scram->user), sum, &len, EVP_sha256(), NULL);
    memcpy(ret, sum, 28);
}

/* Salts are of 16 bytes for SHA-1 and of 28 for SHA-256. */
static size_t salt_size(enum scram_kind kind)
{
    return kind == SCRAM_SHA_1 ? 16 : 28;
}

bool scram_first(struct scram *scram, enum scram_kind kind, const char *message, char *ret,
                 size_t cap)
{
    uint8_t random[18], salt[28];
    char client_nonce[64], server_nonce[32], salt_text[48];
    *scram = (struct scram){.kind = kind};
    if (strncmp(message, "n,,", 3) != 0 || strlen(message) > SCRAM_TEXT_MAX) {
        return false;
    }
    snprintf(scram->first_bare, sizeof scram->first_bare, "%s", message + 3);
    value_of(scram->first_bare, 'n', scram->user, sizeof scram->user);
    value_of(scram->first_bare, 'r', client_nonce, sizeof client_nonce);
    if (scram->user[0] == 0 || client_nonce[0] == 0 || RAND_bytes(random, sizeof random) != 1) {
        return false;
    }
    to_base64(random, sizeof random, server_nonce);
    snprintf(scram->nonce, sizeof scram->nonce, "%s%s", client_nonce, server_nonce);
    salt_of(scram, salt);
    to_base64(salt, salt_size(kind), salt_text);
    snprintf(scram->server_first, sizeof scram->server_first, "r=%s,s=%s,i=%d", scram->nonce,
             salt_text, ITERATIONS);
    snprintf(ret, cap, "%s", scram->server_first);
    scram->step = 1;
    return true;
}

/* What is hashed: the password itself, or for SHA-1 MongoDB's digest of it. */
static void secret_of(const struct scram *scram, const char *password, char *ret, size_t cap)
{
    if (scram->kind == SCRAM_SHA_256) {
        snprintf(ret, cap, "%s", password);
        return;
    }
    char text[256];
    uint8_t sum[16];
    unsigned len;
    snprintf(text, sizeof text, "%s:mongo:%s", scram->user, password);
    EVP_Digest(text, strlen(text), sum, &len, EVP_md5(), NULL);
    for (size_t i = 0; i < sizeof sum; i++) {
        snprintf(ret + 2 * i, cap - 2 * i, "%02x", sum[i]);
    }
}

static void mac(enum scram_kind kind, const uint8_t *key, const char *text, uint8_t *ret)
{
    unsigned len;
    HMAC(hash_of(kind), key, (int)hash_size(kind), (const uint8_t *)text, strlen(text), ret, &len);
}

bool scram_final(struct scram *scram, const char *password, const char *message, char *ret,
                 size_t cap)
{
    size_t size = hash_size(scram->kind);
    char nonce[128], proof_text[64], secret[256], auth[3 * SCRAM_TEXT_MAX];
    uint8_t salt[28], salted[HASH_MAX], client_key[HASH_MAX], stored[HASH_MAX], sign[HASH_MAX];
    uint8_t server_key[HASH_MAX], proof[HASH_MAX];
    char server_text[64];
    unsigned len;
    value_of(message, 'r', nonce, sizeof nonce);
    value_of(message, 'p', proof_text, sizeof proof_text);
    const char *proof_at = strstr(message, ",p=");
    if (scram->step != 1 || strcmp(nonce, scram->nonce) != 0 || proof_at == NULL ||
        from_base64(proof_text, proof, sizeof proof) != size) {
        return false;
    }
    snprintf(auth, sizeof auth, "%s,%s,%.*s", scram->first_bare, scram->server_first,
             (int)(proof_at - message), message);
    salt_of(scram, salt);
    secret_of(scram, password, secret, sizeof secret);
    PKCS5_PBKDF2_HMAC(secret, (int)strlen(secret), salt, (int)salt_size(scram->kind), ITERATIONS,
                      hash_of(scram->kind), (int)size, salted);
    mac(scram->kind, salted, "Client Key", client_key);
    EVP_Digest(client_key, size, stored, &len, hash_of(scram->kind), NULL);
    mac(scram->kind, stored, auth, sign);
    for (size_t i = 0; i < size; i++) {
        sign[i] ^= client_key[i];
    }
    if (CRYPTO_memcmp(sign, proof, size) != 0) {
        return false;
    }
    mac(scram->kind, salted, "Server Key", server_key);
    mac(scram->kind, server_key, auth, sign);
    to_base64(sign, size, server_text);
    snprintf(ret, cap, "v=%s", server_text);
    scram->step = 2;
    return true;
}
