/* SPDX-License-Identifier: Apache-2.0 */
/* Fields of JSON objects; see json_put.h. */
#include "arbiter/json_put.h"

#include "base/name.h"

void arb_json_text(struct buf *out, struct slice text)
{
    buf_put_u8(out, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(out, '\\');
            buf_put_u8(out, c);
        } else if (c < ' ' || c >= 0x7f) { /* also what may not be UTF-8 */
            buf_put_text(out, "\\u");
            buf_put_hex(out, c, 4);
        } else {
            buf_put_u8(out, c);
        }
    }
    buf_put_u8(out, '"');
}

void arb_put_key(struct buf *out, const char *key)
{
    if (out->len > 0 && out->data[out->len - 1] != '{') {
        buf_put_u8(out, ',');
    }
    arb_json_text(out, slice_from_text(key));
    buf_put_u8(out, ':');
}

void arb_put_text(struct buf *out, const char *key, struct slice text)
{
    arb_put_key(out, key);
    arb_json_text(out, text);
}

void arb_put_word(struct buf *out, const char *key, const char *word)
{
    arb_put_text(out, key, slice_from_text(word));
}

void arb_put_name(struct buf *out, const char *key, const struct base_name *name)
{
    arb_put_text(out, key, base_name_slice(name));
}

void arb_put_number(struct buf *out, const char *key, uint64_t value)
{
    arb_put_key(out, key);
    buf_put_dec(out, value);
}

void arb_put_signed(struct buf *out, const char *key, int64_t value)
{
    arb_put_key(out, key);
    buf_put_int(out, value);
}

void arb_put_bool(struct buf *out, const char *key, bool value)
{
    arb_put_key(out, key);
    buf_put_text(out, value ? "true" : "false");
}
