#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Faults that need to know the quorum itself; all others are in jepsen/hosts. Sourced inside the sandbox.
# Each has the functions of jepsen/hosts/faults.sh: can, on, off, bit. Done at once, they prove their effect by a count.
fault_table <<'TABLE'
replace quorum host - removed, its disk emptied, added again
move-leader quorum host - the leadership is handed on
restart quorum hosts - stopped in order and started again, one after the other
kill-all quorum hosts - killed all at once, started again in random order
power-behind quorum hosts - flushes of the followers take 0.8 s longer; then all lose power; the followers come back first
nothing quorum host - no fault at all: a run with it must be found invalid
TABLE

may_replace() { :; }
raise_replace() {
    local other
    echo 0 | fault_keep replace "$1" count
    wait_for 10 store_all_up || return 0
    other=$(store_other "$1")
    node_kill "$1"
    wait_for 15 member_remove "$1" "$other" || return 1
    rm -rf "$(host_data "$1")/node"
    node_configure "$1" existing
    wait_for 15 member_add "$1" "$other" || return 1
    node_start "$1"
    echo 1 | fault_keep replace "$1" count
}
lower_replace() { :; }
live_replace() { fault_kept replace "$1" count; }

may_move_leader() { :; }
raise_move_leader() { # TARGET: who leads now
    local id to
    to=$(store_status | awk '$2 != "true"' | shuf -n 1 --random-source=<(yes "$DICE"))
    id=${to##* }
    echo 0 | fault_keep move-leader "$1" count
    [ -n "$id" ] || return 0
    node_kv "$1" move-leader "$id" --timeout 2s >/dev/null 2>&1
    [ "$(store_leader)" = "${to%% *}" ] && echo 1 | fault_keep move-leader "$1" count
    return 0
}
lower_move_leader() { :; }
live_move_leader() { fault_kept move-leader "$1" count; }

may_restart() { :; }
raise_restart() {
    local name count=0
    for name in ${1//,/ }; do
        node_stop "$name" && node_start "$name" && count=$((count + 1))
        wait_for 10 store_all_up
    done
    echo "$count" | fault_keep restart "$1" count
}
lower_restart() { :; }
live_restart() { fault_kept restart "$1" count; }

may_kill_all() { :; }
raise_kill_all() {
    local name count=0
    for name in ${1//,/ }; do kill -KILL "$(node_pid "$name")" 2>/dev/null && count=$((count + 1)); done
    for name in ${1//,/ }; do wait_for 5 eval "! node_up $name"; done
    for name in $(tr ',' '\n' <<<"$1" | shuf --random-source=<(yes "$DICE")); do node_start "$name"; done
    echo "$count" | fault_keep kill-all "$1" count
}
lower_kill_all() { :; }
live_kill_all() { fault_kept kill-all "$1" count; }

# Whoever counts on what is not flushed loses it: a majority comes back with what it really had.
may_power_behind() { fault_can power && fault_can slow-sync; }
raise_power_behind() {
    local name leader pids=()
    writes_flow
    leader=$(store_leader)
    echo "${leader:=q1}" | fault_keep power-behind "$1" leader
    for name in $(others "$leader"); do fault_on slow-sync "$name" 800; done
    sleep 1.5 # so long do they lag behind
    for name in $(others "$leader"); do fault_bit slow-sync "$name"; done | sort -n | head -n 1 | fault_keep power-behind "$1" least
    for name in ${1//,/ }; do fault_on power "$name" & pids+=($!); done
    wait "${pids[@]}"
}
lower_power_behind() {
    local name leader
    leader=$(fault_kept power-behind "$1" leader)
    for name in $(others "$leader"); do fault_off power "$name" && fault_off slow-sync "$name" && node_start "$name"; done
    wait_for 10 store_has_leader
    fault_off power "$leader"
}
live_power_behind() { fault_kept power-behind "$1" least; } # flushes that were slow, at whom they were fewest

may_nothing() { :; }
raise_nothing() { :; }
lower_nothing() { :; }
live_nothing() { echo 0; }
