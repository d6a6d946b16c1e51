/* SPDX-License-Identifier: Apache-2.0 */
/* Life of the nodes, and time. */
#include "tests/mongosim/set.h"

#include <stdio.h>
#include <string.h>

#include "tests/mongosim/set_inner.h"

size_t mset_size(void)
{
    return sizeof(struct mset);
}

size_t mset_entry_size(void)
{
    return sizeof(struct mset_entry);
}

struct mset *mset_init(void *memory, void *entries, size_t entries_max,
                       const struct mset_options *options)
{
    struct mset *s = memory;
    memset(s, 0, sizeof(*s));
    s->options = *options;
    s->options.window_entries = options->window_entries != 0 ? options->window_entries : 4096;
    s->options.sync_ms = options->sync_ms != 0 ? options->sync_ms : 2000;
    s->profile = mset_profile_of(options->release);
    s->rand = base_rand_make(options->seed, 1);
    s->entries = entries;
    s->entries_max = entries_max > UINT32_MAX ? UINT32_MAX : (uint32_t)entries_max;
    memset(&s->entries[0], 0, sizeof(s->entries[0]));
    s->entries_count = 1;
    for (unsigned i = 0; i < MSET_NODES_MAX; i++) {
        s->nodes[i].me = s->nodes[i].primary = s->nodes[i].source = -1;
        s->nodes[i].disk.vote_for = s->nodes[i].image.vote_for = -1;
        memset(s->nodes[i].places, -1, sizeof(s->nodes[i].places));
    }
    return s;
}

void mset_name(struct mset *s, unsigned node, const char *host)
{
    (void)snprintf(s->nodes[node].host.text, sizeof(s->nodes[node].host.text), "%s", host);
}

int mset_by_host(const struct mset *s, const char *host)
{
    for (unsigned i = 0; i < s->options.nodes; i++) {
        if (strcmp(s->nodes[i].host.text, host) == 0) {
            return (int)i;
        }
    }
    return -1;
}

int64_t mset_draw(struct mset *s, int64_t low, int64_t high)
{
    return low >= high ? low
                       : low + (int64_t)base_rand_between(&s->rand, 0, (uint64_t)(high - low));
}

unsigned mset_number(const struct mset *s, const struct mset_node *n)
{
    return (unsigned)(n - s->nodes);
}

bool mset_runs(const struct mset_node *n)
{
    return n->is_up && !n->is_paused;
}

int64_t mset_wall(const struct mset *s)
{
    return s->options.wall_us + s->now_us;
}

void mset_tell(struct mset *s, const struct mset_node *n, enum mset_event_kind kind, uint64_t a,
               uint64_t b)
{
    if (s->listener != NULL) {
        s->listener(s->listener_ctx, mset_number(s, n), kind, a, b);
    }
}

void mset_listen(struct mset *s, mset_listener *fn, void *ctx)
{
    s->listener = fn;
    s->listener_ctx = ctx;
}

void mset_state_set(struct mset *s, struct mset_node *n, enum mset_state state)
{
    if (n->state != state) {
        n->state = state;
        n->counter++;
        mset_tell(s, n, MSET_EV_STATE, state, 0);
    }
}

/* --- life of a process --- */

/* What its memory is when it starts. */
static void memory_clear(struct mset *s, struct mset_node *n)
{
    n->is_shutting_down = n->is_frozen = n->is_stale = false;
    n->state = MSET_STARTUP;
    n->me = n->primary = n->source = -1;
    n->head = n->disk.head;
    n->committed = n->disk.committed;
    n->concern = n->disk.concern;
    n->journal_us = n->election_us = n->takeover_us = n->drain_us = n->noop_us = MSET_NEVER;
    n->pull_us = n->pulled_us = n->sync_end_us = n->ready_us = MSET_NEVER;
    n->not_before_us = 0;
    n->maintenance = 0;
    memset(&n->round, 0, sizeof(n->round));
    n->is_writable = n->is_catching_up = n->is_reconfig_busy = n->is_step_down_due = false;
    n->first_of_term = n->committed_before = MSET_NONE;
    n->counter = 1;
    n->shown = 0;
    for (unsigned i = 0; i < MSET_NODES_MAX; i++) {
        n->peers[i] = (struct mset_peer){.state = MSET_UNKNOWN,
                                         .answered_us = -1,
                                         .asked_us = -1,
                                         .alive_us = s->now_us,
                                         .due_us = s->now_us,
                                         .sent_us = -1,
                                         .sync_source = -1,
                                         .text = ""};
    }
    uint64_t last = mset_optime_of(s, n->head).term;
    n->term = n->disk.vote_term > last ? n->disk.vote_term : last;
}

void mset_start(struct mset *s, unsigned node)
{
    struct mset_node *n = mset_node_of(s, node);
    if (n->is_up) {
        return;
    }
    n->is_up = true;
    n->is_paused = n->is_exited = false;
    n->life++;
    n->started_us = s->now_us;
    memory_clear(s, n);
    n->disk.exists = true;
    if (n->disk.is_ruined) {
        mset_exit(s, n, MSET_STATUS_RUINED);
        return;
    }
    if (mset_is_configured(n)) {
        struct mset_config config = n->disk.config;
        mset_config_install(s, n, &config);
    }
}

static void gone(struct mset *s, struct mset_node *n)
{
    n->is_up = n->is_paused = false;
    n->state = MSET_DOWN;
    n->is_writable = false;
    n->head = n->disk.head;
    n->life++;
    mset_waits_lost(s, mset_number(s, n));
}

void mset_crash(struct mset *s, unsigned node)
{
    struct mset_node *n = mset_node_of(s, node);
    if (n->is_up) {
        gone(s, n);
    }
}

void mset_exit(struct mset *s, struct mset_node *n, int status)
{
    if (status == 0 && !n->is_stuck) {
        mset_head_set(s, n, n->head);
        n->disk.head = n->head; /* in order: all is journaled */
        n->disk.committed = n->committed;
    }
    gone(s, n);
    n->is_exited = true;
    n->exit_status = status;
    mset_tell(s, n, MSET_EV_EXIT, (uint64_t)status, 0);
}

bool mset_take_exit(struct mset *s, unsigned node, int *ret_status)
{
    struct mset_node *n = mset_node_of(s, node);
    bool is_exited = n->is_exited;
    *ret_status = n->exit_status;
    n->is_exited = false;
    return is_exited;
}

void mset_terminate(struct mset *s, unsigned node)
{
    struct mset_node *n = mset_node_of(s, node);
    if (n->is_up && !n->is_shutting_down) {
        struct mset_command command = {
            .kind = MSET_SHUTDOWN, .tag = 0, .is_forced = true, .catch_up_seconds = 10};
        (void)mset_command(s, node, &command);
    }
}

void mset_pause(struct mset *s, unsigned node, bool is_paused)
{
    struct mset_node *n = mset_node_of(s, node);
    if (!n->is_up || n->is_paused == is_paused) {
        return;
    }
    n->is_paused = is_paused;
    s->is_look_wanted = true;
    if (!is_paused) {
        mset_message_thaw(s, node);
    }
}

bool mset_is_up(const struct mset *s, unsigned node)
{
    return s->nodes[node].is_up;
}

bool mset_is_paused(const struct mset *s, unsigned node)
{
    return s->nodes[node].is_paused;
}

/* --- faults --- */

void mset_link_set(struct mset *s, unsigned from, unsigned to, const struct mset_link *link)
{
    s->links[from][to] = *link;
}

void mset_disk_stuck(struct mset *s, unsigned node, bool is_stuck)
{
    struct mset_node *n = mset_node_of(s, node);
    n->is_stuck = is_stuck;
    s->is_look_wanted = true;
    if (!is_stuck && n->is_up && n->head != n->disk.head) {
        n->journal_us = s->now_us;
    }
}

void mset_disk_full(struct mset *s, unsigned node, bool is_full)
{
    mset_node_of(s, node)->is_full = is_full;
}

void mset_hello_hung(struct mset *s, unsigned node, bool is_hung)
{
    mset_node_of(s, node)->is_hello_hung = is_hung;
    s->is_look_wanted = true;
}

void mset_login_refused(struct mset *s, unsigned node, bool is_refused)
{
    mset_node_of(s, node)->is_login_refused = is_refused;
}

void mset_set_name_wrong(struct mset *s, unsigned node, bool is_wrong)
{
    mset_node_of(s, node)->is_name_wrong = is_wrong;
}

void mset_applier_blocked(struct mset *s, unsigned node, bool is_blocked)
{
    mset_node_of(s, node)->is_applier_blocked = is_blocked;
}

void mset_wipe(struct mset *s, unsigned node)
{
    struct mset_node *n = mset_node_of(s, node);
    if (n->is_up) {
        return;
    }
    s->truth.is_vote_forgotten |= n->disk.vote_term != 0;
    memset(&n->disk, 0, sizeof(n->disk));
    n->disk.vote_for = -1;
    n->head = MSET_NONE;
    mset_places_find(s, n);
}

void mset_image(struct mset *s, unsigned node)
{
    s->nodes[node].image = s->nodes[node].disk;
}

void mset_restore(struct mset *s, unsigned node)
{
    struct mset_node *n = mset_node_of(s, node);
    if (!n->is_up) {
        s->truth.is_vote_forgotten = true;
        n->disk = n->image;
        n->head = n->disk.head;
        mset_places_find(s, n);
    }
}

void mset_heal(struct mset *s)
{
    memset(s->links, 0, sizeof(s->links));
    for (unsigned i = 0; i < s->options.nodes; i++) {
        struct mset_node *n = &s->nodes[i];
        mset_disk_stuck(s, i, false);
        n->is_full = n->is_hello_hung = n->is_login_refused = false;
        n->is_name_wrong = n->is_applier_blocked = false;
        mset_pause(s, i, false);
    }
}

/* --- time --- */

static int64_t earliest(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t node_due(const struct mset *s, const struct mset_node *n)
{
    if (!mset_runs(n)) {
        return MSET_NEVER;
    }
    int64_t due = n->ready_us;
    due = earliest(due, n->is_stuck ? MSET_NEVER : n->journal_us);
    if (n->me < 0) {
        return due;
    }
    due = earliest(due, mset_beat_due(s, n));
    due = earliest(due, mset_elect_due(s, n));
    due = earliest(due, mset_primary_due(s, n));
    return earliest(due, mset_pull_due(s, n));
}

int64_t mset_next(const struct mset *s)
{
    if (s->is_look_wanted) {
        return s->now_us;
    }
    int64_t due = earliest(mset_message_next(s), mset_waits_due(s));
    for (unsigned i = 0; i < s->options.nodes; i++) {
        due = earliest(due, node_due(s, &s->nodes[i]));
    }
    return due;
}

/* A start, a rollback or a recovery is over. */
static void ready_timer(struct mset *s, struct mset_node *n)
{
    if (n->ready_us > s->now_us) {
        return;
    }
    n->ready_us = MSET_NEVER;
    const struct mset_member *me = mset_member_of(s, n, mset_number(s, n));
    if (me == NULL) {
        return;
    }
    if (me->is_arbiter) {
        mset_state_set(s, n, MSET_ARBITER);
        return;
    }
    if (n->disk.is_sync_needed) {
        mset_sync_begin(s, n);
        return;
    }
    bool is_recovering = n->maintenance > 0 || n->is_stale;
    mset_state_set(s, n, is_recovering ? MSET_RECOVERING : MSET_SECONDARY);
    n->pull_us = s->now_us;
    mset_election_reset(s, n);
}

static void node_timers(struct mset *s, struct mset_node *n)
{
    ready_timer(s, n);
    mset_journal_timer(s, n);
    if (n->me >= 0) {
        mset_beat_timer(s, n);
        mset_primary_timer(s, n);
        mset_elect_timer(s, n);
        mset_pull_timer(s, n);
    }
}

void mset_advance(struct mset *s, int64_t now_us)
{
    for (;;) {
        int64_t due = mset_next(s);
        if (due > now_us) {
            break;
        }
        s->now_us = due > s->now_us ? due : s->now_us;
        while (mset_message_deliver(s)) {
        }
        for (unsigned i = 0; i < s->options.nodes; i++) {
            if (mset_runs(&s->nodes[i]) && node_due(s, &s->nodes[i]) <= s->now_us) {
                node_timers(s, &s->nodes[i]);
            }
        }
        s->is_look_wanted = false;
        mset_waits_look(s);
    }
    s->now_us = now_us > s->now_us ? now_us : s->now_us;
}

int64_t mset_now(const struct mset *s)
{
    return s->now_us;
}
