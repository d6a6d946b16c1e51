#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# What a run has shown: checkers over its histories, validity, figures, result.json. Sourced by run.sh.
. tests/support/jq.sh

declare -A CHECKS=()
# KIND NAME FILE [OPTIONS]: one checker; its output is kept. Sets CHECKS[NAME] to ok, violated, unknown or bad.
ask_checker() {
    local out=$SQL_OUT/check.$2.json faults=(--faults "$SQL_OUT/faults.jsonl")
    [ "$1" != prober ] || faults=() # no fault of a host is an excuse for our probers: none of them stops one
    "$BIN/jepsen-check" "$1" "${@:3}" "${faults[@]}" --svg "$SQL_OUT/check.$2.svg" >"$out" 2>"$out.err"
    case $? in
    0) CHECKS[$2]=ok ;;
    1) CHECKS[$2]=violated ;;
    3) CHECKS[$2]=unknown ;;
    *) CHECKS[$2]=bad ;;
    esac
}
said() { jq -r '.rule + ": " + .text' "$SQL_OUT/check.$1.json" 2>/dev/null | head -n 3; }
decide() { # NAME: its verdict counts
    case ${CHECKS[$1]} in
    ok) ;;
    violated) failed "$1: $(said "$1")" ;;
    unknown)
        if [[ $(said "$1") == *"prober was silent"* ]]; then invalid "$1: $(said "$1")"; else failed "$1: unknown is not ok: $(said "$1")"; fi
        ;;
    *) invalid "$1: $(head -n 2 "$SQL_OUT/check.$1.json.err")" ;;
    esac
}
check_history() {
    ask_checker "$@"
    decide "$2"
}

# At the end no member has a row that the primary does not have: what an isolated side wrote is gone everywhere.
rows_of() { # MEMBER
    as_user timeout 20 psql -X -q -A -t -F ' ' -h "$(host_data "$1")/run" -U postgres -d postgres \
        -c "SELECT 'probe', host, token FROM jepsen_probes UNION ALL SELECT 'set', 0, v FROM jepsen_set" 2>/dev/null | LC_ALL=C sort
}
check_rows() {
    local name p more asked=0
    p=$(primary)
    CHECKS[rows]=unknown
    [ -n "$p" ] || { failed "rows: nobody is primary at the end"; return; }
    # The members first: what the primary has gained since is no harm.
    for name in "${DATABASES[@]}"; do rows_of "$name" >"$SQL_OUT/rows.$name"; done
    rows_of "$p" >"$SQL_OUT/rows.primary"
    for name in "${DATABASES[@]}"; do
        [ -s "$SQL_OUT/rows.$name" ] || continue
        asked=$((asked + 1))
        more=$(LC_ALL=C comm -13 "$SQL_OUT/rows.primary" "$SQL_OUT/rows.$name" | wc -l)
        [ "$more" -eq 0 ] || { CHECKS[rows]=violated && failed "rows: $name has $more rows that the primary $p never had"; }
    done
    if [ "${CHECKS[rows]}" = violated ]; then return; fi
    CHECKS[rows]=ok
    [ "$asked" -eq "${#DATABASES[@]}" ] || { CHECKS[rows]=unknown && failed "rows: only $asked members could be asked"; }
}

# While a host is paused as a whole its guard stands still too: what its database answers when it wakes is measured as a window
# of its own (`paused`), and everything outside must still be clean.
outside_pauses() { # FILE: probes outside of pauses and the seconds after them
    jq -cn --slurpfile faults "$SQL_OUT/faults.jsonl" '[$faults[] | select(.kind == "freeze")] as $f |
        [range(0; $f | length; 2) | {from: $f[.].at, to: (($f[. + 1].at // 1e18) + 5000000)}] as $w |
        inputs | select(. as $p | $w | any($p.return >= .from and $p.call <= .to) | not)' "$1"
}
check_probers() { # NAME FILE
    ask_checker prober "$1" "$2"
    if [ "${CHECKS[$1]}" = violated ] && grep -q '"freeze"' "$SQL_OUT/faults.jsonl"; then
        cp "$SQL_OUT/check.$1.json" "$SQL_OUT/check.$1-paused.json"
        outside_pauses "$2" >"$2.outside"
        ask_checker prober "$1" "$2.outside" --silence-ms 100000000
    fi
    decide "$1"
}

# Every prober told something; that none was silent for long is a matter of check_probers.
probers_wrote() {
    local name
    for name in "${DATABASES[@]}"; do
        [ -s "$SQL_OUT/probers.$name" ] && [ -s "$SQL_OUT/probers.$name.sync" ] || invalid "the prober of $name wrote nothing"
    done
}

# Asynchronous: commits may be lost, within what was shown beforehand: written at most ttl + heartbeat before another one was
# promoted, or within the bytes of log that the arbiter said. A commit of one row takes at least LOSS_BYTES_MIN of them.
LOSS_BYTES_MIN=100
lost_commits() { # {"lost": n, "early": n}: early ones were acknowledged before that time
    jq -cn --slurpfile events "$SQL_OUT/events.jsonl" --argjson window "$(duration_us "$SQL_TTL" "$SQL_HEARTBEAT")" '
        [inputs] as $all | ($all | map(select(.txn[0][0] == "all") | .txn[0][1]) | last | map({(tostring): true}) | add // {}) as $there |
        [$events[] | select(.event == "promote") | .at] as $promoted |
        [$all[] | select(.type == "ok" and .txn[0][0] == "add" and ($there[.txn[0][1] | tostring] | not)) | .return] as $lost |
        {lost: ($lost | length), early: ([$lost[] | . as $t | select([$promoted[] | select(. >= $t and . - $t <= $window)] == [])] | length)}' \
        "$SQL_OUT/set.jsonl"
}
duration_us() { # "2s" "250ms" ...: their sum
    printf '%s\n' "$@" | awk '/ms$/ { sum += $0 * 1000; next } { sum += $0 * 1000000 } END { printf "%d\n", sum }'
}
check_async() {
    local bound
    ask_checker set set "$SQL_OUT/set.jsonl"
    ask_checker append append "$SQL_OUT/append.jsonl" # lists end early where commits are lost: told, not judged
    [ "${CHECKS[set]}" != bad ] || decide set
    LOST=$(lost_commits)
    bound=$(jq -s '[.[].loss_bound // 0] | add // 0' "$SQL_OUT/decisions.jsonl" 2>/dev/null)
    say "        lost commits $LOST; the arbiter said at most ${bound:-0} bytes before the last seconds"
    CHECKS[bound]=ok
    jq -e --argjson bound "${bound:-0}" --argjson least $LOSS_BYTES_MIN '.early * $least <= $bound' <<<"$LOST" >/dev/null || {
        CHECKS[bound]=violated
        failed "bound: acknowledged commits are lost beyond what was shown: $LOST, $bound bytes"
    }
}

operations() { # ok failed unknown, of all clients; transactions that met another one are not failures of the cluster
    jq -c '[.[]] | {ok: (map(.ok) | add), failed: ((map(.fail) | add) - (map(.conflicts) | add)), unknown: (map(.info) | add)}' \
        "$SQL_OUT/load.json" 2>/dev/null | grep . || echo '{"ok":0,"failed":0,"unknown":0}'
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
        if [ "${SQL_SYNC:-on}" = on ]; then
            check_history set set "$SQL_OUT/set.jsonl"
            check_history append append "$SQL_OUT/append.jsonl"
        else
            check_async
        fi
        [ ! -s "$SQL_OUT/bank.jsonl" ] || check_history bank bank "$SQL_OUT/bank.jsonl"
        [ ! -s "$SQL_OUT/register.jsonl" ] || check_history register register "$SQL_OUT/register.jsonl"
        check_probers writable "$SQL_OUT/probers.jsonl"
        check_probers acknowledged "$SQL_OUT/probers-sync.jsonl"
        touch "$SQL_OUT/events.jsonl"
        probers_wrote
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
        --arg storm "$(setting storm no)" --slurpfile paused <(cat "$SQL_OUT/check.writable-paused.json" 2>/dev/null) \
        --slurpfile load <(cat "$SQL_OUT/load.json" 2>/dev/null) --argjson calm_us $((CALM_TO - CALM_FROM)) --argjson lost "${LOST:-null}" \
        --slurpfile decisions <(cat "$SQL_OUT/decisions.jsonl" 2>/dev/null) '
        {run: $run, seed: $seed, peer: $peer, verdict: $verdict, why: $why, ops: $ops, faults: $faults, checks: $checks,
         false_failovers: $false, set: $set[0], writable: $writable[0], acknowledged: $acknowledged[0], rto: ($rto[0] | if . != null and $storm != "no" then .classes = {} else . end), paused: $paused[0],
         load: $load[0], lost_async: $lost, calm_us: $calm_us, decisions: $decisions}' \
        >"$SQL_OUT/result.json"
    say "$SQL_RUN seed $SQL_SEED: $verdict; $ops"
    case $verdict in passed) VERDICT_CODE=0 ;; failed) VERDICT_CODE=1 ;; *) VERDICT_CODE=2 ;; esac
}
