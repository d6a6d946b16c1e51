#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs unit test binaries one by one. usage: run-unit.sh BUILD_DIR NAME...
# Prints one line a binary, the whole output of one that fails, and the sum of the cases at the end.
set -u
build=$1
shift
# What a test leaves behind when it is killed goes with this.
TMPDIR=$(mktemp -d "${TMPDIR:-/tmp}/quorate-unit.XXXXXX")
export TMPDIR
trap 'rm -rf "$TMPDIR"' EXIT
passed=0 failed=0 skipped=0
for name in "$@"; do
    out=$(timeout 300 "$build/test/$name" 2>&1)
    rc=$?
    ok=$(grep -c '^\[       OK \]' <<<"$out")
    bad=$(grep -c '^\[  FAILED  \] [a-z_0-9]*$' <<<"$out")
    skip=$(grep -c '^\[  SKIPPED \]' <<<"$out")
    [ "$rc" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    [ "$rc" -eq 0 ] && [ "$((ok + skip))" -eq 0 ] && bad=1 && out="$out
no case ran"
    if [ "$rc" -ne 0 ] || [ "$bad" -ne 0 ]; then
        printf '%s\n' "$out"
        printf 'FAIL  %s (exit %d)\n' "$name" "$rc"
    else
        printf 'ok    %-28s %3d cases\n' "$name" "$ok"
    fi
    passed=$((passed + ok)) failed=$((failed + bad)) skipped=$((skipped + skip))
done
printf 'unit: %d passed, %d failed, %d skipped\n' "$passed" "$failed" "$skipped"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed $skipped" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
