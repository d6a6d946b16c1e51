/* SPDX-License-Identifier: Apache-2.0 */
/* A file of Patroni's, as kv import-patroni takes it: what is written from it is YAML again. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kv/cli/patroni.h"
#include "tests/fuzz/fuzz.h"

static int file_of(int *file)
{
    if (*file < 0) {
        *file = memfd_create("fuzz", 0);
        BASE_ASSERT(*file >= 0);
    }
    BASE_ASSERT(ftruncate(*file, 0) == 0);
    return *file;
}

static int read_fd(int file, struct flat_file *ret)
{
    char path[64];
    struct io_why why = {""};
    (void)snprintf(path, sizeof(path), "/proc/self/fd/%d", file);
    int rc = flat_read(path, "", ret, &why);
    BASE_ASSERT(rc == 0 || why.text[0] != '\0');
    return rc;
}

static void write_and_read(const json_t *agent)
{
    static int file = -1;
    struct flat_file again = {0};
    int fd = dup(file_of(&file));
    FILE *out = fdopen(fd, "w");
    BASE_ASSERT(out != NULL);
    rewind(out);
    patroni_print_agent(agent, out);
    BASE_ASSERT(fclose(out) == 0);
    BASE_ASSERT(json_object_size(agent) == 0 || read_fd(file, &again) == 0);
    flat_free(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int input = -1;
    struct flat_file file = {0};
    BASE_ASSERT(pwrite(file_of(&input), data, size, 0) == (ssize_t)size);
    struct patroni_import import = {
        .file = &file, .agent = json_object(), .document = json_object(), .secrets = json_object()};
    if (read_fd(input, &file) == 0) {
        for (size_t i = 0; i < file.count; i++) {
            const struct patroni_row *row = patroni_row_of(file.leaves[i].path);
            if (row != NULL && row->take != NULL) {
                (void)row->take(&import, row, &file.leaves[i]);
            }
        }
        write_and_read(import.agent);
    }
    json_decref(import.agent);
    json_decref(import.document);
    json_decref(import.secrets);
    flat_free(&file);
    return 0;
}
