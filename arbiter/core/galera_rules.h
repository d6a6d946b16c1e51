/* SPDX-License-Identifier: Apache-2.0 */
/* The rules of MariaDB Galera clusters, as pure functions of small structs: when a bootstrap may be
 * granted and to whom, who may be the writer, who may take a state transfer, whose turn it is in a
 * rolling restart.
 *
 * Galera's own quorum lets a component stay Primary that has more than half of the weight of the
 * Primary view before it, those who left in order not counted. A bootstrap sets that rule aside, so
 * it may be granted only where no other node can be Primary, now or later, by that rule. What is
 * known of each node of the last Primary view is its evidence; silence is none.
 *
 * Two things are proven before a grant (gal_is_alone). No Primary view came after the last one
 * known: what is silent, with what was destroyed, must not have had a majority of it, unless
 * nothing is silent. None can come: what is silent, with what runs and is not Primary, must never
 * reach one. A destroyed node counts for the first only: what it did last, its last view and how it
 * left it, is not known; a node that still runs counts for the second: it lends its weight to
 * whoever it meets.
 *
 * Used by arbiter/core/galera*.c; no state, no I/O. Tests: galera_rules_test (exhaustive),
 * galera_oracle_test (an independent model of views).
 */
#ifndef QUORATE_ARBITER_CORE_GALERA_RULES_H
#define QUORATE_ARBITER_CORE_GALERA_RULES_H

#include "arbiter/core/note.h"
#include "proto/msg/agent.h"

#define GAL_NOBODY UINT8_MAX

/* --- rule 1: arithmetic --- */

/* What is known of a node of the last Primary view. */
enum gal_evidence {
    GAL_SILENT,  /* nothing that proves anything; an arbitrator (garbd), too */
    GAL_DEAD,    /* destroyed or powered off: it runs no more, what it did last is not known */
    GAL_LIVE,    /* runs and is verified not Primary; bootstraps nothing */
    GAL_STOPPED, /* no process, and no start before the new generation; crashed or was cut off */
    GAL_LEFT,    /* the same after an orderly stop: the others may count without it */
};

struct gal_node {
    uint8_t weight;
    enum gal_evidence evidence;
    bool is_arbitrator; /* garbd: it votes and has no data, so that alone it is nobody's Primary */
};

/* No other Primary component exists or can come into being without nodes[candidate], given what is
 * known of the `count` nodes of the last Primary view. `candidate` GAL_NOBODY: one outside that
 * view, which lends it no weight. */
bool gal_is_alone(const struct gal_node *nodes, uint8_t count, uint8_t candidate);

/* --- views --- */

/* Same nodes; weights aside, which change without a new view. */
bool gal_view_is_same(const struct msg_galera_view *a, const struct msg_galera_view *b);
bool gal_view_has(const struct msg_galera_view *view, const struct base_name *node);
uint32_t gal_view_weight(const struct msg_galera_view *view);

/* --- grants --- */

struct gal_member {
    struct base_name name;
    const struct msg_galera_report *report; /* the last one; NULL: never heard of */
    bool is_heard;                          /* ... and it is of now, and not refused */
    bool is_dead;                           /* an operator's word, or a fence that succeeded */
    bool is_excused;  /* an operator goes on without what it may have; proves nothing */
    bool is_holder;   /* was the writer */
    bool is_hosted;   /* has a guard that could start it */
    uint8_t priority; /* of its file */
};

struct gal_situation {
    const struct msg_galera_record *record;
    uint64_t next;           /* generation that the grant would begin */
    int64_t high_water;      /* seqno known committed; -1: not known */
    bool is_loss_accepted;   /* an operator's word, or recovery_wait is over */
    struct base_name wanted; /* operator's choice; empty: the best one */
    uint8_t count;
    struct gal_member members[MSG_MEMBERS_MAX];
};

enum gal_why {
    GAL_GRANTABLE = 0,
    GAL_IS_PRIMARY,  /* member is in a Primary component: nothing is to be recovered */
    GAL_GRANT_OPEN,  /* member has a grant, and is silent */
    GAL_VIEWS_CLASH, /* member knows the last view with other nodes: two histories */
    GAL_UUIDS_CLASH, /* member has data of another cluster than the others */
    GAL_NO_SOURCE,   /* nobody who is heard has data to start from */
    GAL_UNPROVEN,    /* member has not told what it has, by a recovered position */
    GAL_DAMAGED,     /* member's data cannot be read there, and may have more than the others */
    GAL_NOT_ALONE,   /* member is silent, and others with it may be Primary */
    GAL_NOT_FENCED,  /* member is heard and must be seen stopped first */
    GAL_MISSING,     /* member is silent and may have more than all who are heard */
    GAL_OTHER_STAMP, /* member was in the last view, has more, and an older stamp */
    GAL_LOSS,        /* member has most, and `lost` less than what is known committed */
    GAL_BEFORE, /* member has most, and nothing written since the last bootstrap; so has nobody */
    GAL_OLDER,  /* ... nor what that began with: of an older history, or of a tail of its own */
};

/* Of which time the best data are. */
enum gal_age {
    GAL_AGE_NOW = 0, /* the history in force */
    GAL_AGE_BEFORE,  /* a prefix of what the last bootstrap began with */
    GAL_AGE_OLDER,   /* anything else: what others have need not agree with it */
};

struct gal_verdict {
    enum gal_why why;
    struct base_name member; /* whom it is about; GRANTABLE: who is granted it */
    uint8_t candidate;       /* index of the best source; GAL_NOBODY: none */
    bool is_live;            /* pc.bootstrap on what runs, no cold start */
    enum gal_age age;        /* of the candidate's data */
    bool is_torn;            /* two histories, an operator chose: nobody else has a prefix */
    uint64_t lost;           /* seqnos below high_water that nobody heard has */
    struct msg_galera_position base;
    uint64_t conf_id; /* of the last Primary view; 0: none known */
};

/* Rules 1 to 3 of section 13 of the safety rules: may somebody be granted the bootstrap of `next`,
 * who, or what is missing. Reports count whose stamp is of the record's generation, or of the grant
 * under way at its node. */
void gal_decide(const struct gal_situation *s, struct gal_verdict *ret);

/* Would it be NOT_ALONE or MISSING even if all who are heard were stopped? Then stopping them helps
 * nobody. */
bool gal_is_worth_stopping(const struct gal_situation *s);

/* Is `next` a lawful successor of `old`? A grant is given only for a generation above all before,
 * and not while another is under way whose node may still carry it out: `is_revoked` says that this
 * one is known not to. */
bool gal_record_follows(const struct msg_galera_record *old, const struct msg_galera_record *next,
                        bool is_revoked);
bool gal_record_check(const struct msg_galera_record *record);

/* No uuid is known: all zeros. */
bool gal_is_no_uuid(const uint8_t uuid[static 16]);

/* A bootstrap was granted, and is neither done nor taken back: its node may carry it out. */
bool gal_is_granting(const struct msg_galera_record *record);

/* Are data with this stamp of the history in force? It counts on in a generation that was kept. */
bool gal_is_same_history(const struct msg_galera_record *record, uint64_t generation);

/* Rule 4: does a member with this stamp and position have a prefix of the history in force, so that
 * it may join with what it has? False: only by a state transfer of everything. */
bool gal_is_prefix(const struct msg_galera_record *record, const struct msg_galera_report *report);

/* What it has or will have from what was ordered in its last view: a node that runs goes on with
 * what it has received. */
int64_t gal_received(const struct msg_galera_report *report);

/* The same for one that runs: it may have come, or come any moment, into the component by itself,
 * and Galera compares numbers alone. `outside`: received when it was last seen out of it; -1: not
 * seen. False: it must be stopped and come back as a stopped member does. */
bool gal_may_merge(const struct msg_galera_record *record, const struct msg_galera_report *report,
                   int64_t outside);

/* --- writer (C8), transfers and restarts (C9) --- */

/* In the Primary component of the record: by its stamp, or in one view with those who have it. */
bool gal_is_member(const struct msg_galera_record *record, const struct msg_galera_report *report);

/* May it be the writer; NONE or why not. Tags and drain are the caller's. */
enum arb_refusal gal_writer_check(const struct msg_galera_record *record,
                                  const struct msg_galera_report *report);

struct gal_choice {
    const struct base_name *name;
    bool is_target; /* of a switchover */
    bool is_holder; /* sticky: nothing goes back to a higher priority by itself */
    uint8_t priority;
    uint32_t recv_queue;
};
/* Among those who may be. */
bool gal_writer_is_better(const struct gal_choice *a, const struct gal_choice *b);

/* May `node` leave for a restart, and a crash meanwhile still leaves a majority? The weights are
 * those that hold while it is away. */
bool gal_may_leave(const struct msg_galera_view *view, const struct base_name *node);

/* Wants to get into the Primary component, and is not on its way there. */
bool gal_is_waiting_to_join(const struct msg_galera_report *report);

#endif
