#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A follower is away for many thousand writes, killed at first, then stopped: the logs of the others stay within
# what they may keep, and when it is back it gets an image and follows.
# usage: behind.sh      environment: PUTS for each part, BIN
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
PUTS=${PUTS:-200000}
LOG_MAX=$((56 * 1024)) # KiB: 16 MiB kept, twice that until it is cut, and files ahead
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-behind.XXXXXX")
trap 'cluster_stop; keep_logs behind; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 3
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
check "three nodes elect a leader" wait_until 10 quorum_has_leader
LOG_SEEN=0
look() {
    local node kib
    for node in "${QUORUM[@]}"; do
        kib=$(du -sk "$DIR/$node/wal" 2>/dev/null | cut -f1)
        [ "${kib:-0}" -gt "$LOG_SEEN" ] && LOG_SEEN=$kib
    done
}
figure() { curl -s -m 1 "http://127.0.0.1:${METRICS_PORT[$1]}/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }
put_many() { # while looking at the logs
    local others="" node
    for node in "${QUORUM[@]}"; do
        [ "$node" = "$away" ] || others+=${others:+,}https://127.0.0.1:${CLIENT_PORT[$node]}
    done
    local leader had want
    leader=$(quorum_leader)
    had=$(figure "$leader" etcd_debugging_mvcc_current_revision)
    want=$((had + PUTS))
    : >"$work/acked"
    "$DIR/bin/kvload" put --endpoints "$others" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" \
        --key "$DIR/tls/admin-admin.key" --out "$work/acked" --clients 64 --value-bytes 128 --seconds 600 >"$work/kvload" 2>&1 &
    local load=$! end=$((SECONDS + 300))
    while [ "$(figure "$leader" etcd_debugging_mvcc_current_revision)" -lt "$want" ] && [ "$SECONDS" -lt "$end" ]; do
        look
        sleep 0.5
    done
    check "$PUTS puts without $away" test "$(figure "$leader" etcd_debugging_mvcc_current_revision)" -ge "$want"
    kill -TERM "$load"
    wait "$load"
    note "$(cat "$work/kvload")"
}
follows() {
    local leader
    leader=$(quorum_leader)
    [ "$(figure "$away" etcd_debugging_mvcc_current_revision)" = "$(figure "$leader" etcd_debugging_mvcc_current_revision)" ]
}
images() { grep -c "ev=restored" "$DIR/log/$away"; }
follower() { # sets away
    local leader
    leader=$(quorum_leader)
    for node in "${QUORUM[@]}"; do [ "$node" = "$leader" ] || away=$node; done
}
follower
quorum_kill "$away"
put_many
check "logs stay within $LOG_MAX KiB while it is down ($LOG_SEEN)" test "$LOG_SEEN" -le "$LOG_MAX"
had=$(images)
quorum_start "$away"
check "$away is back with an image" wait_until 60 eval "[ \$(images) -gt $had ]"
check "and follows" wait_until 30 follows
follower
had=$(images)
kill -STOP "$(pid_of "$away")"
put_many
kill -CONT "$(pid_of "$away")"
check "logs stay within $LOG_MAX KiB while it is stopped ($LOG_SEEN)" test "$LOG_SEEN" -le "$LOG_MAX"
check "$away goes on with an image" wait_until 60 eval "[ \$(images) -gt $had ]"
check "and follows" wait_until 30 follows
all_equal() { "${KV[@]}" hash -o json --timeout 10s | jq -e 'length == 3 and ([.[] | [.hash, .revision]] | unique | length == 1)'; }
check "all nodes have the same hash" wait_until 30 all_equal
look
check "logs stay within $LOG_MAX KiB at the end ($LOG_SEEN)" test "$LOG_SEEN" -le "$LOG_MAX"
report_end behind
