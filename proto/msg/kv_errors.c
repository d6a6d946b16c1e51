/* SPDX-License-Identifier: Apache-2.0 */
/* Texts and gRPC codes of the key-value API's errors, from the table in kv_errors.h. Pure. */
#include "proto/msg/kv_errors.h"

#include <stddef.h>

struct row {
    int grpc;
    const char *text;
};

static const struct row rows[KV_E_COUNT] = {[KV_OK] = {0, ""},
#define KV_ERROR_ROW(name, grpc, text) [KV_E_##name] = {grpc, text},
                                            KV_ERRORS(KV_ERROR_ROW)
#undef KV_ERROR_ROW
};

static const struct row *row_of(enum kv_error error)
{
    return (int)error < 0 || error >= KV_E_COUNT ? NULL : &rows[error];
}

const char *kv_error_text(enum kv_error error)
{
    const struct row *row = row_of(error);
    return row == NULL ? "" : row->text;
}

int kv_error_grpc(enum kv_error error)
{
    const struct row *row = row_of(error);
    return row == NULL ? 2 : row->grpc;
}
