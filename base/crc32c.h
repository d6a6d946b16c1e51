/* SPDX-License-Identifier: Apache-2.0 */
/* CRC-32C (Castagnoli), as in RFC 3720 appendix B.4. Pure. */
#ifndef QUORATE_BASE_CRC32C_H
#define QUORATE_BASE_CRC32C_H

#include "base/slice.h"

/* Checksum of bytes continued from `crc`; start with 0. */
uint32_t base_crc32c(uint32_t crc, struct slice bytes);
/* The same without the processor's instruction; for processors that lack it, and for tests. */
uint32_t base_crc32c_portable(uint32_t crc, struct slice bytes);

#endif
