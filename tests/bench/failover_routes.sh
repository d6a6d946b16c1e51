#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# By which ways clients of the failover benchmark find the primary: sourced by failover_block.sh. ROUTES are those that there are,
# the first is the one that a class's figures are of; acked ROUTE is its file of acknowledged writes.
#
#   quorate-proxy    our proxy on the clients' host
#   haproxy          Debian's, with the checks that the system itself documents
#   libpq-multihost  the connection string: of `kv db dsn`, with Patroni the same made by hand
#   parallel         a connection per member, each asked all the time whether it is primary: no way is faster
ROUTES=()
declare -A ROUTE_TARGET=() LOADS=()

acked() { echo "$DIR/acked.$1"; }
gap_max() { # FILE: seconds
    sort -n -k1,1 "$1" | awk 'last && $1 - last > gap { gap = $1 - last } { last = $1 } END { printf "%.3f\n", gap / 1e6 }'
}
bench_tables() {
    local member
    member=$(primary) || return 1
    load_tables "$member"
}

# --- HAProxy
haproxy_servers() {
    local name
    for name in "${DATABASES[@]}"; do echo "    server $name $(address_of "$name"):5432 maxconn 100 check port 8008"; done
}
haproxy_config() { # what the system's own manual says
    case $SYSTEM in
    patroni) cat <<CFG ;;
global
    maxconn 200
defaults
    mode tcp
    retries 2
    timeout client 30m
    timeout connect 4s
    timeout server 30m
    timeout check 5s
listen primary
    bind *:5000
    option httpchk OPTIONS /primary
    http-check expect status 200
    default-server inter 3s fall 3 rise 2 on-marked-down shutdown-sessions
$(haproxy_servers)
CFG
    *) "${KV[@]}" db haproxy "$SQL_CLUSTER" 2>/dev/null ;;
    esac
}
haproxy_start() {
    command -v haproxy >/dev/null || { note "haproxy is not installed: no such route"; return 1; }
    haproxy_config >"$DIR/haproxy.cfg" && [ -s "$DIR/haproxy.cfg" ] || { note "kv db haproxy prints nothing: no such route"; return 1; }
    # As its user it needs neither a jail nor another user, nor a socket for administrators, nor more files than are allowed here.
    sed -i -E '/^ *(chroot|user|group|daemon|stats socket|log )/d; s/maxconn [0-9]{4,}/maxconn 500/' "$DIR/haproxy.cfg"
    ROUTE_TARGET[haproxy]=$(host_address c1):$(sed -n 's/.*bind .*:\([0-9]*\).*/\1/p' "$DIR/haproxy.cfg" | head -n 1)
    (client_become c1 setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- haproxy -db -f "$DIR/haproxy.cfg") \
        >"$DIR/log/haproxy" 2>&1 </dev/null &
    disown
    ROUTES+=(haproxy)
}

# --- our proxy
proxy_config() {
    cat <<YML
cluster: $SQL_CLUSTER
primary:
  listen: $(host_address c1):5100
replicas:
  listen: "off"
connections:
  max: 500
http:
  listen: "off"
quorum:
  endpoints:
$(local name; for name in "${QUORUM[@]}"; do echo "    - https://$(address_of "$name"):2379"; done)
tls:
  ca: $DIR/tls/ca.crt
  cert: $DIR/tls/viewer-proxy.crt
  key: $DIR/tls/viewer-proxy.key
YML
}
proxy_start() {
    [ "$SYSTEM" = quorate ] && [ -x "$BIN/quorate-proxy" ] || return 1
    cp -f "$BIN/quorate-proxy" "$DIR/bin/quorate-proxy" && "$DIR/bin/kv" cert issue --role viewer --name proxy --dir "$DIR/tls" >/dev/null || return 1
    proxy_config >"$DIR/proxy.yml"
    own
    ROUTE_TARGET[quorate-proxy]=$(host_address c1):5100
    (client_become c1 setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$DIR/bin/quorate-proxy" --config "$DIR/proxy.yml") \
        >"$DIR/log/proxy" 2>&1 </dev/null &
    disown
    ROUTES+=(quorate-proxy)
}

routes_start() {
    proxy_start
    if [ "$SYSTEM" = patroni ]; then haproxy_start && ROUTES+=(parallel); else ROUTES+=(parallel) && haproxy_start; fi
    ROUTES+=(libpq-multihost)
}

# --- what guards did: a tree that freezes and is then frozen counts once
freezes() { local n; for n in "${DATABASES[@]}"; do cat "$(data_of "$n")/state/guard.log" 2>/dev/null; done | grep -c 'tree="fr[a-z]*" was="running"'; }

# --- clients
dsn() {
    local name list=""
    if [ "$SYSTEM" = quorate ]; then "${KV[@]}" db dsn "$SQL_CLUSTER"; return; fi
    for name in "${DATABASES[@]}"; do list+=${list:+,}$(address_of "$name"):5432; done
    echo "postgresql://$list/postgres?target_session_attrs=read-write&connect_timeout=2&tcp_user_timeout=2000"
}
members_list() {
    local name out=""
    for name in "${DATABASES[@]}"; do out+=${out:+,}$(address_of "$name"):5432; done
    echo "$out"
}
client_of() { # ROUTE: options of pgload
    case $1 in
    parallel) echo --members "$(members_list)" --parallel --first-writer 100 ;;
    libpq-multihost) echo --dsn "$(dsn)" --clients 1 --first-writer 200 ;;
    haproxy) echo --members "${ROUTE_TARGET[haproxy]}" --clients 1 --first-writer 300 ;;
    quorate-proxy) echo --members "${ROUTE_TARGET[quorate-proxy]}" --clients 1 --first-writer 400 ;;
    esac
}
clients_start() {
    local route tls=sslmode=require
    [ "$SYSTEM" = quorate ] || tls=sslmode=disable
    for route in "${ROUTES[@]}"; do : >"$(acked "$route")" && chown "$RUN_AS" "$(acked "$route")"; done
    for route in "${ROUTES[@]}"; do
        # shellcheck disable=SC2046 # words are meant
        (client_become c1 setpriv --reuid "$RUN_AS" --regid "$RUN_AS" --init-groups -- "$DIR/bin/pgload" $(client_of "$route") \
            --out "$(acked "$route")" --pause-us 2000 --conninfo "user=app dbname=postgres passfile=$DIR/pgpass $tls") \
            >"$DIR/log/load.$route" 2>&1 </dev/null &
        LOADS[$route]=$!
    done
}
clients_stop() {
    [ "${#LOADS[@]}" -gt 0 ] || return 0
    kill -TERM "${LOADS[@]}" 2>/dev/null
    wait "${LOADS[@]}" 2>/dev/null
    LOADS=()
    return 0
}
