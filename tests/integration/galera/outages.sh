# SPDX-License-Identifier: Apache-2.0
# Scenarios after which nobody is left who goes on by himself: full outages, laggards, broken transfers, old grants, and two nodes.
# Sourced by run.sh; the numbers in brackets are those of the dangers in ../README.md.

everybody() { printf '%s\n' "${DATABASES[@]}" | comma; }
new_generation() { [ "$(generation)" = $((GENERATION + 1)) ] && [ "$(galera_record grant.state)" = done ]; }
granted_to() { galera_record grant.node; }

all_killed() {
    begin "all killed at once"
    raise db-kill-all "$(everybody)" || return
    lower db-kill-all "$(everybody)"
    check "$NAME: writable again" writes_go_on 120
    settled_again
    check "$NAME: one new generation" new_generation
    note "granted to $(granted_to), $((($(now_us) - AT) / 1000)) ms until all are back"
    finish
}

# [6] An orderly stop of all at the same moment leaves no node that is marked as safe to bootstrap.
all_stopped() {
    begin "all stopped at once"
    raise db-stop-all "$(everybody)" || return
    lower db-stop-all "$(everybody)"
    check "$NAME: writable again" writes_go_on 120
    settled_again
    check "$NAME: one new generation" new_generation
    finish
}

# [2] One node applies nothing any more, all are killed: it must not be the one that the others are built from.
laggard() {
    local slow lock at
    begin "all killed, one lagging"
    slow=$(readers | tail -n 1)
    sql_clients_stop # ten rows only: flow control would stop everything after some more
    { echo "LOCK TABLES jepsen.jepsen_set READ, jepsen.jepsen_probes READ; SELECT 1;"; sleep 20; } |
        mariadb --no-defaults -S "$(socket_of "$slow")" -u root >/dev/null 2>&1 &
    lock=$!
    sleep 1 # the lock is there
    at=$(now_us)
    for _ in $(seq 10); do
        maria "$P" "INSERT INTO jepsen.jepsen_set VALUES ($at)" &&
            printf '{"process":0,"type":"ok","call":%s,"return":%s,"txn":[["add",%s]]}\n' "$at" "$at" "$at" >>"$ACKED"
        at=$((at + 1))
    done
    check "$NAME: it lags" eval '[ "$(maria_status "$slow" wsrep_last_committed)" -lt "$(maria_status "$P" wsrep_last_committed)" ]'
    raise db-kill-all "$(everybody)" || return
    lower db-kill-all "$(everybody)"
    kill "$lock" 2>/dev/null
    writers_again
    check "$NAME: writable again" writes_go_on 120
    settled_again
    check "$NAME: not from the one that lagged ($slow; granted to $(granted_to))" test "$(granted_to)" != "$slow"
    finish
}
writers_again() { sql_clients_start "$(dirname "$ACKED")" 2 "--set 3" --pause-us 10000 --first "$(now_us)" --live --no-final; }

# [3] A joiner in the middle of a state transfer, then all killed; its file even says that it is safe. Never chosen.
transfer_killed() {
    local joiner grastate
    begin "all killed within a transfer"
    joiner=$(readers | tail -n 1)
    grastate=$(data_of "$joiner")/mysql/grastate.dat
    fill 60
    check "$NAME: kv db reinit" "${KV[@]}" db reinit "$SQL_CLUSTER" "$joiner" --force --timeout 5s
    check "$NAME: a transfer runs" wait_until 60 eval '[ -n "$(host_pids "$joiner" rsync)" ]'
    raise db-kill-all "$(everybody)" || return
    # shellcheck disable=SC2046 # words are meant
    kill -KILL $(host_pids "$joiner" rsync) 2>/dev/null
    lower db-kill-all "$(everybody)"
    ls "$(dirname "$grastate")" | grep -q sst_in_progress && note "the mark of a broken transfer is there"
    [ ! -s "$grastate" ] || sed -i 's/^safe_to_bootstrap:.*/safe_to_bootstrap: 1/' "$grastate"
    check "$NAME: writable again" writes_go_on 120
    settled_again 180
    check "$NAME: not from the one in transfer ($joiner; granted to $(granted_to))" test "$(granted_to)" != "$joiner"
    finish
}

# [9] Two of three are back after a total outage: they wait, say for whom, and go on by an operator's word alone.
two_of_three() {
    local gone
    begin "two of three back"
    gone=$(readers | tail -n 1)
    raise host-crash "$gone" || return
    kill -KILL $(all_mariadbds) 2>/dev/null
    check "$NAME: it is said who is missing" wait_until 60 eval 'waits | grep -q "$gone"'
    note "$(waits)"
    sleep 10 # nothing may happen
    check "$NAME: nobody is bootstrapped meanwhile" test "$(generation)" = "$GENERATION"
    check "$NAME: an operator's word lets it go on" "${KV[@]}" db confirm "$SQL_CLUSTER" --override "$gone" --force --timeout 10s
    check "$NAME: writable again" writes_go_on 120
    lower host-crash "$gone"
    settled_again
    finish
}

# [1] The quorum is set back to a time before the last bootstrap, and the cut-off side is told what was true then: members know
# by their stamp that this history is over.
old_grant() {
    local node
    begin "an old grant"
    for node in "${QUORUM[@]}"; do kill -TERM "$(pid_of "$node")"; done
    for node in "${QUORUM[@]}"; do wait_until 15 eval "! is_running $node" && cp -a "$(data_of "$node")/node" "$DIR/old.$node" && node_start "$node"; done
    wait_until 30 quorum_has_leader && settled_again
    raise db-kill-all "$(everybody)" || return
    lower db-kill-all "$(everybody)"
    check "$NAME: a new generation" wait_until 120 new_generation
    settled_again
    writes_go_on 30
    kill -KILL $(all_mariadbds)
    for node in "${QUORUM[@]}"; do node_kill "$node"; done
    for node in "${QUORUM[@]}"; do
        wait_until 15 eval "! is_running $node" && rm -rf "$(data_of "$node")/node" && mv "$DIR/old.$node" "$(data_of "$node")/node" && node_start "$node"
    done
    wait_until 30 quorum_has_leader
    check "$NAME: writable again, by a generation of its own or by an operator" eval 'writes_go_on 90 || confirmed'
    settled_again
    check "$NAME: the generation is above all that were ($(generation))" test "$(generation)" -gt $((GENERATION + 1))
    finish
}
confirmed() { note "$(waits)"; "${KV[@]}" db confirm "$SQL_CLUSTER" --force --timeout 10s && writes_go_on 90; }

# A cluster of two: either may be lost, and the other one goes on by a grant, without having heard of it.
two_nodes() {
    two_nodes_lose "writer of two lost" writer
    two_nodes_lose "reader of two lost" reader
}
two_nodes_lose() { # NAME writer|reader
    local gone
    begin "$1"
    gone=$P
    [ "$2" = writer ] || gone=$(readers | head -n 1)
    raise isolate "$gone" || return
    check "$NAME: writes go on" writes_go_on 60
    check "$NAME: at the one that is left" eval '[ "$(primary)" != "$gone" ]'
    lower isolate "$gone"
    settled_again
    finish
}
