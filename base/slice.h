/* SPDX-License-Identifier: Apache-2.0 */
/* Borrowed bytes (slice) and a bounded writer (buf). Pure, no allocation.
 *
 * A slice never owns; whoever hands it out says how long it lives. A buf writes into memory of its
 * caller and never beyond its capacity: what does not fit sets `is_full` and is dropped whole, so
 * one check at the end suffices. Only buf functions write bytes in the cores.
 */
#ifndef QUORATE_BASE_SLICE_H
#define QUORATE_BASE_SLICE_H

#include "base/error.h"
#include "base/types.h"

struct slice {
    const uint8_t *data;
    size_t len;
};

struct buf {
    uint8_t *data;
    size_t len;
    size_t cap;
    bool is_full; /* something did not fit */
};

#define SLICE_EMPTY ((struct slice){NULL, 0})
/* Slice of a string literal, without its NUL. */
#define SLICE_LIT(literal) ((struct slice){(const uint8_t *)(literal), sizeof(literal) - 1})

struct slice slice_from_text(const char *text); /* up to the NUL */
struct slice slice_from(const void *data, size_t len);
bool slice_equal(struct slice a, struct slice b);
/* Bytewise order; a prefix sorts first. */
int slice_compare(struct slice a, struct slice b);
bool slice_has_prefix(struct slice s, struct slice prefix);
/* s without its first n bytes; n above s.len gives the empty slice. */
struct slice slice_skip(struct slice s, size_t n);

struct buf buf_over(void *memory, size_t cap);
struct slice buf_slice(const struct buf *b);
void buf_reset(struct buf *b);
void buf_put(struct buf *b, struct slice bytes);
void buf_put_text(struct buf *b, const char *text);
void buf_put_u8(struct buf *b, uint8_t value);
/* Fixed-width big-endian (sorts as the number does) and little-endian. */
void buf_put_u32_be(struct buf *b, uint32_t value);
void buf_put_u64_be(struct buf *b, uint64_t value);
void buf_put_u32_le(struct buf *b, uint32_t value);
/* Decimal and lower-case hexadecimal text. width pads with zeros on the left. */
void buf_put_dec(struct buf *b, uint64_t value);
void buf_put_int(struct buf *b, int64_t value);
void buf_put_hex(struct buf *b, uint64_t value, unsigned width);
/* Appends a NUL outside of len, so that data can be used as text; false when there was no room. */
bool buf_terminate(struct buf *b);

/* Readers: take from the front of *s. BASE_E_PROTO when too short, *s and *ret untouched then. */
MUST_CHECK int slice_take_u8(struct slice *s, uint8_t *ret);
MUST_CHECK int slice_take_u32_be(struct slice *s, uint32_t *ret);
MUST_CHECK int slice_take_u64_be(struct slice *s, uint64_t *ret);
MUST_CHECK int slice_take_bytes(struct slice *s, size_t len, struct slice *ret);
/* Whole slice as decimal number without sign. BASE_E_INVALID on anything else or overflow. */
MUST_CHECK int slice_to_u64(struct slice s, uint64_t *ret);

#endif
