#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults of clocks, and of single calls to the disk: what bend.so, preloaded in the whole sandbox, does to the
# processes of a host's time namespace. The shipped programs run, and PostgreSQL; the machine's clock stays as it is.
fault_table <<'TABLE'
wall-jump clock host SECONDS the wall clock is so much ahead, or behind (-60)
wall-strobe clock host SECONDS the wall clock jumps there and back ten times a second (60)
clock-rate clock host PPM monotonic clocks run so much faster or slower (-200000)
clock-freeze clock host - monotonic clocks stand
suspend clock host SECONDS BOOTTIME goes ahead, MONOTONIC does not; off: it stays so (60)
slow-sync disk host MS each flush takes so much longer (300)
sync-error disk host - each flush fails with EIO
sync-lies disk host - each flush says yes and does nothing
write-error disk host ENOSPC|EIO each write fails (ENOSPC)
TABLE

bend_enter() { # in the sandbox, before there are processes to bend
    local etc=$QUORATE_SANDBOX_DIR/etc bin=${BIN:-build/release/bin}
    [ -x "$bin/jepsen-bend" ] && [ -e "$bin/jepsen-bend.so" ] || return 0
    cp "$bin/jepsen-bend" "$bin/jepsen-bend.so" "$QUORATE_SANDBOX_DIR/" && mkdir -p /dev/shm/quorate-bend "$etc" || return 1
    # A /etc of our own, since the one file that preloads for everybody is there.
    mount -t tmpfs none "$etc" && cp -a /etc/. "$etc/" && echo "$QUORATE_SANDBOX_DIR/jepsen-bend.so" >"$etc/ld.so.preload" &&
        mount --bind "$etc" /etc
}
# The host's page gets the name by which its processes look for it. After a power-on that is a new one.
bend_host() { # NAME
    local page=$QUORATE_SANDBOX_DIR/$1/bend
    [ -d /dev/shm/quorate-bend ] || return 0
    [ -e "$page" ] || "$QUORATE_SANDBOX_DIR/jepsen-bend" "$page" init || return 1
    ln -sfn "$page" "/dev/shm/quorate-bend/$(stat -L -c %i "/proc/$(<"$QUORATE_SANDBOX_DIR/$1/init")/ns/time")"
    on_disk "$1" # the same image may be another device now
}
bend() { # HOST VERB [VALUE]
    nsenter --time="/proc/$(<"$QUORATE_SANDBOX_DIR/$1/init")/ns/time" -- "$QUORATE_SANDBOX_DIR/jepsen-bend" \
        "$QUORATE_SANDBOX_DIR/$1/bend" "${@:2}"
}
bend_may() {
    [ -d /dev/shm/quorate-bend ] || { echo "jepsen-bend is not built, or ld.so.preload cannot be put over /etc"; return 1; }
}
bend_count() { bend "$1" counts | awk -v n="$2" '{ print $n }'; }
bend_kind() { # KIND COUNTER VERB: raise_ and what it does are below
    local f=${1//-/_}
    eval "live_$f() { echo \$((\$(bend_count \$1 $2) - \$(fault_kept $1 \$1 base))); }
        lower_$f() { bend \$1 $3 0; }
        may_$f() { bend_may; }"
}
bend_kind wall-jump 1 wall
bend_kind wall-strobe 1 wall
bend_kind clock-rate 2 rate
bend_kind clock-freeze 2 rate
bend_kind suspend 2 suspend
bend_kind slow-sync 3 slow-sync
bend_kind sync-error 4 sync-error
bend_kind sync-lies 5 sync-lies
bend_kind write-error 6 write-error
bend_base() { # KIND HOST COUNTER: what had happened before
    bend_count "$2" "$3" | fault_keep "$1" "$2" base
}
on_disk() { bend "$1" device "$(stat -c %d "$(host_data "$1")")"; }

raise_wall_jump() { bend_base wall-jump "$1" 1 && bend "$1" wall $((${2:--60} * 1000000)); }
raise_clock_rate() { bend_base clock-rate "$1" 2 && bend "$1" rate "${2:--200000}"; }
raise_clock_freeze() { bend_base clock-freeze "$1" 2 && bend "$1" rate -1000000; }
raise_suspend() { bend_base suspend "$1" 2 && bend "$1" suspend $((${2:-60} * 1000000)); }
lower_suspend() { :; }
raise_slow_sync() { bend_base slow-sync "$1" 3 && on_disk "$1" && bend "$1" slow-sync $((${2:-300} * 1000)); }
raise_sync_error() { bend_base sync-error "$1" 4 && on_disk "$1" && bend "$1" sync-error 5; }
raise_sync_lies() { bend_base sync-lies "$1" 5 && on_disk "$1" && bend "$1" sync-lies 1; }
raise_write_error() {
    local number=28
    [ "${2:-ENOSPC}" = ENOSPC ] || number=5
    bend_base write-error "$1" 6 && on_disk "$1" && bend "$1" write-error "$number"
}

# Who reads the wall clock seldom is made to: what runs on the hosts may define clock_read HOST, which has a process there read it.
strobe() { # HOST SECONDS
    while [ -e "$(fault_dir wall-strobe "$1")/on" ]; do
        bend "$1" wall $(($2 * 1000000))
        if declare -F clock_read >/dev/null; then
            clock_read "$1"
        fi
        sleep 0.1
        bend "$1" wall 0
        sleep 0.1
    done
}
raise_wall_strobe() {
    bend_base wall-strobe "$1" 1 && echo on | fault_keep wall-strobe "$1" on
    strobe "$1" "${2:-60}" >/dev/null &
    echo $! | fault_keep wall-strobe "$1" pid
}
lower_wall_strobe() {
    rm -f "$(fault_dir wall-strobe "$1")/on"
    wait_for 15 eval "! kill -0 $(fault_kept wall-strobe "$1" pid)" && bend "$1" wall 0
}
