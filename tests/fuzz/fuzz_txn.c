/* SPDX-License-Identifier: Apache-2.0 */
/* The text of `kv txn`. */
#include "kv/cli/cmd_txn.c" /* its parser is private to it */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    union {
        const uint8_t *constant;
        void *plain;
    } bytes = {.constant = data};
    FILE *in = fmemopen(bytes.plain, size, "r");
    struct txn *txn = calloc(1, sizeof(*txn));
    BASE_ASSERT(in != NULL && txn != NULL);
    (void)!read_txn(txn, in);
    txn_free(txn);
    (void)fclose(in);
    return 0;
}
