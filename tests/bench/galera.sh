#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How long clients of a Galera cluster behind haproxy go without an acknowledged write, by what happens to it: trial after trial
# on one cluster of jepsen/hosts, with ours and, beside it, as Debian sets it up. Prints a table, writes build/bench/galera.json.
# usage: galera.sh    environment: BIN, TRIALS=5, CLASSES="switch kill cut outage", PEER=plain, FAST=1 (fast_takeover)
set -u
export BIN=${BIN:-build/release/bin} TRIALS=${TRIALS:-5} CLASSES=${CLASSES:-switch kill cut outage} SYSTEM=${PEER:-galera} FAST=${FAST:-}
if [ -z "${GALERA_BENCH:-}" ]; then
    cd "$(dirname "$0")/../.." || exit 2
    export GALERA_BENCH=1
    exec bash jepsen/hosts/sandbox.sh -t $((120 + TRIALS * 400)) "$PWD/tests/bench/galera.sh"
fi
. tests/support/cluster.sh
. tests/support/report.sh
. jepsen/sql/topology.sh
. jepsen/sql/faults.sh
. jepsen/galera/topology.sh
. tests/integration/galera/setup.sh
ok() { :; }
trap leave EXIT
if [ "$SYSTEM" = plain ]; then
    shown() { :; }
    generation() { :; }
fi

one_switch() { "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 40s >/dev/null; }
one_kill() { fault_on db-kill "$P"; }
one_cut() { fault_on isolate "$P"; }
one_outage() { fault_on db-kill-all "$(printf '%s\n' "${DATABASES[@]}" | comma)"; }
restarted() { # what a service manager does where there is none of ours
    local name
    [ "$SYSTEM" = plain ] || return 0
    for name in "${DATABASES[@]}"; do is_running "$name" || plain_start "$name"; done
}
trial() { # CLASS
    begin "$1"
    AT=$(now_us)
    "one_$1"
    restarted
    writes_go_on 90
    [ "$1" != cut ] || sleep 1 # also whoever was connected to the one that is cut
    faults_off
    settled_again 180
    finish
    echo "$GAP" >>"$work/gaps.$1"
    [ "$LOST" = 0 ] || echo "$LOST" >>"$work/lost.$1"
}

make_cluster
[ -z "$FAST" ] || "${KV[@]}" db config set "$SQL_CLUSTER" galera.fast_takeover=true || die "fast_takeover cannot be set"
for _ in $(seq "$TRIALS"); do
    for class in $CLASSES; do
        [ "$SYSTEM $class" != "plain switch" ] || continue # there is no such thing
        trial "$class"
    done
done
mkdir -p build/bench
for class in $CLASSES; do
    [ -s "$work/gaps.$class" ] || continue
    printf '%-8s %-8s %s  lost %s\n' "$SYSTEM${FAST:+ fast}" "$class" "$(summary <"$work/gaps.$class")" "$(awk '{ n += $1 } END { print n + 0 }' "$work/lost.$class" 2>/dev/null || echo 0)"
    jq -n --arg class "$class" --arg system "$SYSTEM" --arg fast "$FAST" --argjson gaps "$(jq -sc . "$work/gaps.$class")" \
        '{system: $system, fast: ($fast != ""), class: $class, gaps_s: ($gaps | map(. / 1000))}'
done | tee "$work/table" | grep -v '^[ {}]'
grep '^[ {}]' "$work/table" | jq -s . >"build/bench/galera.json"
[ "$SYSTEM" = plain ] || for name in "${DATABASES[@]}"; do echo "agent $name: private $(private_kb "$(pid_of "$name")") kB"; done
[ "$FAILED" -eq 0 ]
