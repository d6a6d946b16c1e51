# SPDX-License-Identifier: Apache-2.0
# The ports beside the public one, with every kind of certificate: sourced by run.sh, whose certificates lie in $T.
T=$DIR/tls
# Not good for anybody; and good, for something else.
bad_ones() { printf '%s\n' "$T/admin-late" "$DIR/foreign/admin-admin" "$T/admin-taken" "$T/short" "$T/sha1"; }
STRANGERS=(nameless twofold member-pg-main-pg1)

# --- the peer port: nodes and agents, each in its own name alone
access_peer() {
    local claims=(node/q9 agent/pg-main/pg2 agent/other/pg1)
    { echo - && bad_ones && printf "$T/%s\n" "${STRANGERS[@]}" viewer-eye admin-admin node-q9 agent-pg-main-pg1 agent-pg-main-pg2 agent-other-pg1; } |
        timeout 60 python3 tests/integration/access/peer.py "${PEER_PORT[q1]}" "$T/ca.crt" "$(basename "$DIR")" "${claims[@]}" >"$work/peer"
    check_output "every certificate was tried with every claim at the peer port" 45 eval 'wc -l <"$work/peer"'
    check_output "each speaks in its own name alone" $'tls/agent-other-pg1 agent/other/pg1\ntls/agent-pg-main-pg2 agent/pg-main/pg2\ntls/node-q9 node/q9' \
        eval 'sed -n "s/ in$//p" "$work/peer" | sort'
    check_output "who has no good certificate is refused at the peer port" "" eval \
        'grep -E "^(./-|tls/(admin-late|admin-taken|short|sha1)|foreign/)" "$work/peer" | grep -v " refused$"; grep -c "" "$work/peer" | grep -vx 45'
    check "others are told of in the log, with what they claim and what they are" grep -q 'mod=link ev=refused.*it says it is agent pg-main/pg2.*viewer eye' "$DIR/log/q1"
    for who in "$T/viewer-eye" "$T/node-q9" "$T/agent-other-pg1" "$T/admin-late"; do
        check_fails "an agent does not start as $(basename "$who")" "" agent_with "$who"
    done
}
agent_with() { # FILE-STEM: an agent whose certificate is this one
    sed "s|$T/agent-pg-main-pg1|$1|" "$DIR/pg1.yml" >"$DIR/wrong.yml"
    own
    limited 10 as_user "$DIR/bin/quorate-agent-postgresql" --config "$DIR/wrong.yml"
}

# --- the agents' ports, of each engine: nobody changes anything there without TLS and an admin's certificate
# Galera's and MongoDB's agents have databases that only stand there: their ports are open all the same.
access_prepare() {
    local name
    for name in quorate-agent-galera quorate-agent-mongodb quorate-proxy; do
        [ ! -x "$BIN/$name" ] || cp -f "$BIN/$name" "$DIR/bin/"
    done
    printf '#!/bin/sh\n[ "$1" != --version ] || { echo "mariadbd Ver 10.11.0-MariaDB"; echo "db version v7.0.9"; exit; }\nexec sleep 600\n' >"$DIR/bin/idle"
    chmod 755 "$DIR/bin/idle"
    (umask 077 && printf 'check:12345678\nagent:12345678\n' >"$DIR/other-passwords")
    issue --role agent --cluster shop --name g1 && issue --role agent --cluster docs --name m1
    free_port "HTTP_PORT[g1]" 8108
    free_port "HTTP_PORT[m1]" 8118
    free_port SHOP_PORT 13306
    free_port DOCS_PORT 37017
    other_agent g1 shop galera "  server: $DIR/bin/idle
  sst_method: rsync
  port: $SHOP_PORT
  listen: 127.0.0.1
  members: {g1: \"127.0.0.1:$((SHOP_PORT + 1))\"}
  password_file: $DIR/other-passwords"
    other_agent m1 docs mongodb "  mongod: $DIR/bin/idle
  listen: 127.0.0.1
  login: none
  cluster_auth: none
  members: {m1: \"127.0.0.1:$DOCS_PORT\"}"
}
other_agent() { # MEMBER CLUSTER ENGINE LINES
    mkdir -p "$DIR/$1"
    cat >"$DIR/$1.yml" <<YML
cluster: {name: $2}
member: $1
advertise: 127.0.0.1
quorum:
  token: $(basename "$DIR")
  nodes: {q1: "127.0.0.1:${PEER_PORT[q1]}"}
tls:
  revoked: $DIR/revoked.pem
  ca: $T/ca.crt
  cert: $T/agent-$2-$1.crt
  key: $T/agent-$2-$1.key
http: {listen: "127.0.0.1:${HTTP_PORT[$1]}"}
state_dir: $DIR/$1/state
run_dir: $DIR/$1/run
$3:
  data_dir: $DIR/$1/data
$4
YML
}
post() { curl -s -o /dev/null -m 2 --cacert "$T/ca.crt" -k -w '%{http_code}' -X POST -d '{}' "$@"; }
# "CERTIFICATE PATH CODE" of every call that would change something
posts() { # ADDRESS
    local who path
    for path in /switchover /failover /restart /reinitialize /reload; do
        echo "plain $path $(post "http://$1$path")"
        while read -r who; do echo "bad $path $(post --cert "$who.crt" --key "$who.key" "https://$1$path")"; done < <(bad_ones)
        for who in "${STRANGERS[@]}" viewer-eye agent-other-pg1 node-q9; do echo "$who $path $(post --cert "$T/$who.crt" --key "$T/$who.key" "https://$1$path")"; done
    done
}
access_agents() {
    local name
    for name in pg1 g1 m1; do
        case $name in
        g1) [ -x "$DIR/bin/quorate-agent-galera" ] || { skip "the port of Galera's agent" "it is not built"; continue; }
            spawn g1 "$DIR/bin/quorate-agent-galera" --config "$DIR/g1.yml" ;;
        m1) [ -x "$DIR/bin/quorate-agent-mongodb" ] || { skip "the port of MongoDB's agent" "it is not built"; continue; }
            spawn m1 "$DIR/bin/quorate-agent-mongodb" --config "$DIR/m1.yml" ;;
        esac
        check "the port of $name is open" wait_until 15 eval '[ "$(http_code '"$name"' /metrics)" = 200 ]'
        posts "127.0.0.1:${HTTP_PORT[$name]}" >"$work/posts"
        check_output "$name: every call was tried with every certificate" 60 eval 'wc -l <"$work/posts"'
        check_output "$name: with one that is not good nobody is let in" "" eval 'grep "^bad " "$work/posts" | grep -v " 000$"'
        check_output "$name: plain, and with what is for others, nothing is changed" "" eval 'grep -v "^bad " "$work/posts" | grep -v " 4..$"'
    done
}

# --- the proxy: it is a client of the quorum like any other, and verifies the quorum's nodes
proxy_file() { # NAME CERTIFICATE
    free_port "PROXY_SQL[$1]" 25000
    free_port "PROXY_HTTP[$1]" 25100
    cat >"$DIR/proxy-$1.yml" <<YML
cluster: pg-main
primary: {listen: "127.0.0.1:${PROXY_SQL[$1]}"}
replicas: {listen: "off"}
agents: {ask: off}
quorum: {endpoints: ["$public"]}
tls: {ca: $T/ca.crt, revoked: $DIR/proxy-revoked.pem, cert: $2.crt, key: $2.key}
http: {listen: "127.0.0.1:${PROXY_HTTP[$1]}"}
YML
}
declare -gA PROXY_SQL=() PROXY_HTTP=()
proxy_says() { curl -s -o /dev/null -m 2 -w '%{http_code}' "http://127.0.0.1:${PROXY_HTTP[$1]}/ready"; }
access_proxy() {
    local who name names=()
    [ -x "$DIR/bin/quorate-proxy" ] || { skip "the proxy" "it is not built"; return; }
    cp "$DIR/revoked.pem" "$DIR/proxy-revoked.pem"
    proxy_file good "$T/viewer-eye"
    while read -r who; do
        name=$(basename "$who")
        names+=("$name")
        proxy_file "$name" "$who"
    done < <(bad_ones && printf "$T/%s\n" "${STRANGERS[@]}" agent-pg-main-pg1 node-q9)
    own
    spawn proxy-good "$DIR/bin/quorate-proxy" --config "$DIR/proxy-good.yml"
    for name in "${names[@]}"; do spawn "proxy-$name" "$DIR/bin/quorate-proxy" --config "$DIR/proxy-$name.yml"; done
    check "a proxy with a viewer's certificate hears where the primary is" wait_until 15 eval '[ "$(proxy_says good)" = 200 ]'
    for name in "${names[@]}"; do
        check "a proxy with $name has tried, and was refused" wait_until 15 proxy_was_refused "$name"
        check "it leads nowhere" eval '[ "$(proxy_says '"$name"')" != 200 ]'
        kill -TERM "$(pid_of "proxy-$name")" 2>/dev/null
    done
    check "one that was revoked is told so" grep -q "it was revoked" "$DIR/log/proxy-admin-taken"
}
# It says so, or it does not start with such a file.
proxy_was_refused() { ! is_running "proxy-$1" || grep -qE "ev=[a-z_]*(lost|failed|refused|down|unreachable)" "$DIR/log/proxy-$1"; }
# A node's certificate on the proxy's list: what stood is cut, and nothing of that node is believed.
proxy_drops_a_node() {
    [ -n "${PROXY_HTTP[good]:-}" ] || return 0
    "$DIR/bin/kv" cert revoke --dir "$T" "$T/node-q1.crt" >/dev/null
    cp "$T/revoked.pem" "$work/proxy.pem" && mv "$work/proxy.pem" "$DIR/proxy-revoked.pem" && own
    check "the proxy reads its list of revoked certificates again" wait_until 10 grep -q "mod=tls ev=reloaded" "$DIR/log/proxy-good"
    check "a node that is on it is not believed any more" wait_until 15 eval '[ "$(proxy_says good)" = 503 ]'
    check "and that is said" grep -q "revoked" "$DIR/log/proxy-good"
}
