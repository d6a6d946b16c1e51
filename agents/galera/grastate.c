/* SPDX-License-Identifier: Apache-2.0 */
/* See grastate.h. Lines are "key: value"; comments begin with '#'. */
#include "agents/galera/grastate.h"

#include <string.h>

#include "base/name.h"

#define UUID_TEXT 36
#define RECOVERED SLICE_LIT("Recovered position:")
#define INNODB SLICE_LIT("[ERROR] InnoDB: ")

static bool hex_of(uint8_t c, uint8_t *ret)
{
    if (c >= '0' && c <= '9') {
        *ret = (uint8_t)(c - '0');
    } else if (c >= 'a' && c <= 'f') {
        *ret = (uint8_t)(c - 'a' + 10);
    } else if (c >= 'A' && c <= 'F') {
        *ret = (uint8_t)(c - 'A' + 10);
    } else {
        return false;
    }
    return true;
}

static bool is_dash_place(size_t i)
{
    return i == 8 || i == 13 || i == 18 || i == 23;
}

int gal_uuid_parse(struct slice text, uint8_t ret[static 16])
{
    uint8_t uuid[16] = {0};
    size_t digits = 0;
    if (text.len != UUID_TEXT) {
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < UUID_TEXT; i++) {
        uint8_t digit = 0;
        if (is_dash_place(i)) {
            if (text.data[i] != '-') {
                return BASE_E_INVALID;
            }
            continue;
        }
        if (!hex_of(text.data[i], &digit)) {
            return BASE_E_INVALID;
        }
        uuid[digits / 2] = (uint8_t)(uuid[digits / 2] << 4 | digit);
        digits++;
    }
    memcpy(ret, uuid, sizeof(uuid));
    return 0;
}

void gal_uuid_put(const uint8_t uuid[static 16], struct buf *b)
{
    for (size_t i = 0; i < 16; i++) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            buf_put_u8(b, '-');
        }
        buf_put_hex(b, uuid[i], 2);
    }
}

bool gal_uuid_is_nil(const uint8_t uuid[static 16])
{
    static const uint8_t nil[16];
    return memcmp(uuid, nil, sizeof(nil)) == 0;
}

static struct slice trimmed(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s = slice_skip(s, 1);
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\t' ||
                         s.data[s.len - 1] == '\r' || s.data[s.len - 1] == '\n')) {
        s.len--;
    }
    return s;
}

static int seqno_parse(struct slice text, int64_t *ret)
{
    uint64_t number = 0;
    if (slice_equal(text, SLICE_LIT("-1"))) {
        *ret = -1;
        return 0;
    }
    if (slice_to_u64(text, &number) != 0 || number > INT64_MAX) {
        return BASE_E_INVALID;
    }
    *ret = (int64_t)number;
    return 0;
}

int gal_position_parse(struct slice text, struct msg_galera_position *ret)
{
    struct msg_galera_position p = {{0}, -1};
    text = trimmed(text);
    if (text.len < UUID_TEXT + 2 || text.data[UUID_TEXT] != ':' ||
        gal_uuid_parse((struct slice){text.data, UUID_TEXT}, p.uuid) != 0) {
        return BASE_E_INVALID;
    }
    /* With domain and server ids behind a comma where those are in use. */
    struct slice number = slice_skip(text, UUID_TEXT + 1);
    const uint8_t *comma = memchr(number.data, ',', number.len);
    number.len = comma == NULL ? number.len : (size_t)(comma - number.data);
    if (seqno_parse(number, &p.seqno) != 0) {
        return BASE_E_INVALID;
    }
    *ret = p;
    return 0;
}

void gal_position_put(const struct msg_galera_position *position, struct buf *b)
{
    gal_uuid_put(position->uuid, b);
    buf_put_u8(b, ':');
    buf_put_int(b, position->seqno);
}

/* Takes the next line; false at the end. */
static bool line_next(struct slice *text, struct slice *ret)
{
    if (text->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(text->data, '\n', text->len);
    size_t len = end == NULL ? text->len : (size_t)(end - text->data);
    *ret = trimmed((struct slice){text->data, len});
    *text = slice_skip(*text, len + 1);
    return true;
}

/* "key: value" */
static bool value_of(struct slice line, struct slice key, struct slice *ret)
{
    if (!slice_has_prefix(line, key) || line.len <= key.len || line.data[key.len] != ':') {
        return false;
    }
    *ret = trimmed(slice_skip(line, key.len + 1));
    return true;
}

int gal_grastate_parse(struct slice text, struct gal_grastate *ret)
{
    struct gal_grastate state = {.position.seqno = -1};
    bool has_uuid = false;
    bool has_seqno = false;
    struct slice line;
    struct slice value;
    while (line_next(&text, &line)) {
        if (value_of(line, SLICE_LIT("uuid"), &value)) {
            if (gal_uuid_parse(value, state.position.uuid) != 0) {
                return BASE_E_INVALID;
            }
            has_uuid = true;
        } else if (value_of(line, SLICE_LIT("seqno"), &value)) {
            if (seqno_parse(value, &state.position.seqno) != 0) {
                return BASE_E_INVALID;
            }
            has_seqno = true;
        } else if (value_of(line, SLICE_LIT("safe_to_bootstrap"), &value)) {
            state.is_safe_to_bootstrap = slice_equal(value, SLICE_LIT("1"));
        }
    }
    if (!has_uuid || !has_seqno) {
        return BASE_E_INVALID;
    }
    *ret = state;
    return 0;
}

void gal_grastate_put(const struct gal_grastate *state, struct buf *b)
{
    buf_put_text(b, "# GALERA saved state\nversion: 2.1\nuuid:    ");
    gal_uuid_put(state->position.uuid, b);
    buf_put_text(b, "\nseqno:   ");
    buf_put_int(b, state->position.seqno);
    buf_put_text(b, "\nsafe_to_bootstrap: ");
    buf_put_u8(b, state->is_safe_to_bootstrap ? '1' : '0');
    buf_put_u8(b, '\n');
}

int gal_gvwstate_parse(struct slice text, unsigned *ret_members)
{
    unsigned members = 0;
    bool has_view = false;
    struct slice line;
    struct slice value;
    while (line_next(&text, &line)) {
        if (slice_has_prefix(line, SLICE_LIT("view_id:"))) {
            has_view = true;
        } else if (value_of(line, SLICE_LIT("member"), &value)) {
            uint8_t uuid[16];
            if (value.len < UUID_TEXT ||
                gal_uuid_parse((struct slice){value.data, UUID_TEXT}, uuid) != 0) {
                return BASE_E_INVALID;
            }
            members++;
        }
    }
    if (!has_view || members == 0) {
        return BASE_E_INVALID;
    }
    *ret_members = members;
    return 0;
}

/* What stands behind `mark`; empty: it is not there. */
static struct slice behind(struct slice line, struct slice mark)
{
    for (size_t i = 0; i + mark.len <= line.len; i++) {
        struct slice rest = slice_skip(line, i);
        if (slice_has_prefix(rest, mark)) {
            return slice_skip(rest, mark.len);
        }
    }
    return SLICE_EMPTY;
}

bool gal_recovered_parse(struct slice line, struct msg_galera_position *ret)
{
    struct slice rest = behind(line, RECOVERED);
    return rest.len > 0 && gal_position_parse(rest, ret) == 0;
}

void gal_damage_note(struct gal_damage *damage, struct slice line)
{
    static const char *const system[] = {"perating system error", "No space left", "OS error",
                                         "Unable to lock", "must be writable"};
    struct slice what = behind(line, INNODB);
    if (what.len > 0 && damage->first.text[0] == '\0') {
        damage->first = base_text_from(what);
    }
    for (size_t i = 0; i < BASE_COUNT_OF(system); i++) {
        damage->is_of_system =
            damage->is_of_system || behind(line, slice_from_text(system[i])).len > 0;
    }
}

bool gal_is_damaged(const struct gal_damage *damage)
{
    return damage->first.text[0] != '\0' && !damage->is_of_system;
}
