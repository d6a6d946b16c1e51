#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real MariaDB Galera nodes with our agents, guards and a quorum, each on a host of its own (jepsen/hosts): the writer killed, cut
# off, paused; all of them killed or stopped at once; a node that lags, or is in the middle of a state transfer; old grants; two
# nodes; what people set up around it; one that ran before. Clients write through haproxy. After each: what was acknowledged is on every node, and all checksums are the same.
# usage: run.sh [SCENARIO...]     names as in the list below; without any: all of them
set -u
if [ -z "${GALERA_INSIDE:-}" ]; then
    cd "$(dirname "$0")/../../.." || exit 2
    # shellcheck disable=SC2206 # words are meant
    all=(${*:-switched writer_killed writer_cut paused stuck_commit relayed slow_applier all_killed all_stopped laggard
        transfer_killed two_of_three old_grant rolling_restart donor_chosen slow_notify tls_on_some proxied shown_truly two_nodes arbitrated
        without_passwords adopted_running})
    run_inside() { # NODES TRANSFERS SCENARIO...: in a sandbox of its own
        local nodes=$1 sst=$2 code
        shift 2
        [ $# -gt 0 ] || return 0
        GALERA_INSIDE=1 GALERA_NODES=$nodes GALERA_SST=$sst GALERA_SCENARIOS="$*" \
            bash jepsen/hosts/sandbox.sh -t "${LIMIT:-3000}" "$PWD/tests/integration/galera/run.sh"
        code=$?
        [ "$code" -ne 77 ] || { [ -z "${QUORATE_COUNTS:-}" ] || echo "0 0 1" >>"$QUORATE_COUNTS"; return 0; }
        return "$code"
    }
    for tool in mariadbd haproxy; do
        PATH=$PATH:/usr/sbin command -v $tool >/dev/null || { echo "skipped: $tool is not installed" && GALERA_SKIP=1; }
    done
    if [ -n "${GALERA_SKIP:-}" ]; then [ -z "${QUORATE_COUNTS:-}" ] || echo "0 0 1" >>"$QUORATE_COUNTS"; exit 0; fi
    three=() two=() two_and_one=() bare=() before=()
    for name in "${all[@]}"; do
        case $name in
        two_nodes*) two+=("$name") ;;
        arbitrated) two_and_one+=("$name") ;;
        without_passwords) bare+=("$name") ;;
        adopted_running) before+=("$name") ;;
        *) three+=("$name") ;;
        esac
    done
    worst=0
    run_inside 3 rsync "${three[@]}" || worst=$?
    run_inside 2 rsync "${two[@]}" || worst=$?
    run_inside 2 mariabackup "${two_and_one[@]}" || worst=$?
    GALERA_LOGIN="accounts: socket" run_inside 2 mariabackup "${bare[@]}" || worst=$?
    run_inside 3 rsync "${before[@]}" || worst=$?
    exit "$worst"
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
. tests/integration/galera/operations.sh
. tests/integration/galera/adopt.sh

trap leave EXIT
case $GALERA_SCENARIOS in adopted_running) make_hosts ;; *) make_cluster ;; esac
for scenario in $GALERA_SCENARIOS; do
    start=$SECONDS
    "$scenario"
    note "$scenario took $((SECONDS - start)) s"
done
report_end galera
