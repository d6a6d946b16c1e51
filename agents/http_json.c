/* SPDX-License-Identifier: Apache-2.0 */
/* See http_json.h. */
#include "agents/http_json.h"

static void json_sep(struct agt_json *j)
{
    if (j->is_next) {
        buf_put_u8(j->b, ',');
    }
    j->is_next = true;
}

static void json_text(struct agt_json *j, struct slice text)
{
    buf_put_u8(j->b, '"');
    for (size_t i = 0; i < text.len; i++) {
        uint8_t c = text.data[i];
        if (c == '"' || c == '\\') {
            buf_put_u8(j->b, '\\');
            buf_put_u8(j->b, c);
        } else if (c < 0x20) {
            buf_put_text(j->b, "\\u");
            buf_put_hex(j->b, c, 4);
        } else {
            buf_put_u8(j->b, c);
        }
    }
    buf_put_u8(j->b, '"');
}

void agt_json_key(struct agt_json *j, const char *key)
{
    json_sep(j);
    if (key != NULL) {
        json_text(j, slice_from_text(key));
        buf_put_u8(j->b, ':');
    }
}

void agt_json_open(struct agt_json *j, const char *key, char bracket)
{
    agt_json_key(j, key);
    buf_put_u8(j->b, (uint8_t)bracket);
    j->is_next = false;
}

void agt_json_close(struct agt_json *j, char bracket)
{
    buf_put_u8(j->b, (uint8_t)bracket);
    j->is_next = true;
}

void agt_json_put_text(struct agt_json *j, const char *key, const char *text)
{
    agt_json_key(j, key);
    json_text(j, slice_from_text(text));
}

void agt_json_put_number(struct agt_json *j, const char *key, uint64_t number)
{
    agt_json_key(j, key);
    buf_put_dec(j->b, number);
}

/* "2026-03-01T12:00:00.000000+00:00" of a wall clock (UTC; civil from days, proleptic Gregorian).
 */
void agt_json_put_time(struct agt_json *j, const char *key, int64_t wall_us)
{
    int64_t days = wall_us / (86400 * BASE_US_PER_S);
    int64_t rest = wall_us % (86400 * BASE_US_PER_S);
    int64_t shifted = days + 719468; /* from 0000-03-01: leap days are last */
    int64_t era = shifted / 146097;
    int64_t doe = shifted % 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    int64_t mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    const struct {
        int64_t value;
        int64_t scale; /* digits */
        char before;
    } parts[] = {{yoe + era * 400 + (month <= 2 ? 1 : 0), 1000, '"'},
                 {month, 10, '-'},
                 {doy - (153 * mp + 2) / 5 + 1, 10, '-'},
                 {rest / (3600 * BASE_US_PER_S), 10, 'T'},
                 {rest / (60 * BASE_US_PER_S) % 60, 10, ':'},
                 {rest / BASE_US_PER_S % 60, 10, ':'},
                 {rest % BASE_US_PER_S, 100000, '.'}};
    agt_json_key(j, key);
    for (size_t i = 0; i < BASE_COUNT_OF(parts); i++) {
        buf_put_u8(j->b, (uint8_t)parts[i].before);
        for (int64_t scale = parts[i].scale; scale > 0; scale /= 10) {
            buf_put_u8(j->b, (uint8_t)('0' + parts[i].value / scale % 10));
        }
    }
    buf_put_text(j->b, "+00:00\"");
}

/* As PostgreSQL writes it: capitals, no zeros in front. */
static void put_hex(struct buf *b, uint32_t value)
{
    unsigned digits = 1;
    while (digits < 8 && value >> (4 * digits) != 0) {
        digits++;
    }
    while (digits-- > 0) {
        buf_put_u8(b, (uint8_t) "0123456789ABCDEF"[value >> (4 * digits) & 15]);
    }
}

/* "16/B374D848" */
void agt_json_put_lsn(struct agt_json *j, const char *key, uint64_t lsn)
{
    uint32_t high = (uint32_t)(lsn >> 32);
    uint32_t low = (uint32_t)lsn;
    agt_json_key(j, key);
    buf_put_u8(j->b, '"');
    put_hex(j->b, high);
    buf_put_u8(j->b, '/');
    put_hex(j->b, low);
    buf_put_u8(j->b, '"');
}

void agt_json_put_bool(struct agt_json *j, const char *key, bool is_true)
{
    agt_json_key(j, key);
    buf_put_text(j->b, is_true ? "true" : "false");
}
