#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make bench-dcs`: Debian's etcd-server and quorated side by side. Writes build/bench/dcs.json.
#
#   QUICK=1              one short round, few cases, no long parts
#   ROUNDS=3             rounds of the load, alternating between the systems
#   SECONDS_EACH=2       of each case
#   PARTS="load flushes gap start watch agents compact floor"      what is measured
#   TRIALS=20            kills of the leader
#   START_MB=1024        data of the node that is started
#   WATCHERS=10000 LEASES=10000 AGENTS=1000
#   PEER=no              ours alone
#
# Three nodes each on loopback, one system after the other on the same file system (BENCH_DIR, default $TMPDIR or
# /var/tmp), default durability, the same gRPC bodies. Every figure is measured in this run; the ratio of the medians
# over the rounds is held against the marks. No ratio is printed when ours was seen with fewer flushes than
# acknowledged batches on a majority. Exit 0 when the run could be made, whatever the marks say; STRICT=1: 1 on a miss.
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
. tests/bench/dcs_nodes.sh
. tests/bench/dcs_load.sh
. tests/bench/dcs_long.sh

QUICK=${QUICK:-}
ROUNDS=${ROUNDS:-$([ -n "$QUICK" ] && echo 1 || echo 3)}
SECONDS_EACH=${SECONDS_EACH:-$([ -n "$QUICK" ] && echo 1 || echo 2)}
PARTS=${PARTS:-$([ -n "$QUICK" ] && echo "load flushes gap" || echo "load flushes gap start watch agents compact floor")}
TRIALS=${TRIALS:-$([ -n "$QUICK" ] && echo 3 || echo 20)}
START_MB=${START_MB:-1024}
WATCHERS=${WATCHERS:-10000}
LEASES=${LEASES:-10000}
AGENTS=${AGENTS:-1000}
KEYS=${KEYS:-10000}
CASES=${CASES:-$([ -n "$QUICK" ] && echo "put-1 put-64 range-64" ||
    echo "put-1 put-16 put-64 put-256 put-64x16 range-1 range-16 range-64 range-256 range-64x16")}
PLACES=${PLACES:-$([ -n "$QUICK" ] && echo leader || echo "leader follower")}
SYSTEMS="etcd quorate"
[ "${PEER:-}" != no ] || SYSTEMS=quorate
QUORATED_FLAGS=()

for tool in h2load jq etcd strace; do
    command -v $tool >/dev/null || die "$tool is missing; run 'make deps-tests'"
done
work=$(mktemp -d "${BENCH_DIR:-${TMPDIR:-/var/tmp}}/quorate-dcs.XXXXXX")
BIN=$(cd "$BIN" && pwd)
RESULTS=$work/results
: >"$RESULTS"
cleanup() {
    local code=$?
    nodes_stop
    if [ "$code" -ne 0 ] || [ -n "${KEEP_LOGS:-}" ]; then
        rm -rf build/failed/bench-dcs && mkdir -p build/failed/bench-dcs
        for log in "$work"/*/*.log; do
            [ -f "$log" ] && cp "$log" "build/failed/bench-dcs/$(basename "$(dirname "$log")")-$(basename "$log")"
        done
        say "logs: build/failed/bench-dcs"
    fi
    rm -rf "$work"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

has_part() { [[ " $PARTS " == *" $1 "* ]]; }
both() { local system; for system in $SYSTEMS; do "$1" "$system"; done; }

memory_idle() { # SYSTEM ROUND: two seconds after the first leader, before the first request
    local out
    sleep 2
    out=$("$BIN/dcsprobe" memory 0 "${PIDS[@]}")
    jq -c --arg system "$1" --argjson round "$2" --argjson leader "$LEADER" \
        '{$system, $round, memory: "idle", leader: .private[$leader].last, highest: ([.private[].last] | max)}' <<<"$out" >>"$RESULTS"
}

load_round() { # SYSTEM ROUND
    local system=$1 round=$2 case place watcher
    nodes_start "$system" "$work/$system"
    memory_idle "$system" "$round"
    "$BIN/dcsprobe" fill "$ENDPOINTS" "$KEYS" 256 >/dev/null || die "$system: the keys cannot be put"
    leader_find || die "$system: no leader after filling"
    "$BIN/dcsprobe" memory 3600 "${PIDS[@]}" >"$work/memory" &
    watcher=$!
    for case in $CASES; do
        for place in $PLACES; do case_run "$system" "$round" "$case" "$place"; done
    done
    kill -TERM $watcher
    wait $watcher
    jq -c --arg system "$system" --argjson round "$round" --argjson leader "$LEADER" \
        --argjson hwm "[$(hwm_bytes 0), $(hwm_bytes 1), $(hwm_bytes 2)]" \
        '{$system, $round, memory: "peak", leader: .private[$leader].highest, highest: ([.private[].highest] | max), resident: ($hwm | max)}' \
        "$work/memory" >>"$RESULTS"
    nodes_stop
    rm -rf "${work:?}/$system"
}

say "bench-dcs: $(uname -srm), $(nproc) cores, $(awk -F: '/model name/ { print $2; exit }' /proc/cpuinfo | xargs), $(df --output=fstype "$work" | tail -n 1) at $work"
bodies_make "$work"
if has_part load; then
    for round in $(seq "$ROUNDS"); do
        for system in $SYSTEMS; do
            note "round $round of $ROUNDS: $system"
            load_round "$system" "$round"
        done
    done
fi
for part in flushes gap start watch agents compact floor; do
    has_part $part || continue
    note "$part"
    part_$part
done

mkdir -p build/bench
jq -s --arg machine "$(uname -srm), $(nproc) cores" --arg commit "$(git rev-parse --short HEAD 2>/dev/null)" \
    -f tests/bench/dcs_figures.jq "$RESULTS" >build/bench/dcs.json || die "the figures cannot be put together"
cp "$RESULTS" build/bench/dcs.lines
jq -r -f tests/bench/dcs_report.jq build/bench/dcs.json
say "figures: build/bench/dcs.json"
[ -z "${STRICT:-}" ] || jq -e '[.marks[] | select(.verdict == "miss")] | length == 0' build/bench/dcs.json >/dev/null
