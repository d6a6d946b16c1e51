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

# [1] A grant is given, and the quorum is stopped with it and kept as it was then. Later, with that grant carried out and more written
# since, all databases die and the quorum is set back to it: every member hears the old record with the old grant again. Members
# know by their stamps that this history is over: nobody carries it out, and it is said who must confirm.
grant_is() { [ "$(galera_record grant.state)" = "$1" ] && [ "$(generation)" -lt "$(galera_record grant.generation)" ]; }
quorum_down() {
    local node
    for node in "${QUORUM[@]}"; do node_kill "$node"; done
    for node in "${QUORUM[@]}"; do wait_until 15 eval "! is_running $node"; done
}
begun_at() { grep -c 'begins the granted bootstrap' "$DIR/log/$1"; } # MEMBER: bootstraps that its agents have begun
old_grant() {
    local node to begun
    begin "an old grant"
    raise db-kill-all "$(everybody)" || return
    lower db-kill-all "$(everybody)"
    check "$NAME: a grant is given" wait_until 120 grant_is given
    quorum_down
    for node in "${QUORUM[@]}"; do cp -a "$(data_of "$node")/node" "$DIR/old.$node" && node_start "$node"; done
    check "$NAME: it is carried out" wait_until 120 new_generation
    settled_again
    writes_go_on 30
    to=$(granted_to)
    kill -KILL $(all_mariadbds)
    quorum_down
    begun=$(begun_at "$to")
    for node in "${QUORUM[@]}"; do
        rm -rf "$(data_of "$node")/node" && mv "$DIR/old.$node" "$(data_of "$node")/node" && node_start "$node"
    done
    wait_until 30 quorum_has_leader
    check "$NAME: the record has the old grant again, for $to" eval 'grant_is given && [ "$(granted_to)" = "$to" ]'
    check "$NAME: it is said that members have seen more" wait_until 30 eval 'waits | grep -q "has seen epoch"'
    note "$(waits)"
    wait_until 10 someone_writes # nothing may happen in that time
    check "$NAME: nobody writes" eval '! someone_writes'
    check "$NAME: $to does not begin it again ($begun before)" test "$(begun_at "$to")" = "$begun"
    # Refused for a minute: whatever leases the quorum of before had given are over then.
    check "$NAME: an operator's word lets it go on" wait_until 90 "${KV[@]}" db confirm "$SQL_CLUSTER" --force --timeout 10s
    check "$NAME: writable again" writes_go_on 120
    settled_again
    check "$NAME: the generation is above all that were ($(generation))" test "$(generation)" -gt $((GENERATION + 1))
    finish
}

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
