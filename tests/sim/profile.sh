#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What bounds the speed of the simulator: where the processor was, function by function, while some seeds ran. Functions of a
# library count as that library, but those of libc that copy and compare memory.      usage: profile.sh SIM RESULT_JSON [SEEDS]
set -u
sim=$1 result=$2 seeds=${3:-40}
command -v perf >/dev/null || { echo "profile: perf is not installed (Debian package linux-perf)" && exit 0; }
work=$(mktemp -d "${TMPDIR:-/tmp}/profile.XXXXXX") || exit 1
trap 'rm -rf "$work"' EXIT
if ! perf record -q -e cpu-clock -F 499 -o "$work/data" "$sim" --seed 1 --count "$seeds" --quiet >"$work/out" 2>&1; then
    tail -n 3 "$work/out"
    echo "profile: perf could not record (see /proc/sys/kernel/perf_event_paranoid)" >&2
    exit 1
fi
# Percent, library, function.
perf report -q -i "$work/data" --stdio --no-children --sort dso,symbol -F overhead,dso,symbol 2>/dev/null |
    awk '$1 ~ /%$/ { sub(/%/, "", $1); print $1, $2, $4 }' |
    awk -v program="$(basename "$sim")" '
        { name = $2 == program ? $3 : ($3 ~ /mem|str/ ? "copying, setting and comparing memory" : $2) }
        { sum[name] += $1 }
        END { for (name in sum) if (sum[name] >= 1) printf "%.1f\t%s\n", sum[name], name }' |
    sort -rn | head -n 15 |
    jq -R -n --arg seeds "$seeds" '{seeds: ($seeds | tonumber), functions: [inputs | split("\t") | {percent: (.[0] | tonumber), what: .[1]}]}' \
        >"$result" || exit 1
jq -r '.functions[:3] | map("\(.what) \(.percent) %") | "profile: " + join(", ")' "$result"
