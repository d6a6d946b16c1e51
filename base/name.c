/* SPDX-License-Identifier: Apache-2.0 */
/* Bounded names and texts. */
#include "base/name.h"

#include <string.h>

static bool is_name_byte(uint8_t c, bool is_first)
{
    if ((c >= 'a' && c <= 'z') || (c >= '0' && c <= '9')) {
        return true;
    }
    return !is_first && (c == '-' || c == '_');
}

int base_name_from(struct slice text, struct base_name *ret)
{
    struct base_name name = {{0}};
    if (text.len == 0 || text.len > BASE_NAME_MAX) {
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!is_name_byte(text.data[i], i == 0)) {
            return BASE_E_INVALID;
        }
        name.text[i] = (char)text.data[i];
    }
    *ret = name;
    return 0;
}

int base_name_from_text(const char *text, struct base_name *ret)
{
    return base_name_from(slice_from_text(text), ret);
}

bool base_name_is_empty(const struct base_name *name)
{
    return name->text[0] == '\0';
}

bool base_name_equal(const struct base_name *a, const struct base_name *b)
{
    return base_name_compare(a, b) == 0;
}

int base_name_compare(const struct base_name *a, const struct base_name *b)
{
    return memcmp(a->text, b->text, sizeof(a->text));
}

struct slice base_name_slice(const struct base_name *name)
{
    return slice_from_text(name->text);
}

struct base_text base_text_from(struct slice text)
{
    struct base_text ret = {{0}};
    size_t len = text.len < BASE_TEXT_MAX ? text.len : BASE_TEXT_MAX;
    for (size_t i = 0; i < len; i++) {
        ret.text[i] = text.data[i] < ' ' ? '?' : (char)text.data[i];
    }
    return ret;
}

struct slice base_text_slice(const struct base_text *text)
{
    return slice_from_text(text->text);
}
