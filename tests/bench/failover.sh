#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make bench-failover [PEER=patroni] [TRIALS=20] [PEER_TRIALS=7] [ROUNDS=2] [SYSTEMS=".."] [CLASSES=".."] [FRESH=1]`: the write
# gap of a three-member PostgreSQL cluster when its primary goes, at clients that come by different routes, beside Debian's
# Patroni on the same hosts, and where the seconds went. Writes build/bench/failover.json.
#
#   quorate        our defaults                 patroni        its defaults: ttl 30, loop_wait 10, retry_timeout 10
#   quorate-fast   ttl 600 ms, heartbeat 100 ms patroni-tuned  ttl 5, loop_wait 1, retry_timeout 2
#
# The systems take turns (ROUNDS), each block in a sandbox of its own (failover_block.sh). Every trial is a line of
# build/bench/failover.trials at once, so that a run that was interrupted goes on where it was (valid.jq says which count); lines that another
# build of ours has made are set aside, the peer's stay as long as the machine is the same. FRESH=1 begins anew. A peer's cluster that is beyond
# repair is counted and made anew, at most ANEW times a round.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/jq.sh
results=build/bench
trials=$results/failover.trials
TRIALS=${TRIALS:-20} ROUNDS=${ROUNDS:-2}
PEER_TRIALS=${PEER_TRIALS:-7} ANEW=${ANEW:-8}
[ "$PEER_TRIALS" -le "$TRIALS" ] || PEER_TRIALS=$TRIALS
CLASSES=${CLASSES:-switchover crash host-loss host-loss-leader quorum-cut host-paused}
SYSTEMS=${SYSTEMS:-quorate quorate-fast}${PEER:+ patroni patroni-tuned}
BIN=${BIN:-build/release/bin}
export BIN
export BENCH_BED="three hosts, each with a quorum node and a member, and one with the clients, in network namespaces; TLS between ours and to clients, none with the peer"
BENCH_MACHINE="$(uname -srm), $(nproc) cores"
BENCH_COMMIT=$(git rev-parse --short HEAD 2>/dev/null || echo unknown)
BENCH_BUILD=$(cat "$BIN"/{quorated,quorate-agent-postgresql,quorate-guard} "$BIN/quorate-proxy" 2>/dev/null | sha256sum | cut -c1-12)
export BENCH_MACHINE BENCH_COMMIT BENCH_BUILD

is_peer() { [[ $1 == patroni* ]]; }
wanted() { if is_peer "$1"; then echo "$PEER_TRIALS"; else echo "$TRIALS"; fi; } # SYSTEM
done_of() { # SYSTEM CLASS
    jq -n -L tests/bench --arg s "$1" --arg c "$2" 'include "valid"; [inputs | select(.system == $s and .class == $c and is_made)] | length' "$trials"
}
# What must still be made in this round: "class:n class:n".
plan_of() { # SYSTEM ROUND
    local class goal has out=""
    goal=$((($(wanted "$1") * $2 + ROUNDS - 1) / ROUNDS))
    for class in $CLASSES; do
        has=$(done_of "$1" "$class")
        [ "$has" -ge "$goal" ] || out+=" $class:$((goal - has))"
    done
    echo "$out"
}
# Lines of another machine, or of ours from other programs, are no part of these figures.
set_aside() {
    local mine='.machine == $machine and (.build == $build or (.system | startswith("patroni")))'
    [ -s "$trials" ] || { : >"$trials"; return; }
    jq -c --arg machine "$BENCH_MACHINE" --arg build "$BENCH_BUILD" "select($mine | not)" "$trials" >>"$trials.old"
    jq -c --arg machine "$BENCH_MACHINE" --arg build "$BENCH_BUILD" "select($mine)" "$trials" >"$trials.new" && mv "$trials.new" "$trials"
    [ ! -s "$trials" ] || echo "goes on: $(wc -l <"$trials") trials are there"
}

mkdir -p $results
[ -z "${FRESH:-}" ] || rm -f "$trials"
set_aside
block() { # SYSTEM ROUND: all that is wanted of it in this round
    local plan code anew
    for anew in $(seq 0 "$ANEW"); do
        plan=$(plan_of "$1" "$2")
        [ -n "$plan" ] || return 0
        echo "$1, round $2 of $ROUNDS:$plan"
        BENCH_SYSTEM=$1 BENCH_PLAN=$plan BENCH_OUT=$PWD/$trials \
            bash jepsen/hosts/sandbox.sh -t "${BENCH_LIMIT:-7200}" "$PWD/tests/bench/failover_block.sh"
        code=$?
        [ "$code" -eq 3 ] || return "$code"
    done
    echo "$1: beyond repair $((anew + 1)) times in this round: goes on with the others"
}
failed=0
for round in $(seq "$ROUNDS"); do
    for system in $SYSTEMS; do
        block "$system" "$round"
        case $? in
        0) ;;
        77) exit 77 ;;
        130) exit 130 ;;
        *) failed=$((failed + 1)) && echo "$system: this block failed" ;;
        esac
    done
done
jq -s -L tests/bench --arg machine "$BENCH_MACHINE, $BENCH_BED" --arg commit "$BENCH_COMMIT" --arg build "$BENCH_BUILD" -f tests/bench/failover.jq \
    "$trials" >$results/failover.json || { echo "cannot write $results/failover.json" >&2; exit 1; }
echo
jq -r -f tests/bench/failover_report.jq $results/failover.json
jq -e '[to_entries[] | select(.key | startswith("quorate")) | .value[] | objects | .lost // 0] | add // 0 | . == 0' $results/failover.json >/dev/null || failed=$((failed + 1))
[ "$failed" -eq 0 ]
