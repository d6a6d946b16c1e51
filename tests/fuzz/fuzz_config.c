/* SPDX-License-Identifier: Apache-2.0 */
/* quorated's configuration file. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "arbiter/quorated/settings.c" /* the table of keys is private to it */
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int file = -1;
    char path[64];
    if (file < 0) {
        file = memfd_create("fuzz", 0);
        BASE_ASSERT(file >= 0);
    }
    BASE_ASSERT(ftruncate(file, 0) == 0 && pwrite(file, data, size, 0) == (ssize_t)size);
    (void)snprintf(path, sizeof(path), "--config=/proc/self/fd/%d", file);
    char program[] = "quorated";
    char *argv[] = {program, path, NULL};
    struct io_config *config = NULL;
    struct io_why why = {0};
    int rc = io_config_read(&quorated_spec, 2, argv, &config, &why);
    if (rc == 0) {
        (void)check(config, &why);
        (void)io_config_free(config);
    }
    return 0;
}
