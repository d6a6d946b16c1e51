# SPDX-License-Identifier: Apache-2.0
# The agent replaced under a running primary, and the postmaster killed. Sourced by run.sh.

lease_ms() { record | jq -r .ttl_ms; }

# One replacement of the primary's agent, after SIGNAL.
replace_agent() { # SIGNAL
    local agent limit
    begin "agent replaced after $1"
    agent=$(pid_of "$P") limit=$(lease_ms)
    cp "$DIR/bin/quorate-agent-postgresql" "$DIR/bin/agent.new"
    printf 'newer' >>"$DIR/bin/agent.new"
    mv "$DIR/bin/agent.new" "$DIR/bin/quorate-agent-postgresql"
    AT=$(now_us)
    kill -"$1" "$agent"
    wait_until 5 eval "! kill -0 $agent" || bad "$NAME: the agent did not end"
    member_start_here "$P"
    check "$NAME: /primary answers 200 again" wait_until 5 member_is "$P" /primary
    note "/primary back after $((($(now_us) - AT) / 1000)) ms"
    wait_until 5 acks_after "$ACKED" $((AT + 4000000))
    check "$NAME: /primary stays 200" member_is "$P" /primary
    finish
    check "$NAME: same postmaster" root_is "$ROOT"
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: no write gap beyond the lease" eval \
        'awk -v gap="$(gap_after "$ACKED" "$AT" 60000000)" -v limit='"$limit"' "BEGIN { exit !(gap < limit) }"'
}
agent_replaced() {
    replace_agent USR1
    replace_agent KILL
}

# The guard runs another program file (SIGUSR2), then the agent is replaced: database, lease and writes go on.
guard_upgraded() {
    local guard limit
    begin "guard upgraded"
    guard=$(guard_root_of "$ROOT") limit=$(lease_ms)
    cp "$DIR/bin/quorate-guard" "$DIR/bin/guard.new"
    printf 'newer' >>"$DIR/bin/guard.new"
    mv "$DIR/bin/guard.new" "$DIR/bin/quorate-guard"
    AT=$(now_us)
    kill -USR2 "$guard"
    check "$NAME: the guard has begun again" wait_until 5 grep -q 'ev=begin .* upgrades=1' "$(guard_log_of "$P")"
    check "$NAME: in the same process, above the same postmaster" eval '[ "$(guard_root_of "$ROOT")" = '"$guard"' ]'
    check "$NAME: /primary answers 200" wait_until 5 member_is "$P" /primary
    wait_until 5 acks_after "$ACKED" $((AT + 4000000))
    finish
    check "$NAME: same postmaster" root_is "$ROOT"
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: no write gap beyond the lease" eval \
        'awk -v gap="$(gap_after "$ACKED" "$AT" 60000000)" -v limit='"$limit"' "BEGIN { exit !(gap < limit) }"'
    replace_agent KILL
}
guard_log_of() { find "$DIR/$1" -maxdepth 2 -name guard.log | head -n 1; }

# SIGTERM, as a service manager sends it: the role is handed over in order.
agent_ended() {
    begin "agent ended"
    AT=$(now_us)
    kill -TERM "$(pid_of "$P")"
    check "$NAME: it ends" wait_until 15 eval "! is_running $P"
    check "$NAME: and its database, guard and twin" wait_until 5 eval 'tree_is_gone "$P" && [ -z "$(guard_of "$P")" ]'
    check "$NAME: another one is primary" wait_until 15 has_primary
    member_start_here "$P"
    check "$NAME: the member comes back as a replica" wait_until 60 member_is "$P" /replica
    finish
    check "$NAME: shut down in order" log_has "$P" "database system is shut down"
}

# The primary's WAL runs ahead of its standbys when it dies: it must be rewound, and nothing of it was acknowledged.
diverged() {
    local mark senders
    begin "diverged"
    mark=$(wc -l <"$DIR/log/$P")
    senders=$(pgrep -P "$ROOT" -f walsender)
    # shellcheck disable=SC2086
    kill -STOP $senders
    sql "$P" "SET synchronous_commit = local; CREATE TABLE ahead AS SELECT generate_series(1, 20000) n" >/dev/null
    AT=$(now_us)
    kill_root
    check "$NAME: another one is promoted" wait_until 20 eval '[ "$(primary)" != "$P" ] && has_primary'
    check "$NAME: the old one comes back as a replica" wait_until 60 member_is "$P" /replica
    finish
    wait_until 30 is_settled
    check_output "$NAME: what nobody acknowledged is gone everywhere" "" sql "$P" \
        "SELECT relname FROM pg_class WHERE relname = 'ahead'"
    came_back_by "$mark"
    check_output "$NAME: by a rewind, not a clone" rewind echo "$CAME_BACK"
}
came_back_by() { # MARK: of the agent's log; pg_rewind and pg_basebackup leave their files behind
    local how="plain start"
    [ -n "$(find "$DIR/$P/data/backup_label.old" -newer "$work/begun" 2>/dev/null)" ] && how="rewind or clone"
    tail -n +$(($1 + 1)) "$DIR/log/$P" | grep -q '"[^"]*: clones the holder"' && how="clone"
    [ "$how" = "rewind or clone" ] && how="rewind"
    CAME_BACK=$how
    note "the old one came back by: $how"
}

postmaster_killed() {
    local mark
    begin "postmaster killed"
    mark=$(wc -l <"$DIR/log/$P")
    AT=$(now_us)
    kill_root
    check "postmaster killed: another one is promoted" wait_until 20 eval '[ "$(primary)" != "$P" ] && has_primary'
    check "postmaster killed: the old one comes back as a replica" wait_until 60 member_is "$P" /replica
    wait_until 30 is_settled
    finish
    check "postmaster killed: the epoch grew" test "$(epoch)" -gt "$EPOCH"
    came_back_by "$mark"
}
