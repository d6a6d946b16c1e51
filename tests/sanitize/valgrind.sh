#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unit tests under valgrind's memcheck: reads of unset memory and leaks. usage: valgrind.sh BUILD_DIR NAME...
set -u
build=$1
shift
command -v valgrind >/dev/null || { echo "valgrind is missing; run 'make deps'" >&2; exit 2; }
passed=0 failed=0
for name in "$@"; do
    out=$(timeout 600 valgrind -q --error-exitcode=99 --errors-for-leak-kinds=definite --leak-check=full "$build/test/$name" 2>&1)
    rc=$?
    if [ "$rc" -eq 0 ]; then
        passed=$((passed + 1))
        printf 'ok    %s\n' "$name"
    else
        failed=$((failed + 1))
        printf 'FAIL  %s (exit %d)\n' "$name" "$rc"
        grep -E '^==[0-9]+==|FAILED' <<<"$out" | head -n 30
    fi
done
printf 'valgrind: %d passed, %d failed, 0 skipped\n' "$passed" "$failed"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
