#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every fuzz target once over its corpus, then for some seconds, two side by side.
# usage: smoke.sh BUILD_DIR SECONDS NAME...
set -u
build=$1 seconds=$2
shift 2
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
one() {
    local name=$1 quiet=1
    [ "$name" = txn ] && quiet=3
    mkdir -p "$out/new-$name" "$build/crashes"
    {
        "$build/$name" -close_fd_mask=$quiet -timeout=10 tests/fuzz/corpus/"$name"/* &&
            "$build/$name" -close_fd_mask=$quiet -max_len=1024 -len_control=10 -timeout=10 -rss_limit_mb=1024 -max_total_time="$seconds" \
                -print_final_stats=1 -artifact_prefix="$build/crashes/$name-" "$out/new-$name" tests/fuzz/corpus/"$name"
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
passed=0 failed=0
for name in "$@"; do
    runs=$(sed -n 's/stat::number_of_executed_units: *//p' "$out/$name")
    edges=$(grep -oE 'cov: [0-9]+' "$out/$name" | tail -1 | grep -oE '[0-9]+')
    if [ "$(cat "$out/$name.rc")" -eq 0 ]; then
        passed=$((passed + 1))
        printf 'ok    %-14s %s inputs in the corpus, %s runs, %s edges\n' "$name" \
            "$(find tests/fuzz/corpus/"$name" -type f | wc -l)" "$runs" "$edges"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s\n' "$name"
        grep -vE '^INFO|^#[0-9]+ *(NEW|REDUCE|pulse|INITED|RELOAD)' "$out/$name" | tail -40
    fi
done
printf 'fuzz: %d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
