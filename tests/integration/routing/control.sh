# SPDX-License-Identifier: Apache-2.0
# The agents' HTTP port as Patroni's users call it: TLS and plain on one port, and control calls, which an admin alone may give, and
# which the arbiter carries out under the admin's own name. Sourced by run.sh.

# The call as a script of Patroni's users has it; prints the status.
control() { # CERTIFICATE MEMBER METHOD PATH [BODY]
    local cert=()
    [ "$1" = none ] || cert=(--cert "$DIR/tls/$1.crt" --key "$DIR/tls/$1.key")
    curl -s -m 10 -k -L -o "$work/answer" -w '%{http_code}' "${cert[@]}" -X "$3" -d "${5:-}" "https://127.0.0.1:${HTTP_PORT[$2]}$4"
}
plain_post() { curl -s -m 5 -L -o "$work/answer" -w '%{http_code}' -X POST -d "$3" "http://127.0.0.1:${HTTP_PORT[$1]}$2"; }
over_tls() { curl -s -m 5 -k -o /dev/null -w '%{http_code}' "https://127.0.0.1:${HTTP_PORT[$1]}$2"; }
starts_of() { curl -s "http://127.0.0.1:${HTTP_PORT[$1]}/metrics" | awk '/^quorate_database_starts/ { print $2 }'; }
is_restarted() { [ "$(starts_of "$1")" -gt "$2" ] && member_is "$1" /replica; }

routed_by_control() {
    local name node api="" old new starts
    for node in "${QUORUM[@]}"; do api+=" $node: \"https://127.0.0.1:${CLIENT_PORT[$node]}\","; done
    for name in "${MEMBERS[@]}"; do sed -i "s|^quorum:|quorum:\n  api: {${api%,}}|" "$DIR/$name.yml"; done
    hooks_set "on_reload: 'true'"
    old=$(primary)
    for name in "${MEMBERS[@]}"; do [ "$name" = "$old" ] || new=$name; done
    check_output "control: /primary over TLS on the same port" 200 over_tls "$old" /primary
    check_output "control: a replica says no over TLS" 503 over_tls "$new" /primary
    check_output "control: plain HTTP gives no orders" 403 plain_post "$new" /switchover "{\"leader\":\"$old\"}"
    check_output "control: nobody gives no orders" 403 control none "$new" POST /switchover "{\"leader\":\"$old\"}"
    check_output "control: an agent gives no orders" 403 control "agent-$MEMBERS_CLUSTER-$new" "$new" POST /switchover "{\"leader\":\"$old\"}"
    check_output "control: members alone are asked" 403 control admin-admin "$new" POST /failsafe x
    check_output "control: a wrong leader" 412 control admin-admin "$new" POST /switchover "{\"leader\":\"$new\"}"
    check_output "control: no leader named" 400 control admin-admin "$new" POST /switchover "{}"
    check "control: nothing has changed" eval '[ "$(primary)" = '"$old"' ]'
    check_output "control: a switchover by the admin" 200 control admin-admin "$new" POST /switchover \
        "{\"leader\":\"$old\",\"candidate\":\"$new\"}"
    check "control: done" wait_until 20 member_is "$new" /primary
    wait_until 60 is_settled
    starts=$(starts_of "$old")
    check_output "control: a restart by the admin" 200 control admin-admin "$old" POST /restart "{}"
    check "control: done" wait_until 30 is_restarted "$old" "$starts"
}
