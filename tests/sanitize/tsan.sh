#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Unit tests that use threads, then one quorum node under load, with an image asked for meanwhile, under ThreadSanitizer.
# usage: tsan.sh BUILD_DIR NAME...
set -u
build=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/../.." || exit 2
. tests/support/report.sh
. tests/support/cluster.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-tsan.XXXXXX")
node=""
trap '[ -z "$node" ] || kill -KILL "$node" 2>/dev/null; ports_release; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
export TSAN_OPTIONS="suppressions=$PWD/tests/sanitize/tsan.supp halt_on_error=0 exitcode=66 log_path=$work/race"
races() { cat "$work"/race.* 2>/dev/null; }
without_races() { ! compgen -G "$work/race.*" >/dev/null || { races | grep -E 'WARNING|#[0-3] ' | head -n 40; false; }; }
one_test() { # NAME
    TMPDIR=$work timeout 600 "$build/test/$1" >"$work/out" 2>&1 || { grep -E 'FAILED|ERROR' "$work/out" | head; false; }
    without_races
}
for name in "$@"; do
    rm -f "$work"/race.*
    check "$name" one_test "$name"
done
rm -f "$work"/race.*
free_port API 22300
free_port PEER 22400
"$build/bin/quorated" --name=n1 --data_dir="$work/data" --quorum.nodes=n1=127.0.0.1:"$PEER" --client.listen=127.0.0.1:"$API" \
    --metrics.listen=off --insecure=yes --raft.election=1s --raft.heartbeat=100ms --quorum.snapshot_count=500 >"$work/log" 2>&1 &
node=$!
answers() { curl -sf -m 5 -X POST "http://127.0.0.1:$API/v3/kv/range" -d '{"key":"AA=="}'; }
check "a node starts" wait_until 60 answers
loaded() { "$build/bin/kvload" put --endpoints "127.0.0.1:$API" --clients 8 --seconds 10 --out "$work/acked" && [ -s "$work/acked" ]; }
images() { for _ in 1 2 3; do curl -sf -m 60 -X POST "http://127.0.0.1:$API/v3/maintenance/snapshot" -d '{}' -o "$work/image" || return 1; done; }
images &
imaging=$!
check "it takes writes" loaded
check "images are made meanwhile" wait "$imaging"
check "it keeps them" "$build/bin/kvload" verify --endpoints "127.0.0.1:$API" --out "$work/acked"
kill -TERM "$node"
wait "$node"
check_exit "it ends in order" 0 bash -c "exit $?"
node=""
check "no race in the daemon" without_races
report_end tsan
