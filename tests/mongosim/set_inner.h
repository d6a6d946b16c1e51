/* SPDX-License-Identifier: Apache-2.0 */
/* Inside of the model of a replica set: what each node has on its disk and in its memory, the
 * messages under way, the commands that wait. See set.h.
 *
 * Entries of all oplogs form one tree: each was made once, by a primary, and knows its parent. A
 * node's data are the path from the root to its head, so that following is moving the head, and a
 * rollback is going up to where two paths part.
 */
#ifndef QUORATE_TESTS_MONGOSIM_SET_INNER_H
#define QUORATE_TESTS_MONGOSIM_SET_INNER_H

#include "tests/mongosim/set.h"

#define MSET_MS INT64_C(1000)
#define MSET_SECOND INT64_C(1000000)
#define MSET_MESSAGES_MAX 256
#define MSET_WAITS_MAX 64
#define MSET_REPLIES_MAX 128
#define MSET_BATCH 500        /* entries that one answer to a pull brings */
#define MSET_STATUS_RUINED 14 /* exit status of a fatal error of the server */

struct mset_entry {
    uint64_t term, ts, value;
    int64_t wall_us;
    uint32_t parent, depth; /* of the root's children: 1 */
    uint8_t concern;        /* a change of the default write concern; 0: none */
    bool is_committed, is_acked;
};

struct mset_disk {
    bool exists;
    bool is_sync_needed; /* no data yet, or an initial sync was not ended */
    bool is_ruined;      /* an unrecoverable rollback: it does not start again */
    struct mset_config config;
    uint64_t vote_term;
    int vote_for;
    uint32_t head;        /* last journaled entry */
    uint32_t first_depth; /* oldest entry of the oplog */
    uint32_t committed;
    uint8_t concern;
    uint64_t rollbacks, rolled_back;
};

/* What one node knows of another. */
struct mset_peer {
    bool is_up;
    enum mset_state state;
    int64_t answered_us;   /* last answer to a heartbeat of ours; -1 never */
    int64_t asked_us;      /* last heartbeat of its own */
    int64_t alive_us;      /* last sign of life, over others too */
    int64_t due_us;        /* next heartbeat to it */
    int64_t sent_us;       /* of the one that is under way; -1: none */
    int64_t seen_since_us; /* up since */
    uint32_t ping_us;
    uint32_t applied, durable;
    struct mset_version version;
    uint64_t term;
    int sync_source;
    bool is_waiting; /* it has asked us for entries, and there were none */
    const char *text;
};

struct mset_round { /* of votes */
    bool is_on, is_dry;
    enum mset_reason why;
    uint64_t term;
    uint32_t yes, answered;
    int64_t end_us;
};

struct mset_node {
    struct mset_host host;
    struct mset_disk disk, image;
    /* faults */
    bool is_stuck, is_full, is_hello_hung, is_login_refused, is_name_wrong, is_applier_blocked;
    /* process */
    bool is_up, is_paused, is_exited;
    int exit_status;
    uint64_t life;
    int64_t started_us;
    bool is_shutting_down;
    /* the member */
    enum mset_state state;
    int me;                        /* its place in the configuration; -1 */
    int8_t places[MSET_NODES_MAX]; /* of each node in it; -1: follows from disk.config */
    uint64_t term;
    int primary; /* node that it takes for it; -1 */
    uint32_t head, committed;
    int64_t journal_us; /* when the head is on disk; MSET_NEVER */
    uint8_t concern;
    struct mset_peer peers[MSET_NODES_MAX];
    int64_t election_us; /* stands when nobody was heard until then */
    int64_t takeover_us;
    int64_t not_before_us; /* freeze, or after a stepDown */
    bool is_frozen;        /* by replSetFreeze */
    int64_t ready_us;      /* STARTUP, RECOVERING, ROLLBACK are over then */
    unsigned maintenance;
    bool is_stale;
    struct mset_round round;
    /* primary */
    bool is_writable, is_catching_up;
    bool is_step_down_due; /* it waits for the disk */
    uint64_t elected_term;
    int64_t noop_us;
    uint32_t noop_head;
    int64_t won_us, drain_us, elected_wall_us, writable_wall_us;
    enum mset_reason why;
    uint32_t first_of_term;
    uint32_t committed_before; /* a primary's, when it took the configuration in; NONE: nothing */
    bool is_reconfig_busy;
    /* following */
    int source;
    int64_t pull_us;   /* asks again then; MSET_NEVER */
    int64_t pulled_us; /* when the answer under way is given up */
    int64_t sync_begun_us, sync_end_us;
    uint64_t counter; /* of topologyVersion */
    uint64_t shown;   /* what it was counted for */
};

enum mset_message_kind {
    MSET_MSG_BEAT,
    MSET_MSG_BEAT_ANSWER,
    MSET_MSG_REFUSED, /* nobody listens there */
    MSET_MSG_VOTE,
    MSET_MSG_VOTE_ANSWER,
    MSET_MSG_STEP_UP,
    MSET_MSG_PULL,
    MSET_MSG_PULL_ANSWER
};

struct mset_progress {
    uint32_t applied, durable;
    int64_t alive_us;
};

struct mset_message {
    int64_t at_us;
    uint64_t number;
    unsigned from, to;
    uint64_t from_life;
    enum mset_message_kind kind;
    bool is_held; /* the other side is stopped */
    struct mset_host set_name;
    uint64_t term;
    struct mset_version version;
    enum mset_state state;
    uint32_t applied, durable, committed, first_depth;
    int primary, source;
    int64_t sent_us;
    bool is_dry, is_granted;
    uint64_t round_term;
    bool has_config;
    struct mset_progress progress[MSET_NODES_MAX];
    struct mset_config config;
};

struct mset_wait {
    bool is_used, is_begun;
    bool is_forgotten;
    unsigned node;
    uint64_t life;
    struct mset_command command;
    int64_t due_us;      /* begins, or does its next step; MSET_NEVER */
    int64_t end_us;      /* its limit; MSET_NEVER */
    int64_t catch_up_us; /* stepDown: waits for others until then */
    uint64_t term;
    uint32_t entry;
    struct mset_version version;
};

struct mset {
    struct base_rand rand;
    struct mset_options options;
    const struct mset_profile *profile;
    int64_t now_us;
    struct mset_node nodes[MSET_NODES_MAX];
    struct mset_link links[MSET_NODES_MAX][MSET_NODES_MAX];
    struct mset_entry *entries;
    uint32_t entries_count, entries_max;
    struct mset_message messages[MSET_MESSAGES_MAX];
    unsigned messages_count;
    uint64_t messages_number;
    struct mset_wait waits[MSET_WAITS_MAX];
    struct mset_reply replies[MSET_REPLIES_MAX];
    unsigned replies_from, replies_count;
    bool is_look_wanted; /* waits may go on, or fail */
    struct mset_truth truth;
    uint64_t won_term[MSET_TERMS_MAX]; /* by term % max: the term, and who won it */
    int8_t won_by[MSET_TERMS_MAX];
    mset_listener *listener;
    void *listener_ctx;
};

static inline struct mset_node *mset_node_of(struct mset *s, unsigned node)
{
    return &s->nodes[node];
}

/* --- set.c --- */
int64_t mset_draw(struct mset *s, int64_t low, int64_t high);
void mset_tell(struct mset *s, const struct mset_node *n, enum mset_event_kind kind, uint64_t a,
               uint64_t b);
unsigned mset_number(const struct mset *s, const struct mset_node *n);
bool mset_runs(const struct mset_node *n); /* up and not stopped */
void mset_state_set(struct mset *s, struct mset_node *n, enum mset_state state);
void mset_exit(struct mset *s, struct mset_node *n, int status);
int64_t mset_wall(const struct mset *s);

/* --- set_link.c --- */
struct mset_message *mset_message_make(struct mset *s, const struct mset_node *n, unsigned to,
                                       enum mset_message_kind kind, struct mset_message *room);
void mset_message_send(struct mset *s, const struct mset_message *m);
int64_t mset_message_next(const struct mset *s);
/* Delivers one that is due; false: none is. */
bool mset_message_deliver(struct mset *s);
void mset_message_thaw(struct mset *s, unsigned to);
void mset_beat_all(struct mset *s, struct mset_node *n); /* at once */
void mset_beat_timer(struct mset *s, struct mset_node *n);
int64_t mset_beat_due(const struct mset *s, const struct mset_node *n);
bool mset_is_linked(const struct mset *s, unsigned from, unsigned to);
void mset_on_beat(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_on_beat_answer(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_on_refused(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_peer_down(struct mset_node *n, unsigned peer, const char *text);

/* --- set_config.c --- */
const struct mset_member *mset_member_of(const struct mset *s, const struct mset_node *n,
                                         unsigned node); /* NULL: not in its configuration */
int mset_node_by_member(const struct mset *s, const struct mset_member *m);
unsigned mset_votes(const struct mset_member *m);
unsigned mset_priority_x10(const struct mset_member *m);
bool mset_is_data(const struct mset_member *m);
bool mset_is_configured(const struct mset_node *n);
void mset_places_find(const struct mset *s, struct mset_node *n); /* disk.config is another one */
void mset_config_install(struct mset *s, struct mset_node *n, const struct mset_config *config);
bool mset_is_config_committed(const struct mset *s, const struct mset_node *n);
void mset_newly_added_look(struct mset *s, struct mset_node *n);
void mset_config_bump_term(struct mset *s, struct mset_node *n);
void mset_wait_initiate(struct mset *s, struct mset_wait *w);
void mset_wait_reconfig(struct mset *s, struct mset_wait *w);

/* --- set_elect.c --- */
void mset_election_reset(struct mset *s, struct mset_node *n);
bool mset_is_electable(const struct mset *s, const struct mset_node *n);
bool mset_stand(struct mset *s, struct mset_node *n, enum mset_reason why, bool is_dry);
void mset_term_seen(struct mset *s, struct mset_node *n, uint64_t term);
void mset_on_vote(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_on_vote_answer(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_elect_timer(struct mset *s, struct mset_node *n);
int64_t mset_elect_due(const struct mset *s, const struct mset_node *n);
void mset_takeover_look(struct mset *s, struct mset_node *n);

/* --- set_step.c --- */
void mset_step_down(struct mset *s, struct mset_node *n, enum mset_reason why);
int64_t mset_liveness_due(const struct mset *s, const struct mset_node *n);
void mset_catch_up_look(struct mset *s, struct mset_node *n);
void mset_primary_timer(struct mset *s, struct mset_node *n);
int64_t mset_primary_due(const struct mset *s, const struct mset_node *n);
void mset_on_step_up(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_wait_step_down(struct mset *s, struct mset_wait *w);
void mset_wait_shutdown(struct mset *s, struct mset_wait *w);
void mset_wait_step_up(struct mset *s, struct mset_wait *w);

/* --- set_oplog.c --- */
struct mset_entry *mset_entry_of(struct mset *s, uint32_t entry);
struct mset_optime mset_optime_of(const struct mset *s, uint32_t entry);
int mset_entry_order(const struct mset *s, uint32_t a, uint32_t b);
uint32_t mset_ancestor(const struct mset *s, uint32_t entry, uint32_t depth);
bool mset_is_under(const struct mset *s, uint32_t head, uint32_t entry); /* head has entry */
uint32_t mset_common(const struct mset *s, uint32_t a, uint32_t b);
/* By a primary; 0: no room. */
uint32_t mset_append(struct mset *s, struct mset_node *n, uint64_t value, uint8_t concern);
void mset_head_set(struct mset *s, struct mset_node *n, uint32_t head);
void mset_commit_look(struct mset *s, struct mset_node *n);
void mset_commit_learn(struct mset *s, struct mset_node *n, uint32_t entry);
void mset_journal_timer(struct mset *s, struct mset_node *n);
void mset_mark_acked(struct mset *s, uint32_t entry);
unsigned mset_have(const struct mset *s, const struct mset_node *n, uint32_t entry);

/* --- set_sync.c --- */
void mset_on_pull(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_on_pull_answer(struct mset *s, struct mset_node *n, const struct mset_message *m);
void mset_pull_timer(struct mset *s, struct mset_node *n);
int64_t mset_pull_due(const struct mset *s, const struct mset_node *n);
void mset_feed(struct mset *s, struct mset_node *n); /* those that wait for entries */
void mset_sync_begin(struct mset *s, struct mset_node *n);

/* --- set_command.c --- */
void mset_waits_look(struct mset *s);
int64_t mset_waits_due(const struct mset *s);
void mset_waits_fail(struct mset *s, const struct mset_node *n, int code, const char *text);
void mset_waits_lost(struct mset *s, unsigned node); /* the process is gone */
void mset_wait_done(struct mset *s, struct mset_wait *w, int code, const char *text);

#endif
