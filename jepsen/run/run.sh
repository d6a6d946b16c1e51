#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One run against the store, inside the sandbox: sandbox.sh run.sh RUN SEED OUT. Leaves OUT/result.json, and exits 0 passed,
# 1 failed, 2 invalid. Environment: BIN, PEER=quorate|etcd, NODE_COUNT, SECONDS_OF_RUN, ELECTION, LOAD_MORE, QUORATE_CANARY.
set -u
RUN=$1 SEED=$2 OUT=$3
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
. "$HERE/store.sh"
. "$HERE/kinds.sh"
. "$HERE/execute.sh"
. "$HERE/judge.sh"

setting() { # NAME DEFAULT: of the run's lines in the table
    local value
    value=$(awk -v run="$RUN" -v name="$1" '$1 == run && $2 == "set" && $3 == name { sub(/^[^ ]+ +set +[^ ]+ +/, ""); sub(/ *#.*/, ""); print }' "$HERE/runs.txt")
    echo "${value:-$2}"
}
PEER=${PEER:-quorate}
ELECTION_MS=${ELECTION:-$(setting election_ms 250)}
SNAPSHOT=$(setting snapshot 100)
BOUND_MS=${BOUND:-$(setting bound_ms 5000)}
MINORITY_MS=$((1500 + ELECTION_MS * 6)) # requests that were under way wait 1.5 s; an election takes two or three silences
HOSTS_ON=$(setting hosts_on "")
NODE_COUNT=${NODE_COUNT:-$(setting nodes 3)}

invalid() { # the run could not be made
    jq -nc --arg why "$1" '{verdict: "invalid", why: [$why]}' >"$OUT/result.json"
    echo "invalid: $1"
    exit 2
}

load_start() {
    # Threads enter each host's network by themselves: observers on every side, all with one clock.
    # shellcheck disable=SC2046 # words are meant
    "$BIN/chaosload" --endpoints "$ENDPOINTS" "${KV_FLAGS[@]}" --seconds 100000 --seed "$SEED" --out "$OUT/history" \
        --netns "$(printf '%s\n' "${NODES[@]}" c1 | joined)" $(setting load "") ${LOAD_MORE:-} >"$OUT/load.json" 2>"$OUT/load.err" &
    LOAD=$!
}
load_runs() { kill -0 "$LOAD" 2>/dev/null; }
load_end() {
    kill -TERM "$LOAD" 2>/dev/null
    wait "$LOAD"
    LOAD_STATUS=$?
}
writes_flow() { # a node's revision grows
    local before
    before=$(node_kv q1 status -o json | jq '.[0].revision')
    wait_for 10 eval "[ \$(node_kv q1 status -o json | jq '.[0].revision') -gt $((${before:-0} + 50)) ]"
}
all_answer() { PATIENCE=2s wait_for 60 store_all_up; }

mkdir -p "$OUT/history"
"$BIN/jepsen-schedule" "$HERE/runs.txt" "$RUN" "$SEED" ${SECONDS_OF_RUN:-} >"$OUT/plan" || invalid "there is no plan"
store_setup "$NODE_COUNT" 2>"$OUT/log.setup" || invalid "hosts could not be made: $(tail -n 1 "$OUT/log.setup")"
for name in "${NODES[@]}"; do node_start "$name"; done
wait_for 20 store_has_leader || invalid "no leader at the start"
load_start
writes_flow || invalid "no writes at the start"
: >"$OUT/faults.jsonl"
read -ra ALWAYS < <(setting always "")
always begin "${ALWAYS[@]}"
execute "$OUT/plan"
always end "${ALWAYS[@]}"
faults_off 2>>"$OUT/log/faults"
for name in "${NODES[@]}"; do node_start "$name"; done
finding "all heals are verified" net_verify 30
finding "all nodes answer at the end" all_answer
load_end
finding "all nodes have the same hash and revision" wait_for 60 store_same_hashes
judge
