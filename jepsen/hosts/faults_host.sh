#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults of processes and whole hosts: killed, stopped, frozen, without power, without processor, memory or pids.
# NAME is the short name of processes (ps -o comm), a shell pattern: postgres, quorated, "quorate-*"; * when it is
# not given. After a kill or a loss of power "off" calls node_start HOST, if the run has such a function.
fault_table <<'TABLE'
kill process host NAME kill -9 of all processes of that name
stop process host NAME SIGSTOP to each; off: SIGCONT
freeze-part process host NAME they stand still at one moment, what they start too; the rest of the host goes on
freeze host host - every process of the host stands still at one moment
power host host - power loss: un-synced data gone, processes dead, link down; off: power on, log recovery
throttle host host PERCENT so much of one processor for the whole host (10)
memory host host MIB no more than that is given in addition (16); what needs it is killed by the kernel
pids host host - no process or thread can be started
TABLE

may_cgroup2() {
    [ -n "$QUORATE_CGROUP2" ] || { echo "no cgroup v2 is mounted"; return 1; }
    [ -e "$QUORATE_CGROUP2/$QUORATE_SANDBOX/cgroup.$1" ] || { echo "cgroup v2 may not be written here, or has no cgroup.$1"; return 1; }
}
count_lines() { grep -c . || true; }

raise_kill() {
    local pid count=0
    for pid in $(host_pids "$1" "${2:-*}"); do kill -KILL "$pid" 2>/dev/null && count=$((count + 1)); done
    echo "$count" | fault_keep kill "$1" count
}
node_comes_back() {
    ! declare -F node_start >/dev/null || node_start "$1" || echo "node_start $1 failed: the host is there, its daemons are not" >&2
}
lower_kill() { node_comes_back "$1"; }
live_kill() { fault_kept kill "$1" count; }
may_kill() { may_cgroup2 kill; }

raise_stop() {
    host_pids "$1" "${2:-*}" | fault_keep stop "$1" pids
    # shellcheck disable=SC2046 # words are meant
    kill -STOP $(fault_kept stop "$1" pids) 2>/dev/null
}
lower_stop() {
    local pid
    for pid in $(fault_kept stop "$1" pids); do kill -CONT "$pid" 2>/dev/null; done
    return 0
}
live_stop() {
    local pid
    for pid in $(fault_kept stop "$1" pids); do ps -o stat= -p "$pid"; done | grep -c '^T'
}
may_stop() { may_cgroup2 kill; }

# A cgroup below the host's that has nothing but such processes, as a guard gives its database, is frozen as one;
# processes that share theirs are stopped one by one. None is moved: whoever kills by cgroup must still find them.
raise_freeze_part() {
    local dir file group
    dir=$(fault_dir freeze-part "$1")
    : >"$dir/groups"
    host_pids "$1" "${2:-*}" | sort >"$dir/left"
    while read -r file; do
        group=${file%/cgroup.procs}
        [ "$group" != "$(host_cgroup "$1")" ] && [ -s "$file" ] || continue
        [ -z "$(comm -13 "$dir/left" <(sort "$file"))" ] || continue
        echo "$group" >>"$dir/groups"
        echo 1 >"$group/cgroup.freeze" && wait_for 5 grep -qx 'frozen 1' "$group/cgroup.events" || return 1
        comm -23 "$dir/left" <(sort "$file") >"$dir/.left" && mv "$dir/.left" "$dir/left"
    done < <(find "$(host_cgroup "$1")" -name cgroup.procs)
    # shellcheck disable=SC2046 # words are meant
    [ ! -s "$dir/left" ] || kill -STOP $(cat "$dir/left") 2>/dev/null
    [ -s "$dir/left" ] || [ -s "$dir/groups" ]
}
lower_freeze_part() {
    local dir group pid
    dir=$(fault_dir freeze-part "$1")
    while read -r group; do echo 0 >"$group/cgroup.freeze"; done <"$dir/groups" 2>/dev/null
    while read -r pid; do kill -CONT "$pid"; done <"$dir/left" 2>/dev/null
    return 0
}
live_freeze_part() { # processes that stand still
    local dir group pid
    dir=$(fault_dir freeze-part "$1")
    {
        while read -r group; do grep -qx 'frozen 1' "$group/cgroup.events" && cat "$group/cgroup.procs"; done <"$dir/groups"
        while read -r pid; do ps -o stat= -p "$pid" | grep '^T'; done <"$dir/left"
    } 2>/dev/null | count_lines
}
may_freeze_part() { may_cgroup2 freeze; }

raise_freeze() { host_freeze "$1"; }
lower_freeze() { host_thaw "$1"; }
live_freeze() { grep -qx 'frozen 1' "$(host_cgroup "$1")/cgroup.events" && host_pids "$1" | count_lines || echo 0; }
may_freeze() { may_cgroup2 freeze; }

raise_power() {
    host_pids "$1" | fault_keep power "$1" pids
    host_power_off "$1"
}
lower_power() { host_power_on "$1" && node_comes_back "$1"; }
live_power() { # what ran there is dead: as many as that, and the dark host itself
    local pid count=1
    for pid in $(fault_kept power "$1" pids); do [ -d "/proc/$pid" ] || count=$((count + 1)); done
    grep -qx 'populated 0' "$(host_cgroup "$1")/cgroup.events" && echo "$count" || echo 0
}
may_power() { needs xfs_io && may_cgroup2 kill && has_disks; }

# --- limits by cgroup v1, if this machine has them: the host joins when the first one is set, and stays
limit_may() { # CONTROLLER
    local root=QUORATE_CGROUP_${1^^}
    may_cgroup2 kill || return 1
    [ -n "${!root:-}" ] || { echo "no cgroup v1 with $1"; return 1; }
    mkdir -p "${!root}/$QUORATE_SANDBOX" 2>/dev/null || { echo "cgroup v1 $1 may not be written here"; return 1; }
}
limit_group() { # HOST CONTROLLER: its directory, with every process of the host
    local root=QUORATE_CGROUP_${2^^} group pid mark=$QUORATE_SANDBOX_DIR/$1/cgroup1.$2
    group=${!root}/$QUORATE_SANDBOX/$1
    if [ ! -e "$mark" ]; then
        mkdir -p "$group" || return 1
        echo "$group" >"$mark"
        for pid in $(host_pids "$1"); do echo "$pid" >"$group/cgroup.procs"; done 2>/dev/null
    fi
    echo "$group"
}
limit_figure() { awk -v name="$2" '$1 == name { print $2 }' "$1"; }

throttled() { limit_figure "$(limit_group "$1" cpu)/cpu.stat" nr_throttled; }
raise_throttle() {
    local group
    group=$(limit_group "$1" cpu) || return 1
    throttled "$1" | fault_keep throttle "$1" base
    echo 20000 >"$group/cpu.cfs_period_us" && echo $((${2:-10} * 200)) >"$group/cpu.cfs_quota_us"
}
lower_throttle() { echo -1 >"$(limit_group "$1" cpu)/cpu.cfs_quota_us"; }
live_throttle() { echo $(($(throttled "$1") - $(fault_kept throttle "$1" base))); }
may_throttle() { limit_may cpu; }

refused_memory() { cat "$(limit_group "$1" memory)/memory.failcnt"; }
raise_memory() {
    local group
    group=$(limit_group "$1" memory) || return 1
    refused_memory "$1" | fault_keep memory "$1" base
    echo $(($(cat "$group/memory.usage_in_bytes") + ${2:-16} * 1048576)) >"$group/memory.limit_in_bytes"
}
lower_memory() { echo -1 >"$(limit_group "$1" memory)/memory.limit_in_bytes"; }
live_memory() { echo $(($(refused_memory "$1") - $(fault_kept memory "$1" base))); }
may_memory() { limit_may memory; }

refused_pids() { limit_figure "$(limit_group "$1" pids)/pids.events" max; }
raise_pids() {
    local group
    group=$(limit_group "$1" pids) || return 1
    refused_pids "$1" | fault_keep pids "$1" base
    cat "$group/pids.current" >"$group/pids.max"
}
lower_pids() { echo max >"$(limit_group "$1" pids)/pids.max"; }
live_pids() { echo $(($(refused_pids "$1") - $(fault_kept pids "$1" base))); }
may_pids() { limit_may pids; }
