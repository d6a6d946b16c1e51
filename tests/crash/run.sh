#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Crash images from several seeds side by side, then the error sweep.
# usage: run.sh CRASH_BINARY IMAGES POINTS PARTS; SEED: the first seed
set -u
crash=$1 images=$2 points=$3 parts=$4 seed=${SEED:-1}
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
pids=()
for ((i = 0; i < parts; i++)); do
    timeout 3000 "$crash" images --seed $((seed + i)) --images $((images / parts)) >"$out/images-$i" 2>&1 &
    pids+=($!)
done
timeout 3000 "$crash" errors --seed "$seed" --points "$points" --quiet >"$out/errors" 2>&1 &
pids+=($!)
passed=0 failed=0
for pid in "${pids[@]}"; do
    if wait "$pid"; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
done
cat "$out"/*
awk '/^crash images:/ { n += $3 } END { printf "crash images in all: %d\n", n }' "$out"/images-*
printf 'crash: %d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
