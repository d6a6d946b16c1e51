#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Tags of upstreams against real processes: pg3 wishes to receive from pg2, which is also whom others are cloned from. The wish is
# followed while pg2 streams, the primary otherwise. usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/integration/restore/common.sh
. tests/integration/postgresql/crash.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-cascade.XXXXXX")
trap 'cluster_stop; keep_logs cascade; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
NAME=cascade

streams_to() { [ "$(sql "$1" "SELECT count(*) FROM pg_stat_replication WHERE application_name = '$2' AND state = 'streaming'")" = 1 ]; } # UPSTREAM MEMBER
upstream_is() { [ "$(cluster_json | jq -r --arg m "$1" '.members[] | select(.name == $m) | .upstream')" = "$2" ]; }

cluster_init "$work"
quorum_setup 1
quorum_start q1
wait_until 15 quorum_has_leader || die "the quorum has no leader"
members_setup pg-main 3
printf 'tags:\n  clonefrom: yes\n' >>"$DIR/pg2.yml"
printf 'tags:\n  replicatefrom: pg2\n' >>"$DIR/pg3.yml"
MEMBERS=(pg1 pg2 pg3)
member_start pg1
wait_until 60 member_is pg1 /primary || die "pg1 did not make the database"
member_start pg2
wait_until 60 streams_to pg1 pg2 || die "pg2 does not come in"
member_start pg3
check "pg3 receives from pg2" wait_until 60 streams_to pg2 pg3
check "... and pg2 from the primary" streams_to pg1 pg2
check "... which kv db show tells" wait_until 10 upstream_is pg3 pg2

member_kill_host pg2
check "without pg2 it receives from the primary" wait_until 20 streams_to pg1 pg3
member_start pg2
check "pg2 is back" wait_until 60 member_is pg2 /replica
check "... and pg3 turns to it again" wait_until 60 streams_to pg2 pg3

check "kv db reinit pg3" "${KV[@]}" db reinit pg-main pg3 --force --wait --timeout 60s
check "a clone of pg2 follows pg2" wait_until 60 streams_to pg2 pg3
check "cloned from pg2, not from the primary" eval 'grep -q "copies the database of: pg2" "$DIR/log/pg3"'

P=pg1
check "kv db switchover to pg2" "${KV[@]}" db switchover pg-main --to pg2 --wait --timeout 30s
check "the wished one is the primary now, and followed" wait_until 60 streams_to pg2 pg3
check "pg1 follows as well" wait_until 60 streams_to pg2 pg1
report_end cascade
