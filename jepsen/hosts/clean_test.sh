#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Kills the harness with kill -9 at random moments and looks whether anything is left: a process, a cgroup, a loop
# device, a file, a mount. In every fifth round its sweeper is killed too: then the next start has to sweep. In every
# fifth, too, only the script that has started the harness is killed.
# usage: clean_test.sh      environment: ROUNDS, SEED
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
ROUNDS=${ROUNDS:-20}
if [ -z "${LANE:-}" ]; then # two harnesses at a time, each with half of the rounds
    LANE=1 ROUNDS=$((ROUNDS / 2)) bash "${BASH_SOURCE[0]}" &
    LANE=2 ROUNDS=$((ROUNDS - ROUNDS / 2)) bash "${BASH_SOURCE[0]}"
    rc=$?
    wait $! && exit $rc
    exit 1
fi
RANDOM=$((${SEED:-1} * 2 + LANE))
passed=0 failed=0
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-clean.XXXXXX")
trap 'rm -rf "$work"' EXIT
export TMPDIR=$work
cat >"$work/busy.sh" <<'SCRIPT'
hosts_make d1 q1 || exit 1
while :; do
    for kind in disk-hang freeze throttle isolate flapping disk-full power link-down; do
        fault_can "$kind" >/dev/null || continue
        fault_on "$kind" d1 || exit 1
    done
    ! fault_can freeze >/dev/null || fault_on freeze q1 || exit 1
    faults_off
done
SCRIPT
processes() { # of this test's sandboxes, and nobody else's
    local file
    for file in $(grep -lzsxF "TMPDIR=$work" /proc/[0-9]*/environ); do
        file=${file#/proc/}
        grep -qzsE '^QUORATE_SANDBOX=' "/proc/${file%/environ}/environ" && echo "process ${file%/environ}: $(tr '\0' ' ' <"/proc/${file%/environ}/cmdline")"
    done
}
left() {
    processes
    grep -lsF "$work/" /sys/block/loop*/loop/backing_file
    ls -d "$work"/quorate-sandbox.* 2>/dev/null
    awk '$(NF-2) ~ /^cgroup2?$/ { print $5 }' /proc/self/mountinfo | while read -r mount; do
        for pid in "${harnesses[@]}"; do ls -d "$mount/quorate-sandbox.$pid-"* 2>/dev/null; done
    done
    grep -F "$work/" /proc/self/mountinfo
}
nothing_left() {
    local end=$((SECONDS + 10))
    until [ -z "$(left)" ]; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.05
    done
}
harnesses=()
bash "$here/sandbox.sh" -t 20 /dev/null >"$work/out" 2>&1
if [ $? -eq 77 ]; then
    cat "$work/out"
    echo "0 0 $ROUNDS" >>"${QUORATE_COUNTS:-/dev/null}"
    exit 0
fi
for round in $(seq "$ROUNDS"); do
    if [ $((round % 5)) -eq 1 ]; then
        bash -c 'bash "$0" -t 60 "$1"; exit' "$here/sandbox.sh" "$work/busy.sh" >/dev/null 2>&1 &
    else
        bash "$here/sandbox.sh" -t 60 "$work/busy.sh" >/dev/null 2>&1 &
    fi
    harness=$!
    delay=$(printf '0.%03d' $((RANDOM % 800)))
    sleep "$delay"
    harnesses+=("$harness" "$(pgrep -P "$harness" -x bash | head -n 1)")
    sweeper=$(pgrep -f "^bash $here/sweep.sh wait" -P "$harness")
    kill -KILL "$harness" || { failed=$((failed + 1)); echo "FAIL  round $round: the harness had ended by itself"; }
    [ $((round % 5)) -ne 0 ] || [ -z "$sweeper" ] || kill -KILL "$sweeper"
    wait "$harness" 2>/dev/null
    how="killed after $delay s"
    case $((round % 5)) in
    0)
        how="$how with its sweeper"
        bash "$here/sandbox.sh" -t 20 /dev/null
        ;;
    1) how="script above it $how" ;;
    esac
    if nothing_left; then
        passed=$((passed + 1))
    else
        failed=$((failed + 1))
        echo "FAIL  $how: left:"
        left | sed 's/^/      /'
    fi
done 2>/dev/null
echo "hosts-clean: $passed passed, $failed failed, 0 skipped"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed 0" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
