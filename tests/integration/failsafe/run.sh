#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Failsafe against real processes (safety.md section 9): without a quorum the primary goes on while every member grants it over
# mutual TLS, is frozen when one of them is silent, and the cluster is as it was when the quorum is back. usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/jq.sh
. tests/integration/restore/common.sh
. tests/integration/postgresql/crash.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-failsafe.XXXXXX")
trap 'load_stop; cluster_stop; keep_logs failsafe; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
NAME=failsafe

is_failsafe_known() { record | jq -e ".failsafe_members | length == 2" >/dev/null; }
acks_now() { acks_after "$ACKED" "$(($(now_us) - 300000))"; }

cluster_init "$work"
quorum_setup 1
quorum_start q1
wait_until 15 quorum_has_leader || die "the quorum has no leader"
members_setup pg-main 3
MEMBERS=(pg1 pg2 pg3)
for member in "${MEMBERS[@]}"; do member_start "$member"; done
wait_until 90 is_settled_all || die "the members do not become healthy"
wait_until 20 has_primary || die "no primary"
load_prepare || die "no table to write to"
P=$(primary)
set_config failsafe=true
check "the record names who is asked" wait_until 20 is_failsafe_known
ACKED=$work/acked
load_start "$ACKED" --clients 2 --pause-us 5000
wait_until 15 eval '[ "$(wc -l <"$ACKED")" -gt 100 ]' || bad "no writes get through"
EPOCH=$(epoch)

quorum_stop q1 || bad "the quorum node does not end"
AT=$(now_us)
wait_until 3 eval 'said "$P" "goes on while every member grants it"'
check "the primary goes on without a quorum" said "$P" "goes on while every member grants it"
# Longer than any lease that the quorum had given.
wait_until 8 eval '[ "$(($(now_us) - AT))" -gt 6000000 ]'
check "... and commits get through after 6 s" wait_until 5 acks_now
check "... under /primary" member_is "$P" /primary
note "longest write gap without a quorum $(gap_after "$ACKED" "$AT" 600000000) ms"

S=$(standbys_of "$P" | head -n 1)
kill -STOP "$(pid_of "$S")"
check "one silent member ends it" wait_until 8 eval '! member_is "$P" /primary'
kill -CONT "$(pid_of "$S")"
quorum_start q1
check "the quorum is back, and so is the primary" wait_until 60 has_primary
wait_until 60 is_settled_all || bad "not settled" "$(shown)"
note "epoch $EPOCH before, $(epoch) now"
load_stop
check_output "nothing acknowledged is lost ($(acked_of "$ACKED"))" 0 lost_of "$ACKED"
report_end failsafe
