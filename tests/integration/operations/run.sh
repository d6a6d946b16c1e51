#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What operators do to a cluster that is in use: two to three members, settings raised and lowered, everything restarted one after
# the other, replication modes changed and back, three to two members, a quorum restored from a snapshot of the beginning. Meanwhile a
# long-running writer, a reader on the replicas and pgbench. No epoch that nobody asked for, nothing acknowledged lost; the
# longest gap of each step is printed. usage: run.sh [STEP...]   (names as in `all` below)   LONG=1: the snapshot is restored as well
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/jq.sh
. tests/integration/restore/common.sh
. tests/integration/postgresql/input.sh
. tests/integration/postgresql/crash.sh
all=(three_members connections_up connections_down members_restarted agents_replaced nodes_restarted modes two_members)
[ -z "${LONG:-}" ] || all+=(old_snapshot)
[ $# -gt 0 ] || set -- "${all[@]}"
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-ops.XXXXXX")
trap 'readers_stop; load_stop; cluster_stop; keep_logs operations; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

# --- who uses it meanwhile
hosts_of() { members_list | sed 's/:[0-9]*//g'; }
ports_of() { members_list | sed 's/[^,:]*://g'; }
SIDE=()
reader() { # "t_us ok|failed": one question every 50 ms to whoever is a replica
    export PGHOST PGPORT PGPASSFILE=$DIR/pgpass PGUSER=app PGDATABASE=postgres PGCONNECT_TIMEOUT=2 PGTARGETSESSIONATTRS=prefer-standby
    PGHOST=$(hosts_of) PGPORT=$(ports_of)
    while :; do
        if timeout 3 psql -X -q -A -t -c "SELECT count(*) FROM quorate_load WHERE n = 1" >/dev/null 2>&1; then
            echo "$(now_us) ok"
        else
            echo "$(now_us) failed"
        fi
        sleep 0.05
    done >>"$work/reads"
}
bencher() { # pgbench ends with its connection: begun again as an application would
    export PGHOST PGPORT PGPASSFILE=$DIR/pgpass PGUSER=app PGDATABASE=postgres PGCONNECT_TIMEOUT=2 PGTARGETSESSIONATTRS=read-write
    PGHOST=$(hosts_of) PGPORT=$(ports_of)
    while :; do
        timeout 20 pgbench -n -c 2 -T 5 2>/dev/null | sed -n 's/^number of transactions actually processed: //p' >>"$work/bench"
        sleep 0.1
    done
}
readers_start() {
    local member
    member=$(primary)
    psql_of "$member" -c "GRANT CREATE ON SCHEMA public TO app" >/dev/null
    PGPASSFILE=$DIR/pgpass pgbench -h 127.0.0.1 -p "${SQL_PORT[$member]}" -U app -i -s 1 -q postgres >"$work/bench.init" 2>&1 ||
        bad "pgbench -i" "$(tail -n 3 "$work/bench.init")"
    : >"$work/reads" && : >"$work/bench"
    reader &
    SIDE=($!)
    bencher &
    SIDE+=($!)
}
readers_stop() {
    [ "${#SIDE[@]}" -gt 0 ] || return 0
    kill -KILL "${SIDE[@]}" 2>/dev/null
    wait "${SIDE[@]}" 2>/dev/null
    SIDE=()
}

# A step: nothing but what was asked for may have happened to the reign.
step() { # NAME
    NAME=$1
    P=$(primary) EPOCH=$(epoch) AT=$(now_us)
}
step_end() {
    wait_until 90 is_settled_now || bad "$NAME: not settled" "$(shown)"
    wait_until 20 acks_after "$ACKED" "$(now_us)" || bad "$NAME: no writes get through"
    check "$NAME: no failover" eval 'epoch_is "$EPOCH" && member_is "$P" /primary'
    note "longest write gap $(gap_after "$ACKED" "$AT" 600000000) ms, took $((($(now_us) - AT) / 1000000)) s"
}
WANT_R=1
is_settled_now() { # as many members as there are, and the mode that was asked for
    cluster_json | jq -e --argjson n "${#MEMBERS[@]}" --argjson r "$WANT_R" '.primary != "" and .r == $r and
        ([.members[] | select(.up and (.state == "running" or .state == "streaming"))] | length) == $n and
        (if $r > 0 then (.sync_names | length) == $n - 1 else true end)' >/dev/null
}
max_connections_are() { local m; for m in "${MEMBERS[@]}"; do [ "$(sql "$m" "SHOW max_connections")" = "$1" ] || return 1; done; }

three_members() {
    step "two to three members"
    MEMBERS=(pg1 pg2 pg3)
    member_start pg3
    step_end
}
connections() { # NUMBER
    set_config "postgresql.parameters.max_connections=$1"
    check "$NAME: it is said that a restart is pending" wait_until 20 eval 'shown | grep -qi "restart"'
    check "$NAME: restarted one after the other" "${KV[@]}" db restart "$MEMBERS_CLUSTER" --pending --wait --timeout 120s
    # Lowered, the primary comes first, and its standbys are pending only when they have seen its new value.
    if ! wait_until 10 max_connections_are "$1"; then
        check "$NAME: a second round for the standbys" "${KV[@]}" db restart "$MEMBERS_CLUSTER" --pending --wait --timeout 120s
    fi
    check "$NAME: in force everywhere" wait_until 60 max_connections_are "$1"
    check "$NAME: no standby stopped for it" eval '! grep -l "insufficient parameter settings" "$DIR"/*/state/postgresql.log'
    step_end
}
connections_up() { step "max_connections raised" && connections 90; }
connections_down() { step "max_connections lowered" && connections 60; }
members_restarted() {
    local member before
    step "every database restarted"
    for member in $(standbys_of "$P") "$P"; do
        before=$(postmaster_of "$member")
        check "$NAME: $member" "${KV[@]}" db restart "$MEMBERS_CLUSTER" "$member" --wait --timeout 60s
        check "$NAME: $member runs in a new process" eval "[ \"\$(postmaster_of $member)\" != '$before' ]"
        wait_until 60 is_settled_now
    done
    step_end
}
agents_replaced() {
    local member root
    step "every agent replaced"
    root=$(postmaster_of "$P")
    for member in "${MEMBERS[@]}"; do
        kill -USR1 "$(pid_of "$member")"
        wait_until 5 eval "! is_running $member" || bad "$NAME: $member does not end"
        member_start "$member"
        wait_until 30 is_settled_now
    done
    step_end
    check "$NAME: same postmaster" eval "[ \"\$(postmaster_of '$P')\" = '$root' ]"
}
nodes_restarted() {
    local node
    step "every quorum node restarted"
    for node in "${QUORUM[@]}"; do
        quorum_stop "$node" || bad "$NAME: $node does not end"
        quorum_start "$node"
        wait_until 15 eval '[ "$("${KV[@]}" status -o json --timeout 1s | jq "[.[] | select(.up)] | length")" = 3 ]'
    done
    step_end
}
modes() {
    step "asynchronous"
    WANT_R=0
    set_config sync=off
    step_end
    step "synchronous again"
    WANT_R=1
    set_config sync=on
    step_end
    step "strict"
    set_config strict=true
    step_end
    step "not strict again"
    set_config strict=false
    step_end
}
two_members() {
    local gone
    step "three to two members"
    gone=$(standbys_of "$P" | tail -n 1)
    check "$NAME: kv db drain" "${KV[@]}" db drain "$MEMBERS_CLUSTER" "$gone"
    check "$NAME: it is waited for no more" wait_until 30 eval "cluster_json | jq -e '.sync_names | index(\"$gone\") | not'"
    kill -TERM "$(pid_of "$gone")"
    wait_until 15 eval "! is_running $gone"
    # shellcheck disable=SC2207
    MEMBERS=($(printf '%s\n' "${MEMBERS[@]}" | grep -vx "$gone"))
    check "$NAME: kv db remove" wait_until 30 "${KV[@]}" db remove "$MEMBERS_CLUSTER" "$gone" --force
    step_end
}
old_snapshot() {
    local node last
    NAME="an old snapshot" P=$(primary) AT=$(now_us) last=$(epoch)
    for node in "${QUORUM[@]}"; do quorum_stop "$node" && mv "$DIR/$node" "$DIR/$node.before"; done
    for node in "${QUORUM[@]}"; do
        as_user "$DIR/bin/kv" snapshot restore "$DIR/image" --data-dir "$DIR/$node" --name "$node" \
            --initial-cluster "$(initial_cluster "${QUORUM[@]}")" --initial-cluster-token "$(basename "$DIR")" >/dev/null || bad "$NAME: restore for $node"
        quorum_start "$node"
    done
    check "$NAME: the restored quorum has a leader" wait_until 10 quorum_has_leader
    check "$NAME: confirmed as soon as no former lease can run" wait_until 120 confirm
    check "$NAME: there is a primary" wait_until 40 has_primary
    check "$NAME: in an epoch above all before" test "$(epoch)" -gt "$last"
    wait_until 20 acks_after "$ACKED" "$(now_us)" || bad "$NAME: no writes get through"
    note "longest write gap $(gap_after "$ACKED" "$AT" 600000000) ms"
}

cluster_init "$work"
quorum_setup 3
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
wait_until 15 quorum_has_leader || die "the quorum has no leader"
MEMBER_TLS=verify-full
members_setup pg-main 3
MEMBERS=(pg1 pg2)
for member in "${MEMBERS[@]}"; do member_start "$member"; done
wait_until 90 is_settled_now || die "two members do not become healthy"
load_prepare || die "no table to write to"
as_user "${KV[@]}" snapshot save "$DIR/image" >/dev/null || bad "snapshot save"
ACKED=$work/acked
load_start "$ACKED" --clients 3 --pause-us 5000
readers_start
wait_until 15 eval '[ "$(wc -l <"$ACKED")" -gt 100 ]' || bad "no writes get through"
BEGAN=$(now_us)
for name in "$@"; do "$name"; done
readers_stop
load_stop
check_output "nothing acknowledged is lost ($(acked_of "$ACKED"))" 0 lost_of "$ACKED"
note "longest write gap of all: $(gap_after "$ACKED" "$BEGAN" 3600000000) ms"
check "the reader got its answers ($(grep -c ok "$work/reads") and $(grep -c failed "$work/reads") refused)" eval \
    '[ "$(grep -c failed "$work/reads")" -le $(($(grep -c ok "$work/reads") / 10)) ]'
note "longest time without an answer on the replicas: $(gap_after <(grep ok "$work/reads") "$BEGAN" 3600000000) ms"
check "pgbench went on ($(awk '{ n += $1 } END { print n + 0 }' "$work/bench") transactions)" test -s "$work/bench"
report_end operations
