#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every command of `kv` that speaks with a quorum, and its refusals, against three real nodes with TLS.
# usage: run.sh            CLI_PEER=etcd runs the same against Debian's etcd-server: what etcd's users know must be so there, too
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
BIN=$(cd "$BIN" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-cli.XXXXXX")
cleanup() {
    [ -z "${ETCD_PID:-}" ] || kill "$ETCD_PID" 2>/dev/null
    cluster_stop
    keep_logs cli
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
is_ours() { [ "${CLI_PEER:-}" != etcd ]; }
if is_ours; then
    quorum_setup 3
    for node in "${QUORUM[@]}"; do quorum_start "$node"; done
    check "three nodes elect a leader" wait_until 10 quorum_has_leader
else
    free_port client 24379
    free_port peer 24479
    # shellcheck disable=SC2154
    etcd --data-dir "$work/etcd" --listen-client-urls "http://127.0.0.1:$client" --advertise-client-urls "http://127.0.0.1:$client" \
        --listen-peer-urls "http://127.0.0.1:$peer" --initial-advertise-peer-urls "http://127.0.0.1:$peer" \
        --initial-cluster "default=http://127.0.0.1:$peer" --log-level error --logger zap >"$work/log/etcd" 2>&1 &
    ETCD_PID=$!
    ENDPOINTS=127.0.0.1:$client
    KV=("$DIR/bin/kv" --endpoints "$ENDPOINTS")
    check "etcd starts" wait_until 10 "${KV[@]}" put ready 1
fi
kv() { timeout 20 "${KV[@]}" "$@"; }
revision() { kv get x --count-only -o json | jq .revision; }

# --- keys
check_output "put" "OK" kv put a 1
check_output "put --prev-kv" $'OK\na\n1' kv put a 2 --prev-kv
check_output "put --ignore-value" "OK" kv put a --ignore-value
check_exit "put --ignore-value of nothing is refused" 2 kv put nothing --ignore-value
check_output "put from standard input" "OK" eval 'printf "x y" | kv put b'
check_output "get" $'a\n2' kv get a
check_output "get --print-value-only" "2" kv get a --print-value-only
check_output "get --keys-only of a range" $'a\nb' kv get a c --keys-only
check_output "get --prefix --count-only" "1" kv get b --prefix --count-only
check_output "get --from-key --limit" $'a\n2' kv get a --from-key --limit 1
check_output "get --order DESCEND --sort-by KEY" $'b\na' kv get a c --order DESCEND --sort-by KEY --keys-only
check_output "get --consistency s" $'a\n2' kv get a --consistency s
check_output "get --hex" $'\\x61\n\\x32' kv get a --hex
check_exit "get of nothing exits 1" 1 kv get nothing
check_exit "get of a future revision is refused" 2 kv get a --rev 999999999
check_fails "a bad --order names what is allowed" "ascend descend" kv get a --order sideways
check_fails "an unknown option is named" "unknown option --wurst" kv get a --wurst
check "etcdctl's -w json and --command-timeout" eval 'kv get a -w json --command-timeout 3s | jq -e ".kvs[0].value == \"2\""'
check_output "del --prev-kv" $'1\nb\nx y' kv del b --prev-kv
check_output "del of nothing" "0" kv del b
check_output "txn" $'SUCCESS\n\nOK' eval 'printf "mod(\"a\") > \"0\"\n\nput t 1\n\n\n" | kv txn'

# --- watch
first=$(revision)
check "changes to be watched" eval 'kv put w/1 x && kv put w/1 y && kv del w/1'
check_output "watch --rev shows history" $'PUT\nw/1\nx\nPUT\nw/1\ny\nDELETE\nw/1' kv watch w/ --prefix --rev $((first + 1)) --events 3
check_output "watch --prev-kv --no-put" $'DELETE\nw/1\ny\nw/1' kv watch w/ --prefix --rev $((first + 1)) --events 1 --prev-kv --no-put
check_output "watch runs a command" '"PUT" "w/1" "x"' kv watch w/1 --rev $((first + 1)) --events 1 -- \
    sh -c 'echo $ETCD_WATCH_EVENT_TYPE $ETCD_WATCH_KEY $ETCD_WATCH_VALUE'
check "watch -o json" eval 'kv watch w/1 --rev $((first + 1)) --events 1 -o json | jq -e ".type == \"PUT\" and .kv.value == \"x\""'
kv watch live --events 1 >"$work/live" 2>&1 &
watcher=$!
check "watch sees what comes" wait_until 10 eval 'kv put live now && grep -q PUT "$work/live"'
wait $watcher

# --- leases
lease=$(kv lease grant 60 | awk '{ print $2 }')
check "lease grant prints an id" eval '[[ $lease =~ ^[0-9a-f]{16}$ ]]'
check "lease list" eval 'kv lease list | grep -q "^$lease$"'
check_output "put --lease" "OK" kv put leased 1 --lease "$lease"
check "lease timetolive --keys" eval 'kv lease timetolive "$lease" --keys | grep -Eq "granted with TTL\(60s\), remaining\([0-9]+s\), attached keys\(\[leased\]\)"'
check "lease timetolive -o json" eval 'kv lease timetolive "$lease" --keys -o json | jq -e ".granted_ttl == 60 and .keys == [\"leased\"]"'
check_output "lease keep-alive --once" "lease $lease keepalived with TTL(60)" kv lease keep-alive "$lease" --once
check_output "lease revoke" "lease $lease revoked" kv lease revoke "$lease"
check_exit "its key is gone" 1 kv get leased
check_exit "lease revoke of nothing exits 1" 1 kv lease revoke 1234
check_exit "lease timetolive of nothing exits 1" 1 kv lease timetolive 1234
check_exit "lease keep-alive of nothing exits 1" 1 kv lease keep-alive 1234 --once
check_exit "put with a lease that is gone exits 1" 1 kv put x y --lease 1234
check_exit "an id that is none is a usage error" 2 kv lease revoke wurst
check_exit "lease grant --id twice is refused" 4 eval 'kv lease grant 60 --id 77 >/dev/null && kv lease grant 60 --id 77'
kv lease revoke 77 >/dev/null

# --- lock, elect
check_output "lock runs a command with its key" "m/" eval 'kv lock m -- sh -c "echo \${ETCD_LOCK_KEY%/*}/"'
check_exit "lock has the command's exit code" 7 kv lock m sh -c 'exit 7'
check_exit "nothing is left of a lock" 1 kv get m/ --prefix
kv lock m >"$work/lock" 2>&1 &
holder=$!
check "lock prints its key and holds" wait_until 10 grep -q ^m/ "$work/lock"
check_exit "another one waits" 124 timeout 2 "${KV[@]}" lock m true
kill -TERM "$(pgrep -P $holder)" 2>/dev/null || kill -TERM $holder
check_exit "and gets it after the first was told to end" 0 timeout 20 "${KV[@]}" lock m true
wait $holder
kv elect e one >"$work/elect" 2>&1 &
leader=$!
check "elect prints key and proposal" wait_until 10 grep -q ^one "$work/elect"
kv elect --listen e >"$work/listen" 2>&1 &
listener=$!
check "elect --listen shows the leader" wait_until 10 grep -q ^one "$work/listen"
kill -TERM "$(pgrep -P $leader)" 2>/dev/null || kill -TERM $leader
wait $leader
check_exit "the election is free after the signal" 1 kv get e/ --prefix
kill -TERM "$(pgrep -P $listener)" 2>/dev/null || kill -TERM $listener
wait $listener
check_exit "a ttl out of bounds is a usage error" 2 kv lock m --ttl 0

# --- compaction
now=$(revision)
check_output "compact --physical" "compacted revision $now" kv compact "$now" --physical
check_exit "compact twice is refused" 2 kv compact "$now"
check_exit "compact of the future is refused" 2 kv compact 999999999
check_exit "get below is refused" 2 kv get a --rev 1
check_fails "watch below says from where" "compacted; read the keys" kv watch a --rev 1 --events 1

# --- the quorum
check "status" eval 'kv status -o json | jq -e "all(.up)"'
check "member list" eval 'kv member list -o json | jq -e "length >= 1"'
check "hash is the same on all" eval 'kv hash -o json | jq -e "length >= 1 and ([.[].hash] | unique | length) == 1"'
check_output "alarm list" "" kv alarm list
check_output "alarm disarm" "" kv alarm disarm
check "defrag" kv defrag
check "check perf" eval 'kv check perf --load s --seconds 2 -o json | jq -e ".failed == 0 and .rate > 1"'
check_exit "check perf leaves nothing behind" 1 kv get /etcdctl-check-perf/ --prefix
check_output "snapshot save" "Snapshot saved at $work/snap" kv snapshot save "$work/snap"
check "the snapshot ends with its sum" eval '[ "$(head -c -32 "$work/snap" | sha256sum | cut -d" " -f1)" = "$(tail -c 32 "$work/snap" | od -An -tx1 | tr -d " \n")" ]'
check_exit "snapshot save where nobody may write" 5 kv snapshot save "$work/none/snap"
check_exit "member remove of a stranger exits 1" 1 kv member remove 1234
check_exit "member promote of a stranger exits 1" 1 kv member promote 1234
check_exit "member add without URLs is a usage error" 2 kv member add new
check_exit "an id that is none is a usage error" 2 kv member remove wurst
check_exit "move-leader to a stranger is refused" 4 kv move-leader 1234
if is_ours; then
    target=$(kv status -o json | jq -r '[.[] | select(.is_leader | not)][0].id')
    check "move-leader" kv move-leader "$target"
    check "the other one leads" wait_until 10 eval 'kv status -o json | jq -e --arg id "$target" "any(.[]; .id == \$id and .is_leader)"'
    check_exit "db confirm of no cluster exits 1" 1 kv db confirm nobody
fi
check_exit "--user without authentication is refused" 4 kv --user root:x get a

# --- the rest
for shell in bash zsh fish; do check "completion $shell" eval "kv completion $shell | grep -q 'snapshot'"; done
check "completion for bash is one" eval 'kv completion bash | bash -n'
check_exit "completion of another shell is a usage error" 2 kv completion wurst
every_help() {
    local name count=0
    while read -r name; do
        # shellcheck disable=SC2086
        "$DIR/bin/kv" $name --help | grep -q "^usage: kv $name" || { echo "$name"; return 1; }
        count=$((count + 1))
    done < <("$DIR/bin/kv" help | sed -n '/^for all/q; s/^  \([a-z-]*\( [a-z-]\+\)\{0,2\}\) .*/\1/p' | sed 's/ *$//')
    [ "$count" -gt 30 ]
}
check "every command has a help" every_help
check_exit "nobody to ask exits 3" 3 "$DIR/bin/kv" --endpoints 127.0.0.1:1 watch a
report_end cli
