/* SPDX-License-Identifier: Apache-2.0 */
/* Ids from names by FNV-1a, 64 bit (Fowler, Noll, Vo). */
#include "proto/io/node_id.h"

#define HASH_START UINT64_C(0xcbf29ce484222325)
#define HASH_PRIME UINT64_C(0x100000001b3)

static uint64_t hash_more(uint64_t hash, const char *text)
{
    for (; *text != '\0'; text++) {
        hash = (hash ^ (uint8_t)*text) * HASH_PRIME;
    }
    return (hash ^ 0xff) * HASH_PRIME;
}

static uint64_t id_of(uint64_t hash)
{
    uint64_t id = (hash ^ hash >> 32) & (UINT64_MAX >> 1);
    return id == 0 ? 1 : id;
}

uint64_t io_node_id(const char *token, const char *name)
{
    return id_of(hash_more(hash_more(HASH_START, token), name));
}

uint64_t io_quorum_id(const char *token, const char *const *names, size_t count)
{
    uint64_t hash = hash_more(HASH_START, token);
    for (size_t i = 0; i < count; i++) {
        hash = hash_more(hash, names[i]);
    }
    return id_of(hash);
}
