#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real MariaDB Galera nodes with our agents, guards and a quorum, each on a host of its own (jepsen/hosts): the writer killed, cut
# off, paused; all of them killed or stopped at once; a node that lags, or is in the middle of a state transfer; old grants; two
# nodes. Clients write through haproxy. After each: what was acknowledged is on every node, and all checksums are the same.
# usage: run.sh [SCENARIO...]     names as in the list below; without any: all of them
set -u
if [ -z "${GALERA_INSIDE:-}" ]; then
    cd "$(dirname "$0")/../../.." || exit 2
    # shellcheck disable=SC2206 # words are meant
    all=(${*:-switched writer_killed writer_cut paused stuck_commit relayed slow_applier all_killed all_stopped laggard
        transfer_killed two_of_three old_grant rolling_restart two_nodes})
    run_inside() { # NODES SCENARIO...: in a sandbox of its own
        local nodes=$1 code
        shift
        [ $# -gt 0 ] || return 0
        GALERA_INSIDE=1 GALERA_NODES=$nodes GALERA_SCENARIOS="$*" \
            bash jepsen/hosts/sandbox.sh -t "${LIMIT:-3000}" "$PWD/tests/integration/galera/run.sh"
        code=$?
        [ "$code" -ne 77 ] || { [ -z "${QUORATE_COUNTS:-}" ] || echo "0 0 1" >>"$QUORATE_COUNTS"; return 0; }
        return "$code"
    }
    for tool in mariadbd haproxy; do
        PATH=$PATH:/usr/sbin command -v $tool >/dev/null || { echo "skipped: $tool is not installed" && GALERA_SKIP=1; }
    done
    if [ -n "${GALERA_SKIP:-}" ]; then [ -z "${QUORATE_COUNTS:-}" ] || echo "0 0 1" >>"$QUORATE_COUNTS"; exit 0; fi
    three=() two=()
    for name in "${all[@]}"; do if [[ $name == two_nodes* ]]; then two+=("$name"); else three+=("$name"); fi; done
    run_inside 3 "${three[@]}"
    code=$?
    run_inside 2 "${two[@]}" || code=$?
    exit "$code"
fi
. tests/support/cluster.sh
. tests/support/report.sh
SYSTEM=galera
. jepsen/sql/topology.sh
mapfile -t DATABASES < <(seq -f d%.0f "${GALERA_NODES:-3}")
. jepsen/sql/faults.sh
. jepsen/galera/topology.sh
. tests/integration/galera/setup.sh
. tests/integration/galera/scenarios.sh
. tests/integration/galera/outages.sh

trap leave EXIT
make_cluster
for scenario in $GALERA_SCENARIOS; do
    start=$SECONDS
    "$scenario"
    note "$scenario took $((SECONDS - start)) s"
done
report_end galera
