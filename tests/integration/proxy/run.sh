#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# quorate-proxy. First before pretended databases and agents, with a quorum node whose record is written by hand:
# every move can then be seen alone. Then before a real cluster of three: switchover and crash under writes.
# usage: run.sh [pretended|cluster|memory]...
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/integration/proxy/pretended.sh
. tests/integration/proxy/cluster.sh

work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-proxy.XXXXXX")
chmod 755 "$work"
FIFOS=()
cleanup() {
    local fd
    for fd in "${FIFOS[@]}"; do exec {fd}>&-; done
    cluster_stop
    keep_logs proxy
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

parts=("$@")
[ ${#parts[@]} -gt 0 ] || parts=(pretended memory cluster)
for part in "${parts[@]}"; do "proxy_$part"; done
report_end proxy
