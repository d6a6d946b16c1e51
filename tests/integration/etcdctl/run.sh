#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Debian's etcdctl 3.4, unchanged, through all its commands against three quorum nodes with TLS. What it prints is
# compared with expected.txt: what it prints against Debian's etcd-server, ids, ports and terms aside.
# usage: run.sh            PEER=etcd runs the same against etcd; PEER=etcd RECORD=1 writes expected.txt anew
#                          PERF=1 adds 'check perf' (60 s)
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
HERE=tests/integration/etcdctl
. $HERE/session.sh
if ! command -v etcdctl >/dev/null || { is_etcd && ! command -v etcd >/dev/null; }; then
    skip "etcdctl" "etcd-client (with PEER=etcd also etcd-server) is not installed; run 'make deps-tests'"
    report_end etcdctl
fi
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-etcdctl.XXXXXX")
trap 'cluster_stop; keep_logs etcdctl; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
store_setup
for node in q1 q2 q3; do store_start "$node"; done
check "three nodes elect a leader" wait_until 15 store_has_leader
for part in keys txn watch lease operate members users space; do
    . "$HERE/$part.sh"
done
finish_expected
report_end etcdctl
