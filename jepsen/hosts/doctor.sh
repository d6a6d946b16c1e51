#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tries each fault on real hosts of the sandbox and reads back that it bit. Run by `make hosts-check` as
#   sandbox.sh doctor.sh
# Each line is ok, FAIL or skip with the reason; what this kernel does not offer is skipped, never silently.
passed=0 failed=0 skipped=0
check() { # NAME CMD...
    local name=$1
    shift
    if "$@"; then
        passed=$((passed + 1))
        echo "ok    $name"
    else
        failed=$((failed + 1))
        echo "FAIL  $name"
    fi
}
skip() {
    skipped=$((skipped + 1))
    echo "skip  $1: $2"
}
pings() { host_exec "$1" ping -q -c 3 -i 0.05 -W 0.3 "$(host_address "$2")" >/dev/null 2>&1; }
no_pings() { ! pings "$1" "$2"; }

check "three hosts with addresses and disks" eval 'host_make d1 21 && host_make d2 22 && host_make q1 11 64'
check "hosts reach each other" pings d1 d2
before=$(cut_count)
cut d1 d2
check "a two-way cut cuts" no_pings d1 d2
check "a third host is not touched" pings d1 q1
check "the cut is counted" test "$(cut_count)" -gt "$before"
heal
check "healing heals" pings d1 d2

# One way: frames of d1 arrive at d2, the answers do not come back.
counter() { ip -n "$1" -s -j link show eth0 | jq '.[0].stats64.rx.packets'; }
cut_one_way d2 d1
arrived=$(counter d2)
pings d1 d2 && one_way_answered=yes || one_way_answered=no
check "a one-way cut lets the other way through" test "$(counter d2)" -gt "$arrived"
check "a one-way cut stops the answers" test "$one_way_answered" = no
heal
link_down d1
check "link down" no_pings d1 d2
link_up d1
check "link up" wait_for 5 pings d1 d2

boottime() { host_exec "$1" awk '{print int($1)}' /proc/uptime; }
check "each host has clocks of its own" test "$(($(boottime d2) - $(boottime d1)))" -gt 900000

if [ -z "$QUORATE_CGROUP2" ]; then
    skip "freeze, kill and power-off" "no cgroup v2 mounted"
else
    counted=$(host_data d1)/counted
    host_spawn d1 /dev/null bash -c "while :; do echo >>$counted; sleep 0.01; done" >/dev/null
    check "a process of the host runs" wait_for 5 test -s "$counted"
    check "freeze" host_freeze d1
    size=$(stat -c %s "$counted")
    sleep 0.2
    check "a frozen host stands still" test "$(stat -c %s "$counted")" = "$size"
    host_thaw d1
    check "a thawed host goes on" wait_for 5 eval "[ \$(stat -c %s '$counted') -gt $size ]"
    data=$(host_data d1)
    host_exec d1 bash -c "echo kept >$data/synced; sync $data/synced; sync -f $data; echo lost >$data/unsynced"
    check "power off kills every process" host_power_off d1
    check "power on" host_power_on d1
    check "what was synced is there" grep -qx kept "$data/synced"
    if [ "$(findmnt -n -o FSTYPE "$data")" = xfs ]; then
        check "what was not synced is lost" test ! -s "$data/unsynced"
    else
        skip "what was not synced is lost" "the data image is not XFS"
    fi
    check "the host answers again" wait_for 5 pings d2 d1
fi
if command -v fsfreeze >/dev/null; then
    disk_hang d2
    host_spawn d2 /dev/null bash -c "echo x >$(host_data d2)/hung; touch $QUORATE_SANDBOX_DIR/wrote" >/dev/null
    sleep 0.3
    check "a hung disk holds writers" test ! -e "$QUORATE_SANDBOX_DIR/wrote"
    disk_unhang d2
    check "and lets them go" wait_for 5 test -e "$QUORATE_SANDBOX_DIR/wrote"
fi
echo "hosts: $passed passed, $failed failed, $skipped skipped"
[ -n "${QUORATE_COUNTS:-}" ] && echo "$passed $failed $skipped" >>"$QUORATE_COUNTS"
[ "$failed" -eq 0 ]
