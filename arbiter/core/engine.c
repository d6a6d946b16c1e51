/* SPDX-License-Identifier: Apache-2.0 */
/* Where the engines differ, one row each; what is not named here is the same for all of them:
 * epochs, the lease, pause, fences, settings, drained members, orders to members.
 *
 * PostgreSQL's own rules are sections 4 to 8 of the safety rules (vote.c, takeover.c, sync.c ...)
 * and stand where a row says NULL.
 */
#include "arbiter/core/galera_internal.h"
#include "arbiter/core/internal.h"
#include "arbiter/core/mongodb_internal.h"

static bool postgresql_has_data(const struct msg_report *report)
{
    return report->system_id != 0;
}

static bool postgresql_is_other(const struct msg_record *record, const struct msg_report *report)
{
    if (record->epoch != 0 && report->engine != record->engine) {
        return true;
    }
    return record->system_id != 0 && report->system_id != 0 &&
           report->system_id != record->system_id;
}

static bool postgresql_is_same_host(const struct msg_record *record,
                                    const struct msg_report *report)
{
    return report->system_id != 0 && report->system_id == record->system_id;
}

static bool postgresql_is_old_gone(const struct msg_report *report)
{
    return report->is_tree_gone;
}

static bool postgresql_is_serving(const struct msg_report *report)
{
    return report->db_state == MSG_DB_PRIMARY;
}

const struct arb_engine arb_engine_postgresql = {
    .id = MSG_ENGINE_POSTGRESQL,
    .has_data = postgresql_has_data,
    .is_other = postgresql_is_other,
    .is_same_host = postgresql_is_same_host,
    .is_old_gone = postgresql_is_old_gone,
    .is_serving = postgresql_is_serving,
};

const struct arb_engine arb_engine_galera = {
    .id = MSG_ENGINE_GALERA,
    .kill_us = BASE_US_PER_S, /* reject and read-only are tried for a second before the kill */
    .says_first = true,
    .has_data = arb_galera_has_data,
    .is_other = arb_galera_is_other,
    .is_same_host = arb_galera_is_same_host,
    .is_old_gone = arb_galera_is_old_gone,
    .is_serving = arb_galera_is_serving,
    .taken_in = arb_galera_taken_in,
    .may_hold = arb_galera_may_hold,
    .is_harmless = arb_galera_is_evicted,
    .found = arb_galera_found,
    .decide = arb_galera_decide,
    .confirm = arb_galera_confirm,
    .dead = arb_galera_dead,
    .target_check = arb_galera_target_check,
    .target_choose = arb_galera_target_choose,
    .order = arb_galera_order,
    .refuses = arb_galera_refuses,
};

const struct arb_engine arb_engine_mongodb = {
    .id = MSG_ENGINE_MONGODB,
    .is_leaseless = true,
    .says_first = true,
    .has_data = arb_mongodb_has_data,
    .is_other = arb_mongodb_is_other,
    .is_same_host = arb_mongodb_is_same_host,
    .is_old_gone = arb_mongodb_is_old_gone,
    .is_serving = arb_mongodb_is_serving,
    .taken_in = arb_mongodb_taken_in,
    .found = arb_mongodb_found,
    .decide = arb_mongodb_decide,
    .confirm = arb_mongodb_confirm,
    .target_check = arb_mongodb_target_check,
    .order = arb_mongodb_order,
    .request = arb_mongodb_request,
    .refuses = arb_mongodb_refuses,
};

const struct arb_engine *arb_engine_of(const struct arb_cluster *c)
{
    /* Planned: what its document says, until a member speaks. */
    bool is_planned = c->record.epoch == 0 && c->has_settings;
    enum msg_engine id = is_planned ? c->settings.engine : c->record.engine;
    for (uint8_t i = 0; c->record.epoch == 0 && i < c->views_count; i++) {
        if (c->views[i].has_report) {
            id = c->views[i].report.engine;
            break;
        }
    }
    static const struct arb_engine *const engines[] = {
        [MSG_ENGINE_POSTGRESQL] = &arb_engine_postgresql,
        [MSG_ENGINE_GALERA] = &arb_engine_galera,
        [MSG_ENGINE_MONGODB] = &arb_engine_mongodb,
    };
    return engines[id];
}

enum msg_engine arb_engine_id(const struct arb_cluster *cluster)
{
    return arb_engine_of(cluster)->id;
}
