#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the demo and the sabotaged demo as tests, beside a demo that may be running. The demo must end well and lose
# nothing in each of its three steps; with SABOTAGE=async it must show a loss and fail.
set -u
cd "$(dirname "$0")/.." || exit 2
. tests/support/report.sh
DIR=$(mktemp -d "${TMPDIR:-/var/tmp}/quorate-demo-check.XXXXXX")
chmod 711 "$DIR" # the daemons run as another user
trap 'rm -rf "$DIR"' EXIT
export DEMO_STOP=1 BIN=build/release/bin

DEMO_DIR=$DIR/demo bash packaging/demo.sh >"$DIR/demo.out" 2>&1
rc=$?
tail -n 3 "$DIR/demo.out"
check "the demo ends well" test "$rc" -eq 0
check "three steps, nothing lost" test "$(tail -n 3 "$DIR/demo.out" | grep -c 'lost 0$')" -eq 3
[ "$rc" -eq 0 ] || tail -n 25 "$DIR/demo.out"
check "it leaves no process and no file" eval '[ ! -e "$DIR/demo" ] && ! pgrep -f "$DIR/demo" >/dev/null'

DEMO_DIR=$DIR/sabotage SABOTAGE=async bash packaging/demo.sh >"$DIR/sabotage.out" 2>&1
rc=$?
tail -n 1 "$DIR/sabotage.out"
check "without synchronous replication the loss is shown" eval \
    '[ "$rc" -eq 1 ] && tail -n 1 "$DIR/sabotage.out" | grep -qE "lost [1-9][0-9]*$"'
grep -qE "lost [1-9]" "$DIR/sabotage.out" || tail -n 25 "$DIR/sabotage.out"
report_end demo
