# SPDX-License-Identifier: Apache-2.0
# Databases that end, hang or do not start, and winners that end too. Sourced by run.sh.
. tests/support/jq.sh

standbys_of() { local m; for m in "${MEMBERS[@]}"; do [ "$m" = "$1" ] || echo "$m"; done; } # PRIMARY
process_of() { pgrep -P "$(postmaster_of "$1")" -f "$2" | head -n 1; } # MEMBER WORD: a process of its server
other_is_primary() { has_primary && [ "$(primary)" != "$P" ]; }
comes_back() { check "$NAME: $1 comes back as a replica" wait_until "${2:-60}" member_is "$1" /replica; } # MEMBER [SECONDS]
comes_back_all() { wait_until 60 is_settled || bad "$NAME: not healthy afterwards" "$(shown)"; }
shown() { "${KV[@]}" db show "$MEMBERS_CLUSTER" --timeout 2s; }
# kill -9 of the primary's postmaster. Three crashes within a minute take a member out for good: the third one waits its time.
CRASHED=() # "SECONDS MEMBER"
crashed_lately() { # MEMBER
    local n=0 line
    for line in "${CRASHED[@]}"; do
        [ "${line#* }" = "$1" ] && [ $((SECONDS - ${line% *})) -lt 62 ] && n=$((n + 1))
    done
    echo $n
}
kill_root() {
    while [ "$(crashed_lately "$P")" -ge 2 ]; do sleep 1; done
    CRASHED+=("$SECONDS $P")
    AT=$(now_us)
    kill -KILL "$ROOT"
}
# Settings of the cluster, by the document; waits until the record has them.
set_config() { # KEY=VALUE...
    local before
    before=$(record | jq -r '.config_revision // 0')
    "${KV[@]}" db config set "$MEMBERS_CLUSTER" failover_interval=0s "$@" >"$work/config.said" 2>&1 || { bad "$NAME: kv db config set $*" "$(cat "$work/config.said")"; return 1; }
    wait_until 30 eval "[ \"\$(record | jq -r '.config_revision // 0')\" -gt $before ]" || bad "$NAME: the record does not follow $*"
}

# Scenario 1, asynchronous: restarted in place under the same right, and nothing acknowledged is lost.
crashed_async() {
    begin "crashed, asynchronous"
    set_config sync=off
    wait_until 30 eval '[ "$(record | jq .votes_needed_r)" = 0 ]' || bad "$NAME: still synchronous"
    local timeline
    timeline=$(cluster_json | jq .timeline)
    log_mark "$P"
    kill_root
    check "$NAME: restarted in place" wait_until 20 eval 'member_is "$P" /primary && [ "$(postmaster_of "$P")" != "$ROOT" ]'
    wait_until 20 acks_after "$ACKED" $((AT + 1000000))
    check "$NAME: in the same epoch" epoch_is "$EPOCH"
    check_output "$NAME: on the same timeline" "$timeline" eval 'cluster_json | jq .timeline'
    check "$NAME: after a crash recovery" log_has "$P" "not properly shut down"
    set_config sync=on
    wait_until 60 is_settled || bad "$NAME: not synchronous again" "$(shown)"
    finish
}

# Scenario 2: restart in place is asked for, and the server does not start: the right is given up before its time is over.
start_fails() {
    begin "start fails"
    set_config on_crash=restart primary_start_timeout=20s
    echo "no_such_setting_at_all = 1" >>"$DIR/$P/data/postgresql.conf"
    kill_root
    check "$NAME: a standby leads before the start timeout" wait_until 20 other_is_primary
    note "after $((($(now_us) - AT) / 1000)) ms"
    check "$NAME: and it is said what is wrong with the old one" wait_until 30 eval 'shown | grep "^$P " | grep -qi "start\|fail"'
    shown | grep "^$P " | sed 's/^/      /'
    sed -i '/no_such_setting_at_all/d' "$DIR/$P/data/postgresql.conf"
    check "$NAME: it may be taken back" "${KV[@]}" db restart "$MEMBERS_CLUSTER" "$P"
    comes_back "$P" 90
    set_config on_crash=auto primary_start_timeout=30s
    finish
}

# Scenario 3: the postmaster hangs; sessions that are open go on, so only a fresh connection tells.
postmaster_stopped() {
    begin "postmaster stopped"
    AT=$(now_us)
    kill -STOP "$ROOT"
    check "$NAME: another one is promoted" wait_until 60 other_is_primary
    note "after $((($(now_us) - AT) / 1000)) ms"
    check "$NAME: nothing of the old tree is left" wait_until 10 eval "! kill -0 $ROOT"
    comes_back "$P"
    finish
}

# Scenario 6: the primary's host and the quorum's leader at one instant.
host_and_node_killed() {
    local leader
    begin "host and leader killed"
    leader=$(quorum_leader)
    AT=$(now_us)
    member_kill_host "$P" "$leader"
    check "$NAME: another one is promoted" wait_until 20 other_is_primary
    check "$NAME: one failover, not more" epoch_is $((EPOCH + 1))
    quorum_start_here "$leader"
    member_start_here "$P"
    comes_back "$P"
    finish
}

# Scenario 16: the winner is chosen and dies before it is promoted.
winner_killed() {
    local s held=() winner other
    begin "winner killed"
    for s in $(standbys_of "$P"); do held+=("$(process_of "$s" startup)"); done
    kill -STOP "${held[@]}"
    kill_root
    check "$NAME: a winner is chosen" wait_until 20 eval '[ "$(epoch)" -gt "$EPOCH" ]'
    winner=$(record | jq -r .holder)
    member_kill_host "$winner"
    kill -CONT "${held[@]}" 2>/dev/null
    other=$(standbys_of "$P" | grep -vx "$winner")
    if wait_until 25 eval '[ "$(primary)" = "'"$other"'" ]'; then
        ok "$NAME: the next candidate is primary"
        note "$other after $((($(now_us) - AT) / 1000)) ms"
    else # it had less than the winner: waiting is right, and is said
        check "$NAME: it is said who is waited for" eval 'cluster_json | jq -r .waiting_for | grep -q "'"$winner"'"'
    fi
    member_start_here "$winner"
    check "$NAME: there is a primary" wait_until 40 has_primary
    wait_until 90 is_settled || bad "$NAME: not healthy afterwards" "$(shown)"
    finish
}

# Scenario 18: a standby of the synchronous set comes and goes under writes; then the primary dies.
standby_flaps() {
    local s round rounds=4
    [ -z "${LONG:-}" ] || rounds=15
    begin "standby flaps"
    s=$(standbys_of "$P" | head -n 1)
    for round in $(seq $rounds); do
        member_kill_host "$s"
        wait_until 10 eval "! is_running $s"
        sleep 2 # so long it is away
        member_start_here "$s"
        wait_until 20 member_is "$s" /replica
    done
    check "$NAME: the primary stays in its epoch ($rounds rounds)" epoch_is "$EPOCH"
    kill_root
    # Where the one that flapped does not stream yet and was still waited for, too few are left to vote: in place, then.
    check "$NAME: then somebody serves again" wait_until 40 eval 'has_primary && acks_after "$ACKED" $((AT + 300000))'
    note "$(primary) (before: $P), epoch $(epoch) (before: $EPOCH)"
    comes_back_all
    finish
}

# Scenario 19: who cancels its wait, or is ended in it, learns of no acknowledgement.
wait_cancelled() {
    local s held=()
    begin "wait cancelled"
    for s in $(standbys_of "$P"); do held+=("$(process_of "$s" walreceiver)"); done
    kill -STOP "${held[@]}"
    check "$NAME: writers wait for a standby" wait_until 5 eval \
        '[ "$(sql "$P" "SELECT count(*) FROM pg_stat_activity WHERE wait_event = '"'SyncRep'"'")" -ge 3 ]'
    AT=$(now_us)
    sql "$P" "SELECT CASE WHEN row_number() OVER () % 2 = 0 THEN pg_cancel_backend(pid) ELSE pg_terminate_backend(pid) END
        FROM pg_stat_activity WHERE wait_event = 'SyncRep'" >/dev/null
    sleep 0.3 # their answers are on their way
    CRASHED+=("$SECONDS $P")
    kill -KILL "$ROOT"
    kill -CONT "${held[@]}" 2>/dev/null
    check "$NAME: another one is promoted" wait_until 20 other_is_primary
    comes_back "$P"
    finish
    check "$NAME: what was cancelled counts as unknown ($(jq .unknown "$ACKED.summary"))" jq -e '.unknown >= 3' "$ACKED.summary"
}

# Scenario 20: replay stands still on every standby. A switchover is done or refused, never left hanging; after a crash somebody
# serves again, and once replay may go on all is as before.
pause_replay() { local s; for s in $(standbys_of "$(primary)"); do sql "$s" "SELECT pg_wal_replay_pause()" >/dev/null; done; }
resume_replay() { local s; for s in $(standbys_of "$(primary)"); do sql "$s" "SELECT pg_wal_replay_resume()" >/dev/null; done; }
both_stream() { [ "$(sql "$(primary)" "SELECT count(*) FROM pg_stat_replication WHERE state = 'streaming' AND sync_state = 'quorum'")" = 2 ]; }
replay_paused() {
    begin "replay paused"
    pause_replay
    AT=$(now_us)
    if "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --wait --timeout 30s >"$work/paused.said" 2>&1; then
        ok "$NAME: the switchover is done"
    else
        check "$NAME: the switchover is refused, and the primary serves on" eval 'member_is "$P" /primary && epoch_is "$EPOCH"'
    fi
    note "$(tail -n 1 "$work/paused.said" | cut -c1-200)"
    resume_replay
    wait_until 60 is_settled && wait_until 30 both_stream || bad "$NAME: not healthy after it" "$(shown)"
    sleep 2 # a lease, so that all is confirmed
    P=$(primary) ROOT=$(postmaster_of "$(primary)")
    pause_replay
    kill_root
    check "$NAME: after a crash somebody serves again" wait_until 40 eval 'has_primary && acks_after "$ACKED" $((AT + 300000))'
    note "$(primary) (before: $P) after $((($(now_us) - AT) / 1000)) ms"
    resume_replay
    comes_back_all
    finish
}
