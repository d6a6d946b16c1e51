#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two of three quorum nodes are lost for ever while a database cluster is written to. The third goes on alone by force,
# an operator confirms the databases, and two new nodes join. Then a new database cluster on this quorum. usage: forced.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/jq.sh
. tests/integration/restore/common.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-forced.XXXXXX")
trap 'load_stop; cluster_stop; keep_logs forced; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
make_cluster
begin "forced"
survivor=$(for node in "${QUORUM[@]}"; do [ "$node" != "$(quorum_leader)" ] && echo "$node"; done | head -n 1)
lost=()
for node in "${QUORUM[@]}"; do [ "$node" = "$survivor" ] || lost+=("$node"); done
check "forced: acknowledged before" "${KV[@]}" put before "$survivor"
for node in "${lost[@]}"; do
    quorum_kill "$node"
    rm -rf "${DIR:?}/$node"
done
check "forced: without a majority nobody is primary when the lease is over" wait_until 20 has_no_primary
LINES_BEFORE=$(wc -l <"$ACKED")

# --- alone
quorum_stop "$survivor"
endpoints_of "$survivor"
spawn "$survivor" "$DIR/bin/quorated" --config "$DIR/$survivor.yml" --force-new-cluster
check "forced: the survivor leads a quorum of its own" wait_until 15 quorum_has_leader
check "forced: it says what to do next" said "$survivor" "ev=forced_new"
check_output "forced: it has what was acknowledged" $'before\n'"$survivor" "${KV[@]}" get before
check "forced: members report to it" wait_until 20 eval '[ "$(cluster_json | jq "[.members[] | select(.up)] | length")" = 3 ]'
check "forced: kv db list says unconfirmed" eval '"${KV[@]}" db list | grep -q unconfirmed'
check "forced: kv db show says what to do" says "run kv db confirm $MEMBERS_CLUSTER"
check "forced: nobody is primary" has_no_primary
check "forced: nothing was acknowledged" test "$(wc -l <"$ACKED")" -eq "$LINES_BEFORE"
check "forced: kv db confirm" wait_until 20 confirm
CONFIRMED=$(now_us)
check "forced: there is a primary again" wait_until 30 has_primary
check "forced: in a higher epoch" test "$(epoch)" -gt "$EPOCH"
check "forced: writes get through again" wait_until 20 acks_after "$ACKED" "$CONFIRMED"

# --- once more without the option, as every node after it
quorum_stop "$survivor"
quorum_start "$survivor"
check "forced: it starts again without the option" wait_until 15 quorum_has_leader
check "forced: nothing is to be confirmed then" eval '! "${KV[@]}" db list | grep -q unconfirmed'

# --- a member of a further database cluster, which has none yet
"$DIR/bin/kv" cert issue --role agent --cluster pg-new --name pgn --dir "$DIR/tls" >/dev/null
free_port "SQL_PORT[pgn]" 5452
free_port "HTTP_PORT[pgn]" 8038
mkdir -p "$DIR/pgn"
nodes=""
for node in "${QUORUM[@]}"; do nodes+="    $node: 127.0.0.1:${PEER_PORT[$node]}"$'\n'; done
MEMBER_TLS="" member_config pgn pg-new "$nodes" >"$DIR/pgn.yml"
own_paths "$DIR/pgn" "$DIR/pgn.yml" "$DIR/tls"
member_start pgn

# --- two new nodes
joined=("$survivor")
for node in "${lost[@]}"; do
    mkdir -p "$DIR/$node"
    sed -i "s/^quorum:/quorum:\n  state: existing/" "$DIR/$node.yml"
    own_paths "$DIR/$node" "$DIR/$node.yml"
    add_node() { "${KV[@]}" member add "$node" --peer-urls="$(url_of "$node")"; }
    check "forced: kv member add $node" wait_until 15 add_node
    quorum_start "$node"
    joined+=("$node")
    endpoints_of "${joined[@]}"
    check "forced: $node takes part" wait_until 20 eval "[ \"\$(\"\${KV[@]}\" status -o json --timeout 1s | jq '[.[] | select(.up)] | length')\" = ${#joined[@]} ]"
done
endpoints_of "${QUORUM[@]}"
check "forced: three nodes, equal" wait_until 20 eval \
    '"${KV[@]}" hash -o json | jq -e "length == 3 and ([.[].hash] | unique | length == 1)"'
check "forced: agents report to the new nodes" wait_until 30 is_settled
second_failover
finish

# --- a further database cluster on a quorum that was made anew: made only when an operator says so
old_cluster=$MEMBERS_CLUSTER old_members=("${MEMBERS[@]}")
MEMBERS_CLUSTER=pg-new MEMBERS=(pgn)
check "new cluster: nothing is made by itself" wait_until 20 says "no database is made; run kv db confirm pg-new"
asks() { confirm 2>&1 | grep -q -- "--force lets a new one be made"; }
check "new cluster: a plain confirmation asks, a minute after the leader's election at the latest" wait_until 75 asks
check "new cluster: confirmed" confirm --force
check "new cluster: it is made then" wait_until 30 has_primary
MEMBERS_CLUSTER=$old_cluster MEMBERS=("${old_members[@]}")

# --- without the node that was left
check "forced: the survivor is not needed any more" eval 'quorum_stop "$survivor" && wait_until 15 quorum_has_leader'
check "forced: there is a primary without it" wait_until 20 has_primary
quorum_start "$survivor"
wait_until 15 eval '[ "$("${KV[@]}" status -o json --timeout 1s | jq "[.[] | select(.up)] | length")" = 3 ]'
report_end forced
