#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Users and roles on three real nodes with TLS: tokens, names in certificates, roles of certificates, permissions that
# change under load, locks that nobody holds any more.    usage: users.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
BIN=$(cd "$BIN" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-users.XXXXXX")
trap 'cluster_stop; keep_logs users; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 3
"$DIR/bin/kv" cert issue --role admin --name root --dir "$DIR/tls" >/dev/null
"$DIR/bin/kv" cert issue --role viewer --name eve --dir "$DIR/tls" >/dev/null
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
check "three nodes elect a leader" wait_until 10 quorum_has_leader

kv_as() { # CERTIFICATE ARGS...
    local who=$1
    shift
    timeout 20 "$DIR/bin/kv" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/$who.crt" --key "$DIR/tls/$who.key" "$@"
}
json() { # NODE TOKEN PATH BODY
    curl -s -m 10 --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key" -H "Authorization: $2" \
        "https://127.0.0.1:${CLIENT_PORT[$1]}/v3/$3" -d "$4"
}
login() { json "$1" "" auth/authenticate "{\"name\":\"$2\",\"password\":\"$3\"}" | jq -r '.token // .error'; }
a=$(printf a | base64)

kv_as admin-admin put a 1 >/dev/null
check_fails "without root there is no enabling" "root user does not exist" kv_as admin-admin auth enable
check "root" eval 'echo secret | kv_as admin-admin user add root && kv_as admin-admin user grant-role root root'
check "users and a role" eval 'kv_as admin-admin user add bob:pw && kv_as admin-admin role add r &&
    kv_as admin-admin role grant-permission r readwrite a && kv_as admin-admin user grant-role bob r && kv_as admin-admin auth enable'
check_fails "a certificate whose name is no user may nothing" "permission denied" kv_as admin-admin get a
check_output "the name in a certificate is a user's" $'a\n1' kv_as admin-root get a
check "but not over JSON" eval 'json q1 "" kv/range "{\"key\":\"$a\"}" | grep -q "user name is empty"'
check_output "a name and a password" $'a\n1' kv_as admin-admin --user bob:pw get a
check_fails "a wrong password" "authentication failed" kv_as admin-admin --user bob:no get a
check_fails "a key of others" "permission denied" kv_as admin-admin --user bob:pw put b 1
check "a viewer with the role root" kv_as admin-root user add eve --no-password
kv_as admin-root user grant-role eve root >/dev/null
check_output "reads" $'a\n1' kv_as viewer-eve get a
check_fails "and changes nothing" "permission denied" kv_as viewer-eve put a 2
token=$(login q1 bob pw)
for node in "${QUORUM[@]}"; do
    check "a token made by q1 counts on $node" eval 'json '"$node"' "$token" kv/range "{\"key\":\"$a\"}" | jq -e .kvs'
done

# Permissions change all the time; the writes of bob, who keeps his, are never refused for it.
(for i in $(seq 30); do kv_as admin-root role add "x$i" >/dev/null; done) &
changes=$!
writes=0 refused=0
while kill -0 "$changes" 2>/dev/null; do
    for node in "${QUORUM[@]}"; do
        writes=$((writes + 1))
        json "$node" "$token" kv/put "{\"key\":\"$a\",\"value\":\"$a\"}" | grep -q '"error"' && refused=$((refused + 1))
    done
done
wait "$changes"
note "$writes writes while 30 roles were added"
check "no write was refused because permissions changed" [ "$refused" -eq 0 -a "$writes" -gt 0 ]

quorum_kill q2
quorum_start q2
check "a node that was killed knows the users" wait_until 10 eval 'json q2 "$(login q2 bob pw)" kv/range "{\"key\":\"$a\"}" | jq -e .kvs'
check "a changed password" eval 'echo new | kv_as admin-root user passwd bob'
for node in q1 q3; do
    check "ends the token on $node" wait_until 5 eval 'json '"$node"' "$token" kv/range "{\"key\":\"$a\"}" | grep -q "invalid auth token"'
done

root=$(login q3 root secret)
lock=$(printf L | base64)
check "a lock" eval 'json q3 "$root" lock/lock "{\"name\":\"$lock\"}" | jq -e .key'
curl -s -m 1 --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key" -H "Authorization: $root" \
    "https://127.0.0.1:${CLIENT_PORT[q3]}/v3/lock/lock" -d "{\"name\":\"$lock\"}" >/dev/null
one_key() { [ "$(kv_as admin-root get L/ --prefix --keys-only | grep -c L/)" = 1 ]; }
check "who stops waiting for it leaves no key" wait_until 5 one_key
check "off again" kv_as admin-root auth disable
check_output "certificates alone decide" "OK" kv_as admin-admin put b 1
report_end users
