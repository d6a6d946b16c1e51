/* SPDX-License-Identifier: Apache-2.0 */
/* A YAML file of whatever shape as a flat list of leaves: mappings by their keys with dots between,
 * elements of a sequence under the name of the sequence. For files that are somebody else's, or
 * whose keys this program does not know by itself. One thread, blocking. */
#ifndef QUORATE_KV_CLI_FLAT_H
#define QUORATE_KV_CLI_FLAT_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "proto/io/address.h"

#define FLAT_PATH_MAX 256
#define FLAT_LEAVES_MAX 4096
#define FLAT_VALUE_MAX 4096

struct flat_leaf {
    char path[FLAT_PATH_MAX];
    char *value; /* never NULL */
    size_t line;
};

struct flat_file {
    size_t count;
    struct flat_leaf *leaves;
};

/* Reads a YAML file with its anchors, aliases and merge keys; leaves are added behind those that
 * are there, their paths behind `prefix`. NOTFOUND, INVALID, TOOBIG, NOMEM with why. */
MUST_CHECK int flat_read(const char *path, const char *prefix, struct flat_file *file,
                         struct io_why *why);
/* The last leaf of exactly this path; NULL: none. */
const char *flat_value(const struct flat_file *file, const char *path);
/* Forgets the leaves below a prefix. */
void flat_drop(struct flat_file *file, const char *prefix);
void flat_free(struct flat_file *file);

#endif
