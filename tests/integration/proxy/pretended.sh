# SPDX-License-Identifier: Apache-2.0
# The proxy before pretended databases: sourced by run.sh. What the arbiter alone may write in our own store is put by hand
# into Debian's etcd: the proxy reads by etcd's API, and cannot tell.

declare -gA PEER_DB=() PEER_HTTP=() PEER_IN=()
PRETENDED=""

peer_start() { # NAME
    local fd fifo=$work/$1.in
    free_port "PEER_DB[$1]" 20100
    free_port "PEER_HTTP[$1]" 20200
    mkfifo "$fifo"
    "$BIN/proxytool" peer "$1" "${PEER_DB[$1]}" "${PEER_HTTP[$1]}" <"$fifo" >"$work/log/peer-$1" 2>&1 &
    remember "peer-$1" $!
    disown
    exec {fd}>"$fifo"
    PEER_IN[$1]=$fd
    FIFOS+=("$fd")
}
peer() { printf '%s\n' "${*:2}" >&"${PEER_IN[$1]}"; } # NAME ORDER...
key() { "${KV[@]}" put "/quorate/v1/clusters/demo/$1" "$2" >/dev/null; }
put_member() { # NAME [JSON of further fields]
    key "members/$1" "{\"member\":\"$1\",\"host\":\"127.0.0.1\",\"db_port\":${PEER_DB[$1]},\"http_port\":${PEER_HTTP[$1]}${2:+,$2}}"
}
put_record() { # EPOCH REVISION HOLDER OPENED [STATE] [JSON]
    key record "{\"cluster\":\"demo\",\"epoch\":$1,\"revision\":$2,\"holder\":\"$3\",\"is_opened\":$4,\"state\":\"${5:-running}\",\"ttl_ms\":1000${6:+,$6}}"
}
proxy_start_here() {
    "$BIN/quorate-proxy" --config "$work/proxy.yml" "$@" >>"$work/log/proxy" 2>&1 &
    remember proxy $!
    disown
}
status() { curl -s -m 2 "http://127.0.0.1:$STATUS/status" | jq -r "$1"; }
status_is() { [ "$(status "$1")" = "$2" ]; }
once() { "$BIN/proxytool" once "$@"; }
answers() { [ "$(once "$1" hi 2000)" = "$2 " ]; } # PORT NAME
probe() { # FILE MS: in the background
    "$BIN/proxytool" probe "$PRIMARY" "$2" >"$1" 2>&1 &
    PROBE_PID=$!
}
probe_said() { tail -n 1 "$1"; }
has_no_error() { grep -q " errors 0 " "$1"; }

pretended_setup() {
    local quorum_port peer_port
    DIR=$work
    mkdir -p "$work/log" "$work/pids" "$work/q"
    free_port quorum_port 20000
    free_port peer_port 20010
    free_port PRIMARY 20020
    free_port REPLICAS 20030
    free_port STATUS 20040
    etcd --name q1 --data-dir "$work/q" --listen-client-urls "http://127.0.0.1:$quorum_port" \
        --advertise-client-urls "http://127.0.0.1:$quorum_port" --listen-peer-urls "http://127.0.0.1:$peer_port" \
        --initial-advertise-peer-urls "http://127.0.0.1:$peer_port" --initial-cluster "q1=http://127.0.0.1:$peer_port" \
        >"$work/log/q1" 2>&1 &
    remember q1 $!
    disown
    KV=("$BIN/kv" --endpoints "127.0.0.1:$quorum_port")
    wait_until 15 "${KV[@]}" put started yes || die "etcd does not start: $(tail -n 2 "$work/log/q1")"
    cat >"$work/proxy.yml" <<YML
cluster: demo
primary:
  listen: 127.0.0.1:$PRIMARY
replicas:
  listen: 127.0.0.1:$REPLICAS
quorum:
  endpoints: ["http://127.0.0.1:$quorum_port"]
insecure: yes
http:
  listen: 127.0.0.1:$STATUS
agents:
  interval: 100ms
hold:
  time: 2s
YML
    for name in a b c; do
        peer_start "$name"
        put_member "$name"
    done
    proxy_start_here
    wait_until 10 status_is .connections 0 || die "the proxy does not start: $(tail -n 2 "$work/log/proxy")"
}

pretended_stop() {
    kill -TERM "$(pid_of proxy)" "$(pid_of q1)" 2>/dev/null
    wait_until 5 eval '! is_running proxy'
}

proxy_pretended() {
    local t
    pretended_setup
    check "configuration is checked" "$BIN/quorate-proxy" --check-config --config "$work/proxy.yml"
    check "and so is the sample" "$BIN/quorate-proxy" --check-config --config packaging/samples/proxy.yml
    check_fails "a quorum beyond loopback needs TLS" "tls.ca" "$BIN/quorate-proxy" --config "$work/proxy.yml" \
        --quorum.endpoints=http://192.0.2.1:2379
    check_fails "a taken port is told" "ss -ltnp" "$BIN/quorate-proxy" --config "$work/proxy.yml" --http.listen=off

    # Before there is a record everybody waits, and is then told why in PostgreSQL's own words.
    check "without a record clients wait" status_is ".clusters[0].primary.reason" no-record
    check "and are refused in the server's form when it takes too long" eval \
        'once "$PRIMARY" hi | grep -q "57P03.*quorate-proxy: the cluster"'
    peer a primary yes
    for t in b c; do peer $t replica yes; done
    put_record 1 1 a false
    check "an unopened primary is waited for" wait_until 5 status_is ".clusters[0].primary.reason" not-open
    put_record 1 2 a true
    check "and used when it has opened" wait_until 5 answers "$PRIMARY" a
    check "replicas take turns" wait_until 5 eval \
        '[ "$(for i in 1 2 3 4; do once "$REPLICAS" hi; done | sort -u | tr -d "\n")" = "b c " ]'
    proxy_bytes
    proxy_switchover
    proxy_crash
    proxy_failover
    proxy_reads
    proxy_operations
    pretended_stop
}

proxy_bytes() {
    check_output "20 MB there and back are the same" same eval '"$BIN/proxytool" stream "$PRIMARY" 20 | cut -d" " -f1'
    check "most of them were moved by the kernel" eval '[ "$(status ".spliced_bytes > .copied_bytes")" = true ]'
}

# The arbiter's steps, with their waits; the old primary stops in between. No client is refused.
proxy_switchover() {
    probe "$work/probe" 1500
    sleep 0.3
    put_record 1 3 a true switchover
    check "during a switchover new connections wait" wait_until 2 status_is ".clusters[0].primary.reason" switchover
    peer a primary no
    peer a db off
    put_record 2 4 b false
    peer b primary yes
    sleep 0.2
    put_record 2 5 b true
    wait "$PROBE_PID"
    check "a switchover refuses nobody ($(probe_said "$work/probe"))" has_no_error "$work/probe"
    check_output "clients moved once" "a b" eval 'head -n -1 "$work/probe" | tr "\n" " "'
    peer a db on
}

# The database is gone and comes back in the same epoch.
proxy_crash() {
    probe "$work/probe" 1500
    sleep 0.3
    peer b primary no
    peer b db off
    check "a crashed primary is waited for" wait_until 2 eval \
        'status ".clusters[0].primary.reason" | grep -q "not-serving\|unreachable"'
    sleep 0.3
    peer b db on
    peer b primary yes
    wait "$PROBE_PID"
    check "at most the calls under way fail in a crash ($(probe_said "$work/probe"))" eval \
        '[ "$(tail -n 1 "$work/probe" | cut -d" " -f4)" -le 1 ]'
}

# A host that is lost says nothing at all: what stands there is cut when the record moves, what was being made moves on.
proxy_failover() {
    "$BIN/proxytool" once "$PRIMARY" x 1 >/dev/null # warm
    kill -STOP "$(pid_of peer-b)"
    probe "$work/probe" 2000
    "$BIN/proxytool" probe "$PRIMARY" 100 >/dev/null 2>&1 &
    sleep 0.5
    put_record 3 6 c false
    peer c primary yes
    put_record 3 7 c true
    wait "$PROBE_PID"
    check "connections of a lost host move on ($(probe_said "$work/probe"))" eval '[ "$(tail -n 2 "$work/probe" | head -n 1)" = c ]'
    check "those that stood there were cut" eval '[ "$(status ".clusters[0].primary.cut")" -ge 1 ]'
    kill -CONT "$(pid_of peer-b)"
    peer b primary no
    peer b db on
    # An older record, told late: nobody follows it.
    put_record 2 8 b true
    sleep 0.2
    check_output "an older record is not followed" "c 3" status '.clusters[0] | .primary.goes_to + " " + (.epoch | tostring)'
    put_record 4 9 c false
    check "in a new epoch c is waited for" wait_until 3 status_is ".clusters[0].primary.reason" not-open
    peer c promoted yes
    check "but no longer than until it is promoted" wait_until 3 answers "$PRIMARY" c
    put_record 4 10 c true
    peer c promoted no
    check "and it is used when it has opened" answers "$PRIMARY" c
}

proxy_reads() {
    peer a replica yes
    peer b replica yes
    peer c replica no
    check "replicas follow the roles" wait_until 5 eval \
        '[ "$(for i in 1 2 3 4; do once "$REPLICAS" hi; done | sort -u | tr -d "\n")" = "a b " ]'
    put_member a '"is_noloadbalance":true'
    check "noloadbalance is left out" wait_until 5 eval '[ "$(for i in 1 2 3 4; do once "$REPLICAS" hi; done | sort -u)" = "b " ]'
    put_member a
    put_record 4 11 c true running '"drained":["b"]'
    check "so is a drained member" wait_until 5 eval '[ "$(for i in 1 2 3 4; do once "$REPLICAS" hi; done | sort -u)" = "a " ]'
    put_record 4 12 c false running '"is_standby_cluster":true'
    check "a standby cluster has no primary, and says so at once" wait_until 5 eval 'once "$PRIMARY" hi 500 | grep -q "57P03.*follows another one"'
    put_record 4 13 c true
    peer a replica no
    peer b replica no
    check "the primary serves reads when no replica is fit" wait_until 5 answers "$REPLICAS" c
    "${KV[@]}" del /quorate/v1/clusters/demo/members/a >/dev/null
    check "a removed member is forgotten" wait_until 5 status_is '[.clusters[0].members[] | select(.member == "a" and .says_replica == "yes")] | length' 0
}

proxy_operations() {
    check "metrics" eval 'curl -s "http://127.0.0.1:$STATUS/metrics" | grep -q "quorate_proxy_cut_total{cluster=\"demo\",port=\"primary\"} [1-9]"'
    check "status page" eval 'curl -s "http://127.0.0.1:$STATUS/" | grep -q "primary   goes to c"'
    check "ready" curl -sf "http://127.0.0.1:$STATUS/ready"
    # Reload: a smaller limit holds for new connections, those that stand go on.
    coproc STAY { "$BIN/proxytool" hold "$PRIMARY" 3; }
    check "three stay" eval 'read -r -t 5 line <&"${STAY[0]}" && [ "$line" = "held 3" ]'
    sed -i 's/^hold:/connections:\n  max: 3\nhold:/' "$work/proxy.yml"
    kill -HUP "$(pid_of proxy)"
    check "beyond connections.max a client is told" wait_until 5 eval 'once "$PRIMARY" hi | grep -q "53300.*connections.max"'
    check_output "a reload cuts nobody" 3 status ".clusters[0].primary.connections"
    # Without the quorum nothing is known after the lease; an agent that has one of its own is believed.
    kill -STOP "$(pid_of q1)"
    check "an agent stands in for the quorum" wait_until 6 status_is ".clusters[0].is_fresh" false
    check_output "towards the member that says so" c status ".clusters[0].primary.goes_to"
    peer c primary no
    check "without any word new connections wait" wait_until 5 status_is ".clusters[0].primary.reason" stale
    check_output "those that stand are left alone" 3 status ".clusters[0].primary.connections"
    kill -CONT "$(pid_of q1)"
    peer c primary yes
    check "and the quorum is followed again" wait_until 8 status_is ".clusters[0].is_fresh" true
    exec {STAY[1]}>&-
}

# Idle connections: what each costs, beyond what the process has anyway.
proxy_memory() {
    local count=10000 before after allowed
    ulimit -Hn $((4 * count)) 2>/dev/null # as root
    allowed=$((($(ulimit -Hn) - 600) / 2)) # two files each
    [ "$count" -le "$allowed" ] || count=$allowed
    ulimit -Sn "$(ulimit -Hn)"
    work=$work/memory
    mkdir -p "$work"
    pretended_setup
    peer a primary yes
    put_record 1 1 a true
    wait_until 5 answers "$PRIMARY" a || bad "the proxy serves"
    before=$(private_kb)
    coproc MANY { "$BIN/proxytool" hold "$PRIMARY" "$count"; }
    check "$count connections are held" eval 'read -r -t 30 line <&"${MANY[0]}" && [ "$line" = "held '"$count"'" ]'
    after=$(private_kb)
    note "private memory: $before kB before, $after kB with $count connections"
    check "they cost a few MB" test $((after - before)) -lt 8192
    exec {MANY[1]}>&-
    pretended_stop
    work=${work%/memory}
}
private_kb() { awk '/^Private/ { sum += $2 } END { print sum }' "/proc/$(pid_of proxy)/smaps_rollup"; }
