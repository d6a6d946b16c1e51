# SPDX-License-Identifier: Apache-2.0
# Quorum nodes on small file systems of their own, so that a disk can hang or be full: sourced after cluster.sh.
# Needs root and loop devices; everything is mounted in a mount namespace that lives as long as its node.
#
#   quorum_mounts MB         after quorum_setup; fails where it is not possible
#   quorum_start_here NAME   as quorum_start, on its own file system if there is one
#   in_disk_of NAME CMD...   while the node lives: within its namespace, as root
#   with_disk_of NAME CMD... while it does not: mounts it for the command

HAS_MOUNTS=""
quorum_mounts() { # MB
    [ "$(id -u)" -eq 0 ] && [ -e /dev/loop-control ] && command -v mkfs.ext4 fsfreeze nsenter unshare >/dev/null || return 1
    local node
    for node in "${QUORUM[@]}"; do
        truncate -s "$1M" "$DIR/$node.img"
        mkfs.ext4 -q -F -m 0 -E root_owner="$(id -u "$RUN_AS"):$(id -g "$RUN_AS")" "$DIR/$node.img" || return 1
    done
    with_disk_of "${QUORUM[0]}" true 2>/dev/null || return 1
    HAS_MOUNTS=1
}
quorum_start_here() { # NAME
    if [ -z "$HAS_MOUNTS" ]; then
        quorum_start "$1"
        return
    fi
    # shellcheck disable=SC2016
    (exec unshare -m bash -c 'mount -o loop "$1" "$2" && shift 2 && exec setsid setpriv --reuid '"$RUN_AS"' \
        --regid '"$RUN_AS"' --init-groups -- "$@"' - "$DIR/$1.img" "$DIR/$1" "$DIR/bin/quorated" \
        --config "$DIR/$1.yml") >>"$DIR/log/$1" 2>&1 </dev/null &
    remember "$1" $!
    disown
}
in_disk_of() { # NAME CMD...
    local node=$1
    shift
    if [ -z "$HAS_MOUNTS" ]; then
        "$@"
        return
    fi
    nsenter -t "$(pid_of "$node")" -m "$@"
}
with_disk_of() { # NAME CMD...
    local node=$1
    shift
    # shellcheck disable=SC2016
    unshare -m bash -c 'mount -o loop "$1" "$2" && shift 2 && "$@"' - "$DIR/$node.img" "$DIR/$node" "$@"
}
