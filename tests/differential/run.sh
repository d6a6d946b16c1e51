#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The same requests to Debian's etcd-server and to a quorum node, one node each, first over JSON, then, with fresh
# servers, over gRPC. usage: run.sh [CASES...]     VERBOSE=1 names also what is the same
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
command -v etcd >/dev/null || { skip "etcd and quorated side by side" "etcd is not installed; run 'make deps-tests'"; report_end differential; }
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-differential.XXXXXX")
trap 'cluster_stop; keep_logs differential; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
cases=("$@")
[ $# -gt 0 ] || cases=(tests/differential/cases/[1-6]*.txt generated tests/differential/cases/9*.txt)

servers_start() { # NAME
    free_port etcd_port 22379
    free_port etcd_peer 22380
    free_port our_port 23379
    free_port our_peer 23380
    mkdir -p "$DIR/etcd-$1" "$DIR/q-$1"
    own
    spawn "etcd-$1" etcd --name e1 --data-dir "$DIR/etcd-$1" --logger zap --log-level error \
        --listen-client-urls "http://127.0.0.1:$etcd_port" --advertise-client-urls "http://127.0.0.1:$etcd_port" \
        --listen-peer-urls "http://127.0.0.1:$etcd_peer" --initial-advertise-peer-urls "http://127.0.0.1:$etcd_peer" \
        --initial-cluster "e1=http://127.0.0.1:$etcd_peer"
    spawn "q-$1" "$DIR/bin/quorated" --insecure --name q1 --data-dir "$DIR/q-$1" --quorum.nodes "q1=127.0.0.1:$our_peer" \
        --client.listen "127.0.0.1:$our_port" --metrics.listen off
    wait_until 20 curl -sf "http://127.0.0.1:$etcd_port/health" && wait_until 20 curl -sf "http://127.0.0.1:$our_port/health"
}
run_over() { # NAME [OPTION]
    local name=$1 out line
    shift
    if ! servers_start "$name"; then
        bad "both servers start for $name"
        return
    fi
    out=$("$BIN/etcddiff" --ours "127.0.0.1:$our_port" --theirs "127.0.0.1:$etcd_port" ${VERBOSE:+--verbose} \
        --accepted tests/differential/accepted.txt "$@" "${cases[@]}")
    [ $? -le 1 ] || bad "etcddiff over $name" "$out"
    grep -v '^JSON:\|^gRPC:' <<<"$out"
    line=$(tail -n 1 <<<"$out")
    note "$line"
    PASSED=$((PASSED + $(sed -E 's/.*: ([0-9]+) the same, ([0-9]+) explained.*/\1 + \2/' <<<"$line")))
    FAILED=$((FAILED + $(sed -E 's/.* ([0-9]+) different.*/\1/' <<<"$line")))
    kill -KILL "$(pid_of "etcd-$name")" "$(pid_of "q-$name")" 2>/dev/null
}
run_over JSON
run_over gRPC --grpc
report_end differential
