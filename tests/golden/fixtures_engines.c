/* SPDX-License-Identifier: Apache-2.0 */
/* Recorded formats of the engines beside PostgreSQL: records, reports, and the parts of an agent's
 * state that only they have. */
#include "tests/golden/fixtures.h"

#include <stdio.h>

#include "agents/core/disk.h"
#include "base/name.h"
#include "proto/wire/agent.h"

int fixtures_galera_record(unsigned version, struct buf *out)
{
    struct msg_record r = fixtures_record_of(version);
    r.cluster = fixtures_name_of("shop");
    r.holder = fixtures_name_of("g1");
    r.target = (struct base_name){{0}};
    r.tasks_count = 0;
    r.engine = MSG_ENGINE_GALERA;
    r.galera = (struct msg_galera_record){.uuid = {1, 2, 3},
                                          .generation = 3,
                                          .high_water = 1200,
                                          .inhibit = 3,
                                          .sst_joiner = fixtures_name_of("g3"),
                                          .recovery_wait_us = 1000000};
    r.galera.grant = (struct msg_galera_grant){.generation = 3,
                                               .after = 2,
                                               .node = fixtures_name_of("g1"),
                                               .state = MSG_GALERA_GRANT_DONE};
    return wire_record_encode(&r, out);
}

static struct msg_mongodb_host host_of(const char *text)
{
    struct msg_mongodb_host host = {{0}};
    (void)snprintf(host.text, sizeof(host.text), "%s", text);
    return host;
}

int fixtures_mongodb_record(unsigned version, struct buf *out)
{
    static struct msg_record r;
    r = fixtures_record_of(version);
    r.cluster = fixtures_name_of("docs");
    r.holder = (struct base_name){{0}};
    r.target = (struct base_name){{0}};
    r.tasks_count = 0;
    r.engine = MSG_ENGINE_MONGODB;
    r.mongodb = (struct msg_mongodb_record){.set_name = fixtures_name_of("docs"),
                                            .set_id = {1, 2, 3},
                                            .is_initiated = true,
                                            .primary = fixtures_name_of("d1"),
                                            .primary_term = 5,
                                            .config = {.term = 5, .version = 9},
                                            .policy = {.cut_off = MSG_MONGODB_CUT_OFF_STEPDOWN,
                                                       .gray = MSG_MONGODB_GRAY_KILL,
                                                       .is_degrade_auto = true,
                                                       .zone = fixtures_name_of("west")},
                                            .barred = fixtures_names_of("d3", "d4"),
                                            .barred_epoch = 6,
                                            .places_count = 1};
    r.mongodb.order = (struct msg_mongodb_order){.epoch = 7,
                                                 .kind = MSG_MONGODB_ORDER_SWITCHOVER,
                                                 .state = MSG_MONGODB_ORDER_OPEN,
                                                 .phase = MSG_MONGODB_PHASE_STEP_UP,
                                                 .member = fixtures_name_of("d1"),
                                                 .subject = fixtures_name_of("d2"),
                                                 .subject_host = host_of("10.0.0.2:27017"),
                                                 .expected_term = 5,
                                                 .limit_ms = 60000};
    r.mongodb.places[0] = (struct msg_mongodb_place){.member = fixtures_name_of("d1"),
                                                     .host = host_of("10.0.0.1:27017")};
    return wire_record_encode(&r, out);
}

int fixtures_galera_report(unsigned version, struct buf *out)
{
    static struct msg_report r;
    (void)version;
    r = (struct msg_report){.cluster = fixtures_name_of("shop"),
                            .member = fixtures_name_of("g1"),
                            .session = 3,
                            .number = 9,
                            .host = base_text_from(SLICE_LIT("10.0.0.1")),
                            .db_port = 3306,
                            .http_port = 8008,
                            .priority = 50,
                            .engine = MSG_ENGINE_GALERA};
    r.galera.state = MSG_GALERA_DOWN;
    r.galera.is_position_recovered = true;
    r.galera.generation = 3;
    r.galera.inhibited = 2;
    r.galera.size = 3;
    r.galera.weight = 1;
    r.galera.seed_members = 3;
    return wire_report_encode(&r, out);
}

int fixtures_mongodb_report(unsigned version, struct buf *out)
{
    static struct msg_report r;
    (void)version;
    r = (struct msg_report){.cluster = fixtures_name_of("docs"),
                            .member = fixtures_name_of("d1"),
                            .session = 3,
                            .number = 9,
                            .host = base_text_from(SLICE_LIT("10.0.0.1")),
                            .db_port = 27017,
                            .http_port = 8008,
                            .priority = 50,
                            .engine = MSG_ENGINE_MONGODB};
    r.mongodb = (struct msg_mongodb_report){.state = MSG_MONGODB_PRIMARY,
                                            .has_data = true,
                                            .hello_age_ms = 10,
                                            .is_writable = true,
                                            .term = 5,
                                            .self = host_of("10.0.0.1:27017"),
                                            .config = {.term = 5, .version = 9},
                                            .is_config_known = true,
                                            .majority = 2,
                                            .live_voters = 3,
                                            .order_epoch = 7,
                                            .is_order_done = true,
                                            .set_name = fixtures_name_of("docs"),
                                            .seed_members = 3,
                                            .priority = 1,
                                            .peers_count = 1};
    r.mongodb.peers[0] = (struct msg_mongodb_peer){.id = 0,
                                                   .host = host_of("10.0.0.1:27017"),
                                                   .votes = 1,
                                                   .priority_x10 = 10,
                                                   .is_self = true,
                                                   .is_healthy = true,
                                                   .state = 1};
    return wire_report_encode(&r, out);
}

int fixtures_galera_disk(unsigned version, struct buf *out)
{
    static struct agt_disk disk;
    (void)version;
    disk = (struct agt_disk){.epoch_seen = 7, .galera = {.generation = 3, .inhibit = 2}};
    return agt_disk_encode(&disk, out);
}

int fixtures_mongodb_disk(unsigned version, struct buf *out)
{
    static struct agt_disk disk;
    (void)version;
    disk = (struct agt_disk){.epoch_seen = 7,
                             .mongodb = {.order_epoch = 7, .barred_epoch = 6, .rollbacks = 1}};
    return agt_disk_encode(&disk, out);
}
