#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Peers that harm, on every port of real nodes: three with TLS, one without. While they do, writers go on; after each kind no put has
# failed and the longest gap is small; at the end memory and descriptors are back and nobody has lost the lead.
# usage: run.sh [KIND ...]
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-hostile.XXXXXX")
LOADS=() ATTACKS=()
cleanup() {
    local pid
    for pid in "${LOADS[@]}" "${ATTACKS[@]}"; do kill -TERM "$pid" 2>/dev/null; done
    cluster_stop
    keep_logs hostile
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
ulimit -n "$(ulimit -Hn)"
BIN=$(cd "$BIN" && pwd)
cluster_init "$work"
quorum_setup 3
TLS=(--cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key")
STRANGER=(--cacert "$DIR/tls/ca.crt") # over TLS, without a certificate
# Two cores are shared with those who harm: what is tested is not who gets them first.
for node in "${QUORUM[@]}"; do
    sed -i "s/^quorum:/raft: {heartbeat: 100ms, election: 1s}\nquorum:/" "$DIR/$node.yml"
    quorum_start "$node"
done
# A fourth node, alone and without TLS.
free_port "CLIENT_PORT[alone]" 2479
free_port "PEER_PORT[alone]" 2480
free_port "METRICS_PORT[alone]" 2481
mkdir -p "$DIR/alone"
cat >"$DIR/alone.yml" <<YML
name: alone
data_dir: $DIR/alone
insecure: yes
quorum:
  nodes: {alone: "127.0.0.1:${PEER_PORT[alone]}"}
client: {listen: "127.0.0.1:${CLIENT_PORT[alone]}"}
metrics: {listen: "127.0.0.1:${METRICS_PORT[alone]}"}
YML
own
quorum_start alone
PLAIN=("$DIR/bin/kv" --endpoints "http://127.0.0.1:${CLIENT_PORT[alone]}")
check "three nodes elect a leader" wait_until 15 quorum_has_leader
check "the one without TLS answers" wait_until 10 "${PLAIN[@]}" put ready 1
leader=$(quorum_leader)
term() { "${KV[@]}" status -o json --timeout 2s | jq -r '.[] | select(.is_leader) | .raft_term // .term'; }
value=$(head -c 60000 /dev/zero | tr '\0' v)
for i in 1 2 3 4 5 6 7 8; do # something to be read by who asks for everything
    "${KV[@]}" put "large/$i" "$value" >/dev/null
    "${PLAIN[@]}" put "large/$i" "$value" >/dev/null
done

# --- the writers, as long as it lasts
load() { # FILE ENDPOINTS [TLS]
    local file=$1 endpoints=$2
    shift 2
    : >"$file"
    "$BIN/kvload" put --endpoints "$endpoints" "$@" --out "$file" --clients 2 --seconds 300 >"$file.summary" 2>&1 &
    LOADS+=($!)
}
load "$work/tls.acked" "$ENDPOINTS" "${TLS[@]}"
load "$work/plain.acked" "http://127.0.0.1:${CLIENT_PORT[alone]}"
grown() { [ "$(wc -l <"$work/tls.acked")" -gt 300 ] && [ "$(wc -l <"$work/plain.acked")" -gt 300 ]; }
check "puts are acknowledged" wait_until 15 grown
descriptors() { ls "/proc/$(pid_of "$1")/fd" | wc -l; }
settle_from=$(now_us)
sleep 1.5 # time itself is the matter: the longest gap of a calm second
calm=0
for kind in tls plain; do
    gap=$(gap_after "$work/$kind.acked" "$settle_from" 1500000 | cut -d. -f1)
    [ "$gap" -gt "$calm" ] && calm=$gap
done
# A put may take this much longer than in a calm second: two cores are shared with those who harm.
LIMIT=$((calm * 20 > 1500 ? calm * 20 : 1500))
declare -A MEMORY=() FILES=()
for node in "${QUORUM[@]}" alone; do
    MEMORY[$node]=$(private_kb "$(pid_of "$node")")
    FILES[$node]=$(descriptors "$node")
done
began_in=$(term)
note "leader $leader, term $began_in, longest gap of a calm second $calm ms, then at most $LIMIT ms"

# --- those who harm
attack() { # KIND COUNT PORT [TLS]: in the background
    local kind=$1 count=$2 port=$3
    shift 3
    nice -n 19 timeout 20 "$BIN/hostile" "$kind" "127.0.0.1:$port" --count "$count" --seconds "$SECONDS_EACH" "$@" >>"$work/attacks" 2>&1 &
    ATTACKS+=($!)
}
suffered() { # START: what the writers have noticed
    local start=$1 kind gap worst=0 window
    window=$(($(now_us) - start))
    for kind in tls plain; do
        gap=$(gap_after "$work/$kind.acked" "$start" "$window" | cut -d. -f1)
        [ "$gap" -gt "$worst" ] && worst=$gap
    done
    SUFFERED="longest gap $worst ms in $((window / 1000)) ms"
    [ "$worst" -le "$LIMIT" ]
}
harm() { # NAME PORTS KIND COUNT: all ports of the leader and of the node alone
    local name=$1 ports=$2 kind=$3 count=$4 start port
    start=$(now_us)
    ATTACKS=()
    for port in $ports; do
        case $port in
        client) attack "$kind" "$count" "${CLIENT_PORT[$leader]}" "${TLS[@]}" ;;
        stranger) attack "$kind" "$count" "${CLIENT_PORT[$leader]}" "${STRANGER[@]}" ;;
        raw) attack "$kind" "$count" "${CLIENT_PORT[$leader]}" ;;
        plain) attack "$kind" "$count" "${CLIENT_PORT[alone]}" ;;
        peer) attack "$kind" "$count" "${PEER_PORT[$leader]}" ;;
        peer-tls) attack "$kind" "$count" "${PEER_PORT[$leader]}" "${TLS[@]}" ;;
        peer-plain) attack "$kind" "$count" "${PEER_PORT[alone]}" ;;
        metrics) attack "$kind" "$count" "${METRICS_PORT[$leader]}" ;;
        esac
    done
    for port in "${ATTACKS[@]}"; do wait "$port"; done
    if suffered "$start"; then ok "$name: writers are served, $SUFFERED"; else bad "$name: writers are served" "$SUFFERED"; fi
    for node in "${leader}" alone; do [ -z "${VERBOSE:-}" ] || note "$node $(private_kb "$(pid_of "$node")") kB, leader $(quorum_leader)"; done
}
ALL="client stranger raw plain peer peer-tls peer-plain metrics"
SECONDS_EACH=1
want() { [ ${#ONLY[@]} -eq 0 ] || [[ " ${ONLY[*]} " == *" $1 "* ]]; }
ONLY=("$@")
want garbage && harm "garbage" "$ALL" garbage 10
want oversized && harm "what says it is huge" "$ALL" oversized 10
want slow && harm "a byte a second" "$ALL" slow 50
want vanish && harm "connected, half a request, gone" "$ALL" vanish 20
want stuck && harm "handshakes that end in the middle" "raw peer metrics" stuck 200
want idle && harm "2000 silent connections" "raw plain" idle 2000
want idle && harm "300 with TLS, silent" "client peer-tls" idle-tls 300
want idle && harm "silent peers" "peer peer-plain metrics" idle 500
want streams && harm "streams without end" "client plain" streams 4
want resets && harm "streams taken back at once" "client plain" resets 4
want pings && harm "pings" "client plain" pings 4
want settings && harm "settings" "client plain" settings 4
want headers && harm "headers without end" "client plain" headers 4
want tiny && harm "windows of a byte" "client plain" tiny 10
want unread && harm "answers that nobody reads" "client plain" unread 10
want watches && harm "watches that nobody reads" "client plain" watches 20
want json && harm "JSON, deep and long" "client plain metrics" json 4

# --- what is left
calm_again() { # NODE: descriptors are back, memory is
    local files memory
    files=$(descriptors "$1")
    memory=$(private_kb "$(pid_of "$1")")
    LEFT="$1: descriptors ${FILES[$1]} -> $files, private memory ${MEMORY[$1]} -> $memory kB"
    [ "$files" -le $((FILES[$1] + 4)) ] && [ "$memory" -le $((MEMORY[$1] + 16384)) ]
}
back() { wait_until 30 calm_again "$1"; }
for node in "${QUORUM[@]}" alone; do
    check "$node has its memory and its descriptors back" back "$node"
    calm_again "$node"
    note "$LEFT"
    check "$node is the same process" is_running "$node"
done
check "the leader is the same" eval '[ "$(quorum_leader)" = "$leader" ] && [ "$(term)" = "$began_in" ]'
for pid in "${LOADS[@]}"; do kill -TERM "$pid" 2>/dev/null; wait "$pid"; done
note "$(head -n 1 "$work/tls.acked.summary")"
note "$(head -n 1 "$work/plain.acked.summary")"
[ -z "${VERBOSE:-}" ] || grep -h kvload "$work"/*.summary | sort | uniq -c
check "no put has failed" eval 'cat "$work"/*.summary | grep ^{ | jq -es "length == 2 and all(.failed == 0 and .acknowledged > 0)"'
for kind in tls plain; do
    options=("${TLS[@]}")
    endpoints=$ENDPOINTS
    [ $kind = tls ] || { options=(); endpoints=http://127.0.0.1:${CLIENT_PORT[alone]}; }
    check "everything acknowledged is there ($kind)" "$BIN/kvload" verify --endpoints "$endpoints" "${options[@]}" --out "$work/$kind.acked"
done
report_end hostile
