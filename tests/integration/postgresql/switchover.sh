# SPDX-License-Identifier: Apache-2.0
# Switchovers under what holds them up, scheduled ones, and pause. Sourced by run.sh after crash.sh.

switch_over() { "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --wait --timeout 40s "$@" >"$work/switchover.said" 2>&1; }
switched_within() { # SECONDS WHAT
    AT=$(now_us)
    check "$NAME: done" switch_over
    check "$NAME: bounded ($((($(now_us) - AT) / 1000)) ms)" test $((($(now_us) - AT) / 1000000)) -le "$1"
    check "$NAME: another one is primary, one epoch on" wait_until 5 eval 'other_is_primary && epoch_is $((EPOCH + 1))'
    comes_back "$P"
}

# Scenario 22: under writes; with a client of the replication that never confirms; with an archive_command that hangs.
switchover_under_writes() {
    begin "switchover under writes"
    switched_within 10
    finish
}
switchover_hung_walsender() {
    begin "switchover with a hung walsender"
    local receiver
    mkdir -p "$work/received" && own_paths "$work/received"
    (umask 077 && echo "*:*:*:quorate_replication:$(sed -n 's/^replication://p' "$DIR/passwords")" >"$work/receiver.pass")
    own_paths "$work/receiver.pass"
    HOME=$work PGPASSFILE=$work/receiver.pass PGSSLMODE=require PGSSLCERT=$DIR/tls/member-pg-main-$P.crt \
        PGSSLKEY=$DIR/tls/member-pg-main-$P.key as_user "$POSTGRES_BIN/pg_receivewal" -D "$work/received" -h 127.0.0.1 \
        -p "${SQL_PORT[$P]}" -U quorate_replication --no-loop >"$work/receiver.log" 2>&1 &
    wait_until 10 eval '[ "$(sql "$P" "SELECT count(*) FROM pg_stat_replication WHERE application_name = '"'pg_receivewal'"'")" = 1 ]' &&
        ok "$NAME: somebody receives WAL" || bad "$NAME: nobody receives WAL" "$(tail -n 3 "$work/receiver.log")"
    receiver=$(pgrep -f "pg_receivewal -D $work/received" | tail -n 1)
    kill -STOP "$receiver"
    switched_within 15
    kill -KILL "$receiver"
    finish
}
switchover_hung_archiver() {
    begin "switchover with a hung archive_command"
    touch "$DIR/hang.archive"
    sql "$P" "SELECT pg_switch_wal()" >/dev/null
    check "$NAME: it hangs" wait_until 10 pgrep -f "archive-hangs-$$"
    switched_within 15
    rm -f "$DIR/hang.archive"
    pkill -KILL -f "archive-hangs-$$"
    finish
}
# The CHECKPOINT ahead of the stop takes long: given up by the operator before the stop, and the primary serves on.
switchover_cancelled() {
    local checkpointer
    begin "switchover cancelled"
    checkpointer=$(process_of "$P" checkpointer)
    kill -STOP "$checkpointer"
    "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --timeout 5s >/dev/null 2>&1
    check "$NAME: it is under way" wait_until 10 eval '[ "$(cluster_json | jq -r .state)" = switchover ]'
    check "$NAME: kv db cancel" "${KV[@]}" db cancel "$MEMBERS_CLUSTER"
    check "$NAME: it is over" wait_until 10 eval '[ "$(record | jq -r .state)" = running ]'
    kill -CONT "$checkpointer"
    wait_until 60 is_settled
    finish
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: same postmaster" root_is "$ROOT"
}

# Scenario 23: it is due when its target has gone: not executed, and the history says why.
switchover_scheduled() {
    local s
    begin "scheduled switchover, target gone"
    s=$(standbys_of "$P" | head -n 1)
    check "$NAME: scheduled" "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --to "$s" --at +8s
    check "$NAME: kv db show tells it" eval 'shown | grep -qi "switchover.*$s\|$s.*switchover"'
    member_kill_host "$s"
    check "$NAME: dropped when it is due, with the reason" wait_until 30 eval '{ "${KV[@]}" db history "$MEMBERS_CLUSTER"; "${KV[@]}" db why "$MEMBERS_CLUSTER"; } | grep -i "switchover" | grep -q "'"$s"'"' || { "${KV[@]}" db history "$MEMBERS_CLUSTER"; "${KV[@]}" db why "$MEMBERS_CLUSTER"; } | tail -n 12
    check "$NAME: same epoch" wait_until 5 epoch_is "$EPOCH"
    member_start_here "$s"
    comes_back "$s"
    finish
    check "$NAME: the next one, that can be done, is done when it is due" eval '"${KV[@]}" db switchover "$MEMBERS_CLUSTER" --to "$s" --at +2s && wait_until 20 eval "[ \"\$(primary)\" = $s ]"'
    wait_until 60 is_settled
}

# Scenario 24: pause. The database is killed, agents replaced, the quorum away: nobody acts. Resume heals.
paused() {
    local node member
    begin "paused"
    # The harness spoilt (canaries.sh): without a pause the rest must not hold.
    [ "${SABOTAGE:-}" = no-pause ] || check "$NAME: kv db pause" "${KV[@]}" db pause "$MEMBERS_CLUSTER" --wait --timeout 10s
    for node in "${QUORUM[@]}"; do quorum_stop "$node"; done
    sleep 6 # three leases without a quorum
    check "$NAME: writes go on without a quorum" acks_after "$ACKED" $(($(now_us) - 1000000))
    for node in "${QUORUM[@]}"; do quorum_start_here "$node"; done
    wait_until 15 quorum_has_leader
    for member in "${MEMBERS[@]}"; do
        kill -USR1 "$(pid_of "$member")"
        wait_until 5 eval "! is_running $member"
        member_start_here "$member"
    done
    check "$NAME: agents replaced, /primary answers" wait_until 15 member_is "$P" /primary
    check "$NAME: same postmaster" root_is "$ROOT"
    kill -KILL "$ROOT"
    sleep 6 # three leases without a primary
    check "$NAME: nobody is promoted, nothing is restarted" eval '! has_primary && epoch_is "$EPOCH"'
    AT=$(now_us)
    check "$NAME: kv db resume" "${KV[@]}" db resume "$MEMBERS_CLUSTER"
    check "$NAME: resume heals" wait_until 60 has_primary
    wait_until 90 is_settled || bad "$NAME: not healthy afterwards" "$(shown)"
    finish
}
