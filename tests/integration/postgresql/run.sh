#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real cluster on loopback, broken in many ways: three quorum nodes, three PostgreSQL members, writers that keep what
# was acknowledged, and probers inside every member's host.
# usage: run.sh [SCENARIO...]     names as in `all` and `long` below; without any: all of `all`; long: those of `long`
#   LONG=1    longer windows where time is the matter
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/mounts.sh
. tests/support/report.sh
for part in setup guard agents quorum input crash rejoin switchover slots; do . "tests/integration/postgresql/$part.sh"; done

all=(agent_stopped guard_killed guard_stopped host_paused quorum_away quorum_away_long
    agent_replaced guard_upgraded agent_ended postmaster_killed diverged leader_killed leader_stopped
    leader_disk_hangs calm memory bad_start bad_identity duplicate_member foreign_directory started_by_hand by_cgroup
    wait_cancelled promoted_by_hand switchover_hung_archiver all_back_primary_missing)
long=(crashed_async start_fails postmaster_stopped host_and_node_killed winner_killed standby_flaps replay_paused
    clone_killed rewind_killed all_back_primary_last node_rolled_back all_nodes_stopped
    switchover_under_writes switchover_hung_walsender switchover_cancelled switchover_scheduled slot_limit_passed paused guard_refuses)
[ $# -gt 0 ] || set -- "${all[@]}"
[ "$*" != long ] || set -- "${long[@]}"
# PostgreSQL's programs with a hand on some of them (rejoin.sh), and an archive_command that can hang (switchover.sh).
adapt_member() {
    [ -d "$DIR/pgbin" ] || tools_make
    sed -i "s|^  bin_dir: .*|  bin_dir: $DIR/pgbin|" "$DIR/$1.yml"
    printf '    archive_mode: "on"\n    archive_command: "if [ -e %s/hang.archive ]; then sleep 60; : archive-hangs-%s; fi"\n' "$DIR" $$ >>"$DIR/$1.yml"
}
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
