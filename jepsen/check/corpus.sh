#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every history of corpus/ through a checker, against its known verdict and rule.
# usage: corpus.sh CHECKER. CHECKER is called as jepsen-check is. Prints what differs; exit status 1 then.
set -u
here=$(cd "$(dirname "$0")" && pwd)
checker=$1
passed=0 failed=0
while IFS=';' read -r file kind verdict rule options; do
    case $file in '#'* | '') continue ;; esac
    read -r kind <<<"$kind"
    read -r verdict <<<"$verdict"
    read -r rule <<<"$rule"
    read -ra options <<<"${options:-}"
    said=$("$checker" "$kind" "$here/corpus/$file" "${options[@]}" 2>&1)
    status=$?
    case $verdict in ok) want=0 ;; violated) want=1 ;; *) want=3 ;; esac
    if [ "$status" -eq "$want" ] && [[ $said == *"\"verdict\":\"$verdict\",\"rule\":\"$rule\""* ]]; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        printf 'FAIL  %s: wanted %s (%s), got status %s: %s\n' "$file" "$verdict" "$rule" "$status" "${said:0:400}"
    fi
done <"$here/corpus/index.txt"
printf 'corpus: %d passed, %d failed\n' "$passed" "$failed"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
