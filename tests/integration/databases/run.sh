#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every `kv db` command against three real quorum nodes and a PostgreSQL cluster of three, and its refusals.
# usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
BIN=$(cd "$BIN" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-databases.XXXXXX")
cleanup() {
    cluster_stop
    keep_logs databases
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 3
mkdir "$DIR/fence"
cat >"$DIR/fence/power" <<'SH'
#!/bin/sh
echo "$1 $QUORATE_CLUSTER $QUORATE_MEMBER" >>"$(dirname "$0")/asked"
case $1 in off) exit 0 ;; status) exit 2 ;; esac
SH
chmod 755 "$DIR/fence/power"
own
for node in "${QUORUM[@]}"; do sed -i "s|^quorum:|quorum:\n  fence_dir: $DIR/fence|" "$DIR/$node.yml"; done
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
check "three nodes elect a leader" wait_until 15 quorum_has_leader
kv() { timeout 60 "${KV[@]}" --timeout 30s "$@"; }
db() { kv db "$@"; }
json() { db show "${1:-main}" -o json; }
is() { json "${2:-main}" | jq -en "input | $1" >/dev/null; } # JQ-EXPRESSION [CLUSTER]
becomes() { wait_until 40 is "$1"; }
primary_name() { json | jq -r .primary; }
a_standby() { json | jq -r '[.primary as $p | .members[] | select(.up and .name != $p and .candidate == "fit")][0].name'; }

# --- a configuration ahead of the first member
check_output "create" "main: configuration revision 1" db create main ttl=3s heartbeat=300ms postgresql.parameters.work_mem=5MB
check_fails "create twice is refused" "has a configuration already" db create main
check_fails "a bad value names path, value and what is allowed" 'ttl: "9m"; allowed: 600ms to 1m' db create other ttl=9m
check_fails "a key that is not there is named" "tt1" db create other tt1=9s
check_fails "an engine that is not there is named" "'oracle' is not known; there are: postgresql, galera" db create other --engine oracle
check_output "create of another engine" "shop: configuration revision 1" db create shop --engine galera ttl=8s
check "list shows it" eval 'db list | grep -Eq "^shop +galera +planned"'
check "remove it" db remove shop --force
check "list shows a cluster that is only planned" eval 'db list | grep -Eq "^main +postgresql +planned"'
check_exit "remove without --force and without a person is refused" 4 eval 'kv db remove main </dev/null'
check "remove a planned cluster" db remove main --force
check_exit "it is gone" 1 db show main
check_output "create again" "main: configuration revision 1" db create main ttl=3s heartbeat=300ms postgresql.parameters.work_mem=5MB
members_setup main 3
for member in "${MEMBERS[@]}"; do member_start "$member"; done
check "three members become a healthy cluster" wait_until 90 cluster_is healthy
check "it runs under the document, not under the agents' files" is '.settings.ttl_ms == 3000 and .config_revision == 1'
check "what the files say otherwise is shown" eval 'db show main | grep -q "pg1: ttl_ms is 2000 in its file, 3000 in force"'
check_exit "create of a cluster that runs is refused" 4 db create main
check "members have the document" becomes 'all(.members[]; .config_revision == 1)'

# --- looking
check "list" eval 'db list | grep -Eq "^main +postgresql +healthy +pg[1-3] +[0-9]+ +any 1 +3 up"'
check "show tells what a failover may lose" eval 'db show main | grep -q "loses nothing that was acknowledged"'
check "show -o wide tells candidates" eval 'db show main -o wide | grep -Eq "CANDIDATE" && db show main -o wide | grep -c " fit " | grep -q 2'
check "topology is a tree" eval '[ "$(db topology main | grep -c "^+ pg")" = 2 ]'
check "topology -o json" eval 'db topology main -o json | jq -en "input | [.[] | select(.parent == \"\")] | length == 1"'
check "watch" eval 'db watch main --events 1 | grep -q "healthy, epoch"'
check "history" eval 'db history main | grep -q bootstrap'
check "why tells who could take over" eval '[ "$(db why main | grep -c "could take over: it is fit")" = 2 ]'
check "dsn" eval 'db dsn main | grep -Eq "^postgresql://127.0.0.1:[0-9]+,127.0.0.1:[0-9]+,127.0.0.1:[0-9]+/postgres\?connect_timeout=2&tcp_user_timeout=2000&target_session_attrs=read-write$"'
password() { sed -n "s/^superuser://p" "$DIR/passwords"; }
check "the dsn leads to the primary" eval 'PGPASSWORD=$(password) psql -X -At "$(db dsn main --username postgres)" -c "SELECT pg_is_in_recovery()" | grep -q f'
check "dsn --replicas leads to a standby" eval 'PGPASSWORD=$(password) psql -X -At "$(db dsn main --replicas --username postgres)" -c "SELECT pg_is_in_recovery()" | grep -q t'
check_exit "dsn of no member exits 1" 1 db dsn main --member nobody
if command -v haproxy >/dev/null; then
    db haproxy main >"$work/haproxy.cfg"
    check "haproxy takes its configuration" haproxy -c -f "$work/haproxy.cfg"
else
    check "haproxy" eval 'db haproxy main | grep -q "option httpchk OPTIONS /primary"'
fi
check "the JSON gateway answers" eval 'curl -s --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key" \
    -d "{\"cluster\":\"main\"}" "https://127.0.0.1:${CLIENT_PORT[$(quorum_leader)]}/quorate/v1/databases/show" | jq -en "input | .cluster.state == \"healthy\""'

# --- the document
check "config set --wait" db config set main postgresql.parameters.work_mem=6MB on_crash=restart --wait
check "it is in force" is '.config_revision == 2 and .settings.on_crash == "restart"'
check "the parameter, too" wait_until 20 eval '[ "$(sql "$(primary_name)" "SHOW work_mem")" = 6MB ]'
check_output "config show" "6MB" eval 'db config show main | jq -r .postgresql.parameters.work_mem'
check_output "config show --revision" "5MB" eval 'db config show main --revision 1 | jq -r .postgresql.parameters.work_mem'
check "config show --effective" eval 'db config show main --effective | jq -en "input | .freeze_max == \"3s\" and .ttl == \"3s\""'
check "config history" eval 'db config history main -o json | jq -en "input | [.[].revision] == [2, 1]"'
check "config set of null takes a key away" eval 'db config set main on_crash=null && db config show main | jq -en "input | has(\"on_crash\") | not"'
echo '{"ttl": "2500ms", "postgresql": {"parameters": {"work_mem": null, "maintenance_work_mem": "70MB"}}}' >"$work/patch"
check "config edit --apply merges" eval 'db config edit main --apply "$work/patch" --force && db config show main | jq -en "input | .ttl == \"2500ms\" and .heartbeat == \"300ms\" and .postgresql.parameters == {\"maintenance_work_mem\": \"70MB\"}"'
check_exit "config edit without a person wants --force" 4 eval 'echo "{}" | kv db config edit main --replace -'
check_fails "heartbeat and ttl must fit each other" "at most a quarter" db config set main heartbeat=1s
check_fails "what is ours is refused" "synchronous_standby_names" db config set main postgresql.parameters.synchronous_standby_names=x
check "the ttl is in force" becomes '.settings.ttl_ms == 2500'

# --- who is the primary
before=$(primary_name)
check "switchover --wait" db switchover main --wait
check "somebody else is the primary" eval '[ "$(primary_name)" != "$before" ]'
check_exit "switchover to the primary is refused" 4 db switchover main --to "$(primary_name)"
check_exit "switchover to a stranger exits 1" 1 db switchover main --to nobody
check_exit "a time without its zone is a usage error" 2 db switchover main --at "2031-01-01 10:00"
check_exit "a time that has passed is refused" 2 db switchover main --at 2001-01-01T00:00Z
check "the cluster is whole again" wait_until 60 cluster_is healthy
check "switchover --at is scheduled" db switchover main --at +1h
check "and shown" eval 'db show main | grep -q "switchover to .* at 20"'
check "cancel takes it back" eval 'db cancel main && is ".switchover_at_wall_us == 0"'
before=$(primary_name)
check "a switchover that is scheduled soon" db switchover main --at +2s
check "is done when it is due" wait_until 30 eval '[ "$(primary_name)" != "$before" ] && [ -n "$(primary_name)" ]'
check "the cluster is whole again" wait_until 60 cluster_is healthy
check_exit "failover of a primary that is well is refused" 4 db failover main

# --- members
standby=$(a_standby)
check "restart of a standby --wait" db restart main "$standby" --wait
check "reload of all" db reload main --wait
max() { for m in "${MEMBERS[@]}"; do sql "$m" "SHOW max_connections"; done | sort -u; }
check "a parameter that needs a restart" db config set main postgresql.parameters.max_connections=70
check "is shown with its old and new value, of all" wait_until 30 eval '[ "$(db show main | grep -c "restart pending: max_connections 60 -> 70")" = 3 ]'
check "restart --pending --wait" db restart main --pending --wait
check_output "is it everywhere" 70 max
check "lowered again" db config set main postgresql.parameters.max_connections=60
check "the primary waits first" wait_until 30 eval 'is "[.members[] | select(.restart_pending)] | length == 1"'
check "restart --pending --wait goes round for the standbys" db restart main --pending --wait
check_output "is it everywhere" 60 max
check "drain a standby" eval 'db drain main "$standby" && becomes "[.members[] | select(.name == \"$standby\")][0].drained"'
check "why it could not take over" eval 'db why main | grep -q "$standby could not take over"'
check "undrain" eval 'db undrain main "$standby" && becomes "[.members[] | select(.name == \"$standby\")][0].drained | not"'
check_exit "reinit without --force and without a person is refused" 4 eval 'kv db reinit main "$standby" </dev/null'
check_exit "reinit of the primary is refused" 4 db reinit main "$(primary_name)" --force
check "pause --wait" db pause main --wait
check "history --events tells of it" eval 'db history main --events | grep -qi "pause"'
check "it is shown" eval 'db list | grep -q paused'
check "resume --wait" db resume main --wait
check "the cluster is whole again" wait_until 60 cluster_is healthy
check "drill: a switchover and one back" db drill main --force
check_fails "a fence names no path" "fence.command" db config set main fence.mode=require fence.command=/bin/sh
check "a fence that is required" db config set main fence.mode=require fence.command=power failover_interval=0s --wait
dead=$(primary_name)
member_kill_host "$dead"
check "a lost host is fenced, then replaced" wait_until 40 eval '[ "$(primary_name)" != "$dead" ] && cluster_is degraded'
check_output "by the command, which is asked again" "off main $dead,status main $dead" eval 'head -n 2 "$DIR/fence/asked" | paste -sd,'
member_start "$dead"
check "the cluster is whole again" wait_until 60 cluster_is healthy
check "without a fence" db config set main fence=null --wait
check_exit "confirm when there is nothing to confirm" 4 db confirm main
standby=$(a_standby)
check_exit "remove of a member that is heard is refused" 4 db remove main "$standby" --force
kill -KILL "$(pid_of "$standby")" && for pid in $(guard_of "$standby"); do kill -KILL "$pid" 2>/dev/null; done
check "a member that is gone is shown as down, with since when" wait_until 30 eval 'db show main | grep -Eq "^$standby .* down .*down since 20"'
leader=$(quorum_leader)
quorum_kill "$leader"
check "also by the next leader" wait_until 20 eval 'db show main | grep -Eq "^$standby .* down .*down since 20"'
quorum_start "$leader"
check "remove it" wait_until 30 db remove main "$standby" --force
check "it is not shown any more" becomes "[.members[].name] | index(\"$standby\") == null"
check "the cluster is healthy without it" wait_until 30 cluster_is healthy
check "its key is gone" eval '! kv get "/quorate/v1/clusters/main/members/$standby" | grep -q .'

# --- a primary that dies in a pause: its lease has no end until somebody says that it is dead
check "pause --wait" db pause main --wait
dead=$(primary_name)
member_kill_host "$dead"
check "it is shown as down" wait_until 30 eval 'db show main | grep -Eq "^$dead .* down "'
check "resume" db resume main
check "nobody takes over, and the way out is named" wait_until 20 eval 'db show main | grep -q "kv db confirm main --dead $dead"'
check_exit "--dead without --force and without a person is refused" 4 eval 'kv db confirm main --dead "$dead" </dev/null'
check "confirm --dead" db confirm main --dead "$dead" --force --wait
check "the other one is the primary" eval '[ "$(primary_name)" != "$dead" ] && is ".epoch > 1"'
report_end databases
