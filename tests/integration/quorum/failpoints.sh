#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One of three nodes dies, or has an I/O error, at each named point around log, state, apply and images, under load.
# It starts again each time; nothing acknowledged is lost and all nodes hold the same. Needs the canary build.
# usage: BIN=build/canary/bin failpoints.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-failpoints.XXXXXX")
trap 'cluster_stop; keep_logs failpoints; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 3
for node in q1 q2 q3; do sed -i "s/^quorum:/quorum:\n  snapshot_count: 100/" "$DIR/$node.yml"; done
own
kvload() { # VERB FILE [options]
    local verb=$1 file=$2
    shift 2
    "$DIR/bin/kvload" "$verb" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" \
        --key "$DIR/tls/admin-admin.key" --out "$file" "$@"
}
acked_grows() { # BY SECONDS
    local had
    had=$(wc -l <"$work/acked")
    wait_until "$2" eval "[ \$(wc -l <'$work/acked') -gt $((had + $1)) ]"
}
all_are_up() { [ "$("${KV[@]}" status -o json --timeout 1s | jq "[.[] | select(.up)] | length")" = 3 ]; }
is_ended() { ! is_running "$1"; }
start_with() { # NODE FAILPOINTS
    export QUORATE_FAILPOINTS=$2
    quorum_start "$1"
    unset QUORATE_FAILPOINTS
}

check_fails "a failpoint that cannot be understood" "is not sleep" env QUORATE_FAILPOINTS=log.flush=maybe \
    "$DIR/bin/quorated" --config "$DIR/q1.yml"
check_fails "a failpoint that does not exist" "is none of the points" env QUORATE_FAILPOINTS=log.flash=exit \
    "$DIR/bin/quorated" --config "$DIR/q1.yml"
for node in q1 q2 q3; do quorum_start "$node"; done
check "three nodes elect a leader" wait_until 10 quorum_has_leader
: >"$work/acked"
kvload put "$work/acked" --clients 4 --seconds 600 >"$work/kvload" 2>&1 &
load=$!
check "writes are acknowledged" acked_grows 300 10
for action in exit@30 error@30; do
    for point in log.write log.pwrite log.flush log.flushed log.written apply.entry apply.end state.commit@3 state.committed@3; do
        name=${point%@*}
        [ "$name" = "$point" ] && what=$action || what=${action%@*}@3
        quorum_stop q2
        start_with q2 "$name=$what"
        check "$name=$what: the node ends" wait_until 20 is_ended q2
        quorum_start q2
        wait_until 10 all_are_up || note "q2 is not back within 10 s"
    done
done
for point in snapshot.begin snapshot.written image.intent snapshot.install snapshot.installed image.reset; do
    quorum_stop q2
    leader=$(quorum_leader) # a new leader keeps no log for an image of before
    quorum_stop "$leader"
    quorum_start "$leader"
    acked_grows 1500 30
    start_with q2 "$point=exit"
    check "$point=exit: the node ends while it gets an image" wait_until 20 grep -q "failpoint $point: exit" "$DIR/log/q2"
    wait_until 5 is_ended q2
    quorum_start q2
    wait_until 10 all_are_up || note "q2 is not back within 10 s"
done
check "writes go on" acked_grows 100 10
pkill -TERM -P "$load" -x kvload 2>/dev/null
kill -TERM "$load" 2>/dev/null
wait "$load" 2>/dev/null
cat "$work/kvload"
all_equal() { "${KV[@]}" hash -o json | jq -e 'length == 3 and ([.[].hash] | unique | length == 1)'; }
check "all nodes have the same hash" wait_until 20 all_equal
check "no acknowledged put is lost" kvload verify "$work/acked"
report_end failpoints
