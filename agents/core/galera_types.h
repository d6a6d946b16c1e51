/* SPDX-License-Identifier: Apache-2.0 */
/* What is asked of a MariaDB Galera node and what a probe sees of it: the parts of struct db_order
 * and struct db_view (db_types.h) of an agent whose engine is Galera. Facts only; what they mean is
 * agents/core/galera_facts.c's to say.
 */
#ifndef QUORATE_AGENTS_CORE_GALERA_TYPES_H
#define QUORATE_AGENTS_CORE_GALERA_TYPES_H

#include "proto/msg/agent.h"

/* How the next start of the stopped server goes (DB_ORDER_GALERA_PREPARE). */
enum db_galera_mode {
    DB_GALERA_JOIN = 1,  /* with `position`, which is its own and proven; never bootstraps */
    DB_GALERA_SST,       /* without one: grastate.dat is moved aside, a state transfer fills it */
    DB_GALERA_BOOTSTRAP, /* with `position` (none: a directory that was just made): a new component
                          */
};

struct db_galera_order {
    enum db_galera_mode mode;
    struct msg_galera_position position;
    uint8_t weight;          /* DB_ORDER_GALERA_WEIGHT */
    struct msg_names donors; /* of a transfer, asked first and in that order; then anybody */
};

/* wsrep_local_state. */
enum db_galera_local {
    DB_GALERA_INITIALIZED = 0,
    DB_GALERA_JOINER = 1,
    DB_GALERA_DONOR = 2,
    DB_GALERA_JOINED = 3,
    DB_GALERA_LOCAL_SYNCED = 4,
};

struct db_galera_view {
    /* of the directory; `has_directory` of the view: there is a system table space */
    bool
        is_transfer_broken; /* sst_in_progress, or a grastate.dat that is empty or cannot be read */
    struct msg_galera_position saved;    /* grastate.dat */
    bool is_safe_to_bootstrap;           /* its flag */
    bool is_position_recovered;          /* `position` is proven: an orderly stop, or
                                            DB_ORDER_GALERA_RECOVER since the last run */
    struct msg_galera_position position; /* stopped: proven or saved; running: last committed */
    uint64_t data_bytes;                 /* 0: not known */
    bool is_sst_failed;                  /* the last transfer to this member has failed */
    /* of the running server, when `is_answering` */
    bool is_primary; /* wsrep_cluster_status */
    bool is_ready;
    bool is_connected;
    bool is_inconsistent; /* voted out */
    bool is_nil;          /* Primary without a state uuid */
    bool is_evs_operational;
    bool is_read_only;
    bool is_rejecting; /* wsrep_reject_queries */
    bool is_desynced;
    bool is_flow_paused; /* for more than 2 s */
    enum db_galera_local local;
    uint8_t uuid[16];
    uint8_t size;   /* wsrep_cluster_size */
    uint8_t weight; /* own pc.weight */
    uint32_t recv_queue;
    uint32_t stuck_ms; /* for how long the canary write of the writer has not come through */
    bool is_writing;   /* applications' sessions have their right to write: read_only is off */
    uint64_t conf_id;  /* wsrep_cluster_conf_id; 0: not Primary */
    uint8_t gcomm[16]; /* wsrep_gcomm_uuid: another one after it was out of the group; zeros: not
                          known */
    struct msg_galera_view view; /* the Primary view it is in; conf_id 0: in none, or not known */
    struct base_name donor;      /* joining: from whom; empty: not known */
    /* When the last read with wsrep_sync_wait that came through was sent, by this host's clock;
     * LONG_AGO: none of this server. */
    struct base_mono causal_at;
    /* When the statements that this view tells of were sent. */
    struct base_mono asked_at;
};

#endif
