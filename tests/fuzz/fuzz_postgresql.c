/* SPDX-License-Identifier: Apache-2.0 */
/* Whatever the agent reads of PostgreSQL: rows of its probe, pg_controldata, pg_waldump, history
 * files, synchronous_standby_names, the head of a WAL record; and its own state file. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/core/disk.h"
#include "agents/postgresql/probe.c" /* how it takes rows is private to it */
#include "tests/fuzz/fuzz.h"

#define COLUMNS (COL_STATUS_S + 1)

static char directory[64];

/* The next line of the input as text. */
static const char *text_of(struct slice *in)
{
    static char text[1024];
    size_t len = 0;
    while (in->len > 0 && len + 1 < sizeof(text)) {
        uint8_t byte = fuzz_u8(in);
        if (byte == '\n' || byte == 0) {
            break;
        }
        text[len++] = (char)byte;
    }
    text[len] = 0;
    return text;
}

static PGresult *rows_of(struct slice *in, int rows)
{
    static PGresAttDesc columns[COLUMNS];
    static char name[] = "c";
    PGresult *r = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    for (size_t i = 0; i < COLUMNS; i++) {
        columns[i].name = name;
    }
    BASE_ASSERT(r != NULL && PQsetResultAttrs(r, COLUMNS, columns) != 0);
    for (int row = 0; row < rows; row++) {
        for (int column = 0; column < COLUMNS; column++) {
            const char *text = text_of(in);
            union {
                const char *constant;
                char *plain;
            } value = {.constant = text};
            bool is_null = strcmp(text, "-") == 0;
            int set = PQsetvalue(r, row, column, is_null ? NULL : value.plain,
                                 is_null ? -1 : (int)strlen(text));
            BASE_ASSERT(set != 0);
        }
    }
    return r;
}

static void probe_rows(struct slice in)
{
    static struct pg_settings settings;
    static struct pg_db db;
    struct probe p = {.settings = &settings, .db = &db};
    struct db_view view = {0};
    (void)snprintf(settings.data_dir.text, sizeof(settings.data_dir.text), "%s", directory);
    PGresult *server = rows_of(&in, 1);
    PGresult *standbys = rows_of(&in, 3);
    fill_server(&p, server, &view);
    fill_use(server, &view);
    look_at_writing(&p, server, &view);
    fill_sync(&p, server, &view);
    pg_standbys_fill(&p.words, standbys, (int64_t)pg_sql_u64(server, 0, COL_STATUS_S), &view);
    BASE_ASSERT(view.standbys_count <= 3 && view.sync_names.count <= MSG_MEMBERS_MAX);
    PQclear(server);
    PQclear(standbys);
}

static void outputs(struct slice in)
{
    struct pg_control control;
    uint64_t lsn = 0;
    char text[1024];
    (void)!pg_control_parse(in, &control);
    (void)!pg_history_fork(in, &lsn);
    (void)!pg_history_switch_of(in, 3, &lsn);
    size_t len = in.len < sizeof(text) ? in.len : sizeof(text) - 1;
    memcpy(text, in.data, len);
    text[len] = 0;
    (void)last_record_of(text, &lsn);
    (void)end_of_statistics(text, &lsn);
    if (pg_lsn_parse(in, &lsn) == 0) {
        uint64_t again = 0;
        struct pg_lsn_text written = pg_lsn_format(lsn);
        int rc = pg_lsn_parse(slice_from_text(written.text), &again);
        BASE_ASSERT(rc == 0 && again == lsn);
    }
}

static void sync_names(struct slice in)
{
    struct msg_names names, again;
    uint8_t count = 0, count_again = 0;
    char text[2048];
    struct buf out = buf_over((uint8_t *)text, sizeof(text));
    if (pg_sync_parse(in, &names, &count) != 0) {
        return;
    }
    pg_sync_format(&names, count, &out);
    int rc = pg_sync_parse(buf_slice(&out), &again, &count_again);
    BASE_ASSERT(rc == 0 && count == count_again && names.count == again.count);
}

/* The input as the first segment, a record wherever the first bytes say. */
static void record_end(struct slice in)
{
    char path[128];
    uint64_t lsn = fuzz_u16(&in);
    (void)snprintf(path, sizeof(path), "%s/pg_wal/000000010000000000000000", directory);
    int file = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    BASE_ASSERT(file >= 0 && write(file, in.data, in.len) == (ssize_t)in.len);
    (void)close(file);
    (void)!pg_record_end_read(directory, 1, lsn, 1u << 20, &lsn);
}

static void own_state(struct slice in)
{
    static uint8_t bytes[AGT_DISK_BYTES_MAX];
    static struct agt_disk disk, again;
    struct buf out = buf_over(bytes, sizeof(bytes));
    if (agt_disk_decode(in, &disk) != 0) {
        return;
    }
    int rc = agt_disk_encode(&disk, &out);
    BASE_ASSERT(rc == 0);
    rc = agt_disk_decode(buf_slice(&out), &again);
    BASE_ASSERT(rc == 0 && agt_disk_equal(&disk, &again));
}

static void leave(void)
{
    (void)pg_dir_remove(directory, false);
}

static void make_directory(void)
{
    char path[128];
    (void)snprintf(directory, sizeof(directory), "/dev/shm/quorate-fuzz-pg-%d", (int)getpid());
    (void)snprintf(path, sizeof(path), "%s/pg_wal", directory);
    BASE_ASSERT(mkdir(directory, 0700) == 0 && mkdir(path, 0700) == 0);
    (void)atexit(leave);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    if (directory[0] == 0) {
        make_directory();
    }
    if (size < 2) {
        return 0;
    }
    switch (fuzz_u8(&in) % 5) {
    case 0:
        probe_rows(in);
        break;
    case 1:
        sync_names(in);
        break;
    case 2:
        record_end(in);
        break;
    case 3:
        own_state(in);
        break;
    default:
        outputs(in);
        break;
    }
    return 0;
}
