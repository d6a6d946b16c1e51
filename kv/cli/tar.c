/* SPDX-License-Identifier: Apache-2.0 */
/* ustar headers and blocks: see tar.h. The time of all entries is 0, so that the same input gives
 * the same archive. */
#include "kv/cli/tar.h"

#include <string.h>

#define BLOCK 512u
#define CHECKSUM_AT 148
#define CHECKSUM_LEN 8

/* Offsets of the ustar header (POSIX.1-2017, pax). */
enum { NAME = 0, MODE = 100, UID = 108, GID = 116, SIZE = 124, MTIME = 136, TYPE = 156 };
enum { MAGIC = 257, UNAME = 265, GNAME = 297, PREFIX = 345 };

static void put_octal(char *header, size_t at, size_t len, unsigned long value)
{
    char text[24];
    (void)snprintf(text, sizeof(text), "%0*lo", (int)len - 1, value);
    memcpy(header + at, text, len - 1);
}

static void put_text(char *header, size_t at, size_t len, const char *text)
{
    size_t have = strlen(text);
    memcpy(header + at, text, have < len ? have : len - 1);
}

/* A long path is parted at a '/' into prefix and name. */
static int put_path(char *header, const char *path)
{
    size_t len = strlen(path);
    if (len <= 100) {
        memcpy(header + NAME, path, len);
        return 0;
    }
    for (size_t i = len - 1; i > 0; i--) {
        if (path[i] == '/' && i <= 155 && len - i - 1 <= 100 && len - i > 1) {
            memcpy(header + PREFIX, path, i);
            memcpy(header + NAME, path + i + 1, len - i - 1);
            return 0;
        }
    }
    return BASE_E_TOOBIG;
}

static int write_block(FILE *out, const void *data, size_t len)
{
    static const char zeros[BLOCK];
    size_t rest = (BLOCK - len % BLOCK) % BLOCK;
    bool is_written = fwrite(data, 1, len, out) == len && fwrite(zeros, 1, rest, out) == rest;
    return is_written ? 0 : BASE_E_IO;
}

int tar_add(FILE *out, const struct tar_entry *entry)
{
    char header[BLOCK];
    size_t path_len = strlen(entry->path);
    bool is_directory = path_len > 0 && entry->path[path_len - 1] == '/';
    unsigned long sum = 0;
    memset(header, 0, sizeof(header));
    int rc = put_path(header, entry->path);
    if (rc != 0) {
        return rc;
    }
    put_octal(header, MODE, 8, entry->mode);
    put_octal(header, UID, 8, 0);
    put_octal(header, GID, 8, 0);
    put_octal(header, SIZE, 12, is_directory ? 0 : entry->content.len);
    put_octal(header, MTIME, 12, 0);
    header[TYPE] = is_directory ? '5' : '0';
    memcpy(header + MAGIC, "ustar\00000", 8);
    put_text(header, UNAME, 32, entry->owner);
    put_text(header, GNAME, 32, entry->owner);
    memset(header + CHECKSUM_AT, ' ', CHECKSUM_LEN);
    for (size_t i = 0; i < BLOCK; i++) {
        sum += (unsigned char)header[i];
    }
    put_octal(header, CHECKSUM_AT, 7, sum);
    header[CHECKSUM_AT + 6] = '\0';
    rc = write_block(out, header, BLOCK);
    return rc != 0 || is_directory ? rc : write_block(out, entry->content.data, entry->content.len);
}

int tar_end(FILE *out)
{
    static const char zeros[2 * BLOCK];
    return write_block(out, zeros, sizeof(zeros));
}
