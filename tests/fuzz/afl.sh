#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# AFL++ as a second engine on one target; what it found joins the corpus through libFuzzer's merge.
# usage: afl.sh AFL_BUILD_DIR LIBFUZZER_BUILD_DIR NAME SECONDS
set -u
afl=$1 build=$2 name=$3 seconds=$4
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
[ -x "$(command -v afl-fuzz)" ] || { echo "afl-fuzz is missing; run 'make deps'" >&2; exit 2; }
export AFL_NO_UI=1 AFL_SKIP_CPUFREQ=1 AFL_NO_AFFINITY=1 AFL_I_DONT_CARE_ABOUT_MISSING_CRASHES=1 AFL_AUTORESUME=0
export ASAN_OPTIONS=abort_on_error=1:symbolize=0:detect_leaks=0
timeout $((seconds + 60)) afl-fuzz -i tests/fuzz/corpus/"$name" -o "$out" -V "$seconds" -m none -t 5000 -- "$afl/$name" \
    >"$out/log" 2>&1
stats=$out/default/fuzzer_stats
[ -f "$stats" ] || { tail -20 "$out/log"; exit 1; }
value() { sed -n "s/^$1 *: *//p" "$stats"; }
crashes=$(find "$out/default/crashes" -type f -name 'id*' | wc -l)
printf 'afl %-14s %s runs, %s edges, %s inputs found, %d crashes\n' "$name" "$(value execs_done)" "$(value edges_found)" \
    "$(value corpus_found)" "$crashes"
mkdir -p build/results "$afl/crashes"
printf '{"engine":"AFL++","target":"%s","executions":%d,"edges":%d,"found":%d,"crashes":%d}\n' "$name" "$(value execs_done)" \
    "$(value edges_found)" "$(value corpus_found)" "$crashes" >build/results/fuzz-afl-"$name".json
find "$out/default/crashes" -type f -name 'id*' -exec cp -t "$afl/crashes" {} + 2>/dev/null
bash tests/fuzz/keep.sh "$build" "$name" "$out/default/queue"
[ "$crashes" -eq 0 ]
