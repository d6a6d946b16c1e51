#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Three real quorum nodes over TLS on loopback: etcdctl and kv against them, kill -9 under load, bad input.
# usage: run.sh [ROUNDS]     ROUNDS of kill -9 (default 50)
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/mounts.sh
. tests/support/report.sh
. tests/support/jq.sh
rounds=${1:-50}
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-quorum.XXXXXX")
trap 'cluster_stop; keep_logs quorum; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 3
quorum_mounts 256 || note "without file systems of their own"
for node in "${QUORUM[@]}"; do quorum_start_here "$node"; done
check "three nodes elect a leader" wait_until 10 quorum_has_leader

# --- etcdctl 3.4, unchanged
export ETCDCTL_API=3
E=(etcdctl --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt"
    --key "$DIR/tls/admin-admin.key")
if command -v etcdctl >/dev/null; then
    check_output "etcdctl put" "OK" "${E[@]}" put a 1
    check_output "etcdctl get" $'a\n1' "${E[@]}" get a
    "${E[@]}" put b 2 >/dev/null
    check_output "etcdctl get --prefix --keys-only" $'a\n\nb' "${E[@]}" get --from-key a --keys-only
    check_output "etcdctl get --rev" $'a\n1' "${E[@]}" get a --rev=2
    check_output "etcdctl del" "1" "${E[@]}" del b
    check_output "etcdctl txn" $'SUCCESS\n\nOK\n\na\n3' eval \
        'printf "value(\"a\") = \"1\"\n\nput a 3\nget a\n\nput a 4\n\n" | "${E[@]}" txn'
    check "etcdctl endpoint status" eval '"${E[@]}" endpoint status -w json | jq -e "length == 3 and ([.[].Status.leader] | unique | length) == 1"'
    check "etcdctl member list" eval '[ "$("${E[@]}" member list | wc -l)" = 3 ]'
    check "etcdctl endpoint health" "${E[@]}" endpoint health
    check "arbiter's keys are refused to clients" eval '! "${E[@]}" put /quorate/v1/x 1'
else
    skip "etcdctl" "etcdctl is not installed"
fi

# --- kv
check_output "kv put" "OK" "${KV[@]}" put k v
check_output "kv get" $'k\nv' "${KV[@]}" get k
check_exit "kv get of a missing key exits 1" 1 "${KV[@]}" get nobody
check "kv get -o json" eval '"${KV[@]}" get k -o json | jq -e ".kvs[0].value == \"v\" and .count == 1"'
check_output "kv del" "1" "${KV[@]}" del k
check_output "kv txn" $'SUCCESS\n\nOK' eval 'printf "version(\"k\") = \"0\"\n\nput k \"x y\"\n\n\n" | "${KV[@]}" txn'
check "kv status" eval '"${KV[@]}" status -o json | jq -e "length == 3 and all(.up)"'
check "kv member list" eval '"${KV[@]}" member list -o json | jq -e "length == 3"'
check_exit "kv without anybody to ask exits 3" 3 "$DIR/bin/kv" --endpoints 127.0.0.1:1 get a

# --- who may do what
"$DIR/bin/kv" cert issue --role viewer --name eye --dir "$DIR/tls" >/dev/null
"$DIR/bin/kv" cert issue --role admin --name late --days -1 --dir "$DIR/tls" >/dev/null
"$DIR/bin/kv" cert ca --dir "$DIR/other" >/dev/null
"$DIR/bin/kv" cert issue --role admin --name admin --dir "$DIR/other" >/dev/null
as_role() { # DIRECTORY FILE CMD...
    local at=$1 name=$2
    shift 2
    "$DIR/bin/kv" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$at/$name.crt" --key "$at/$name.key" \
        --timeout 2s "$@"
}
check "a viewer may read" as_role "$DIR/tls" viewer-eye get k
check_exit "a viewer may not write" 4 as_role "$DIR/tls" viewer-eye put k no
check_fails "an expired certificate is refused with a word" "expired" as_role "$DIR/tls" admin-late get k
check_fails "a foreign certificate is refused" "" as_role "$DIR/other" admin-admin get k

# --- kill -9 under load
all_are_up() { [ "$("${KV[@]}" status -o json --timeout 1s | jq "[.[] | select(.up)] | length")" = 3 ]; }
kvload() { # VERB FILE [options]
    local verb=$1 file=$2
    shift 2
    "$DIR/bin/kvload" "$verb" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" \
        --key "$DIR/tls/admin-admin.key" --out "$file" "$@"
}
puts_start() { # FILE
    kvload put "$1" --clients 6 --seconds 600 >"$work/kvload" 2>&1 &
    load=$!
    wait_until 10 eval "[ \$(wc -l <'$1') -gt 100 ]"
}
puts_stop() {
    pkill -TERM -P "$load" -x kvload
    wait "$load"
    cat "$work/kvload"
}
member=$RANDOM
: >"$work/acked"
puts_start "$work/acked"
: >"$work/leader-kills"
for round in $(seq "$rounds"); do
    victim=${QUORUM[$(((member + round * 7919) % 3))]}
    leader=$(quorum_leader)
    [ $((round % 2)) -eq 0 ] && [ -n "$leader" ] && victim=$leader
    at=$(now_us)
    quorum_kill "$victim"
    [ "$victim" = "$leader" ] && echo "$at" >>"$work/leader-kills"
    wait_until 10 quorum_has_leader || note "round $round: no leader within 10 s"
    sleep 0.2
    quorum_start_here "$victim"
    wait_until 10 all_are_up ||
        note "round $round: $victim is not back within 10 s"
done
puts_stop
acked=$(wc -l <"$work/acked")
check "$rounds rounds of kill -9: enough was acknowledged ($acked)" test "$acked" -gt $((rounds * 20))
check "no acknowledged put is lost" kvload verify "$work/acked"
while read -r at; do gap_after "$work/acked" "$at" 8000000; done <"$work/leader-kills" | sort -n >"$work/gaps"
note "write gap after the leader's death: $(summary <"$work/gaps")"
[ ! -s "$work/gaps" ] || check "the median gap after the leader's death is under 1 s" eval \
    'awk "{ v[NR] = \$1 } END { exit !(NR > 0 && v[int((NR + 1) / 2)] < 1000) }" "$work/gaps"'

# --- without a majority
quorum_kill q1
quorum_kill q2
alone() { "${KV[@]}" "$@" --endpoints "https://127.0.0.1:${CLIENT_PORT[q3]}" --timeout 2s; }
check_exit "without a leader nobody vouches for the members" 3 alone member list
check_fails "and what helps is said" "[-]-local" alone member list
check "what one node knows of them" eval 'alone member list --local -o json | jq -e "length == 3"'
quorum_start_here q1
quorum_start_here q2
check "all are back" wait_until 10 all_are_up

# --- a full disk: the node stops with a clear line, the others go on, it comes back when there is room
fill_disk() { # DIRECTORY: to the last block
    dd if=/dev/zero of="$1/ballast" bs=1M status=none
    dd if=/dev/zero of="$1/ballast.more" bs=4k status=none
    sync -f "$1"
}
is_ended() { ! is_running "$1"; }
full_disk() { # NAME NODE
    local node=$2 said
    : >"$work/acked.full"
    in_disk_of "$node" bash -c "$(declare -f fill_disk); fill_disk '$DIR/$node'" 2>/dev/null
    said=$(wc -l <"$DIR/log/$node")
    puts_start "$work/acked.full"
    check "full disk on $1: the node stops" wait_until 20 is_ended "$node"
    check "full disk on $1: with a clear line" eval "tail -n +$((said + 1)) '$DIR/log/$node' | grep -qi 'no space\|disk.*full'"
    note "$(tail -n +$((said + 1)) "$DIR/log/$node" | grep -i 'no space\|full' | tail -n 1 | cut -c1-220)"
    local at
    at=$(now_us)
    check "full disk on $1: the others go on" wait_until 10 eval \
        "[ \$(tail -n 1 '$work/acked.full' | cut -d' ' -f1) -gt $((at + 1000000)) ]"
    puts_stop
    with_disk_of "$node" rm -f "$DIR/$node/ballast" "$DIR/$node/ballast.more"
    quorum_start_here "$node"
    check "full disk on $1: it starts again once there is room" wait_until 15 all_are_up
    check "full disk on $1: no acknowledged put is lost" kvload verify "$work/acked.full"
}
if [ -n "$HAS_MOUNTS" ]; then
    leader=$(quorum_leader)
    for node in "${QUORUM[@]}"; do [ "$node" != "$leader" ] && follower=$node; done
    full_disk "a follower" "$follower"
    full_disk "the leader" "$(quorum_leader)"
else
    skip "full disk" "needs root and loop devices"
fi

# --- bad input
check_fails "unknown key in the configuration" "data_dirr" "$DIR/bin/quorated" --config <(echo "data_dirr: x") --check-config
check_fails "a value out of range" "raft.heartbeat" "$DIR/bin/quorated" --config "$DIR/q1.yml" --raft.heartbeat=1us --check-config
check_fails "no TLS beyond loopback" "loopback" "$DIR/bin/quorated" --name=a --quorum.nodes=a=10.1.2.3:2380 --insecure=yes --check-config
check_fails "an empty disk under an id that may have voted" "at work already" as_user "$DIR/bin/quorated" \
    --config "$DIR/q1.yml" --data_dir="$work/elsewhere"
check_fails "port in use" "in use" as_user "$DIR/bin/quorated" --config "$DIR/q1.yml" --data_dir="$work/alone" \
    --quorum.nodes="q1=127.0.0.1:${PEER_PORT[q1]}" --quorum.clients="q1=https://127.0.0.1:${CLIENT_PORT[q1]}"
second_on() { # NODE: another process on its directory
    local as=()
    [ "$(id -u)" -ne 0 ] || as=(setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups --)
    in_disk_of "$1" "${as[@]}" "$DIR/bin/quorated" --config "$DIR/$1.yml" --client.listen="127.0.0.1:$free_client"
}
free_port free_client 2500
check_fails "data directory in use" "another process" second_on q1
check_fails "certificate of another node" "q2" as_user "$DIR/bin/quorated" --config "$DIR/q1.yml" \
    --tls.cert="$DIR/tls/node-q2.crt" --tls.key="$DIR/tls/node-q2.key"
report_end quorum
