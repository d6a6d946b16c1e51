#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the golden scripts of every core and compares with what stands in them.
# usage: golden.sh BUILD CORE...    REWRITE=1: writes what comes out now back into the scripts
# Appends "passed failed skipped" to the file named by QUORATE_COUNTS.
set -u
cd "$(dirname "$0")/../.." || exit 2
build=$1 passed=0 failed=0
shift
for core in "$@"; do
    out=$build/golden/$core
    mkdir -p "$out" && rm -f "$out"/*.txt
    "$build/bin/golden-$core" "$out" tests/golden/$core/*.txt || failed=$((failed + 1))
    for script in tests/golden/$core/*.txt; do
        if [ -n "${REWRITE:-}" ] && [ -s "$out/${script##*/}" ]; then
            cmp -s "$script" "$out/${script##*/}" || { cp "$out/${script##*/}" "$script" && echo "rewritten: $script"; }
            passed=$((passed + 1))
        elif diff -u --label "$script" --label "what came out" "$script" "$out/${script##*/}"; then
            passed=$((passed + 1))
        else
            failed=$((failed + 1))
        fi
    done
done
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
echo "golden: $passed scripts as written, $failed not"
[ "$failed" -eq 0 ] && exit 0
echo "golden: if the change is wanted, make golden REWRITE=1 and look at the diff" >&2
exit 1
