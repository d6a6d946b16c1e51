#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Counting and printing checks in integration tests: sourced.
#
#   check NAME CMD...                passes when the command exits 0
#   check_output NAME TEXT CMD...    ... and prints exactly TEXT
#   check_exit NAME CODE CMD...      exits with CODE
#   check_fails NAME WORD CMD...     exits with another code than 0, quickly, and its output holds WORD
#   skip NAME REASON   note TEXT   report_end NAME
#   gap_after ACKED_FILE T_US WINDOW_US    longest gap between acknowledgements in the window, in ms
#   summary            of numbers on standard input: n, min, median, p90, max

PASSED=0 FAILED=0 SKIPPED=0
ok() { PASSED=$((PASSED + 1)); printf 'ok    %s\n' "$1"; }
bad() { FAILED=$((FAILED + 1)); printf 'FAIL  %s\n' "$1"; [ -z "${2:-}" ] || sed 's/^/      /' <<<"$2" | head -n 12; }
skip() { SKIPPED=$((SKIPPED + 1)); printf 'skip  %s: %s\n' "$1" "$2"; }
note() { printf '      %s\n' "$*"; }

check() {
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then ok "$name"; else bad "$name" "$out"; fi
}
check_output() {
    local name=$1 want=$2 out
    shift 2
    out=$("$@" 2>&1)
    if [ "$(sed -e 's/[[:space:]]*$//' <<<"$out" | sed -e :a -e '/^\n*$/{$d;N;ba' -e '}')" = "$want" ]; then
        ok "$name"
    else
        bad "$name" "wanted: $want"$'\n'"got: $out"
    fi
}
check_exit() {
    local name=$1 want=$2 out rc
    shift 2
    out=$("$@" 2>&1)
    rc=$?
    if [ "$rc" = "$want" ]; then ok "$name"; else bad "$name" "exit $rc, wanted $want: $out"; fi
}
# limited SECONDS CMD...: as timeout(1), also for a function of the shell.
limited() {
    local limit=$1 pid
    shift
    if [ "$(type -t "$1")" != function ]; then
        timeout "$limit" "$@"
        return
    fi
    "$@" &
    pid=$!
    if ! timeout "$limit" tail -s 0.02 --pid="$pid" -f /dev/null; then
        pkill -KILL -P "$pid"
        kill -KILL "$pid" 2>/dev/null
    fi
    wait "$pid"
}
check_fails() {
    local name=$1 word=$2 out rc
    shift 2
    out=$(limited 10 "$@" 2>&1 </dev/null)
    rc=$?
    if [ "$rc" -ne 0 ] && [ "$rc" -ne 124 ] && [ "$rc" -lt 128 ] && [ -n "$out" ] && grep -qi -- "$word" <<<"$out"; then
        ok "$name"
        note "$(tail -n 1 <<<"$out" | cut -c1-200)"
    else
        bad "$name" "exit $rc: $out"
    fi
}
report_end() {
    printf '%s: %d passed, %d failed, %d skipped\n' "$1" "$PASSED" "$FAILED" "$SKIPPED"
    [ -n "${QUORATE_COUNTS:-}" ] && echo "$PASSED $FAILED $SKIPPED" >>"$QUORATE_COUNTS"
    [ "$FAILED" -eq 0 ]
    exit $?
}
# Logs of a run that failed stay where people find them.
keep_logs() {
    [ "$FAILED" -eq 0 ] && [ -z "${KEEP_LOGS:-}" ] && return 0
    rm -rf "build/failed/$1"
    mkdir -p "build/failed/$1"
    cp -r "$DIR/log" "$DIR"/*.yml "build/failed/$1/" 2>/dev/null
    local state
    for state in "$DIR"/*/state; do
        [ -d "$state" ] || continue
        mkdir -p "build/failed/$1/$(basename "$(dirname "$state")")"
        cp "$state"/*.log "build/failed/$1/$(basename "$(dirname "$state")")/" 2>/dev/null
    done
    echo "logs: build/failed/$1"
}

gap_after() { # FILE T_US WINDOW_US: ms; lines "t_us ..."
    sort -n -k1,1 "$1" | awk -v t="$2" -v w="$3" '
        $1 < t - 1000000 { next }
        $1 > t + w { exit }
        { if (last && $1 - last > gap) gap = $1 - last; last = $1 }
        END { printf "%.1f\n", (last && last < t + 50000 ? w : gap) / 1000 }'
}
summary() {
    awk '{ v[NR] = $1 } END {
        if (NR == 0) { print "n 0"; exit }
        n = asort_(v, NR)
        printf "n %d  min %.0f  median %.0f  p90 %.0f  max %.0f ms\n", NR, v[1], v[int((NR + 1) / 2)], v[int((NR * 9 + 9) / 10)], v[NR]
    }
    function asort_(a, n,   i, j, t) {
        for (i = 2; i <= n; i++) { t = a[i]; for (j = i - 1; j >= 1 && a[j] > t; j--) a[j + 1] = a[j]; a[j + 1] = t }
        return n
    }'
}
