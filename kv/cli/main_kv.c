/* SPDX-License-Identifier: Apache-2.0 */
/* kv: the command line of a Quorate cluster. Only the table of commands and the way into it. */
#include <stdio.h>
#include <string.h>

#include "kv/cli/cli.h"
#include "kv/cli/commands.h"
#include "kv/cli/completion.h"
#include "proto/io/daemon.h"

#define CLUSTER_HELP "CLUSTER is a name from `kv db list`."

static const struct io_command commands[] = {
    {"get", "KEY [RANGE_END] [--prefix] [--from-key] [--limit N] [--rev N]", "keys",
     "Read keys; exit 1 when there is none",
     "  --order ASCEND|DESCEND  --sort-by KEY|VERSION|CREATE|MODIFY|VALUE\n"
     "  --keys-only  --count-only  --print-value-only\n"
     "  --consistency l|s   linearizable (default) or from the asked node as it is",
     cmd_get},
    {"put", "KEY [VALUE] [--prev-kv] [--lease ID] [--ignore-value] [--ignore-lease]", "keys",
     "Write a key; without VALUE from standard input", NULL, cmd_put},
    {"del", "KEY [RANGE_END] [--prefix] [--from-key] [--prev-kv]", "keys",
     "Delete keys and print how many there were", NULL, cmd_del},
    {"txn", "< FILE", "keys", "Run a transaction from standard input",
     "  compares, one a line:  mod(\"key\") > \"0\"   (mod, create, version, value; = != < >)\n"
     "  an empty line, then get/put/del lines for success,\n"
     "  an empty line, then get/put/del lines for failure",
     cmd_txn},
    {"watch",
     "KEY [RANGE_END] [--prefix] [--from-key] [--rev N] [--prev-kv] [--events N] [-- COMMAND ...]",
     "keys", "Show events of a range as they come",
     "  --rev N      begin with the changes of revision N\n"
     "  --events N   end after N events\n"
     "  --no-put  --no-delete   leave these out   --progress-notify\n"
     "  A lost connection is made again and the watch goes on where it was.\n"
     "  COMMAND runs for each event with ETCD_WATCH_EVENT_TYPE, _KEY, _VALUE and _REVISION.",
     cmd_watch},
    {"lease grant", "SECONDS [--id ID]", "keys", "Make a lease; keys put with it end with it", NULL,
     cmd_lease_grant},
    {"lease revoke", "ID", "keys", "End a lease and delete its keys", NULL, cmd_lease_revoke},
    {"lease keep-alive", "ID [--once]", "keys", "Keep a lease alive until this command ends", NULL,
     cmd_lease_keep_alive},
    {"lease timetolive", "ID [--keys]", "keys", "What is left of a lease; exit 1 when it is over",
     NULL, cmd_lease_timetolive},
    {"lease list", "", "keys", "All leases", NULL, cmd_lease_list},
    {"lock", "NAME [--ttl SECONDS] [COMMAND ...]", "keys",
     "Hold a lock while COMMAND runs, or until a signal",
     "  COMMAND has ETCD_LOCK_KEY and ETCD_LOCK_REV, and its exit code is that of kv.\n"
     "  A lock whose lease was lost ends COMMAND with SIGTERM; exit 3.",
     cmd_lock},
    {"elect", "NAME PROPOSAL [--ttl SECONDS] | --listen NAME", "keys",
     "Stand in an election and lead until a signal, or watch who leads", NULL, cmd_elect},
    {"compact", "REVISION [--physical]", "keys", "Forget what was replaced below a revision",
     "  --physical  wait until the space is free again", cmd_compact},
    {"status", "", "quorum", "Each quorum node of --endpoints: role, term, log, size", NULL,
     cmd_status},
    {"member list", "[--local]", "quorum", "The quorum's members",
     "  --local   as the asked node knows them: also without a leader", cmd_member_list},
    {"member add", "NAME --peer-urls=URL,... [--learner]", "quorum",
     "Add a node; prints how to start it", "  --learner  it gets the log and has no vote yet",
     cmd_member_add},
    {"member promote", "ID", "quorum", "Give a learner that has caught up its vote", NULL,
     cmd_member_promote},
    {"member update", "ID --peer-urls=URL,...", "quorum", "Change the addresses of a node", NULL,
     cmd_member_update},
    {"member remove", "ID", "quorum", "Take a node out of the quorum for good", NULL,
     cmd_member_remove},
    {"move-leader", "ID", "quorum", "Hand the leadership of the quorum to another node", NULL,
     cmd_move_leader},
    {"snapshot save", "FILE", "quorum", "Save the state of one node into a file",
     "  FILE appears only when it is whole and on the disk; kv snapshot status reads it.",
     cmd_snapshot_save},
    {"snapshot status", "FILE", "quorum", "Check an image file and say what is in it", NULL,
     cmd_snapshot_status},
    {"snapshot restore", "FILE --data-dir D --name N --initial-cluster NAME=URL,...", "quorum",
     "Make the data directory of a node of a new quorum from an image",
     "  To be done for each node, from the same file and with the same options but --data-dir\n"
     "  and --name; then start all of them.\n"
     "  --initial-cluster-token T  as quorum.token of the nodes (quorate)\n"
     "  --bump-revision N   revisions go on so far above the image's (1000000), higher than any\n"
     "                      that a client has seen, so that watchers notice\n"
     "  --mark-compacted    watches and reads of older revisions are refused",
     cmd_snapshot_restore},
    {"alarm list", "", "quorum", "Alarms that stand", NULL, cmd_alarm_list},
    {"alarm disarm", "", "quorum", "Take all alarms back, once the reason is gone", NULL,
     cmd_alarm_disarm},
    {"hash", "[--rev N]", "quorum", "Hash of the keys on each of --endpoints, to compare", NULL,
     cmd_hash},
    {"check perf", "[--load s|m|l|xl] [--prefix P] [--seconds N]", "quorum",
     "Put at a rate for a minute and judge; exit 1 when the quorum does not keep up",
     "  s: 50 clients, 150 puts/s   m: 200, 1000   l: 500, 8000   xl: 500, 15000\n"
     "  Keys below --prefix (/etcdctl-check-perf/) are written and deleted.",
     cmd_check_perf},
    {"defrag", "", "quorum", "Does nothing: the store needs none; for scripts written for etcd",
     NULL, cmd_defrag},
    {"db list", "", "databases", "All database clusters, a line each", NULL, cmd_db_list},
    {"db show", "CLUSTER", "databases", "Members, roles, lag and lease of one cluster",
     "  Also what a failover may lose, what is scheduled, pending restarts, and settings of\n"
     "  agents' files that do nothing. -o wide adds LSN, the longest pause seen, connections,\n"
     "  tags, and why a member could not take over. " CLUSTER_HELP,
     cmd_db_show},
    {"db topology", "CLUSTER", "databases", "Who replicates from whom, as a tree", NULL,
     cmd_db_topology},
    {"db watch", "CLUSTER [--interval 1s] [--events N]", "databases",
     "Show a cluster again and again; without a terminal a line for each change",
     "  --events N  end after N of them", cmd_db_watch},
    {"db create", "CLUSTER [KEY=VALUE ...] [--engine ENGINE] [--file FILE]", "databases",
     "Write a cluster's configuration ahead of its first member",
     "  The settings in agents' files do nothing then. KEY=VALUE as of kv db config set.\n"
     "  --engine  postgresql (without a section of another engine), galera, mongodb",
     cmd_db_create},
    {"db config show", "CLUSTER [--revision N] [--effective]", "databases",
     "The cluster's configuration", "  --effective  with the defaults of what it does not say",
     cmd_db_config_show},
    {"db config set", "CLUSTER KEY=VALUE ... [--wait]", "databases",
     "Set keys of the configuration; KEY=null takes one away",
     "  as in: ttl=3s  sync=off  postgresql.parameters.work_mem=64MB  profile=fast\n"
     "  --wait  until every member that is up runs under it",
     cmd_db_config_set},
    {"db config edit", "CLUSTER [--apply FILE | --replace FILE] [--force] [--wait]", "databases",
     "Change the configuration in $EDITOR, shown as a difference first",
     "  --apply    merge a file (- standard input) into it; null takes keys away\n"
     "  --replace  take the file instead of it   --force  do not ask",
     cmd_db_config_edit},
    {"db config history", "CLUSTER", "databases", "Former configurations, the newest first", NULL,
     cmd_db_config_history},
    {"db switchover", "CLUSTER [--to MEMBER] [--at TIME] [--wait]", "databases",
     "Hand the primary's role over in order; nothing is lost",
     "  --to    who shall follow; without it the best standby\n"
     "  --at    later: +10m, 2026-01-31T03:00Z, 2026-01-31T03:00+02:00; checked again then\n"
     "  --wait  until the new primary is there, within --timeout",
     cmd_db_switchover},
    {"db failover", "CLUSTER [--to MEMBER] [--force] [--wait]", "databases",
     "Replace a primary that is gone, when no automatic failover is possible",
     "  Without --force the possible loss is shown and nothing is done.", cmd_db_failover},
    {"db cancel", "CLUSTER [MEMBER | --planned | --catch-up]", "databases",
     "Take back what was scheduled or has not been done yet",
     "  With MEMBER its restart, reload or reinit; without all of them, and a switchover that has\n"
     "  not stopped the primary yet. --planned: a planned switchover and nothing else.\n"
     "  --catch-up: MongoDB's new primary takes writes at once, without waiting any longer for\n"
     "  what the former one wrote and no majority has; that is given up.",
     cmd_db_cancel},
    {"db restart", "CLUSTER [MEMBER ...] [--role primary|replica] [--pending] [--at TIME] [--wait]",
     "databases", "Restart databases in place, one after the other",
     "  --pending  only those whose configuration waits for it   --at  later, as of switchover",
     cmd_db_restart},
    {"db reload", "CLUSTER [MEMBER ...] [--wait]", "databases",
     "Let databases read their configuration again", NULL, cmd_db_reload},
    {"db reinit", "CLUSTER MEMBER [--force] [--wait]", "databases",
     "Throw a standby's data directory away and copy it anew", NULL, cmd_db_reinit},
    {"db drain", "CLUSTER MEMBER [--force] [--wait]", "databases",
     "Take a member out of service: no candidate, no commit waits for it, no reader is sent there",
     "  A primary is switched over first; --force: also when nobody can follow.", cmd_db_drain},
    {"db undrain", "CLUSTER MEMBER", "databases", "Take a member back into service", NULL,
     cmd_db_undrain},
    {"db pause", "CLUSTER [--wait]", "databases",
     "Nothing is done by itself any more: no failover, no restart, no fence",
     "  --wait  until every member that is up has taken it in", cmd_db_pause},
    {"db resume", "CLUSTER [--wait]", "databases", "End a pause", NULL, cmd_db_resume},
    {"db confirm",
     "CLUSTER [--primary MEMBER] [--override MEMBER,...] [--force] [--wait] | --dead MEMBER",
     "databases",
     "After a restore of the quorum, or a recovery that waits: let the arbiter act again",
     "  Shows what the members report, and begins an epoch above every one of theirs.\n"
     "  --primary  who goes on; without it the member that held the highest epoch reported\n"
     "  --force    members that are not heard do not count, and what only they or a more\n"
     "             advanced member have may be lost; also needed where the quorum has no\n"
     "             record of the cluster, so that it does not know its members\n"
     "  --dead     a primary that was paused, or that cannot be fenced, is dead for certain;\n"
     "             Galera: the machine of any member is gone, a recovery waits for it no more\n"
     "  --override Galera: a recovery goes on without what these members, who are not heard, may\n"
     "             have; --force also accepts a loss of what is known committed",
     cmd_db_confirm},
    {"db force-reconfigure", "CLUSTER [TOKEN [--force]] [--destroyed MEMBER|HOST:PORT,...]",
     "databases", "MongoDB: go on without a majority that is lost for good",
     "  Without a token: what is known, who would go on, what is lost at most, and a token.\n"
     "  With it: it is done, once, while nothing has changed since.\n"
     "  --destroyed  members that nobody hears: a promise that their mongod never runs again\n"
     "  --force      does not ask again",
     cmd_db_force_reconfigure},
    {"db history", "CLUSTER [--limit N | --events]", "databases",
     "Who was primary, since when and why",
     "  --events  what the quorum's leader has said about the cluster since it was started",
     cmd_db_history},
    {"db why", "CLUSTER [EPOCH]", "databases",
     "What waits and why, what a decision was made from, and where the seconds went", NULL,
     cmd_db_why},
    {"db dsn", "CLUSTER [--replicas | --member M] [--dbname D] [--username U]", "databases",
     "What applications connect with: a string that finds the primary", NULL, cmd_db_dsn},
    {"db haproxy", "CLUSTER [--bind A] [--primary-port N] [--replicas-port N] [--lag BYTES]",
     "databases",
     "A whole configuration for HAProxy: port 5000 the primary or writer, 5001 replicas or readers",
     NULL, cmd_db_haproxy},
    {"db drill", "CLUSTER [--to MEMBER] [--check-only] [--force]", "databases",
     "Would a failover go well? Checks, a switchover and one back, with the seconds", NULL,
     cmd_db_drill},
    {"db promote-cluster", "CLUSTER [--force] [--wait]", "databases",
     "A standby cluster opens for writes", NULL, cmd_db_promote_cluster},
    {"db demote-cluster",
     "CLUSTER --host H [--port P] [--primary-slot-name S] [--restore-command C] [--force] [--wait]",
     "databases", "A cluster follows another one from now on", NULL, cmd_db_demote_cluster},
    {"db remove", "CLUSTER [MEMBER] [--force]", "databases",
     "Forget a member that is gone for good, or a whole cluster; databases are left as they are",
     NULL, cmd_db_remove},
    {"cert ca", "[--dir DIR] [--name TEXT] [--days N]", "identity",
     "Make a private certificate authority", NULL, cmd_cert_ca},
    {"cert issue",
     "--role node|agent|member|admin|viewer --name NAME [--cluster C] [--host H,...] [--dir DIR]",
     "identity", "Issue a certificate for a role",
     "  node    needs --host with each name and address that others connect to\n"
     "  agent   needs --cluster; may report for that cluster and member only\n"
     "  member  needs --cluster; for traffic between the databases themselves\n"
     "  admin   may do everything   viewer  may only read\n"
     "  --days N  validity, default 825",
     cmd_cert_issue},
    {"cert revoke", "[--dir DIR] FILE", "identity",
     "Put a certificate on the list of those that nobody is let in with any more",
     "  --dir     where ca.crt and ca.key are (.); the list is revoked.pem there, for tls.revoked\n"
     "            of every quorum node, agent and proxy",
     cmd_cert_revoke},
    {"cert show", "FILE", "identity", "Whom a certificate names, and until when it is valid", NULL,
     cmd_cert_show},
    {"user add", "NAME[:PASSWORD] [--no-password]", "identity", "Add a user of the store",
     "  Without :PASSWORD it is asked for, or read as a line from standard input.\n"
     "  --no-password  this user comes by the name in a certificate only",
     cmd_user_add},
    {"user passwd", "NAME[:PASSWORD]", "identity", "Change a user's password", NULL,
     cmd_user_passwd},
    {"user delete", "NAME", "identity", "Delete a user", NULL, cmd_user_delete},
    {"user list", "", "identity", "All users", NULL, cmd_user_list},
    {"user get", "NAME", "identity", "A user's roles", NULL, cmd_user_get},
    {"user grant-role", "NAME ROLE", "identity", "Give a user a role",
     "  The role root may do everything and need not be made.", cmd_user_grant_role},
    {"user revoke-role", "NAME ROLE", "identity", "Take a role from a user", NULL,
     cmd_user_revoke_role},
    {"role add", "NAME", "identity", "Add a role", NULL, cmd_role_add},
    {"role delete", "NAME", "identity", "Delete a role; nobody has it any more", NULL,
     cmd_role_delete},
    {"role list", "", "identity", "All roles", NULL, cmd_role_list},
    {"role get", "NAME", "identity", "A role's permissions", NULL, cmd_role_get},
    {"role grant-permission", "ROLE read|write|readwrite KEY [RANGE_END] [--prefix] [--from-key]",
     "identity", "Let a role read or write keys", NULL, cmd_role_grant_permission},
    {"role revoke-permission", "ROLE KEY [RANGE_END] [--prefix] [--from-key]", "identity",
     "Take back what was granted for exactly these keys", NULL, cmd_role_revoke_permission},
    {"auth enable", "", "identity", "From now on every request needs a user",
     "  First: kv user add root; kv user grant-role root root.", cmd_auth_enable},
    {"auth disable", "", "identity", "No users any more: certificates alone decide", NULL,
     cmd_auth_disable},
    {"auth status", "", "identity", "Whether users are asked for", NULL, cmd_auth_status},
    {"setup", "[FILE] [--KEY=VALUE ...] [--out DIR] [--force] [--sample]", "host",
     "Make the files of every host of a new cluster, one archive each, and say what to do",
     "  FILE      the plan (kv setup --sample prints one); without FILE and keys it is asked for\n"
     "  --out     where archives, authority and passwords go (quorate-setup); what is there of\n"
     "            authority, certificates and passwords is used again\n"
     "  --force   archives are written anew\n"
     "  --engine  postgresql, galera, mongodb; keys of the plan: kv setup --sample\n"
     "  as in: kv setup --hosts=a=10.0.0.1,b=10.0.0.2 --quorum_only=c=10.0.0.3 "
     "--clients=10.0.0.0/24",
     cmd_setup},
    {"doctor", "[--only CHECK,...] [--seconds N] [--etc DIR] [--root DIR]", "host",
     "Look whether this host is fit, and say what mends it; exit 1 when something must be mended",
     "  --seconds  how long pauses of the host are measured (3; 0: not at all)\n"
     "  --etc      where the configurations are (/etc/quorate)   --root  in front of systemd's\n"
     "  checks: configuration certificates permissions versions units managers memory ports\n"
     "          quorum clocks cgroup watchdog space flush pauses",
     cmd_doctor},
    {"import-patroni", "FILE [--dynamic FILE] [--nodes NAME=HOST:PORT,...] [--out DIR] [--force]",
     "host", "Turn a member's file of Patroni's into ours, and list what became of each key",
     "  --dynamic    what patronictl show-config prints, instead of bootstrap.dcs of FILE\n"
     "  --nodes      peer addresses of our quorum; without it the hosts of Patroni's store\n"
     "  --tls-dir    where the certificates lie on the host (/etc/quorate/tls)\n"
     "  --passwords  where the password file lies on the host (/etc/quorate/passwords)",
     cmd_import_patroni},
    {"debug log", "DATA_DIR", "other", "The Raft log of a node that is not running",
     "  With -o json one object for each entry.", cmd_debug_log},
    {"debug dump", "DATA_DIR", "other", "What a node that is not running keeps about itself", NULL,
     cmd_debug_dump},
    {"version", "", "other", "Version of this program", NULL, cmd_version},
    {"completion", "bash|zsh|fish", "other", "Completion for a shell, to be sourced by it", NULL,
     cmd_completion},
};

int cmd_completion(void *ctx, int argc, char **argv)
{
    (void)ctx;
    int rc = cli_options(&argc, argv, NULL, 0);
    if (rc == 0 && argc != 2) {
        rc = cli_fail(IO_EXIT_USAGE, "usage: kv completion bash|zsh|fish");
    }
    return rc != 0 ? rc : completion_print(argv[1], commands, BASE_COUNT_OF(commands));
}

int cmd_version(void *ctx, int argc, char **argv)
{
    char memory[256];
    const struct cli *cli = ctx;
    int rc = cli_options(&argc, argv, NULL, 0);
    rc = rc != 0 ? rc : cli_no_operands(argc, argv, "version");
    const char *text = io_daemon_version("kv", memory, sizeof(memory));
    if (rc == 0 && cli->output == CLI_JSON) {
        return cli_print_json(json_pack("{s:s, s:s}", "version", QUORATE_VERSION, "text", text));
    }
    if (rc == 0) {
        (void)puts(text);
    }
    return rc;
}

static void print_global_help(void)
{
    (void)puts(
        "\nfor all commands:\n"
        "  --endpoints H:P,...  quorum nodes to ask (QUORATE_ENDPOINTS; 127.0.0.1:2379)\n"
        "  --cacert FILE        authority of the quorum; turns TLS on (QUORATE_CACERT)\n"
        "  --cert FILE --key FILE  own certificate (QUORATE_CERT, QUORATE_KEY)\n"
        "  --user NAME[:PASSWORD] [--password P]   with authentication (QUORATE_USER)\n"
        "  -o table|wide|json   how answers are shown   --hex  bytes as \\xNN\n"
        "  --timeout 5s         how long one call may take\n"
        "  etcdctl's --command-timeout, --dial-timeout and -w are understood, too.\n"
        "  The same settings may stand in ~/.config/quorate/kv.yml.\n\n"
        "exit codes: 0 ok, 1 not found or no, 2 usage, 3 unavailable, 4 refused, 5 internal");
}

/* `kv help db why` is `kv db why --help`: takes the word away and puts the flag behind. */
static int help_on(int argc, char **argv)
{
    static char flag[] = "--help";
    for (int i = 1; i + 1 < argc; i++) {
        argv[i] = argv[i + 1];
    }
    argv[argc - 1] = flag;
    return io_command_run("kv", commands, BASE_COUNT_OF(commands), NULL, argc, argv);
}

int main(int argc, char **argv)
{
    struct cli cli;
    if (argc > 2 && strcmp(argv[1], "help") == 0) {
        return help_on(argc, argv);
    }
    if (argc == 1 || strcmp(argv[1], "help") == 0 || strcmp(argv[1], "--help") == 0 ||
        strcmp(argv[1], "-h") == 0) {
        io_command_help("kv", commands, BASE_COUNT_OF(commands), stdout);
        print_global_help();
        return argc == 1 ? IO_EXIT_USAGE : IO_EXIT_OK;
    }
    if (strcmp(argv[1], "--version") == 0) {
        char memory[256];
        (void)puts(io_daemon_version("kv", memory, sizeof(memory)));
        return IO_EXIT_OK;
    }
    int rc = cli_open(&cli, &argc, argv);
    if (rc < 0) {
        rc = io_command_run("kv", commands, BASE_COUNT_OF(commands), &cli, argc, argv);
    }
    cli_close(&cli);
    return rc;
}
