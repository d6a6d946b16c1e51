#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The verdict of a run against the store, from its files. Sourced by run.sh.
#
# failed: a checker found something, or could not say, or writes did not come back in time. invalid: a fault did not bite,
# something is missing, nothing was acknowledged or fewer than 60 % of the operations succeeded; such a run shows nothing.
. "$HERE/../../tests/support/jq.sh"

FAILED_FINDINGS=()
finding() { # NAME CMD...: a rule that must hold
    local name=$1 out
    shift
    if out=$("$@" 2>&1); then
        echo "ok    $name"
    else
        FAILED_FINDINGS+=("$name")
        echo "FAIL  $name"
        tail -n 5 <<<"$out" | sed 's/^/      /'
    fi
}

# Each history by the program that knows nothing of the load; an empty one is no history.
check_histories() { # sets CHECKS: {"register": "ok", ...}
    local kind verdict rows=()
    jq -c 'select(.what == "on" or .what == "off")' "$OUT/faults.jsonl" >"$OUT/faults.told.jsonl"
    for kind in register set append lock; do
        [ -s "$OUT/history/$kind.jsonl" ] || continue
        "$BIN/jepsen-check" "$kind" "$OUT/history/$kind.jsonl" --faults "$OUT/faults.told.jsonl" --svg "$OUT/$kind.svg" \
            >"$OUT/check.$kind.json" 2>"$OUT/check.$kind.err"
        verdict=$(jq -r .verdict "$OUT/check.$kind.json" 2>/dev/null)
        rows+=("$(jq -nc --arg k "$kind" --arg v "${verdict:-missing}" '{($k): $v}')")
        finding "history of $kind: ${verdict:-no verdict}" test "$verdict" = ok
    done
    CHECKS=$(printf '%s\n' "${rows[@]}" | jq -sc 'add // {}')
}

timeline() {
    { jq -r 'select(.what == "on" or .what == "off") | [.what, .kind, .target, .rule, .at] | @tsv' "$OUT/faults.jsonl" | awk '
        $1 == "on" { on[$2 " " $3 " " $4] = $5 }
        $1 == "off" { print "F", $2, $3, $4, on[$2 " " $3 " " $4], $5 }'
      sort -n -k1,1 "$OUT/history/ops"; } |
        awk -v bound_us=$((BOUND_MS * 1000)) -v settle_us=2000000 -v minority_us=$((MINORITY_MS * 1000)) \
            -f "$HERE/timeline.awk" >"$OUT/timeline.json"
}

no_panic() { ! grep -hiE 'assert|panic|damage|inconsisten' "$OUT"/log/q*; }

judge() {
    local why=() verdict=passed line
    finding "the load's own judge is content$(sed -n 's/.*VIOLATION//p' "$OUT/load.err" | head -n 1)" test "$LOAD_STATUS" -eq 0
    [ "$LOAD_STATUS" -eq 0 ] || head -n 10 "$OUT/load.err" | sed 's/^/      /'
    [ "$PEER" = etcd ] || finding "nobody ended by an assertion or a damaged store" no_panic
    check_histories
    timeline
    finding "writes pause at most $MINORITY_MS ms for a minority, $BOUND_MS ms after any other fault" jq -e '.late == []' "$OUT/timeline.json"
    finding "in calm phases more than 99 % succeed ($(jq -c .calm "$OUT/timeline.json"))" \
        jq -e '.calm[0] >= 0.99 * .calm[1]' "$OUT/timeline.json"
    finding "at most 2 % of the operations stay unknown" jq -e '.unsettled <= 0.02 * (.ok + .failed + .unknown)' "$OUT/load.json"
    mapfile -t why < <(shortcomings)
    [ "${#FAILED_FINDINGS[@]}" -eq 0 ] || verdict=failed
    [ "${#why[@]}" -eq 0 ] || { [ "$verdict" = failed ] || verdict=invalid; }
    write_result "$verdict" "${FAILED_FINDINGS[@]}" "${why[@]}"
    for line in "${why[@]}"; do echo "invalid: $line"; done
    echo "$RUN seed $SEED: $verdict, $(jq -c .ops "$OUT/result.json"), slowest 5 s $(jq '.slots | min' "$OUT/timeline.json") %"
    [ "$verdict" = passed ] || keep_stores
    case $verdict in passed) exit 0 ;; failed) exit 1 ;; *) exit 2 ;; esac
}

# The nodes' own files go with the sandbox unless they are taken along.
keep_stores() {
    local name
    for name in "${NODES[@]}"; do
        kill -KILL "$(node_pid "$name")" 2>/dev/null
        tar -C "$(host_data "$name")" -czSf "$OUT/store.$name.tgz" node 2>/dev/null
    done
}

shortcomings() { # what makes the run show nothing
    local kind
    jq -e '.ok > 0' "$OUT/load.json" >/dev/null 2>&1 || echo "nothing was acknowledged"
    jq -e '.ok >= 0.6 * .ops' "$OUT/timeline.json" >/dev/null 2>&1 || echo "fewer than 60 % of the operations succeeded"
    jq -s -e 'any(.what == "off")' "$OUT/faults.jsonl" >/dev/null 2>&1 || echo "no fault at all was carried out"
    for kind in $(jq -r 'select((.what == "off" or .what == "always") and .bit == 0) | .kind' "$OUT/faults.jsonl" | sort | uniq -c | awk '{ print $2 ":" $1 }'); do
        echo "a fault did not bite: ${kind%:*}, ${kind#*:} times"
    done
    [ $(($(wc -l <"$OUT/plan") + ${#ALWAYS[@]})) = "$(jq -s '[.[] | select(.what != "on")] | length' "$OUT/faults.jsonl")" ] ||
        echo "the plan was not carried out to its end"
}

write_result() { # VERDICT WHY...
    local verdict=$1
    shift
    jq -n --arg run "$RUN" --argjson seed "$SEED" --arg peer "$PEER" --argjson nodes "$NODE_COUNT" --arg verdict "$verdict" \
        --argjson election_ms "$ELECTION_MS" --argjson bound_ms "$BOUND_MS" --argjson minority_ms "$MINORITY_MS" --argjson checks "$CHECKS" \
        --slurpfile load "$OUT/load.json" --slurpfile time "$OUT/timeline.json" --slurpfile faults "$OUT/faults.jsonl" \
        '{run: $run, seed: $seed, peer: $peer, nodes: $nodes, verdict: $verdict, why: $ARGS.positional,
          election_ms: $election_ms, bound_ms: $bound_ms, minority_ms: $minority_ms, checks: $checks,
          ops: ($load[0] | {ok, failed, unknown, unsettled}), load: ($load[0] | del(.ok, .failed, .unknown, .unsettled)),
          faults: ($faults | map(select(.what != "on")) | group_by(.kind) |
              map({key: .[0].kind, value: {n: map(select(.what != "skipped")) | length, bit: map(.bit) | add,
                  skipped: map(select(.what == "skipped")) | length}}) | from_entries),
          seconds: $time[0].seconds, away_ms: $time[0].away_ms, calm: $time[0].calm, slots: $time[0].slots,
          late: $time[0].late, gaps: $time[0].gaps}' --args "$@" >"$OUT/result.json"
}
