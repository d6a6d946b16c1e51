#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One run of databases under faults: run.sh RUN SEED OUTDIR
#
# RUN is a name of jepsen/run/runs.txt (pg-..., galera-...); SEED decides faults, their order, targets and lengths. OUTDIR, which must be
# new or empty, receives histories, faults.jsonl, probers, logs and result.json. Exit 0 passed, 1 failed, 2 invalid,
# 77 skipped.
#   BIN=...        programs (build/release/bin)      PEER=ours|patroni|plain    who keeps the cluster
#   ONLY="kind .." only these kinds of the plan      LIMIT=SECONDS        of the whole run
#   SQL_STRETCH=n  faults n times as long            SQL_SETTLE_S=n       patience after each
#
# A fault begins when the cluster is settled and a calm second has gone by, and is taken away after its time; the
# next one comes when all is settled again. So each interruption belongs to one fault.
set -u
here=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
if [ -z "${SQL_INSIDE:-}" ]; then
    [ $# -eq 3 ] || { echo "usage: run.sh RUN SEED OUTDIR" >&2; exit 2; }
    cd "$here" || exit 2
    mkdir -p "$3" || exit 2
    [ -z "$(ls -A "$3")" ] || { echo "run.sh: $3 is not empty: a run needs a fresh folder" >&2; exit 2; }
    export SQL_INSIDE=1 SQL_RUN=$1 SQL_SEED=$2 BIN=${BIN:-build/release/bin}
    SQL_OUT=$(cd "$3" && pwd)
    export SQL_OUT
    exec bash jepsen/hosts/sandbox.sh -t "${LIMIT:-3000}" "$here/jepsen/sql/run.sh"
fi
. tests/support/cluster.sh
. jepsen/sql/topology.sh
. jepsen/sql/faults.sh
. jepsen/sql/judge.sh

setting() { # NAME DEFAULT: of the run's table
    local value
    value=$(awk -v run="$SQL_RUN" -v name="$1" '$1 == run && $2 == "set" && $3 == name { $1 = $2 = $3 = ""; print }' jepsen/run/runs.txt | xargs)
    echo "${value:-$2}"
}
plan() { # lines "AT_MS KIND RULE FOR_MS"; none in a calm run
    [ "$(setting calm 0)" = 0 ] || return 0
    local only=${ONLY:-} most
    most=$(setting most 1000000)
    # A peer's faults last longer: each of those named comes once.
    [ "${PEER:-ours}" = ours ] || { only=${only:-$(setting peer_kinds "")} && most=1; }
    "$BIN/jepsen-schedule" jepsen/run/runs.txt "$SQL_RUN" "$SQL_SEED" |
        awk -v only=" $only " -v most="$most" '(only == "  " || index(only, " " $2 " ")) && seen[$2 " " $3]++ < most'
}
# From the run's table unless the environment says otherwise.
settings_take() {
    SQL_SYNC=${SQL_SYNC:-$(setting sync on)} SQL_STRICT=${SQL_STRICT:-$(setting strict off)}
    SQL_TTL=${SQL_TTL:-$(setting ttl 2s)} SQL_HEARTBEAT=${SQL_HEARTBEAT:-$(setting heartbeat 250ms)}
    SQL_ELECTION=${SQL_ELECTION:-$(setting election 250ms)} SQL_COMMIT=${SQL_COMMIT:-$(setting commit on)}
    SQL_PAUSE_US=${SQL_PAUSE_US:-$(setting pause_us 15000)}
    SYSTEM=$(setting system "${SYSTEM}")
    case ${PEER:-ours} in patroni | plain) SYSTEM=$PEER ;; esac
    case $SYSTEM in galera | plain) . jepsen/galera/topology.sh ;; esac
    SQL_NODE_LINES="raft:
  election: $SQL_ELECTION"
}

INVALID=() FAILURES=()
invalid() { INVALID+=("$*") && say "INVALID $*"; }
failed() { FAILURES+=("$*") && say "FAIL    $*"; }
fault_line() { # KIND TARGET on|off BIT
    printf '{"at":%s,"kind":"%s","target":"%s","what":"%s","bit":%s}\n' "$(now_us)" "$1" "$2" "$3" "$4" >>"$SQL_OUT/faults.jsonl"
}
is_ours() { [[ $SYSTEM == quorate || $SYSTEM == galera ]]; } # there is an arbiter to ask
# What the arbiter says about an epoch, and the same as steps in the harness's time.
decision_line() { # EPOCH KIND
    local wall_ahead
    is_ours || return 0
    wall_ahead=$(($(date +%s%N) / 1000 - $(now_us)))
    "${KV[@]}" db why "$SQL_CLUSTER" "$1" -o json --timeout 3s >"$SQL_OUT/why" 2>/dev/null || return 0
    jq -c --arg kind "$2" --argjson epoch "$1" '{fault: $kind, epoch: $epoch, times_us: ([.. | .times_us? // empty] | first),
        loss_bound: ([.. | .loss_bound_bytes? // empty] | first), why: ([.. | .reason? // empty] | first)}' \
        "$SQL_OUT/why" >>"$SQL_OUT/decisions.jsonl"
    jq -c --argjson ahead "$wall_ahead" '([.. | .since_wall_us? // empty] | first - $ahead) as $at | ([.. | .times_us? // empty] | first) as $t |
        {at: ($at - $t.commit - $t.vote - $t.lease), event: "detect"}, {at: ($at - $t.commit - $t.vote), event: "fence"},
        {at: ($at - $t.commit), event: "choose"}, {at: $at, event: "promote"}, {at: ($at + $t.open), event: "endpoint"}' \
        "$SQL_OUT/why" >>"$SQL_OUT/events.jsonl"
}

# What a service manager does: a daemon that has ended on a host with power is started again.
daemons_revive() {
    local name
    for name in "${QUORUM[@]}" "${DATABASES[@]}"; do
        host_is_mounted "$name" && ! is_running "$name" && [ -z "$(faults_on | awk -v n="$name" '$2 == n && $1 ~ /kill|crash/')" ] || continue
        say "        $name had ended; started again"
        echo "$(now_us) $name" >>"$SQL_OUT/revived"
        host_daemons_start "$name"
    done
}
# Faults of one minute can add up to three crashes of one database, which then stays down until a person says otherwise, as its
# line tells: that is what an operator does then.
members_revive() {
    local name
    is_ours || return 0
    for name in $(cluster_json | jq -r '.members[]? | select((.note // "") | test("crashed three times")) | .name' 2>/dev/null); do
        say "        $name crashed three times in a minute; restarted by order"
        echo "$(now_us) $name" >>"$SQL_OUT/restarted"
        "${KV[@]}" db restart "$SQL_CLUSTER" "$name" --wait --timeout 10s >/dev/null 2>&1
    done
}
settle() { # SECONDS
    local end=$((SECONDS + $1))
    until cluster_healthy 2>/dev/null; do
        [ "$SECONDS" -lt "$end" ] || return 1
        daemons_revive
        members_revive
        sleep 0.3
    done
}
CALM_FROM=0 CALM_TO=0
calm() { # a second in which nothing may happen
    local before
    before=$(epoch)
    sleep 1 # the calm is what is being tested
    [ "$(epoch)" = "$before" ] || { FALSE_FAILOVERS=$((FALSE_FAILOVERS + 1)) && say "        the epoch grew without a fault"; }
}

# Faults that leave the primary and its quorum as they are: a failover because of one is a false one.
needs_no_failover() { # KIND RULE
    case "$1 $2" in
    "node-kill leader" | "node-kill node" | restart-* | wall-* | cut-clients* | slow-sync* | *" standby") return 0 ;;
    *) return 1 ;;
    esac
}

one_fault() { # KIND RULE FOR_MS
    local kind=$1 rule=$2 for_ms=$(($3 * ${SQL_STRETCH:-1})) target bit e before reason
    if ! reason=$(fault_can "$kind"); then
        say "skip    $kind: $reason"
        echo "$kind" >>"$SQL_OUT/skipped"
        return 0
    fi
    target=$(sql_target "$rule" "$for_ms") && [ -n "$target" ] || { failed "$kind: nobody is $rule"; return 1; }
    before=$(epoch)
    fault_line "$kind" "$target" on 0
    fault_on "$kind" "$target" || invalid "$kind at $target could not be made"
    sleep "$((for_ms / 1000)).$(printf %03d $((for_ms % 1000)))" # the fault lasts so long
    bit=$(fault_bit "$kind" "$target")
    fault_off "$kind" "$target" || invalid "$kind at $target could not be taken away"
    fault_line "$kind" "$target" off "${bit:-0}"
    [ "${bit:-0}" -gt 0 ] || invalid "$kind at $target had no effect"
    settle "${SQL_SETTLE_S:-90}" || { failed "not settled ${SQL_SETTLE_S:-90} s after $kind at $target"; return 1; }
    e=$(epoch)
    say "        $kind at $target ($rule) ${for_ms} ms, bit $bit, epoch $before -> $e, primary $(primary)"
    if needs_no_failover "$kind" "$rule" && [ "$kind" != standby-left-behind ]; then FALSE_FAILOVERS=$((FALSE_FAILOVERS + e - before)); fi
    while [ "$before" -lt "$e" ]; do
        before=$((before + 1))
        decision_line "$before" "$kind"
    done
}

# Faults that overlap, each at the moment that the plan says, whatever state the cluster is in: only safety is judged, and that
# it settles afterwards. One that finds nothing to break (a dead process) is counted, and is no reason to end.
storm() {
    local begin at what number kind rule for_ms target bit made=0 idle=0
    local -A targets=()
    begin=$(now_us)
    awk '{ print $1, "on", NR, $2, $3, $4; print $1 + $4, "off", NR, $2, $3, $4 }' "$SQL_OUT/plan" | sort -n >"$SQL_OUT/storm"
    while read -r at what number kind rule for_ms <&8; do
        while [ $((($(now_us) - begin) / 1000)) -lt "$at" ]; do sleep 0.05; done
        if [ "$what" = on ]; then
            target=$(sql_target "$rule" "$for_ms" 2>/dev/null)
            if [ -n "$target" ] && fault_on "$kind" "$target" 2>/dev/null; then
                targets[$number]=$target
                fault_line "$kind" "$target" on 0
            else
                idle=$((idle + 1))
            fi
        elif [ -n "${targets[$number]:-}" ]; then
            target=${targets[$number]}
            bit=$(fault_bit "$kind" "$target")
            fault_off "$kind" "$target" 2>/dev/null # a host without power can be healed of nothing: at the end, then
            fault_line "$kind" "$target" off "${bit:-0}"
            if [ "${bit:-0}" -gt 0 ]; then made=$((made + 1)); else idle=$((idle + 1)); fi
        fi
        daemons_revive
    done 8<"$SQL_OUT/storm"
    say "        $made faults had effect, $idle found nothing to break"
    [ "$made" -ge "$idle" ] || invalid "$idle of $((made + idle)) faults had no effect"
}

leave() {
    local code=$? name log
    sql_probers_stop
    [ "$CLIENTS" -gt 0 ] && kill -KILL "$CLIENTS" 2>/dev/null
    faults_off
    mkdir -p "$SQL_OUT/log"
    cp "$DIR"/log/* "$DIR"/*.yml "$SQL_OUT/log/" 2>/dev/null
    for name in "${DATABASES[@]}"; do
        for log in "$(host_data "$name")"/state/*.log; do cp "$log" "$SQL_OUT/log/$name.$(basename "$log" .log)" 2>/dev/null; done
    done
    "${KV[@]}" db show "$SQL_CLUSTER" --timeout 2s >"$SQL_OUT/log/show" 2>&1
    exit "$code"
}

run() {
    local begin=$SECONDS kind rule for_ms n=0
    FALSE_FAILOVERS=0
    settings_take
    : >"$SQL_OUT/faults.jsonl"
    plan >"$SQL_OUT/plan" && [ "$(setting calm 0)$(cat "$SQL_OUT/plan")" != 0 ] || { invalid "no plan for $SQL_RUN"; return; }
    sql_setup || { invalid "the hosts could not be made"; return; }
    trap leave EXIT
    sql_start
    sql_ready || { invalid "the cluster did not become healthy within ${SQL_READY_S:-90} s"; return; }
    say "$SQL_RUN seed $SQL_SEED: healthy after $((SECONDS - begin)) s, $(wc -l <"$SQL_OUT/plan") faults"
    sql_tables || { invalid "the tables could not be made"; return; }
    sql_clients_start "$SQL_OUT" "$SQL_SEED"
    sql_probers_start "$SQL_OUT"
    if [ -n "${SQL_STOP_PROBER:-}" ]; then # a planted bug of the harness
        wait_until 10 test -s "$SQL_OUT/probers.d1.sync" && kill -STOP "${PROBERS[0]}"
    fi
    settle 60
    CALM_FROM=$(now_us)
    sleep "$(setting calm 0)" # the load of a calm run
    CALM_TO=$(now_us)
    [ "$(setting storm no)" = no ] || storm
    while read -r _ kind rule for_ms <&8 && [ "$(setting storm no)" = no ]; do
        n=$((n + 1))
        settle 60 || { failed "not settled before $kind"; break; }
        calm
        one_fault "$kind" "$rule" "$for_ms" || break
    done 8<"$SQL_OUT/plan"
    echo "$n" >"$SQL_OUT/faults.count"
    faults_off
    [ -z "$(faults_on)" ] || invalid "still on at the end: $(faults_on | comma)"
    net_heal && net_verify || failed "the network did not heal"
    if settle "${SQL_SETTLE_S:-90}"; then calm; else failed "not settled at the end"; fi
    sql_probers_run || invalid "a prober ended during the run"
    sql_probers_stop
    sql_clients_stop || invalid "clients ended with status $?, or the last reads were not possible: see load.log"
    check_rows
}
run
judge_all
exit "$VERDICT_CODE"
