# SPDX-License-Identifier: Apache-2.0
# Sets of other shapes, each from its beginning: sourced by run.sh.

empty_place() { # everything before is ended; a quorum and a hub
    load_off
    cluster_stop
    rm -rf "${DIR:?}"
    cluster_init "$DIR"
    set_begin --window "${WINDOW:-20000}" --sync-ms 1000
}
another_set() { # N ARBITERS
    empty_place
    set_setup mg "$1" "$2"
    set_start
}

stale() { # a member that its sources have left behind: never heals by itself
    WINDOW=300 another_set 3 0
    begin "stale"
    sim lag "$(port_of "$S")" on
    wait_until 60 eval '[ "$(wc -l <"$ACKED")" -gt 1500 ]'
    sim lag "$(port_of "$S")" off
    check "$NAME: its agent says so" wait_until 40 state_is "$S" "too stale to catch up"
    check "$NAME: kv db reinit" db reinit "$MEMBERS_CLUSTER" "$S" --force
    check "$NAME: it is a secondary again" wait_until 60 state_is "$S" secondary
    check "$NAME: what it had lies aside" eval 'ls -d "$DIR/$S"/data.quorate-old* >/dev/null'
    finish
}

three_and_one() { # refused: four voters survive one failure like three, and the majority then needs all three
    NAME="3+1 refused"
    another_set 3 1
    check "$NAME: it says why" wait_until 30 says "the layout is refused: .*three data members and an arbiter"
    note "$(db show mg --timeout 2s | grep "the layout is refused" | cut -d ';' -f 1)"
    check "$NAME: nothing was initiated" eval '[ "$(truth initiations)" = 0 ]'
}

two_and_one() { # a data node dies: w:majority stands still until its vote is taken; it comes back in two steps
    local name=m2
    NAME="2+1"
    another_set 2 1
    check "$NAME: found, with a real arbiter" settled 60
    check "$NAME: the arbiter votes" eval '[ "$(sim status | jq -r "select(.state == 7) | .node" | wc -l)" = 1 ]'
    check "$NAME: degrade is switched on" db config set mg mongodb.degrade=auto
    load_on 1
    P=$(writable)
    name=$(first_secondary)
    MARK=$(wc -l <"$DIR/log/commands")
    agent_kill "$name"
    pkill -KILL -f -- "quorate-guard .*--socket $DIR/$name/run/"
    kill -KILL "$(mongod_pid "$name")" 2>/dev/null
    check "$NAME: the primary goes on by the arbiter's vote" load_goes_on 20
    if [ -n "${LONG:-}" ]; then # 120 s of being dead
        check "$NAME: its vote is taken away" wait_until 200 eval '[ "$(order_kind)" = unvote ] && no_order'
        load_off && load_on majority
        check "$NAME: w:majority goes on" load_goes_on 20
        agent_start "$name"
        check "$NAME: it gets vote and priority back" wait_until 200 eval '[ "$(mongo_record "degraded | length")" = 0 ] && set_is_full'
        check "$NAME: the vote alone first" eval '[ "$(tail -n +$((MARK + 1)) "$DIR/log/commands" | grep -c " replSetReconfig ")" -ge 3 ]'
    else
        agent_start "$name"
        check "$NAME: it comes back" settled 60
    fi
    load_off
}
