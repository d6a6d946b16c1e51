#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Planted bugs that runs against real databases must catch, each by a checker named here, and a control without any, which
# must pass. usage: canaries.sh     environment: BIN (canary build), ONLY="name ..", SEEDS="1 2", RESULTS
#
# A bug counts as caught when that checker says `violated` in one of the seeds, a spoilt harness when the run is invalid.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
. tests/support/jq.sh
BIN=${BIN:-build/canary/bin}
BIN=$(cd "$BIN" && pwd) || exit 2
export BIN
RESULTS=${RESULTS:-build/results/jepsen-canaries}
caught=0 survived=0 skipped=0

# name | run | its faults | checkers, any of which is enough | environment
CANARIES=(
    'promote-without-waiting|pg-planted|cut-quorum isolate|writable|SQL_CANARY=promote-without-waiting'
    'agent-ignores-lease-end|pg-planted|cut-quorum isolate|writable|SQL_CANARY=agent-ignores-lease-end'
    'rejoin-without-rewind|pg-planted|isolate cut-quorum|rows set append bank|SQL_CANARY=rejoin-without-rewind'
    'sync-commit-off|pg-planted|host-crash|set append|SQL_COMMIT=off'
    'prober-stopped|pg-planted|isolate|invalid:silent|SQL_STOP_PROBER=1'
    'fault-does-nothing|pg-nothing|nothing|invalid:effect|'
    'control|pg-planted||passed|'
)

wanted() { [ -z "${ONLY:-}" ] || [[ " $ONLY " == *" $1 "* ]]; }
caught_by() { # RESULT CHECKERS: the one that caught it
    local checker
    for checker in $2; do
        case $checker in
        passed) jq -e '.verdict == "passed"' "$1" >/dev/null ;;
        invalid:*) jq -e --arg w "${checker#*:}" '.verdict == "invalid" and (.why | all(contains($w)))' "$1" >/dev/null ;;
        *) jq -e --arg c "$checker" '.checks[$c] == "violated"' "$1" >/dev/null ;;
        esac && echo "$checker" && return
    done
    return 1
}
one() { # NAME RUN FAULTS CHECKERS ENVIRONMENT
    local seed out by="" start=$SECONDS
    for seed in ${SEEDS:-1 2}; do
        out=$RESULTS/$1-$seed
        rm -rf "$out"
        # shellcheck disable=SC2086 # words are meant
        env -u QUORATE_COUNTS ONLY="$3" SQL_SETTLE_S=45 $5 bash jepsen/sql/run.sh "$2" "$seed" "$out" >"$RESULTS/$1-$seed.log" 2>&1
        [ $? -ne 77 ] || { skipped=$((skipped + 1)) && echo "skip  $1"; return; }
        by=$(caught_by "$out/result.json" "$4") && break
    done
    if [ -n "$by" ]; then
        caught=$((caught + 1))
        echo "ok    $1: $by, seed $seed, $((SECONDS - start)) s: $(jq -c '.why[0:2]' "$out/result.json")"
    else
        survived=$((survived + 1))
        echo "FAIL  $1 is not found: see $RESULTS/$1-*.log"
    fi
}

mkdir -p "$RESULTS"
RESULTS=$(cd "$RESULTS" && pwd)
for row in "${CANARIES[@]}"; do
    IFS='|' read -r name run faults checkers environment <<<"$row"
    if wanted "$name"; then one "$name" "$run" "$faults" "$checkers" "$environment"; fi
done
echo "PostgreSQL canaries: $caught passed, $survived failed, $skipped skipped"
[ -z "${QUORATE_COUNTS:-}" ] || echo "$caught $survived $skipped" >>"$QUORATE_COUNTS"
[ "$survived" -eq 0 ]
