/* SPDX-License-Identifier: Apache-2.0 */
/* The engines whose replication is their own: one row each. */
#include "agents/core/mongodb_internal.h"

static void galera_done(struct agt_run *run, const struct db_order *order,
                        const struct db_done *done)
{
    agt_galera_order_done(run, order, done->status);
}

static const struct agt_engine galera = {
    .tick = agt_galera_tick,
    .root_started = agt_galera_root_started,
    .root_gone = agt_galera_root_gone,
    .view = agt_galera_view,
    .order_done = galera_done,
    .step = agt_galera_turn,
    .report = agt_galera_report,
    .digest = agt_galera_digest,
};

static const struct agt_engine mongodb = {
    .tick = agt_mongodb_tick,
    .root_started = agt_mongodb_root_started,
    .root_gone = agt_mongodb_root_gone,
    .view = agt_mongodb_view,
    .order_done = agt_mongodb_order_done,
    .step = agt_mongodb_step,
    .report = agt_mongodb_report,
    .digest = agt_mongodb_digest,
};

const struct agt_engine *agt_engine(const struct agt *a)
{
    switch (a->config.engine) {
    case MSG_ENGINE_GALERA:
        return &galera;
    case MSG_ENGINE_MONGODB:
        return &mongodb;
    case MSG_ENGINE_POSTGRESQL:
        break;
    }
    return NULL;
}
