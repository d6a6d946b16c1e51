#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Every call of the public API, the peer port, the agents' ports, the proxy and the pages, with no, wrong, foreign, expired, revoked
# and too weak a certificate: none is let in where it does not belong, and what belongs there is. usage: run.sh
set -u
cd "$(dirname "$0")/../../.." || exit 2
. tests/support/cluster.sh
. tests/support/report.sh
BIN=$(cd "$BIN" && pwd)
work=$(mktemp -d "${TMPDIR:-/tmp}/quorate-access.XXXXXX")
cleanup() {
    cluster_stop
    keep_logs access
    rm -rf "$work"
}
trap cleanup EXIT
trap 'exit 130' INT TERM
calls=tests/integration/access/calls.txt

cluster_init "$work"
. tests/integration/access/ports.sh
quorum_setup 1
issue() { "$DIR/bin/kv" cert issue --dir "$DIR/tls" "$@" >/dev/null || die "no certificate"; }
issue --role viewer --name eye
issue --role admin --name taken # revoked below
issue --role admin --name second
issue --role viewer --name watcher
issue --role agent --cluster other --name pg1
issue --role node --name q9 --host 127.0.0.1
issue --role member --cluster pg-main --name pg1 --host 127.0.0.1
issue --role admin --name late --days -1
"$DIR/bin/kv" cert ca --dir "$DIR/foreign" --name "Quorate authority" >/dev/null
"$DIR/bin/kv" cert issue --dir "$DIR/foreign" --role admin --name admin >/dev/null
# Signed by our authority, for an admin, with a key and a digest that nobody should trust any more.
weak() { # NAME KEY-OPTIONS DIGEST
    openssl req -newkey "$2" -nodes -keyout "$DIR/tls/$1.key" -subj "/CN=admin" -out "$work/$1.csr" -"$3" 2>/dev/null &&
        openssl x509 -req -in "$work/$1.csr" -CA "$DIR/tls/ca.crt" -CAkey "$DIR/tls/ca.key" -"$3" -days 30 -out "$DIR/tls/$1.crt" \
            -extfile <(printf 'subjectAltName=URI:quorate://admin/admin\nextendedKeyUsage=clientAuth,serverAuth\n') 2>/dev/null
}
check "a certificate with a short key is made" weak short rsa:1024 sha256
check "and one with an old digest" weak sha1 rsa:2048 sha1
# Ours in everything but the name: no URI of ours, and two of them.
named() { # NAME SAN
    openssl req -newkey rsa:2048 -nodes -keyout "$DIR/tls/$1.key" -subj "/CN=root" -out "$work/$1.csr" 2>/dev/null &&
        openssl x509 -req -in "$work/$1.csr" -CA "$DIR/tls/ca.crt" -CAkey "$DIR/tls/ca.key" -days 30 -out "$DIR/tls/$1.crt" \
            -extfile <(printf 'subjectAltName=%s\nextendedKeyUsage=clientAuth,serverAuth\n' "$2") 2>/dev/null
}
check "one without a role" named nameless DNS:localhost
check "one with two" named twofold URI:quorate://viewer/a,URI:quorate://admin/a
check "an admin is revoked" "$DIR/bin/kv" cert revoke --dir "$DIR/tls" "$DIR/tls/admin-taken.crt"
check_fails "once is enough" "revoked already" "$DIR/bin/kv" cert revoke --dir "$DIR/tls" "$DIR/tls/admin-taken.crt"
check_fails "a foreign one cannot be" "not signed by" "$DIR/bin/kv" cert revoke --dir "$DIR/tls" "$DIR/foreign/admin-admin.crt"
cp "$DIR/tls/revoked.pem" "$DIR/revoked.pem"
sed -i "s|^tls:|tls:\n  revoked: $DIR/revoked.pem|" "$DIR/q1.yml"
members_setup pg-main 1
sed -i "s|^tls:|tls:\n  revoked: $DIR/revoked.pem|" "$DIR/pg1.yml"
issue --role agent --cluster pg-main --name pg2
access_prepare
own
quorum_start q1
check "a node with a list of revoked certificates starts" wait_until 15 quorum_has_leader
member_start pg1
check "a member" wait_until 60 member_is pg1 /primary
public="https://127.0.0.1:${CLIENT_PORT[q1]}"

# --- every call of the public API
check_output "every call of the sources is in the list" "" eval 'comm -3 \
    <(grep -v "^#" $calls | cut -d" " -f1 | sort -u) \
    <({ grep -hoE "\"/v3/[a-z/-]+[a-z]\"" kv/api/*.c | tr -d "\"" | grep -v "^/v3/x$"
        sed -n "s|^    X([A-Za-z]*, \([a-z]*\), .*|/quorate/v1/databases/\1|p" arbiter/api/api_internal.h; } | sort -u)'

# "CODE PATH ACCESS" a line; 000: TLS let nobody in; wait: let in, and the answer takes its time (streams, locks).
each() { # [FILE-STEM of the certificate]
    local path separator=""
    while read -r path _; do
        printf '%surl = "%s%s"\ndata = "{}"\noutput = "/dev/null"\nsilent\nmax-time = 1\ncacert = "%s"\n' "$separator" "$public" "$path" "$DIR/tls/ca.crt"
        printf 'write-out = "%%{exitcode} %%{http_code}\\n"\n'
        [ -z "${1:-}" ] || printf 'cert = "%s.crt"\nkey = "%s.key"\n' "$1" "$1"
        separator=$'next\n'
    done < <(grep -v '^#' $calls) >"$work/calls.curl"
    curl -K "$work/calls.curl" 2>/dev/null | awk '{ print $1 == 28 ? "wait" : $2 }' | paste -d' ' - <(grep -v '^#' $calls)
}
# Offenders.
open_only() { awk '($3 == "open") == ($1 == 403) || $1 == "000"'; }
reads_only() { awk '($3 == "open" || $3 == "read") == ($1 == 403) || $1 == "000"'; }
nothing() { awk '$1 != "000" { print } END { if (NR < 60) print NR, "calls" }'; }
everything() { awk '$1 == 403 || $1 == "000" || $1 == 429'; }
check_output "nobody gets what is open, no more" "" eval 'each | open_only'
for who in agent-pg-main-pg1 agent-other-pg1 node-q9 member-pg-main-pg1 nameless twofold; do
    check_output "$who: what is open, no more" "" eval 'each $T/$who | open_only'
done
check_output "a viewer reads, no more" "" eval 'each $T/viewer-eye | reads_only'
for who in "$T/admin-late" "$DIR/foreign/admin-admin" "$T/admin-taken" "$T/short" "$T/sha1"; do
    check_output "$(basename "$who") of $(basename "$(dirname "$who")"): not let in" "" eval 'each $who | nothing'
done
# Each is empty, and refused for what it lacks.
check_output "an admin may ask for everything" "" eval 'each $T/admin-admin | everything'

# --- pages
page() { curl -s -o /dev/null -m 2 --cacert "$T/ca.crt" --cert "$1.crt" --key "$1.key" -w '%{http_code}' "$public${2:-/}"; }
for who in agent-pg-main-pg1 node-q9 member-pg-main-pg1 nameless twofold; do
    check_output "the page is not for $who" 403 page "$T/$who"
    check_output "nor are the metrics" 403 page "$T/$who" /metrics
done
for who in "$T/admin-late" "$DIR/foreign/admin-admin" "$T/admin-taken" "$T/short" "$T/sha1"; do
    check_output "the page is not reached with $(basename "$who")" 000 page "$who"
done
check_output "the page is for a viewer" 200 page "$T/viewer-eye"

# --- the other ports
access_peer
access_agents
access_proxy

# --- revoked while it is connected
"${KV[@]:0:3}" --cacert "$T/ca.crt" --cert "$T/viewer-watcher.crt" --key "$T/viewer-watcher.key" watch k >"$work/watch" 2>&1 9>&- &
watch=$!
check "a watch stands" wait_until 5 eval 'ss -Htn "sport = :${CLIENT_PORT[q1]}" | grep -q ESTAB'
check "it hears" wait_until 5 eval '"${KV[@]}" put k 1 && grep -q 1 "$work/watch"'
"$DIR/bin/kv" cert revoke --dir "$T" "$T/viewer-watcher.crt" >/dev/null
"$DIR/bin/kv" cert revoke --dir "$T" "$T/admin-second.crt" >/dev/null
cp "$T/revoked.pem" "$work/new.pem" && mv "$work/new.pem" "$DIR/revoked.pem" && own
check "the list is read again" wait_until 10 grep -q "mod=tls ev=reloaded" "$DIR/log/q1"
"${KV[@]}" put k secret >/dev/null
check_output "an admin that was good is let in no more" 000 page "$T/admin-second"
"${KV[@]}" put k secret >/dev/null
check "what stood is cut, and hears nothing more" eval 'sleep 0.2; ! grep -q secret "$work/watch"'
kill "$watch" 2>/dev/null
proxy_drops_a_node
echo "no list" >"$DIR/revoked.pem"
check "a list that is none is refused, the old one stays" wait_until 10 grep -q "mod=tls ev=reload_failed" "$DIR/log/q1"
check_output "who was revoked stays out" 000 page "$T/admin-second"
check_output "and the rest goes on" 200 page "$T/admin-admin"
report_end access
