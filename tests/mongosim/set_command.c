/* SPDX-License-Identifier: Apache-2.0 */
/* Commands of clients and agents, those that wait among them. */
#include <stdio.h>
#include <string.h>

#include "tests/mongosim/set_inner.h"

void mset_wait_done(struct mset *s, struct mset_wait *w, int code, const char *text)
{
    w->is_used = false;
    if (w->is_forgotten || w->command.tag == 0 || s->replies_count == MSET_REPLIES_MAX) {
        return;
    }
    unsigned at = (s->replies_from + s->replies_count++) % MSET_REPLIES_MAX;
    struct mset_reply *r = &s->replies[at];
    *r = (struct mset_reply){.tag = w->command.tag,
                             .node = w->node,
                             .kind = w->command.kind,
                             .code = code,
                             .entry = w->entry,
                             .optime = mset_optime_of(s, w->entry)};
    (void)snprintf(r->text, sizeof(r->text), "%s", text);
}

bool mset_take_reply(struct mset *s, struct mset_reply *ret)
{
    if (s->replies_count == 0) {
        return false;
    }
    *ret = s->replies[s->replies_from];
    s->replies_from = (s->replies_from + 1) % MSET_REPLIES_MAX;
    s->replies_count--;
    return true;
}

void mset_forget(struct mset *s, uint64_t tag)
{
    for (unsigned i = 0; i < MSET_WAITS_MAX; i++) {
        if (s->waits[i].is_used && s->waits[i].command.tag == tag) {
            s->waits[i].is_forgotten = true;
        }
    }
}

void mset_waits_fail(struct mset *s, const struct mset_node *n, int code, const char *text)
{
    for (unsigned i = 0; i < MSET_WAITS_MAX; i++) {
        struct mset_wait *w = &s->waits[i];
        bool is_other = w->command.kind == MSET_SHUTDOWN || w->command.kind == MSET_FREEZE;
        if (w->is_used && w->is_begun && w->node == mset_number(s, n) && !is_other) {
            mset_wait_done(s, w, code, text);
        }
    }
}

void mset_waits_lost(struct mset *s, unsigned node)
{
    for (unsigned i = 0; i < MSET_WAITS_MAX; i++) {
        if (s->waits[i].is_used && s->waits[i].node == node) {
            mset_wait_done(s, &s->waits[i], MSET_E_CONNECTION, "the connection ended");
        }
    }
}

/* --- writes --- */

static uint8_t concern_of(const struct mset *s, const struct mset_node *n, uint8_t w)
{
    struct mset_majorities of;
    if (w != 0 || n->concern != 0) {
        return w != 0 ? w : n->concern;
    }
    mset_majorities(&n->disk.config, &of);
    return s->profile->is_majority_implicit ? of.implicit : 1;
}

static unsigned data_members(const struct mset_config *c)
{
    unsigned count = 0;
    for (unsigned i = 0; i < c->count; i++) {
        count += mset_is_data(&c->members[i]);
    }
    return count;
}

static unsigned applied_by(const struct mset *s, const struct mset_node *n, uint32_t entry)
{
    unsigned have = 0;
    for (unsigned i = 0; i < s->options.nodes; i++) {
        const struct mset_member *m = mset_member_of(s, n, i);
        uint32_t head = i == mset_number(s, n) ? n->head : n->peers[i].applied;
        have += m != NULL && mset_is_data(m) && mset_is_under(s, head, entry);
    }
    return have;
}

static void write_wait(struct mset *s, struct mset_wait *w, uint8_t concern)
{
    struct mset_node *n = mset_node_of(s, w->node);
    if (concern == MSET_W_MAJORITY) {
        if (mset_is_under(s, n->committed, w->entry)) {
            if (!w->is_forgotten) {
                mset_mark_acked(s, w->entry);
            }
            mset_wait_done(s, w, MSET_OK, "");
        }
    } else if (concern > data_members(&n->disk.config)) {
        mset_wait_done(s, w, MSET_E_UNSATISFIABLE_CONCERN, "Not enough data-bearing nodes");
    } else if (applied_by(s, n, w->entry) >= concern) {
        mset_wait_done(s, w, MSET_OK, "");
    }
}

static void write_step(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    bool is_concern = w->command.kind == MSET_SET_CONCERN;
    if (!w->is_begun) {
        if (!n->is_writable) {
            mset_wait_done(s, w, MSET_E_NOT_PRIMARY, "not primary");
            return;
        }
        if (is_concern && w->command.w == 0) {
            mset_wait_done(s, w, MSET_E_ILLEGAL_OPERATION, "cannot be unset once it is set");
            return;
        }
        if (n->is_stuck) {
            return;
        }
        w->entry = n->is_full ? MSET_NONE
                              : mset_append(s, n, is_concern ? 0 : w->command.value,
                                            is_concern ? w->command.w : 0);
        if (w->entry == MSET_NONE) {
            mset_wait_done(s, w, MSET_E_OUT_OF_SPACE, "no space left on device");
            return;
        }
        w->is_begun = true;
        w->term = n->term;
    }
    write_wait(s, w, is_concern ? MSET_W_MAJORITY : concern_of(s, n, w->command.w));
}

/* --- what is done at once --- */

static void freeze(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    if (n->state == MSET_PRIMARY) {
        mset_wait_done(s, w, MSET_E_NOT_SECONDARY, "cannot freeze node when primary");
        return;
    }
    n->is_frozen = w->command.seconds > 0;
    n->not_before_us = n->is_frozen ? s->now_us + w->command.seconds * MSET_SECOND : 0;
    mset_wait_done(s, w, MSET_OK, "");
}

static void abort_catch_up(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    if (n->state != MSET_PRIMARY) {
        mset_wait_done(s, w, MSET_E_NOT_PRIMARY, "not primary");
    } else if (!n->is_catching_up) {
        mset_wait_done(s, w, MSET_E_ILLEGAL_OPERATION, "the node is not in catch-up mode");
    } else {
        n->is_catching_up = false;
        n->source = -1;
        n->pull_us = n->pulled_us = MSET_NEVER;
        n->drain_us = s->now_us;
        mset_wait_done(s, w, MSET_OK, "");
    }
}

static void maintain(struct mset *s, struct mset_wait *w)
{
    struct mset_node *n = mset_node_of(s, w->node);
    if (n->state == MSET_PRIMARY) {
        mset_wait_done(s, w, MSET_E_NOT_SECONDARY, "primaries can't modify maintenance mode");
        return;
    }
    if (!w->command.is_on && n->maintenance == 0) {
        mset_wait_done(s, w, MSET_E_OPERATION_FAILED, "already out of maintenance mode");
        return;
    }
    n->maintenance += w->command.is_on ? 1 : 0;
    n->maintenance -= w->command.is_on ? 0 : 1;
    if (n->state == MSET_SECONDARY || n->state == MSET_RECOVERING) {
        bool is_out = n->maintenance == 0 && !n->is_stale;
        mset_state_set(s, n, is_out ? MSET_SECONDARY : MSET_RECOVERING);
        mset_election_reset(s, n);
    }
    mset_wait_done(s, w, MSET_OK, "");
}

/* --- steps --- */

static bool needs_config(enum mset_command_kind kind)
{
    return kind != MSET_INITIATE && kind != MSET_RECONFIG && kind != MSET_SHUTDOWN &&
           kind != MSET_WRITE && kind != MSET_SET_CONCERN;
}

static void wait_step(struct mset *s, struct mset_wait *w)
{
    static void (*const steps[])(struct mset *, struct mset_wait *) = {
        [MSET_INITIATE] = mset_wait_initiate,
        [MSET_RECONFIG] = mset_wait_reconfig,
        [MSET_STEP_DOWN] = mset_wait_step_down,
        [MSET_FREEZE] = freeze,
        [MSET_STEP_UP] = mset_wait_step_up,
        [MSET_ABORT_CATCH_UP] = abort_catch_up,
        [MSET_MAINTENANCE] = maintain,
        [MSET_SET_CONCERN] = write_step,
        [MSET_WRITE] = write_step,
        [MSET_SHUTDOWN] = mset_wait_shutdown,
    };
    const struct mset_node *n = &s->nodes[w->node];
    if (n->is_shutting_down && w->command.kind != MSET_SHUTDOWN) {
        mset_wait_done(s, w, MSET_E_SHUTDOWN, "The server is in quiesce mode and will shut down");
    } else if (needs_config(w->command.kind) && !mset_is_configured(n)) {
        mset_wait_done(s, w, MSET_E_NOT_INITIALIZED, "no replset config has been received");
    } else {
        steps[w->command.kind](s, w);
    }
}

static bool can_step(const struct mset *s, const struct mset_wait *w)
{
    const struct mset_node *n = &s->nodes[w->node];
    return w->is_used && mset_runs(n) && (w->is_begun || !n->is_hello_hung);
}

static void out_of_time(struct mset *s, struct mset_wait *w)
{
    bool is_write = w->command.kind == MSET_WRITE && w->is_begun;
    if (w->command.kind == MSET_RECONFIG && w->is_begun && w->version.version == 0) {
        mset_node_of(s, w->node)->is_reconfig_busy = false;
    }
    mset_wait_done(s, w, is_write ? MSET_E_WRITE_CONCERN_FAILED : MSET_E_MAX_TIME,
                   is_write ? "waiting for replication timed out"
                            : "operation exceeded time limit");
}

void mset_waits_look(struct mset *s)
{
    for (unsigned i = 0; i < MSET_WAITS_MAX; i++) {
        struct mset_wait *w = &s->waits[i];
        if (can_step(s, w)) {
            wait_step(s, w);
        }
        if (w->is_used && w->end_us <= s->now_us && mset_runs(&s->nodes[w->node])) {
            out_of_time(s, w);
        }
    }
}

static int64_t later(const struct mset *s, int64_t due, int64_t at)
{
    return at > s->now_us && at < due ? at : due;
}

int64_t mset_waits_due(const struct mset *s)
{
    int64_t due = MSET_NEVER;
    for (unsigned i = 0; i < MSET_WAITS_MAX; i++) {
        const struct mset_wait *w = &s->waits[i];
        if (w->is_used && mset_runs(&s->nodes[w->node])) {
            due = later(s, due, w->due_us);
            due = later(s, due, w->end_us);
            due = w->is_begun ? later(s, due, w->catch_up_us) : due;
        }
    }
    return due;
}

bool mset_command(struct mset *s, unsigned node, const struct mset_command *command)
{
    const struct mset_node *n = &s->nodes[node];
    for (unsigned i = 0; i < MSET_WAITS_MAX; i++) {
        struct mset_wait *w = &s->waits[i];
        if (w->is_used) {
            continue;
        }
        *w = (struct mset_wait){.is_used = true,
                                .node = node,
                                .life = n->life,
                                .command = *command,
                                .due_us = MSET_NEVER,
                                .catch_up_us = MSET_NEVER};
        w->end_us =
            command->max_time_ms != 0 ? s->now_us + command->max_time_ms * MSET_MS : MSET_NEVER;
        if (!n->is_up) {
            mset_wait_done(s, w, MSET_E_CONNECTION, "connection refused");
        } else if (can_step(s, w)) {
            wait_step(s, w);
        }
        return true;
    }
    return false;
}
