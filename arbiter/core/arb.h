/* SPDX-License-Identifier: Apache-2.0 */
/* The arbiter's decisions for one database cluster: a pure function of (state, event).
 *
 * One struct arb_cluster per database cluster on every quorum node. Every node keeps views of the
 * members (agents report to all of them); only the Raft leader answers, grants and proposes.
 * arb_step takes an event and fills bounded effects, which the driver carries out at once and in
 * this order: swap (proposed to the log in the same turn; a refusal is told by ARB_EVENT_SWAP_ENDED
 * before anything else happens), ticket (a confirmation of leadership that begins after this step),
 * orders (each made by arb_order_make with the clock read just before it is sent), answers to
 * operators, notes.
 *
 * Whatever must agree between nodes stands in the record and changes by swap only. What is here
 * besides (lease moments, attempt, views) belongs to one leadership on one clock and is never sent
 * to another node. It must never look at a wall clock to decide, but for when what an operator has
 * scheduled is due, and never grant or propose outside is_leader && is_ready.
 */
#ifndef QUORATE_ARBITER_CORE_ARB_H
#define QUORATE_ARBITER_CORE_ARB_H

#include "arbiter/core/galera_rules.h"
#include "arbiter/core/note.h"
#include "arbiter/core/syncset.h"
#include "base/lease_math.h"

#define ARB_NOTES_MAX 24
#define ARB_TICKETS_MAX 8
#define ARB_BOOTSTRAP_WAIT_US BASE_US_PER_S
#define ARB_MAXIMUM_LAG_DEFAULT (UINT64_C(1) << 20)
#define ARB_SWITCHOVER_LAG_MAX \
    (UINT64_C(16) << 20)                          /* pre-check: one WAL segment behind at most \
                                                   */
#define ARB_SCHEDULE_LATE_US (60 * BASE_US_PER_S) /* a switchover later than that is dropped */
#define ARB_FAILOVERS_MAX 3                       /* automatic ones in an hour */
#define ARB_FAILOVERS_WINDOW_US (3600 * BASE_US_PER_S)
#define ARB_FAILOVER_INTERVAL_DEFAULT_MS 60000
/* Galera: above evs.suspect_timeout (2 s) by 3 s at least, or each lost peer moves the writer. */
#define ARB_GALERA_TTL_MIN_MS 5000
#define ARB_GALERA_TTL_DEFAULT_MS 6000
#define ARB_GALERA_HEARTBEAT_DEFAULT_MS 500
/* MongoDB: nothing runs out, so that the ttl only says when an agent counts as silent. */
#define ARB_MONGODB_TTL_DEFAULT_MS 5000
#define ARB_MONGODB_HEARTBEAT_DEFAULT_MS 1000
#define ARB_FENCE_RETRY_US (10 * BASE_US_PER_S)
#define ARB_NOBODY UINT8_MAX

/* One member as this node knows it. */
struct arb_view {
    bool has_report; /* false: known from the record only */
    struct base_name member;
    struct msg_report report; /* the last one taken in */
    struct base_mono heard;   /* when it came */
    struct base_mono
        sync_ok; /* when it was last streaming, with its catch-up confirmed, and heard */
    bool has_sync_ok;
    uint64_t link; /* where orders go */
    uint64_t
        session_before; /* replaced by a newer process of the same host: late frames are dropped */
    uint64_t number_before;       /* of its last report that was taken in */
    enum arb_refusal refused;     /* must not take part */
    struct base_mono rival_heard; /* another process with this name and another guard */
    uint64_t rival_session;
    /* Galera: received when it was last seen running out of the component, in that generation. */
    bool has_outside;
    int64_t outside_seqno;
    uint64_t outside_of;
    struct base_mono waiting_since;   /* Galera: down, and to get into the component */
    struct base_mono join_not_before; /* ... another one goes first, a transfer failed */
    /* MongoDB: by its own agent's word */
    bool is_well, is_down; /* SECONDARY with a small lag; no process */
    struct base_mono well_since, down_since;
    bool has_rollbacks;
    uint32_t rollbacks; /* said so far */
};

/* How the right of a holder ended. EXPIRED: also by a fence where that is trusted. */
enum arb_over { ARB_OVER_NO, ARB_OVER_CLEAN, ARB_OVER_HANDBACK, ARB_OVER_EXPIRED };

/* Every kind of swap: id, name in log and history. */
#define ARB_DECISIONS(X) \
    X(NONE, "none") \
    X(BOOTSTRAP, "bootstrap")         /* new record, or another member makes the database */ \
    X(CREATED, "created")             /* BOOTSTRAP to RUNNING with the system identifier */ \
    X(OPENED, "opened")               /* is_opened */ \
    X(FAILOVER, "failover")           /* by votes */ \
    X(HANDOVER, "switchover")         /* after an orderly stop, no vote */ \
    X(RETURN, "restart")              /* the holder's own, new epoch */ \
    X(FORCED, "forced")               /* by an operator, loss accepted */ \
    X(CONFIRMED, "confirmed")         /* by an operator, after a restore of the quorum */ \
    X(SWITCHOVER, "switchover-asked") /* the holder is asked to hand over */ \
    X(ABANDON, "switchover-ended")    /* of a switchover */ \
    X(WIDEN, "sync-widen") \
    X(NARROW, "sync-narrow") \
    X(SETTINGS, "settings")         /* from the configuration document */ \
    X(CLUSTER_ROLE, "cluster-role") /* a standby cluster from now on, or none any more: the \
                                       same holder in a new epoch */ \
    X(TTL_SETTLED, "ttl-settled")   /* no lease of a longer ttl runs any more */ \
    X(SCHEDULE, "scheduled")        /* a switchover, or none any more */ \
    X(TASK, "task")                 /* taken in, begun, ended or canceled */ \
    X(MEMBERS, "members")           /* drained, undrained, removed */ \
    X(FAILSAFE, "failsafe-members") /* as the holder has confirmed them */ \
    X(PAUSE, "pause") \
    X(RESUME, "resume") \
    X(ARMED, "armed") /* after a pause: the lease has an end again */ \
    X(FENCE, "fence") /* the present epoch is granted no more */ \
    /* of Galera clusters */ \
    X(GALERA_VIEW, "view")             /* a new Primary view */ \
    X(GALERA_KEPT, "generation-kept")  /* the component goes on under a new number */ \
    X(GALERA_INHIBIT, "starts-held")   /* recovery: no starts below a generation */ \
    X(GALERA_GRANT, "bootstrap-grant") /* the one bootstrap of a generation */ \
    X(GALERA_FORMED, "bootstrap-done") \
    X(GALERA_FAILED, "bootstrap-failed") \
    X(GALERA_JOINER, "joiner") /* who may take a transfer, or nobody any more */ \
    /* of MongoDB replica sets */ \
    X(MONGODB_SEEN, "seen")           /* primary, configuration, members as observed */ \
    X(MONGODB_ORDER, "order")         /* an order to the replica set: the epoch rises with it */ \
    X(MONGODB_PHASE, "order-phase")   /* of a switchover */ \
    X(MONGODB_ENDED, "order-ended")   /* as read, refused, or out of time */ \
    X(MONGODB_TOKEN, "force-planned") /* a token was given */

enum arb_decision_kind {
#define ARB_DECISION_ENUM(id, name) ARB_DECIDE_##id,
    ARB_DECISIONS(ARB_DECISION_ENUM)
#undef ARB_DECISION_ENUM
        ARB_DECISION_COUNT
};

/* The external fence of the present epoch (section 3), as this leadership knows it. */
enum arb_fence { ARB_FENCE_NONE, ARB_FENCE_RUNNING, ARB_FENCE_OK, ARB_FENCE_FAILED };

/* What was known of one member when it was decided. */
struct arb_input {
    struct base_name member;
    struct msg_position position;
    int64_t heard_ago_us;
    bool is_voter;
    bool is_vote; /* position is final */
    enum arb_refusal why;
};

/* A decision with everything it was decided from; kept until the next change of epoch. */
struct arb_decision {
    enum arb_decision_kind kind;
    uint64_t epoch;            /* the new one */
    struct base_name from, to; /* MONGODB_ORDER: the primary when it was given; who is to be it */
    enum arb_over over;
    struct msg_attempt attempt;
    struct msg_position floor;
    uint8_t votes_needed, votes_counted;
    enum msg_engine
        engine; /* GALERA: positions are {generation, 0, seqno}; MONGODB: {term, 0, ts} */
    /* MONGODB_ORDER */
    enum msg_mongodb_order_kind order;
    struct base_name order_member, order_subject;
    enum arb_mongodb_cause cause;
    bool is_loss_possible;
    uint64_t loss_bound_bytes;
    /* Where the time went; -1: not known (yet). */
    int64_t detection_us, lease_us, vote_us, commit_us, open_us;
    uint8_t inputs_count;
    struct arb_input inputs[MSG_MEMBERS_MAX];
};

/* What a leadership knows of a Galera cluster beside record and views; the high water mark is kept
 * on every node. */
struct arb_galera {
    int64_t high_water; /* position of a Primary member that a later report of it has confirmed */
    uint64_t high_water_of; /* generation */
    bool is_out;            /* nobody who is heard is in the Primary component */
    struct base_mono out_since;
    bool has_verdict; /* of the recovery under way */
    struct gal_verdict verdict;
    struct msg_names excused, dead; /* operators' words */
    bool is_loss_accepted, may_retry;
    struct base_name wanted;
    bool has_formed; /* the component began anew with one node: the writer waits for a second */
    struct base_mono formed;
    bool is_joining; /* record.sst_joiner is waited for since */
    struct base_mono joining_since;
    bool is_settled; /* record.restarting is Synced since */
    struct base_mono settled_since;
};

/* What a leadership knows of a replica set beside record and views. `moved` is kept on every node.
 */
#define ARB_MONGODB_OF_DRAIN UINT64_MAX
struct arb_mongodb {
    bool has_order; /* the record's open order, in its phase, is waited for since */
    uint64_t order_epoch;
    uint8_t order_phase;
    struct base_mono order_since;
    uint8_t failures; /* orders in a row; the next one waits */
    struct base_mono not_before;
    uint64_t failed_order; /* its epoch: the last that counts as failed */
    uint64_t order_of;     /* the task, or drain, that the last order given here is of; 0: none */
    struct arb_mongodb_wait { /* ... that has failed, and is tried again */
        uint64_t of;          /* 0: free */
        uint8_t failures;
        struct base_mono not_before;
    } waits[MSG_TASKS_MAX + 1];
    bool has_no_primary;
    struct base_mono no_primary_since;
    uint8_t corrections; /* of priorities, in a row */
    struct base_mono corrected;
    struct base_name corrected_member;
    bool is_weak_said;
    uint64_t asked_last;    /* the newest task asked for at once ... */
    struct base_mono asked; /* ... is known since */
    bool has_token;         /* a plan of force is out since */
    struct base_mono token_since;
    bool is_thin_allowed; /* an operator accepts fewer than three voters for who is leaving */
    bool has_moved;       /* last steering move as applied here */
    struct base_mono moved;
    enum msg_mongodb_set_state state; /* as last derived */
};

struct arb_cluster {
    uint32_t magic;
    struct base_name name;
    struct msg_record record;   /* as applied on this node; epoch 0: none */
    uint64_t restore_id;        /* of the store; a record with another one is unconfirmed */
    bool has_settings;          /* the cluster's configuration document was told */
    struct msg_record settings; /* its settings and config_revision */
    uint64_t refused_revision;  /* of a document that is not lawful, said once */

    /* leadership */
    bool is_leader, is_ready;
    uint64_t term;
    struct base_mono elected; /* when the winning vote was counted */

    /* the lease, section 2 */
    bool has_granted; /* in this epoch, by this leadership */
    struct base_mono granted;
    struct base_mono began;  /* when this epoch was applied, if this leadership saw it */
    uint32_t ttl_longest_ms; /* set since the epoch began */
    enum arb_over handed;    /* of record.epoch: NO, CLEAN or HANDBACK; final */
    struct base_mono handed_at;
    uint64_t handback_lsn;
    uint64_t ticket; /* last one asked for */
    uint8_t tickets_count;
    struct arb_ticket {
        uint64_t ticket, session, number;
    } tickets[ARB_TICKETS_MAX];
    bool is_confirmed; /* a quorum round that began after this report confirmed that we lead */
    uint64_t confirmed_session, confirmed_number;

    /* failover, section 4 */
    bool is_attempt;
    struct msg_attempt attempt; /* present or last one of this leadership */
    struct base_mono attempt_began;
    bool is_end_unsaid;           /* a grant ended the attempt; told with the next step */
    struct base_mono over_at;     /* when the right ended, as decided by this leadership */
    struct base_mono holder_good; /* last report of the holder under its right */
    bool has_holder_good;
    struct msg_position known; /* highest position reported in this epoch, for the loss bound */
    bool is_holder_known;      /* the holder itself has told one, here or in a failsafe round ... */
    struct base_mono told_at;  /* ... last */
    bool is_forced;
    struct base_name forced_candidate;
    struct base_name catch_up;      /* of this attempt: who fetches what it lacks; empty: nobody */
    struct base_name catch_up_from; /* ... from whom */
    struct base_mono catch_up_began;
    bool has_catch_up_failed;
    struct base_mono failovers[ARB_FAILOVERS_MAX]; /* when this node applied the last ones */

    /* external fence, section 3 */
    enum arb_fence fence; /* of record.fencing_epoch, while that is the present epoch */
    struct base_mono fence_at;
    uint64_t dead_epoch; /* an operator has confirmed that the holder of this epoch is dead */

    /* after a pause: first report of the holder that can echo the resumed record, section 10 */
    uint64_t resume_session, resume_number;

    /* in-epoch wait for leases of a longer ttl that was set before */
    bool has_ttl_lowered;
    struct base_mono ttl_lowered;

    struct base_mono boot_began;
    bool has_boot_began;
    bool may_found; /* an operator has confirmed that there is no database of this name yet */
    struct arb_note waiting;          /* last reason said, so that it is said once */
    bool is_waiting, is_waiting_said; /* ... and said again in this decision */

    /* our entry in the log, neither applied nor void */
    bool is_swapping, is_swap_epoch;
    uint64_t winner_session, winner_number; /* last report of the winner when it was proposed */
    struct msg_record swap_record;
    struct base_mono swap_at;

    /* what the holder was told to put in force, section 5 */
    bool has_wish;
    struct arb_set wish;
    uint64_t wish_session,
        wish_number; /* report of the holder answered by the first order with it */

    struct arb_galera galera;
    struct arb_mongodb mongodb;
    struct arb_decision decision;
    struct msg_names leaving; /* of this step: their copies are to be thrown away by order */

    uint8_t views_count;
    struct arb_view views[MSG_MEMBERS_MAX];
};

enum arb_event_kind {
    ARB_EVENT_LEADER, /* term, elected */
    ARB_EVENT_READY,  /* the first entry of the own term is applied */
    ARB_EVENT_LOST,
    ARB_EVENT_REPORT,    /* report, link */
    ARB_EVENT_CONFIRMED, /* ticket: a round that began after it was asked for confirmed this
                            leadership */
    ARB_EVENT_TICK,
    ARB_EVENT_RECORD, /* record: loaded, or changed by an applied swap; is_own: by the swap proposed
                         here */
    ARB_EVENT_SWAP_ENDED, /* own swap is void, or never came into the log */
    ARB_EVENT_REQUEST,    /* request */
    ARB_EVENT_RESTORE,    /* restore_id: of the store, told before its records */
    ARB_EVENT_SETTINGS,   /* settings: what the cluster's configuration document says; NULL: there
                             is none. Told to every node, led or not, and again with READY */
    ARB_EVENT_FENCED,     /* fenced_epoch, is_fenced: the command that was asked for has ended */
    ARB_EVENT_FORGET,     /* member: was removed; its view goes unless it is heard */
};

enum arb_request_kind {
    ARB_REQUEST_SWITCHOVER, /* at_wall_us != 0: scheduled */
    ARB_REQUEST_FAILOVER,
    ARB_REQUEST_CONFIRM,
    ARB_REQUEST_CONFIRM_DEAD, /* candidate: a holder that is dead; ends its lease in a pause */
    ARB_REQUEST_PAUSE,
    ARB_REQUEST_RESUME,
    ARB_REQUEST_DRAIN, /* candidate */
    ARB_REQUEST_UNDRAIN,
    ARB_REQUEST_TASK,   /* task; its id is given here */
    ARB_REQUEST_CANCEL, /* candidate's tasks, or all and a scheduled or undone switchover, with the
                           drain of the holder that led to it; is_planned: a planned switchover and
                           nothing else */
    ARB_REQUEST_REMOVE, /* candidate: a member that is gone for good; empty: the whole cluster */
    ARB_REQUEST_FORCE_RECONFIGURE, /* token 0: what it would be, and a token; else: do it */
};

struct arb_request {
    enum arb_request_kind kind;
    struct base_name candidate; /* empty: the best one */
    bool is_forced;             /* FAILOVER: accept the loss that is shown; CONFIRM: members of the
                                   record that are not heard do not count */
    bool is_planned;            /* CANCEL */
    bool is_catch_up; /* CANCEL of MongoDB: a new primary's catching up, and nothing else */
    struct msg_names overridden; /* CONFIRM of a Galera recovery: go on without what these have */
    int64_t at_wall_us;
    struct msg_task task;
    uint64_t token;             /* FORCE_RECONFIGURE */
    uint64_t random;            /* ... token 0: secret bits of the node that was asked; never 0 */
    struct msg_names destroyed; /* ... members that a person says are destroyed */
    struct msg_mongodb_hosts destroyed_hosts; /* ... by their place in the configuration */
};

struct arb_event {
    enum arb_event_kind kind;
    struct base_mono now;  /* this node's clock, read for this event */
    struct base_wall wall; /* for people, and for what is scheduled, and for nothing else */
    uint64_t term;
    struct base_mono elected;
    const struct msg_report *report;
    uint64_t link;
    uint64_t ticket;
    const struct msg_record *record;
    bool is_own;
    const struct arb_request *request;
    uint64_t restore_id;
    const struct msg_record *settings; /* its settings and config_revision alone are looked at */
    uint64_t fenced_epoch;
    bool is_fenced; /* the command ended well and a second query says off */
    const struct base_name *member;
};

struct arb_effects {
    bool has_swap;
    enum arb_decision_kind swap_kind;
    uint64_t expect_epoch, expect_revision; /* swap: replaces exactly this */
    uint64_t term;                          /* swap: of the deciding leader */
    struct msg_record record;               /* swap: the new one */
    bool has_history;                       /* swap: cluster->decision goes into the history */
    uint64_t ticket;  /* 0: none; confirm leadership, then ARB_EVENT_CONFIRMED */
    uint16_t orders;  /* bit i: make and send an order to views[i] */
    bool has_refusal; /* an order for a process that has no view */
    uint64_t refusal_link;
    struct msg_order refusal;
    bool has_fence; /* run the fence command against the holder of fence_epoch, then
                       ARB_EVENT_FENCED; its entry is applied */
    uint64_t fence_epoch;
    struct base_name fence_member;
    bool has_answer; /* to the request */
    int answer;      /* 0 or BASE_E_* */
    struct base_text answer_text;
    uint16_t changed;      /* bit i: what people see of views[i] has changed */
    struct base_mono wake; /* ARB_EVENT_TICK wanted then at the latest */
    uint8_t notes_count;
    struct arb_note notes[ARB_NOTES_MAX];
};

/* A cluster without record and views. */
void arb_cluster_init(struct arb_cluster *cluster, const struct base_name *name);

/* Takes one event. `fx` is overwritten. */
void arb_step(struct arb_cluster *cluster, const struct arb_event *event, struct arb_effects *fx);

/* Makes the order for views[index], with a grant where all of section 2 holds at `now`, which must
 * have been read from the clock for this very order. A grant is booked as sent: the caller sends at
 * once. */
void arb_order_make(struct arb_cluster *cluster, uint8_t index, struct base_mono now,
                    struct msg_order *ret);

/* Invariants of the state; asserted after every step in slow builds. */
void arb_cluster_check(const struct arb_cluster *cluster);

/* The quorum was restored from an image, or made anew by force, and nobody has confirmed the record
 * since: nothing is granted, elected or changed for it (section 1). */
bool arb_is_unconfirmed(const struct arb_cluster *cluster);
/* There is no record, though there may be, or is, a database: members hold one, or the quorum was
 * restored from an image that may be older than the cluster. No database is made before an operator
 * has confirmed. */
bool arb_is_unknown(const struct arb_cluster *cluster);

/* Of the record, or of the first member that was heard. */
enum msg_engine arb_engine_id(const struct arb_cluster *cluster);

/* What a replica set of MongoDB is now, by all that is heard, and a member of it; for people, on
 * any node. */
enum msg_mongodb_set_state arb_mongodb_state(const struct arb_cluster *cluster,
                                             struct base_mono now);
enum msg_mongodb_state arb_mongodb_member_state(const struct arb_cluster *cluster, uint8_t index,
                                                struct base_mono now);

/* Whether views[index] could follow in a switchover asked for now; NONE or why not. For people. */
enum arb_refusal arb_target_refusal(const struct arb_cluster *cluster, uint8_t index,
                                    struct base_mono now);

/* Whom a document's ttl, shorter than `ttl_ms`, would stop: its watchdog has no room in such a
 * lease, and its guard would refuse every grant. NULL: nobody who was heard. */
const struct arb_view *arb_settings_crowded(const struct arb_cluster *cluster,
                                            const struct msg_record *settings, uint32_t ttl_ms);

/* Index of a member's view, ARB_NOBODY when there is none. */
uint8_t arb_view_find(const struct arb_cluster *cluster, const struct base_name *member);

#endif
