#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script inside one throw-away sandbox: own network, IPC, mount and process namespaces.
# usage: sandbox.sh [-t SECONDS] SCRIPT [ARGS...]
#
# The script runs with jepsen/hosts/lib.sh loaded and may make hosts. When it ends, is killed or runs out of time the
# kernel removes every process, namespace, interface and mount; only cgroups are not namespaced and are removed
# here. Nothing outside can be reached: the sandbox's own namespace has only loopback, and the bridge between the
# hosts lives in a namespace of its own. Needs root; prints why not and exits 77 (skipped) otherwise.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
limit=900
if [ "${1:-}" = -t ]; then limit=$2; shift 2; fi
[ $# -ge 1 ] || { echo "usage: sandbox.sh [-t SECONDS] SCRIPT [ARGS...]" >&2; exit 2; }
if [ "$(id -u)" -ne 0 ]; then echo "skipped: network namespaces need root"; exit 77; fi
if ! unshare --net --ipc --mount --pid --fork true 2>/dev/null; then
    echo "skipped: this kernel or container does not allow namespaces"
    exit 77
fi

QUORATE_SANDBOX=quorate-$$-$RANDOM
export QUORATE_SANDBOX
QUORATE_SANDBOX_DIR=$(mktemp -d "${TMPDIR:-/tmp}/$QUORATE_SANDBOX.XXXXXX")
export QUORATE_SANDBOX_DIR
chmod 755 "$QUORATE_SANDBOX_DIR"
cgroup2=$(awk '$9 == "cgroup2" || $(NF-2) == "cgroup2" {print $5; exit}' /proc/self/mountinfo)
export QUORATE_CGROUP2=${cgroup2:-}
for controller in cpu memory pids blkio; do # version 1, which some machines have beside it
    export "QUORATE_CGROUP_${controller^^}=$(awk -v name="$controller" '
        $(NF - 2) == "cgroup" && ("," $NF ",") ~ "," name "," { print $5; exit }' /proc/self/mountinfo)"
done

cleanup() {
    if [ -n "$QUORATE_CGROUP2" ] && [ -d "$QUORATE_CGROUP2/$QUORATE_SANDBOX" ]; then
        find "$QUORATE_CGROUP2/$QUORATE_SANDBOX" -name cgroup.kill -exec sh -c 'echo 1 > "$1"' _ {} \; 2>/dev/null
        for _ in $(seq 50); do
            find "$QUORATE_CGROUP2/$QUORATE_SANDBOX" -depth -type d -exec rmdir {} \; 2>/dev/null
            [ -d "$QUORATE_CGROUP2/$QUORATE_SANDBOX" ] || break
            sleep 0.1
        done
    fi
    rm -rf --one-file-system "$QUORATE_SANDBOX_DIR"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

setsid timeout --kill-after=5 "$limit" unshare --net --ipc --mount --pid --fork --mount-proc --kill-child=KILL \
    bash -c '. "$0/lib.sh"; sandbox_enter; script=$1; shift; . "$script"' "$here" "$@" &
wait $!
