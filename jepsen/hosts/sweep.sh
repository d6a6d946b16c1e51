#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Ends and removes what a sandbox has made outside its namespaces: processes, frozen disks, cgroups, its directory.
# usage: sweep.sh wait     waits for the end of standard input, or of a script above it, then sweeps the sandbox of the
#                          environment
#        sweep.sh stale    sweeps sandboxes whose sweep.sh was killed too
#
# The kernel removes the rest with the last process: namespaces, interfaces, mounts, loop devices. Only a hung disk
# needs help: its writers cannot die, and a filesystem that is unmounted while frozen keeps its loop device for good.
set -u

loops() { # of the sandbox in DIR
    local file
    for file in /sys/block/loop*/loop/backing_file; do
        [[ $(cat "$file" 2>/dev/null) == "$1"/* ]] && basename "$(dirname "$(dirname "$file")")"
    done
}
# Mounted once more, in a mount namespace of our own, a frozen filesystem can be thawed from outside the sandbox.
thaw() { # DIR
    local loop
    for loop in $(loops "$1"); do
        # shellcheck disable=SC2016 # expanded inside
        timeout 10 unshare --mount bash -c 'mount -t tmpfs none /mnt && mkdir /mnt/disk && mount "/dev/$0" /mnt/disk &&
            fsfreeze -u /mnt/disk' "$loop" >/dev/null 2>&1
    done
}
cgroups() { # NAME: those of the sandbox, version 2 first
    local mount
    while read -r mount; do [ -d "$mount/$1" ] && echo "$mount/$1"; done < <(
        awk '$(NF-2) == "cgroup2" { print $5 }' /proc/self/mountinfo
        awk '$(NF-2) == "cgroup" { print $5 }' /proc/self/mountinfo)
}
kill_all() { # DIR NAME
    local group pid
    for group in $(cgroups "$2"); do [ -e "$group/cgroup.kill" ] && echo 1 >"$group/cgroup.kill"; done
    pid=$(cat "$1/pid" 2>/dev/null) || return 0
    # Without cgroups: the first process of the sandbox, whose death the others do not survive.
    ! tr '\0' '\n' <"/proc/$pid/environ" | grep -qxF "QUORATE_SANDBOX=$2" || kill -KILL "$pid"
}
sweep() { # DIR NAME
    local group
    for _ in $(seq 100); do
        thaw "$1"
        kill_all "$1" "$2" 2>/dev/null
        for group in $(cgroups "$2"); do find "$group" -depth -type d -exec rmdir {} + 2>/dev/null; done
        [ -z "$(cgroups "$2")" ] && [ -z "$(loops "$1")" ] && break
        sleep 0.05
    done
    rm -rf --one-file-system "$1"
}

# The scripts that have started this one, up to where the session begins: whether one of them is killed or the
# harness itself, nobody wants the rest of the run.
scripts_above() {
    local pid=$1 ppid session stat
    while [ "$pid" -gt 1 ]; do
        stat=$(sed 's/.*) //' "/proc/$pid/stat" 2>/dev/null) || return
        read -r _ ppid _ session _ <<<"$stat"
        [ "$pid" != "$session" ] && [ "${first:=$session}" = "$session" ] || return
        echo "$pid"
        pid=$ppid
    done
}
wait_for_an_end() {
    local above pid rc=142
    mapfile -t above < <(scripts_above "$PPID")
    # One that has died before we looked has left the harness to another parent.
    [ "$(ps -o ppid= -p "$PPID" | tr -d ' ')" = "$QUORATE_SANDBOX_PARENT" ] || return
    while [ "$rc" -gt 128 ]; do
        for pid in "${above[@]}"; do [ -d "/proc/$pid" ] || return; done
        read -r -t 0.3
        rc=$?
    done
}

case ${1:-} in
wait)
    exec 9>"$QUORATE_SANDBOX_DIR.lock" # held as long as somebody here will sweep
    flock 9
    wait_for_an_end
    sweep "$QUORATE_SANDBOX_DIR" "$QUORATE_SANDBOX"
    rm -f "$QUORATE_SANDBOX_DIR.lock"
    ;;
stale)
    for lock in "${TMPDIR:-/tmp}"/quorate-sandbox.*.lock; do
        [ -e "$lock" ] || continue
        (flock -n 9 && sweep "${lock%.lock}" "$(basename "${lock%.lock}")" && rm -f "$lock") 9>>"$lock"
    done
    ;;
*) echo "usage: sweep.sh wait|stale" >&2; exit 2 ;;
esac
