#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three nodes of etcd or of ours on loopback with default durability, without TLS: sourced by dcs.sh.
#
#   nodes_start SYSTEM DIR [WRAP...]   three new nodes in DIR; waits for a leader. PIDS, PORTS, PEERS, ENDPOINTS
#   node_start SYSTEM DIR I [WRAP...]  one of them again; node_command SYSTEM DIR I sets COMMAND
#   leader_find                        LEADER (index), FOLLOWER, REVISION
#   nodes_stop                         everything that was started here
# WRAP is put before the command (strace ...).

PORTS=() PEERS=() PIDS=() ENDPOINTS=""
COMMAND=() LEADER=0 FOLLOWER=1 REVISION=0

ports_choose() {
    local i
    PORTS=() PEERS=()
    for i in 0 1 2; do
        free_port "PORTS[$i]" 22379
        free_port "PEERS[$i]" 22479
    done
    ENDPOINTS=127.0.0.1:${PORTS[0]},127.0.0.1:${PORTS[1]},127.0.0.1:${PORTS[2]}
}

node_command() { # SYSTEM DIR I
    local dir=$2 i=$3 k all=""
    if [ "$1" = etcd ]; then
        for k in 0 1 2; do all+=,n$k=http://127.0.0.1:${PEERS[$k]}; done
        COMMAND=(etcd --name "n$i" --data-dir "$dir/n$i" --logger zap --log-level error
            --listen-client-urls "http://127.0.0.1:${PORTS[$i]}" --advertise-client-urls "http://127.0.0.1:${PORTS[$i]}"
            --listen-peer-urls "http://127.0.0.1:${PEERS[$i]}" --initial-advertise-peer-urls "http://127.0.0.1:${PEERS[$i]}"
            --initial-cluster "${all#,}" --quota-backend-bytes 8589934592)
    else
        for k in 0 1 2; do all+=,n$k=127.0.0.1:${PEERS[$k]}; done
        COMMAND=("$BIN/quorated" --insecure "--name=n$i" "--data_dir=$dir/n$i" "--quorum.nodes=${all#,}"
            "--client.listen=127.0.0.1:${PORTS[$i]}" --metrics.listen=off "${QUORATED_FLAGS[@]}")
    fi
}

node_start() { # SYSTEM DIR I [WRAP...]
    local system=$1 dir=$2 i=$3
    shift 3
    node_command "$system" "$dir" "$i"
    mkdir -p "$dir/n$i"
    chmod 700 "$dir/n$i"
    "$@" "${COMMAND[@]}" >>"$dir/n$i.log" 2>&1 </dev/null &
    PIDS[i]=$!
    disown
}

leader_find() {
    local status
    status=$("$BIN/dcsprobe" status "$ENDPOINTS" 2>/dev/null) || return 1
    LEADER=$(jq .leader <<<"$status")
    REVISION=$(jq .revision <<<"$status")
    FOLLOWER=$(((LEADER + 1) % 3))
}

nodes_start() { # SYSTEM DIR [WRAP...]
    local system=$1 dir=$2 i
    shift 2
    rm -rf "$dir"
    mkdir -p "$dir"
    ports_choose
    for i in 0 1 2; do node_start "$system" "$dir" "$i" "${@//NODE/n$i}"; done
    wait_until 20 leader_find || die "$system: no leader within 20 s; $(tail -n 2 "$dir"/n0.log)"
    leader_find
}

nodes_stop() {
    local pid
    for pid in "${PIDS[@]}"; do kill -TERM "$pid" 2>/dev/null; done
    for pid in "${PIDS[@]}"; do
        timeout 10 tail -s 0.05 --pid="$pid" -f /dev/null || kill -KILL "$pid" 2>/dev/null
    done
    PIDS=()
    ports_release
    PORTS_TAKEN=()
    return 0
}

# The program itself below a wrapper.
node_pid() { # I
    pgrep -P "${PIDS[$1]}" | head -n 1 | grep . || echo "${PIDS[$1]}"
}

hwm_bytes() { # I: highest resident memory so far
    awk '/^VmHWM/ { printf "%d\n", $2 * 1024 }' "/proc/${PIDS[$1]}/status"
}

cpu_ticks() { # PID: user and system time
    sed 's/.*) //' "/proc/$1/stat" | awk '{ print $12 + $13 }'
}
