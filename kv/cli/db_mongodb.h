/* SPDX-License-Identifier: Apache-2.0 */
/* A MongoDB replica set as table and connection string; used by db_print.c and `kv db dsn`. The
 * cluster's message has its part `mongodb`. */
#ifndef QUORATE_KV_CLI_DB_MONGODB_H
#define QUORATE_KV_CLI_DB_MONGODB_H

#include "kv/cli/db.h"

const char *db_mongodb_columns(bool is_wide);
int db_mongodb_row(struct io_table *table, const Quorate__V1__DatabaseMember *member, bool is_wide);
/* Lines below the table. */
void db_mongodb_print(const Quorate__V1__DatabaseMongodb *set);
void db_mongodb_print_settings(const Quorate__V1__DatabaseCluster *cluster);

struct db_mongodb_dsn {
    const char *member, *dbname, *username; /* NULL: not asked for */
    bool is_replicas;
};
/* Prints mongodb://; drivers find the primary from it. */
int db_mongodb_dsn(const Quorate__V1__DatabaseCluster *cluster,
                   const struct db_mongodb_dsn *wanted);

#endif
