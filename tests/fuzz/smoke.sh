#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target once over its corpus, then for FUZZ_RUNS inputs of FUZZ_SEED or some seconds, whichever ends first, two side by
# side. A count and a seed make a run that any machine repeats; a search is FUZZ_SEED=0 FUZZ_RUNS=-1. Figures: build/results/fuzz.json.
# usage: smoke.sh BUILD_DIR SECONDS NAME...
set -u
build=$1 seconds=$2
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
# shellcheck source=/dev/null
. tests/fuzz/flags.sh
one() {
    local name=$1
    mkdir -p "$out/new-$name" "$build/crashes"
    {
        "$build/$name" "$(quiet_of "$name")" -timeout=10 tests/fuzz/corpus/"$name"/* &&
            "$build/$name" "$(quiet_of "$name")" -max_len=1024 -len_control=10 -timeout=10 -rss_limit_mb=1024 \
                -seed="${FUZZ_SEED:-1}" -runs="${FUZZ_RUNS:-20000}" -max_total_time="$seconds" -print_final_stats=1 -artifact_prefix="$build/crashes/$name-" "$out/new-$name" \
                tests/fuzz/corpus/"$name"
    } >"$out/$name" 2>&1
    echo $? >"$out/$name.rc"
}
running=0
for name in "$@"; do
    one "$name" &
    running=$((running + 1))
    [ $((running % 2)) -eq 0 ] && wait
done
wait
passed=0 failed=0 lines=""
for name in "$@"; do
    runs=$(sed -n 's/stat::number_of_executed_units: *//p' "$out/$name")
    edges=$(grep -oE 'cov: [0-9]+' "$out/$name" | tail -1 | grep -oE '[0-9]+')
    inputs=$(find tests/fuzz/corpus/"$name" -type f | wc -l)
    bytes=$(find tests/fuzz/corpus/"$name" -type f -printf '%s\n' | awk '{ n += $1 } END { print n + 0 }')
    verdict=ok
    if [ "$(cat "$out/$name.rc")" -eq 0 ]; then
        passed=$((passed + 1))
        printf 'ok    %-14s %s inputs in the corpus, %s runs, %s edges\n' "$name" "$inputs" "$runs" "$edges"
    else
        failed=$((failed + 1))
        verdict=failed
        printf 'FAIL  %s\n' "$name"
        grep -vE '^INFO|^#[0-9]+[[:space:]]*(NEW|REDUCE|pulse|INITED|RELOAD)' "$out/$name" | tail -40
    fi
    lines+=$(printf ',\n  {"target":"%s","verdict":"%s","inputs":%d,"bytes":%d,"executions":%d,"edges":%d}' "$name" "$verdict" \
        "$inputs" "$bytes" "${runs:-0}" "${edges:-0}")
done
mkdir -p build/results
printf '{"engine":"libFuzzer","seconds_each":%d,"targets":[%s\n]}\n' "$seconds" "${lines#,}" >build/results/fuzz.json
printf 'fuzz: %d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
