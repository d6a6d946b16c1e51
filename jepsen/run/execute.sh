#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Carries out a plan (lines AT_MS KIND[=ARG] RULE FOR_MS): whom a rule means is found when the fault begins; every on and
# off goes to $OUT/faults.jsonl with the counter that proves it. Sourced inside the sandbox.
#
# Rules: leader, follower, one, minority, leader-minority, majority, all. A kind that this kernel or container does not
# offer is skipped, and counted as skipped.

now_us() { # as the clients' clock, to 10 ms
    local up _
    read -r up _ </proc/uptime
    echo "${up/./}0000"
}
sleep_until() { # US
    local left=$(($1 - $(now_us)))
    [ "$left" -le 0 ] || sleep "$(printf '%d.%06d' $((left / 1000000)) $((left % 1000000)))"
}
shuffled() { shuf --random-source=<(yes "$DICE"); }
joined() { paste -sd,; }
others() { printf '%s\n' "${NODES[@]}" | grep -vx -- "$1"; }

resolve() { # RULE: hosts joined by commas; DICE decides among equals
    local leader n=${#NODES[@]}
    leader=$(store_leader)
    [ -n "$leader" ] || leader=$(printf '%s\n' "${NODES[@]}" | shuffled | head -n 1)
    case $1 in
    leader) echo "$leader" ;;
    follower) others "$leader" | shuffled | head -n 1 ;;
    one) printf '%s\n' "${NODES[@]}" | shuffled | head -n 1 ;;
    minority) printf '%s\n' "${NODES[@]}" | shuffled | head -n $(((n - 1) / 2)) | joined ;;
    leader-minority) { echo "$leader"; others "$leader" | shuffled; } | head -n $(((n - 1) / 2)) | joined ;;
    majority) printf '%s\n' "${NODES[@]}" | shuffled | head -n $((n / 2 + 1)) | joined ;;
    all) printf '%s\n' "${NODES[@]}" | joined ;;
    *) echo "rule $1 is not known" >&2; return 1 ;;
    esac
}

takes_many() { fault_kinds | awk -v kind="$1" '$1 == kind { print $3 }' | grep -qx hosts; }
each_target() { # KIND TARGETS: what one call of its functions is given, one a line
    if takes_many "$1"; then echo "$2"; else tr ',' '\n' <<<"$2"; fi
}
tell() { # KIND TARGET RULE WHAT BIT
    jq -nc --argjson at "$(now_us)" --arg kind "$1" --arg target "$2" --arg rule "$3" --arg what "$4" --argjson bit "${5:-0}" \
        '{at: $at, kind: $kind, target: $target, rule: $rule, what: $what, bit: $bit}' >>"$OUT/faults.jsonl"
}

declare -a TARGETS=()
offered() { # KIND: else says why not
    case $PEER.$1 in
    etcd.wall-* | etcd.clock-* | etcd.suspend | etcd.*-sync | etcd.sync-* | etcd.write-error | etcd.power-behind)
        echo "etcd, a program in Go, reads clocks and writes files without the C library" && return 1
        ;;
    esac
    fault_can "$1"
}
begin_fault() { # NUMBER KIND[=ARG] RULE
    local kind=${2%%=*} arg="" targets target reason pids=()
    [ "$kind" = "$2" ] || arg=${2#*=}
    [ "$arg" != NODE ] || arg=$NODE_COMM
    if ! reason=$(offered "$kind"); then
        tell "$kind" "" "$3" skipped
        echo "skip  $kind: $reason"
        return
    fi
    DICE=$((SEED * 1000 + $1))
    targets=$(resolve "$3") || return
    TARGETS[$1]=$targets
    [ "$1" -gt 100000 ] || tell "$kind" "$targets" "$3" on
    for target in $(each_target "$kind" "$targets"); do # at all of them at once
        # shellcheck disable=SC2086 # no word when there is no argument
        { fault_on "$kind" "$target" $arg || echo "$kind at $target did not begin" >&2; } 2>>"$OUT/log/faults" &
        pids+=($!)
    done
    wait "${pids[@]}"
}
end_fault() { # NUMBER KIND[=ARG] RULE
    local kind=${2%%=*} target bit sum=0
    [ -n "${TARGETS[$1]:-}" ] || return 0
    for target in $(each_target "$kind" "${TARGETS[$1]}"); do
        bit=$(fault_bit "$kind" "$target" 2>>"$OUT/log/faults")
        sum=$((sum + ${bit:-0}))
        fault_off "$kind" "$target" 2>>"$OUT/log/faults" || echo "$kind at $target did not end" >>"$OUT/log/faults"
    done
    for target in ${TARGETS[$1]//,/ }; do node_start "$target"; done # who was killed, or ended since his disk failed
    tell "$kind" "${TARGETS[$1]}" "$3" "$([ "$1" -gt 100000 ] && echo always || echo off)" "$sum"
}

# Faults that are there from beginning to end: words KIND[=ARG]:RULE. They take no part in what is calm.
always() { # begin|end WORDS...
    local what=$1 number=100000 word
    shift
    for word; do
        number=$((number + 1))
        "${what}_fault" "$number" "${word%:*}" "${word##*:}"
    done
}

execute() { # PLAN: on a busy machine a fault begins late, but it lasts as long as it should
    local at what number kind rule for start
    local -a BEGUN=()
    start=$(now_us)
    while read -r at what number kind rule for; do
        sleep_until $((start + at * 1000))
        [ "$what" = begin ] || sleep_until $((${BEGUN[$number]:-0} + for * 1000))
        "${what}_fault" "$number" "$kind" "$rule"
        BEGUN[number]=$(now_us)
        load_runs || return 1
    done < <(awk '{ print $1, "begin", NR, $2, $3, $4; print $1 + $4, "end", NR, $2, $3, $4 }' "$1" | sort -n -k1,1 -s)
}
