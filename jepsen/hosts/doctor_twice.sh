#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The doctor with hosts on the bridge, and then with hosts on the switch for what only it can do.
# usage: doctor_twice.sh     environment: BIN
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
doctor() { # ON KIND...
    HOSTS_ON=$1 bash "$here/sandbox.sh" -t 120 "$here/doctor.sh" "${@:2}" 2>>build/hosts-check.log
    local rc=$?
    if [ $rc -eq 77 ]; then echo "0 0 50" >>"${QUORATE_COUNTS:-/dev/null}"; exit 0; fi
    return $rc
}
mkdir -p build && : >build/hosts-check.log
failed=0
doctor bridge || failed=1
doctor wire isolate one-way-in cut-replication link-down power \
    wire-delay wire-loss wire-burst wire-duplicate wire-reorder wire-corrupt wire-rate || failed=1
[ "$failed" -eq 0 ] || { echo "what the commands said is in build/hosts-check.log"; exit 1; }
