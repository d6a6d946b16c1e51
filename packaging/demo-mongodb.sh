#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make demo-mongodb`: three quorum nodes, agents and guards around a replica set on loopback. No MongoDB server is packaged for Debian 12:
# tests/mongosim stands in for mongod, speaks its wire protocol and models elections; time in it runs five times as fast. A libmongoc client
# writes with w:majority meanwhile. Each step prints what was decided and why. Ends by itself, leaves nothing behind but the logs of a failure.
#
#   DEMO_STEPS="status switchover ..."     some of: status switchover killed refused degrade force
set -u
cd "$(dirname "$0")/.." || exit 2
export BIN=${BIN:-build/release/bin}
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/mongodb/setup.sh
steps=${DEMO_STEPS:-status switchover killed force refused degrade}
results=()
title() { printf '\n== %s\n' "$*"; }
leave() {
    local code=$?
    load_off
    [ -z "${DIR:-}" ] || cluster_stop
    [ "$code" = 0 ] || FAILED=1
    keep_logs demo-mongodb
    rm -rf "${DIR:?}"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
shown() { db show "$MEMBERS_CLUSTER"; }
explained() { why | tail -n "${1:-8}" | sed 's/^/      /'; }
fresh() { # DATA ARBITERS
    load_off
    [ -z "${DIR:-}" ] || { cluster_stop && rm -rf "${DIR:?}"; }
    cluster_init "$(mktemp -d)"
    set_begin --sync-ms 2000
    set_setup mg "$@"
    set_start
}
kill_host() { # NAME: agent, guard and mongod
    kill -KILL "$(pid_of "$1")" 2>/dev/null
    pkill -KILL -f -- "quorate-guard .*--socket $DIR/$1/run/"
    kill -KILL "$(mongod_pid "$1")" 2>/dev/null
}
# step NAME FUNCTION: a client writes meanwhile; what it was told must be there afterwards.
step() {
    local at lost
    title "$1"
    load_on majority || bad "$1: no writes get through" "$(shown)"
    P=$(writable) at=$(now_us)
    "$2"
    load_goes_on 40 || bad "$1: no writes get through afterwards" "$(shown)"
    settled 60 || bad "$1: the set is not full afterwards" "$(shown)"
    load_off
    lost=$(audit)
    results+=("$(printf '%-16s longest write gap %6.0f ms   %s' "$1" "$(gap_ms "$at")" "$lost")")
    say "${results[-1]}"
    [ "${lost##* }" = 0 ] || bad "$1: acknowledged writes are missing"
    shown
}

do_status() {
    title "Status"
    shown
    sed -n 's/^/      /p' <<<"$(db dsn mg)"
    explained 24
}
planned() { db switchover mg --wait --timeout 40s; }
do_switchover() {
    step "switchover" planned
    explained
}
killed() {
    say "kill -9 of mongod at the primary, $P: MongoDB elects by itself, the agent starts it again"
    kill -KILL "$(mongod_pid "$P")"
}
do_killed() {
    step "primary killed" killed
    say "no order of ours was needed for that (kv db history):"
    db history mg | head -n 4 | sed 's/^/      /'
}

do_refused() {
    title "Three data members and one arbiter are refused"
    fresh 3 1
    wait_until 40 says arbiter || bad "nothing is said about the arbiter" "$(shown)"
    shown
    [ "$(truth initiations)" = 0 ] || bad "it was initiated all the same"
}

do_degrade() {
    local other
    title "Two data members and an arbiter: a real one, supervised on a quorum node"
    fresh 2 1
    settled 60 || die "the set was not found; see $DIR/log"
    db config set mg mongodb.degrade=auto
    shown
    P=$(writable) other=$(first_secondary)
    title "... $other dies: w:majority stands still until its vote is taken away (after 120 s of silence)"
    kill_host "$other"
    wait_until 200 eval '[ "$(order_kind)" = unvote ] && no_order' || bad "its vote was not taken away" "$(shown)"
    shown
    explained 4
    load_on majority || bad "w:majority does not go on" "$(shown)"
    load_off
    title "... and comes back: its vote first, and when it has caught up its priority"
    agent_start "$other"
    wait_until 200 set_is_full || bad "it did not get its vote and priority back" "$(shown)"
    shown
    explained 8
}

do_force() {
    local keep name gone=""
    title "Two of three are lost for good: a person forces, once"
    settled 60
    P=$(writable) keep=$(first_secondary)
    for name in "${DATA[@]}"; do [ "$name" = "$keep" ] || { gone+=${gone:+,}$name && kill_host "$name"; }; done
    wait_until 40 eval '[ -z "$(writable)" ]'
    say "$gone are killed; nobody can be elected, and nothing is done by itself:"
    wait_until 20 says "voters are alive" || bad "nothing is said about the voters"
    shown
    say "kv db force-reconfigure mg --destroyed $gone"
    wait_until 40 plan_force "$gone" || bad "no token is given" "$PLAN"
    sed 's/^/      /' <<<"$PLAN"
    say "kv db force-reconfigure mg $TOKEN"
    db force-reconfigure mg "$TOKEN" --force || bad "the token was not taken"
    wait_until 40 eval '[ "$(writable)" = '"$keep"' ]' || bad "$keep is not writable" "$(shown)"
    load_on majority || bad "no writes get through" "$(shown)"
    load_off
    say "the same token again:"
    ! db force-reconfigure mg "$TOKEN" --force || bad "it was taken twice"
    [ "$(truth forced)" = 1 ] || bad "forced configurations: $(truth forced)"
    shown
    explained
}

memory() {
    local name
    title "Private memory (smaps)"
    for name in "${QUORUM[@]}"; do printf '  quorated %-4s %6d kB\n' "$name" "$(private_kb "$(pid_of "$name")")"; done
    for name in "${MEMBERS[@]}"; do printf '  agent    %-4s %6d kB\n' "$name" "$(private_kb "$(pid_of "$name")")"; done
}

title "Three quorum nodes, three agents, three nodes of mongosim"
fresh 3
settled 60 || { shown; die "the set was not found; see $DIR/log"; }
memory
for name in $steps; do "do_$name"; done
title "Summary"
printf '%s\n' "${results[@]}"
[ "$FAILED" -eq 0 ]
