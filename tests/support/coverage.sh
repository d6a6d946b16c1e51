#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# How much of the pure cores the unit tests, the golden scripts and some simulated systems reach.
# usage: coverage.sh BUILD SEEDS TEST...    BUILD is of VARIANT=cov, and built
# Prints lines and branches of each file, writes build/results/coverage.json and, one line each, the
# places with a branch that was never taken to build/results/coverage-open.txt. Lines of BASE_ASSERT
# are left out: their other branch is a failure.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1 seeds=$2
shift 2
mkdir -p build/results
find "$build" -name '*.gcda' -delete
failed=""
for test in "$@"; do
    timeout 300 "$build/test/$test" >"$build/$test.log" 2>&1 || failed="$failed $test"
done
bash tests/golden/golden.sh "$build" raft kv arbiter agents >"$build/golden.log" 2>&1 || failed="$failed golden"
if [ "$seeds" -gt 0 ]; then
    timeout 900 "$build/bin/sim" --seed 1 --count "$seeds" --quiet >"$build/sim.log" 2>&1 || failed="$failed sim"
fi
[ -n "$failed" ] && echo "coverage: failed, and counted as far as they came:$failed" >&2

raw=$build/coverage-raw.json
gcovr --root . --object-directory "$build" --filter 'raft/core/' --filter 'kv/core/' --filter 'arbiter/core/' \
    --filter 'agents/core/' --filter 'agents/guard/core\.c' --exclude-lines-by-pattern '.*BASE_ASSERT.*' \
    --gcov-ignore-parse-errors --exclude-unreachable-branches --exclude-throw-branches \
    --json "$raw" --json-summary build/results/coverage.json --json-summary-pretty "$build" >/dev/null || exit 1
jq -r '.files[] | select(.line_total > 0) |
    "\(.filename)\t\(.line_covered)/\(.line_total)\t\(.line_percent)\t\(.branch_covered)/\(.branch_total)\t\(.branch_percent)"' \
    build/results/coverage.json |
    awk -F'\t' '{printf "  %-32s lines %10s %5.1f %%   branches %10s %5.1f %%\n", $1, $2, $3, $4, $5}'
jq -r '"  all: lines \(.line_covered)/\(.line_total) \(.line_percent) %, branches \(.branch_covered)/\(.branch_total) \(.branch_percent) %"' \
    build/results/coverage.json
# gcovr numbers lines from 1; read the text from the tree.
jq -r '.files[] | .file as $f | .lines[] | select(.["gcovr/noncode"] != true) |
    ([.branches[]? | select(.count == 0)] | length) as $n | select($n > 0 or .count == 0) |
    "\($f):\(.line_number)\t\(if .count == 0 then "never run" else "\($n) of \(.branches | length) branches never taken" end)"' \
    "$raw" | while IFS=$'\t' read -r place what; do
    text=$(sed -n "${place##*:}p" "${place%:*}")
    printf '%s: %s: %s\n' "$place" "$what" "${text#"${text%%[! ]*}"}"
done >build/results/coverage-open.txt
echo "coverage: $(wc -l <build/results/coverage-open.txt) places in build/results/coverage-open.txt"
[ -z "$failed" ]
