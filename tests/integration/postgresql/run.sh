#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real cluster on loopback, broken in many ways: three quorum nodes, three PostgreSQL members, writers that keep what
# was acknowledged, and probers inside every member's host.
# usage: run.sh [SCENARIO...]     names as in `all` below; without any: all of them
#   LONG=1    longer windows where time is the matter
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/mounts.sh
. tests/support/report.sh
for part in setup guard agents quorum input; do . "tests/integration/postgresql/$part.sh"; done

all=(agent_stopped guard_killed guard_stopped host_paused quorum_away quorum_away_long
    agent_replaced agent_ended postmaster_killed diverged leader_killed leader_stopped
    leader_disk_hangs calm memory bad_start bad_identity duplicate_member foreign_directory started_by_hand by_cgroup)
[ $# -gt 0 ] || set -- "${all[@]}"
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-pg.XXXXXX")
trap 'probe_stop; load_stop; cluster_stop; cgroups_remove; keep_logs postgresql; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
make_cluster
for scenario in "$@"; do
    start=$SECONDS
    "$scenario"
    note "$scenario took $((SECONDS - start)) s"
done
report_end postgresql
