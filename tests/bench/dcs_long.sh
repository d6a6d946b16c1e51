#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The longer parts of bench-dcs, one function part_NAME each: sourced by dcs.sh.
. tests/support/jq.sh

part_flushes() { both flushes_count; }

# --- write gap after kill -9 of the leader -------------------------------------------------------------------------
gap_trials() { # SYSTEM
    local system=$1 trial out tries=0
    nodes_start "$system" "$work/$system"
    for trial in $(seq "$TRIALS"); do
        leader_find || wait_until 10 leader_find || die "$system: nobody leads before trial $trial"
        if out=$("$BIN/dcsprobe" gap "$ENDPOINTS" "${PIDS[$LEADER]}" 4); then
            jq -c --arg system "$system" '{$system, leader_kill: .gap}' <<<"$out" >>"$RESULTS"
        elif [ $((tries += 1)) -gt 3 ]; then
            die "$system: $tries invalid trials"
        fi
        node_start "$system" "$work/$system" "$LEADER"
        wait_until 20 all_answer || die "$system: a node does not come back"
    done
    nodes_stop
    rm -rf "${work:?}/$system"
}
all_answer() {
    local i
    for i in 0 1 2; do
        "$BIN/kv" --endpoints "127.0.0.1:${PORTS[$i]}" get bench --count-only --timeout 1s >/dev/null 2>&1
        [ $? -le 1 ] || return 1
    done
}
part_gap() { both gap_trials; }

# --- start of a node that has much data ----------------------------------------------------------------------------
start_trials() { # SYSTEM
    local system=$1 dir=$work/$1 trial out keys=$((START_MB * 1024 / 8)) node
    local flags=("${QUORATED_FLAGS[@]}")
    QUORATED_FLAGS+=("--store.map_size=16GiB" "--quota-backend-bytes=8589934592")
    nodes_start "$system" "$dir"
    "$BIN/dcsprobe" fill "$ENDPOINTS" "$keys" 8192 >/dev/null || die "$system: $START_MB MB cannot be put"
    for trial in 1 2 3; do
        leader_find || die "$system: nobody leads"
        node=$FOLLOWER
        kill -TERM "${PIDS[$node]}"
        timeout 30 tail -s 0.05 --pid="${PIDS[$node]}" -f /dev/null || kill -KILL "${PIDS[$node]}"
        node_command "$system" "$dir" "$node"
        out=$("$BIN/dcsprobe" start "127.0.0.1:${PORTS[$node]}" "${COMMAND[@]}" 2>>"$dir/n$node.log") || die "$system: no start"
        PIDS[node]=$(jq .pid <<<"$out")
        jq -c --arg system "$system" --argjson mb "$START_MB" --argjson disk "$(du -sb "$dir/n$node" | cut -f1)" \
            '{$system, start: {serializable, linearizable, mb: $mb, disk: $disk}}' <<<"$out" >>"$RESULTS"
        wait_until 20 leader_find
    done
    nodes_stop
    QUORATED_FLAGS=("${flags[@]}")
    rm -rf "${work:?}/$system"
}
part_start() { both start_trials; }

# --- 10,000 watchers, 10,000 leases --------------------------------------------------------------------------------
watch_run() { # SYSTEM
    local system=$1 out
    if [ ! -x "$BIN/watchload" ]; then
        note "watchload is not built; left out"
        return
    fi
    nodes_start "$system" "$work/$system"
    memory_idle "$system" 0
    out=$("$BIN/watchload" --endpoints "127.0.0.1:${PORTS[$LEADER]}" --watchers "$WATCHERS" --leases "$LEASES" --seconds 10 --pid "${PIDS[$LEADER]}") ||
        note "$system: watchload: $out"
    if jq -e . >/dev/null 2>&1 <<<"$out"; then
        jq -c --arg system "$system" --argjson memory "$("$BIN/dcsprobe" memory 0 "${PIDS[$LEADER]}")" \
            --argjson hwm "$(hwm_bytes "$LEADER")" '{$system, watch: (. + {resident_peak: $hwm, private_after: $memory.private[0].last})}' \
            <<<"$out" >>"$RESULTS"
    fi
    nodes_stop
    rm -rf "${work:?}/$system"
}
part_watch() { both watch_run; }

# --- 1,000 agents --------------------------------------------------------------------------------------------------
part_agents() {
    local out seconds=10 before after share hertz load all
    hertz=$(getconf CLK_TCK)
    nodes_start quorate "$work/quorate"
    all=127.0.0.1:${PEERS[0]},127.0.0.1:${PEERS[1]},127.0.0.1:${PEERS[2]}
    "$BIN/agentload" "$all" "$AGENTS" 250 $((seconds + 8)) >"$work/agents" 2>"$work/agents.error" &
    load=$!
    sleep 6
    leader_find || die "nobody leads under $AGENTS agents"
    before=$(cpu_ticks "${PIDS[$LEADER]}")
    sleep $seconds
    after=$(cpu_ticks "${PIDS[$LEADER]}")
    wait $load || note "agents: $(cat "$work/agents" "$work/agents.error")"
    share=$(awk -v n=$((after - before)) -v h="$hertz" -v s=$seconds 'BEGIN { print n / h / s }')
    out=$(cat "$work/agents")
    jq -c --argjson share "$share" '{system: "quorate", agents: (. + {leader_cpu: $share})}' <<<"${out:-{\}}" >>"$RESULTS"
    nodes_stop
    rm -rf "${work:?}/quorate"
}

# --- compaction under load -----------------------------------------------------------------------------------------
compact_run() { # SYSTEM
    local system=$1 compactor out
    nodes_start "$system" "$work/$system"
    "$BIN/dcsprobe" fill "$ENDPOINTS" 100000 256 >/dev/null && "$BIN/dcsprobe" fill "$ENDPOINTS" 100000 256 >/dev/null &&
        "$BIN/dcsprobe" fill "$ENDPOINTS" 100000 256 >/dev/null || die "$system: cannot be filled"
    leader_find
    case_run "$system" 0 put-16 leader
    mark_last "without compaction"
    (sleep 1.5 && "$BIN/dcsprobe" compact "127.0.0.1:${PORTS[$LEADER]}" >"$work/compact" 2>&1) &
    compactor=$!
    case_run "$system" 0 put-16 leader
    mark_last "while compacting"
    wait $compactor || note "$system: $(cat "$work/compact")"
    out=$(cat "$work/compact")
    jq -e . >/dev/null 2>&1 <<<"$out" &&
        jq -c --arg system "$system" '{$system, compaction: .seconds}' <<<"$out" >>"$RESULTS"
    nodes_stop
    rm -rf "${work:?}/$system"
}
# The last line of the results belongs to this part.
mark_last() { # NAME
    local line
    line=$(tail -n 1 "$RESULTS")
    sed -i '$d' "$RESULTS"
    jq -c --arg name "$1" '. + {part: "compact", name: $name}' <<<"$line" >>"$RESULTS"
}
part_compact() { both compact_run; }

# --- the floor of this machine -------------------------------------------------------------------------------------
part_floor() {
    local out
    mkdir -p "$work/floor"
    if [ -x "$BIN/storeload" ]; then
        out=$("$BIN/storeload" "$work/floor" 2 256 2>&1)
        sed 's/^/      /' <<<"$out"
        jq -nc --arg text "$out" '{system: "floor", store: ($text / "\n")}' >>"$RESULTS"
    fi
    free_port FLOOR_PORT 22579
    "$BIN/grpcfloor" "$FLOOR_PORT" $((4 * (SECONDS_EACH + 4) + 10)) &
    FLOOR_PID=$!
    wait_until 5 eval 'ss -Hltn "sport = :$FLOOR_PORT" | grep -q .' || die "grpcfloor does not listen"
    for width in 1 64 256 64x16; do floor_case $width; done
    kill -TERM $FLOOR_PID 2>/dev/null
    wait $FLOOR_PID 2>/dev/null
    ports_release
}
floor_case() { # WIDTH: h2load against a server that answers at once
    local clients=${1%x*} streams=1 out
    case $1 in *x*) streams=${1#*x} ;; esac
    out=$(h2load -D "$SECONDS_EACH" --warm-up-time=1 -t 1 -c "$clients" -m "$streams" -H 'content-type: application/grpc' \
        -H 'te: trailers' -d "$work/put" "http://127.0.0.1:$FLOOR_PORT/etcdserverpb.KV/Put" 2>&1)
    jq -nc --arg width "$1" --arg rate "$(sed -n 's/^finished in [^,]*, \([0-9.]*\) req.*/\1/p' <<<"$out")" \
        --arg mean "$(in_seconds "$(awk '/^time for request/ { print $6 }' <<<"$out")")" \
        '{system: "floor", grpc: $width, rate: ($rate | tonumber), latency_mean: ($mean | tonumber)}' >>"$RESULTS"
}
