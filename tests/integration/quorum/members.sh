#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A quorum that changes while it is written to: a fourth node joins as a learner and is promoted, the leader is
# removed, a node whose disk is gone comes back under a new id. Logs are short, so that images are sent. At the
# end nothing acknowledged is missing and all nodes hold the same.
# usage: members.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-members.XXXXXX")
trap 'cluster_stop; keep_logs members; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 4 # the fourth comes later
KEPT=100
for node in q1 q2 q3 q4; do # a short log
    sed -i "s/^quorum:/quorum:\n  snapshot_count: $KEPT/" "$DIR/$node.yml"
done
for node in q1 q2 q3; do # the fourth is no founder, and nobody knows of it
    sed -i "/ q4: /d" "$DIR/$node.yml"
done
sed -i "s/^quorum:/quorum:\n  state: existing/" "$DIR/q4.yml"
own
url_of() { echo "https://127.0.0.1:${PEER_PORT[$1]}"; }
id_of() { "${KV[@]}" member list -o json | jq -r --arg url "$(url_of "$1")" '.[] | select(.peer_urls == $url) | .id'; }
endpoints_of() { # NODE...: KV and ENDPOINTS for these
    local name
    ENDPOINTS=""
    for name in "$@"; do ENDPOINTS+=${ENDPOINTS:+,}https://127.0.0.1:${CLIENT_PORT[$name]}; done
    KV=("$DIR/bin/kv" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt"
        --key "$DIR/tls/admin-admin.key")
}
kvload() { # VERB FILE [options]
    local verb=$1 file=$2
    shift 2
    "$DIR/bin/kvload" "$verb" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" \
        --key "$DIR/tls/admin-admin.key" --out "$file" "$@"
}
acked_grows() { # SECONDS: by some more
    local had
    had=$(wc -l <"$work/acked")
    wait_until "$1" eval "[ \$(wc -l <'$work/acked') -gt $((had + 50)) ]"
}
applied_of() { "${KV[@]}" status -o json --timeout 1s | jq -r --arg e "${CLIENT_PORT[$1]}" '.[] | select(.endpoint | endswith($e)) | .raft_applied_index // .applied_index'; }
said() { grep -q -- "$2" "$DIR/log/$1"; } # NODE WORD

endpoints_of q1 q2 q3
for node in q1 q2 q3; do quorum_start "$node"; done
check "three nodes elect a leader" wait_until 10 quorum_has_leader
: >"$work/acked"
kvload put "$work/acked" --clients 4 --seconds 600 >"$work/kvload" 2>&1 &
load=$!
check "writes are acknowledged" wait_until 10 eval "[ \$(wc -l <'$work/acked') -gt $((KEPT * 4)) ]"

# --- a fourth node: learner, image, promotion
quorum_start q4
check "a node that nobody has added waits" wait_until 10 said q4 "ev=waiting"
check "member add as learner" "${KV[@]}" member add q4 --peer-urls="$(url_of q4)" --learner
check "it joins under the id it was given" wait_until 20 said q4 "ev=started"
check "it got an image" wait_until 20 said q4 "ev=restored"
check_fails "a second learner is refused" "too many learner" "${KV[@]}" member add q9 --peer-urls=https://127.0.0.1:9 --learner
check_fails "a peer URL that is taken is refused" "already exists" "${KV[@]}" member add q9 --peer-urls="$(url_of q1)"
promote() { "${KV[@]}" member promote "$(id_of q4)"; }
check "it is promoted once it has caught up" wait_until 20 promote
check "its name is published" wait_until 10 eval '"${KV[@]}" member list -o json | jq -e "[.[].name] | sort == [\"q1\", \"q2\", \"q3\", \"q4\"]"'
endpoints_of q1 q2 q3 q4
check "writes go on" acked_grows 10

# --- the leader is removed
leader=$(quorum_leader)
# A leader that a busy machine holds up behind its last entry is replaced before it answers: then it is looked at.
is_not_listed() { "${KV[@]}" member list -o json | jq -e --arg url "$(url_of "$1")" 'all(.peer_urls != $url)'; }
remove() { "${KV[@]}" member remove "$(id_of "$1")" || wait_until 10 is_not_listed "$1"; }
check "member remove of the leader $leader" remove "$leader"
check "it ends, and says why" wait_until 20 said "$leader" "was removed from the quorum"
check "its process is gone" wait_until 10 eval "! is_running $leader"
rest=()
for node in q1 q2 q3 q4; do [ "$node" = "$leader" ] || rest+=("$node"); done
endpoints_of "${rest[@]}"
check "another one leads" wait_until 10 quorum_has_leader
check "writes go on without it" acked_grows 10

# --- a dead node with an empty disk comes back under a new id
victim=${rest[0]}
old=$(id_of "$victim")
quorum_kill "$victim"
rm -rf "${DIR:?}/$victim"
mkdir -p "$DIR/$victim"
sed -i "/^  state: existing/d; s/^quorum:/quorum:\n  state: existing/" "$DIR/$victim.yml"
own
quorum_start "$victim"
check "under its old id it does not start" wait_until 10 said "$victim" "comes back under a new id"
quorum_stop "$victim"
check "member remove of the dead one" "${KV[@]}" member remove "$old"
add_again() { "${KV[@]}" member add "$victim" --peer-urls="$(url_of "$victim")"; }
check "member add of the new one" wait_until 15 add_again
quorum_start "$victim"
check "it has another id" eval "[ -n '$(id_of "$victim")' ] && [ '$(id_of "$victim")' != '$old' ]"
started_twice() { [ "$(grep -c "ev=started" "$DIR/log/$victim")" -ge 2 ]; }
check "it takes part again" wait_until 20 started_twice
check "writes go on with it" acked_grows 10

# --- the end
pkill -TERM -P "$load" -x kvload 2>/dev/null
kill -TERM "$load" 2>/dev/null
wait "$load" 2>/dev/null
cat "$work/kvload"
all_equal() {
    "${KV[@]}" hash -o json | jq -e 'length == 3 and ([.[].hash] | unique | length == 1)'
}
check "all nodes have the same hash" wait_until 20 all_equal
check "no acknowledged put is lost" kvload verify "$work/acked"
for node in "${rest[@]}"; do
    quorum_stop "$node"
    quorum_start "$node"
done
check "it starts again from what it has stored" wait_until 15 quorum_has_leader
check "no acknowledged put is lost then" kvload verify "$work/acked"

# --- the others are lost for good: one goes on alone
for node in "${rest[@]}"; do quorum_stop "$node"; done
last=${rest[1]}
endpoints_of "$last"
spawn "$last" "$DIR/bin/quorated" --config "$DIR/$last.yml" --force-new-cluster
check "one node goes on alone as a new quorum" wait_until 10 "${KV[@]}" put alone yes
check "it is the only member" eval '"${KV[@]}" member list -o json | jq -e "length == 1"'
check "it says what to do next" said "$last" "ev=forced_new"
check "nothing that it had is lost" kvload verify "$work/acked"
quorum_stop "$last"
quorum_start "$last"
check "it starts again without being forced" wait_until 10 "${KV[@]}" put alone again
report_end members
