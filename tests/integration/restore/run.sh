#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A quorum that is restored from an image of before two switchovers, on all three nodes, while its database cluster is
# written to: nothing stale is granted, an operator confirms, nothing acknowledged is lost.    usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/integration/restore/common.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-restore.XXXXXX")
trap 'load_stop; cluster_stop; keep_logs restore; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
make_cluster
begin "restore"
OLD=$EPOCH

# --- the image, and a day of changes after it
check "restore: snapshot save while it is written to" as_user "${KV[@]}" snapshot save "$DIR/image"
check "restore: snapshot status" "$DIR/bin/kv" snapshot status "$DIR/image"
for _ in 1 2; do
    check "restore: a switchover after the image" "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --wait --timeout 30s
    wait_until 30 is_settled
done
"${KV[@]}" put after-the-image lost >/dev/null
LAST=$(epoch) P=$(primary) ROOT=$(postmaster_of "$(primary)")
check "restore: the epoch has moved on from $OLD to $LAST" test "$LAST" -gt "$OLD"

# --- all of the quorum begins anew from the image
for node in "${QUORUM[@]}"; do quorum_stop "$node"; mv "$DIR/$node" "$DIR/$node.before"; done
for node in "${QUORUM[@]}"; do
    check "restore: snapshot restore for $node" as_user "$DIR/bin/kv" snapshot restore "$DIR/image" --data-dir "$DIR/$node" \
        --name "$node" --initial-cluster "$(initial_cluster "${QUORUM[@]}")" --initial-cluster-token "$(basename "$DIR")"
done
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
check "restore: the restored quorum has a leader" wait_until 10 quorum_has_leader
BEGAN=$SECONDS
check "restore: what came after the image is gone" eval '! "${KV[@]}" get after-the-image'
check_output "restore: the old record is back" "$OLD" epoch
check "restore: kv db list says unconfirmed" wait_until 5 eval '"${KV[@]}" db list | grep -q unconfirmed'
check "restore: kv db show says what to do" wait_until 5 says "run kv db confirm $MEMBERS_CLUSTER"
check "restore: nobody is primary once the old lease is over" wait_until 20 has_no_primary
SILENT=$(wc -l <"$ACKED")
check "restore: all members report to the restored quorum" wait_until 20 eval \
    '[ "$(cluster_json | jq "[.members[] | select(.up)] | length")" = 3 ]'
check_fails "restore: a switchover is refused" "kv db confirm" "${KV[@]}" db switchover "$MEMBERS_CLUSTER"
check_fails "restore: so is a forced failover" "kv db confirm" "${KV[@]}" db failover "$MEMBERS_CLUSTER" --force
check_fails "restore: an early confirmation is refused, with the reason" "try again" confirm

# --- a member that is not heard
quiet=$(for member in "${MEMBERS[@]}"; do [ "$member" != "$P" ] && echo "$member"; done | head -n 1)
kill -STOP "$(pid_of "$quiet")"
check "restore: a member falls silent" wait_until 20 eval '[ "$(cluster_json | jq "[.members[] | select(.up)] | length")" = 2 ]'
check_fails "restore: without it there is no confirmation" "$quiet is not heard" confirm
kill -CONT "$(pid_of "$quiet")"
wait_until 20 eval '[ "$(cluster_json | jq "[.members[] | select(.up)] | length")" = 3 ]'

# --- the minute in which leases of the former quorum may run
stale=0
until confirm >"$work/confirmed" 2>&1; do
    has_primary && stale=$((stale + 1))
    [ $((SECONDS - BEGAN)) -lt 90 ] || break
    sleep 0.2
done
CONFIRMED=$(now_us)
check "restore: kv db confirm" grep -q "^confirmed" "$work/confirmed"
sed 's/^/      /' "$work/confirmed"
note "confirmed $((SECONDS - BEGAN)) s after the restored quorum had a leader"
check "restore: nobody was primary before" test "$stale" -eq 0
check "restore: nothing was acknowledged before" eval \
    "[ \"\$(tail -n +$((SILENT + 1)) '$ACKED' | awk -v t=$((CONFIRMED - 200000)) '\$1 < t' | wc -l)\" = 0 ]"
check "restore: there is a primary again" wait_until 30 has_primary
check "restore: in an epoch above all before" test "$(epoch)" -gt "$LAST"
check "restore: writes get through again" wait_until 20 acks_after "$ACKED" "$CONFIRMED"
second_failover
finish
wait_until 60 is_settled || bad "restore: not healthy at the end" "$(shown)"
check_fails "restore: nothing is left to be confirmed" "nothing is to be confirmed" confirm
report_end restore
