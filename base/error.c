/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and classes of the error table. */
#include "base/error.h"

#include <stddef.h>

struct error_row {
    const char *name;
    const char *text;
    enum base_error_class class_;
};

static const struct error_row error_rows[BASE_E_COUNT] = {[0] = {"ok", "no error", BASE_CLASS_none},
#define ERROR_ROW(name_, class_name, text_) \
    [BASE_E_POSITIVE_##name_] = {#name_, text_, BASE_CLASS_##class_name},
                                                          BASE_ERRORS(ERROR_ROW)
#undef ERROR_ROW
};

static const struct error_row *row_of(int code)
{
    if (code > 0 || code <= -BASE_E_COUNT) {
        return NULL;
    }
    return &error_rows[-code];
}

const char *base_error_text(int code)
{
    const struct error_row *row = row_of(code);
    return row == NULL ? "unknown error" : row->text;
}

const char *base_error_name(int code)
{
    const struct error_row *row = row_of(code);
    return row == NULL ? "unknown" : row->name;
}

enum base_error_class base_error_class_of(int code)
{
    const struct error_row *row = row_of(code);
    return row == NULL ? BASE_CLASS_fatal : row->class_;
}
