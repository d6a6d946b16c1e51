#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a run has shown: checkers over its histories, validity, figures, result.json. Sourced by run.sh.

declare -A CHECKS=()
# KIND NAME FILE...: one checker. Its verdict decides; its output is kept.
check_history() {
    local kind=$1 name=$2 out code
    shift 2
    out=$SQL_OUT/check.$name.json
    "$BIN/jepsen-check" "$kind" "$@" --faults "$SQL_OUT/faults.jsonl" --svg "$SQL_OUT/check.$name.svg" >"$out" 2>"$out.err"
    code=$?
    case $code in
    0) CHECKS[$name]=ok ;;
    1) CHECKS[$name]=violated && failed "$name: $(jq -r '.rule + ": " + .text' "$out" 2>/dev/null | head -n 3)" ;;
    3) CHECKS[$name]=unknown && failed "$name: unknown is not ok: $(jq -r '.rule + ": " + .text' "$out" 2>/dev/null | head -n 2)" ;;
    *) CHECKS[$name]=bad && invalid "$name: $(head -n 2 "$out.err")" ;;
    esac
}
figure() { jq -r "$2 // 0" "$SQL_OUT/check.$1.json" 2>/dev/null || echo 0; }

operations() { # ok failed unknown, of all clients; transactions that met another one are not failures of the cluster
    jq -c '[.append, .bank, .set] | {ok: (map(.ok) | add), failed: ((map(.fail) | add) - (map(.conflicts) | add)), unknown: (map(.info) | add)}' \
        "$SQL_OUT/load.json" 2>/dev/null || echo '{"ok":0,"failed":0,"unknown":0}'
}
faults_json() {
    jq -cs --rawfile skipped <(cat "$SQL_OUT/skipped" 2>/dev/null) '
        (map(select(.what == "off")) | group_by(.kind) | map({(.[0].kind): {n: length, bit: (map(.bit) | add), skipped: 0}}) | add // {}) +
        ($skipped | split("\n") | map(select(. != "")) | group_by(.) | map({(.[0]): {n: 0, bit: 0, skipped: length}}) | add // {})' \
        "$SQL_OUT/faults.jsonl"
}
checks_json() {
    local name
    for name in "${!CHECKS[@]}"; do printf '%s %s\n' "$name" "${CHECKS[$name]}"; done |
        jq -cRn '[inputs | split(" ") | {(.[0]): .[1]}] | add // {}'
}
list_json() { printf '%s\n' "$@" | jq -cRn '[inputs | select(. != "")]'; }

judge_all() {
    local ops verdict=passed
    if [ -s "$SQL_OUT/load.json" ]; then
        cat "$SQL_OUT"/set.d? >>"$SQL_OUT/set.jsonl"
        cat "$SQL_OUT"/probers.d? >"$SQL_OUT/probers.jsonl"
        cat "$SQL_OUT"/probers.d?.sync >"$SQL_OUT/probers-sync.jsonl"
        check_history set set "$SQL_OUT/set.jsonl"
        check_history append append "$SQL_OUT/append.jsonl"
        check_history bank bank "$SQL_OUT/bank.jsonl"
        check_history prober writable "$SQL_OUT/probers.jsonl"
        check_history prober acknowledged "$SQL_OUT/probers-sync.jsonl"
        touch "$SQL_OUT/events.jsonl"
        check_history rto rto "$SQL_OUT/set.jsonl" --events "$SQL_OUT/events.jsonl"
    fi
    ops=$(operations)
    jq -e '.ok > 0 and .ok * 100 >= (.ok + .failed + .unknown) * 60' <<<"$ops" >/dev/null ||
        invalid "fewer than 60 % of the operations succeeded: $ops"
    [ "${#INVALID[@]}" -eq 0 ] || verdict=invalid
    [ "${#FAILURES[@]}" -eq 0 ] || verdict=failed
    jq -n --arg run "$SQL_RUN" --argjson seed "$SQL_SEED" --arg peer "${PEER:-ours}" --arg verdict "$verdict" \
        --argjson why "$(list_json "${FAILURES[@]}" "${INVALID[@]}")" --argjson ops "$ops" --argjson faults "$(faults_json)" \
        --argjson checks "$(checks_json)" --argjson false "${FALSE_FAILOVERS:-0}" \
        --slurpfile rto <(cat "$SQL_OUT/check.rto.json" 2>/dev/null) --slurpfile set <(cat "$SQL_OUT/check.set.json" 2>/dev/null) \
        --slurpfile writable <(cat "$SQL_OUT/check.writable.json" 2>/dev/null) \
        --slurpfile acknowledged <(cat "$SQL_OUT/check.acknowledged.json" 2>/dev/null) \
        --slurpfile decisions <(cat "$SQL_OUT/decisions.jsonl" 2>/dev/null) '
        {run: $run, seed: $seed, peer: $peer, verdict: $verdict, why: $why, ops: $ops, faults: $faults, checks: $checks,
         false_failovers: $false, set: $set[0], writable: $writable[0], acknowledged: $acknowledged[0], rto: $rto[0], decisions: $decisions}' \
        >"$SQL_OUT/result.json"
    say "$SQL_RUN seed $SQL_SEED: $verdict; $ops"
    case $verdict in passed) VERDICT_CODE=0 ;; failed) VERDICT_CODE=1 ;; *) VERDICT_CODE=2 ;; esac
}
