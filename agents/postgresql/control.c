/* SPDX-License-Identifier: Apache-2.0 */
/* Reading what a stopped data directory says: see control.h. Nothing here writes, but for the
 * removal of history files that reserve numbers. */
#include "agents/postgresql/control.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agents/shell/child.h"

#define PAGE_BYTES 8192u
#define SHORT_PAGE_HEADER 24u /* XLogPageHeaderData, and the long one at the start of a segment */
#define LONG_PAGE_HEADER 40u
#define RECORD_BYTES_MIN 24u
#define RECORD_BYTES_MAX (1020u << 20) /* XLogRecordMaxSize */

static bool is_hex(uint8_t c, uint64_t *ret)
{
    if (c >= '0' && c <= '9') {
        *ret = (uint64_t)(c - '0');
    } else if (c >= 'A' && c <= 'F') {
        *ret = (uint64_t)(c - 'A') + 10;
    } else if (c >= 'a' && c <= 'f') {
        *ret = (uint64_t)(c - 'a') + 10;
    } else {
        return false;
    }
    return true;
}

static int hex_parse(struct slice text, uint64_t *ret)
{
    uint64_t value = 0;
    uint64_t digit = 0;
    if (text.len == 0 || text.len > 8) {
        return BASE_E_INVALID;
    }
    for (size_t i = 0; i < text.len; i++) {
        if (!is_hex(text.data[i], &digit)) {
            return BASE_E_INVALID;
        }
        value = value << 4 | digit;
    }
    *ret = value;
    return 0;
}

int pg_lsn_parse(struct slice text, uint64_t *ret)
{
    const uint8_t *bar = text.len > 0 ? memchr(text.data, '/', text.len) : NULL;
    if (bar == NULL) {
        return BASE_E_INVALID;
    }
    size_t at = (size_t)(bar - text.data);
    uint64_t high = 0;
    uint64_t low = 0;
    int status = hex_parse((struct slice){text.data, at}, &high);
    if (status == 0) {
        status = hex_parse(slice_skip(text, at + 1), &low);
    }
    if (status == 0) {
        *ret = high << 32 | low;
    }
    return status;
}

struct pg_lsn_text pg_lsn_format(uint64_t lsn)
{
    struct pg_lsn_text ret;
    (void)snprintf(ret.text, sizeof(ret.text), "%X/%X", (unsigned)(lsn >> 32), (unsigned)lsn);
    return ret;
}

/* Takes the next line without its newline. False at the end. */
static bool next_line(struct slice *rest, struct slice *ret)
{
    if (rest->len == 0) {
        return false;
    }
    const uint8_t *end = memchr(rest->data, '\n', rest->len);
    size_t len = end == NULL ? rest->len : (size_t)(end - rest->data);
    *ret = (struct slice){rest->data, len};
    *rest = slice_skip(*rest, end == NULL ? len : len + 1);
    return true;
}

static struct slice trim(struct slice s)
{
    while (s.len > 0 && (s.data[0] == ' ' || s.data[0] == '\t')) {
        s = slice_skip(s, 1);
    }
    while (s.len > 0 && (s.data[s.len - 1] == ' ' || s.data[s.len - 1] == '\r')) {
        s.len--;
    }
    return s;
}

/* Value behind "label:" in the tool's output; empty when there is no such line. */
static struct slice control_value(struct slice output, const char *label)
{
    struct slice line;
    size_t len = strlen(label);
    while (next_line(&output, &line)) {
        if (line.len > len && memcmp(line.data, label, len) == 0 && line.data[len] == ':') {
            return trim(slice_skip(line, len + 1));
        }
    }
    return SLICE_EMPTY;
}

static enum pg_state state_from(struct slice text)
{
    static const struct {
        const char *text;
        enum pg_state state;
    } table[] = {
        {"shut down", PG_STATE_SHUT_DOWN},
        {"shut down in recovery", PG_STATE_SHUT_DOWN_IN_RECOVERY},
        {"in production", PG_STATE_IN_PRODUCTION},
        {"shutting down", PG_STATE_IN_RECOVERY},
        {"in crash recovery", PG_STATE_IN_RECOVERY},
        {"in archive recovery", PG_STATE_IN_RECOVERY},
    };
    for (size_t i = 0; i < BASE_COUNT_OF(table); i++) {
        if (slice_equal(text, slice_from_text(table[i].text))) {
            return table[i].state;
        }
    }
    return PG_STATE_UNKNOWN;
}

static int number_of(struct slice output, const char *label, uint64_t *ret)
{
    return slice_to_u64(control_value(output, label), ret);
}

int pg_control_parse(struct slice output, struct pg_control *ret)
{
    struct pg_control c = {0};
    uint64_t timeline = 0;
    uint64_t min_timeline = 0;
    uint64_t segment = 0;
    uint64_t checksum_version = 0;
    c.state = state_from(control_value(output, "Database cluster state"));
    if (number_of(output, "Database system identifier", &c.system_id) != 0 || c.system_id == 0 ||
        number_of(output, "Latest checkpoint's TimeLineID", &timeline) != 0 ||
        number_of(output, "Min recovery ending loc's timeline", &min_timeline) != 0 ||
        number_of(output, "Bytes per WAL segment", &segment) != 0 ||
        number_of(output, "Data page checksum version", &checksum_version) != 0 ||
        pg_lsn_parse(control_value(output, "Latest checkpoint location"), &c.checkpoint_lsn) != 0 ||
        pg_lsn_parse(control_value(output, "Minimum recovery ending location"),
                     &c.min_recovery_lsn) != 0) {
        return BASE_E_CORRUPT;
    }
    if (timeline > UINT32_MAX || min_timeline > UINT32_MAX || segment < (1u << 20) ||
        segment > (1u << 30)) {
        return BASE_E_CORRUPT;
    }
    c.timeline = (uint32_t)timeline;
    c.min_recovery_timeline = (uint32_t)min_timeline;
    c.segment_bytes = (uint32_t)segment;
    c.may_rewind = checksum_version > 0 ||
                   slice_equal(control_value(output, "wal_log_hints setting"), SLICE_LIT("on"));
    for (unsigned i = 0; i < ARB_PG_ORDERED_COUNT; i++) {
        uint64_t number = 0; /* a tool that does not say it: no bound */
        (void)!number_of(output, arb_pg_ordered(i)->control, &number);
        c.ordered[i] = number > INT32_MAX ? 0 : (int64_t)number;
    }
    *ret = c;
    return 0;
}

int pg_control_read(const struct pg_settings *settings, const char *dir, struct base_mono deadline,
                    int cancel_fd, struct pg_control *ret)
{
    struct pg_path program;
    struct pg_path file;
    int status = pg_path_join(settings->bin_dir.text, "pg_controldata", &program);
    if (status == 0) {
        status = pg_path_join(dir, "global/pg_control", &file);
    }
    if (status != 0) {
        return status;
    }
    if (!pg_file_exists(file.text)) {
        return BASE_E_NOTFOUND;
    }
    const char *argv[] = {program.text, "-D", dir, NULL};
    struct pg_child child = {
        .argv = argv, .deadline = deadline, .cancel_fd = cancel_fd, .lock_fd = -1};
    struct pg_child_result result;
    status = pg_child_run(&child, &result);
    if (status == BASE_E_STATE) {
        return BASE_E_CORRUPT;
    }
    /* The tool only warns when the checksum is wrong: its figures are then worth nothing. */
    if (status == 0 && strstr(result.head, "WARNING:") != NULL) {
        return BASE_E_CORRUPT;
    }
    return status != 0 ? status : pg_control_parse(slice_from(result.head, result.head_len), ret);
}

uint64_t pg_record_end(uint64_t start, uint32_t total_bytes, uint32_t segment_bytes)
{
    uint64_t at = start;
    uint64_t left = ((uint64_t)total_bytes + 7) & ~UINT64_C(7);
    for (;;) {
        uint64_t room = PAGE_BYTES - at % PAGE_BYTES;
        if (left <= room) {
            return at + left;
        }
        left -= room;
        at += room;
        at += at % segment_bytes == 0 ? LONG_PAGE_HEADER : SHORT_PAGE_HEADER;
    }
}

static int segment_path(const char *dir, uint32_t timeline, uint64_t lsn, uint32_t segment_bytes,
                        struct pg_path *ret)
{
    uint64_t segment = lsn / segment_bytes;
    uint64_t per_id = (UINT64_C(1) << 32) / segment_bytes;
    char name[64];
    (void)snprintf(name, sizeof(name), "pg_wal/%08X%08X%08X", timeline,
                   (unsigned)(segment / per_id), (unsigned)(segment % per_id));
    return pg_path_join(dir, name, ret);
}

uint64_t pg_wal_missing_from(const char *dir, uint32_t timeline, uint64_t lsn,
                             uint32_t segment_bytes)
{
    struct pg_path path;
    uint64_t at = lsn - lsn % segment_bytes;
    while (segment_path(dir, timeline, at, segment_bytes, &path) == 0 &&
           pg_file_exists(path.text)) {
        at += segment_bytes;
    }
    return at;
}

int pg_record_end_read(const char *dir, uint32_t timeline, uint64_t lsn, uint32_t segment_bytes,
                       uint64_t *ret_lsn)
{
    struct pg_path path;
    int status = segment_path(dir, timeline, lsn, segment_bytes, &path);
    if (status != 0) {
        return status;
    }
    int fd = open(path.text, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return pg_errno_code(errno);
    }
    /* xl_tot_len is the first field of a record, in this machine's byte order; records are aligned.
     */
    uint32_t total = 0;
    ssize_t got = pread(fd, &total, sizeof(total), (off_t)(lsn % segment_bytes));
    close(fd);
    if (got != (ssize_t)sizeof(total) || total < RECORD_BYTES_MIN || total > RECORD_BYTES_MAX) {
        return BASE_E_CORRUPT;
    }
    *ret_lsn = pg_record_end(lsn, total, segment_bytes);
    return 0;
}

int pg_control_checkpoint_end(const char *dir, const struct pg_control *control, uint64_t *ret_lsn)
{
    return pg_record_end_read(dir, control->timeline, control->checkpoint_lsn,
                              control->segment_bytes, ret_lsn);
}

/* "tli<tab>lsn<tab>reason"; false for a comment, an empty or a malformed line. */
static bool history_line(struct slice line, uint32_t *ret_timeline, uint64_t *ret_lsn)
{
    line = trim(line);
    size_t len = 0;
    while (len < line.len && line.data[len] >= '0' && line.data[len] <= '9') {
        len++;
    }
    uint64_t timeline = 0;
    if (slice_to_u64((struct slice){line.data, len}, &timeline) != 0 || timeline > UINT32_MAX) {
        return false;
    }
    struct slice rest = trim(slice_skip(line, len));
    len = 0;
    while (len < rest.len && rest.data[len] != '\t' && rest.data[len] != ' ') {
        len++;
    }
    if (pg_lsn_parse((struct slice){rest.data, len}, ret_lsn) != 0) {
        return false;
    }
    *ret_timeline = (uint32_t)timeline;
    return true;
}

int pg_history_fork(struct slice history, uint64_t *ret_lsn)
{
    struct slice line;
    uint32_t timeline = 0;
    uint64_t lsn = 0;
    int status = BASE_E_NOTFOUND;
    while (next_line(&history, &line)) {
        if (history_line(line, &timeline, &lsn)) {
            *ret_lsn = lsn;
            status = 0;
        }
    }
    return status;
}

int pg_history_switch_of(struct slice history, uint32_t timeline, uint64_t *ret_lsn)
{
    struct slice line;
    uint32_t seen = 0;
    uint64_t lsn = 0;
    while (next_line(&history, &line)) {
        if (history_line(line, &seen, &lsn) && seen == timeline) {
            *ret_lsn = lsn;
            return 0;
        }
    }
    return BASE_E_NOTFOUND;
}

int pg_wal_file_timeline(const char *name, uint32_t *ret)
{
    uint64_t value = 0;
    if (strspn(name, "0123456789ABCDEF") < 8 || hex_parse(slice_from(name, 8), &value) != 0) {
        return BASE_E_INVALID;
    }
    *ret = (uint32_t)value;
    return 0;
}

bool pg_history_holds_file(struct slice history, const char *name, uint32_t segment_bytes)
{
    uint32_t own = 0;
    uint64_t high = 0;
    uint64_t low = 0;
    uint64_t left_at = 0;
    if (pg_wal_file_timeline(name, &own) != 0 ||
        pg_history_switch_of(history, own, &left_at) != 0) {
        return false;
    }
    if (strlen(name) != 24 || hex_parse(slice_from(name + 8, 8), &high) != 0 ||
        hex_parse(slice_from(name + 16, 8), &low) != 0) {
        return strstr(name, ".partial") == NULL;
    }
    return (high << 32) + (low + 1) * segment_bytes <= left_at;
}

int pg_history_path(const char *dir, uint32_t timeline, struct pg_path *ret)
{
    char name[40];
    (void)snprintf(name, sizeof(name), "pg_wal/%08X.history", timeline);
    return pg_path_join(dir, name, ret);
}

int pg_history_read(const char *dir, uint32_t timeline, char *memory, size_t cap, size_t *ret_len)
{
    struct pg_path path;
    int status = pg_history_path(dir, timeline, &path);
    if (status == 0) {
        status = pg_file_read(path.text, memory, cap, ret_len);
    }
    return status == 0 && *ret_len == 0 ? BASE_E_NOTFOUND : status;
}

/* The timeline in the first eight digits of a name in pg_wal; false for other files. */
static bool name_timeline(const char *name, uint32_t *ret_timeline, bool *ret_is_history)
{
    size_t len = strlen(name);
    bool is_history = len == 16 && strcmp(name + 8, ".history") == 0;
    uint64_t value = 0;
    uint64_t ignored = 0;
    if (!is_history && len != 24) {
        return false;
    }
    if (hex_parse(slice_from(name, 8), &value) != 0 ||
        (!is_history && (hex_parse(slice_from(name + 8, 8), &ignored) != 0 ||
                         hex_parse(slice_from(name + 16, 8), &ignored) != 0))) {
        return false;
    }
    *ret_timeline = (uint32_t)value;
    *ret_is_history = is_history;
    return true;
}

static uint32_t larger(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

int pg_wal_list(const char *dir, struct pg_wal_seen *ret)
{
    struct pg_path path;
    int status = pg_path_join(dir, "pg_wal", &path);
    DIR *wal = status == 0 ? opendir(path.text) : NULL;
    if (wal == NULL) {
        return status != 0 ? status : pg_errno_code(errno);
    }
    struct pg_wal_seen seen = {.history_highest = 1, .history_highest_real = 1};
    for (struct dirent *entry = readdir(wal); entry != NULL; entry = readdir(wal)) {
        uint32_t timeline = 0;
        bool is_history = false;
        struct stat st;
        if (!name_timeline(entry->d_name, &timeline, &is_history)) {
            continue;
        }
        if (!is_history) {
            seen.segment_timeline_highest = larger(seen.segment_timeline_highest, timeline);
            continue;
        }
        seen.history_highest = larger(seen.history_highest, timeline);
        if (fstatat(dirfd(wal), entry->d_name, &st, 0) == 0 && st.st_size > 0) {
            seen.history_highest_real = larger(seen.history_highest_real, timeline);
        }
    }
    closedir(wal);
    *ret = seen;
    return 0;
}

int pg_history_clear_reserved(const char *dir)
{
    struct pg_wal_seen seen;
    int status = pg_wal_list(dir, &seen);
    for (uint32_t t = seen.history_highest_real; status == 0 && t < seen.history_highest; t++) {
        struct pg_path path;
        status = pg_history_path(dir, t + 1, &path);
        if (status == 0) {
            status = pg_file_remove(path.text);
        }
    }
    return status;
}
