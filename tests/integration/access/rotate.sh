#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# docs/security.md, "Rotation": certificates, then the authority itself, are replaced under a quorum node, an agent with its database, a proxy and
# a watch that stands. Nothing is restarted, nothing that stands is cut, and what was signed by the old authority is let in no more.
# usage: rotate.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
. tests/support/jq.sh
BIN=$(cd "$BIN" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-rotate.XXXXXX")
trap 'cluster_stop; keep_logs rotate; rm -rf "$work"' EXIT
trap 'exit 130' INT TERM
cluster_init "$work"
quorum_setup 1
T=$DIR/tls
issue() { "$DIR/bin/kv" cert issue --dir "$@" >/dev/null || die "no certificate"; } # DIRECTORY OPTION...
issue "$T" --role viewer --name eye
"$DIR/bin/kv" cert issue --dir "$T" --role admin --name gone >/dev/null && "$DIR/bin/kv" cert revoke --dir "$T" "$T/admin-gone.crt" >/dev/null
cp -r "$T" "$DIR/old"
members_setup pg-main 1
cp -r "$T" "$DIR/of-clients" # what clients show and trust; the daemons' files are in $T
for name in q1 pg1; do sed -i "s|^tls:|tls:\n  revoked: $T/revoked.pem|" "$DIR/$name.yml"; done
cp -f "$BIN/quorate-proxy" "$DIR/bin/"
free_port PROXY_SQL 25300
free_port PROXY_HTTP 25310
cat >"$DIR/proxy.yml" <<YML
cluster: pg-main
primary: {listen: "127.0.0.1:$PROXY_SQL"}
replicas: {listen: "off"}
agents: {ask: off}
quorum: {endpoints: ["https://127.0.0.1:${CLIENT_PORT[q1]}"]}
tls: {ca: $T/ca.crt, cert: $T/viewer-eye.crt, key: $T/viewer-eye.key}
http: {listen: "127.0.0.1:$PROXY_HTTP"}
YML
own
quorum_start q1
check "a node" wait_until 15 quorum_has_leader
member_start pg1
check "a member" wait_until 60 member_is pg1 /primary
spawn proxy "$DIR/bin/quorate-proxy" --config "$DIR/proxy.yml"
proxy_is() { [ "$(curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:$PROXY_HTTP/ready")" = "$1" ]; }
check "a proxy" wait_until 15 proxy_is 200
# Agent, proxy, postmaster; the epoch.
standing() { echo "$(pid_of pg1) $(pid_of proxy) $(head -n 1 "$DIR/pg1/data/postmaster.pid") $(with "$1" -o json db show pg-main | jq .epoch)"; }
with() { # DIRECTORY OF A CLIENT'S FILES, COMMAND
    local dir=$1
    shift
    "$DIR/bin/kv" --endpoints "https://127.0.0.1:${CLIENT_PORT[q1]}" --cacert "$dir/ca.crt" --cert "$dir/admin-admin.crt" --key "$dir/admin-admin.key" --timeout 3s "$@"
}
before=$(standing "$DIR/of-clients")
node=$(pid_of q1)
with "$DIR/of-clients" watch k >"$work/watch" 2>&1 9>&- &
watch=$!
check "a watch stands" wait_until 5 eval 'with "$DIR/of-clients" put k first >/dev/null && grep -q first "$work/watch"'
# Each file is replaced in one moment, as a person would: key and certificate of a pair one after the other.
put_in() { # DIRECTORY FILE...
    local from=$1 file
    shift
    for file in "$@"; do cp "$from/$file" "$work/new" && { [ "$(id -u)" -ne 0 ] || chown "$RUN_AS" "$work/new"; } && mv "$work/new" "$T/$file"; done
}
shown() { # PORT: the number of the certificate that is shown there
    openssl s_client -connect "127.0.0.1:$1" -cert "$DIR/of-clients/admin-admin.crt" -key "$DIR/of-clients/admin-admin.key" </dev/null 2>/dev/null |
        openssl x509 -noout -serial 2>/dev/null
}
serial_of() { openssl x509 -in "$1" -noout -serial; }
pairs=(node-q1.key node-q1.crt agent-pg-main-pg1.key agent-pg-main-pg1.crt viewer-eye.key viewer-eye.crt)
issue_all() { # DIRECTORY
    issue "$1" --role node --name q1 --host 127.0.0.1,localhost
    issue "$1" --role agent --cluster pg-main --name pg1
    issue "$1" --role viewer --name eye
}

# --- new certificates of the same authority
mkdir "$DIR/anew" && cp "$T"/ca.* "$DIR/anew/"
issue_all "$DIR/anew"
put_in "$DIR/anew" "${pairs[@]}"
check "the node shows its new certificate" wait_until 15 eval '[ "$(shown "${CLIENT_PORT[q1]}")" = "$(serial_of "$DIR/anew/node-q1.crt")" ]'
check "at the peer port as well" wait_until 15 eval '[ "$(shown "${PEER_PORT[q1]}")" = "$(serial_of "$DIR/anew/node-q1.crt")" ]'
check "the agent has taken its own" wait_until 15 eval '[ "$(shown "${HTTP_PORT[pg1]}")" = "$(serial_of "$DIR/anew/agent-pg-main-pg1.crt")" ]'

# --- another authority: both first, then everybody's files, then the new one alone, with its list of revoked ones
"$DIR/bin/kv" cert ca --dir "$DIR/next" >/dev/null
issue_all "$DIR/next"
issue "$DIR/next" --role admin --name admin
issue "$DIR/next" --role admin --name gone
"$DIR/bin/kv" cert revoke --dir "$DIR/next" "$DIR/next/admin-gone.crt" >/dev/null
mkdir "$DIR/both" && cat "$DIR/old/ca.crt" "$DIR/next/ca.crt" >"$DIR/both/ca.crt"
check "the new authority is a stranger" eval '! with "$DIR/next" status >/dev/null 2>&1'
put_in "$DIR/both" ca.crt
cp "$DIR/next"/admin-admin.* "$DIR/both/"
check "both are trusted" wait_until 15 eval 'with "$DIR/both" get k >/dev/null && with "$DIR/of-clients" get k >/dev/null'
put_in "$DIR/next" "${pairs[@]}"
check "the node shows that of the new authority" wait_until 15 eval '[ "$(shown "${CLIENT_PORT[q1]}")" = "$(serial_of "$DIR/next/node-q1.crt")" ]'
check "and the agent" wait_until 15 eval '[ "$(shown "${HTTP_PORT[pg1]}")" = "$(serial_of "$DIR/next/agent-pg-main-pg1.crt")" ]'
check "what stood before all of this has not been cut" eval 'with "$DIR/both" put k second >/dev/null; wait_until 5 grep -q second "$work/watch"'
put_in "$DIR/next" ca.crt
check "without the list of the new authority nothing is taken, and that is said" wait_until 15 grep -q "ev=reload_failed.*revoked.pem is not signed by the authority in" "$DIR/log/q1"
check "the old one is good until then" with "$DIR/both" get k
put_in "$DIR/next" revoked.pem
check "the old authority is one no more" wait_until 20 eval '! curl -s -o /dev/null -m 2 --cacert "$DIR/both/ca.crt" --cert "$DIR/old/admin-admin.crt" --key "$DIR/old/admin-admin.key" \
    "https://127.0.0.1:${CLIENT_PORT[q1]}/health"'
check "the new one is" with "$DIR/next" get k
check "its list of revoked ones counts" eval '! curl -s -o /dev/null -m 2 --cacert "$DIR/next/ca.crt" --cert "$DIR/next/admin-gone.crt" --key "$DIR/next/admin-gone.key" \
    "https://127.0.0.1:${CLIENT_PORT[q1]}/health"'
check_output "the node was not restarted for that" "$node" pid_of q1
check "agent and proxy come again with what they have now" eval 'kill -KILL "$(pid_of q1)" && quorum_start q1 && wait_until 20 eval "member_is pg1 /primary && proxy_is 200 &&
    with \"\$DIR/next\" db list -o json | jq -e \".clusters[0].members[0].up\""'
kill "$watch" 2>/dev/null
check_output "neither agent, proxy nor database were restarted, and no epoch has begun" "$before" standing "$DIR/next"
report_end rotate
