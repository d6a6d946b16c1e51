#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A primary whose data directory lies on a disk that fills up, or hangs: the role goes to a standby, once, and nothing
# acknowledged is lost. The member's data directory is a small file system of its own, mounted in a mount namespace that
# lives as long as its agent. Needs root and loop devices.
# usage: run.sh [full] [hangs]
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
[ $# -gt 0 ] || set -- full hangs
if [ "$(id -u)" -ne 0 ] || [ ! -e /dev/loop-control ] || ! command -v mkfs.ext4 fsfreeze nsenter unshare >/dev/null; then
    skip "disks of databases" "needs root, loop devices and util-linux"
    report_end disk
    exit 0
fi
LOAD=0
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-disk.XXXXXX")
on_disk() { nsenter -t "$(pid_of pg1)" -m "$@"; }
clean() {
    load_stop
    on_disk fsfreeze -u "$DIR/pg1/data" 2>/dev/null
    cluster_stop
    keep_logs disk
    rm -rf "$work"
}
trap clean EXIT
trap 'exit 130' INT TERM

start_on_own_disk() { # pg1
    truncate -s 400M "$DIR/pg1.img"
    mkdir -p "$DIR/pg1/data"
    own
    mkfs.ext4 -q -F -m 0 -E root_owner="$(id -u "$RUN_AS"):$(id -g "$RUN_AS")" "$DIR/pg1.img" || die "no file system"
    # shellcheck disable=SC2016
    (exec unshare -m bash -c 'mount -o loop "$1" "$2" && rmdir "$2/lost+found" && chmod 700 "$2" && shift 2 &&
        exec setsid setpriv --reuid '"$RUN_AS"' --regid '"$RUN_AS"' --init-groups -- "$@"' - "$DIR/pg1.img" "$DIR/pg1/data" \
        "$DIR/bin/quorate-agent-postgresql" --config "$DIR/pg1.yml") >>"$DIR/log/pg1" 2>&1 </dev/null &
    remember pg1 $!
    disown
}
has_moved() { [ -n "$(primary)" ] && [ "$(primary)" != pg1 ]; }
epoch() { cluster_json | jq -r .epoch; }

cluster_init "$work"
quorum_setup 3
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
wait_until 15 quorum_has_leader || die "the quorum has no leader"
members_setup pg-main 3
start_on_own_disk
wait_until 60 member_is pg1 /primary || die "pg1 did not make the database"
for member in pg2 pg3; do member_start "$member"; done
wait_until 60 cluster_is healthy || die "the cluster did not become healthy"
load_prepare || die "no table to write to"

begin() { # NAME
    NAME=$1
    if ! member_is pg1 /primary; then
        "${KV[@]}" db switchover pg-main --to pg1 --wait --timeout 30s >/dev/null || die "pg1 did not take the role"
    fi
    wait_until 30 cluster_is healthy || die "not healthy before $NAME"
    EPOCH=$(epoch)
    ACKED=$DIR/acked-$NAME
    load_start "$ACKED"
    wait_until 10 test -s "$ACKED"
    AT=$(now_us)
}
finish() {
    check "$NAME: pg1 comes back as a standby" wait_until 60 cluster_is healthy
    check_output "$NAME: the role went on once" $((EPOCH + 1)) epoch
    load_stop
    check_output "$NAME: nothing acknowledged is lost of $(acked_of "$ACKED")" 0 lost_of "$ACKED"
}

full() {
    begin full
    on_disk dd if=/dev/zero of="$DIR/pg1/data/filler" bs=1M 2>/dev/null
    check "$NAME: a standby takes over" wait_until 30 has_moved
    note "after $((($(now_us) - AT) / 1000)) ms"
    on_disk rm "$DIR/pg1/data/filler"
    finish
}

hangs() {
    begin hangs
    on_disk fsfreeze -f "$DIR/pg1/data"
    check "$NAME: a standby takes over while the disk hangs" wait_until 40 has_moved
    note "after $((($(now_us) - AT) / 1000)) ms"
    on_disk fsfreeze -u "$DIR/pg1/data"
    finish
}

for scenario in "$@"; do "$scenario"; done
report_end disk
