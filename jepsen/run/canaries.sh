#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Shows that runs against the store can fail: planted bugs, spoilt harnesses and a store that is asked to be stale must each
# be found, by the checker named here and by no time-out; the same run without them must pass.
# usage: canaries.sh      environment: BIN (canary build), ONLY="name ..", SEEDS=3, ELECTION, BOUND
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
. tests/support/jq.sh
BIN=${BIN:-build/canary/bin}
export BIN RESULTS=build/results/jepsen-canaries
caught=0 survived=0 skipped=0

# name, run, environment, and what the result must say: a program for jq over result.json
CANARIES=(
    'ack-before-flush|canary-power|QUORATE_CANARY=ack-before-flush|.load.lost > 0 or .checks.register == "violated" or .checks.set == "violated"'
    'read-without-confirmation|canary-leader|QUORATE_CANARY=read-without-confirmation|.checks.register == "violated"'
    'nemesis-does-nothing|canary-nothing||.verdict == "invalid" and (.why | any(test("did not bite: nothing")))'
    'client-with-wrong-times|canary-leader|LOAD_MORE=--wrong-times|.checks.register == "violated"'
    'locks-without-tokens|canary-locks|LOAD_MORE=--no-tokens ELECTION=250|.checks.lock == "violated"'
    'etcd-reads-serializable|canary-leader|PEERS=1 LOAD_MORE=--stale|.checks.register == "violated"'
)
CONTROLS=(canary-power canary-leader canary-locks)

wanted() { [ -z "${ONLY:-}" ] || [[ " $ONLY " == *" $1 "* ]]; }
try() { # RUN SEED ENVIRONMENT; sets RESULT
    local peer=""
    [[ $3 != *PEERS=1* ]] || peer=-etcd
    RESULT=$RESULTS/$1$peer-$2.json
    # shellcheck disable=SC2086 # words are meant
    env -u QUORATE_COUNTS NODES=3 SEED="$2" $3 bash jepsen/run/jepsen.sh run "$1" >build/jepsen-canary.log 2>&1
    [ "$(jq -r .verdict "$RESULT" 2>/dev/null)" != skipped ]
}
one() { # NAME RUN ENVIRONMENT WANT
    local seed
    for seed in $(seq "${SEEDS:-3}"); do
        try "$2" "$seed" "$3" || { skipped=$((skipped + 1)) && echo "skip  $1"; return; }
        if jq -e "$4" "$RESULT" >/dev/null 2>&1; then
            caught=$((caught + 1))
            echo "ok    $1 is found, seed $seed: $(jq -c '.why[0:2]' "$RESULT")"
            return
        fi
    done
    survived=$((survived + 1))
    echo "FAIL  $1 is not found: $(jq -c '[.verdict, .why]' "$RESULT")"
}
control() { # RUN
    try "$1" 1 "" || { skipped=$((skipped + 1)) && echo "skip  control of $1"; return; }
    if jq -e '.verdict == "passed"' "$RESULT" >/dev/null; then
        caught=$((caught + 1))
        echo "ok    $1 passes without"
    else
        survived=$((survived + 1))
        echo "FAIL  $1 does not pass without: $(jq -c '[.verdict, .why]' "$RESULT")"
    fi
}

for run in "${CONTROLS[@]}"; do if wanted "$run"; then control "$run"; fi; done
for row in "${CANARIES[@]}"; do
    IFS='|' read -r name run environment want <<<"$row"
    if wanted "$name"; then one "$name" "$run" "$environment" "$want"; fi
done
echo "jepsen canaries: $caught passed, $survived failed, $skipped skipped"
[ -z "${QUORATE_COUNTS:-}" ] || echo "$caught $survived $skipped" >>"$QUORATE_COUNTS"
[ "$survived" -eq 0 ]
