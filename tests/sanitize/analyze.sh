#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# gcc's analyzer over pure sources. A finding fails, unless tests/sanitize/analyze.txt has its file and warning, with a reason.
# usage: analyze.sh FILE...     CC, CPPFLAGS: as the build has them
set -u
out=$(mktemp -d)
trap 'rm -rf "$out"' EXIT
export out
one() {
    # shellcheck disable=SC2086
    gcc -std=c17 $CPPFLAGS -O1 -fanalyzer -fanalyzer-verbosity=1 -c -o /dev/null "$1" >"$out/$(tr / _ <<<"$1")" 2>&1
}
export -f one
printf '%s\n' "$@" | xargs -P 2 -I{} bash -c 'one {}'
excused=0 failed=0
while read -r file warning; do
    if grep -qE "^$file +$warning " tests/sanitize/analyze.txt; then
        excused=$((excused + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL  %s: %s\n' "$file" "$warning"
        grep -hE "^$file:.*$warning" "$out"/* | head -n 3 | sed 's/^/      /'
    fi
done < <(cat "$out"/* | sed -nE 's/^([a-z0-9_\/.]+):[0-9]+:[0-9]+: (warning|error): .*\[(-W[a-z=A-Z0-9-]+)\]$/\1 \3/p' | sort -u)
broken=$(grep -lE '(fatal|error): ' "$out"/* 2>/dev/null | wc -l)
[ "$broken" -eq 0 ] || { echo "FAIL  $broken files do not compile"; failed=$((failed + broken)); }
passed=$(($# - failed))
printf 'analyze: %d passed, %d failed, 0 skipped (%d findings explained)\n' "$passed" "$failed" "$excused"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
