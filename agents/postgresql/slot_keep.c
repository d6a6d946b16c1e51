/* SPDX-License-Identifier: Apache-2.0 */
/* A standby's slot on its upstream, made when there is time for it.
 *
 * Following must not wait for a slot: in a failover the first acknowledgement needs the standby
 * that was pointed elsewhere, and a slot costs a connection and several syncs on the busy new
 * primary. So a standby follows without one at first (wal_keep_size holds the WAL), and some
 * seconds later the worker, when it has no order, makes the slot and names it in quorate.conf; the
 * receiver then connects once more. An order that comes in between ends the attempt. Worker thread
 * only. */
#include <signal.h>
#include <string.h>

#include "agents/postgresql/config.h"
#include "agents/postgresql/db_internal.h"
#include "base/crc32c.h"
#include "base/name.h"

#define CALM_US (3 * BASE_US_PER_S) /* after the change of upstream */
#define APART_US (700 * BASE_US_PER_MS)
#define TURNS 8
#define HEARTBEAT_US_MIN \
    (50 * BASE_US_PER_MS) /* probes are more frequent during a hand-over only */
#define RETRY_US (10 * BASE_US_PER_S)
#define LIMIT_US (1 * BASE_US_PER_S)

/* The same upstream as before keeps its slot; true when nothing in the file would change. */
bool pg_slot_recognise(struct pg_run *run, struct pg_conf *conf)
{
    conf->has_slot = true;
    if (pg_conf_is(run->settings, run->data_dir, conf)) {
        return true;
    }
    conf->has_slot = false;
    return pg_conf_is(run->settings, run->data_dir, conf);
}

/* Commits would wait if all standbys connected once more at the same moment: each has its turn. */
static int64_t turn_us(const struct pg_settings *settings)
{
    return base_crc32c(0, base_name_slice(&settings->member)) % TURNS * APART_US;
}

void pg_slot_following(struct pg_db *db, const struct pg_conf *conf)
{
    db->following = *conf;
    db->is_conf_detached = base_name_is_empty(&conf->upstream);
    db->slot_at = base_mono_add_us(pg_now(), CALM_US + turn_us(db->settings));
}

/* Due when the slot is missing and all is calm, or when it ought to be there and nothing streams: a
 * slot that was lost keeps the receiver out for ever. */
static bool is_due(struct pg_db *db)
{
    const struct pg_config *config = db->settings->config;
    bool is_off = db->following.is_remote || (config != NULL && !config->document->use_slots);
    if (base_name_is_empty(&db->following.upstream) || is_off ||
        base_mono_before(pg_now(), db->slot_at)) {
        return false;
    }
    pthread_mutex_lock(&db->lock);
    bool is_hand_over = db->interval_us < HEARTBEAT_US_MIN; /* the shutdown checkpoint is to come */
    bool is_standby =
        !is_hand_over && db->is_answering && db->guard.tree == GUARD_TREE_RUNNING && db->is_standby;
    bool is_receiving = db->is_receiving;
    pthread_mutex_unlock(&db->lock);
    return is_standby && is_receiving != db->following.has_slot;
}

void pg_slot_keep(struct pg_db *db)
{
    if (!is_due(db)) {
        return;
    }
    struct pg_upstream upstream;
    struct pg_run run = {
        .db = db, .settings = db->settings, .data_dir = db->settings->data_dir.text};
    run.order.upstream_member = db->following.upstream;
    run.order.upstream_host = db->following.upstream_host;
    run.order.upstream_port = db->following.upstream_port;
    run.deadline = base_mono_add_us(pg_now(), LIMIT_US);
    db->slot_at = base_mono_add_us(pg_now(), RETRY_US);
    int status = pg_run_make_slot(&run, LIMIT_US, &upstream);
    if (status != 0 || db->following.has_slot) {
        return;
    }
    db->following.has_slot = true;
    if (pg_conf_write(db->settings, run.data_dir, &db->following) != 0) {
        db->following.has_slot = false;
        return;
    }
    pg_run_signal(&run, SIGHUP);
}
