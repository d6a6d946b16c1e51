/* SPDX-License-Identifier: Apache-2.0 */
/* Opens the files of one image as the daemon does, starts a node on them, and compares what it
 * knows with what it had promised. */
#ifndef QUORATE_TESTS_CRASH_INSPECT_H
#define QUORATE_TESTS_CRASH_INSPECT_H

#include "tests/crash/group.h"

/* Called in a process of its own, as its threads stay. `promise`: what stood when the power failed.
 * True: all is well; else ret_text (GROUP_TEXT_MAX bytes) begins with the name of the rule. */
bool inspect_image(const char *directory, const struct story *story, const struct promise *promise,
                   char *ret_text);

#endif
