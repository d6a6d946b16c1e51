#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a script inside the sandbox works with; sandbox.sh loads it. This file has only what the others share:
#   host.sh   hosts: making, running on them, power          net.sh     who reaches whom
#   faults.sh the table of faults, fault_on/off/bit/can      faults_*.sh the kinds, by what they act on
HOSTS_LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

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

. "$HOSTS_LIB/host.sh"
. "$HOSTS_LIB/net.sh"
. "$HOSTS_LIB/faults.sh"
