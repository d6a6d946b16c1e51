# SPDX-License-Identifier: Apache-2.0
# Members that come back: after a promotion by hand, out of a clone or rewind that was cut short, after a power failure of
# everything; and a quorum node with the disk of yesterday. Sourced by run.sh after crash.sh.

# Scenario 14: pg_ctl promote on a standby.
promoted_by_hand() {
    local s mark
    begin "promoted by hand"
    s=$(standbys_of "$P" | head -n 1)
    mark=$(wc -l <"$DIR/log/$s")
    AT=$(now_us)
    as_user "$POSTGRES_BIN/pg_ctl" promote -D "$DIR/$s/data" -W >/dev/null
    check "$NAME: the rogue acknowledges nothing" eval \
        '! PGOPTIONS="-c statement_timeout=1500" sql "$s" "INSERT INTO quorate_load VALUES (-1, 1)"'
    check "$NAME: it is never routed to" eval '[ "$(http_code '"$s"' /primary)" != 200 ]'
    check "$NAME: it comes back as a replica" wait_until 90 eval "member_is $s /replica && [ \"\$(sql $s 'SELECT pg_is_in_recovery()')\" = t ]"
    came_back_by_member "$s" "$mark"
    finish
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: same postmaster of the primary" root_is "$ROOT"
    check_output "$NAME: its row is nowhere" 0 sql "$P" "SELECT count(*) FROM quorate_load WHERE writer = -1"
}
came_back_by_member() { # MEMBER MARK
    note "$1 $(tail -n +$(($2 + 1)) "$DIR/log/$1" | grep -o 'clones the holder\|rewinds[a-z ]*\|rewound[a-z ]*' | tail -n 1)"
}

# The programs of PostgreSQL, pg_basebackup and pg_rewind with a hand on them: while $DIR/hold exists a clone is slow, and a
# rewind stands still soon after its begin.
tools_make() {
    local program
    mkdir -p "$DIR/pgbin"
    for program in "$POSTGRES_BIN"/*; do ln -sf "$program" "$DIR/pgbin/"; done
    rm -f "$DIR/pgbin/pg_basebackup" "$DIR/pgbin/pg_rewind"
    cat >"$DIR/pgbin/pg_basebackup" <<SH
#!/bin/sh
[ -e "$DIR/hold" ] && set -- "\$@" --max-rate=256k && touch "$DIR/held.clone"
exec "$POSTGRES_BIN/pg_basebackup" "\$@"
SH
    cat >"$DIR/pgbin/pg_rewind" <<SH
#!/bin/bash
[ -e "$DIR/hold" ] && [ "\$1" != --version ] || exec "$POSTGRES_BIN/pg_rewind" "\$@"
"$POSTGRES_BIN/pg_rewind" "\$@" &
sleep 0.02
kill -STOP \$!
touch "$DIR/held.rewind"
while [ -e "$DIR/hold" ]; do sleep 0.05; done
kill -CONT \$!
wait \$!
SH
    chmod 755 "$DIR"/pgbin/pg_basebackup "$DIR"/pgbin/pg_rewind
    own_paths "$DIR/pgbin"
}
kill_with_tools() { # MEMBER: its host, and what it runs there
    member_kill_host "$1"
    pkill -KILL -f "pg_(basebackup|rewind).*$DIR/$1/" 2>/dev/null
    wait_until 10 tree_is_gone "$1"
}

# Scenario 15: the host dies in the middle of a clone, and of a rewind.
clone_killed() {
    local s
    begin "killed while it clones"
    s=$(standbys_of "$P" | head -n 1)
    end_agent "$s"
    wait_until 15 tree_is_gone "$s"
    rm -rf "${DIR:?}/$s/data" "$DIR"/held.*
    touch "$DIR/hold"
    AT=$(now_us)
    member_start_here "$s"
    check "$NAME: a clone begins" wait_until 30 test -e "$DIR/held.clone"
    check "$NAME: some of it is there" wait_until 20 eval 'find "$DIR/'"$s"'" -name PG_VERSION | grep -q .'
    kill_with_tools "$s"
    rm -f "$DIR/hold"
    member_start_here "$s"
    comes_back "$s" 90
    wait_until 60 is_settled
    finish
    check "$NAME: same epoch" epoch_is "$EPOCH"
}
rewind_killed() {
    local senders
    begin "killed while it rewinds"
    senders=$(pgrep -P "$ROOT" -f walsender)
    # shellcheck disable=SC2086
    kill -STOP $senders
    sql "$P" "SET synchronous_commit = local; CREATE TABLE ahead AS SELECT generate_series(1, 20000) n" >/dev/null
    rm -f "$DIR"/held.* && touch "$DIR/hold"
    kill_root
    check "$NAME: another one is promoted" wait_until 20 other_is_primary
    check "$NAME: a rewind begins" wait_until 60 test -e "$DIR/held.rewind"
    kill_with_tools "$P"
    rm -f "$DIR/hold"
    check "$NAME: the directory is marked" test -e "$DIR/$P/data/quorate.unusable"
    member_start_here "$P"
    comes_back "$P" 90
    wait_until 60 is_settled
    check "$NAME: by a clone" eval '[ ! -e "$DIR/$P/data/quorate.unusable" ] && grep -q "clones the holder" "$DIR/log/$P"'
    finish
    check_output "$NAME: what nobody acknowledged is gone" "" sql "$P" "SELECT relname FROM pg_class WHERE relname = 'ahead'"
}

# Scenario 32: everything without power, then back in any order. WHO: the primary comes last, or is missing.
all_killed() { # last|missing
    local s node
    begin "everything killed, the primary is $1"
    AT=$(now_us)
    for node in "${QUORUM[@]}"; do kill -KILL "$(pid_of "$node")" 2>/dev/null; done
    for s in "${MEMBERS[@]}"; do member_kill_host "$s"; done
    for s in "${MEMBERS[@]}"; do wait_until 10 tree_is_gone "$s"; done
    for node in "${QUORUM[@]}"; do wait_until 5 eval "! is_running $node"; done
    for node in q3 q1 q2; do quorum_start_here "$node"; done
    wait_until 15 quorum_has_leader || bad "$NAME: the quorum has no leader"
    for s in $(standbys_of "$P"); do member_start_here "$s"; done
    [ "$1" = missing ] || member_start_here "$P"
    check "$NAME: there is a primary" wait_until 60 has_primary
    note "$(primary) after $((($(now_us) - AT) / 1000)) ms, before it was $P"
    [ "$1" = last ] || member_start_here "$P"
    wait_until 90 is_settled || bad "$NAME: not healthy afterwards" "$(shown)"
    finish
}
all_back_primary_last() { all_killed last; }
all_back_primary_missing() { all_killed missing; }

# Scenario 30: a quorum node whose disk is that of a while ago. It can harm nobody's right, and it catches up.
node_rolled_back() {
    local node leader
    begin "node with an old disk"
    leader=$(quorum_leader)
    node=$(printf '%s\n' "${QUORUM[@]}" | grep -vx "$leader" | head -n 1)
    if [ -n "${HAS_MOUNTS:-}" ]; then
        quorum_stop "$node" && cp --sparse=always "$DIR/$node.img" "$work/old.img" && quorum_start_here "$node"
    else
        quorum_stop "$node" && cp -a "$DIR/$node" "$work/old.node" && quorum_start_here "$node"
    fi
    wait_until 10 quorum_is_whole
    "${KV[@]}" db switchover "$MEMBERS_CLUSTER" --wait --timeout 30s >/dev/null 2>&1
    wait_until 60 is_settled
    P=$(primary) ROOT=$(postmaster_of "$(primary)") EPOCH=$(epoch)
    quorum_kill "$node"
    if [ -n "${HAS_MOUNTS:-}" ]; then
        sleep 0.5 # the mount goes with its process
        cp --sparse=always "$work/old.img" "$DIR/$node.img"
    else
        rm -rf "${DIR:?}/$node" && mv "$work/old.node" "$DIR/$node"
    fi
    AT=$(now_us)
    quorum_start_here "$node"
    check "$NAME: it takes part again, or says why not" wait_until 15 eval 'quorum_is_whole || grep -qi "ev=.*\(refus\|older\|behind\|rolled\)" "$DIR/log/'"$node"'"'
    wait_until 6 acks_after "$ACKED" $((AT + 3000000))
    finish
    check "$NAME: same epoch" epoch_is "$EPOCH"
    check "$NAME: same postmaster" root_is "$ROOT"
}

# Scenario 7: the whole quorum is away, for a minute in the long form.
all_nodes_stopped() {
    local node seconds=8 silent
    [ -z "${LONG:-}" ] || seconds=60
    begin "all quorum nodes away for $seconds s"
    AT=$(now_us)
    for node in "${QUORUM[@]}"; do quorum_stop "$node"; done
    check "$NAME: nobody is primary" wait_until 10 eval '! has_primary && tree_is_gone "$P"'
    silent=$(wc -l <"$ACKED")
    sleep $((seconds - ($(now_us) - AT) / 1000000)) # so long it is away
    check_output "$NAME: nothing is acknowledged meanwhile" "$silent" eval 'wc -l <"$ACKED"'
    for node in "${QUORUM[@]}"; do quorum_start_here "$node"; done
    check "$NAME: a primary again, unaided" wait_until 40 has_primary
    wait_until 60 is_settled || bad "$NAME: not healthy afterwards" "$(shown)"
    finish
}
