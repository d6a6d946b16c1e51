#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The guard against real process trees. usage: run.sh BUILD_DIR
set -u
build=$1
QUORATE_GUARD=$(realpath "$build/bin/quorate-guard")
QUORATE_GUARD_TREE_PROGRAM=$(realpath "$build/test/guard-tree")
export QUORATE_GUARD QUORATE_GUARD_TREE_PROGRAM ASAN_OPTIONS=detect_leaks=0
out=$(mktemp)
trap 'rm -f "$out"' EXIT
rc=0
for test in guard_test guard_adopt_test; do
    timeout 300 "$build/test/$test" >>"$out" 2>&1 || rc=$?
done
grep -vE '^\[ RUN|^\[==|^\[  PASSED' "$out"
passed=$(grep -c '^\[       OK \]' "$out")
failed=$(grep -c '^\[  FAILED  \] [a-z_0-9]*$' "$out")
skipped=$(grep -c '^SKIP' "$out")
# cmocka names each failed case twice: once when it happens, once in the list
failed=$(((failed + 1) / 2))
[ "$rc" -ne 0 ] && [ "$failed" -eq 0 ] && failed=1
printf 'guard: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed $skipped" >>"$QUORATE_COUNTS"
[ "$rc" -eq 0 ] && [ "$failed" -eq 0 ]
