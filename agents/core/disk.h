/* SPDX-License-Identifier: Apache-2.0 */
/* What an agent remembers on disk: the highest epoch, its promise, which epoch opened which
 * timeline, a pause, the operators' task under way and the last one done.
 *
 * Saved as a whole (agents/port_state.h) before it is acted on. Timeline numbers prove nothing by
 * themselves; the openings tie each reserved number to the epoch that reserved it and to the
 * history it left, so that a data directory's lineage can be told and compared. Pure; used by
 * agents/core and by the shell that loads the file. It must never hold anything that can be learned
 * from the guard or from the database instead.
 */
#ifndef QUORATE_AGENTS_CORE_DISK_H
#define QUORATE_AGENTS_CORE_DISK_H

#include "base/slice.h"
#include "proto/msg/agent.h"

#define AGT_OPENINGS_MAX 64
#define AGT_DISK_BYTES_MAX 4096 /* encoded */

/* Timeline `timeline` was reserved for `epoch`, whose holder was chosen with (parent, floor_lsn).
 */
struct agt_opening {
    uint64_t epoch;
    uint32_t timeline;
    uint64_t parent; /* lineage of the floor; 0: none, the beginning */
    uint64_t floor_lsn;
    uint64_t
        floor_epoch; /* lower than epoch: the same holder came back on the line it had since then */
    bool is_own;     /* this member was its holder */
};

/* Role when last saved; for people, also in a pause. */
enum agt_role { AGT_ROLE_NONE = 0, AGT_ROLE_HOLDER = 1, AGT_ROLE_STANDBY = 2, AGT_ROLE_VOTER = 3 };

/* Of a Galera member. Galera's own files cannot tell two histories apart, so the generation here is
 * what the data belong to: it is on disk before the server is started in it. */
struct agt_galera_disk {
    uint64_t generation; /* of the data; 0: none yet */
    uint8_t uuid[16];    /* cluster state uuid that goes with it; zeros: not known yet */
    uint64_t inhibit;    /* starts and bootstraps below it are refused */
    /* The last bootstrap that was begun (0: none), the root process before it, and the last one
     * that has ended, with its status. */
    uint64_t grant_begun;
    uint64_t grant_instance;
    uint32_t grant_starts;
    uint64_t grant_done;
    int32_t grant_status;
    bool
        is_left; /* it has left `view` in order, or was about to: the others may count without it */
    struct msg_galera_view view; /* the last Primary view that it belonged to */
};

/* Of a MongoDB member. The place of an order is (epoch, phase). */
struct agt_mongodb_disk {
    /* The last order that was begun here (epoch 0: none), and the root process of then. */
    uint64_t order_epoch;
    uint8_t order_phase;
    uint64_t order_instance;
    uint32_t order_starts;
    bool is_wiped; /* RESYNC: its data were moved aside for it */
    /* The last one that has ended here. */
    uint64_t done_epoch;
    uint8_t done_phase;
    int32_t done_status, done_code;
    uint64_t barred_epoch;   /* left out by force: down until the directory is empty; 0: not */
    bool is_held;            /* killed by the ladder or by order: down until it is told otherwise */
    uint32_t rollbacks;      /* seen ... */
    uint32_t rollback_files; /* ... and how many files they had left behind */
    bool is_rollback_known;
};

struct agt_disk {
    uint64_t epoch_seen;         /* highest ever */
    struct msg_attempt promised; /* {0, 0}: none; ends with a higher epoch, or with `ended` */
    enum agt_role role;
    bool is_clone_needed;     /* the directory's history cannot be told: only a clone helps */
    uint64_t opened_epoch;    /* last epoch in which this member opened for writes ... */
    uint64_t opened_lsn;      /* ... where ... */
    int32_t opened_root_pid;  /* ... and the root process that serves since then */
    uint64_t made_system;     /* system identifier of a directory that this member made and never
                                 started; 0: none */
    bool is_paused;           /* nobody acts until the guard is armed again after the resume */
    uint32_t failsafe_ttl_ms; /* longest that was or may be granted in a failsafe round of this
                                 epoch: a restarted agent waits for so long */
    /* An operator's task that has begun (0: none), the root that ran then, and the last one that
     * has ended with its status. */
    uint64_t task_begun;
    uint64_t task_instance;
    uint32_t task_starts;
    uint64_t task_done;
    int32_t task_status;
    struct agt_galera_disk galera;
    struct agt_mongodb_disk mongodb;
    uint8_t openings_count; /* ascending by epoch; the oldest fall out */
    struct agt_opening openings[AGT_OPENINGS_MAX];
};

/* Adds or replaces the opening of its epoch, in order. Returns true when something changed. */
bool agt_disk_remember(struct agt_disk *disk, const struct agt_opening *opening);
/* The opening of an epoch; NULL when it is not known. */
const struct agt_opening *agt_disk_opening(const struct agt_disk *disk, uint64_t epoch);
/* Epoch that opened `timeline`; 0 when none is known, when the directory is distrusted, or when two
 * epochs had the number (then it tells nothing). Several first attempts at making the database
 * share number 1. */
uint64_t agt_disk_lineage(const struct agt_disk *disk, uint32_t timeline);

/* Openings below `epoch` tell nothing of the present directory any more. */
void agt_disk_forget(struct agt_disk *disk, uint64_t epoch);

/* Was `timeline` ever reserved for this member? Also where the number tells no lineage. */
bool agt_disk_is_reserved_here(const struct agt_disk *disk, uint32_t timeline);

enum agt_prefix {
    AGT_PREFIX_YES,     /* its WAL is part of the holder's history: a plain start will do */
    AGT_PREFIX_NO,      /* it has WAL that the holder's history has not */
    AGT_PREFIX_UNKNOWN, /* nothing says no, but where its line was left is not known here */
};
/* Is a directory with (lineage, lsn) a prefix of what the holder of `epoch` has? */
enum agt_prefix agt_disk_prefix(const struct agt_disk *disk, uint64_t epoch, uint64_t lineage,
                                uint64_t lsn);

/* disk_galera.c: the Galera member's part. */
bool agt_disk_galera_equal(const struct agt_galera_disk *a, const struct agt_galera_disk *b);
void agt_disk_galera_put(const struct agt_galera_disk *disk, struct buf *out);
MUST_CHECK int agt_disk_galera_take(struct slice *s, struct agt_galera_disk *ret);
bool agt_galera_view_equal(const struct msg_galera_view *a, const struct msg_galera_view *b);

/* disk_mongodb.c: the MongoDB member's part. */
bool agt_disk_mongodb_equal(const struct agt_mongodb_disk *a, const struct agt_mongodb_disk *b);
void agt_disk_mongodb_put(const struct agt_mongodb_disk *disk, struct buf *out);
MUST_CHECK int agt_disk_mongodb_take(struct slice *s, struct agt_mongodb_disk *ret);

/* True when both say the same (padding aside). */
bool agt_disk_equal(const struct agt_disk *a, const struct agt_disk *b);

/* Bytes <-> struct, with a version and a checksum. Decode: BASE_E_CORRUPT; *ret untouched then. */
MUST_CHECK int agt_disk_encode(const struct agt_disk *disk, struct buf *out);
MUST_CHECK int agt_disk_decode(struct slice bytes, struct agt_disk *ret);

#endif
