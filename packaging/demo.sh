#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make demo`: the main job on loopback. Makes a cluster of three quorum nodes and three PostgreSQL members, writes to it
# through an ordinary libpq connection, and breaks it three times. Nothing that was acknowledged may be missing.
#
#   DEMO_STOP=1      stop and clean up at the end; else the cluster is left running
#   SABOTAGE=async   switch synchronous replication off and lose the primary: shows what is lost then, exits 1
#   DEMO_DIR=DIR     where it lives (default /var/tmp/quorate-demo)
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh

if [ "$(id -u)" -eq 0 ]; then where=/var/tmp/quorate-demo; else where=/var/tmp/quorate-demo-$(id -un); fi
where=${DEMO_DIR:-$where}
demo_needs_tools
demo_is_ours "$where" || die "$where is there and was not made by the demo; choose another DEMO_DIR, or remove it"

finished=""
exec 9>&1 # what cleaning up says is heard also when it interrupts something with its output thrown away
cleanup() {
    local code=$?
    trap '' INT TERM
    exec 1>&9
    if [ -z "$finished" ] || [ -n "${DEMO_STOP:-}" ]; then
        [ -n "$finished" ] || say "stopping and cleaning up $where"
        if [ -z "$finished" ] && [ -d "$where/log" ]; then
            rm -rf build/failed/demo
            mkdir -p build/failed && cp -r "$where/log" build/failed/demo 2>/dev/null && say "logs: build/failed/demo"
            for member in "${MEMBERS[@]}"; do cp "$where/$member/state/postgresql.log" "build/failed/demo/$member.postgresql" 2>/dev/null; done
        fi
        cluster_stop
        rm -rf "$where"
    else
        ports_release # they are listened on now
    fi
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

title() { printf '\n\033[1m== %s\033[0m\n' "$*"; }
[ -t 1 ] || title() { printf '\n== %s\n' "$*"; }

# A demo that was left running before.
if [ -d "$where" ]; then
    DIR=$where
    say "stopping the demo that was left under $where"
    cluster_stop
    rm -rf "$where"
fi

title "Three quorum nodes, over TLS"
cluster_init "$where"
quorum_setup 3
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
wait_until 15 quorum_has_leader || die "the quorum has no leader; see $where/log"
"${KV[@]}" status

title "Three PostgreSQL members: one makes the database, two clone it"
if [ "${SABOTAGE:-}" = async ]; then
    say "SABOTAGE: synchronous replication is off"
    SEED_LINES="  sync: off"
fi
members_setup pg-main 3
for member in "${MEMBERS[@]}"; do member_start "$member"; done
wait_until 90 cluster_is healthy || die "the cluster did not become healthy; see $where/log"
"${KV[@]}" db list
load_prepare || die "no table to write to"

results=()
# step NAME FUNCTION: writes for a while, lets the function break something, and counts.
step() {
    local name=$1 what=$2 file=$where/acked.${1// /-} at
    load_start "$file" --clients 4
    wait_until 15 eval "[ \$(wc -l <'$file') -gt 200 ]" || die "$name: no writes get through; see $where/log"
    at=$(now_us)
    $what
    wait_until 60 has_primary || die "$name: no primary; see $where/log"
    wait_until 60 eval "[ \$(tail -n 1 '$file' | cut -d' ' -f1) -gt $((at + 200000)) ]"
    sleep 2
    load_stop
    local gap acked lost
    gap=$(gap_after "$file" "$at" 60000000)
    acked=$(acked_of "$file")
    lost=$(lost_of "$file")
    results+=("$(printf '%-28s longest write gap %7.0f ms   acknowledged %6d   lost %s' "$name" "$gap" "$acked" "$lost")")
    say "${results[-1]}"
    wait_until 60 cluster_settled
    "${KV[@]}" db show pg-main
    [ "$lost" = 0 ] || LOST=1
}
cluster_settled() { cluster_is healthy; }
LOST=0

planned() { "${KV[@]}" db switchover pg-main --wait --timeout 30s; }
crash() {
    local p
    p=$(primary)
    say "kill -9 $(postmaster_of "$p"): the postmaster of $p"
    kill -KILL "$(postmaster_of "$p")"
}
host_loss() {
    local p node
    p=$(primary)
    node=q${p#pg}
    say "kill -9 of everything on the host of $p: PostgreSQL, guard, agent, and the quorum node $node beside it"
    member_kill_host "$p" "$node"
    cluster_settled() { cluster_is degraded; }
    wait_until 30 eval '[ "$(primary)" != "'"$p"'" ] && has_primary'
}
sabotage() {
    local p pids
    p=$(primary)
    pids=$(pgrep -P "$(postmaster_of "$p")" -f walsender)
    say "the replication of $p is cut (its WAL senders stand still), writes go on for a moment, then its host is lost"
    # shellcheck disable=SC2086
    kill -STOP $pids
    sleep 0.15 # the arbiter waits for a person when more than 1 MiB would be lost
    host_loss
}

if [ "${SABOTAGE:-}" = async ]; then
    title "The primary is cut off and lost, without synchronous replication"
    step "host lost, asynchronous" sabotage
else
    title "1. A planned switchover"
    step "switchover" planned
    title "2. The postmaster is killed"
    step "postmaster killed" crash
    title "3. The primary's whole host is lost"
    step "host lost" host_loss
    title "The lost host comes back"
    for name in "${QUORUM[@]}"; do is_running "$name" || quorum_start "$name"; done
    for name in "${MEMBERS[@]}"; do is_running "$name" || member_start "$name"; done
    wait_until 90 cluster_is healthy || die "the lost member did not come back; see $where/log"
    "${KV[@]}" db show pg-main
    title "Private memory (smaps, pages of the mapped store aside)"
    for name in "${QUORUM[@]}"; do printf '  quorated %-4s %6d kB\n' "$name" "$(private_kb "$(pid_of "$name")")"; done
    for name in "${MEMBERS[@]}"; do
        printf '  agent    %-4s %6d kB   guard and twin' "$name" "$(private_kb "$(pid_of "$name")")"
        for pid in $(guard_of "$name"); do
            # A guard is not dumpable: others than root see its anonymous memory alone.
            kb=$(private_kb "$pid") || kb=$(awk '/^RssAnon/ { print $2 }' "/proc/$pid/status")
            printf ' %5d kB' "$kb"
        done
        printf '\n'
    done
fi

finished=yes
if [ -z "${DEMO_STOP:-}" ]; then
    title "It goes on running; to play on"
    holder=$(primary) || holder=pg1
    cat <<TEXT
  export QUORATE_ENDPOINTS=$ENDPOINTS
  export QUORATE_CACERT=$where/tls/ca.crt QUORATE_CERT=$where/tls/admin-admin.crt QUORATE_KEY=$where/tls/admin-admin.key
  export PATH=$where/bin:\$PATH

  kv status
  kv db show pg-main
  kv db history pg-main
  kv db why pg-main
  kv db switchover pg-main --wait
  psql "\$(kv db dsn pg-main | sed 's|//|//app@|')&passfile=$where/pgpass" -c 'SELECT count(*) FROM quorate_load'
  curl -i http://127.0.0.1:${HTTP_PORT[$holder]}/primary

  logs: $where/log      stop and clean up: make demo-stop${DEMO_DIR:+ DEMO_DIR=$DEMO_DIR}
TEXT
fi
printf '\n'
for line in "${results[@]}"; do say "$line"; done
[ "$LOST" -eq 0 ]
