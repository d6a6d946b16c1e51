#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The JSON gateway with curl over TLS: certificates and their roles, tokens, limits of body and depth; then every listener
# and peer over IPv6 and by name.
# usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-gateway.XXXXXX")
trap 'cluster_stop; keep_logs gateway; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 3
# Clients and metrics on the IPv6 loopback.
for node in "${QUORUM[@]}"; do
    "$DIR/bin/kv" cert issue --role node --name "$node" --host ::1,127.0.0.1,localhost,quorate.test --dir "$DIR/tls" --force >/dev/null 2>&1 ||
        { rm -f "$DIR/tls/node-$node".*; "$DIR/bin/kv" cert issue --role node --name "$node" --host ::1,127.0.0.1,localhost,quorate.test --dir "$DIR/tls" >/dev/null; }
    sed -i "s/listen: 127.0.0.1:\(.*\)/listen: '[::1]:\1'/; s#https://127.0.0.1:#https://localhost:#" "$DIR/$node.yml"
    # Two peers by name, one by its IPv6 address.
    sed -i "s/^    \(q[12]\): 127.0.0.1:/    \1: localhost:/; s/^    q3: 127.0.0.1:\(.*\)/    q3: '[::1]:\1'/" "$DIR/$node.yml"
done
"$DIR/bin/kv" cert issue --role viewer --name eve --dir "$DIR/tls" >/dev/null
own
ENDPOINTS=""
for node in "${QUORUM[@]}"; do ENDPOINTS+=${ENDPOINTS:+,}https://[::1]:${CLIENT_PORT[$node]}; done
KV=("$DIR/bin/kv" --endpoints "$ENDPOINTS" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key")
for node in "${QUORUM[@]}"; do quorum_start "$node"; done
check "three nodes on IPv6 and by name elect a leader" wait_until 15 quorum_has_leader
url="https://[::1]:${CLIENT_PORT[q1]}"
post() { # CERTIFICATE PATH BODY [curl options]: answer, then the code
    local who=$1 path=$2 body=$3
    shift 3
    curl -sg -m 10 -w '\n%{http_code}' --cacert "$DIR/tls/ca.crt" ${who:+--cert "$DIR/tls/$who.crt" --key "$DIR/tls/$who.key"} "$@" -d "$body" "${at:-$url}$path"
}
says() { # CODE WORD ...post
    local code=$1 word=$2 out
    shift 2
    out=$(post "$@")
    echo "$out"
    [ "${out##*$'\n'}" = "$code" ] && grep -q -- "$word" <<<"$out"
}
a=$(printf a | base64)
check "put with a client certificate" says 200 '"revision"' admin-admin /v3/kv/put "{\"key\":\"$a\",\"value\":\"$a\"}"
check "range" says 200 "\"value\":\"$a\"" admin-admin /v3/kv/range "{\"key\":\"$a\"}"
check "over HTTP/1.1" says 200 "\"value\":\"$a\"" admin-admin /v3/kv/range "{\"key\":\"$a\"}" --http1.1
check "over HTTP/2" says 200 "\"value\":\"$a\"" admin-admin /v3/kv/range "{\"key\":\"$a\"}" --http2
check "the name of a host in the certificate" eval '[ "$(curl -sg -m 10 --resolve "quorate.test:${CLIENT_PORT[q1]}:[::1]" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key" -o /dev/null -w "%{http_code}" -d "{}" "https://quorate.test:${CLIENT_PORT[q1]}/v3/kv/range")" = 400 ]'
check "without a certificate nothing is allowed" says 403 "permission denied" "" /v3/kv/range "{\"key\":\"$a\"}"
check "without TLS neither" eval '! curl -sgf -m 5 "http://[::1]:${CLIENT_PORT[q1]}/v3/kv/range" -d "{}"'
check "a viewer reads" says 200 "\"value\":\"$a\"" viewer-eve /v3/kv/range "{\"key\":\"$a\"}"
check "a viewer does not write" says 403 "permission denied" viewer-eve /v3/kv/put "{\"key\":\"$a\"}"
check "a viewer does not compact" says 403 "permission denied" viewer-eve /v3/kv/compaction '{"revision":"2"}'
check "a viewer grants no lease" says 403 "permission denied" viewer-eve /v3/lease/grant '{"TTL":60}'
check "the arbiter's keys are refused" says 403 "" admin-admin /v3/kv/put "{\"key\":\"$(printf /quorate/x | base64)\"}"
check "a watch streams" eval 'timeout 5 curl -sgN --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key" "$url/v3/watch" \
    -d "{\"create_request\":{\"key\":\"$a\",\"start_revision\":\"1\"}}" | head -n 2 | grep -q "\"events\""'

# --- limits: at the limit and one beyond
value() { head -c "$1" /dev/zero | base64 -w 0; }
put_of() { printf '{"key":"%s","value":"%s"}' "$a" "$(value "$1")" >"$work/body"; }
size() { # CODE WORD BYTES: a put of a value of this size
    put_of "$3"
    says "$1" "$2" admin-admin /v3/kv/put "@$work/body"
}
# the request and what stands around it in the log
check "a put of 1.5 MiB less 64 bytes" size 200 revision $((1572864 - 64))
check "a put of 1.5 MiB and what belongs to it" size 400 "request is too large" 1572864
check "a body of 3 MiB is read" size 400 "request is too large" $((3 * 786432 - 100))
check "a larger one is not" size 413 "" $((3 * 786432))
deep() { # DEPTH: an unknown field so deep
    printf '{"x":%s%s}' "$(printf '%*s' "$1" '' | tr ' ' '[')" "$(printf '%*s' "$1" '' | tr ' ' ']')"
}
check "JSON 100 deep" eval 'says 200 header admin-admin /v3/kv/put "$(printf "{\"key\":\"%s\",%s" "$a" "$(deep 100 | tail -c +2)")"'
check "JSON deeper" says 400 "" admin-admin /v3/kv/put "$(deep 200)"
check "a path that nobody knows" says 404 "" admin-admin /v3/kv/nothing '{}'
check "GET is no POST" eval '[ "$(curl -sg -o /dev/null -w "%{http_code}" --cacert "$DIR/tls/ca.crt" --cert "$DIR/tls/admin-admin.crt" --key "$DIR/tls/admin-admin.key" "$url/v3/kv/put")" = 405 ]'

# --- tokens
check "users" eval 'echo secret | "${KV[@]}" user add root && "${KV[@]}" user grant-role root root && "${KV[@]}" user add bob:pw && "${KV[@]}" role add r &&
    "${KV[@]}" role grant-permission r read a && "${KV[@]}" user grant-role bob r && "${KV[@]}" auth enable'
token_of() { post admin-admin /v3/auth/authenticate "{\"name\":\"$1\",\"password\":\"$2\"}" | head -n 1 | jq -r .token; }
bob=$(token_of bob pw)
check "a token reads what it may" says 200 '"kvs"' admin-admin /v3/kv/range "{\"key\":\"$a\",\"keys_only\":true}" -H "Authorization: $bob"
check "and writes nothing" says 403 "permission denied" admin-admin /v3/kv/put "{\"key\":\"$a\"}" -H "Authorization: $bob"
check "no token" says 400 "user name is empty" admin-admin /v3/kv/range "{\"key\":\"$a\"}"
check "a bad token" says 401 "invalid auth token" admin-admin /v3/kv/range "{\"key\":\"$a\"}" -H "Authorization: nonsense"
check "a viewer's certificate with the token of root writes nothing" says 403 "permission denied" viewer-eve /v3/kv/put "{\"key\":\"$a\"}" -H "Authorization: $(token_of root secret)"

# --- the other listeners
check "metrics on IPv6" eval 'curl -sgf "http://[::1]:${METRICS_PORT[q1]}/metrics" | grep -q etcd_server_has_leader'
check "health on IPv6" wait_until 5 eval 'curl -sgf "http://[::1]:${METRICS_PORT[q1]}/health" | grep -q true'
check "nothing listens on IPv4" eval '! curl -s -m 2 "http://127.0.0.1:${METRICS_PORT[q1]}/health"'
report_end gateway
