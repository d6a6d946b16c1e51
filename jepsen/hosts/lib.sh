#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Hosts inside the sandbox: each has a network namespace, an address 10.78.0.N, a data image of its own (loop XFS or
# ext4), a cgroup, and clocks that started at another time than everybody else's. Loaded by sandbox.sh.
#
#   host_make NAME N [SIZE_MB]     host_exec NAME CMD...       host_spawn NAME LOG CMD...
#   host_freeze/host_thaw NAME     host_power_off NAME         host_power_on NAME
#   cut A B   cut_one_way A B      link_down/link_up NAME      heal      loss A B PERCENT
#   disk_hang/disk_unhang NAME     cut_count                   host_address NAME    host_data NAME
#
# Every fault can be read back (cut_count, frozen state): a fault that did not bite fails the run that relies on it.
# Traps known: frames dropped one way also drop ARP answers, so neighbours are permanent; a cgroup stays
# frozen after a kill and freezes what is started next, so power-on writes 0 first.

sandbox_enter() {
    mkdir -p /run/netns && mount -t tmpfs none /run/netns || return 1
    mount -t tmpfs none /dev/shm || return 1
    ip link set lo up
    ip netns add sw
    ip -n sw link add br0 type bridge stp_state 0 forward_delay 0 mcast_snooping 0
    ip -n sw link set br0 up
    ip netns exec sw nft -f - <<'NFT' || return 1
table bridge faults {
  set cut { type ifname . ifname; }
  map lossy { type ifname . ifname : verdict; }
  counter dropped { }
  chain forwarding {
    type filter hook forward priority 0; policy accept;
    iifname . oifname @cut counter name dropped drop
    iifname . oifname vmap @lossy
  }
}
NFT
    declare -gA HOST_NUMBER=() HOST_INIT=() HOST_MAC=()
}

host_address() { echo "10.78.0.${HOST_NUMBER[$1]}"; }
host_data() { echo "$QUORATE_SANDBOX_DIR/$1/data"; }
host_cgroup() { echo "$QUORATE_CGROUP2/$QUORATE_SANDBOX/$1"; }

host_make() { # NAME NUMBER [SIZE_MB]
    local name=$1 number=$2 size=${3:-600} other
    HOST_NUMBER[$name]=$number
    ip netns add "$name" || return 1
    ip -n sw link add "p-$name" type veth peer name eth0 netns "$name" || return 1
    ip -n sw link set "p-$name" master br0 up
    ip -n "$name" addr add "10.78.0.$number/24" dev eth0
    ip -n "$name" link set eth0 up
    ip -n "$name" link set lo up
    HOST_MAC[$name]=$(ip -n "$name" -j link show eth0 | jq -r '.[0].address')
    for other in "${!HOST_NUMBER[@]}"; do
        [ "$other" = "$name" ] && continue
        ip -n "$name" neigh replace "$(host_address "$other")" lladdr "${HOST_MAC[$other]}" dev eth0 nud permanent
        ip -n "$other" neigh replace "$(host_address "$name")" lladdr "${HOST_MAC[$name]}" dev eth0 nud permanent
    done
    if [ -n "$QUORATE_CGROUP2" ]; then mkdir -p "$(host_cgroup "$name")" || return 1; fi
    mkdir -p "$(host_data "$name")"
    if [ "$size" -gt 0 ]; then
        truncate -s "${size}M" "$QUORATE_SANDBOX_DIR/$name/disk.img"
        if [ "$size" -ge 300 ] && command -v mkfs.xfs >/dev/null; then
            mkfs.xfs -q "$QUORATE_SANDBOX_DIR/$name/disk.img" || return 1
        else
            mkfs.ext4 -qF "$QUORATE_SANDBOX_DIR/$name/disk.img" || return 1
        fi
        host_mount "$name" || return 1
    fi
    host_init "$name"
}

host_mount() {
    mount -o loop "$QUORATE_SANDBOX_DIR/$1/disk.img" "$(host_data "$1")" && chmod 755 "$(host_data "$1")"
}

# A process that holds the host's time namespace: boottime and monotonic N million seconds ahead.
host_init() {
    local offset=$((HOST_NUMBER[$1] * 1000000))
    (
        [ -n "$QUORATE_CGROUP2" ] && echo "$BASHPID" >"$(host_cgroup "$1")/cgroup.procs"
        # Not "ip netns exec": it copies the mounts, and a copy would keep the disk busy after a power-off.
        exec nsenter --net="/run/netns/$1" -- unshare --time --boottime "$offset" --monotonic "$offset" --fork --kill-child \
            sleep infinity
    ) >/dev/null 2>&1 &
    local parent=$! child
    disown # it is killed with the host, which is no news
    for _ in $(seq 100); do
        child=$(pgrep -P "$parent" -x sleep | head -n 1)
        [ -n "$child" ] && break
        sleep 0.02
    done
    [ -n "$child" ] || { echo "host $1: no time namespace" >&2; return 1; }
    HOST_INIT[$1]=$child
}

host_exec() { # NAME CMD...: in the host's namespaces and cgroup
    local name=$1
    shift
    (
        [ -n "$QUORATE_CGROUP2" ] && echo "$BASHPID" >"$(host_cgroup "$name")/cgroup.procs"
        exec nsenter --time="/proc/${HOST_INIT[$name]}/ns/time" --net="/run/netns/$name" -- "$@"
    )
}

host_spawn() { # NAME LOG CMD...: in the background; prints the pid
    local name=$1 log=$2
    shift 2
    (
        [ -n "$QUORATE_CGROUP2" ] && echo "$BASHPID" >"$(host_cgroup "$name")/cgroup.procs"
        exec setsid nsenter --time="/proc/${HOST_INIT[$name]}/ns/time" --net="/run/netns/$name" -- "$@"
    ) >>"$log" 2>&1 </dev/null &
    echo $!
}

host_freeze() {
    echo 1 >"$(host_cgroup "$1")/cgroup.freeze" || return 1
    wait_for 5 grep -qx 'frozen 1' "$(host_cgroup "$1")/cgroup.events"
}
host_thaw() { echo 0 >"$(host_cgroup "$1")/cgroup.freeze"; }

# Every process of the host dies at once, its link goes down, and what was not synced is lost.
host_power_off() {
    local name=$1
    ip -n sw link set "p-$name" down
    if findmnt -n -o FSTYPE "$(host_data "$name")" | grep -qx xfs; then
        xfs_io -x -c shutdown "$(host_data "$name")" || return 1
    fi
    echo 1 >"$(host_cgroup "$name")/cgroup.kill" || return 1
    wait_for 10 grep -qx 'populated 0' "$(host_cgroup "$name")/cgroup.events" || return 1
    if grep -qF " $(host_data "$name") " /proc/self/mountinfo; then # mountpoint(1) sees nothing after a shutdown
        wait_for 10 umount "$(host_data "$name")" || return 1
    fi
}
host_power_on() {
    local name=$1
    echo 0 >"$(host_cgroup "$name")/cgroup.freeze"
    if [ -f "$QUORATE_SANDBOX_DIR/$name/disk.img" ]; then host_mount "$name" || return 1; fi
    ip -n sw link set "p-$name" up
    host_init "$name"
}

faults() { ip netns exec sw nft -f -; }
cut_one_way() { echo "add element bridge faults cut { \"p-$1\" . \"p-$2\" }" | faults; }
cut() { # both ways in one transaction
    echo "add element bridge faults cut { \"p-$1\" . \"p-$2\", \"p-$2\" . \"p-$1\" }" | faults
}
# Cuts a host from all others.
isolate() {
    local other
    for other in "${!HOST_NUMBER[@]}"; do [ "$other" = "$1" ] || cut "$1" "$other"; done
}
loss() { # A B PERCENT, one way
    printf 'add chain bridge faults drop%d { numgen random mod 100 < %d counter name dropped drop; }\n' "$3" "$3" |
        faults
    echo "add element bridge faults lossy { \"p-$1\" . \"p-$2\" : jump drop$3 }" | faults
}
heal() { printf 'flush set bridge faults cut\nflush map bridge faults lossy\n' | faults; }
# Frames dropped so far: the proof that a cut has bitten.
cut_count() { ip netns exec sw nft -j list counter bridge faults dropped | jq '[.nftables[].counter? // empty | .packets] | add'; }
link_down() { ip -n sw link set "p-$1" down; }
link_up() { ip -n sw link set "p-$1" up; }
disk_hang() { fsfreeze -f "$(host_data "$1")"; }
disk_unhang() { fsfreeze -u "$(host_data "$1")"; }

# wait_for SECONDS CMD...: until the command succeeds.
wait_for() {
    local limit=$1 end
    shift
    end=$((SECONDS + limit))
    until "$@" >/dev/null 2>&1; do
        [ "$SECONDS" -lt "$end" ] || { echo "gave up after $limit s: $*" >&2; return 1; }
        sleep 0.05
    done
}
