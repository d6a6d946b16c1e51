#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a script inside one throw-away sandbox: own network, IPC, mount and process namespaces.
# usage: sandbox.sh [-t SECONDS] SCRIPT [ARGS...]
#
# The script runs with jepsen/hosts/lib.sh loaded and may make hosts. Nothing outside can be reached: the sandbox's own
# namespace has only loopback, and the bridge between the hosts lives in a namespace of its own. Whatever ends this
# process or a script that has started it, kill -9 too, sweep.sh then ends and removes everything: it waits at the
# other end of a pipe. Needs root; prints why not and exits 77 (skipped) otherwise.
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
for tool in ip nft jq setpriv; do
    command -v "$tool" >/dev/null || { echo "skipped: $tool is not installed"; exit 77; }
done

cgroup2=$(awk '$(NF-2) == "cgroup2" {print $5; exit}' /proc/self/mountinfo)
export QUORATE_CGROUP2=${cgroup2:-}
for controller in cpu memory pids blkio; do # version 1, which some machines have beside it
    export "QUORATE_CGROUP_${controller^^}=$(awk -v name="$controller" '
        $(NF - 2) == "cgroup" && ("," $NF ",") ~ "," name "," { print $5; exit }' /proc/self/mountinfo)"
done
export QUORATE_SANDBOX_PARENT=$PPID # as it was when this shell began
export QUORATE_SANDBOX=quorate-sandbox.$$-$RANDOM
export QUORATE_SANDBOX_DIR=${TMPDIR:-/tmp}/$QUORATE_SANDBOX

bash "$here/sweep.sh" stale
# Whoever sweeps is there before there is anything to sweep. What this shell starts holds the pipe open, so that the
# end of the pipe means that none of it can make anything more; only the sandbox itself lets go of it, from within
# the cgroup that is killed as a whole.
exec 7> >(exec setsid bash "$here/sweep.sh" wait >/dev/null 2>&1)
sweeper=$!
trap 'exec 7>&-; tail -s 0.05 --pid="$sweeper" -f /dev/null' EXIT
trap 'exit 130' INT TERM
mkdir -m 755 "$QUORATE_SANDBOX_DIR" || exit 1
# A container may show cgroups that may not be written: then there are none.
if [ -n "$QUORATE_CGROUP2" ] && ! mkdir -p "$QUORATE_CGROUP2/$QUORATE_SANDBOX/harness" 2>/dev/null; then QUORATE_CGROUP2=""; fi
(
    [ -z "$QUORATE_CGROUP2" ] || echo "$BASHPID" >"$QUORATE_CGROUP2/$QUORATE_SANDBOX/harness/cgroup.procs" || exit 1
    echo "$BASHPID" >"$QUORATE_SANDBOX_DIR/pid"
    exec 7>&-
    exec setsid timeout --kill-after=5 "$limit" setpriv --pdeathsig KILL \
        unshare --net --ipc --mount --pid --fork --mount-proc --kill-child=KILL \
        bash -c '. "$0/lib.sh"; sandbox_enter || { echo "skipped: the network of a sandbox cannot be made here"; exit 77; }; script=$1; shift; . "$script"' "$here" "$@"
) &
wait $!
