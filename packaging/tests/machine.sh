#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Whole Debian machines with systemd as process 1, in namespaces: sourced by scripts that run in jepsen/hosts/sandbox.sh.
#
#   machine_boot NAME ADDRESS      on the host NAME of the sandbox (made with host_make); a layer over $ROOT that is thrown away
#   machine NAME CMD...            as root on it        machine_sh NAME 'shell text'
#   machine_off NAME               poweroff             machine_put NAME FILE... DIRECTORY
#
# The machine has its own processes, mounts, host name, network, and a cgroup that its systemd owns. The clock is the
# machine's own: nothing may set it (that right is taken away before systemd starts).
machine_pid() { cat "$(machine_dir "$1")/pid"; } # of its systemd, seen from here
machine_dir() { echo "$QUORATE_SANDBOX_DIR/machine-$1"; }

machine_boot() { # NAME ADDRESS
    local name=$1 address=$2 dir group pid
    dir=$(machine_dir "$name")
    group=$QUORATE_CGROUP2/$QUORATE_SANDBOX/$name/machine
    if [ ! -d "$dir" ]; then
        mkdir -p "$dir"/{top,tree} && mount -t tmpfs -o size=2g none "$dir/top" && mkdir "$dir"/top/{up,work} || return 1
        mount -t overlay none -o "lowerdir=$ROOT,upperdir=$dir/top/up,workdir=$dir/top/work" "$dir/tree" || return 1
        echo "$name" >"$dir/tree/etc/hostname"
        printf '127.0.0.1 localhost\n' >"$dir/tree/etc/hosts"
        ip -n "$name" addr add "$address/24" dev eth0 2>/dev/null
    fi
    mkdir -p "$group" || return 1
    (
        echo "$BASHPID" >"$group/cgroup.procs" || exit 1
        exec nsenter --net="/run/netns/$name" -- unshare --mount --uts --ipc --pid --cgroup --fork --kill-child=KILL --propagation private \
            bash "$MACHINE_LIB/machine_init.sh" "$dir/tree" "$name"
    ) >"$dir/console" 2>&1 </dev/null &
    pid=$!
    disown
    wait_for 20 eval 'pgrep -P '"$pid"' >/dev/null' || { cat "$dir/console" >&2; return 1; }
    pgrep -P "$pid" | head -n 1 >"$dir/pid"
    wait_for 60 machine_is_up "$name" || { tail -n 20 "$dir/console" >&2; machine "$name" systemctl list-jobs >&2; return 1; }
}
machine_is_up() { [[ $(machine "$1" systemctl is-system-running 2>/dev/null) =~ ^(running|degraded)$ ]]; }
machine() { # NAME CMD...
    local pid
    pid=$(machine_pid "$1")
    shift
    nsenter --target "$pid" --mount --uts --ipc --pid --net --cgroup --root -- env -i -C / PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
        HOME=/root LANG=C.UTF-8 "$@"
}
machine_sh() { # NAME TEXT
    machine "$1" bash -c "cd /root && set -o pipefail && $2"
}
machine_put() { # NAME FILE... DIRECTORY
    local name=$1 to=${*: -1}
    shift
    mkdir -p "$(machine_dir "$name")/tree$to" && cp -r "${@:1:$#-1}" "$(machine_dir "$name")/tree$to/"
}
machine_off() { # NAME
    machine "$1" systemctl poweroff >/dev/null 2>&1
    wait_for 60 eval '! kill -0 '"$(machine_pid "$1")"' 2>/dev/null'
}
MACHINE_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
