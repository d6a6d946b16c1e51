/* SPDX-License-Identifier: Apache-2.0 */
/* How much of the map of a store's file is mapped in. See env_lmdb_internal.h.
 *
 * Pages of the file that were looked at count as memory of the process, though they are the
 * kernel's copy of the file and stay with it. So they are let go of when they are many: what is
 * needed again is mapped in again, without the disk. Pointers into the map stay good.
 */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "raft/env_lmdb_internal.h"

#define LOOK_EVERY ((size_t)1 << 20) /* bytes looked at between two counts */
#define PAGE_BYTES 4096u

/* Bytes of files that this process has mapped in; 0: not known. */
static size_t mapped_bytes(void)
{
    char text[128];
    unsigned long size = 0;
    unsigned long resident = 0;
    unsigned long shared = 0;
    int file = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    ssize_t len = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    if (file >= 0) {
        (void)close(file);
    }
    text[len > 0 ? len : 0] = 0;
    return sscanf(text, "%lu %lu %lu", &size, &resident, &shared) == 3 ? (size_t)shared * PAGE_BYTES
                                                                       : 0;
}

/* LMDB does not tell where its map is; the kernel does. */
static void find(FILE *maps, ino_t inode, size_t bytes, struct env_lmdb_map *ret)
{
    char *line = NULL;
    size_t cap = 0;
    while (ret->bytes == 0 && getline(&line, &cap, maps) > 0) {
        uintptr_t from = 0;
        uintptr_t to = 0;
        uint64_t number = 0;
        if (sscanf(line, "%" SCNxPTR "-%" SCNxPTR " %*s %*s %*s %" SCNu64, &from, &to, &number) ==
                3 &&
            number == inode && to - from == bytes) {
            ret->at = from;
            ret->bytes = bytes;
        }
    }
    free(line);
}

void env_lmdb_map_find(MDB_env *env, size_t resident_max, struct env_lmdb_map *ret)
{
    int file = -1;
    struct stat is;
    MDB_envinfo info;
    *ret = (struct env_lmdb_map){.resident_max = resident_max};
    if (mdb_env_get_fd(env, &file) != 0 || fstat(file, &is) != 0 || mdb_env_info(env, &info) != 0) {
        return;
    }
    FILE *maps = fopen("/proc/self/maps", "re");
    if (maps != NULL) {
        find(maps, is.st_ino, info.me_mapsize, ret);
        (void)fclose(maps);
    }
    ret->others = mapped_bytes();
}

void env_lmdb_map_drop(struct env_lmdb_map *map)
{
    map->looked = 0;
    if (map->bytes > 0) {
        union {
            uintptr_t number;
            void *pointer;
        } at = {.number = map->at};
        (void)madvise(at.pointer, map->bytes, MADV_DONTNEED); /* if not: they stay, no harm */
    }
}

void env_lmdb_map_looked(struct env_lmdb_map *map, size_t bytes)
{
    map->looked += bytes;
    if (map->looked < LOOK_EVERY) {
        return;
    }
    map->looked = 0;
    if (mapped_bytes() > map->others + map->resident_max) {
        env_lmdb_map_drop(map);
    }
}
