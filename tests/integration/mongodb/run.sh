#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Agents, guards and a quorum around a replica set of mongosim: everything that an operator or a failure does to it.
# usage: run.sh [SCENARIO...]     functions of the files beside it; `check`: those of make check; without any: all [LONG=1]
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/mongodb/setup.sh
. tests/integration/mongodb/scenarios.sh
. tests/integration/mongodb/codes.sh
. tests/integration/mongodb/layouts.sh
. tests/integration/mongodb/trust.sh
. tests/integration/mongodb/adopted.sh
. tests/integration/mongodb/anew.sh

short="founded switched primary_killed control_lost spoilt_answers"
long="founded switched switch_fails primary_killed hung_hello control_lost cut_off_report cut_off_stepdown cut_off_kill gray_report gray_kill full_disk spoilt_answers
refused_answers refused_orders liar back_in_time login_refused agent_restarted drained restarted force stale three_and_one two_and_one with_logins with_certificates watched raced quorum_anew"
[ "${1:-}" != check ] || set -- $short
# shellcheck disable=SC2086
[ $# -gt 0 ] || set -- $long

leave() {
    load_off
    [ -z "${DIR:-}" ] || cluster_stop
    keep_logs mongodb
    rm -rf "${DIR:?}"
}
trap leave EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
cluster_init "$(mktemp -d)"
set_begin --window 20000 --sync-ms 1000
set_setup mg 3
set_start
[ "$1" = founded ] || settled 60 || bad "the set was not found" "$(shown)"
for scenario; do
    start=$SECONDS
    "$scenario"
    note "$scenario took $((SECONDS - start)) s"
done
check_output "never two winners of one term, nothing committed was rolled back" "0 0" eval 'echo "$(truth twice_won) $(truth committed_rolled_back)"'
report_end mongodb
