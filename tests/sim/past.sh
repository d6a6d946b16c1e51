#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs what once failed: the scripts, then the seeds of past.txt. One that does not end within a minute of a processor has failed,
# and so has one that does not say what it was: any program can end with 0.
# usage: past.sh SIM
set -u
sim=$1 here=$(dirname "$0") passed=0 failed=0

judge() { # WHAT COMMAND...
    local what=$1
    shift
    if (ulimit -t 60 && exec "$@") >"$log" 2>&1 && grep -Eq '^1 seeds in |: as expected$' "$log"; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        cat "$log"
        printf 'FAILED %s\n' "$what"
    fi
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for script in "$here"/scripts/*.sim; do
    [ -e "$script" ] && judge "$script" "$sim" --script "$script"
done
while read -r seed options; do
    # shellcheck disable=SC2086
    [ -n "$seed" ] && judge "seed $seed $options" "$sim" --seed "$seed" --quiet $options
done < <(sed 's/#.*//' "$here/past.txt")
printf 'past: %d scripts and seeds as expected, %d not\n' "$passed" "$failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
