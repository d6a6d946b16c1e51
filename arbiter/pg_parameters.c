/* SPDX-License-Identifier: Apache-2.0 */
/* The table; see pg_parameters.h. Sorted by name for people, walked from the front. */
#include "arbiter/pg_parameters.h"

#include <string.h>

#include "base/assert.h"

#define MEMBER_FILE "it belongs to the member: set it in the agent's file"
#define ROLE "it follows the member's role and is set by Quorate"
#define SAFETY "failover relies on it, so its value is fixed"
#define LAYOUT "Quorate must find its files: their places are set in the agent's file"
#define TARGET "a recovery target would stop a promotion short of what was acknowledged"
#define TLS "replication relies on it: set postgresql.tls* in the agent's file"
#define DIRECTIVE "it is no parameter; put the settings themselves here"

#define OURS(name, why) \
    { \
        name, ARB_PG_OURS, why, 0, 0, NULL \
    }
#define ORDERED(name, min, max) \
    { \
        name, ARB_PG_ORDERED, NULL, min, max, NULL \
    }
#define EQUAL(name, words) \
    { \
        name, ARB_PG_EQUAL, NULL, 0, 0, words \
    }

static const struct arb_pg_parameter table[] = {
    OURS("cluster_name", "it names cluster and member"),
    OURS("config_file", LAYOUT),
    OURS("data_directory", LAYOUT),
    OURS("external_pid_file", LAYOUT),
    OURS("fsync", SAFETY),
    OURS("full_page_writes", SAFETY),
    OURS("hba_file", LAYOUT),
    OURS("hot_standby", SAFETY),
    OURS("ident_file", LAYOUT),
    OURS("include", DIRECTIVE),
    OURS("include_dir", DIRECTIVE),
    OURS("include_if_exists", DIRECTIVE),
    OURS("listen_addresses", MEMBER_FILE " (postgresql.listen)"),
    ORDERED("max_connections", 20, 262143),
    ORDERED("max_locks_per_transaction", 10, 1000000),
    ORDERED("max_prepared_transactions", 0, 262143),
    EQUAL("max_replication_slots", NULL),
    OURS("max_slot_wal_keep_size", "set postgresql.max_slot_wal_keep_size of the document"),
    ORDERED("max_wal_senders", 4, 262143),
    ORDERED("max_worker_processes", 2, 262143),
    OURS("port", MEMBER_FILE " (postgresql.port)"),
    OURS("primary_conninfo", ROLE),
    OURS("primary_slot_name", ROLE),
    OURS("promote_trigger_file", ROLE),
    OURS("recovery_end_command", ROLE),
    OURS("recovery_min_apply_delay", "a standby that lags on purpose cannot take over"),
    OURS("recovery_target", TARGET),
    OURS("recovery_target_action", TARGET),
    OURS("recovery_target_inclusive", TARGET),
    OURS("recovery_target_lsn", TARGET),
    OURS("recovery_target_name", TARGET),
    OURS("recovery_target_time", TARGET),
    OURS("recovery_target_timeline", TARGET),
    OURS("recovery_target_xid", TARGET),
    OURS("restart_after_crash", "the guard must see every crash"),
    OURS("ssl", TLS),
    OURS("ssl_ca_file", TLS),
    OURS("ssl_cert_file", TLS),
    OURS("ssl_key_file", TLS),
    OURS("synchronous_standby_names", "set sync, sync_count and strict of the document"),
    EQUAL("track_commit_timestamp", NULL),
    OURS("unix_socket_directories", MEMBER_FILE " (postgresql.socket_dir)"),
    EQUAL("wal_keep_size", NULL),
    EQUAL("wal_level", "replica|logical"),
    OURS("wal_log_hints", SAFETY),
    OURS("wal_receiver_create_temp_slot", ROLE),
};

static const struct arb_pg_ordered ordered[ARB_PG_ORDERED_COUNT] = {
    {"max_connections", "max_connections setting", 100},
    {"max_locks_per_transaction", "max_locks_per_xact setting", 64},
    {"max_prepared_transactions", "max_prepared_xacts setting", 0},
    {"max_wal_senders", "max_wal_senders setting", 10},
    {"max_worker_processes", "max_worker_processes setting", 8},
};

static uint8_t lower(uint8_t c)
{
    return c >= 'A' && c <= 'Z' ? (uint8_t)(c - 'A' + 'a') : c;
}

static bool is_same(struct slice name, const char *text)
{
    for (size_t i = 0; i < name.len; i++) {
        if (lower(name.data[i]) != (uint8_t)text[i]) { /* its NUL ends a shorter one */
            return false;
        }
    }
    return text[name.len] == '\0';
}

const struct arb_pg_parameter *arb_pg_parameter_find(struct slice name)
{
    for (size_t i = 0; i < BASE_COUNT_OF(table); i++) {
        if (is_same(name, table[i].name)) {
            return &table[i];
        }
    }
    return NULL;
}

bool arb_pg_is_name(struct slice name)
{
    for (size_t i = 0; i < name.len; i++) {
        uint8_t c = lower(name.data[i]);
        bool is_letter = (c >= 'a' && c <= 'z') || c == '_';
        if (!is_letter && (i == 0 || ((c < '0' || c > '9') && c != '.'))) {
            return false;
        }
    }
    return name.len > 0 && name.len < 64;
}

const struct arb_pg_ordered *arb_pg_ordered(unsigned index)
{
    BASE_ASSERT(index < ARB_PG_ORDERED_COUNT);
    return &ordered[index];
}
