/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands `kv db ...` share: asking for a cluster, cells of tables, orders and waiting
 * for their end, times. All functions that fail have printed one line and return an exit code. */
#ifndef QUORATE_KV_CLI_DB_H
#define QUORATE_KV_CLI_DB_H

#include "databases.pb-c.h"
#include "kv/cli/cli.h"
#include "kv/cli/db_json.h"

#define CELL_MAX 320

/* --- cells --- */
/* "4d 02:11", "01:07" (minutes and seconds), "-" for nothing. */
const char *db_age_text(int64_t since_wall_us, char memory[static CELL_MAX]);
const char *db_bytes_text(uint64_t bytes, char memory[static CELL_MAX]);
const char *db_number_text(uint64_t value, char memory[static CELL_MAX]);
/* "2026-01-02 03:04:05Z" */
const char *db_wall_text(int64_t wall_us, char memory[static CELL_MAX]);
const char *db_lsn_text(uint64_t lsn, char memory[static CELL_MAX]);
/* host:port, [::1]:port */
const char *db_host_text(const Quorate__V1__DatabaseMember *member, char memory[static CELL_MAX]);
/* Words behind each other, parted by "; ". */
struct db_words {
    size_t len;
    char text[CELL_MAX];
};
__attribute__((format(printf, 2, 3))) void db_add_words(struct db_words *w, const char *format,
                                                        ...);
const char *db_lag_text(const Quorate__V1__DatabaseMember *member, char memory[static CELL_MAX]);
/* The table of `kv db show`, or JSON. */
int db_print_cluster(const struct cli *cli, const Quorate__V1__DatabaseCluster *cluster);

/* --- operands --- */
/* Exactly one operand, the cluster's name. */
int db_one_cluster(int argc, const char *command);
/* "+10m", "2026-01-02T03:04:05Z", "2026-01-02 03:04 +02:00": *ret_wall_us; 0 stays for NULL. */
int db_time(const char *option, const char *text, int64_t *ret_wall_us);
/* Goes on when --force was given, or when the person at the terminal types `word`. */
int db_confirm(bool is_forced, const char *word, const char *what);

/* --- asking --- */
/* Shows one cluster; free the answer's base. */
int db_fetch(struct cli *cli, char *name, Quorate__V1__DatabaseShowResponse **ret);
/* The same with what the leader has said about it. */
int db_fetch_events(struct cli *cli, char *name, Quorate__V1__DatabaseShowResponse **ret);
/* An order's message is printed (unless is_quiet); its epoch comes back where ret_epoch is given.
 */
int db_order(struct cli *cli, const char *method, const ProtobufCMessage *request, bool is_quiet,
             uint64_t *ret_epoch);

/* --- waiting, within --timeout; each prints the cluster at the end --- */
typedef bool db_is_over_fn(const Quorate__V1__DatabaseCluster *cluster, const void *ctx);
int db_wait(struct cli *cli, char *name, db_is_over_fn *is_over, const void *ctx, bool is_quiet);
/* Until `epoch` is replaced. Where that was an order to a MongoDB replica set and it has failed:
 * prints the cluster, says why, IO_EXIT_FALSE. */
int db_wait_epoch(struct cli *cli, char *name, const uint64_t *epoch, bool is_quiet);
/* For db_wait; ctx: a uint64_t, the epoch that is to be replaced, or the revision to be in force.
 */
bool db_is_epoch_over(const Quorate__V1__DatabaseCluster *cluster, const void *ctx);
bool db_is_configured(const Quorate__V1__DatabaseCluster *cluster, const void *ctx);

/* --- the configuration document --- */
/* The newest one (revision 0 and "{}" when there is none); release with json_decref. */
int db_config_get(struct cli *cli, char *name, uint64_t *ret_revision, json_t **ret);
/* Writes it in place of `expect`. */
int db_config_put(struct cli *cli, char *name, uint64_t expect, json_t *document,
                  uint64_t *ret_revision);
/* Sets "a.b=VALUE" ("null" takes the key away) in the document. */
int db_config_assign(json_t *document, const char *assignment);

#endif
