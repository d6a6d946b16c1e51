#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# One block of failover.sh, inside the sandbox: one system, some trials of each class. From its environment: BENCH_SYSTEM,
# BENCH_PLAN ("class:trials ..."), BENCH_OUT (a line of JSON for each trial, also for one that does not count: valid.jq). Ends with 3
# when a peer's cluster does not come back by itself: that is counted, and the next block begins with a new one.
#
#   switchover        asked for with the system's own command
#   crash             kill -9 of the postmaster
#   host-loss         the primary's host without power: every process and its link gone at one instant, the quorum node beside
#                     it included, which is not the leader; nothing of it says goodbye
#   host-loss-leader  the same, and it is the leader
#   quorum-cut        the primary's host reaches no quorum node elsewhere; clients and standbys still reach it
#   host-paused       every process of the primary's host stands still, its kernel goes on; awake again when others write
#
# The gap is the longest time between two acknowledged writes that ends after the fault, at the clients of each route. A trial
# with fewer than RATE_MIN acknowledged writes in the second before the fault or after the gap is invalid and repeated; so
# is one whose quorum leader moved, and one in which no write was held up. Every acknowledged value of every route must be there at the
# end; where a peer has lost some the trial counts as such, and its gap does not.
set -u
. tests/support/cluster.sh
export SQL_TOGETHER=1 SQL_DISK_MB=0
case $BENCH_SYSTEM in
quorate) SYSTEM=quorate ;;
quorate-fast) SYSTEM=quorate SQL_TTL=600ms SQL_HEARTBEAT=100ms ;;
patroni) SYSTEM=patroni PATRONI_TTL=30 PATRONI_LOOP_WAIT=10 PATRONI_RETRY_TIMEOUT=10 ;;
patroni-tuned) SYSTEM=patroni PATRONI_TTL=5 PATRONI_LOOP_WAIT=1 PATRONI_RETRY_TIMEOUT=2 ;;
*) die "no system $BENCH_SYSTEM" ;;
esac
. jepsen/sql/topology.sh
. jepsen/sql/faults.sh
. tests/bench/failover_routes.sh
RATE_MIN=50
PATIENCE_S=150 # until writes come back; and until all is settled again
RESULTS=$(dirname "$BENCH_OUT")

leave() {
    local code=$?
    clients_stop
    if [ -z "${DIR:-}" ]; then exit "$code"; fi
    [ "$code" -eq 0 ] && [ -z "${BENCH_KEEP_LOGS:-}" ] || logs_keep build/failed/bench-failover
    exit "$code"
}
logs_keep() { # DIRECTORY
    local name log
    rm -rf "$1" && mkdir -p "$1" && cp -r "$DIR/log" "$DIR"/*.yml "$1/" 2>/dev/null
    for name in "${DATABASES[@]}"; do
        for log in "$(data_of "$name")"/state/*.log "$(data_of "$name")"/pg/log/*; do
            [ ! -f "$log" ] || cp "$log" "$1/$name.$(basename "$log")"
        done
    done
    say "logs: $1"
}
trap leave EXIT
trap 'exit 130' INT TERM

# --- where things are ------------------------------------------------------------------------------------------------
move_leader() { # NODE
    case $SYSTEM in
    patroni)
        etcd_ctl move-leader \
            "$(etcd_ctl member list | awk -F', ' -v n="$1" '$3 == n { print $1 }')" >/dev/null
        ;;
    *) "${KV[@]}" move-leader "$("${KV[@]}" member list -o json | jq -r --arg n "$1" '.[] | select(.name == $n) | .id')" >/dev/null ;;
    esac
}
leads() { [ "$(quorum_leader)" = "$1" ]; }
# A class wants the quorum's leader on the primary's host, or elsewhere.
place() { # CLASS MEMBER
    local want=q${2#d}
    case $1 in
    switchover | crash) return 0 ;;
    host-loss-leader) ;;
    *) leads "$want" || return 0; want=q$((${2#d} % 3 + 1)) ;;
    esac
    leads "$want" && return 0
    move_leader "$want"
    wait_until 10 leads "$want" && sleep 1 # grants and links follow the new leader
}
# Three crashes of a member within a minute would take it out for good: then somebody else must be primary first.
CRASHES=() # "SECONDS MEMBER"
crash_count() {
    local n=0 line
    for line in "${CRASHES[@]}"; do
        [ "${line#* }" = "$1" ] && [ $((SECONDS - ${line% *})) -lt 62 ] && n=$((n + 1))
    done
    echo $n
}
crash_place() {
    [ "$SYSTEM" = quorate ] || return 0
    until [ "$(crash_count "$(primary)")" -lt 2 ]; do
        "${KV[@]}" db switchover "$SQL_CLUSTER" --wait --timeout 30s >/dev/null 2>&1
        wait_until "$PATIENCE_S" cluster_healthy
    done
    CRASHES+=("$SECONDS $(primary)")
}

# --- faults ----------------------------------------------------------------------------------------------------------
cut_from_quorum() { # HOST: both ways to and from the quorum's ports of the others
    local other
    for other in "${DATABASES[@]}"; do
        [ "$other" = "$1" ] || printf '%s %s 2379\n%s %s 2380\n' "$1" "$other" "$1" "$other"
    done | awk '{ print; print $2, $1, $3 }'
}
fault() { # CLASS MEMBER
    case $1 in
    switchover)
        if [ "$SYSTEM" = patroni ]; then
            patroni_ctl switchover --force --master "$2" "$SQL_CLUSTER" >/dev/null
        else
            "${KV[@]}" db switchover "$SQL_CLUSTER" --timeout 30s >/dev/null
        fi
        ;;
    crash) kill -KILL "$(postmaster_of "$2")" ;;
    host-loss*) host_power_off "$2" ;;
    quorum-cut) cut_from_quorum "$2" | net_cut bench ;;
    host-paused) host_freeze "$2" ;;
    esac
}
heal() { # CLASS MEMBER
    case $1 in
    host-loss*) host_power_on "$2" && host_daemons_start "$2" ;;
    quorum-cut) net_uncut bench ;;
    host-paused) host_thaw "$2" ;;
    esac || die "$1: $2 could not be healed"
}
# A client that waits for an answer of a host that stands still waits until it wakes: only routes that notice count before.
heal_early() { [ "$1" = host-paused ]; }

# --- one trial -------------------------------------------------------------------------------------------------------
count_between() { awk -v a="$2" -v b="$3" '$1 >= a && $1 < b {n++} END {print n + 0}' "$1"; } # FILE FROM TO
gap_around() { # FILE T_US: begin and end of the longest gap that ends after T
    sort -n -k1,1 "$1" | awk -v t="$2" '
        last && $1 > t && $1 - last > gap { gap = $1 - last; from = last; to = $1 }
        { last = $1 }
        END { printf "%.0f %.0f\n", from, to }'
}
last_ack() { tail -n 1 "$(acked "$1")" | cut -d' ' -f1; } # ROUTE
goes_on() { # T_US ROUTE...: writes for longer than a second after the gap
    local at=$1 route to now
    now=$(now_us)
    [ $((now - at)) -gt 1300000 ] || return 1
    for route in "${@:2}"; do # cheap: it is asked all through an outage
        [ $(($(last_ack "$route") + 500000)) -gt "$now" ] || return 1
    done
    for route in "${@:2}"; do
        read -r _ to < <(gap_around "$(acked "$route")" "$at")
        [ "$to" -gt 0 ] && [ "$(last_ack "$route")" -gt $((to + 1200000)) ] || return 1
    done
}
wait_writes() { # T_US ROUTE...
    local end=$((SECONDS + PATIENCE_S))
    until goes_on "$@"; do
        [ "$SECONDS" -lt "$end" ] || return 1
        sleep 0.2
    done
}
all_write() { local r; for r in "${ROUTES[@]}"; do [ "$(wc -l <"$(acked "$r")")" -gt 50 ] || return 1; done; }
gaps_json() { # T_US
    local route from to
    for route in "${ROUTES[@]}"; do
        read -r from to < <(gap_around "$(acked "$route")" "$1")
        printf '{"%s":%s}\n' "$route" $((to - from))
    done | jq -sc add
}
steps_json() { # EPOCH FROM_FAULT_TO_FIRST_US
    [ "$SYSTEM" = quorate ] || { echo '{}'; return; }
    "${KV[@]}" db why "$SQL_CLUSTER" "$1" -o json --timeout 5s 2>/dev/null | jq -c --argjson first "$2" '
        ([.. | .times_us? // empty] | first // {}) as $t | $t + {"first-write": ($first - ([$t[]? | select(. > 0)] | add // 0))}'
}

other_is_primary() { # MEMBER: somebody else is
    local name
    for name in "${DATABASES[@]}"; do
        if [ "$name" != "$1" ] && member_is "$name" /primary; then return 0; fi
    done
    return 1
}

why() { WHY=$1 && note "$1"; }
head_line() { # CLASS: what every line has
    jq -nc --arg system "$BENCH_SYSTEM" --arg class "$1" --arg machine "$BENCH_MACHINE" --arg build "$BENCH_BUILD" --arg commit "$BENCH_COMMIT" \
        --arg when "$(date -u +%FT%TZ)" '{system: $system, class: $class, when: $when, machine: $machine, commit: $commit, build: $build}'
}
# One that does not count. KIND: invalid, or broken: the cluster did not come back by itself; the gap is said when writes came back.
line_without() { head_line "$2" | jq -c --arg kind "$1" --arg why "$WHY" --argjson gaps "$GAPS" '. + $gaps + {($kind): $why}' >>"$BENCH_OUT"; } # KIND CLASS
# A line of JSON in $LINE; 1 when the trial is not valid, 2 when the cluster did not do what it must; then $WHY.
trial() { # CLASS
    local p at from to before after lost epoch_before both=$DIR/acked.all
    GAPS={}
    [ "$1" != crash ] || crash_place
    p=$(primary) epoch_before=$(epoch)
    place "$1" "$p" || { why "the leader is elsewhere"; return 1; }
    clients_start
    wait_until 30 all_write || { why "no writes get through: $(wc -l "$DIR"/acked.* | xargs)"; return 2; }
    sleep 1.2 # the second before the fault is counted
    at=$(now_us)
    fault "$1" "$p" || { why "the fault could not be made"; heal "$1" "$p"; return 1; }
    # Cut from the quorum it serves on until its lease is over: the gap comes later than the fault.
    [ "$1" != quorum-cut ] || wait_until "$PATIENCE_S" other_is_primary "$p" || { why "nobody else became primary"; return 2; }
    wait_writes "$at" "${ROUTES[0]}" || { why "writes did not come back"; return 2; }
    if heal_early "$1"; then heal "$1" "$p"; fi
    wait_writes "$at" "${ROUTES[@]}" || { why "writes did not come back by every route"; return 2; }
    read -r from to < <(gap_around "$(acked "${ROUTES[0]}")" "$at")
    clients_stop
    before=$(count_between "$(acked "${ROUTES[0]}")" $((at - 1000000)) "$at")
    after=$(count_between "$(acked "${ROUTES[0]}")" "$to" $((to + 1000000)))
    GAPS=$(jq -nc --arg route "${ROUTES[0]}" --argjson gap "$((to - from))" --argjson via "$(gaps_json "$at")" '{route: $route, gap_us: $gap, via_us: $via}')
    heal_early "$1" || heal "$1" "$p"
    wait_until "$PATIENCE_S" cluster_healthy || { why "not healthy again"; return 2; }
    cat "$DIR"/acked.* >"$both.tmp" && mv "$both.tmp" "$both"
    lost=$(SQL_PATIENCE_S=60 lost_of "$both") && [ -n "$lost" ] || { why "cannot count what is lost"; return 2; }
    [ "$lost" = 0 ] || { cp "$both" "$RESULTS/lost.$BENCH_SYSTEM.$1" && logs_keep "$RESULTS/lost.$BENCH_SYSTEM.$1.logs"; }
    if [ "$before" -lt $RATE_MIN ] || [ "$after" -lt $RATE_MIN ]; then
        why "$before writes in the second before, $after after"
        return 1
    fi
    LINE=$(head_line "$1" | jq -c --argjson gaps "$GAPS" --argjson acked "$(acked_of "$both")" --argjson lost "$lost" \
        --argjson rate "$before" --argjson after "$after" --argjson steps "$(steps_json $((epoch_before + 1)) $((to - at)))" '
        . + $gaps + {acknowledged: $acked, lost: $lost, rate: $rate, rate_after: $after, times_us: $steps}')
    rm -f "$both"
}
show_trial() {
    jq -r '[(.gap_us / 1000 | round), (.via_us | to_entries | map("\(.key) \(.value / 1000 | round)") | join("  ")),
            (.times_us | to_entries | map("\(.key) \(.value / 1000 | round)") | join(" "))] | "  \(.[0]) ms | \(.[1]) | \(.[2])"'
}

# Freezes without a fault while clients write: what a short lease costs.
calm() { # SECONDS
    local before epoch_before
    [ "$SYSTEM" = quorate ] || return 0
    clients_start
    wait_until 30 all_write || return 1
    before=$(freezes) epoch_before=$(epoch)
    sleep "$1" # the calm is what is measured
    jq -nc --arg system "$BENCH_SYSTEM" --arg machine "$BENCH_MACHINE" --arg build "$BENCH_BUILD" --argjson seconds "$1" \
        --argjson freezes $(($(freezes) - before)) --argjson failovers $(($(epoch) - epoch_before)) \
        '{system: $system, class: "calm", machine: $machine, build: $build, seconds: $seconds, freezes: $freezes, failovers: $failovers}' >>"$BENCH_OUT"
    clients_stop
}

# A cluster that does not come back by itself: ours is a failure of this run, a peer's is counted.
beyond() { # CLASS
    line_without broken "$1"
    [ "$SYSTEM" = patroni ] || die "$BENCH_SYSTEM $1: $WHY"
    say "$BENCH_SYSTEM $1: $WHY, and nobody mends it: begins anew"
    exit 3
}

sql_setup
began=$(now_us)
sql_start
SQL_READY_S=120 sql_ready || die "$BENCH_SYSTEM did not become healthy"
say "  from empty directories to healthy: $((($(now_us) - began) / 1000)) ms"
bench_tables || die "no table to write to"
routes_start || die "a route is not there"
say "  routes: ${ROUTES[*]}"
for item in $BENCH_PLAN; do
    class=${item%:*} want=${item#*:} tries=0
    say " $class:"
    while [ "$want" -gt 0 ]; do
        tries=$((tries + 1))
        [ "$tries" -le $((${item#*:} * 3 + 3)) ] || die "$class: too many trials were not valid"
        trial "$class"
        case $? in
        0) ;;
        1)
            line_without invalid "$class"
            clients_stop && wait_until "$PATIENCE_S" cluster_healthy && continue
            beyond "$class"
            ;;
        *) beyond "$class" ;;
        esac
        echo "$LINE" >>"$BENCH_OUT"
        show_trial <<<"$LINE"
        if jq -L tests/bench -e 'include "valid"; is_made' <<<"$LINE" >/dev/null; then want=$((want - 1)); else note "does not count"; fi
    done
done
calm "${CALM_S:-30}"
