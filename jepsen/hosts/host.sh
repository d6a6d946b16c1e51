#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Hosts: each has a network namespace, an address 10.78.0.N, a data image of its own (loop XFS, small ones ext4),
# a cgroup, and clocks that started at another time than everybody else's. What is known of a host is in files of
# $QUORATE_SANDBOX_DIR/NAME, so that background shells see the same.
#
#   host_make NAME N [SIZE_MB]   hosts_make NAME...      hosts [PREFIX]    host_address NAME   host_data NAME
#   host_exec NAME CMD...        host_spawn NAME LOG CMD...                host_pids NAME [COMM-PATTERN]
#   client_exec NAME CMD...      client_spawn NAME LOG CMD...              host_freeze/host_thaw NAME
#   host_power_off NAME          host_power_on NAME
#
# Traps known: a cgroup stays frozen after a kill and freezes what is started next, so power-on writes 0 first;
# "ip netns exec" copies the mounts, and a copy would keep the disk busy after a power-off.

sandbox_enter() {
    mkdir -p /run/netns && mount -t tmpfs none /run/netns || return 1
    mount -t tmpfs none /dev/shm || return 1
    ip link set lo up
    bend_enter || return 1
    net_enter
}

host_dir() { echo "$QUORATE_SANDBOX_DIR/$1"; }
host_data() { echo "$QUORATE_SANDBOX_DIR/$1/data"; }
host_number() { echo "$(<"$QUORATE_SANDBOX_DIR/$1/number")"; }
host_address() { echo "10.78.0.$(<"$QUORATE_SANDBOX_DIR/$1/number")"; }
host_mac() { printf '02:51:00:00:00:%02x\n' "$(<"$QUORATE_SANDBOX_DIR/$1/number")"; }
host_cgroup() { echo "$QUORATE_CGROUP2/$QUORATE_SANDBOX/$1"; }

hosts() { # [PREFIX...]: names of hosts in the order of their numbers
    local file name prefix
    for file in "$QUORATE_SANDBOX_DIR"/*/number; do
        [ -e "$file" ] || continue
        name=${file%/number}
        name=${name##*/}
        [ $# -gt 0 ] || echo "$(<"$file") $name"
        for prefix; do [[ $name != "$prefix"* ]] || echo "$(<"$file") $name"; done
    done | sort -n | cut -d' ' -f2
}
# Hosts of the same kind: q1 is one of q1, q2, q3.
host_family() { hosts "${1%%[0-9]*}"; }

host_make() { # NAME NUMBER [SIZE_MB]
    local name=$1 number=$2 size=${3:-600} image=$QUORATE_SANDBOX_DIR/$1/disk.img
    mkdir -p "$(host_data "$name")" || return 1
    ip netns add "$name" || return 1
    ip -n "$name" link set lo up
    if [ -n "$QUORATE_CGROUP2" ]; then mkdir -p "$(host_cgroup "$name")" || return 1; fi
    echo "$number" >"$QUORATE_SANDBOX_DIR/$name/number"
    net_attach "$name" || return 1
    if [ "$size" -gt 0 ]; then
        truncate -s "${size}M" "$image"
        if [ "$size" -ge 300 ] && command -v mkfs.xfs >/dev/null; then
            mkfs.xfs -q "$image" || return 1
        else
            mkfs.ext4 -qF "$image" || return 1
        fi
        if ! host_mount "$name"; then
            echo "no filesystem can be mounted here: the data of hosts is in plain directories" | tee "$QUORATE_SANDBOX_DIR/no-disks" >&2
            rm -f "$image"
        fi
    fi
    host_init "$name"
}

# The numbers everybody expects: q1 is 10.78.0.11, d1 10.78.0.21, c1 10.78.0.31. Clients have no disk.
hosts_make() { # NAME...   environment: HOST_DISK_MB
    local name base
    for name; do
        case $name in
        q[1-9]) base=10 ;;
        d[1-9]) base=20 ;;
        c[1-9]) base=30 ;;
        *) echo "hosts_make: $name: names are q1..q9, d1..d9, c1..c9" >&2; return 1 ;;
        esac
        host_make "$name" $((base + ${name#?})) "$([ "$base" -eq 30 ] && echo 0 || echo "${HOST_DISK_MB:-600}")" || return 1
    done
}

host_mount() {
    mount -o loop "$QUORATE_SANDBOX_DIR/$1/disk.img" "$(host_data "$1")" && chmod 755 "$(host_data "$1")"
}
has_disks() { [ ! -e "$QUORATE_SANDBOX_DIR/no-disks" ] || { cat "$QUORATE_SANDBOX_DIR/no-disks"; return 1; }; }
host_is_mounted() { grep -qF " $(host_data "$1") " /proc/self/mountinfo; } # mountpoint(1) sees nothing after a shutdown

# The calling process becomes one of the host's: its cgroups.
host_join() { # NAME [PART]
    local group
    [ -z "$QUORATE_CGROUP2" ] || echo "$BASHPID" >"$(host_cgroup "$1")/cgroup.procs" || return 1
    for group in "$QUORATE_SANDBOX_DIR/$1"/cgroup1.*; do # limits that were set on the host
        [ ! -e "$group" ] || echo "$BASHPID" >"$(<"$group")/cgroup.procs"
    done
}

# A process that holds the host's time namespace: boottime and monotonic N million seconds ahead.
host_init() {
    local name=$1 offset parent child
    offset=$(($(host_number "$name") * 1000000))
    (
        host_join "$name"
        exec nsenter --net="/run/netns/$name" -- unshare --time --boottime "$offset" --monotonic "$offset" --fork --kill-child \
            sleep infinity
    ) >/dev/null 2>&1 &
    parent=$!
    disown # it is killed with the host, which is no news
    for _ in $(seq 100); do
        child=$(pgrep -P "$parent" -x sleep | head -n 1)
        [ -n "$child" ] && break
        sleep 0.02
    done
    [ -n "$child" ] || { echo "host $name: no time namespace" >&2; return 1; }
    echo "$child" >"$QUORATE_SANDBOX_DIR/$name/init"
    bend_host "$name"
}

host_exec() { # NAME CMD...: in the host's namespaces and cgroup
    local name=$1
    shift
    (
        host_join "$name" || exit 1
        exec nsenter --time="/proc/$(<"$QUORATE_SANDBOX_DIR/$name/init")/ns/time" --net="/run/netns/$name" -- "$@"
    )
}
host_spawn() { # NAME LOG CMD...: in the background; prints the pid
    local name=$1 log=$2
    shift 2
    (
        host_join "$name" || exit 1
        exec setsid nsenter --time="/proc/$(<"$QUORATE_SANDBOX_DIR/$name/init")/ns/time" --net="/run/netns/$name" -- "$@"
    ) >>"$log" 2>&1 </dev/null &
    echo $!
    disown # that a fault kills it is no news
}
# Recording clients: at the host's place in the network, but with the harness's clocks, and no fault of the host
# stops them: what they cannot reach they say.
client_exec() {
    local name=$1
    shift
    nsenter --net="/run/netns/$name" -- "$@"
}
client_spawn() {
    local name=$1 log=$2
    shift 2
    setsid nsenter --net="/run/netns/$name" -- "$@" >>"$log" 2>&1 </dev/null &
    echo $!
}

host_pids() { # NAME [PATTERN of the short name]: without those that only hold the host's namespaces
    local file pid comm init holder
    init=$(<"$QUORATE_SANDBOX_DIR/$1/init")
    holder=$(awk '{ print $4 }' "/proc/$init/stat" 2>/dev/null)
    while read -r file; do
        while read -r pid; do
            # shellcheck disable=SC2053 # the right side is a pattern
            [ "$pid" != "$init" ] && [ "$pid" != "$holder" ] && read -r comm 2>/dev/null <"/proc/$pid/comm" &&
                [[ $comm == ${2:-*} ]] && echo "$pid"
        done <"$file"
    done < <(find "$(host_cgroup "$1")" -name cgroup.procs)
}

host_freeze() {
    echo 1 >"$(host_cgroup "$1")/cgroup.freeze" || return 1
    wait_for 5 grep -qx 'frozen 1' "$(host_cgroup "$1")/cgroup.events"
}
host_thaw() {
    echo 0 >"$(host_cgroup "$1")/cgroup.freeze" || return 1
    wait_for 5 grep -qx 'frozen 0' "$(host_cgroup "$1")/cgroup.events"
}

# Every process of the host dies at once, its link goes down, and what was not synced is lost.
host_power_off() {
    local name=$1
    echo 1 >"$(host_cgroup "$name")/cgroup.freeze" # that is the moment: the rest takes some milliseconds
    link_down "$name"
    if grep -qF " $(host_data "$name") " <(grep -F ' - xfs ' /proc/self/mountinfo); then
        xfs_io -x -c shutdown "$(host_data "$name")" || return 1
    fi
    fsfreeze -u "$(host_data "$name")" 2>/dev/null # who waits for a hung disk cannot die
    echo 1 >"$(host_cgroup "$name")/cgroup.kill" || return 1
    wait_for 10 grep -qx 'populated 0' "$(host_cgroup "$name")/cgroup.events" || return 1
    nsenter --net="/run/netns/$name" -- ss -tanK >/dev/null 2>&1 # nothing is left that could say goodbye later
    if host_is_mounted "$name"; then wait_for 10 umount "$(host_data "$name")"; fi
}
host_power_on() {
    local name=$1
    echo 0 >"$(host_cgroup "$name")/cgroup.freeze"
    if [ -f "$QUORATE_SANDBOX_DIR/$name/disk.img" ] && ! host_is_mounted "$name"; then host_mount "$name" || return 1; fi
    link_up "$name" && host_init "$name"
}
