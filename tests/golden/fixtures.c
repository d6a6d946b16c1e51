/* SPDX-License-Identifier: Apache-2.0 */
/* Bytes of every format that crosses a wire or a restart, as each version wrote them.
 *
 *   fixtures write DIR           one file for each row, in the present format
 *   fixtures read VERSION DIR    every file of a version's directory is read, and what was read is
 * what was meant
 *
 * A row makes the same content for ever; what a later version adds to it is made from its version
 * on. "Read" is: decoded and encoded again by the present code, the bytes equal those of the
 * present encoder over the content as of that version. Files that no row knows, and rows (since
 * their version) without a file, fail.
 */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "agents/core/disk.h"
#include "agents/guard/frame.h"
#include "base/name.h"
#include "proto/io/link_frame.h"
#include "proto/wire/agent.h"
#include "proto/wire/kv.h"
#include "proto/wire/raft.h"
#include "raft/core/members.h"
#include "raft/wal_format.h"
#include "tests/golden/fixtures.h"

#define BYTES_MAX ((size_t)64 << 10)

static uint8_t scratch[BYTES_MAX];
static uint8_t more_scratch[BYTES_MAX];

struct base_name fixtures_name_of(const char *text)
{
    struct base_name name;
    if (base_name_from_text(text, &name) != 0) {
        abort();
    }
    return name;
}

struct msg_names fixtures_names_of(const char *first, const char *second)
{
    struct msg_names names = {.count = 2};
    names.names[0] = fixtures_name_of(first);
    names.names[1] = fixtures_name_of(second);
    return names;
}

/* --- between the programs --- */

static int hello_make(unsigned version, struct buf *out)
{
    struct link_hello hello = {.version = version,
                               .oldest = 1,
                               .role = NET_ROLE_AGENT,
                               .cluster = fixtures_name_of("pg-main"),
                               .member = fixtures_name_of("pg1"),
                               .token = base_text_from(SLICE_LIT("quorate"))};
    link_hello_put(&hello, out);
    return 0;
}

static int hello_again(struct slice bytes, struct buf *out)
{
    struct link_hello hello;
    int rc = link_hello_read(bytes, &hello);
    if (rc == 0) {
        link_hello_put(&hello, out);
    }
    return rc;
}

static int append_make(unsigned version, struct buf *out)
{
    static const struct msg_raft_entry entries[] = {
        {4, MSG_RAFT_ENTRY_DATA, {(const uint8_t *)"body", 4}},
        {5, MSG_RAFT_ENTRY_NOOP, {NULL, 0}}};
    struct wire_arena arena;
    struct msg_raft m = {.type = MSG_RAFT_APPEND,
                         .cluster = 9,
                         .from = 2,
                         .to = 1,
                         .term = 5,
                         .index = 7,
                         .log_term = 3,
                         .commit = 6,
                         .entry_count = 2,
                         .entries = entries};
    (void)version;
    wire_arena_init(&arena, scratch, sizeof(scratch));
    return wire_raft_encode(&m, &arena, out);
}

static int vote_make(unsigned version, struct buf *out)
{
    struct wire_arena arena;
    struct msg_raft m = {.type = MSG_RAFT_VOTE,
                         .is_transfer = true,
                         .cluster = 9,
                         .from = 2,
                         .to = 3,
                         .term = 6,
                         .index = 7,
                         .log_term = 5};
    (void)version;
    wire_arena_init(&arena, scratch, sizeof(scratch));
    return wire_raft_encode(&m, &arena, out);
}

static int raft_again(struct slice bytes, struct buf *out)
{
    struct wire_arena arena, second;
    struct msg_raft m;
    wire_arena_init(&arena, scratch, sizeof(scratch));
    wire_arena_init(&second, more_scratch, sizeof(more_scratch));
    int rc = wire_raft_decode(bytes, &arena, &m);
    return rc == 0 ? wire_raft_encode(&m, &second, out) : rc;
}

struct msg_record fixtures_record_of(unsigned version)
{
    struct msg_record r = {.cluster = fixtures_name_of("pg-main"),
                           .epoch = 7,
                           .revision = 31,
                           .system_id = UINT64_C(7300000000000000001),
                           .state = MSG_RECORD_SWITCHOVER,
                           .holder = fixtures_name_of("pg1"),
                           .holder_instance = 77,
                           .floor_epoch = 6,
                           .timeline = 5,
                           .timeline_highest = 6,
                           .since_wall_us = INT64_C(1770000000000000),
                           .voters = fixtures_names_of("pg2", "pg3"),
                           .votes_needed_r = 1,
                           .is_opened = true,
                           .target = fixtures_name_of("pg2"),
                           .ttl_ms = 2000,
                           .ttl_longest_ms = 3000,
                           .heartbeat_ms = 250,
                           .freeze_max_ms = 3000,
                           .sync_mode = MSG_SYNC_ON,
                           .sync_count = 1,
                           .config_revision = 12,
                           .drained = fixtures_names_of("pg3", "pg4"),
                           .tasks_count = 1,
                           .restore_id = 5};
    (void)version;
    r.floor.lsn = UINT64_C(0x160000A8);
    r.tasks[0] = (struct msg_task){.id = 30,
                                   .kind = MSG_TASK_RESTART,
                                   .member = fixtures_name_of("pg3"),
                                   .is_pending_only = true};
    return r;
}

static int record_make(unsigned version, struct buf *out)
{
    struct msg_record record = fixtures_record_of(version);
    return wire_record_encode(&record, out);
}

static int record_again(struct slice bytes, struct buf *out)
{
    static struct msg_record record;
    int rc = wire_record_decode(bytes, &record);
    return rc == 0 ? wire_record_encode(&record, out) : rc;
}

static int order_make(unsigned version, struct buf *out)
{
    static struct msg_order o;
    o = (struct msg_order){.session = 3,
                           .number = 9,
                           .term = 4,
                           .record = fixtures_record_of(version),
                           .goal = MSG_GOAL_HOLD,
                           .is_granted = true,
                           .granted_epoch = 7,
                           .ttl_us = 2000000,
                           .has_sync = true,
                           .sync_names = fixtures_names_of("pg2", "pg3"),
                           .sync_count = 1,
                           .members_count = 1};
    o.members[0] = (struct msg_member){.member = fixtures_name_of("pg2"),
                                       .host = base_text_from(SLICE_LIT("10.0.0.2")),
                                       .db_port = 5432,
                                       .http_port = 8008,
                                       .db_state = MSG_DB_STANDBY,
                                       .is_heard = true,
                                       .timeline = 5,
                                       .lsn = 99,
                                       .priority = 50};
    return wire_order_encode(&o, out);
}

static int order_again(struct slice bytes, struct buf *out)
{
    static struct msg_order order;
    int rc = wire_order_decode(bytes, &order);
    return rc == 0 ? wire_order_encode(&order, out) : rc;
}

static int report_make(unsigned version, struct buf *out)
{
    static struct msg_report r;
    (void)version;
    r = (struct msg_report){.cluster = fixtures_name_of("pg-main"),
                            .member = fixtures_name_of("pg1"),
                            .instance = 77,
                            .session = 3,
                            .number = 9,
                            .order_term = 4,
                            .order_number = 8,
                            .host = base_text_from(SLICE_LIT("10.0.0.1")),
                            .db_port = 5432,
                            .http_port = 8008,
                            .epoch_seen = 7,
                            .epoch_held = 7,
                            .lease_left_us = 1700000,
                            .db_state = MSG_DB_PRIMARY,
                            .system_id = UINT64_C(7300000000000000001),
                            .timeline_highest = 6,
                            .is_open = true,
                            .opened_lsn = 98,
                            .is_sync_known = true,
                            .sync_names = fixtures_names_of("pg2", "pg3"),
                            .sync_count = 1,
                            .standbys_count = 1,
                            .priority = 50,
                            .zone = fixtures_name_of("west"),
                            .config_revision = 12,
                            .db_version = 150004,
                            .note = base_text_from(SLICE_LIT("nothing to say")),
                            .has_seed = true,
                            .seed_ttl_ms = 2000,
                            .seed_heartbeat_ms = 250,
                            .seed_freeze_max_ms = 3000,
                            .seed_sync_mode = MSG_SYNC_ON};
    r.standbys[0] = (struct msg_standby){
        .member = fixtures_name_of("pg2"), .flush_lsn = 97, .is_streaming = true};
    return wire_report_encode(&r, out);
}

static int report_again(struct slice bytes, struct buf *out)
{
    static struct msg_report report;
    int rc = wire_report_decode(bytes, &report);
    return rc == 0 ? wire_report_encode(&report, out) : rc;
}

static int config_make(unsigned version, struct buf *out)
{
    struct msg_config c = {.cluster = fixtures_name_of("pg-main"),
                           .term = 4,
                           .revision = 12,
                           .text = SLICE_LIT("{\"ttl\": \"2s\"}")};
    (void)version;
    return wire_config_encode(&c, out);
}

static int config_again(struct slice bytes, struct buf *out)
{
    static uint8_t text[MSG_CONFIG_MAX];
    struct msg_config c;
    int rc = wire_config_decode(bytes, text, &c);
    return rc == 0 ? wire_config_encode(&c, out) : rc;
}

/* --- in the log and on disk --- */

static int put_make(unsigned version, struct buf *out)
{
    struct kv_command c = {.origin_node = 1, .origin_life = 2, .request_id = 3};
    (void)version;
    c.request.kind = KV_KIND_PUT;
    c.request.put.key = SLICE_LIT("key");
    c.request.put.value = SLICE_LIT("value");
    c.request.put.lease = 11;
    return kv_wire_encode_command(&c, out);
}

static int grant_make(unsigned version, struct buf *out)
{
    struct kv_command c = {.origin_node = 1, .origin_life = 2, .request_id = 4};
    (void)version;
    c.request.kind = KV_KIND_LEASE_GRANT;
    c.request.lease_grant.id = 11;
    c.request.lease_grant.ttl = 60;
    return kv_wire_encode_command(&c, out);
}

static int command_again(struct slice bytes, struct buf *out)
{
    struct base_arena arena = base_arena_over(scratch, sizeof(scratch));
    struct kv_command c;
    int rc = kv_wire_decode_command(bytes, &arena, &c);
    return rc == 0 ? kv_wire_encode_command(&c, out) : rc;
}

static int members_make(unsigned version, struct buf *out)
{
    static struct raft_configuration c;
    (void)version;
    c = (struct raft_configuration){.count = 2};
    c.members[0].id = 1;
    c.members[0].name = fixtures_name_of("a");
    c.members[0].peer_url = base_text_from(SLICE_LIT("https://10.0.0.1:2380"));
    c.members[1] = (struct raft_member){.id = 2, .is_learner = true, .client_url_count = 1};
    c.members[1].client_urls[0] = base_text_from(SLICE_LIT("https://10.0.0.2:2379"));
    return raft_members_encode(&c, out);
}

static int members_again(struct slice bytes, struct buf *out)
{
    static struct raft_configuration c;
    int rc = raft_members_decode(bytes, &c);
    return rc == 0 ? raft_members_encode(&c, out) : rc;
}

static int disk_make(unsigned version, struct buf *out)
{
    static struct agt_disk disk;
    (void)version;
    disk = (struct agt_disk){.epoch_seen = 7,
                             .promised = {4, 2},
                             .role = AGT_ROLE_HOLDER,
                             .opened_epoch = 7,
                             .opened_lsn = 98,
                             .opened_root_pid = 1234,
                             .openings_count = 1};
    disk.openings[0] = (struct agt_opening){
        .epoch = 7, .timeline = 5, .parent = 6, .floor_lsn = 90, .floor_epoch = 6, .is_own = true};
    return agt_disk_encode(&disk, out);
}

static int disk_again(struct slice bytes, struct buf *out)
{
    static struct agt_disk disk;
    int rc = agt_disk_decode(bytes, &disk);
    return rc == 0 ? agt_disk_encode(&disk, out) : rc;
}

static int arm_make(unsigned version, struct buf *out)
{
    uint8_t frame[GUARD_FRAME_BYTES];
    struct guard_command c = {.type = GUARD_FRAME_ARM,
                              .cookie = 5,
                              .epoch = 7,
                              .deadline = {.us = 123456789},
                              .freeze_max_us = 3000000,
                              .margin_us = 200000};
    (void)version;
    guard_command_encode(&c, frame);
    buf_put(out, slice_from(frame, sizeof(frame)));
    return 0;
}

static int arm_again(struct slice bytes, struct buf *out)
{
    uint8_t frame[GUARD_FRAME_BYTES];
    struct guard_command c;
    int rc = bytes.len == sizeof(frame) ? guard_command_decode(bytes.data, &c) : BASE_E_PROTO;
    if (rc == 0) {
        guard_command_encode(&c, frame);
        buf_put(out, slice_from(frame, sizeof(frame)));
    }
    return rc;
}

static int status_make(unsigned version, struct buf *out)
{
    uint8_t frame[GUARD_FRAME_BYTES];
    struct guard_answer a = {.may_command = true, .cookie = 5, .upgrades = 1};
    (void)version;
    a.status.instance = 77;
    a.status.tree = GUARD_TREE_RUNNING;
    a.status.root_pid = 1234;
    a.status.is_armed = true;
    a.status.epoch = 7;
    a.status.deadline = (struct base_mono){.us = 123456789};
    a.status.margin_us = 200000;
    guard_answer_encode(&a, frame);
    buf_put(out, slice_from(frame, sizeof(frame)));
    return 0;
}

static int status_again(struct slice bytes, struct buf *out)
{
    uint8_t frame[GUARD_FRAME_BYTES];
    struct guard_answer a;
    int rc = bytes.len == sizeof(frame) ? guard_answer_decode(bytes.data, &a) : BASE_E_PROTO;
    if (rc == 0) {
        guard_answer_encode(&a, frame);
        buf_put(out, slice_from(frame, sizeof(frame)));
    }
    return rc;
}

static const struct row {
    const char *name;
    unsigned since; /* protocol version */
    int (*make)(unsigned version, struct buf *out);
    int (*again)(struct slice bytes, struct buf *out);
} rows[] = {
    {"hello", 2, hello_make, hello_again},
    {"raft-append", 2, append_make, raft_again},
    {"raft-vote", 2, vote_make, raft_again},
    {"report", 2, report_make, report_again},
    {"report-galera", 2, fixtures_galera_report, report_again},
    {"report-mongodb", 2, fixtures_mongodb_report, report_again},
    {"order", 2, order_make, order_again},
    {"record", 2, record_make, record_again},
    {"record-galera", 2, fixtures_galera_record, record_again},
    {"record-mongodb", 2, fixtures_mongodb_record, record_again},
    {"config", 2, config_make, config_again},
    {"entry-put", 2, put_make, command_again},
    {"entry-lease", 2, grant_make, command_again},
    {"members", 2, members_make, members_again},
    {"agent-state", 2, disk_make, disk_again},
    {"agent-state-galera", 2, fixtures_galera_disk, disk_again},
    {"agent-state-mongodb", 2, fixtures_mongodb_disk, disk_again},
    {"guard-command", 2, arm_make, arm_again},
    {"guard-answer", 2, status_make, status_again},
};

static bool file_write(const char *dir, const char *name, struct slice bytes)
{
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s.bin", dir, name);
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        return false;
    }
    bool is_whole = fwrite(bytes.data, 1, bytes.len, file) == bytes.len;
    return fclose(file) == 0 && is_whole;
}

static int write_all(const char *dir)
{
    static uint8_t memory[BYTES_MAX];
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        struct buf out = buf_over(memory, sizeof(memory));
        if (rows[i].make(LINK_VERSION, &out) != 0 ||
            !file_write(dir, rows[i].name, buf_slice(&out))) {
            (void)fprintf(stderr, "fixtures: %s cannot be written\n", rows[i].name);
            return 1;
        }
    }
    return 0;
}

static bool row_read(const struct row *row, unsigned version, const char *dir)
{
    static uint8_t stored[BYTES_MAX], again[BYTES_MAX], meant[BYTES_MAX];
    struct buf out = buf_over(again, sizeof(again));
    struct buf want = buf_over(meant, sizeof(meant));
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/%s.bin", dir, row->name);
    FILE *file = fopen(path, "r");
    size_t len = file == NULL ? 0 : fread(stored, 1, sizeof(stored), file);
    if (file != NULL) {
        (void)fclose(file);
    }
    int rc = len == 0 ? BASE_E_NOTFOUND : row->again(slice_from(stored, len), &out);
    rc = rc == 0 ? row->make(version, &want) : rc;
    bool is_same = rc == 0 && out.len == want.len && memcmp(again, meant, out.len) == 0;
    (void)printf("%s  %s of version %u%s%s\n", is_same ? "ok  " : "FAIL", row->name, version,
                 rc == 0 ? "" : ": ", rc == 0 ? "" : base_error_text(rc));
    return is_same;
}

static bool has_row(const char *file)
{
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        size_t len = strlen(rows[i].name);
        if (strncmp(file, rows[i].name, len) == 0 && strcmp(file + len, ".bin") == 0) {
            return true;
        }
    }
    return strstr(file, ".bin") == NULL;
}

static int read_all(unsigned version, const char *dir)
{
    int failed = 0;
    for (size_t i = 0; i < BASE_COUNT_OF(rows); i++) {
        failed += rows[i].since <= version && !row_read(&rows[i], version, dir);
    }
    DIR *list = opendir(dir);
    for (const struct dirent *entry = NULL; list != NULL && (entry = readdir(list)) != NULL;) {
        if (!has_row(entry->d_name)) {
            (void)printf("FAIL  %s/%s: no row reads it\n", dir, entry->d_name);
            failed++;
        }
    }
    if (list == NULL || closedir(list) != 0) {
        failed++;
    }
    return failed == 0 ? 0 : 1;
}

static int make_later(const char *path)
{
    static uint8_t bytes[BYTES_MAX];
    struct wal_header header;
    FILE *file = fopen(path, "r+");
    size_t len = file == NULL ? 0 : fread(bytes, 1, sizeof(bytes), file);
    bool is_done =
        wal_header_read(slice_from(bytes, len), &header) && len >= WAL_HEADER + header.body_len;
    if (is_done) {
        header.format++;
        wal_header_seal(&header, bytes);
        is_done = fseek(file, 0, SEEK_SET) == 0 && fwrite(bytes, 1, len, file) == len;
    }
    return file != NULL && fclose(file) == 0 && is_done ? 0 : 1;
}

int main(int argc, char **argv)
{
    if (argc == 2 && strcmp(argv[1], "version") == 0) {
        (void)printf("%d\n", LINK_VERSION);
        return 0;
    }
    if (argc == 3 && strcmp(argv[1], "write") == 0) {
        return write_all(argv[2]);
    }
    if (argc == 4 && strcmp(argv[1], "read") == 0) {
        return read_all((unsigned)strtoul(argv[2], NULL, 10), argv[3]);
    }
    if (argc == 3 && strcmp(argv[1], "later") == 0) {
        return make_later(argv[2]);
    }
    (void)fprintf(stderr, "usage: fixtures version | write DIR | read VERSION DIR | later FILE\n");
    return 2;
}
