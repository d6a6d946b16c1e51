#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Programs whose protocol versions have none in common keep apart and both say why; those that have one work together. LATER holds
# programs of this tree that speak versions 3 to 4 alone, OLDER such that speak version 1 alone; BIN speaks both 1 and 2.
# usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-versions.XXXXXX")
trap 'cluster_stop; keep_logs versions; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
for kind in later older; do
    from=$LATER
    [ $kind = later ] || from=$OLDER
    mkdir "$DIR/$kind" && cp "$from"/{quorated,quorate-agent-postgresql,quorate-guard} "$DIR/$kind/"
done
quorum_setup 3
members_setup main 2
start_as() { # KIND NAME
    case $2 in
    q*) spawn "$2" "$DIR/$1/quorated" --config "$DIR/$2.yml" ;;
    *) spawn "$2" "$DIR/$1/quorate-agent-postgresql" --config "$DIR/$2.yml" ;;
    esac
}
stop_one() {
    kill -TERM "$(pid_of "$1")" 2>/dev/null
    wait_until 30 eval "! is_running $1"
}
ups() { "${KV[@]}" status -o json --timeout 2s 2>/dev/null | jq '[.[] | select(.up)] | length'; }
applied() { "${KV[@]}" status -o json --timeout 2s 2>/dev/null | jq -r --arg e ":${CLIENT_PORT[$1]}" '.[] | select(.endpoint | endswith($e)) | .revision'; }
is_level() { [ -n "$(applied q3)" ] && [ "$(applied q3)" = "$(applied q1)" ]; }
says() { grep -q "$2" "$DIR/log/$1"; }

# --- none in common
for node in q1 q2; do quorum_start $node; done
check "two nodes of this version lead" wait_until 15 quorum_has_leader
start_as later q3
check "a node of a later one is refused, with the reason" wait_until 10 says q1 "it speaks protocol versions 3 to 4, we speak 1 to 2; upgrade this program first"
check "and says itself why" wait_until 10 says q3 "it speaks protocol versions 1 to 2, we speak 3 to 4; upgrade it first"
check "the others go on" "${KV[@]}" put a 1
check_output "with two of three" q eval 'quorum_leader | cut -c1'
check "the stranger has nothing" eval '[ "$(applied q3)" != "$(applied q1)" ]'
start_as later pg1
check "so with an agent of a later version" wait_until 15 says pg1 "it speaks protocol versions 1 to 2, we speak 3 to 4"
check "which makes no database" eval '[ ! -e "$DIR/pg1/data/PG_VERSION" ]'
check_output "nobody knows of it" "" eval '"${KV[@]}" db list 2>/dev/null | grep main'
stop_one pg1
stop_one q3

# --- one in common
start_as older q3
check "a node of the version before joins" wait_until 15 is_level
member_start pg1
check "a member of this version begins" wait_until 40 member_is pg1 /primary
start_as older pg2
check "one of the version before follows it" wait_until 60 cluster_is healthy
for node in q1 q2; do [ "$(quorum_leader)" = q3 ] || { quorum_stop "$(quorum_leader)"; wait_until 10 quorum_has_leader; for other in q1 q2; do is_running $other || quorum_start $other; done; }; done
note "the leader is $(quorum_leader); q3 is of the version before"
check "writes are taken" wait_until 10 "${KV[@]}" put a 2
check "the cluster is healthy" wait_until 30 cluster_is healthy
check "a switchover to the older member" "${KV[@]}" db switchover main --to pg2 --wait
check "and back" eval 'wait_until 20 cluster_is healthy && "${KV[@]}" db switchover main --to pg1 --wait'
stop_one q3
quorum_start q3
check "the older node is replaced by this version" wait_until 15 is_level
report_end versions
