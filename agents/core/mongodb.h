/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB member: what its agent remembers beside the rest, and what health checks may ask.
 *
 * No lease and no right: MongoDB elects. The epoch is the right to give orders, and what was seen
 * counts only by when it was asked for. Nothing here is needed after a restart of the agent; what
 * is stands in disk.h.
 */
#ifndef QUORATE_AGENTS_CORE_MONGODB_H
#define QUORATE_AGENTS_CORE_MONGODB_H

#include "agents/core/mongodb_table.h"
#include "agents/core/mongodb_types.h"

struct agt;

/* The arbiter's order that this member has a part in, as this process sees it. */
struct agt_mongodb_work {
    uint64_t epoch; /* the order and phase that this is about; 0: none */
    uint8_t phase;
    struct base_mono seen_at; /* first heard of by this process: what was asked for before it proves
                                 nothing of it */
    struct base_mono until;   /* out of time then, by the last word of the arbiter */
    uint64_t issued_id; /* what was asked of the port for it; 0: nothing yet by this process */
    bool is_taken_over; /* begun by a process before this one */
    bool is_replied;
    int reply_status;
    int32_t reply_code;
    struct base_mono replied_at;
};

/* A primary that is cut off or does not write: how far its ladder was climbed. */
enum agt_mongodb_step {
    AGT_MONGODB_STEP_NONE = 0,
    AGT_MONGODB_STEP_POLITE = 1,
    AGT_MONGODB_STEP_FORCED = 2,
    AGT_MONGODB_STEP_KILL = 3
};

struct agt_mongodb_ladder {
    uint8_t cut_samples;        /* in a row: fewer live voters than a majority */
    struct base_mono cut_at;    /* when the last one was asked for */
    enum agt_mongodb_step step; /* of what is done about it ... */
    struct base_mono step_at;   /* ... since */
    uint64_t step_id;           /* order of this step; 0: none yet */
    bool is_told_cut_off;       /* people were told, of this time ... */
    bool is_told_gray;          /* ... and of this, which may come first */
    struct base_mono killed_at; /* a cut off one was killed here; LONG_AGO: none */
};

struct agt_mongodb {
    struct base_mono tick_at;      /* of the last step; LONG_AGO: none yet */
    struct base_mono void_before;  /* what was asked for before it proves nothing: the last gap
                                      between two steps ended then, or this server began */
    struct base_mono root_seen_at; /* when this root was seen first */
    uint8_t process_id[12];        /* of the watched server that answered last */
    uint64_t term_seen;            /* the highest that this server has told of, of this root */
    struct base_mono told_at;      /* the last order answers a report that was sent then */
    struct base_mono taken_at;     /* the order that told_at is of was taken in then */
    struct base_mono frozen_until; /* by an order of ours */
    struct base_mono shutdown_at;  /* the command was asked for then; LONG_AGO: not of this root */
    uint64_t shutdown_id;          /* 0: not asked of the port yet */
    bool is_shutdown_failed;
    int32_t shutdown_code;
    uint32_t failed_starts; /* in a row: ended without having answered, or soon after */
    struct base_mono start_at;
    uint8_t state_seen;       /* MongoDB's number, of the view before */
    bool is_rollback_counted; /* of the files that are still to appear */
    struct agt_mongodb_work work;
    struct agt_mongodb_ladder ladder;
    enum agt_mongodb_state state;
    enum agt_mongodb_goal goal;
};

void agt_mongodb_init(struct agt *a, struct base_mono now);

/* --- health checks: at `now`, also at the very moment after a pause of the whole host -----------
 */

/* Its own hello, asked for less than 3 s ago and since this host stood still last, says writable,
 * in a term that nobody is known to have left behind. The only ground for a 200 on /primary. */
bool agt_mongodb_is_primary(const struct agt *a, struct base_mono now);
/* Likewise: a secondary; `max_lag_ms` UINT32_MAX: however far behind. */
bool agt_mongodb_is_secondary(const struct agt *a, struct base_mono now, uint32_t max_lag_ms);
bool agt_mongodb_is_arbiter(const struct agt *a, struct base_mono now);
/* It has answered, less than 3 s ago. */
bool agt_mongodb_is_fresh(const struct agt *a, struct base_mono now);
/* No word of the arbiter for more than 5 s. */
bool agt_mongodb_is_control_lost(const struct agt *a, struct base_mono now);

#endif
