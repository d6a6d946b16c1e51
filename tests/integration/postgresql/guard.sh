# SPDX-License-Identifier: Apache-2.0
# Fencing with real processes: the agent stopped, the guard killed, the quorum away. Sourced by run.sh.

guard_root_of() { awk '{ print $4 }' "/proc/$1/stat" 2>/dev/null; } # the guard proper is the postmaster's parent

# The agent stands still and PostgreSQL lives: the guard freezes it before another one is promoted.
agent_stopped() {
    local agent frozen_us promoted_us old
    begin "agent stopped"
    old=$P agent=$(pid_of "$P")
    probe_start "$work/probe.stopped"
    wait_until 10 eval '[ "$(wc -l <"$PROBED")" -gt 100 ]' || bad "the prober inside $old gets nothing through"
    AT=$(now_us)
    kill -STOP "$agent"
    check "agent stopped: the guard freezes the tree at the deadline" wait_until 4 is_frozen "$ROOT"
    frozen_us=$(now_us)
    check "agent stopped: at the freeze nobody else is promoted yet" eval '! other_acknowledged "$old" "$AT"'
    check "agent stopped: another one is promoted" wait_until 15 other_acknowledged "$old" "$AT"
    promoted_us=$(sort -n "$PROBED" | awk -v own="$((100 + ${old#pg}))" -v t="$AT" '$1 > t && $2 != own { print $1; exit }')
    check "agent stopped: the old tree is dead once freeze_max is over" wait_until 8 tree_is_gone "$old"
    kill -CONT "$agent"
    check "agent stopped: the old primary comes back as a replica" wait_until 60 member_is "$old" /replica
    wait_until 30 is_settled
    probe_stop
    check_output "agent stopped: dual acknowledged" 0 dual_acknowledged "$old" "$AT"
    check "agent stopped: the epoch grew" test "$(epoch)" -gt "$EPOCH"
    cat "$PROBED" >>"$ACKED"
    finish
    note "frozen after $(((frozen_us - AT) / 1000)) ms, first acknowledgement elsewhere after $(((promoted_us - AT) / 1000)) ms," \
        "last one on $old after $(($(sort -n "$PROBED" | awk -v own="$((100 + ${old#pg}))" -v f="$promoted_us" \
            '$2 == own && $1 < f { last = $1 } END { print last }') / 1000 - AT / 1000)) ms"
}

# Guard and agent die together, one backend computes, one writes: the twin leaves nothing behind.
guard_killed() {
    local agent guard query tree left=""
    begin "guard killed"
    agent=$(pid_of "$P") guard=$(guard_root_of "$ROOT")
    sql "$P" "SELECT count(*) FROM generate_series(1, 100000) a, generate_series(1, 100000) b" >/dev/null 2>&1 &
    query=$!
    wait_until 5 eval '[ -n "$(sql "$P" "SELECT 1 FROM pg_stat_activity WHERE query LIKE '"'%generate_series(1, 100000) a%'"' AND pid <> pg_backend_pid()")" ]' ||
        bad "guard killed: the query does not run"
    tree=$(tree_of "$P")
    check "guard killed: the guard's name is known" grep -q quorate-guard "/proc/$guard/cmdline"
    AT=$(now_us)
    kill -KILL "$guard" "$agent"
    sleep 1
    for pid in $tree $(tree_of "$P"); do
        [ -e "/proc/$pid/cwd" ] && ! state_is "$pid" Z && left+=" $pid"
    done
    check "guard killed: no process of the tree ($(wc -w <<<"$tree")) is left after 1 s" test -z "$left"
    wait "$query" 2>/dev/null
    check "guard killed: another one is promoted" wait_until 20 eval '[ "$(primary)" != "$P" ] && has_primary'
    member_start_here "$P"
    check "guard killed: the member comes back as a replica" wait_until 60 member_is "$P" /replica
    finish
}

# The guard stands still, so nobody can freeze: the twin kills half of the margin past the deadline.
guard_stopped() {
    local guard old
    begin "guard stopped"
    old=$P guard=$(guard_root_of "$ROOT")
    probe_start "$work/probe.guard"
    wait_until 10 eval '[ "$(wc -l <"$PROBED")" -gt 100 ]' || bad "$NAME: the prober gets nothing through"
    AT=$(now_us)
    kill -STOP "$guard"
    check "$NAME: the twin kills the tree at the deadline" wait_until 4 tree_is_gone "$old"
    note "tree gone after $((($(now_us) - AT) / 1000)) ms"
    check "$NAME: another one is promoted" wait_until 15 other_acknowledged "$old" "$AT"
    kill -CONT "$guard" 2>/dev/null
    check "$NAME: the member comes back as a replica" wait_until 60 member_is "$old" /replica
    probe_stop
    check_output "$NAME: dual acknowledged" 0 dual_acknowledged "$old" "$AT"
    cat "$PROBED" >>"$ACKED"
    finish
}

# The whole host stands still and wakes up, its database first and its guard last: the moment that no guard covers.
# Synchronous mode still loses nothing; only what its standbys had before the pause can still be answered.
host_paused() {
    local old tree keepers dual
    begin "host paused"
    old=$P keepers="$(pid_of "$P") $(guard_of "$P")"
    probe_start "$work/probe.paused"
    wait_until 10 eval '[ "$(wc -l <"$PROBED")" -gt 100 ]' || bad "$NAME: the prober gets nothing through"
    AT=$(now_us)
    # shellcheck disable=SC2086
    kill -STOP $keepers
    tree=$(tree_of "$old")
    # shellcheck disable=SC2086
    kill -STOP $tree
    check "$NAME: another one is promoted" wait_until 15 other_acknowledged "$old" "$AT"
    # shellcheck disable=SC2086
    kill -CONT $tree
    sleep 0.5
    # shellcheck disable=SC2086
    kill -CONT $keepers
    check "$NAME: the old primary comes back as a replica" wait_until 60 member_is "$old" /replica
    probe_stop
    dual=$(dual_acknowledged "$old" "$AT")
    check "$NAME: answered late, replicated before the pause: $dual, at most 1 a writer" test "$dual" -le 1
    cat "$PROBED" >>"$ACKED"
    finish
}

stop_two_nodes() {
    local node leader
    leader=$(quorum_leader)
    STOPPED=("$leader")
    for node in "${QUORUM[@]}"; do
        [ "$node" != "$leader" ] && [ "${#STOPPED[@]}" -lt 2 ] && STOPPED+=("$node")
    done
    for node in "${STOPPED[@]}"; do kill -STOP "$(pid_of "$node")"; done
}
cont_nodes() { for node in "${STOPPED[@]}"; do kill -CONT "$(pid_of "$node")"; done; }

# No majority until the primary is frozen, and back before freeze_max is over.
quorum_away() {
    begin "quorum away"
    AT=$(now_us)
    stop_two_nodes
    check "quorum away: the primary is frozen at the deadline" wait_until 4 is_frozen "$ROOT"
    local frozen=$(($(now_us) - AT)) frozen_at thawed
    frozen_at=$(now_us)
    check "quorum away: /primary answers 503 meanwhile" eval '[ "$(http_code "$P" /primary)" = 503 ]'
    cont_nodes
    check "quorum away: thawed when the quorum is back" wait_until 3 eval '! is_frozen "$ROOT"'
    thawed=$(($(now_us) - frozen_at))
    finish
    check "quorum away: same postmaster" root_is "$ROOT"
    check "quorum away: no failover, same epoch" epoch_is "$EPOCH"
    check "quorum away: no crash recovery" eval '! log_has "$P" "not properly shut down\|was interrupted\|ready to accept"'
    note "frozen after $((frozen / 1000)) ms, thawed after another $((thawed / 1000)) ms"
}

# ... and longer than freeze_max: killed, and back when the quorum is.
quorum_away_long() {
    begin "quorum away for long"
    AT=$(now_us)
    stop_two_nodes
    check "quorum away for long: frozen" wait_until 4 is_frozen "$ROOT"
    check "quorum away for long: killed after freeze_max" wait_until 6 tree_is_gone "$P"
    note "tree gone $((($(now_us) - AT) / 1000)) ms after the quorum's loss"
    check "quorum away for long: nobody is primary" eval '! has_primary'
    cont_nodes
    check "quorum away for long: a primary again" wait_until 40 has_primary
    check "quorum away for long: healthy again" wait_until 60 is_settled
    finish
}

# watchdog.mode require. A FIFO stands for the device: with nobody at its other end it can be fed no more, and the guard renews nothing.
# Who serves then hands over in order while its lease runs (one that is elected without a device: agt_unserving_test).
guard_refuses() {
    local s device=$DIR/watchdog reader=0 mark
    begin "guard refuses"
    s=$(standbys_of "$P" | head -n 1)
    mkfifo "$device" && own
    cp "$DIR/$s.yml" "$work/before.yml"
    printf 'watchdog:\n  mode: require\n  device: %s\n  timeout: 1s\n' "$device" >>"$DIR/$s.yml"
    agent_anew "$s"
    as_user cat "$device" >/dev/null & # the device is there
    reader=$!
    check "$NAME: with a device it serves" wait_until 60 eval '[ "$(primary)" = "$s" ] ||
        { "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --to "$s" --wait --timeout 20s >/dev/null 2>&1; [ "$(primary)" = "$s" ]; }'
    wait_until 60 is_settled
    mark=$(wc -l <"$DIR/log/$s")
    AT=$(now_us)
    kill "$reader" $(pgrep -P "$reader") 2>/dev/null
    check "$NAME: the device fails, and it hands over" wait_until 20 eval 'has_primary && [ "$(primary)" != "$s" ]'
    check "$NAME: in order, while its lease ran" eval 'said_since "$s" "$mark" "hands over" && said_since "$s" "$mark" "hands the epoch back: clean"'
    cp "$work/before.yml" "$DIR/$s.yml" && own
    agent_anew "$s"
    wait_until 60 is_settled || bad "$NAME: not healthy afterwards" "$("${KV[@]}" db show "$MEMBERS_CLUSTER")"
    finish
}
said_since() { tail -n +$(($2 + 1)) "$DIR/log/$1" | grep -q -- "$3"; } # MEMBER MARK TEXT
agent_anew() { # MEMBER: with another guard
    end_agent "$1"
    wait_until 15 tree_is_gone "$1"
    member_start_here "$1"
    wait_until 60 member_is "$1" /replica || bad "$NAME: $1 does not come back"
}

# The same once more with every member in a delegated cgroup, so that the kernel's freezer does it.
by_cgroup() {
    local member holder
    if ! cgroups_make; then
        skip "freeze by cgroup" "needs root and cgroup v2 with cgroup.kill"
        CGROUP=""
        return
    fi
    holder=$(primary)
    for member in "${MEMBERS[@]}"; do [ "$member" != "$holder" ] && move_to_cgroup "$member"; done
    move_to_cgroup "$holder"
    wait_until 60 is_settled
    check "by cgroup: every postmaster is in its own" eval \
        'for m in "${MEMBERS[@]}"; do grep -q "quorate-test-$$/$m/quorate-" "/proc/$(postmaster_of "$m")/cgroup" || exit 1; done'
    agent_stopped
    quorum_away
    quorum_away_long
    guard_killed
}
move_to_cgroup() { # MEMBER
    kill -TERM "$(pid_of "$1")"
    wait_until 15 eval "! is_running $1" || bad "by cgroup: $1 does not end"
    member_start_here "$1"
    wait_until 30 is_settled
}
