#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Planted bugs that runs against real databases must catch, each by a checker named here; the same seeds without one
# must pass. canaries.sh OUTDIR [ID...]   environment: BIN (canary build), SEEDS="1 2"
#
# A bug counts as caught when that checker says `violated` in one of the seeds. Exit 1 when one survives.
set -u
cd "$(dirname "$0")/../.." || exit 2
OUT=${1:?usage: canaries.sh OUTDIR [ID...]}
shift
export BIN=${BIN:-build/canary/bin}
# ID|RUN|faults|checkers, any of which is enough|environment
TABLE='promote-without-waiting|pg-planted|cut-quorum isolate|writable|
agent-ignores-lease-end|pg-planted|cut-quorum isolate|writable|
rejoin-without-rewind|pg-planted|isolate db-kill|settled set append|
sync-commit-off|pg-planted|host-crash|set append|SQL_COMMIT=off
prober-stopped|pg-planted|db-kill|invalid|SQL_STOP_PROBER=1
fault-does-nothing|pg-nothing|nothing|invalid|
none|pg-planted||none|'

caught_by() { # RESULT CHECKERS: the one that caught it
    local checker
    for checker in $2; do
        case $checker in
        invalid) jq -e '.verdict == "invalid"' "$1" >/dev/null && echo "$checker" && return ;;
        settled) jq -e '[.why[] | select(contains("settled"))] | length > 0' "$1" >/dev/null && echo "$checker" && return ;;
        none) jq -e '.verdict == "passed"' "$1" >/dev/null && echo "a clean run" && return ;;
        *) jq -e --arg c "$checker" '.checks[$c] == "violated"' "$1" >/dev/null && echo "$checker" && return ;;
        esac
    done
    return 1
}
try() { # ID RUN FAULTS CHECKERS ENVIRONMENT
    local seed out by start=$SECONDS canary=$1
    case $1 in sync-commit-off | prober-stopped | fault-does-nothing | none) canary="" ;; esac
    for seed in ${SEEDS:-1 2}; do
        out=$OUT/$1-$seed
        rm -rf "$out"
        env SQL_CANARY="$canary" ONLY="$3" SQL_SETTLE_S=40 ${5:+"$5"} bash jepsen/sql/run.sh "$2" "$seed" "$out" >"$OUT/$1-$seed.log" 2>&1
        by=$(caught_by "$out/result.json" "$4") && break
    done
    printf '{"canary":"%s","caught_by":"%s","seed":%s,"seconds":%s}\n' "$1" "$by" "$seed" $((SECONDS - start)) >>"$OUT/canaries.jsonl"
    printf '%-26s %s\n' "$1" "${by:+${by/#/caught by }, seed $seed, $((SECONDS - start)) s}${by:-SURVIVED: see $OUT/$1-*.log}"
    [ -n "$by" ]
}
mkdir -p "$OUT" && : >"$OUT/canaries.jsonl"
survivors=0
while IFS='|' read -r id run faults checkers environment <&7; do
    if [ $# -gt 0 ] && [[ " $* " != *" $id "* ]]; then continue; fi
    try "$id" "$run" "$faults" "$checkers" "$environment" || survivors=$((survivors + 1))
done 7<<<"$TABLE"
[ "$survivors" -eq 0 ]
