#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make demo-galera`: three quorum nodes, three agents and three real MariaDB Galera nodes, each on a host of its own (network
# namespaces of a sandbox: as root, or through sudo), and clients that write through Debian's haproxy. The writer is switched,
# killed and cut off, then all nodes are killed at once; last a cluster of two nodes loses either of them. Nothing acknowledged
# may be missing on any node. Ends by itself and leaves nothing behind but the logs of a failure (build/failed/galera).
#
#   DEMO_MB=n    data in the tables when all nodes are killed (100)
set -u
export BIN=${BIN:-build/release/bin} DEMO_MB=${DEMO_MB:-100}
if [ -z "${DEMO_NODES:-}" ]; then
    cd "$(dirname "$0")/.." || exit 2
    if [ "$(id -u)" -ne 0 ]; then
        sudo -n true 2>/dev/null || { echo "demo-galera makes network namespaces: run it as root" >&2; exit 1; }
        exec sudo -n env BIN="$BIN" DEMO_MB="$DEMO_MB" bash packaging/demo-galera.sh
    fi
    DEMO_RESULTS=$(mktemp) || exit 1
    export DEMO_RESULTS
    trap 'rm -f "$DEMO_RESULTS"' EXIT
    code=0
    for nodes in 3 2; do
        DEMO_NODES=$nodes bash jepsen/hosts/sandbox.sh -t 900 "$PWD/packaging/demo-galera.sh" || { code=$? && break; }
    done
    printf '\n'
    cat "$DEMO_RESULTS"
    [ "$code" -ne 77 ] || echo "the sandbox cannot be made here: see above" >&2
    exit "$code"
fi

. tests/support/cluster.sh
. tests/support/report.sh
SYSTEM=galera
. jepsen/sql/topology.sh
mapfile -t DATABASES < <(seq -f d%.0f "$DEMO_NODES")
. jepsen/sql/faults.sh
. jepsen/galera/topology.sh
. tests/integration/galera/setup.sh
ok() { :; } # what succeeds needs no line of its own
trap leave EXIT
title() { printf '\n== %s\n' "$*"; }

results() { printf '%s\n' "$*" | tee -a "$DEMO_RESULTS"; }
why() { # of the last decision: what it was, from whom it was chosen, how the time was spent
    local text
    text=$(explained | sed -n '/^epoch /,$p')
    { head -n 2 <<<"$text"; tail -n +3 <<<"$text" | tail -n 8; } | sed 's/^/      /'
}
everybody() { printf '%s\n' "${DATABASES[@]}" | comma; }
# step NAME FUNCTION: clients write, something is done to the cluster, and it is counted when all has settled again.
step() {
    local name=$1 back
    title "$name"
    begin "$name"
    "$2"
    writes_go_on 120 || bad "$name: no writes get through" "$(shown)"
    faults_off
    wait_until 120 cluster_healthy || bad "$name: the cluster is not healthy afterwards" "$(shown)"
    back=$(($(now_us) - AT))
    finish
    results "$(printf '%-36s longest write gap %7.0f ms   acknowledged %6d   missing %s' "$name" "$GAP" "$(acks | wc -l)" "$LOST")"
    note "all nodes are back after $((back / 1000)) ms"
    why
    "${KV[@]}" db show "$SQL_CLUSTER"
}
planned() {
    AT=$(now_us)
    "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 40s
}
killed() {
    say "kill -9 of mariadbd at the writer, $P"
    fault_on db-kill "$P"
    AT=$(now_us)
}
cut_off() {
    say "$P is cut from everybody: the other nodes, the quorum, the clients"
    AT=$(now_us)
    fault_on isolate "$P"
    wait_until 60 other_is_writer
}
all_die() {
    say "kill -9 of mariadbd on every node at once, with $(data_mb "$P") MB in the directory of $P"
    AT=$(now_us)
    fault_on db-kill-all "$(everybody)"
}
lost_one() { # NAME
    say "$1 is cut from everybody"
    AT=$(now_us)
    fault_on isolate "$1"
    sleep 1 # whoever was written to until now cannot be any more
}
lose_writer() { lost_one "$P"; }
lose_reader() { lost_one "$(readers | head -n 1)"; }
data_mb() { du -sm "$(data_of "$1")/mysql" | cut -f1; }
memory() {
    local name
    title "Private memory (smaps)"
    for name in "${QUORUM[@]}"; do printf '  quorated %-4s %6d kB\n' "$name" "$(private_kb "$(pid_of "$name")")"; done
    for name in "${DATABASES[@]}"; do
        printf '  agent    %-4s %6d kB   mariadbd %7d kB\n' "$name" "$(private_kb "$(pid_of "$name")")" "$(private_kb "$(postmaster_of "$name")")"
    done
}

title "Three quorum nodes, $DEMO_NODES agents, $DEMO_NODES Galera nodes, haproxy"
make_cluster
"${KV[@]}" status
"${KV[@]}" db list
"${KV[@]}" db show "$SQL_CLUSTER"
if [ "$DEMO_NODES" = 3 ]; then
    step "1. planned switch of the writer" planned
    step "2. the writer is killed" killed
    step "3. the writer is cut off" cut_off
    fill "$DEMO_MB"
    step "4. all three are killed at once" all_die
    memory
else
    step "5. of two nodes, the writer is lost" lose_writer
    step "6. of two nodes, the other is lost" lose_reader
fi
[ "$FAILED" -eq 0 ]
