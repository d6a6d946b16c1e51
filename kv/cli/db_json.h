/* SPDX-License-Identifier: Apache-2.0 */
/* A database cluster as the JSON of `kv -o json` and of the status page's data: one writer, so that
 * both say the same. Pure but for jansson's memory; any thread. A key is never renamed or reused.
 */
#ifndef QUORATE_KV_CLI_DB_JSON_H
#define QUORATE_KV_CLI_DB_JSON_H

#include <jansson.h>

#include "databases.pb-c.h"

/* Release with json_decref. NULL without memory. */
json_t *db_json_cluster(const Quorate__V1__DatabaseCluster *cluster);
json_t *db_json_of_mongodb_member(const Quorate__V1__DatabaseMongodbMember *member);
json_t *db_json_of_mongodb(const Quorate__V1__DatabaseMongodb *set);
json_t *db_json_texts(size_t count, char *const *texts);

#endif
