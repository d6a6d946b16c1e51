/* SPDX-License-Identifier: Apache-2.0 */
/* What goes out in front of a connection's bytes: a refusal that the client's library can show, and
 * the PROXY protocol's header. */
#include "agents/proxy/core/core.h"

#define MYSQL_TOO_MANY 1040u /* ER_CON_COUNT_ERROR: clients take it as "try again later" */
#define TLS_HANDSHAKE 0x16u  /* first byte */

static void put_text(struct buf *out, const char *prefix, enum proxy_reason reason)
{
    buf_put_text(out, prefix);
    buf_put_text(out, "quorate-proxy: ");
    buf_put_text(out, proxy_reason_text(reason));
}

/* ErrorResponse: PostgreSQL manual, "Message Formats"; 57P03 cannot_connect_now, 53300
 * too_many_connections. A client that has asked for TLS takes it as the answer to that: libpq says
 * so without the sentence, which then stands in the log alone. */
static void put_postgresql(enum proxy_reason reason, struct buf *out)
{
    bool is_full = reason == PROXY_REASON_TOO_MANY || reason == PROXY_REASON_TOO_MANY_HELD;
    uint8_t memory[512];
    struct buf body = buf_over(memory, sizeof(memory));
    buf_put(&body, SLICE_LIT("SFATAL\0VFATAL\0"));
    buf_put(&body, is_full ? SLICE_LIT("C53300\0") : SLICE_LIT("C57P03\0"));
    put_text(&body, "M", reason);
    buf_put(&body, SLICE_LIT("\0\0"));
    buf_put_u8(out, 'E');
    buf_put_u32_be(out, (uint32_t)body.len + 4);
    buf_put(out, buf_slice(&body));
}

/* An ERR packet in place of the greeting: MariaDB, "ERR_Packet"; before the handshake there is no
 * SQL state in it. */
static void put_mysql(enum proxy_reason reason, struct buf *out)
{
    uint8_t memory[512];
    struct buf body = buf_over(memory, sizeof(memory));
    buf_put_u8(&body, 0xff);
    buf_put_u8(&body, MYSQL_TOO_MANY & 0xff);
    buf_put_u8(&body, MYSQL_TOO_MANY >> 8);
    put_text(&body, "", reason);
    buf_put_u8(out, (uint8_t)(body.len & 0xff));
    buf_put_u8(out, (uint8_t)(body.len >> 8));
    buf_put_u8(out, 0);
    buf_put_u8(out, 0); /* sequence */
    buf_put(out, buf_slice(&body));
}

void proxy_refusal_put(enum proxy_language language, struct slice said, enum proxy_reason reason,
                       struct buf *out)
{
    if (language == PROXY_SPEAKS_POSTGRESQL) {
        if (said.len > 0 && said.data[0] == TLS_HANDSHAKE) {
            return; /* TLS from the first byte: it would understand nothing */
        }
        put_postgresql(reason, out);
    } else if (language == PROXY_SPEAKS_MYSQL) {
        put_mysql(reason, out);
    }
}

static void put_u16_be(struct buf *out, uint16_t value)
{
    buf_put_u8(out, (uint8_t)(value >> 8));
    buf_put_u8(out, (uint8_t)(value & 0xff));
}

void proxy_header_put(const struct proxy_ends *ends, struct buf *out)
{
    bool is_four = ends->family == 4;
    bool is_known = is_four || ends->family == 6;
    size_t address = is_four ? 4 : 16;
    buf_put(out, SLICE_LIT("\r\n\r\n\0\r\nQUIT\n"));
    buf_put_u8(out, is_known ? 0x21 : 0x20); /* version 2; PROXY, or LOCAL */
    buf_put_u8(out, is_known ? (is_four ? 0x11 : 0x21) : 0x00);
    put_u16_be(out, is_known ? (uint16_t)(2 * address + 4) : 0);
    if (is_known) {
        buf_put(out, slice_from(ends->from, address));
        buf_put(out, slice_from(ends->to, address));
        put_u16_be(out, ends->from_port);
        put_u16_be(out, ends->to_port);
    }
}
