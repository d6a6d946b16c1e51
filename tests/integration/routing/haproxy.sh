# SPDX-License-Identifier: Apache-2.0
# Debian's HAProxy, with the directives that people have in use, and with what `kv db haproxy` prints. Sourced by run.sh.

# As the daemons' user in the foreground it needs neither a jail nor another user, nor a socket for administrators.
haproxy_run() { # FILE
    sed -i -E '/^ *(chroot|user|group|daemon|stats socket|log) /d; /^ *stats timeout/d' "$1"
    own
    spawn haproxy haproxy -db -f "$1"
}
haproxy_stop() { kill -TERM "$(pid_of haproxy)" 2>/dev/null; wait_until 5 eval '! is_running haproxy'; }
# A session that stays open on the way is cut when the member is no primary any more.
session_cut() { # PORT
    PGPASSFILE=$DIR/pgpass timeout 60 psql -X -q -h 127.0.0.1 -p "$1" -U app -d postgres -c "SELECT pg_sleep(50)" >/dev/null 2>&1 &
    SESSION=$!
}

routed_by_haproxy() {
    command -v haproxy >/dev/null || { skip haproxy "not installed"; return; }
    local front replicas name
    free_port front 5600 && free_port replicas 5620
    # The sample, with the places of this cluster.
    sed -E "s/bind \*:(5432|5000)/bind 127.0.0.1:$front/; s/bind \*:(5433|5001)/bind 127.0.0.1:$replicas/; /^listen stats/,/^ *$/d" \
        packaging/samples/haproxy.cfg >"$DIR/haproxy.cfg"
    for name in "${MEMBERS[@]}"; do
        sed -i -E "s/server (node|pg)${name#pg} [0-9.]+:5432 (.*)check port 8008/server $name 127.0.0.1:${SQL_PORT[$name]} \2check port ${HTTP_PORT[$name]}/" "$DIR/haproxy.cfg"
    done
    haproxy_run "$DIR/haproxy.cfg"
    check "haproxy: the replicas' port leads to a replica" wait_until 15 leads_to_replica "$replicas"
    wait_until 10 leads_to_primary "$front"
    session_cut "$front"
    routed haproxy "$front" 10
    check "haproxy: the session of the old primary was cut" wait_until 5 eval "! kill -0 $SESSION"
    haproxy_stop
    "${KV[@]}" db haproxy "$MEMBERS_CLUSTER" >"$DIR/printed.cfg" 2>"$work/printed.err" || { bad "kv db haproxy" "$(cat "$work/printed.err")"; return; }
    front=$(sed -n 's/.*bind .*:\([0-9]*\).*/\1/p' "$DIR/printed.cfg" | head -n 1)
    haproxy_run "$DIR/printed.cfg"
    routed "kv db haproxy" "$front" 6
    haproxy_stop
}
