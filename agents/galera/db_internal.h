/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the Galera port share: db.c (life, views), probe.c (what is asked), orders.c
 * (what is done), setup.c (accounts and warnings). Loop thread only. */
#ifndef QUORATE_AGENTS_GALERA_DB_INTERNAL_H
#define QUORATE_AGENTS_GALERA_DB_INTERNAL_H

#include "agents/galera/db.h"
#include "agents/galera/dir.h"
#include "agents/galera/status.h"

#define GAL_POLL_LIMIT_US BASE_US_PER_S
#define GAL_CAUSAL_LIMIT_US (2 * BASE_US_PER_S)
#define GAL_CANARY_US BASE_US_PER_S
#define GAL_CANARY_LIMIT_US (60 * BASE_US_PER_S)
#define GAL_BACK_LIMIT_US (60 * BASE_US_PER_S)
#define GAL_FLOW_US (2 * BASE_US_PER_S)

struct gal_probe {
    bool is_running;
    bool is_retried;      /* a lost connection is taken up once more, at once */
    uint64_t orders_done; /* when it began */
    struct base_mono asked_at;
    struct gal_status status;
};

struct gal_causal {
    struct base_mono sent_at;
    struct base_mono proven_at; /* LONG_AGO: none of this server */
};

struct gal_canary {
    struct base_mono sent_at;
    struct base_mono next_at;
    bool is_out; /* sent, not come back */
    uint64_t number;
};

struct gal_work { /* one job or look in the worker */
    struct io_work work;
    struct gal_db *db;
    bool is_look;
    bool with_size;
    struct gal_look look;
    struct gal_job job;
};

struct gal_db {
    uint32_t magic;
    struct gal_db_options options;
    const struct gal_settings *settings;
    struct gal_session_port sql;
    struct io_workers *workers;
    struct io_timer tick;
    struct io_timer notify; /* completions and views go out from here, never inside of a call */
    bool is_view_due;
    struct db_done done[2];
    unsigned done_count;
    int cancel_fd;
    int lock_fd;
    int64_t interval_us;
    struct guard_status guard;
    bool has_guard;
    /* seen */
    bool is_answering;
    bool has_answered; /* of this root */
    bool is_login_refused;
    struct gal_look look;
    bool has_look;
    struct base_mono sized_at;
    uint64_t data_bytes;
    struct gal_probe probe;
    struct gal_status seen; /* by the last probe that was answered */
    struct base_mono seen_at;
    struct gal_causal causal;
    struct gal_canary canary;
    struct base_mono flow_since; /* NEVER: not held */
    struct msg_galera_view members;
    uint64_t members_conf_id; /* that `members` is of; 0: none */
    uint8_t weight;
    bool is_weight_known;
    bool was_transfer; /* while this root started */
    bool is_sst_failed;
    /* proven since the last run */
    bool is_recovered;
    struct msg_galera_position recovered;
    /* the order */
    bool has_order;
    struct db_order order;
    bool is_canceled;
    uint64_t last_done_id;
    size_t step;
    char statement[256];
    bool is_promoted;     /* of this root: what the canary may write */
    bool wants_read_only; /* behind a fence, until it is in force */
    struct gal_work job;
    bool is_job_running;
    struct gal_work looker;
    bool is_looking;
    /* setup.c */
    struct base_mono advice_at;
    unsigned advice_step;
    struct base_text warning;
    struct base_text warnings[5];
    char *setup; /* SQL, lines; NULL: not under way */
    char *setup_next;
    struct base_mono setup_at;
    uint64_t config_revision;
};

bool gal_is_running(const struct gal_db *db);
void gal_view_soon(struct gal_db *db);
void gal_look_start(struct gal_db *db);

/* probe.c */
void gal_probe_start(struct gal_db *db);
void gal_causal_start(struct gal_db *db);
void gal_canary_start(struct gal_db *db);
void gal_members_start(struct gal_db *db);
uint32_t gal_canary_stuck_ms(const struct gal_db *db);

/* orders.c */
void gal_order_take(struct gal_db *db, const struct db_order *order);
void gal_order_job_done(struct gal_db *db);
void gal_read_only_behind(struct gal_db *db);

/* setup.c */
void gal_setup_start(struct gal_db *db);
void gal_advice_start(struct gal_db *db);

#endif
