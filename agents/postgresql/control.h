/* SPDX-License-Identifier: Apache-2.0 */
/* What a stopped data directory says about itself: pg_controldata's output, timeline history files,
 * and the end of a shutdown checkpoint.
 *
 * The tool's output is parsed (LC_ALL=C) because it checks version and checksum of the control file
 * itself. Parsers are pure and know nothing of the disk; readers block and belong in worker
 * threads.
 */
#ifndef QUORATE_AGENTS_POSTGRESQL_CONTROL_H
#define QUORATE_AGENTS_POSTGRESQL_CONTROL_H

#include "agents/postgresql/settings.h"
#include "arbiter/pg_parameters.h"
#include "base/error.h"
#include "base/slice.h"
#include "base/types.h"

enum pg_state {
    PG_STATE_UNKNOWN = 0,
    PG_STATE_SHUT_DOWN,             /* primary, in order */
    PG_STATE_SHUT_DOWN_IN_RECOVERY, /* standby, in order */
    PG_STATE_IN_PRODUCTION,         /* running, or crashed as primary */
    PG_STATE_IN_RECOVERY, /* running or crashed during crash or archive recovery, or shutting down
                           */
};

struct pg_control {
    uint64_t system_id;
    enum pg_state state;
    uint64_t checkpoint_lsn; /* start of the latest checkpoint record */
    uint32_t timeline;       /* of the latest checkpoint */
    uint64_t min_recovery_lsn;
    uint32_t min_recovery_timeline;
    uint32_t segment_bytes;
    bool may_rewind; /* wal_log_hints or data checksums */
    int64_t
        ordered[ARB_PG_ORDERED_COUNT]; /* with which the primary ran last; see pg_parameters.h */
};

/* "16/B374D848" to a number. BASE_E_INVALID. */
MUST_CHECK int pg_lsn_parse(struct slice text, uint64_t *ret);
struct pg_lsn_text {
    char text[20];
};
struct pg_lsn_text pg_lsn_format(uint64_t lsn);

/* From the tool's output. BASE_E_CORRUPT when a line that we need is missing. */
MUST_CHECK int pg_control_parse(struct slice output, struct pg_control *ret);
/* Runs pg_controldata on `dir`. NOTFOUND: no control file there. `cancel_fd` may be -1. */
MUST_CHECK int pg_control_read(const struct pg_settings *settings, const char *dir,
                               struct base_mono deadline, int cancel_fd, struct pg_control *ret);

/* End of the record of `total_bytes` that starts at `start`, page headers counted (8 kB pages). */
uint64_t pg_record_end(uint64_t start, uint32_t total_bytes, uint32_t segment_bytes);
/* End of the record that starts at `lsn`, its length read from the segment of `timeline`. CORRUPT.
 */
MUST_CHECK int pg_record_end_read(const char *dir, uint32_t timeline, uint64_t lsn,
                                  uint32_t segment_bytes, uint64_t *ret_lsn);
/* Where the first segment begins that is not there, from the one of `lsn` on. */
uint64_t pg_wal_missing_from(const char *dir, uint32_t timeline, uint64_t lsn,
                             uint32_t segment_bytes);
/* End of the latest checkpoint record, read from its segment. */
MUST_CHECK int pg_control_checkpoint_end(const char *dir, const struct pg_control *control,
                                         uint64_t *ret_lsn);

/* Where the timeline of a history file's text left its parent (switch point of the last line), and
 * whether `timeline` is among its ancestors and where it was left. NOTFOUND when it is not. */
MUST_CHECK int pg_history_fork(struct slice history, uint64_t *ret_lsn);
MUST_CHECK int pg_history_switch_of(struct slice history, uint32_t timeline, uint64_t *ret_lsn);
/* Timeline in the name of a file of pg_wal. INVALID. */
MUST_CHECK int pg_wal_file_timeline(const char *name, uint32_t *ret);
/* Is the file `name` of pg_wal (segment, backup or history file) on a timeline that the history has
 * left, and a segment before it left it? What is on the history's own timeline is not: a file of
 * that number was written by whoever leads it, or apart from it. */
bool pg_history_holds_file(struct slice history, const char *name, uint32_t segment_bytes);
/* Path of a timeline's history file in `dir`. */
MUST_CHECK int pg_history_path(const char *dir, uint32_t timeline, struct pg_path *ret);
/* Reads the file; NOTFOUND for none or an empty one (a number passed over). */
MUST_CHECK int pg_history_read(const char *dir, uint32_t timeline, char *memory, size_t cap,
                               size_t *ret_len);

/* One pass over pg_wal: highest number with a history file (1 if none), with one that is not empty,
 * and highest timeline that a WAL segment is of (0 if none). */
struct pg_wal_seen {
    uint32_t history_highest;
    uint32_t history_highest_real;
    uint32_t segment_timeline_highest;
};
MUST_CHECK int pg_wal_list(const char *dir, struct pg_wal_seen *ret);
/* Removes the empty history files above the highest real one: left by a promotion that did not
 * happen, they would keep the server from starting. */
MUST_CHECK int pg_history_clear_reserved(const char *dir);

#endif
