#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Nodes of a quorum start in random order with pauses between: with empty disks, with what they had, with one
# that is stopped for a moment. Soon after the last one has started, each takes writes and has applied them.
# usage: starts.sh     environment: ROUNDS, SEED, NODES=3|5, BIN
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
RANDOM=${SEED:-1}
ROUNDS=${ROUNDS:-30}
NODES=${NODES:-3}
SOON=${SOON:-2} # seconds
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-starts.XXXXXX")
trap 'cluster_stop; keep_logs starts; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup "$NODES"
shuffle() { # sets ORDER
    mapfile -t ORDER < <(printf '%s\n' "${QUORUM[@]}" | awk -v seed="$RANDOM" 'BEGIN { srand(seed) } { print rand() " " $1 }' | sort | cut -d' ' -f2)
}
nap_up_to() { sleep "0.$(printf %03d $((RANDOM % $1)))"; }
at_node() { # NODE CMD...
    local node=$1
    shift
    "$DIR/bin/kv" --endpoints "https://127.0.0.1:${CLIENT_PORT[$node]}" --cacert "$DIR/tls/ca.crt" \
        --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key" --timeout 500ms "$@"
}
# A write through each node, and all of them applied everywhere.
all_follow() {
    local node
    for node in "${QUORUM[@]}"; do at_node "$node" put "start/$node" "$round" || return 1; done
    for node in "${QUORUM[@]}"; do
        [ "$(at_node "$node" get start/ --prefix --consistency s -o json | jq "[.kvs[] | select(.value == \"$round\")] | length")" = "$NODES" ] ||
            return 1
    done
}
soon() {
    local end=$(($(now_us) + SOON * 1000000))
    until "$@" >/dev/null 2>&1; do [ "$(now_us)" -lt "$end" ] || return 1; done
}
for round in $(seq "$ROUNDS"); do
    what="with what they had"
    for node in "${QUORUM[@]}"; do quorum_kill "$node"; : >"$DIR/log/$node"; done
    if [ "$round" -eq 1 ] || [ $((RANDOM % 4)) -ne 0 ]; then
        what="with empty disks"
        for node in "${QUORUM[@]}"; do rm -rf "${DIR:?}/$node" && mkdir "$DIR/$node"; done
        own
    fi
    shuffle
    for node in "${ORDER[@]}"; do
        quorum_start "$node"
        case $((RANDOM % 4)) in
        0) ;;
        1) nap_up_to 100 ;;
        2) nap_up_to 900 ;;
        3) # it is slow just now
            nap_up_to 60
            kill -STOP "$(pid_of "$node")" && nap_up_to 400 && kill -CONT "$(pid_of "$node")"
            what="$what, $node slow"
            ;;
        esac
    done
    at=$(now_us)
    failed=$FAILED
    check "round $round: ${ORDER[*]} $what: each follows within $SOON s" soon all_follow
    if [ "$FAILED" -ne "$failed" ]; then
        wait_until 20 all_follow && note "it took $((($(now_us) - at) / 1000)) ms" || note "not even after 20 s"
        for node in "${ORDER[@]}"; do
            note "log of $node:"
            grep -v "ev=settings\|ev=clients" "$DIR/log/$node" | tail -n 8 | cut -c1-200
        done
    fi
done
report_end starts
