/* SPDX-License-Identifier: Apache-2.0 */
/* Writing a tar archive (POSIX ustar), as `kv setup` hands them out. Owners are given by name, so
 * that they are looked up where the archive is unpacked. Blocking, one thread. */
#ifndef QUORATE_KV_CLI_TAR_H
#define QUORATE_KV_CLI_TAR_H

#include <stdio.h>

#include "base/error.h"
#include "base/slice.h"

struct tar_entry {
    const char *path; /* without a leading '/'; a directory ends with '/' */
    unsigned mode;
    const char *owner; /* user and group alike */
    struct slice content;
};

/* TOOBIG: a path that does not fit into a header (255 bytes, 100 behind its last part's '/');
 * IO. */
MUST_CHECK int tar_add(FILE *out, const struct tar_entry *entry);
/* The two empty blocks behind the last entry. */
MUST_CHECK int tar_end(FILE *out);

#endif
