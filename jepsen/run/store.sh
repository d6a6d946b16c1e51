#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The quorum of a run: nodes q1..qN on hosts of their own, ours or Debian's etcd. Sourced inside the sandbox.
#
#   store_setup N       hosts, certificates, configurations       node_start NAME   node_up NAME   node_pid NAME
#   store_status        lines "NAME is_leader term", who answers  store_leader      store_up_count
#   store_hashes        the hash of each node at one revision     store_member_id NAME
#   node_kv NAME ARGS   the kv tool at that node, from its place in the network
#
# PEER is quorate or etcd; ELECTION_MS, SNAPSHOT (entries kept) and BIN come from the run. NODES are the names, OUT the
# run's folder: everything that is to be looked at afterwards is below it.

NODES=()
kv_flags() { # sets KV_FLAGS
    KV_FLAGS=()
    [ "$PEER" = etcd ] || KV_FLAGS=(--cacert "$OUT/tls/ca.crt" --cert "$OUT/tls/admin-admin.crt" --key "$OUT/tls/admin-admin.key")
}
node_url() { echo "$SCHEME://$(host_address "$1"):2379"; }
node_peer_url() { echo "$SCHEME://$(host_address "$1"):2380"; }
node_kv() {
    local name=$1
    shift
    client_exec "$name" timeout 3 "$BIN/kv" "$@" --endpoints "$(node_url "$name")" "${KV_FLAGS[@]}"
}

store_setup() { # N
    local i name
    SCHEME=https NODE_COMM=quorated
    [ "$PEER" != etcd ] || { SCHEME=http; NODE_COMM=etcd; }
    mkdir -p "$OUT/tls" "$OUT/log" "$OUT/pids" "$OUT/status"
    for i in $(seq "$1"); do NODES+=("q$i"); done
    hosts_make "${NODES[@]}" c1 || return 1
    ENDPOINTS=""
    for name in "${NODES[@]}"; do ENDPOINTS+=${ENDPOINTS:+,}$(node_url "$name"); done
    kv_flags
    [ "$PEER" = etcd ] || certificates || return 1
    for name in "${NODES[@]}"; do node_configure "$name" new; done
}
certificates() {
    local name
    "$BIN/kv" cert ca --dir "$OUT/tls" >/dev/null &&
        "$BIN/kv" cert issue --role admin --name admin --dir "$OUT/tls" >/dev/null || return 1
    for name in "${NODES[@]}"; do
        "$BIN/kv" cert issue --role node --name "$name" --host "$(host_address "$name")" --dir "$OUT/tls" >/dev/null || return 1
    done
}
all_nodes() { # FORMAT with %s NAME and %s ADDRESS
    local node
    # shellcheck disable=SC2059 # the format is the caller's
    for node in "${NODES[@]}"; do printf "$1" "$node" "$(host_address "$node")"; done
}
node_configure() { # NAME new|existing
    [ "$PEER" = etcd ] && { echo "$2" >"$OUT/$1.state"; return; }
    cat >"$OUT/$1.yml" <<YML
name: $1
data_dir: $(host_data "$1")/node
quorum:
  token: jepsen
  state: $2
  snapshot_count: $SNAPSHOT
  nodes:
$(all_nodes '    %s: %s:2380\n')
  clients:
$(all_nodes '    %s: https://%s:2379\n')
client:
  listen: $(host_address "$1"):2379
raft:
  election: ${ELECTION_MS}ms
  heartbeat: $((ELECTION_MS / 5))ms
tls:
  ca: $OUT/tls/ca.crt
  cert: $OUT/tls/node-$1.crt
  key: $OUT/tls/node-$1.key
YML
}
node_command() { # NAME; sets COMMAND
    local cluster
    COMMAND=("$BIN/quorated" --config "$OUT/$1.yml")
    [ "$PEER" = etcd ] || return 0
    cluster=$(all_nodes '%s=http://%s:2380,')
    COMMAND=(etcd --name "$1" --data-dir "$(host_data "$1")/node" --logger zap --log-level error
        --listen-client-urls "$(node_url "$1")" --advertise-client-urls "$(node_url "$1")"
        --listen-peer-urls "$(node_peer_url "$1")" --initial-advertise-peer-urls "$(node_peer_url "$1")"
        --initial-cluster "${cluster%,}" --initial-cluster-state "$(cat "$OUT/$1.state")" --initial-cluster-token jepsen
        --heartbeat-interval $((ELECTION_MS / 5)) --election-timeout "$ELECTION_MS" --snapshot-count "$SNAPSHOT")
}
node_pid() { cat "$OUT/pids/$1" 2>/dev/null; }
node_up() { [ -n "$(node_pid "$1")" ] && kill -0 "$(node_pid "$1")" 2>/dev/null; }
node_start() {
    node_up "$1" && return 0
    node_command "$1"
    mkdir -p "$(host_data "$1")/node" && chmod 700 "$(host_data "$1")/node" || return 1
    host_spawn "$1" "$OUT/log/$1" "${COMMAND[@]}" >"$OUT/pids/$1"
}
node_stop() {
    kill -TERM "$(node_pid "$1")" 2>/dev/null
    wait_for 10 eval "! node_up $1"
}
node_kill() {
    kill -KILL "$(node_pid "$1")" 2>/dev/null
    wait_for 5 eval "! node_up $1"
}

# What each node says, asked of all at once; who says nothing within PATIENCE is down.
store_status() {
    local name pids=()
    for name in "${NODES[@]}"; do
        node_kv "$name" status -o json --timeout "${PATIENCE:-800ms}" >"$OUT/status/$name" 2>/dev/null &
        pids+=($!)
    done
    wait "${pids[@]}"
    for name in "${NODES[@]}"; do
        jq -r --arg name "$name" '.[] | select(.up) | "\($name) \(.is_leader) \(.raft_term) \(.id)"' "$OUT/status/$name" 2>/dev/null
    done
}
# A node looks at the wall clock when it checks a certificate: a new connection makes it.
clock_read() { node_kv "$1" status --timeout 500ms >/dev/null 2>&1; }
store_leader() { store_status | awk '$2 == "true" { print $3, $1 }' | sort -n | tail -n 1 | cut -d' ' -f2; }
store_has_leader() { [ -n "$(store_leader)" ]; }
store_up_count() { store_status | wc -l; }
store_all_up() { [ "$(store_up_count)" = "${#NODES[@]}" ]; }
store_hashes() {
    local name
    for name in "${NODES[@]}"; do node_kv "$name" hash -o json --timeout 2s | jq -r '.[] | "\(.hash) \(.revision)"'; done
}
store_same_hashes() {
    local hashes
    hashes=$(store_hashes)
    [ "$(wc -l <<<"$hashes")" = "${#NODES[@]}" ] && [ "$(sort -u <<<"$hashes" | wc -l)" = 1 ]
}

# --- members, through a node that is not concerned
store_other() { # NAME: the leader, or anybody else
    local leader
    leader=$(store_leader)
    [ "$leader" != "$1" ] && [ -n "$leader" ] && { echo "$leader"; return; }
    printf '%s\n' "${NODES[@]}" | grep -vx "$1" | head -n 1
}
store_member_id() { # NAME, asked of OTHER
    node_kv "$2" member list --local -o json --timeout 2s 2>/dev/null |
        jq -r --arg url "$(node_peer_url "$1")" '.[] | select(.peer_urls == $url) | .id'
}
member_remove() { # NAME OTHER
    local id
    id=$(store_member_id "$1" "$2")
    [ -z "$id" ] || node_kv "$2" member remove "$id" --timeout 2s >/dev/null 2>&1
    [ -z "$(store_member_id "$1" "$2")" ]
}
member_add() { # NAME OTHER
    [ -n "$(store_member_id "$1" "$2")" ] && return 0
    node_kv "$2" member add "$1" --peer-urls="$(node_peer_url "$1")" --timeout 2s >/dev/null 2>&1
    [ -n "$(store_member_id "$1" "$2")" ]
}
