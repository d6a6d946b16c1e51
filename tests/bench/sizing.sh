#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What Quorate itself costs on a server: private memory, disk, bytes written and sent, of three quorum nodes with a PostgreSQL
# cluster of three and a proxy on loopback, at rest and while clients write. Prints the table of docs/sizing.md.
# usage: BIN=DIR sizing.sh [SECONDS]
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/cluster.sh
SECONDS_EACH=${1:-20}
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-sizing.XXXXXX")
trap 'load_stop 2>/dev/null; cluster_stop; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM

cpu_of() { awk '{ sub(/.*\) /, ""); print $12 + $13 }' "/proc/$1/stat"; } # in ticks
sum_of() { # FUNCTION PID...: of all
    local fun=$1 sum=0 pid
    shift
    for pid in "$@"; do sum=$((sum + $("$fun" "$pid" 2>/dev/null || echo 0))); done
    echo "$sum"
}
worst_of() { # FUNCTION PID...
    local fun=$1 worst=0 pid one
    shift
    for pid in "$@"; do
        one=$("$fun" "$pid" 2>/dev/null || echo 0)
        [ "${one:-0}" -le "$worst" ] || worst=$one
    done
    echo "$worst"
}
written_of() { awk '/^write_bytes:/ { print $2 }' "/proc/$1/io"; }
sent() { # bytes that the nodes have sent to peers and agents
    local node sum=0
    for node in "${QUORUM[@]}"; do
        sum=$((sum + $(curl -s "http://127.0.0.1:${METRICS_PORT[$node]}/metrics" | awk '/^etcd_network_peer_sent_bytes_total/ { s += $NF } END { printf "%d", s }')))
    done
    echo "$sum"
}
pids() { # nodes|agents|guards
    local name
    case $1 in
    nodes) for name in "${QUORUM[@]}"; do pid_of "$name"; done ;;
    agents) for name in "${MEMBERS[@]}"; do pid_of "$name"; done ;;
    guards) for name in "${MEMBERS[@]}"; do guard_of "$name"; done ;;
    proxy) pid_of proxy ;;
    esac
}
measure() { # WORD
    local what before=() tick net i=0 hz
    hz=$(getconf CLK_TCK)
    for what in nodes agents guards proxy; do
        # shellcheck disable=SC2046
        before+=("$(sum_of cpu_of $(pids $what))" "$(sum_of written_of $(pids $what))")
    done
    net=$(sent)
    sleep "$SECONDS_EACH"
    for what in nodes agents guards proxy; do
        # shellcheck disable=SC2046
        awk -v word="$1" -v what="$what" -v kb="$(worst_of private_kb $(pids $what))" -v ticks=$(($(sum_of cpu_of $(pids $what)) - before[i])) \
            -v written=$(($(sum_of written_of $(pids $what)) - before[i + 1])) -v hz="$hz" -v s="$SECONDS_EACH" -v n="$(pids $what | wc -l)" \
            'BEGIN { printf "| %s, %s | %.1f MB | %.2f %% | %.0f kB/s |\n", what, word, kb / 1024, 100 * ticks / hz / s / n, written / 1024 / s / n }'
        i=$((i + 2))
    done
    echo "nodes send, $1: $((($(sent) - net) / 1024 / SECONDS_EACH)) kB/s in all"
}

cluster_init "$work"
quorum_setup 3
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
wait_until 15 quorum_has_leader || die "the quorum has no leader"
members_setup main 3
for name in "${MEMBERS[@]}"; do member_start "$name"; done
wait_until 90 cluster_is healthy || die "the cluster is not healthy"
free_port PROXY 25000
free_port PROXY_HTTP 25002
"$DIR/bin/kv" cert issue --dir "$DIR/tls" --role viewer --name proxy >/dev/null
cat >"$DIR/proxy.yml" <<YML
cluster: main
primary: {listen: "127.0.0.1:$PROXY"}
replicas: {listen: "off"}
http: {listen: "127.0.0.1:$PROXY_HTTP"}
quorum: {endpoints: [${ENDPOINTS//,/, }]}
tls: {ca: $DIR/tls/ca.crt, cert: $DIR/tls/viewer-proxy.crt, key: $DIR/tls/viewer-proxy.key}
YML
own
spawn proxy "$DIR/bin/quorate-proxy" --config "$DIR/proxy.yml"
wait_until 10 is_running proxy
load_prepare || die "no table"
sleep 5 # what the start has left to do
echo "| process | private memory | processor | writes |"
measure "at rest"
load_start "$DIR/acked"
measure "under writes"
load_stop
echo "databases: $(acked_of "$DIR/acked") commits acknowledged in $SECONDS_EACH s"
echo "a node's directory: $(du -sk "$DIR/q1" | cut -f 1) kB on disk, $(du -sk --apparent-size "$DIR/q1" | cut -f 1) kB in length"
