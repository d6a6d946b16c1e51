#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make check` and `make verify`: runs the steps one after the other, prints the time of each, and ends with the sum.
# A step is a make target; it may append "passed failed skipped" to the file named by QUORATE_COUNTS,
# else it counts as one test by its exit code. All steps run, also after a failure.
set -u
cd "$(dirname "$0")/../.." || exit 2
mkdir -p build
export QUORATE_COUNTS=$PWD/build/check-counts
passed=0 failed=0 skipped=0
total_start=$SECONDS
for step in "$@"; do
    start=$SECONDS
    printf '\n=== %s\n' "$step"
    : >"$QUORATE_COUNTS"
    make --no-print-directory "$step" </dev/null
    rc=$?
    p=0 f=0 s=0
    if [ -s "$QUORATE_COUNTS" ]; then
        while read -r a b c; do p=$((p + a)) f=$((f + b)) s=$((s + c)); done <"$QUORATE_COUNTS"
        [ "$rc" -ne 0 ] && [ "$f" -eq 0 ] && f=1
    elif [ "$rc" -eq 0 ]; then p=1; else f=1; fi
    passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
    printf '=== %s: %s in %d s\n' "$step" "$([ "$rc" -eq 0 ] && echo ok || echo FAILED)" "$((SECONDS - start))"
done
printf '\nthe steps took %d s\n' "$((SECONDS - total_start))"
printf '%d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
