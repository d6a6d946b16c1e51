#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Fuzzes one target for some time from its corpus, then keeps in the corpus what reaches new code, minimised.
# usage: one.sh BUILD_DIR NAME SECONDS
set -u
build=$1 name=$2 seconds=$3
corpus=tests/fuzz/corpus/$name work=$build/work-$name
mkdir -p "$corpus" "$work" "$build/crashes"
flags=(-close_fd_mask=1 -max_len=2048 -len_control=10 -timeout=10 -rss_limit_mb=1024 -print_final_stats=1)
[ "$name" = txn ] && flags[0]=-close_fd_mask=3
"$build/$name" "${flags[@]}" -max_total_time="$seconds" -artifact_prefix="$build/crashes/$name-" "$work" "$corpus" 2>&1 |
    grep -E 'assertion|ERROR|SUMMARY|runtime error|#[0-9]+ .* in |Test unit|DONE|stat::number' | tail -30
rc=${PIPESTATUS[0]}
fresh=$(mktemp -d)
"$build/$name" -merge=1 -max_len=512 -close_fd_mask=3 "$fresh" "$corpus" "$work" >/dev/null 2>&1
# A small corpus: at most 80 inputs, whichever.
rm -rf "$corpus"
mkdir -p "$corpus"
find "$fresh" -type f | sort | head -n 80 | while read -r path; do cp "$path" "$corpus/"; done
rm -rf "$fresh"
exit "$rc"
