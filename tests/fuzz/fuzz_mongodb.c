/* SPDX-License-Identifier: Apache-2.0 */
/* A mongod's answers, raw: whatever the bytes are, what is read stays within its room, and a change
 * of a configuration that could be read is one: the next version, and in force when it is read
 * back. */
#include <string.h>

#include "agents/mongodb/change.h"
#include "agents/mongodb/message.h"
#include "agents/mongodb/read.h"
#include "agents/mongodb/session.h"
#include "tests/fuzz/fuzz.h"

static void check_host(const struct msg_mongodb_host *host)
{
    size_t len = strnlen(host->text, sizeof(host->text));
    BASE_ASSERT(len < sizeof(host->text));
    for (size_t i = len; i < sizeof(host->text); i++) {
        BASE_ASSERT(host->text[i] == '\0'); /* they are compared as memory */
    }
}

static void hello(struct slice in)
{
    static const struct base_name set = {"rs0"};
    struct db_mongodb_hello h = {.at = {7}};
    struct mdb_topology topology;
    if (mdb_read_hello(in, &set, &h, &topology) != 0) {
        BASE_ASSERT(h.wire_version == 0); /* untouched */
        return;
    }
    BASE_ASSERT(h.at.us == 7);
    BASE_ASSERT(!h.is_writable || h.is_in_set);
    BASE_ASSERT(!topology.is_known || topology.counter >= 0);
    check_host(&h.self);
    check_host(&h.primary);
}

static void status(struct slice in)
{
    struct db_mongodb_status st = {.at = {7}};
    if (mdb_read_status(in, &st) == 0) {
        BASE_ASSERT(st.peers_count <= MSG_MONGODB_PEERS_MAX && st.sync_permille <= 1000);
        check_host(&st.sync_source);
        for (size_t i = 0; i < st.peers_count; i++) {
            check_host(&st.peers[i].host);
            BASE_ASSERT(st.peers[i].host.text[0] != '\0');
        }
    }
}

static void seldom(struct slice in)
{
    struct mdb_server server = {0};
    struct mdb_config_advice advice;
    struct mdb_rights rights;
    enum msg_mongodb_default_concern concern = MSG_MONGODB_CONCERN_UNKNOWN;
    bool has_others = false;
    uint64_t ts = 0;
    int32_t code = 0;
    (void)!mdb_read_config_advice(in, &advice);
    (void)!mdb_read_oplog(in, &ts);
    (void)!mdb_read_databases(in, &has_others);
    (void)!mdb_read_rights(in, &rights);
    BASE_ASSERT(mdb_read_server(in, &server) != 0 || server.dirty_permille <= 1000);
    BASE_ASSERT(mdb_read_write(in, &code) != 0 || code >= 0);
    BASE_ASSERT(mdb_read_concern(in, &concern) != 0 || concern != MSG_MONGODB_CONCERN_UNKNOWN);
}

static struct db_mongodb_order order_of(const struct db_mongodb_config *config, unsigned change)
{
    struct db_mongodb_order order = {.change = (enum db_mongodb_change)change,
                                     .expected_config = config->version,
                                     .host = config->peers[0].host,
                                     .votes = 1,
                                     .priority_x10 = 15,
                                     .election_timeout_ms = 7000};
    if (change == DB_MONGODB_ADD) {
        order.host = (struct msg_mongodb_host){"new:1"};
    }
    order.hosts[order.hosts_count++] = config->peers[0].host;
    return order;
}

static void changes(struct slice in)
{
    static uint8_t memory[MDB_COMMAND_BYTES];
    struct db_mongodb_config config = {.at = {7}};
    if (mdb_read_config(in, &config) != 0) {
        return;
    }
    BASE_ASSERT(config.peers_count > 0 && config.peers_count <= MSG_MONGODB_PEERS_MAX);
    for (size_t i = 0; i < config.peers_count; i++) {
        check_host(&config.peers[i].host);
    }
    for (unsigned change = DB_MONGODB_ADD; change <= DB_MONGODB_SURVIVORS; change++) {
        struct db_mongodb_order order = order_of(&config, change);
        struct buf b = buf_over(memory, sizeof(memory));
        if (mdb_change_put(in, &order, 10000, &b) == 0) {
            BASE_ASSERT(b.len > 5 && b.len <= sizeof(memory) && !b.is_full);
        }
        order.expected_config.version++;
        buf_reset(&b);
        int rc = mdb_change_put(in, &order, 10000, &b);
        BASE_ASSERT(rc != 0); /* of another configuration: never */
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct slice in = slice_from(data, size);
    (void)!mdb_message_check(in);
    hello(in);
    status(in);
    changes(in);
    seldom(in);
    return 0;
}
