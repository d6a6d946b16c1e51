/* SPDX-License-Identifier: Apache-2.0 */
/* See codes.h. */
#include "agents/mongodb/codes.h"

#define ROW(code_, name_, status_, next_) \
    {.code = (code_), .status = BASE_E_##status_, .name = #name_, .next = (next_)},
static const struct mdb_code codes[] = {MDB_CODES(ROW)};

const struct mdb_code *mdb_code_find(int32_t code)
{
    for (size_t i = 0; i < BASE_COUNT_OF(codes); i++) {
        if (codes[i].code == code) {
            return &codes[i];
        }
    }
    return NULL;
}

int mdb_code_status(int32_t code)
{
    const struct mdb_code *row = mdb_code_find(code);
    return code == 0 ? 0 : row == NULL ? BASE_E_STATE : row->status;
}

const char *mdb_code_name(int32_t code)
{
    const struct mdb_code *row = mdb_code_find(code);
    return row == NULL ? "error" : row->name;
}

size_t mdb_codes_count(void)
{
    return BASE_COUNT_OF(codes);
}

const struct mdb_code *mdb_code_at(size_t index)
{
    return index < BASE_COUNT_OF(codes) ? &codes[index] : NULL;
}
