#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `make bench-failover [TRIALS=10] [CLASSES="switchover crash host-loss host-loss-leader"]`: the write gap of a real
# three-member PostgreSQL cluster when its primary goes, and where the seconds went. Writes build/bench/failover.json.
#
#   switchover        asked for with `kv db switchover`
#   crash             kill -9 of the postmaster
#   host-loss         every process of the primary's host killed, its link down at the same instant, the quorum node
#                     beside it included, which is not the leader
#   host-loss-leader  the same, and it is the leader
#
# The gap is the time between two acknowledged writes around the fault, at a client that asks all members in parallel as
# a proxy would; that of an ordinary libpq multi-host client stands beside it. A trial with fewer than 50
# acknowledged writes in the second before the fault or after the gap is invalid and repeated. As root the hosts are
# network namespaces
# (jepsen/hosts); else all are processes on loopback and the kill is all there is. BENCH_KEEP_LOGS=1 leaves the logs in
# build/bench/log.
set -u
if [ -z "${BENCH_INSIDE:-}" ]; then
    cd "$(dirname "$0")/../.." || exit 2
    export BENCH_INSIDE=hosts
    bash jepsen/hosts/sandbox.sh -t "${BENCH_LIMIT:-3600}" "$PWD/tests/bench/failover.sh"
    code=$?
    [ "$code" -eq 77 ] || exit "$code"
    BENCH_INSIDE=loopback
fi
. tests/support/cluster.sh
. tests/support/report.sh

TRIALS=${TRIALS:-10}
CLASSES=${CLASSES:-switchover crash host-loss host-loss-leader}
CLUSTER=pg-main
RATE_MIN=50
results=build/bench

if [ "$BENCH_INSIDE" = hosts ]; then
    . tests/bench/failover_hosts.sh
    where=$QUORATE_SANDBOX_DIR/cluster
    bed="three hosts and a client in network namespaces, TLS between all"
else
    where=$(mktemp -d "${TMPDIR:-/tmp}/quorate-bench.XXXXXX")
    bed="processes on loopback, no links to cut"
    client_run() {
        [ "$(id -u)" -ne 0 ] || exec setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- env HOME="$DIR" "$@"
        exec "$@"
    }
    lose_host() { member_kill_host "$1" "q${1#pg}"; }
    regain_host() {
        quorum_start "q${1#pg}"
        member_start "$1"
    }
fi
cleanup() {
    local code=$?
    if [ "$code" -ne 0 ] && [ -d "$where/log" ]; then
        rm -rf build/failed/bench-failover
        mkdir -p build/failed && cp -r "$where/log" build/failed/bench-failover && say "logs: build/failed/bench-failover"
        for name in "${MEMBERS[@]}"; do
            cp "$where/$name/state/postgresql.log" "build/failed/bench-failover/$name.postgresql" 2>/dev/null
        done
    fi
    if [ -n "${BENCH_KEEP_LOGS:-}" ]; then
        rm -rf $results/log && cp -r "$where/log" $results/log
        for name in "${MEMBERS[@]}"; do cp "$where/$name/state/postgresql.log" "$results/log/$name.postgresql"; done
    fi
    cluster_stop
    rm -rf "$where"
    exit "$code"
}
trap cleanup EXIT
trap 'exit 130' INT TERM

# --- load --------------------------------------------------------------------------------------------------------
LOADS=()
clients_start() {
    local pass=("--conninfo" "user=app dbname=postgres passfile=$DIR/pgpass")
    : >"$DIR/acked.parallel"
    : >"$DIR/acked.multihost"
    own_files
    (client_run "$DIR/bin/pgload" --members "$(members_list)" --out "$DIR/acked.parallel" --parallel --pause-us 1000 \
        --first-writer 100 "${pass[@]}") >"$DIR/log/parallel" 2>&1 &
    LOADS=($!)
    (client_run "$DIR/bin/pgload" --members "$(members_list)" --out "$DIR/acked.multihost" --clients 2 --pause-us 1000 \
        "${pass[@]}") >"$DIR/log/multihost" 2>&1 &
    LOADS+=($!)
}
own_files() { [ "$(id -u)" -ne 0 ] || chown "$RUN_AS" "$DIR"/acked.* "$DIR"/log/*; }
clients_stop() {
    kill -TERM "${LOADS[@]}" 2>/dev/null
    wait "${LOADS[@]}" 2>/dev/null
    LOADS=()
}
last_ack() { tail -n 1 "$1" | cut -d' ' -f1; } # FILE
count_between() { awk -v a="$2" -v b="$3" '$1 >= a && $1 < b {n++} END {print n + 0}' "$1"; }
# gap_around FILE T_US: begin and end of the longest gap that ends after T
gap_around() {
    sort -n -k1,1 "$1" | awk -v t="$2" '
        last && $1 > t && $1 - last > gap { gap = $1 - last; from = last; to = $1 }
        { last = $1 }
        END { printf "%.0f %.0f\n", from, to }'
}
# Writes went on for SECONDS after the fault at T_US and after the gap: both clients.
writes_go_on() { # T_US
    local file from to
    for file in "$DIR/acked.parallel" "$DIR/acked.multihost"; do
        read -r from to < <(gap_around "$file" "$1")
        [ "$to" -gt 0 ] && [ "$(last_ack "$file")" -gt $((to + 1200000)) ] || return 1
    done
}

# --- faults ------------------------------------------------------------------------------------------------------
holder() { cluster_json | jq -r .primary; }
epoch() { cluster_json | jq -r .epoch; }
# Three crashes of a member within a minute would take it out for good: the role goes where there were fewer.
CRASHES=() # "SECONDS MEMBER"
crashes_of() {
    local n=0 line
    for line in "${CRASHES[@]}"; do
        [ "${line#* }" = "$1" ] && [ $((SECONDS - ${line% *})) -lt 62 ] && n=$((n + 1))
    done
    echo $n
}
crash_place() {
    local p name
    p=$(holder)
    while [ "$(crashes_of "$p")" -ge 2 ]; do
        for name in "${MEMBERS[@]}"; do
            [ "$(crashes_of "$name")" -lt 2 ] && move_to "$name" && p=$name && break
        done
        sleep 0.5
    done
    CRASHES+=("$SECONDS $p")
}
move_to() { # MEMBER
    "${KV[@]}" db switchover $CLUSTER --to "$1" --wait --timeout 30s >/dev/null 2>&1
    wait_until 60 cluster_is healthy
    sleep 1
    [ "$(holder)" = "$1" ]
}
# A class wants the Raft leader on the primary's host, or not there.
place() { # CLASS
    local p leader other
    p=$(holder)
    leader=$(quorum_leader)
    case $1 in
    crash)
        crash_place
        return 0
        ;;
    host-loss-leader)
        [ "$leader" = "q${p#pg}" ] && return 0
        other=pg${leader#q}
        ;;
    host-loss)
        [ "$leader" != "q${p#pg}" ] && return 0
        other=pg$((${p#pg} % 3 + 1))
        ;;
    *) return 0 ;;
    esac
    move_to "$other" && [ "$(quorum_leader)" = "$leader" ]
}
fault() { # CLASS MEMBER
    case $1 in
    switchover) "${KV[@]}" db switchover $CLUSTER --timeout 30s >/dev/null ;;
    crash) kill -KILL "$(postmaster_of "$2")" ;;
    *) lose_host "$2" ;;
    esac
}
recover() { # CLASS MEMBER
    case $1 in
    host-loss*) regain_host "$2" ;;
    esac
    wait_until 90 cluster_is healthy
}

# One trial: a line of JSON in $LINE. 1 when it is not valid, 2 when the cluster did not do what it must. Runs in this
# shell: a host that comes back is another process.
trial() { # CLASS
    local p at before after from to mfrom mto lost epoch_before
    place "$1" || { note "not placed: the leader moved" >&2; return 1; }
    p=$(holder)
    epoch_before=$(epoch)
    clients_start
    wait_until 20 eval '[ "$(wc -l <"$DIR/acked.parallel")" -gt 100 ] && [ "$(wc -l <"$DIR/acked.multihost")" -gt 100 ]' ||
        { note "no writes get through" >&2; return 2; }
    sleep 1.2
    at=$(now_us)
    fault "$1" "$p"
    wait_until 60 writes_go_on "$at" || { note "writes did not come back" >&2; return 2; }
    clients_stop
    read -r from to < <(gap_around "$DIR/acked.parallel" "$at")
    read -r mfrom mto < <(gap_around "$DIR/acked.multihost" "$at")
    before=$(count_between "$DIR/acked.parallel" $((at - 1000000)) "$at")
    after=$(count_between "$DIR/acked.parallel" "$to" $((to + 1000000)))
    recover "$1" "$p" || { note "the cluster did not become healthy again" >&2; return 2; }
    cat "$DIR/acked.parallel" "$DIR/acked.multihost" >"$DIR/acked.both"
    lost=$(lost_of "$DIR/acked.both") && [ -n "$lost" ] || { note "cannot count what is lost" >&2; return 2; }
    [ "$lost" = 0 ] || cp "$DIR/acked.both" "$results/lost.$1"
    if [ "$before" -lt $RATE_MIN ] || [ "$after" -lt $RATE_MIN ]; then
        note "not valid: $before writes in the second before, $after after" >&2
        return 1
    fi
    LINE=$("${KV[@]}" db why $CLUSTER $((epoch_before + 1)) -o json |
        jq -c --arg class "$1" --argjson gap $((to - from)) --argjson via $((mto - mfrom)) --argjson first $((to - at)) \
            --argjson acked "$(acked_of "$DIR/acked.both")" --argjson lost "$lost" \
            --argjson rate "$before" --argjson after "$after" '
            ([.. | .times_us? // empty] | first // {}) as $t |
            {class: $class, gap_us: $gap, multihost_us: $via, acknowledged: $acked, lost: $lost, rate: $rate, rate_after: $after,
             times_us: ($t + {"first-write": ($first - ([$t[]? | select(. > 0)] | add // 0))})}')
}

# --- report ------------------------------------------------------------------------------------------------------
show_trial() {
    jq -r '[.gap_us, .multihost_us, .times_us.detection, .times_us.lease, .times_us.vote, .times_us.commit, .times_us.open,
            .times_us["first-write"]] | map(if . == null then "-" else (. / 1000 | round | tostring) end) | @tsv' |
        awk -F'\t' '{printf "  gap %5s ms  multi-host %5s | detection %5s lease %5s vote %5s commit %5s open %5s rest %5s\n", $1, $2, $3, $4, $5, $6, $7, $8}'
}
# Seconds; the median is the middle one or the mean of the two in the middle.
JQ_FIGURES='
def rounded: . * 10000 | round / 10000;
def figures: sort | length as $n |
    {n: $n, min: .[0], median: ((.[($n - 1) / 2 | floor] + .[$n / 2 | floor]) / 2), p90: .[($n * 0.9 | ceil) - 1], max: .[$n - 1]}
    | with_entries(if .key == "n" then . else .value |= rounded end);
def middle: sort | .[(length - 1) / 2 | floor];
'
summary_json() { # TRIALS_FILE
    jq -s --arg machine "$(uname -srm), $(nproc) cores, $bed" \
        --arg commit "$(git rev-parse --short HEAD 2>/dev/null || echo unknown)" "$JQ_FIGURES"'
        {machine: $machine, commit: $commit, quorate: (group_by(.class) | map(. as $all | {(.[0].class):
            (([.[].gap_us / 1e6] | figures) + {acknowledged: ([.[].acknowledged] | add), lost: ([.[].lost] | add),
             via: {"libpq-multihost": ([.[].multihost_us / 1e6] | figures)},
             where: (["detection", "lease", "vote", "commit", "open", "first-write"] |
                     map({(.): ([. as $k | $all[].times_us[$k] // empty] | middle // 0 | . / 1e6 | rounded)}) | add)})}) | add)}' "$1"
}

mkdir -p $results
trials=$results/failover.trials
: >$trials
cluster_init "$where"
[ "$BENCH_INSIDE" != hosts ] || hosts_make
say "bed: $bed"
began=$(now_us)
quorum_setup 3
for name in "${QUORUM[@]}"; do quorum_start "$name"; done
wait_until 15 quorum_has_leader || die "the quorum has no leader"
led=$(now_us)
members_setup $CLUSTER 3
for name in "${MEMBERS[@]}"; do member_start "$name"; done
wait_until 90 cluster_is healthy || die "the cluster did not become healthy"
say "from empty directories: a leader after $(((led - began) / 1000)) ms, healthy after $((($(now_us) - began) / 1000)) ms"
load_prepare || die "no table to write to"

for class in $CLASSES; do
    say "$class:"
    done_count=0 tries=0
    while [ "$done_count" -lt "$TRIALS" ]; do
        tries=$((tries + 1))
        [ "$tries" -le $((TRIALS * 3 + 3)) ] || die "$class: too many trials were not valid"
        trial "$class"
        case $? in
        0) ;;
        1) continue ;;
        *) die "$class: trial $tries failed" ;;
        esac
        echo "$LINE" >>$trials
        show_trial <<<"$LINE"
        done_count=$((done_count + 1))
    done
done

summary_json $trials >$results/failover.json || die "cannot write $results/failover.json"
say ""
jq -r '.quorate | to_entries[] | [.key, .value.n, .value.min, .value.median, .value.p90, .value.max, .value.via["libpq-multihost"].median,
       .value.via["libpq-multihost"].max, .value.acknowledged, .value.lost] | @tsv' $results/failover.json |
    awk -F'\t' 'BEGIN { printf "%-18s %3s %8s %8s %8s %8s   %s\n", "class", "n", "min", "median", "p90", "max", "multi-host median, max   acknowledged  lost" }
        { printf "%-18s %3d %8.3f %8.3f %8.3f %8.3f   %8.3f %8.3f %18d %5d\n", $1, $2, $3, $4, $5, $6, $7, $8, $9, $10; lost += $10 }
        END { exit lost > 0 }'
