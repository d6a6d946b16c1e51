/* SPDX-License-Identifier: Apache-2.0 */
/* A Galera member's part of the report. Claims are made only when they hold now. */
#include <string.h>

#include "agents/core/internal.h"
#include "base/crc32c.h"

static const uint8_t no_uuid[16];

static enum msg_galera_state state_said(enum agt_galera_state state)
{
    static const enum msg_galera_state states[AGT_GALERA_STATE_COUNT] = {
        [AGT_GALERA_BLIND] = MSG_GALERA_UNKNOWN,
        [AGT_GALERA_FOREIGN] = MSG_GALERA_UNKNOWN,
        [AGT_GALERA_ENDING] = MSG_GALERA_UNKNOWN,
        [AGT_GALERA_NEEDS_SST] = MSG_GALERA_NEEDS_SST,
        [AGT_GALERA_UNPROVEN] = MSG_GALERA_DOWN,
        [AGT_GALERA_DOWN] = MSG_GALERA_DOWN,
        [AGT_GALERA_STARTING] = MSG_GALERA_STARTING,
        [AGT_GALERA_WAITING] = MSG_GALERA_WAITING,
        [AGT_GALERA_JOINING] = MSG_GALERA_JOINING,
        [AGT_GALERA_SYNCED] = MSG_GALERA_SYNCED,
        [AGT_GALERA_DONOR] = MSG_GALERA_DONOR,
        [AGT_GALERA_STALLED] = MSG_GALERA_STALLED,
        [AGT_GALERA_NONPRIM] = MSG_GALERA_NONPRIM,
        [AGT_GALERA_INCONSISTENT] = MSG_GALERA_INCONSISTENT,
        [AGT_GALERA_SUSPECT_NIL] = MSG_GALERA_SUSPECT_NIL,
    };
    return states[state];
}

enum msg_db_state agt_galera_db_state(const struct agt *a, struct base_mono now)
{
    if (a->stop.is_asked && a->guard.tree == GUARD_TREE_RUNNING) {
        return MSG_DB_STOPPING;
    }
    switch (agt_galera_state_of(a, now)) {
    case AGT_GALERA_BLIND:
    case AGT_GALERA_FOREIGN:
    case AGT_GALERA_STATE_COUNT:
        return MSG_DB_UNKNOWN;
    case AGT_GALERA_ENDING:
        return MSG_DB_STOPPING;
    case AGT_GALERA_NEEDS_SST:
        return a->view.has_directory ? MSG_DB_FAILED : MSG_DB_EMPTY;
    case AGT_GALERA_UNPROVEN:
    case AGT_GALERA_DOWN:
        return MSG_DB_STOPPED;
    case AGT_GALERA_STARTING:
    case AGT_GALERA_WAITING:
        return MSG_DB_STARTING;
    case AGT_GALERA_JOINING:
        return MSG_DB_CREATING;
    case AGT_GALERA_SYNCED:
    case AGT_GALERA_DONOR:
    case AGT_GALERA_STALLED:
        return agt_holds(a) && a->galera.promoted_epoch == a->guard.epoch ? MSG_DB_PRIMARY
                                                                          : MSG_DB_STANDBY;
    case AGT_GALERA_NONPRIM:
    case AGT_GALERA_INCONSISTENT:
    case AGT_GALERA_SUSPECT_NIL:
        return MSG_DB_FAILED;
    }
    BASE_UNREACHABLE();
}

/* The stamp counts for the data that it was made for. */
static uint64_t generation_of(const struct agt *a)
{
    const struct agt_galera_disk *d = &a->disk.galera;
    const struct db_galera_view *g = &a->view.galera;
    const uint8_t *uuid = a->guard.tree == GUARD_TREE_GONE ? g->position.uuid : g->uuid;
    bool is_known = memcmp(d->uuid, no_uuid, sizeof(no_uuid)) != 0 &&
                    memcmp(uuid, no_uuid, sizeof(no_uuid)) != 0;
    bool is_other = is_known && memcmp(d->uuid, uuid, sizeof(d->uuid)) != 0;
    if (!a->has_view || (a->guard.tree == GUARD_TREE_GONE && !a->is_gone_seen)) {
        return d->generation; /* not looked at yet: what the stamp says may be there */
    }
    return is_other || (a->guard.tree == GUARD_TREE_GONE && !a->view.has_directory) ? 0
                                                                                    : d->generation;
}

/* Nobody can write or read: there is no process, or it is not Primary and rejects everybody. */
static bool is_fenced(const struct agt *a, enum agt_galera_state state)
{
    if (a->guard.tree == GUARD_TREE_GONE) {
        return a->is_gone_seen && !a->view.is_process;
    }
    return state == AGT_GALERA_NONPRIM && a->view.is_answering && a->view.galera.is_rejecting &&
           !a->view.galera.is_primary;
}

static void fill_sight(const struct agt *a, struct base_mono now, struct msg_galera_report *r)
{
    const struct db_galera_view *g = &a->view.galera;
    bool is_running = a->guard.tree == GUARD_TREE_RUNNING;
    r->position = g->position;
    r->is_position_recovered = r->state == MSG_GALERA_DOWN && g->is_position_recovered;
    bool is_down = r->state == MSG_GALERA_DOWN || r->state == MSG_GALERA_NEEDS_SST;
    r->is_left = is_down && (a->disk.galera.is_left || a->want.galera.is_left);
    r->is_safe_to_bootstrap = g->is_safe_to_bootstrap;
    r->data_bytes = g->data_bytes;
    r->is_sst_failed = g->is_sst_failed;
    if (!is_running || !a->has_answered) {
        return;
    }
    bool is_stale = base_mono_diff_us(now, g->asked_at) > AGT_GALERA_EVIDENCE_US;
    r->is_primary = g->is_primary && !is_stale;
    r->state = is_stale ? MSG_GALERA_STALLED : r->state; /* what was seen may be long over */
    r->is_read_only = g->is_read_only;
    r->is_rejecting = g->is_rejecting;
    r->is_desynced = g->is_desynced;
    r->is_flow_paused = g->is_flow_paused;
    r->is_causal = base_mono_diff_us(now, g->causal_at) <= AGT_GALERA_EVIDENCE_US &&
                   !base_mono_before(g->causal_at, a->galera.paused_at);
    r->size = g->size;
    r->weight = g->weight;
    r->recv_queue = g->recv_queue;
    r->donor = g->donor;
    int64_t silent_us = a->view.is_answering ? 0 : base_mono_diff_us(now, a->answered_at);
    r->stalled_ms = silent_us > 0 ? (uint32_t)(silent_us / BASE_US_PER_MS) : g->stuck_ms;
    if (r->state == MSG_GALERA_STALLED && r->stalled_ms == 0) {
        r->stalled_ms = 1;
    }
}

static void fill_note(const struct agt *a, enum agt_galera_state state, struct msg_report *r)
{
    struct buf b = buf_over(r->note.text, BASE_TEXT_MAX);
    memset(&r->note, 0, sizeof(r->note));
    enum agt_galera_goal goal = agt_galera_goal_of(a);
    if (goal == AGT_GALERA_GOAL_REFUSED) {
        buf_put(&b, base_text_slice(&a->order.reason));
    } else if (a->has_guard && a->has_view) {
        buf_put_text(&b, agt_galera_state_text(state));
        buf_put_text(&b, ": ");
        buf_put_text(&b, agt_galera_action_text(agt_galera_table_action(state, goal)));
    } else {
        buf_put_text(&b, "waits for the first word of guard and database");
    }
    if (a->failure.kind != DB_ORDER_NONE) {
        buf_put_text(&b, "; ");
        buf_put(&b, base_text_slice(&a->note));
    }
    if (a->has_view && a->view.note.text[0] != '\0') {
        buf_put_text(&b, "; ");
        buf_put(&b, base_text_slice(&a->view.note));
    }
    if (a->has_view && a->view.warning.text[0] != '\0') {
        buf_put_text(&b, "; ");
        buf_put(&b, base_text_slice(&a->view.warning));
    }
}

void agt_galera_report(const struct agt *a, struct base_mono now, struct msg_report *r)
{
    struct msg_galera_report *g = &r->galera;
    enum agt_galera_state state = agt_galera_state_of(a, now);
    r->engine = MSG_ENGINE_GALERA;
    g->seed_members = a->config.seed_members;
    g->inhibited = a->disk.galera.inhibit;
    g->grant_generation = a->disk.galera.grant_done;
    g->grant_status = a->disk.galera.grant_status;
    g->view = a->disk.galera.view;
    g->state = state_said(state);
    g->generation = a->disk.galera.generation;
    g->position.seqno = -1;
    fill_note(a, state, r);
    if (!a->has_guard || !a->has_view) {
        return;
    }
    g->generation = generation_of(a);
    g->is_fenced = is_fenced(a, state);
    g->is_unreadable = agt_galera_is_damaged(a, state);
    fill_sight(a, now, g);
    r->db_state = agt_galera_db_state(a, now);
    r->is_open = agt_is_open(a, now);
    r->position.lineage = g->generation;
    r->position.lsn = g->position.seqno > 0 ? (uint64_t)g->position.seqno : 0;
    r->replay_lsn = r->position.lsn;
}

static uint32_t mix(uint32_t crc, uint64_t value)
{
    return base_crc32c(crc, slice_from(&value, sizeof(value)));
}

/* What is told at once when it changes. */
uint32_t agt_galera_digest(const struct agt *a, struct base_mono now)
{
    const struct db_galera_view *g = &a->view.galera;
    enum agt_galera_state state = agt_galera_state_of(a, now);
    uint32_t crc = mix(0, (uint64_t)state);
    crc = mix(crc, a->disk.galera.generation);
    crc = mix(crc, a->disk.galera.inhibit);
    crc = mix(crc, a->disk.galera.grant_done);
    crc = mix(crc, a->disk.galera.view.conf_id);
    if (!a->has_guard || !a->has_view) {
        return crc;
    }
    crc = mix(crc, is_fenced(a, state));
    crc = mix(crc, g->is_primary);
    crc = mix(crc, g->is_rejecting);
    crc = mix(crc, g->is_read_only);
    crc = mix(crc, g->is_position_recovered);
    crc = mix(crc, agt_galera_is_damaged(a, state));
    crc = mix(crc, g->size);
    return mix(crc, agt_is_open(a, now));
}
