/* SPDX-License-Identifier: Apache-2.0 */
/* The commands of `kv`, one function each; the table with names and help is in main_kv.c.
 * All have the shape of struct io_command's run: ctx is a struct cli, the result an exit code. */
#ifndef QUORATE_KV_CLI_COMMANDS_H
#define QUORATE_KV_CLI_COMMANDS_H

int cmd_get(void *ctx, int argc, char **argv);
int cmd_put(void *ctx, int argc, char **argv);
int cmd_del(void *ctx, int argc, char **argv);
int cmd_txn(void *ctx, int argc, char **argv);
int cmd_status(void *ctx, int argc, char **argv);
int cmd_member_list(void *ctx, int argc, char **argv);
int cmd_db_list(void *ctx, int argc, char **argv);
int cmd_db_show(void *ctx, int argc, char **argv);
int cmd_db_switchover(void *ctx, int argc, char **argv);
int cmd_db_failover(void *ctx, int argc, char **argv);
int cmd_db_history(void *ctx, int argc, char **argv);
int cmd_db_why(void *ctx, int argc, char **argv);
int cmd_db_dsn(void *ctx, int argc, char **argv);
int cmd_db_topology(void *ctx, int argc, char **argv);
int cmd_db_create(void *ctx, int argc, char **argv);
int cmd_db_config_show(void *ctx, int argc, char **argv);
int cmd_db_config_set(void *ctx, int argc, char **argv);
int cmd_db_config_edit(void *ctx, int argc, char **argv);
int cmd_db_config_history(void *ctx, int argc, char **argv);
int cmd_db_cancel(void *ctx, int argc, char **argv);
int cmd_db_restart(void *ctx, int argc, char **argv);
int cmd_db_reload(void *ctx, int argc, char **argv);
int cmd_db_reinit(void *ctx, int argc, char **argv);
int cmd_db_drain(void *ctx, int argc, char **argv);
int cmd_db_undrain(void *ctx, int argc, char **argv);
int cmd_db_pause(void *ctx, int argc, char **argv);
int cmd_db_resume(void *ctx, int argc, char **argv);
int cmd_db_watch(void *ctx, int argc, char **argv);
int cmd_db_haproxy(void *ctx, int argc, char **argv);
int cmd_db_drill(void *ctx, int argc, char **argv);
int cmd_db_promote_cluster(void *ctx, int argc, char **argv);
int cmd_db_demote_cluster(void *ctx, int argc, char **argv);
int cmd_db_remove(void *ctx, int argc, char **argv);
int cmd_cert_ca(void *ctx, int argc, char **argv);
int cmd_cert_issue(void *ctx, int argc, char **argv);
int cmd_cert_show(void *ctx, int argc, char **argv);
int cmd_watch(void *ctx, int argc, char **argv);
int cmd_lease_grant(void *ctx, int argc, char **argv);
int cmd_lease_revoke(void *ctx, int argc, char **argv);
int cmd_lease_keep_alive(void *ctx, int argc, char **argv);
int cmd_lease_timetolive(void *ctx, int argc, char **argv);
int cmd_lease_list(void *ctx, int argc, char **argv);
int cmd_lock(void *ctx, int argc, char **argv);
int cmd_elect(void *ctx, int argc, char **argv);
int cmd_compact(void *ctx, int argc, char **argv);
int cmd_member_add(void *ctx, int argc, char **argv);
int cmd_member_promote(void *ctx, int argc, char **argv);
int cmd_member_update(void *ctx, int argc, char **argv);
int cmd_member_remove(void *ctx, int argc, char **argv);
int cmd_move_leader(void *ctx, int argc, char **argv);
int cmd_snapshot_save(void *ctx, int argc, char **argv);
int cmd_snapshot_status(void *ctx, int argc, char **argv);
int cmd_snapshot_restore(void *ctx, int argc, char **argv);
int cmd_debug_log(void *ctx, int argc, char **argv);
int cmd_debug_dump(void *ctx, int argc, char **argv);
int cmd_alarm_list(void *ctx, int argc, char **argv);
int cmd_alarm_disarm(void *ctx, int argc, char **argv);
int cmd_hash(void *ctx, int argc, char **argv);
int cmd_defrag(void *ctx, int argc, char **argv);
int cmd_check_perf(void *ctx, int argc, char **argv);
int cmd_db_confirm(void *ctx, int argc, char **argv);
int cmd_user_add(void *ctx, int argc, char **argv);
int cmd_user_passwd(void *ctx, int argc, char **argv);
int cmd_user_delete(void *ctx, int argc, char **argv);
int cmd_user_list(void *ctx, int argc, char **argv);
int cmd_user_get(void *ctx, int argc, char **argv);
int cmd_user_grant_role(void *ctx, int argc, char **argv);
int cmd_user_revoke_role(void *ctx, int argc, char **argv);
int cmd_role_add(void *ctx, int argc, char **argv);
int cmd_role_delete(void *ctx, int argc, char **argv);
int cmd_role_list(void *ctx, int argc, char **argv);
int cmd_role_get(void *ctx, int argc, char **argv);
int cmd_role_grant_permission(void *ctx, int argc, char **argv);
int cmd_role_revoke_permission(void *ctx, int argc, char **argv);
int cmd_auth_enable(void *ctx, int argc, char **argv);
int cmd_auth_disable(void *ctx, int argc, char **argv);
int cmd_auth_status(void *ctx, int argc, char **argv);
int cmd_completion(void *ctx, int argc, char **argv);
int cmd_version(void *ctx, int argc, char **argv);

#endif
