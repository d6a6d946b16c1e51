#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian's Patroni, unmodified, with its etcd3: section pointed at three quorum nodes: it bootstraps, lists its
# members, switches over, survives the loss of its leader, and does not demote its primary when the Raft leader dies.
# usage: run.sh        PEER=etcd runs the same against Debian's etcd-server (to tell a bug of ours from one of the test)
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/patroni/members.sh
for tool in patroni patronictl psql; do
    command -v "$tool" >/dev/null || { skip "Patroni on our store" "$tool is not installed; run 'make deps-tests'"; report_end patroni; }
done
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-patroni.XXXXXX")
trap 'patroni_stop; cluster_stop; keep_logs patroni; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
store_start
check "the store has a leader" wait_until 15 store_has_leader
patroni_setup 3
for member in "${MEMBERS[@]}"; do patroni_start "$member"; done

check "Patroni bootstraps a cluster of three" wait_until 90 patroni_is_whole 3
note "$(patroni_list | head -n 8)"
check "patronictl list shows all members" eval '[ "$(patroni_list | jq length)" = 3 ]'
before=$(patroni_leader)
target=$(patroni_replica)
has_rows() { [ "$(patroni_sql "$1" "select count(*) from t" 2>/dev/null)" = "$2" ]; } # MEMBER N
check "a write" patroni_sql "$before" "create table t(n int); insert into t values (1)"
check "... is replicated" wait_until 30 has_rows "$target" 1
check "patronictl switchover" patroni_ctl switchover --force --master "$before" --candidate "$target" pgp
check "the other one leads" wait_until 30 eval '[ "$(patroni_leader)" = "$target" ]'
check "all three run again" wait_until 60 patroni_is_whole 3
check "a write after the switchover" patroni_sql "$target" "insert into t values (2)"

leader=$(store_leader)
state=$(patroni_postmaster "$target")
store_kill "$leader"
check "the store elects another leader" wait_until 15 store_has_leader
# One Patroni loop (ttl 20, loop_wait 5) and more goes by: nobody may have demoted the primary.
watch_until=$((SECONDS + 15))
demoted=""
while [ "$SECONDS" -lt "$watch_until" ]; do
    [ "$(patroni_sql "$target" "select pg_is_in_recovery()")" = f ] || demoted="$demoted recovery@$SECONDS"
    sleep 0.5
done
check "loss of the store's leader demotes nobody" [ -z "$demoted" ]
check "the postmaster is the same" [ "$(patroni_postmaster "$target")" = "$state" ]
check "Patroni still sees three members" wait_until 30 patroni_is_whole 3
check "a write with one store node down" patroni_sql "$target" "insert into t values (3)"
store_restart "$leader"
check "the store is whole again" wait_until 15 store_is_whole

dead=$(patroni_leader)
patroni_kill "$dead"
check "the loss of Patroni's leader is survived" wait_until 60 eval 'l=$(patroni_leader); [ -n "$l" ] && [ "$l" != "$dead" ]'
check "rows are all there" eval '[ "$(patroni_sql "$(patroni_leader)" "select count(*) from t")" = 3 ]'
patroni_start "$dead"
check "the lost one rejoins" wait_until 60 patroni_is_whole 3
report_end patroni
