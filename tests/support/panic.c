/* SPDX-License-Identifier: Apache-2.0 */
/* base_panic of unit tests: a failed assertion is a failed test. */
#include "base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void base_panic(const char *file, int line, const char *expression)
{
    (void)fprintf(stderr, "assertion failed at %s:%d: %s\n", file, line, expression);
    abort();
}
