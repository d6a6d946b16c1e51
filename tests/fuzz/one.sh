#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes one target for some time from its corpus, then keeps in the corpus what reaches new code, minimised.
# usage: one.sh BUILD_DIR NAME SECONDS
set -u
build=$1 name=$2 seconds=$3
corpus=tests/fuzz/corpus/$name work=$build/work-$name
# shellcheck source=/dev/null
. tests/fuzz/flags.sh
mkdir -p "$corpus" "$work" "$build/crashes"
flags=("$(quiet_of "$name")" -max_len=2048 -len_control=10 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1)
"$build/$name" "${flags[@]}" -max_total_time="$seconds" -artifact_prefix="$build/crashes/$name-" "$work" "$corpus" 2>&1 |
    grep -E 'assertion|ERROR|SUMMARY|runtime error|#[0-9]+ .* in |Test unit|DONE|stat::number' | tail -30
rc=${PIPESTATUS[0]}
bash tests/fuzz/keep.sh "$build" "$name" "$work"
exit "$rc"
