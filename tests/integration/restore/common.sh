# SPDX-License-Identifier: Apache-2.0
# What the scenarios of lost quorums share: sourced by them.

. tests/support/cluster.sh
. tests/support/mounts.sh
. tests/support/report.sh
. tests/support/jq.sh
. tests/integration/postgresql/setup.sh
quorum_mounts() { return 1; } # none of these needs a disk of its own

said() { grep -q -- "$2" "$DIR/log/$1"; } # NODE WORDS
url_of() { echo "https://127.0.0.1:${PEER_PORT[$1]}"; }
id_of() { "${KV[@]}" member list -o json | jq -r --arg url "$(url_of "$1")" '.[] | select(.peer_urls == $url) | .id'; }
initial_cluster() { # NODE...: as --initial-cluster wants it
    local node out=""
    for node in "$@"; do out+=${out:+,}$node=$(url_of "$node"); done
    echo "$out"
}
endpoints_of() { # NODE...: KV and ENDPOINTS for these
    local node
    ENDPOINTS=""
    for node in "$@"; do ENDPOINTS+=${ENDPOINTS:+,}https://127.0.0.1:${CLIENT_PORT[$node]}; done
    KV=("$DIR/bin/kv" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt"
        --key "$DIR/tls/admin-admin.key")
}
own_paths() { [ "$(id -u)" -ne 0 ] || chown -R "$RUN_AS" "$@"; }
has_no_primary() { ! has_primary; }
shown() { "${KV[@]}" db show "$MEMBERS_CLUSTER" --timeout 2s; }
says() { shown | grep -q -- "$1"; }
confirm() { "${KV[@]}" db confirm "$MEMBERS_CLUSTER" --timeout 5s "$@"; }
# No acknowledgement of the writers from now on until the command succeeds. Prints what came.
nothing_acknowledged() { # LINES: of $ACKED, from when on nothing may have come
    [ "$(wc -l <"$ACKED")" -eq "$1" ]
}
# The primary's whole host dies, and another member takes over.
second_failover() {
    local old ended
    wait_until 60 is_settled_all || bad "$NAME: no synchronous set again" "$(shown)"
    old=$(primary) ended=$(epoch)
    member_kill_host "$old"
    check "$NAME: a second failover works" wait_until 30 eval '[ -n "$(primary)" ] && [ "$(primary)" != '"$old"' ]'
    check "$NAME: in a higher epoch" test "$(epoch)" -gt "$ended"
    wait_until 20 acks_after "$ACKED" "$(now_us)" || bad "$NAME: no writes after it"
    member_start "$old"
}
# As is_settled, for as many members as there are.
is_settled_all() {
    cluster_json | jq -e --argjson n "${#MEMBERS[@]}" '.primary != "" and .r == 1 and (.voters | length) == $n - 1 and
        ([.members[] | select(.up and (.state == "running" or .state == "streaming"))] | length) == $n' >/dev/null
}
