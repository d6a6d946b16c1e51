#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The load of bench-dcs: the same gRPC bodies to both systems with h2load. Sourced by dcs.sh.
#
#   bodies_make DIR               put (256 B) and range (one key), as framed gRPC messages
#   case_run SYSTEM ROUND CASE WHERE    one case to the leader or to a follower; one line into $RESULTS
# CASE is put-CLIENTS[xSTREAMS] or range-CLIENTS[xSTREAMS]. Lines: {system, round, case, where, rate, ...}.

bytes() { # NUMBER...: as octets
    # shellcheck disable=SC2059
    local n
    for n in "$@"; do printf "\\$(printf %03o "$n")"; done
}

bodies_make() { # DIR
    local value key=bench/00000001
    value=$(printf 'x%.0s' {1..256})
    # PutRequest {key = 1, value = 2}: 2 + 14 + 3 + 256 bytes; RangeRequest {key = 1}: 2 + 14 bytes.
    { bytes 0 0 0 1 19 10 14 && printf %s "$key" && bytes 18 128 2 && printf %s "$value"; } >"$1/put"
    { bytes 0 0 0 0 16 10 14 && printf %s "$key"; } >"$1/range"
    [ "$(stat -c %s "$1/put" "$1/range" | tr '\n' ' ')" = "280 21 " ] || die "the bodies have the wrong length"
}

in_seconds() { # 1.23ms
    awk -v t="$1" 'BEGIN { n = t + 0; print t ~ /us$/ ? n / 1e6 : t ~ /ms$/ ? n / 1e3 : n }'
}

# h2load knows no percentiles: they are taken from its log of requests.
percentile_99() { # LOG
    awk '$2 == 200 { print $3 }' "$1" | sort -n | awk '{ v[NR] = $1 } END { print NR ? v[int((NR * 99 + 99) / 100)] / 1e6 : 0 }'
}

case_run() { # SYSTEM ROUND CASE WHERE
    local kind=${3%%-*} width=${3#*-} streams=1 target=$LEADER path=Put log=$work/h2load.log out rate mean answered before
    case $width in *x*) streams=${width#*x} width=${width%x*} ;; esac
    [ "$kind" = put ] || path=Range
    [ "$4" = leader ] || target=$FOLLOWER
    before=$REVISION
    out=$(h2load -D "$SECONDS_EACH" --warm-up-time=1 -t 1 -c "$width" -m "$streams" --log-file="$log" \
        -H 'content-type: application/grpc' -H 'te: trailers' -d "$work/$kind" \
        "http://127.0.0.1:${PORTS[$target]}/etcdserverpb.KV/$path" 2>&1)
    answered=$(sed -n 's/^requests:.* \([0-9]*\) succeeded,.*/\1/p' <<<"$out")
    rate=$(sed -n 's/^finished in [^,]*, \([0-9.]*\) req.*/\1/p' <<<"$out")
    mean=$(in_seconds "$(awk '/^time for request/ { print $6 }' <<<"$out")")
    leader_find || die "$1: no leader after $3"
    [ "$kind" = range ] || [ $((REVISION - before)) -ge "${answered:-0}" ] ||
        die "$1 $3: $answered puts were answered, but the revision went from $before to $REVISION only"
    [ "${answered:-0}" -gt 0 ] || die "$1 $3: nothing was answered: $(tail -n 3 <<<"$out")"
    jq -nc --arg system "$1" --argjson round "$2" --arg case "$3" --arg where "$4" --argjson rate "$rate" \
        --argjson mean "$mean" --argjson p99 "$(percentile_99 "$log")" --argjson requests "$answered" \
        '{$system, $round, $case, $where, rate: $rate, latency_mean: $mean, latency_p99: $p99, $requests}' >>"$RESULTS"
    rm -f "$log"
}

# Flushes of each node while one client puts: nodes run below strace, so that only counts are of use.
flushes_count() { # SYSTEM
    local system=$1 dir=$work/$1-flush i before=() after=() out puts
    nodes_start "$system" "$dir" strace -f --seccomp-bpf -qq -e trace=fdatasync,fsync,msync,sync_file_range,pwritev2 \
        -o "$dir/NODE.flush"
    sleep 1
    for i in 0 1 2; do before[i]=$(flush_lines "$dir/n$i.flush"); done
    out=$(h2load -D 2 -t 1 -c 1 -m 1 -H 'content-type: application/grpc' -H 'te: trailers' -d "$work/put" \
        "http://127.0.0.1:${PORTS[$LEADER]}/etcdserverpb.KV/Put" 2>&1)
    puts=$(sed -n 's/^requests:.* \([0-9]*\) succeeded,.*/\1/p' <<<"$out")
    for i in 0 1 2; do after[i]=$(flush_lines "$dir/n$i.flush"); done
    kill_below
    nodes_stop
    jq -nc --arg system "$system" --argjson puts "${puts:-0}" --argjson leader "$LEADER" \
        --argjson counts "[$((after[0] - before[0])), $((after[1] - before[1])), $((after[2] - before[2]))]" \
        '{$system, flushes: $counts, puts: $puts, leader: $leader}' >>"$RESULTS"
}
# What waits for the disk: pwritev2 only with RWF_DSYNC or RWF_SYNC; sync_file_range waits for no device cache.
flush_lines() { # FILE
    grep -Ec '(fdatasync|fsync|msync\(.*MS_SYNC)|pwritev2\(.*RWF_D?SYNC' "$1" | cat
}
# strace passes no signal on: the nodes below it are told themselves.
kill_below() {
    local i
    for i in 0 1 2; do kill -TERM "$(node_pid "$i")" 2>/dev/null; done
}
