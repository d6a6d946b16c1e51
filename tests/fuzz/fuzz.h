/* SPDX-License-Identifier: Apache-2.0 */
/* What the fuzz targets share: an input as a source of small decisions. When it is used up every
 * further byte is 0, so a short input ends a script. */
#ifndef QUORATE_TESTS_FUZZ_FUZZ_H
#define QUORATE_TESTS_FUZZ_FUZZ_H

#include <stdlib.h>
#include <string.h>

#include "base/assert.h"
#include "base/slice.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static inline uint8_t fuzz_u8(struct slice *in)
{
    uint8_t value = 0;
    return slice_take_u8(in, &value) == 0 ? value : 0;
}

static inline uint32_t fuzz_u16(struct slice *in)
{
    uint32_t high = fuzz_u8(in);
    return high << 8 | fuzz_u8(in);
}

/* At most `len` bytes off the front. */
static inline struct slice fuzz_bytes(struct slice *in, size_t len)
{
    struct slice taken = slice_from(in->data, len < in->len ? len : in->len);
    *in = slice_skip(*in, taken.len);
    return taken;
}

#endif
