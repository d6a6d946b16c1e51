#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Real quorum nodes are killed, stopped, restarted, replaced and deprived of their leadership in random order, while
# chaosload writes, reads, watches, leases and compacts; README.md beside this file says what must hold at the end.
# usage: chaos.sh      environment: MINUTES or LENGTH (seconds), SEED, NODES=3|5, BIN
set -u
cd "$(dirname "$0")/../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
SEED=${SEED:-1}
NODES=${NODES:-3}
LENGTH=${LENGTH:-$((${MINUTES:-10} * 60))}
KEPT=100                   # entries of the log: who was down for long needs an image
LOG_MAX=$((56 * 1024))     # KiB of one node's log: 16 MiB kept, twice that until it is cut, and files ahead
STORE_MAX=$((64 * 1024))   # KiB of one node's state
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-chaos.XXXXXX")
trap 'cluster_stop; keep_history; keep_logs chaos; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
keep_history() {
    [ "$FAILED" -eq 0 ] || { mkdir -p build/failed && cp "$work/history/register.jsonl" build/failed/chaos.history 2>/dev/null; }
}
cluster_init "$work"
mkdir "$work/history"
cp "$BIN/chaosload" "$DIR/bin/"
quorum_setup "$NODES"
for node in "${QUORUM[@]}"; do sed -i "s/^quorum:/quorum:\n  snapshot_count: $KEPT/" "$DIR/$node.yml"; done
own

# --- dice: in this shell alone, so that the seed decides
RANDOM=$SEED
roll() { DICE=$((RANDOM % $1)); }
nap_up_to() { # MILLISECONDS
    roll "$1"
    sleep "$(printf '%d.%03d' $((DICE / 1000)) $((DICE % 1000)))"
}
pick() { # sets NODE: the leader every other time
    roll 2
    NODE=""
    [ "$DICE" -eq 0 ] || NODE=$(quorum_leader)
    roll "$NODES"
    [ -n "$NODE" ] || NODE=${QUORUM[$DICE]}
}
shuffle() { # sets ORDER: all nodes
    local i swap
    ORDER=("${QUORUM[@]}")
    for ((i = NODES - 1; i > 0; i--)); do
        roll $((i + 1))
        swap=${ORDER[$i]} ORDER[i]=${ORDER[$DICE]} ORDER[DICE]=$swap
    done
}

# --- faults
declare -A COUNT=()
happened() { COUNT[$1]=$((${COUNT[$1]:-0} + 1)); }
kill_one() { kill -KILL "$(pid_of "$1")" 2>/dev/null; happened kills; }
gone() { wait_until 5 eval "! is_running $1"; }
start() { is_running "$1" || quorum_start "$1"; }
fault_kill() {
    pick
    kill_one "$NODE"
    gone "$NODE"
    nap_up_to 1500
    start "$NODE"
}
fault_pause() {
    pick
    kill -STOP "$(pid_of "$NODE")" 2>/dev/null
    happened pauses
    nap_up_to 3000
    kill -CONT "$(pid_of "$NODE")" 2>/dev/null
}
fault_all_at_once() {
    local node
    for node in "${QUORUM[@]}"; do kill_one "$node"; done
    for node in "${QUORUM[@]}"; do gone "$node"; done
    shuffle
    for node in "${ORDER[@]}"; do
        start "$node"
        nap_up_to 400
    done
    happened all_at_once
}
fault_rolling() {
    local node
    shuffle
    for node in "${ORDER[@]}"; do
        quorum_stop "$node"
        start "$node"
        nap_up_to 800
    done
    happened rolling
}
fault_long_gone() { # until others have written much more than the log keeps
    local node
    pick
    node=$NODE
    kill_one "$node"
    gone "$node"
    revision_grows $((KEPT * 3)) 8 || note "the revision did not grow while $node was down"
    start "$node"
    roll 3
    if [ "$DICE" -eq 0 ]; then # and while it gets its image
        nap_up_to 150
        kill_one "$node"
        gone "$node"
        start "$node"
    fi
    happened long_gone
}
fault_move_leader() {
    local ids id
    mapfile -t ids < <("${KV[@]}" member list -o json --timeout 1s 2>/dev/null | jq -r '.[].id')
    [ "${#ids[@]}" -gt 0 ] || return 0
    roll "${#ids[@]}"
    "${KV[@]}" move-leader "${ids[$DICE]}" --timeout 2s >/dev/null 2>&1 && happened moves
}
url_of() { echo "https://127.0.0.1:${PEER_PORT[$1]}"; }
id_of() { "${KV[@]}" member list -o json --timeout 2s 2>/dev/null | jq -r --arg url "$(url_of "$1")" '.[] | select(.peer_urls == $url) | .id'; }
is_not_listed() { # and somebody says so
    local list
    list=$("${KV[@]}" member list -o json --timeout 2s 2>/dev/null) && [ -n "$list" ] && ! grep -qF "$(url_of "$1")" <<<"$list"
}
fault_replace() { # remove, and add with an empty disk
    local node id
    wait_until 10 all_are_up || return 0
    pick
    node=$NODE
    id=$(id_of "$node")
    [ -n "$id" ] || return 0
    kill_one "$node"
    gone "$node"
    remove() { "${KV[@]}" member remove "$id" --timeout 2s >/dev/null 2>&1 || is_not_listed "$node"; }
    add() { "${KV[@]}" member add "$node" --peer-urls="$(url_of "$node")" --timeout 2s >/dev/null 2>&1 || [ -n "$(id_of "$node")" ]; }
    check "member remove of $node" wait_until 15 remove
    rm -rf "${DIR:?}/$node"
    mkdir -p "$DIR/$node"
    sed -i "/^  state: existing/d; s/^quorum:/quorum:\n  state: existing/" "$DIR/$node.yml"
    own
    check "member add of $node with an empty disk" wait_until 15 add
    start "$node"
    happened replaced
}

# --- looking
all_are_up() { [ "$("${KV[@]}" status -o json --timeout 1s | jq "[.[] | select(.up)] | length")" = "$NODES" ]; }
figure() { curl -s -m 1 "http://127.0.0.1:${METRICS_PORT[$1]}/metrics" | awk -v name="$2" '$1 == name { print $2 }'; }
revision() { # the highest of all nodes
    local node highest=0 one
    for node in "${QUORUM[@]}"; do
        one=$(figure "$node" etcd_debugging_mvcc_current_revision)
        [ "${one:-0}" -gt "$highest" ] && highest=$one
    done
    echo "$highest"
}
revision_grows() { # BY SECONDS
    local had
    had=$(revision)
    wait_until "$2" eval "[ \$(revision) -gt $((had + $1)) ]"
}
LOG_SEEN=0
look() { # the largest log and state so far
    local kib
    for node in "${QUORUM[@]}"; do
        kib=$(du -sk "$DIR/$node/wal" 2>/dev/null | cut -f1)
        [ "${kib:-0}" -gt "$LOG_SEEN" ] && LOG_SEEN=$kib
    done
}
said() { cat "$DIR"/log/q* | grep -c -- "$1"; }

for node in "${QUORUM[@]}"; do quorum_start "$node"; done
check "$NODES nodes elect a leader" wait_until 10 quorum_has_leader
[ "$FAILED" -eq 0 ] || { tail -n 1 "$DIR"/log/q*; report_end chaos; }
began=$SECONDS
"$DIR/bin/chaosload" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" \
    --key "$DIR/tls/admin-admin.key" --seconds 100000 --seed "$SEED" --out "$work/history" --setters 2 --listers 2 --lockers 2 ${LOAD:-} \
    >"$work/load" 2>"$work/load.err" &
load=$!
check "writes are acknowledged" revision_grows $((KEPT * 2)) 10
step=0
while [ $((SECONDS - began)) -lt "$LENGTH" ]; do
    roll 12
    case $step.$DICE in # one of each at first
    0.*) name=long_gone ;;
    1.*) name=pause ;;
    2.*) name=move_leader ;;
    3.*) name=all_at_once ;;
    4.*) name=replace ;;
    *.0 | *.1 | *.2) name=kill ;;
    *.3 | *.4 | *.5) name=pause ;;
    *.6) name=all_at_once ;;
    *.7) name=rolling ;;
    *.8 | *.9) name=long_gone ;;
    *.10) name=move_leader ;;
    *.11) name=replace ;;
    esac
    echo "$(date +%T.%N | cut -c1-12) $name ${NODE:-}" >>"$work/steps"
    "fault_$name"
    step=$((step + 1))
    look
    roll 3 # most of the time all are well again before the next one
    if [ "$DICE" -ne 0 ]; then
        wait_until 10 all_are_up || bad "all nodes are up within 10 s after $name" "$(tail -n 5 "$work/steps")"
        nap_up_to 1000
    fi
    kill -0 "$load" 2>/dev/null || break
done
for node in "${QUORUM[@]}"; do
    kill -CONT "$(pid_of "$node")" 2>/dev/null
    start "$node"
done
check "all nodes are up at the end" wait_until 15 all_are_up
kill -TERM "$load" 2>/dev/null
wait "$load"
judged=$?
cat "$work/load.err" "$work/load"

# --- what must hold
check "chaosload has nothing to complain of" test "$judged" -eq 0
all_equal() {
    "${KV[@]}" hash -o json --timeout 2s | jq -e "length == $NODES and ([.[] | [.hash, .revision]] | unique | length == 1)"
}
check "all nodes have the same hash and revision" wait_until 20 all_equal
check "nobody ended by an assertion or a damaged store" eval "! grep -hiE 'assert|panic|damage|inconsisten|corrupt' '$DIR'/log/q*"
look
check "logs stay within $LOG_MAX KiB ($LOG_SEEN)" test "$LOG_SEEN" -le "$LOG_MAX"
for node in "${QUORUM[@]}"; do
    kib=$(du -sk "$DIR/$node/store.mdb" | cut -f1)
    check "the state of $node stays within $STORE_MAX KiB ($kib)" test "$kib" -le "$STORE_MAX"
done
in_load() { jq -r ".$1 // 0" "$work/load" 2>/dev/null || echo 0; }
images=$(said 'ev=restored')
note "$step faults in $((SECONDS - began)) s: $(for k in "${!COUNT[@]}"; do printf '%s %s, ' "$k" "${COUNT[$k]}"; done)images $images"
least() { check "enough happened: $1 ($2)" test "${2:-0}" -ge "$3"; }
least kills "${COUNT[kills]:-0}" $((1 + LENGTH / 20))
least pauses "${COUNT[pauses]:-0}" $((1 + LENGTH / 60))
least "all killed at once" "${COUNT[all_at_once]:-0}" 1
least "members replaced" "${COUNT[replaced]:-0}" 1
least "leadership moved" "${COUNT[moves]:-0}" $((LENGTH / 120))
least images "$images" $((1 + LENGTH / 60))
least terms "$(in_load terms)" $((1 + LENGTH / 20))
least compactions "$(in_load compactions)" $((LENGTH))
least "compactions refused" "$(in_load compactions_refused)" $((1 + LENGTH / 10))
least "watches cancelled with a compact revision" "$(in_load watches_compacted)" 1
least operations "$(in_load ok)" $((LENGTH * 50))
least events "$(in_load events)" $((LENGTH * 50))
least leases "$(in_load leases)" $((LENGTH / 3))
least "reads that may be stale" "$(in_load stale_reads)" $((LENGTH * 3))
report_end chaos
