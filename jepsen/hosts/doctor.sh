#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tries each kind of fault on real hosts of the sandbox: on, did it bite, off, and everybody reaches everybody again.
# Run by `make hosts-check` as
#   sandbox.sh doctor.sh [KIND...]
# Each line is ok, FAIL or skip with the reason; what this kernel does not offer is skipped, never silently.
passed=0 failed=0 skipped=0
ok() { passed=$((passed + 1)); echo "ok    $1"; }
bad() { failed=$((failed + 1)); echo "FAIL  $1"; }
skip() { skipped=$((skipped + 1)); echo "skip  $1: $2"; }
check() { # NAME CMD...
    if "${@:2}"; then ok "$1"; else bad "$1"; fi
}
. "$HOSTS_LIB/doctor_tries.sh"

try_kind() { # KIND CLASS TARGETS ARGUMENTS WHAT
    local kind=$1 reason name=${1//-/_} bit target=d1
    if [ "$kind" = bridge ] || [ "$kind" = ring ]; then target=q1; fi # of five
    if ! reason=$(fault_can "$kind"); then skip "$kind" "${reason:-it is not offered}"; return; fi
    if ! declare -F "try_$name" >/dev/null; then skip "$kind" "nobody says how to try it"; return; fi
    TRY_WHY="it did not come on"
    if "try_$name" "$kind" "$target"; then
        bit=$(fault_bit "$kind" "$target")
        if [ "${bit:-0}" -gt 0 ]; then ok "$kind (bit $bit)"; else bad "$kind: it did not bite"; fi
    else
        bad "$kind: $TRY_WHY"
    fi
    fault_off "$kind" "$target" || bad "$kind: it cannot be taken back"
}

check "hosts with addresses and disks" hosts_make q1 q2 q3 q4 q5 d1 d2 c1
check "hosts reach each other" net_verify
boottime() { host_exec "$1" awk '{print int($1)}' /proc/uptime; }
check "each host has clocks of its own" test "$(($(boottime d2) - $(boottime d1)))" -gt 900000
while read -r kind class where args what; do
    [ $# -eq 0 ] || [[ " $* " == *" $kind "* ]] || continue
    [ "$class" != wire ] || is_wire || continue # those have a doctor of their own
    try_kind "$kind" "$class" "$where" "$args" "$what"
done < <(fault_kinds)
fault_on cut-clients d1
check "a fault that meets nothing has not bitten" test "$(fault_bit cut-clients d1)" -eq 0
fault_off cut-clients d1
if is_wire; then
    check "the latest frames are there for others to read" eval 'wire dump "$QUORATE_SANDBOX_DIR/pcap" &&
        [ "$(od -An -tx4 -N4 "$QUORATE_SANDBOX_DIR/pcap")" = " a1b2c3d4" ] && [ "$(stat -c %s "$QUORATE_SANDBOX_DIR/pcap")" -gt 1000 ]'
fi
check "all hosts reach each other again" net_verify
check "no fault is left on" test -z "$(faults_on)"
echo "hosts on the ${HOSTS_ON:-bridge}: $passed passed, $failed failed, $skipped skipped"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed $skipped" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
