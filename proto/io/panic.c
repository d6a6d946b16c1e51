/* SPDX-License-Identifier: Apache-2.0 */
/* base_panic of the programs: one line with the broken assertion and the build id, then abort. */
#include <stdio.h>
#include <stdlib.h>

#include "base/assert.h"
#include "proto/io/daemon.h"

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    char id[64];
    (void)fprintf(stderr,
                  "lvl=error mod=panic ev=assertion_failed at=%s:%d expression=\"%s\" version=%s "
                  "build=%s next=\"this is a bug; the process stops\"\n",
                  file, line, expression, QUORATE_VERSION, io_build_id(id, sizeof(id)));
    abort();
}
