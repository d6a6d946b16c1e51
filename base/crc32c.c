/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C: by the processor's instruction where it has one, else by a nibble table, which is small
 * enough to stay in the cache and needs no start-up work. Both give the same numbers. */
#include "base/crc32c.h"

#include <string.h>

/* Remainders of the 16 nibbles for the reflected polynomial 0x82f63b78. */
static const uint32_t nibble_table[16] = {
    0x00000000, 0x105ec76f, 0x20bd8ede, 0x30e349b1, 0x417b1dbc, 0x5125dad3, 0x61c69362, 0x7198540d,
    0x82f63b78, 0x92a8fc17, 0xa24bb5a6, 0xb21572c9, 0xc38d26c4, 0xd3d3e1ab, 0xe330a81a, 0xf36e6f75,
};

uint32_t base_crc32c_portable(uint32_t crc, struct slice bytes)
{
    crc = ~crc;
    for (size_t i = 0; i < bytes.len; i++) {
        crc ^= bytes.data[i];
        crc = (crc >> 4) ^ nibble_table[crc & 15];
        crc = (crc >> 4) ^ nibble_table[crc & 15];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, struct slice bytes)
{
    uint64_t wide = ~crc;
    size_t i = 0;
    for (; i + sizeof(uint64_t) <= bytes.len; i += sizeof(uint64_t)) {
        uint64_t word;
        memcpy(&word, bytes.data + i, sizeof(word));
        wide = __builtin_ia32_crc32di(wide, word);
    }
    crc = (uint32_t)wide;
    for (; i < bytes.len; i++) {
        crc = __builtin_ia32_crc32qi(crc, bytes.data[i]);
    }
    return ~crc;
}
#endif

uint32_t base_crc32c(uint32_t crc, struct slice bytes)
{
#if defined(__x86_64__)
    if (__builtin_cpu_supports("sse4.2")) {
        return crc32c_sse42(crc, bytes);
    }
#endif
    return base_crc32c_portable(crc, bytes);
}
