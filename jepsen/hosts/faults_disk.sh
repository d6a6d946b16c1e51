#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults of a host's disk: it hangs, it is full. What a single call answers is in faults_bend.sh.
fault_table <<'TABLE'
disk-hang disk host - whoever writes or flushes waits until it is over
disk-full disk host - no room: the rest of the filesystem is taken by one file
disk-slow disk host BYTES_PER_S the device takes no more than that (1048576)
TABLE

# What proves a hang: a write of ours that is still waiting.
raise_disk_hang() {
    local data
    data=$(host_data "$1")
    fsfreeze -f "$data" || return 1
    (exec 2>/dev/null; echo waiting >"$data/.hang" && rm -f "$data/.hang") &
    echo $! | fault_keep disk-hang "$1" pid
}
lower_disk_hang() { fsfreeze -u "$(host_data "$1")"; }
live_disk_hang() { ps -o stat= -p "$(fault_kept disk-hang "$1" pid)" | grep -c '^D'; }
may_disk_hang() { needs fsfreeze && has_disks; }

filler() { echo "$(host_data "$1")/.full"; }
raise_disk_full() {
    local free
    free=$(df --output=avail -B1 "$(host_data "$1")" | tail -n 1)
    fallocate -l "$free" "$(filler "$1")" 2>/dev/null
    # The last blocks, which the filesystem would not count as free: by writing until it says no.
    dd if=/dev/zero bs=64k of="$(filler "$1")" oflag=append conv=notrunc 2>/dev/null
    dd if=/dev/zero bs=512 of="$(filler "$1")" oflag=append conv=notrunc 2>/dev/null
    sync -f "$(host_data "$1")"
    [ "$(live_disk_full "$1")" -gt 0 ]
}
lower_disk_full() { rm -f "$(filler "$1")" && sync -f "$(host_data "$1")"; }
live_disk_full() { # whether 64 KiB more find room
    local file
    file=$(host_data "$1")/.room
    if fallocate -l 65536 "$file" 2>/dev/null; then echo 0; else echo 1; fi
    rm -f "$file"
}
may_disk_full() { needs fallocate && has_disks; }

disk_device() { mountpoint -d "$(host_data "$1")"; }
disk_served() { awk -v dev="$2" '$1 == dev && $2 == "Write" { n = $3 } END { print n + 0 }' "$(limit_group "$1" blkio)/blkio.throttle.io_serviced"; }
raise_disk_slow() {
    local group device
    group=$(limit_group "$1" blkio) && device=$(disk_device "$1") || return 1
    echo "$device" | fault_keep disk-slow "$1" device
    disk_served "$1" "$device" | fault_keep disk-slow "$1" base
    echo "$device ${2:-1048576}" >"$group/blkio.throttle.write_bps_device"
}
lower_disk_slow() { echo "$(fault_kept disk-slow "$1" device) 0" >"$(limit_group "$1" blkio)/blkio.throttle.write_bps_device"; }
live_disk_slow() { # writes that went through the limit
    echo $(($(disk_served "$1" "$(fault_kept disk-slow "$1" device)") - $(fault_kept disk-slow "$1" base)))
}
may_disk_slow() { limit_may blkio && has_disks; }
